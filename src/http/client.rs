//! The client: what all lanes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use tokio_rustls::TlsConnector;

use super::answer::Caps;
use super::connect::Site;
use super::connections::Connections;
use super::head::is_sendable;
use super::rate_limit::RateLimit;
use super::{ClientError, ClientOptions, Endpoint, Headers, Service, tls};

/// An HTTP client for one target. It follows no redirects, uses no proxy that it is not told of, keeps no cookies and decodes no bodies: what
/// is asked goes out as written, and what comes is handed on as it came, within bounds.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    vault: Site,
    idp: Site,
    one_origin: bool,
    timeout: Duration,
    connect_timeout: Duration,
    caps: Caps,
    pace: RateLimit,
    /// Whether the target has ever closed an idle connection.
    closes_idle: AtomicBool,
}

impl Client {
    /// A client for the target that `options` describe. Connects to nobody yet.
    ///
    /// # Errors
    /// A certificate cannot be read or used, a header cannot be sent, or the cap on the rate is none.
    pub fn new(options: ClientOptions) -> Result<Client, ClientError> {
        check_headers(&options.vault_headers)?;
        check_headers(&options.idp_headers)?;
        let idp = options.idp.as_ref().unwrap_or(&options.vault);
        let one_origin = idp.is_same_origin(&options.vault);
        let trust = match options.vault.is_tls() || idp.is_tls() {
            true => Some(tls::config(&options.tls)?),
            false => None,
        };
        let vault = site(&options.vault, trust.as_ref(), &[&options.vault_headers])?;
        let idp = match one_origin {
            true => site(
                idp,
                trust.as_ref(),
                &[&options.idp_headers, &options.vault_headers],
            )?,
            false => site(idp, trust.as_ref(), &[&options.idp_headers])?,
        };
        let through = |site: Site| Site {
            proxy: options.proxy.clone(),
            ..site
        };
        Ok(Client(Arc::new(Shared {
            vault: through(vault),
            idp: through(idp),
            one_origin,
            timeout: options.timeout,
            connect_timeout: options.connect_timeout,
            caps: Caps::new(options.max_body),
            pace: RateLimit::new(options.rps)?,
            closes_idle: AtomicBool::new(false),
        })))
    }

    /// Connections for one more actor of one case.
    pub fn lane(&self) -> Connections {
        Connections::new(self.clone())
    }

    /// Where a service is.
    pub fn endpoint(&self, service: Service) -> &Endpoint {
        &self.site(service).0.endpoint
    }

    /// Whether vault and identity provider are one origin.
    pub fn is_same_origin(&self) -> bool {
        self.0.one_origin
    }

    /// How long one exchange may take, unless the caller says otherwise.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// The configured headers, for whoever must keep them secret.
    pub fn configured_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let both = self.0.vault.extra.iter().chain(&self.0.idp.extra);
        both.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The cap on the rate of requests.
    pub fn pace(&self) -> &RateLimit {
        &self.0.pace
    }

    /// Whether the target has ever closed a connection that was left idle.
    pub(super) fn closes_idle(&self) -> bool {
        self.0.closes_idle.load(Ordering::Relaxed)
    }

    /// The target has closed a connection that was left idle.
    pub(super) fn note_closed_idle(&self) {
        self.0.closes_idle.store(true, Ordering::Relaxed);
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout
    }

    pub(super) fn caps(&self) -> &Caps {
        &self.0.caps
    }

    /// A service's site, and the number of its origin.
    pub(super) fn site(&self, service: Service) -> (&Site, usize) {
        match service {
            Service::Vault => (&self.0.vault, 0),
            Service::Idp => (&self.0.idp, usize::from(!self.0.one_origin)),
        }
    }
}

fn site(
    endpoint: &Endpoint,
    trust: Option<&Arc<ClientConfig>>,
    extra: &[&Headers],
) -> Result<Site, ClientError> {
    let tls = match trust.filter(|_| endpoint.is_tls()) {
        Some(config) => Some((TlsConnector::from(config.clone()), tls::server_name(endpoint)?)),
        None => None,
    };
    Ok(Site {
        endpoint: endpoint.clone(),
        proxy: None,
        tls,
        extra: merged(extra),
    })
}

/// The fields of all, where the first to name a field decides its value.
fn merged(parts: &[&Headers]) -> Headers {
    let mut merged = Headers::new();
    for part in parts {
        let named = merged.clone();
        let is_new = |name: &str| !named.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        merged.extend(part.iter().filter(|(name, _)| is_new(name)).cloned());
    }
    merged
}

fn check_headers(headers: &Headers) -> Result<(), ClientError> {
    match headers.iter().find(|(name, value)| !is_sendable(name, value)) {
        Some((name, _)) => Err(ClientError::Header(name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn options(idp: &str) -> ClientOptions {
        ClientOptions {
            idp: Some(Endpoint::parse(idp).unwrap()),
            vault_headers: vec![pair("X-Vault", "v"), pair("X-Both", "v")],
            idp_headers: vec![pair("x-both", "i")],
            ..ClientOptions::new(Endpoint::parse("http://vault/a").unwrap())
        }
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        let apart = Client::new(options("http://idp")).unwrap();
        assert_eq!(apart.site(Service::Idp).0.extra, [pair("x-both", "i")]);
        assert!(!apart.is_same_origin());
        let one = Client::new(options("http://vault/b")).unwrap();
        assert_eq!(
            one.site(Service::Idp).0.extra,
            [pair("x-both", "i"), pair("X-Vault", "v")]
        );
        assert_eq!(one.site(Service::Idp).1, one.site(Service::Vault).1);
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_without_their_value() {
        let bad = ClientOptions {
            vault_headers: vec![pair("X-Key", "secret\nx: y")],
            ..options("http://idp")
        };
        assert!(!format!("{bad:?}").contains("secret"));
        let message = Client::new(bad).err().unwrap().to_string();
        assert!(
            message.contains("X-Key") && !message.contains("secret"),
            "{message}"
        );
    }
}
