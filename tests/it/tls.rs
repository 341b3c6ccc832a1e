//! TLS: whom the client trusts, and who it is.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use avp_conform::http::{
    Client, ClientError, ClientOptions, Endpoint, Outcome, Request, Service, TlsOptions,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConnection, StreamOwned};
use tempfile::TempDir;

use crate::support::certificates::{Authority, Identity, server_config};
use crate::support::http::{answer, listen, read_head};

/// An authority, and the files that a user has of it.
struct Trusted {
    authority: Authority,
    files: TempDir,
}

impl Trusted {
    fn new() -> Trusted {
        let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
        std::fs::write(files.path().join("ca.pem"), authority.certificate.pem()).unwrap();
        Trusted { authority, files }
    }

    fn certify(&self, host: &str) -> Identity {
        self.authority.certify(host, |_| {})
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// A certificate for us, in files.
    fn certify_client(&self) -> (PathBuf, PathBuf) {
        let identity = self.certify("client");
        let files = (self.file("client.pem"), self.file("client.key"));
        std::fs::write(&files.0, identity.certificate.pem()).unwrap();
        std::fs::write(&files.1, identity.key.serialize_pem()).unwrap();
        files
    }

    fn options(&self) -> TlsOptions {
        TlsOptions {
            cacert: Some(self.file("ca.pem")),
            ..TlsOptions::default()
        }
    }
}

/// A server that says how it was reached; with an authority, it lets in only whom that has certified.
fn serve(identity: &Identity, clients: Option<&Authority>) -> Endpoint {
    let config = server_config(identity, clients);
    let address = listen(move |_, stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
        while read_head(&mut stream).is_some() {
            let known = stream.conn.peer_certificates().is_some();
            let _ = stream.write_all(&answer("200 OK", "", &known.to_string()));
        }
    });
    Endpoint::parse(&format!("https://{address}")).unwrap()
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
        service: Service::new("vault"),
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
    let trusted = Trusted::new();
    let endpoint = serve(&trusted.certify("127.0.0.1"), None);
    assert_eq!(ask(endpoint, trusted.options()).await, "200 false");
}

#[tokio::test]
async fn another_authority_is_not() {
    let (trusted, other) = (Trusted::new(), Trusted::new());
    let endpoint = serve(&trusted.certify("127.0.0.1"), None);
    let message = ask(endpoint, other.options()).await;
    assert!(message.starts_with("Tls: certificate not trusted"), "{message}");
}

#[tokio::test]
async fn expired_and_misplaced_certificates_are_refused_unless_all_are_taken() {
    let trusted = Trusted::new();
    let expired = trusted.authority.certify("127.0.0.1", |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    });
    let elsewhere = trusted.certify("elsewhere.example");
    for (identity, reason) in [(expired, "it has expired"), (elsewhere, "it is for another host")] {
        let endpoint = serve(&identity, None);
        let message = ask(endpoint.clone(), trusted.options()).await;
        assert_eq!(message, format!("Tls: certificate not trusted: {reason}"));
        let anything = TlsOptions {
            insecure: true,
            ..TlsOptions::default()
        };
        assert_eq!(ask(endpoint, anything).await, "200 false");
    }
}

/// What `openssl req -x509` makes for a server: signed by itself, with the mark of an authority.
fn certified_by_itself(host: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    Identity {
        certificate: params.self_signed(&key).unwrap(),
        key,
    }
}

#[tokio::test]
async fn a_certificate_that_is_signed_by_itself_is_trusted_where_it_is_named_in_time_and_for_this_host() {
    let files = tempfile::tempdir().unwrap();
    let own = certified_by_itself("127.0.0.1", |_| {});
    let same_host = certified_by_itself("127.0.0.1", |_| {});
    let elsewhere = certified_by_itself("elsewhere.example", |_| {});
    let expired = certified_by_itself("127.0.0.1", |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    });
    let untrusted = |why: &str| format!("Tls: certificate not trusted: {why}");
    for (shown, named, wanted) in [
        (&own, &own, "200 false".to_owned()),
        (&elsewhere, &elsewhere, untrusted("it is for another host")),
        (&expired, &expired, untrusted("it has expired")),
        (
            &own,
            &same_host,
            untrusted(
                "it is that of an authority: name it with --cacert, have it sign one for the server, or use --insecure",
            ),
        ),
    ] {
        let file = files.path().join("named.pem");
        std::fs::write(&file, named.certificate.pem()).unwrap();
        let options = TlsOptions {
            cacert: Some(file),
            ..TlsOptions::default()
        };
        assert_eq!(ask(serve(shown, None), options).await, wanted);
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let trusted = Trusted::new();
    let endpoint = serve(&trusted.certify("127.0.0.1"), Some(&trusted.authority));
    let known = TlsOptions {
        client_cert: Some(trusted.certify_client()),
        ..trusted.options()
    };
    assert_eq!(ask(endpoint.clone(), known).await, "200 true");
    let message = ask(endpoint, trusted.options()).await;
    assert_eq!(
        message,
        "Tls: the server ended TLS with the alert CertificateRequired"
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let trusted = Trusted::new();
    let (certificate, key) = trusted.certify_client();
    let other_key = trusted.file("other.key");
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
    let ca = Some(trusted.file("ca.pem"));
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
