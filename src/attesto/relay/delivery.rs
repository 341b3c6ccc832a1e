//! One attempt: a request to the endpoint, and the whole of its answer, in bounded time and memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Url};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::Habits;
use super::faults::delivery as faults;
use super::rules::Answered;
use super::settings::{Environment, Timing};

/// No answer is longer.
const LONGEST_ANSWER_BYTES: usize = 1 << 20;

/// A request of the relay.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    pub(super) method: Method,
    pub(super) endpoint: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Sends a request once. The error is the word of what went wrong.
pub(super) async fn send(
    posted: Posted,
    environment: &Environment,
    timing: Timing,
    habits: &Habits,
) -> Result<Answered, &'static str> {
    let limit = faults::limit(habits, timing.attempt);
    let client = client(&posted.endpoint, environment, limit, habits).ok_or("no-tls")?;
    let mut request = client.request(posted.method, posted.endpoint).body(posted.body);
    for (name, value) in posted.headers {
        request = request.header(name, value);
    }
    let word = |error: &reqwest::Error| match (error.is_timeout(), error.is_connect()) {
        (true, _) => "timeout",
        (_, true) => "connection",
        _ => "transport",
    };
    let mut answer = request.send().await.map_err(|error| word(&error))?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => break,
            Err(_) if faults::takes_what_came(habits) => break,
            Err(error) => return Err(word(&error)),
        }
        if faults::is_too_long(habits, body.len() > LONGEST_ANSWER_BYTES) {
            return Err("answer-too-long");
        }
    }
    Ok(Answered { status, body })
}

/// What speaks to an endpoint: no redirects, no second tries, and only authorities that are trusted.
fn client(
    endpoint: &Url,
    environment: &Environment,
    limit: Option<Duration>,
    habits: &Habits,
) -> Option<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .ok()?;
    // To read them takes longer than an attempt over plain http.
    let roots = match endpoint.scheme() {
        "https" => roots(environment),
        _ => RootCertStore::empty(),
    };
    let tls = match faults::verifier(habits, &roots, provider) {
        Some(lax) => tls
            .dangerous()
            .with_custom_certificate_verifier(lax)
            .with_no_client_auth(),
        None => tls.with_root_certificates(roots).with_no_client_auth(),
    };
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(faults::redirects(habits))
        .retry(reqwest::retry::never())
        .no_proxy();
    if let Some(limit) = limit {
        builder = builder.timeout(limit);
    }
    if let Some(limit) = faults::limit_of_a_read(habits, limit) {
        builder = builder.read_timeout(limit);
    }
    if let Some(proxy) = environment.get("http_proxy") {
        builder = builder.proxy(reqwest::Proxy::http(proxy).ok()?);
    }
    builder.build().ok()
}

/// The authorities of `SSL_CERT_FILE`, else those of the system.
fn roots(environment: &Environment) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let certificates = match environment.get("SSL_CERT_FILE") {
        Some(path) => of_file(Path::new(path)),
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(certificates);
    roots
}

fn of_file(path: &Path) -> Vec<CertificateDer<'static>> {
    let read = CertificateDer::pem_file_iter(path);
    read.map(|certificates| certificates.flatten().collect())
        .unwrap_or_default()
}
