//! TLS: whom the client trusts, and who it is.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use avp_conform::http::{
    Client, ClientError, ClientOptions, Endpoint, Outcome, Request, Service, TlsOptions,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;

/// An authority whose certificate lies in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    files: tempfile::TempDir,
}

/// A certificate and its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "An authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority {
            issuer: Issuer::new(params, key),
            certificate,
            files,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn certify(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        Identity {
            certificate: params.signed_by(&key, &self.issuer).unwrap(),
            key,
        }
    }

    /// A certificate for us, in files.
    fn certify_client(&self) -> (PathBuf, PathBuf) {
        let identity = self.certify("client", |_| {});
        let files = (self.file("client.pem"), self.file("client.key"));
        std::fs::write(&files.0, identity.certificate.pem()).unwrap();
        std::fs::write(&files.1, identity.key.serialize_pem()).unwrap();
        files
    }

    fn trusting(&self) -> TlsOptions {
        TlsOptions {
            cacert: Some(self.file("ca.pem")),
            ..TlsOptions::default()
        }
    }
}

/// A server that says how it was reached; with an authority, it lets in only whom that has certified.
fn serve(identity: Identity, clients: Option<&Authority>) -> Endpoint {
    let config = Arc::new(config(identity, clients));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                let known = stream.conn.peer_certificates().is_some();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{known}",
                    known.to_string().len()
                );
            }
        }
    });
    endpoint
}

fn config(identity: Identity, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    builder
        .with_single_cert(vec![identity.certificate.der().clone()], key)
        .unwrap()
}

/// What comes of two requests under the given trust: "200 true", "Tls: ...".
async fn ask(endpoint: Endpoint, tls: TlsOptions) -> String {
    let mut lane = Client::new(ClientOptions {
        tls,
        ..ClientOptions::new(endpoint)
    })
    .unwrap()
    .lane();
    let request = Request {
        service: Service::Vault,
        method: "GET".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
        body: None,
    };
    lane.send(&request, Duration::from_secs(5)).await;
    let second = lane.send(&request, Duration::from_secs(5)).await;
    match second.outcome {
        Outcome::Answer(answer) => {
            assert!(second.reused, "a TLS connection is kept as well");
            format!("{} {}", answer.status, answer.body.as_text().unwrap())
        }
        Outcome::Failure(failure) => format!("{:?}: {}", failure.kind, failure.message),
    }
}

#[tokio::test]
async fn a_named_authority_is_trusted() {
    let authority = Authority::new();
    let endpoint = serve(authority.certify("127.0.0.1", |_| {}), None);
    assert_eq!(ask(endpoint, authority.trusting()).await, "200 false");
}

#[tokio::test]
async fn another_authority_is_not() {
    let (authority, other) = (Authority::new(), Authority::new());
    let endpoint = serve(authority.certify("127.0.0.1", |_| {}), None);
    let message = ask(endpoint, other.trusting()).await;
    assert!(message.starts_with("Tls: certificate not trusted"), "{message}");
}

#[tokio::test]
async fn expired_and_misplaced_certificates_are_refused_unless_all_are_taken() {
    let authority = Authority::new();
    let expired = authority.certify("127.0.0.1", |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    });
    let elsewhere = authority.certify("elsewhere.example", |_| {});
    for (identity, reason) in [(expired, "it has expired"), (elsewhere, "it is for another host")] {
        let endpoint = serve(identity, None);
        let message = ask(endpoint.clone(), authority.trusting()).await;
        assert_eq!(message, format!("Tls: certificate not trusted: {reason}"));
        let anything = TlsOptions {
            insecure: true,
            ..TlsOptions::default()
        };
        assert_eq!(ask(endpoint, anything).await, "200 false");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let authority = Authority::new();
    let endpoint = serve(authority.certify("127.0.0.1", |_| {}), Some(&authority));
    let known = TlsOptions {
        client_cert: Some(authority.certify_client()),
        ..authority.trusting()
    };
    assert_eq!(ask(endpoint.clone(), known).await, "200 true");
    let message = ask(endpoint, authority.trusting()).await;
    assert_eq!(
        message,
        "Tls: the server ended TLS with the alert CertificateRequired"
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let (certificate, key) = authority.certify_client();
    let other_key = authority.file("other.key");
    std::fs::write(&other_key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let with = |cacert, client_cert| {
        let tls = TlsOptions {
            cacert,
            client_cert,
            insecure: false,
        };
        let options = ClientOptions::new(Endpoint::parse("https://127.0.0.1:1").unwrap());
        Client::new(ClientOptions { tls, ..options }).err().unwrap()
    };
    let ca = Some(authority.file("ca.pem"));
    for (error, expected) in [
        (
            with(Some("/no/such/file".into()), None),
            "cannot read certificates from /no/such/file",
        ),
        (with(Some(key.clone()), None), "it holds none in PEM form"),
        (
            with(ca.clone(), Some((certificate.clone(), certificate.clone()))),
            "cannot read a private key from",
        ),
        (
            with(ca, Some((certificate, other_key))),
            "the client certificate cannot be used",
        ),
    ] {
        assert!(error.to_string().contains(expected), "{error}");
        assert!(matches!(
            error,
            ClientError::Pem { .. } | ClientError::ClientCert(_)
        ));
    }
}
