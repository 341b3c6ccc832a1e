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
use super::{ClientError, ClientOptions, Endpoint, GrpcCodec, Headers, Service, tls};

/// An HTTP client for one target and its services. It follows no redirects, uses no proxy that it is not told of, keeps no cookies and decodes no bodies: what
/// is asked goes out as written, and what comes is handed on as it came, within bounds.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    target: Site,
    /// Services that are elsewhere or have headers of their own, each with the number of its origin; that of the target is 0.
    services: Vec<(Service, Site, usize)>,
    origins: usize,
    /// Where gRPC is spoken, if it is, and how.
    grpc: Option<(Site, GrpcCodec)>,
    /// Whether the target is asked over gRPC alone.
    grpc_alone: bool,
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
        check_headers(&options.headers)?;
        let places = || options.services.iter().map(|service| &service.endpoint);
        let trust = match options.target.is_tls() || places().any(Endpoint::is_tls) {
            true => Some(tls::config(&options.tls, "http/1.1")?),
            false => None,
        };
        let through = |site: Site| Site {
            proxy: options.proxy.clone(),
            ..site
        };
        let mut origins = vec![&options.target];
        let mut services = Vec::new();
        for service in &options.services {
            check_headers(&service.headers)?;
            let at = |known: &&Endpoint| known.is_same_origin(&service.endpoint);
            let origin = origins.iter().position(at).unwrap_or(origins.len());
            if origin == origins.len() {
                origins.push(&service.endpoint);
            }
            // What is secret at the target's origin is none of another's.
            let headers: &[&Headers] = match origin {
                0 => &[&service.headers, &options.headers],
                _ => &[&service.headers],
            };
            let site = site(&service.endpoint, trust.as_ref(), headers)?;
            services.push((service.name.clone(), through(site), origin));
        }
        let grpc = match &options.grpc {
            None => None,
            Some(grpc) => {
                let trust = grpc.endpoint.is_tls().then(|| tls::config(&options.tls, "h2"));
                let trust = trust.transpose()?;
                let site = site(&grpc.endpoint, trust.as_ref(), &[&options.headers])?;
                Some((through(site), grpc.codec))
            }
        };
        Ok(Client(Arc::new(Shared {
            grpc,
            grpc_alone: options.grpc.as_ref().is_some_and(|grpc| grpc.alone),
            target: through(site(&options.target, trust.as_ref(), &[&options.headers])?),
            services,
            origins: origins.len(),
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

    /// Where the target is.
    pub fn target(&self) -> &Endpoint {
        &self.0.target.endpoint
    }

    /// Where a service is: at the target, unless it was named.
    pub fn endpoint(&self, service: &Service) -> &Endpoint {
        &self.site(service).0.endpoint
    }

    /// Whether a service was named.
    pub fn names(&self, service: &Service) -> bool {
        self.0.services.iter().any(|(name, ..)| name == service)
    }

    /// Where gRPC is spoken, if it is.
    pub fn grpc(&self) -> Option<&Endpoint> {
        self.0.grpc.as_ref().map(|(site, _)| &site.endpoint)
    }

    /// Whether a service can be asked over HTTP: it was named, or the target speaks more than gRPC.
    pub fn speaks_http(&self, service: &Service) -> bool {
        !self.0.grpc_alone || self.names(service)
    }

    /// How calls are made, if they are.
    pub(super) fn grpc_site(&self) -> Option<(&Site, GrpcCodec)> {
        self.0.grpc.as_ref().map(|(site, codec)| (site, *codec))
    }

    /// The services that were named.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.0.services.iter().map(|(name, ..)| name)
    }

    /// How long one exchange may take, unless the caller says otherwise.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// The configured headers, for whoever must keep them secret.
    pub fn configured_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = self.0.services.iter().flat_map(|(_, site, _)| &site.extra);
        let all = self.0.target.extra.iter().chain(named);
        all.map(|(name, value)| (name.as_str(), value.as_str()))
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
    pub(super) fn site(&self, service: &Service) -> (&Site, usize) {
        let named = self.0.services.iter().find(|(name, ..)| name == service);
        named.map_or((&self.0.target, 0), |(_, site, origin)| (site, *origin))
    }

    /// How many origins the services are at.
    pub(super) fn origins(&self) -> usize {
        self.0.origins
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
    use crate::http::ServiceOptions;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    const IDP: Service = Service::new("idp");

    fn options(idp: &str) -> ClientOptions {
        ClientOptions {
            services: vec![ServiceOptions {
                name: IDP,
                endpoint: Endpoint::parse(idp).unwrap(),
                headers: vec![pair("x-both", "i")],
            }],
            headers: vec![pair("X-Vault", "v"), pair("X-Both", "v")],
            ..ClientOptions::new(Endpoint::parse("http://vault/a").unwrap())
        }
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        let apart = Client::new(options("http://idp")).unwrap();
        assert_eq!(apart.site(&IDP).0.extra, [pair("x-both", "i")]);
        assert_eq!((apart.site(&IDP).1, apart.origins()), (1, 2));
        let one = Client::new(options("http://vault/b")).unwrap();
        assert_eq!(
            one.site(&IDP).0.extra,
            [pair("x-both", "i"), pair("X-Vault", "v")]
        );
        assert_eq!((one.site(&IDP).1, one.origins()), (0, 1));
        assert_eq!(one.endpoint(&Service::new("vault")), one.target());
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_without_their_value() {
        let bad = ClientOptions {
            headers: vec![pair("X-Key", "secret\nx: y")],
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
