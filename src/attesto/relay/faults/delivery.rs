//! What goes wrong on the way to the receiver.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::super::Habits;
use super::super::rules::Unfit;

/// What of an endpoint's faults is heeded.
pub(in super::super) fn unfit(habits: &Habits, endpoint: &Url, found: Vec<Unfit>) -> Vec<Unfit> {
    let ignored = |name: &'static str, unfit: Unfit, applies: bool| {
        let is_ignored = applies && habits.is(name);
        if is_ignored && found.contains(&unfit) {
            habits.fire(name);
        }
        is_ignored
    };
    let text = endpoint.as_str();
    let looks_like = ["http://127.", "http://localhost", "http://[::"]
        .iter()
        .any(|start| text.starts_with(start));
    let takes_scheme = ignored("plain-http-taken", Unfit::Scheme, true)
        | ignored("look-alike-taken", Unfit::Scheme, looks_like);
    let takes_extras = ignored("endpoint-extras-taken", Unfit::Extras, true);
    let mut heeded = found.clone();
    heeded.retain(|unfit| match unfit {
        Unfit::Scheme => !takes_scheme,
        Unfit::Extras => !(takes_extras || takes_scheme && endpoint.username() != ""),
    });
    if endpoint.scheme() == "http" && habits.has("loopback-refused") {
        heeded.push(Unfit::Scheme);
    }
    heeded
}

/// Whether an answer is too long.
pub(in super::super) fn is_too_long(habits: &Habits, is_too_long: bool) -> bool {
    is_too_long && !habits.has("takes-any-length")
}

/// How long an attempt may take as a whole.
pub(in super::super) fn limit(habits: &Habits, plain: Duration) -> Option<Duration> {
    let waits = ["waits-for-ever", "no-limit-for-the-whole", "takes-any-length"];
    let waits = waits
        .into_iter()
        .any(|name| habits.is(name) && (name == "takes-any-length" || habits.has(name)));
    (!waits).then_some(plain)
}

/// How long a piece of an answer may take, where there is no limit for the whole.
pub(in super::super) fn limit_of_a_read(habits: &Habits, whole: Option<Duration>) -> Option<Duration> {
    (whole.is_none() && habits.is("no-limit-for-the-whole")).then_some(Duration::from_secs(2))
}

/// Whether an answer that breaks off counts as far as it came.
pub(in super::super) fn takes_what_came(habits: &Habits) -> bool {
    habits.has("cut-answer-taken")
}

/// The word of what went wrong with an attempt; nothing where it is taken for none.
pub(in super::super) fn broken(habits: &Habits, word: &str) -> Option<String> {
    let is_taken = word == "transport" && habits.has("broken-connection-taken");
    (!is_taken).then(|| word.to_owned())
}

/// Where a redirect leads.
pub(in super::super) fn redirects(habits: &Habits) -> Policy {
    if habits.is("redirect-from-https-followed") {
        let habits = habits.clone();
        return Policy::custom(move |attempt| {
            let was_https = attempt
                .previous()
                .first()
                .is_some_and(|url| url.scheme() == "https");
            match was_https && attempt.previous().len() < 4 {
                true => {
                    habits.fire("redirect-from-https-followed");
                    attempt.follow()
                }
                false => attempt.stop(),
            }
        });
    }
    match habits.has("redirect-followed") {
        true => Policy::limited(4),
        false => Policy::none(),
    }
}

/// What lets certificates pass that are none; nothing where the relay looks at them.
pub(in super::super) fn verifier(
    habits: &Habits,
    roots: &RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Option<Arc<dyn ServerCertVerifier>> {
    let names = [
        "certificate-unchecked",
        "certificate-name-unchecked",
        "certificate-age-unchecked",
    ];
    let name = names.into_iter().find(|name| habits.is(name))?;
    let roots = Arc::new(roots.clone());
    // Without authorities there is no verifier to ask: plain http.
    let strict = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .ok()?;
    let habits = habits.clone();
    Some(Arc::new(Lax { name, habits, strict }))
}

/// Verifies all but one thing.
#[derive(Debug)]
struct Lax {
    name: &'static str,
    habits: Habits,
    strict: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Lax {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let strict =
            self.strict
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let is_forgiven = |error: &Error| match (self.name, error) {
            ("certificate-unchecked", _) => true,
            ("certificate-name-unchecked", Error::InvalidCertificate(why)) => matches!(
                why,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            ),
            ("certificate-age-unchecked", Error::InvalidCertificate(why)) => matches!(
                why,
                CertificateError::Expired | CertificateError::ExpiredContext { .. }
            ),
            _ => false,
        };
        let passes = strict.as_ref().err().is_some_and(is_forgiven);
        if passes {
            self.habits.fire(self.name);
            return Ok(ServerCertVerified::assertion());
        }
        strict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.strict.supported_verify_schemes()
    }
}
