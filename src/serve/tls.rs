//! TLS: the certificate a server shows, given as PEM or made on the spot.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// A certificate chain and its key.
#[derive(Clone)]
pub struct Tls {
    /// The chain, leaf first, as PEM.
    pub cert_pem: String,
    /// The private key, as PEM.
    pub key_pem: String,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate or the key is not PEM.
    #[error("the certificate or its key is not PEM: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// Certificate and key do not go together, or the key is of an unknown kind.
    #[error("the certificate cannot be served: {0}")]
    Unusable(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("no self-signed certificate could be made: {0}")]
    NotMade(#[from] rcgen::Error),
}

impl Tls {
    /// A fresh self-signed certificate for `localhost`, `127.0.0.1` and `::1`.
    ///
    /// # Errors
    /// No key can be made.
    pub fn self_signed() -> Result<Tls, TlsError> {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names)?;
        Ok(Tls {
            cert_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        })
    }

    /// What accepts TLS connections under this certificate, and speaks these protocols (ALPN), the preferred one first.
    ///
    /// # Errors
    /// The PEM is none, or certificate and key do not go together.
    pub fn acceptor(&self, protocols: &[&str]) -> Result<TlsAcceptor, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.cert_pem.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain?, key)?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_certificate_can_be_served() {
        assert!(Tls::self_signed().unwrap().acceptor(&["http/1.1"]).is_ok());
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_a_reason() {
        let no_pem = Tls {
            cert_pem: "x".to_owned(),
            key_pem: "y".to_owned(),
        };
        assert!(no_pem.acceptor(&["http/1.1"]).is_err());
        let keyless = Tls {
            cert_pem: String::new(),
            ..Tls::self_signed().unwrap()
        };
        assert!(keyless.acceptor(&["http/1.1"]).is_err());
    }
}
