//! What a client is made from, and why it may not be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::{Endpoint, Headers, Proxy};

/// The body size beyond which an answer is given up, unless told otherwise.
pub const DEFAULT_MAX_BODY: usize = 4 << 20;

/// Everything a [`Client`](super::Client) must know. Its debug form shows no header's value.
#[derive(Clone)]
pub struct ClientOptions {
    /// The vault server.
    pub vault: Endpoint,
    /// The identity provider, if it is not the vault server.
    pub idp: Option<Endpoint>,
    /// How long one exchange may take, connecting included, where the caller gives no limit.
    pub timeout: Duration,
    /// How long connecting may take, the TLS handshake included.
    pub connect_timeout: Duration,
    /// What to reach both through.
    pub proxy: Option<Proxy>,
    /// Whom to trust and who to be.
    pub tls: TlsOptions,
    /// Secrets for the vault: sent with every request to its origin, recorded nowhere.
    pub vault_headers: Headers,
    /// Secrets for the identity provider: sent with every request to it, recorded nowhere.
    pub idp_headers: Headers,
    /// Answers with more body bytes than this are given up.
    pub max_body: usize,
    /// At most so many requests a second, over all lanes.
    pub rps: Option<f64>,
}

impl ClientOptions {
    /// The options for one service with nothing special.
    pub fn new(vault: Endpoint) -> ClientOptions {
        ClientOptions {
            vault,
            idp: None,
            proxy: None,
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            tls: TlsOptions::default(),
            vault_headers: Headers::new(),
            idp_headers: Headers::new(),
            max_body: DEFAULT_MAX_BODY,
            rps: None,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |headers: &Headers| headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("ClientOptions")
            .field("vault", &self.vault)
            .field("idp", &self.idp)
            .field("proxy", &self.proxy)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("tls", &self.tls)
            .field("vault_headers", &names(&self.vault_headers))
            .field("idp_headers", &names(&self.idp_headers))
            .field("max_body", &self.max_body)
            .field("rps", &self.rps)
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
