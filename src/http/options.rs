//! What a client is made from, and why it may not be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::{Endpoint, GrpcOptions, Headers, Proxy, Service};

/// The body size beyond which an answer is given up, unless told otherwise.
pub const DEFAULT_MAX_BODY: usize = 4 << 20;

/// Everything a [`Client`](super::Client) must know. Its debug form shows no header's value.
#[derive(Clone)]
pub struct ClientOptions {
    /// The target: whatever service is not named in `services` is there.
    pub target: Endpoint,
    /// Services that are elsewhere, or want headers of their own.
    pub services: Vec<ServiceOptions>,
    /// How long one exchange may take, connecting included, where the caller gives no limit.
    pub timeout: Duration,
    /// How long connecting may take, the TLS handshake included.
    pub connect_timeout: Duration,
    /// What to reach all of them through.
    pub proxy: Option<Proxy>,
    /// Whom to trust and who to be.
    pub tls: TlsOptions,
    /// Secrets for the target: sent with every request to its origin, recorded nowhere.
    pub headers: Headers,
    /// Answers with more body bytes than this are given up.
    pub max_body: usize,
    /// At most so many requests a second, over all lanes.
    pub rps: Option<f64>,
    /// Where the target speaks gRPC, if it does.
    pub grpc: Option<GrpcOptions>,
}

/// Where a service is that is not simply at the target.
#[derive(Clone)]
pub struct ServiceOptions {
    /// Its name.
    pub name: Service,
    /// Its address.
    pub endpoint: Endpoint,
    /// Secrets for it: sent with every request to it, recorded nowhere.
    pub headers: Headers,
}

impl ServiceOptions {
    /// A service without headers of its own.
    pub fn new(name: Service, endpoint: Endpoint) -> ServiceOptions {
        ServiceOptions {
            name,
            endpoint,
            headers: Headers::new(),
        }
    }
}

impl fmt::Debug for ServiceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceOptions")
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .field("headers", &names(&self.headers))
            .finish()
    }
}

/// The names of headers, without their values.
fn names(headers: &Headers) -> Vec<String> {
    headers.iter().map(|(name, _)| name.clone()).collect()
}

impl ClientOptions {
    /// The options for one target with nothing special.
    pub fn new(target: Endpoint) -> ClientOptions {
        ClientOptions {
            target,
            services: Vec::new(),
            proxy: None,
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            tls: TlsOptions::default(),
            headers: Headers::new(),
            max_body: DEFAULT_MAX_BODY,
            rps: None,
            grpc: None,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("target", &self.target)
            .field("services", &self.services)
            .field("proxy", &self.proxy)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("tls", &self.tls)
            .field("headers", &names(&self.headers))
            .field("max_body", &self.max_body)
            .field("rps", &self.rps)
            .field("grpc", &self.grpc)
            .finish()
    }
}

/// Whom to trust in TLS, and who to be.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// A PEM file of authorities to trust besides the system's.
    pub cacert: Option<PathBuf>,
    /// PEM files of our certificate chain and its private key.
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// Trust any certificate.
    pub insecure: bool,
}

/// Why no client can be made from the options.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A PEM file could not be read.
    #[error("cannot read {what} from {}: {why}", path.display())]
    Pem {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is nobody to trust.
    #[error("no trusted root certificates were found on this system: name one with --cacert")]
    NoRoots,
    /// The certificate and key do not make an identity.
    #[error("the client certificate cannot be used: {0}")]
    ClientCert(String),
    /// The host cannot be named in a TLS handshake.
    #[error("{0} cannot be a TLS server: its host is no valid DNS name")]
    ServerName(Endpoint),
    /// A configured header cannot be sent. Its value is not shown.
    #[error("the header {0:?} cannot be sent: its name or value holds characters that HTTP does not allow")]
    Header(String),
    /// The cap is no rate.
    #[error("a cap of {0} requests a second is not a positive number")]
    Rate(f64),
}
