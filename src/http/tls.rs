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
    let trust = match options.insecure {
        true => Trust::Anybody,
        false => trust(options.cacert.as_deref(), provider.clone())?,
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { provider, trust }));
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

/// Trust in the authorities of the system, and in what is named in a file.
fn trust(cacert: Option<&Path>, provider: Arc<CryptoProvider>) -> Result<Trust, ClientError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut named = Vec::new();
    if let Some(path) = cacert {
        named = certificates(path)?;
        for certificate in &named {
            roots
                .add(certificate.clone())
                .map_err(|error| unreadable("certificates", path, error))?;
        }
    }
    // Without lists of what is revoked, it can only want for roots.
    let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let authorities = authorities.map_err(|_| ClientError::NoRoots)?;
    Ok(Trust::Certified { authorities, named })
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

/// Whose certificates are taken. Signatures must be right whoever it is.
#[derive(Debug)]
enum Trust {
    /// Anybody's, for `--insecure`.
    Anybody,
    /// What an authority has certified, and the very certificates that were named: `openssl req -x509` makes a server's own with the
    /// mark of an authority, and who names it trusts it.
    Certified {
        authorities: Arc<WebPkiServerVerifier>,
        named: Vec<CertificateDer<'static>>,
    },
}

/// Looks at what a server shows.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Trust,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Trust::Certified { authorities, named } = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = authorities.verify_server_cert(certificate, others, name, ocsp, now);
        match verified {
            Err(rustls::Error::InvalidCertificate(reason))
                if is_of_authority(&reason) && named.iter().any(|own| own == certificate) =>
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
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
