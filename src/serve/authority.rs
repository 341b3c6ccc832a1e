//! An authority of the run's own, and the certificates that the harness shows where it is the server.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use super::{Tls, TlsError};

/// The name that stands in a certificate for another host.
const OTHER_HOST: &str = "vault.example";

/// Who certifies the servers that the harness plays.
#[derive(Debug)]
pub struct Authority {
    /// Its own certificate, as PEM.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What is wrong with a certificate, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// Nothing.
    Good,
    /// Its time is over.
    Expired,
    /// It is for another host.
    OtherHost,
    /// Its authority is unknown.
    Untrusted,
}

impl Authority {
    /// A fresh authority.
    ///
    /// # Errors
    /// No key can be made.
    pub fn new() -> Result<Authority, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "The authority of a test run");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Authority {
            pem: params.self_signed(&key)?.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// A certificate for a server on this machine.
    ///
    /// # Errors
    /// No key can be made.
    pub fn certify(&self, certificate: Certificate) -> Result<Tls, TlsError> {
        if certificate == Certificate::Untrusted {
            return Authority::new()?.certify(Certificate::Good);
        }
        let key = KeyPair::generate()?;
        let names = match certificate {
            Certificate::OtherHost => vec![OTHER_HOST.to_owned()],
            _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        let mut params = CertificateParams::new(names)?;
        if certificate == Certificate::Expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 1);
        }
        Ok(Tls {
            cert_pem: params.signed_by(&key, &self.issuer)?.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}
