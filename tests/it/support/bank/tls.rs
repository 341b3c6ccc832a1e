//! Servers that are hostile, or hapless, in TLS.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::{ServerConnection, StreamOwned};

use super::{Hostile, Visit, http, https};
use crate::support::certificates::{Authority, Identity, server_config};

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
    static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
        let name = format!("authority-{}.pem", std::process::id());
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, AUTHORITY.certificate.pem()).unwrap();
        file
    });
    &FILE
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

type Show = fn() -> Identity;

fn good() -> Identity {
    AUTHORITY.certify("127.0.0.1", |_| {})
}

fn expired() -> Identity {
    AUTHORITY.certify("127.0.0.1", |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    })
}

fn not_yet() -> Identity {
    AUTHORITY.certify("127.0.0.1", |params| {
        params.not_before = date_time_ymd(3001, 1, 1)
    })
}

fn wrong_host() -> Identity {
    AUTHORITY.certify("elsewhere.example", |_| {})
}

fn self_signed() -> Identity {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    Identity {
        certificate: params.self_signed(&key).unwrap(),
        key,
    }
}

/// Shakes hands, and answers what is asked.
fn shake(visit: &mut Visit, show: Show) {
    if let Some(mut stream) = shaken(visit, show) {
        let _ = stream.write_all(OK);
    }
}

/// A TLS stream from which a request has been read, if it comes so far.
fn shaken(visit: &mut Visit, show: Show) -> Option<StreamOwned<ServerConnection, TcpStream>> {
    let connection = ServerConnection::new(server_config(&show(), None)).unwrap();
    let mut stream = StreamOwned::new(connection, visit.stream.try_clone().unwrap());
    let read = std::io::Read::read(&mut stream, &mut [0; 4096]);
    read.is_ok_and(|count| count > 0).then_some(stream)
}
