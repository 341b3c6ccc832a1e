//! TLS: whom to trust, and what to say when it fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::endpoint::Host;
use super::phrases::{failure, shown};
use super::{ClientError, Endpoint, Failure, FailureKind, TlsOptions};

/// The TLS settings for every connection over which `protocol` is spoken (ALPN).
pub(super) fn config(options: &TlsOptions, protocol: &str) -> Result<Arc<ClientConfig>, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::ClientCert(error.to_string()))?;
    let builder = match options.insecure {
        true => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
        false => {
            let named = options.cacert.as_deref().map_or(Ok(Vec::new()), certificates)?;
            let roots = roots(&named, options.cacert.as_deref())?;
            let ordinary = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| ClientError::ClientCert(error.to_string()))?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Trusted { ordinary, named }))
        }
    };
    let mut config = with_identity(builder, options.client_cert.as_ref())?;
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(Arc::new(config))
}

/// The name that the certificate must be for.
pub(super) fn server_name(endpoint: &Endpoint) -> Result<ServerName<'static>, ClientError> {
    match endpoint.host() {
        Host::Address(address) => Ok(ServerName::from(*address)),
        Host::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|_| ClientError::ServerName(endpoint.clone()))
        }
    }
}

/// The authorities of the system, and those that are named in a file.
fn roots(named: &[CertificateDer<'static>], file: Option<&Path>) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in named {
        let added = roots.add(certificate.clone());
        added.map_err(|error| unreadable("certificates", file.unwrap_or(Path::new("")), error))?;
    }
    match roots.is_empty() {
        true => Err(ClientError::NoRoots),
        false => Ok(roots),
    }
}

fn with_identity(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    files: Option<&(PathBuf, PathBuf)>,
) -> Result<ClientConfig, ClientError> {
    let Some((chain, key)) = files else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("a private key", key, error))?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| ClientError::ClientCert(error.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let what = "certificates";
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(what, path, error))?;
    match found.is_empty() {
        true => Err(unreadable(what, path, "it holds none in PEM form")),
        false => Ok(found),
    }
}

fn unreadable(what: &'static str, path: &Path, why: impl ToString) -> ClientError {
    ClientError::Pem {
        what,
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// What a failed handshake, or a later TLS error, means.
pub(super) fn explain(error: &io::Error) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let message = match error {
        rustls::Error::InvalidCertificate(reason) => format!("certificate not trusted: {}", distrust(reason)),
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the server speaks TLS, and refuses what is to be spoken over it (ALPN): http/1.1 for https, h2 for grpcs".to_owned()
        }
        rustls::Error::AlertReceived(alert) => format!("the server ended TLS with the alert {alert:?}"),
        rustls::Error::InvalidMessage(_) => "what came is not TLS: in the clear it is http:// or grpc://".to_owned(),
        other => format!(
            "TLS failed: {}",
            shown(other.to_string().as_bytes()).trim_matches('"')
        ),
    };
    Some(failure(FailureKind::Tls, message))
}

fn distrust(reason: &CertificateError) -> String {
    use CertificateError as E;
    match reason {
        E::Expired | E::ExpiredContext { .. } => "it has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        E::NotValidForName | E::NotValidForNameContext { .. } => "it is for another host".to_owned(),
        E::UnknownIssuer => "self-signed, or signed by nobody known (--cacert names an authority)".to_owned(),
        E::BadSignature => "its signature is wrong".to_owned(),
        E::Revoked => "it is revoked".to_owned(),
        other if is_of_authority(other) => {
            "it is that of an authority: name it with --cacert, have it sign one for the server, or use --insecure".to_owned()
        }
        other => shown(format!("{other:?}").as_bytes())
            .trim_matches('"')
            .to_owned(),
    }
}

/// Whether a certificate is in time, and refused for being that of an authority. The verifier has its own word for it, which stands in
/// no type of ours.
fn is_of_authority(reason: &CertificateError) -> bool {
    format!("{reason:?}").contains("CaUsedAsEndEntity")
}

/// Takes what the ordinary verifier takes, and the very certificates that were named: `openssl req -x509` makes a server's own with the
/// mark of an authority, and who names it trusts it.
#[derive(Debug)]
struct Trusted {
    ordinary: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .ordinary
            .verify_server_cert(certificate, others, name, ocsp, now);
        match verified {
            Err(rustls::Error::InvalidCertificate(reason))
                if is_of_authority(&reason) && self.named.iter().any(|own| own == certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.ordinary
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.ordinary
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.ordinary.supported_verify_schemes()
    }
}

/// Takes any certificate, for `--insecure`; signatures must still be right.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
