//! Servers that are hostile, or hapless, in TLS.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Hostile, Visit, http, https};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

pub(crate) fn targets() -> Vec<Hostile> {
    vec![
        https("tls-silent", "never answers the TLS handshake", Visit::hold),
        https("tls-garbage", "answers the TLS handshake with noise", |visit| {
            visit.say([0x55; 200]);
            visit.hold();
        }),
        https("tls-closes", "closes in the TLS handshake", |visit| {
            // The record's head, and half of what it announces.
            visit.say([0x16, 3, 3, 0, 80, 2, 0, 0, 76]);
        }),
        https(
            "plain-for-tls",
            "speaks plain HTTP where TLS is expected",
            |visit| {
                visit.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                visit.hold();
            },
        ),
        http(
            "tls-for-plain",
            "speaks TLS where plain HTTP is expected",
            |visit| shake(visit, good),
        ),
        https("expired", "shows an expired certificate", |visit| {
            shake(visit, expired)
        }),
        https("not-yet-valid", "shows a certificate from the future", |visit| {
            shake(visit, not_yet)
        }),
        https("wrong-host", "shows another host's certificate", |visit| {
            shake(visit, wrong_host)
        }),
        https(
            "self-signed",
            "shows a certificate that it signed itself",
            |visit| shake(visit, self_signed),
        ),
        https(
            "tls-cut",
            "ends a TLS connection in the body, without a goodbye",
            |visit| {
                let Some(mut stream) = shaken(visit, good) else {
                    return;
                };
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"token\":\"ab");
            },
        ),
    ]
}

/// The file with the certificate of our authority.
pub(crate) fn authority() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let name = format!("authority-{}.pem", std::process::id());
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, &issuer().0).unwrap();
        file
    })
}

/// Our authority: its certificate in PEM, and what signs.
fn issuer() -> &'static (String, Issuer<'static, KeyPair>) {
    static ISSUER: OnceLock<(String, Issuer<'static, KeyPair>)> = OnceLock::new();
    ISSUER.get_or_init(|| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "The bank's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    })
}

type Show = fn(&KeyPair) -> Certificate;

fn params(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).unwrap()
}

fn good(key: &KeyPair) -> Certificate {
    params("127.0.0.1").signed_by(key, &issuer().1).unwrap()
}

fn expired(key: &KeyPair) -> Certificate {
    let mut params = params("127.0.0.1");
    (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    params.signed_by(key, &issuer().1).unwrap()
}

fn not_yet(key: &KeyPair) -> Certificate {
    let mut params = params("127.0.0.1");
    params.not_before = date_time_ymd(3001, 1, 1);
    params.signed_by(key, &issuer().1).unwrap()
}

fn wrong_host(key: &KeyPair) -> Certificate {
    params("elsewhere.example").signed_by(key, &issuer().1).unwrap()
}

fn self_signed(key: &KeyPair) -> Certificate {
    params("127.0.0.1").self_signed(key).unwrap()
}

/// Shakes hands, and answers what is asked.
fn shake(visit: &mut Visit, show: Show) {
    if let Some(mut stream) = shaken(visit, show) {
        let _ = stream.write_all(OK);
    }
}

/// A TLS stream from which a request has been read, if it comes so far.
fn shaken(visit: &mut Visit, show: Show) -> Option<StreamOwned<ServerConnection, std::net::TcpStream>> {
    let connection = ServerConnection::new(server_config(show)).unwrap();
    let mut stream = StreamOwned::new(connection, visit.stream.try_clone().unwrap());
    let read = std::io::Read::read(&mut stream, &mut [0; 4096]);
    read.is_ok_and(|count| count > 0).then_some(stream)
}

fn server_config(show: Show) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let chain = vec![show(&key).der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}
