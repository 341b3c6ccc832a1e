//! What somebody speaks at an address in the clear, where HTTP or gRPC was tried in vain: so that a port for the one can be told from
//! a port for the other, or for TLS.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Endpoint;

/// The preface of a client (RFC 9113, section 3.4), and settings without any.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// What every HTTP/1 answers in some way.
const OPTIONS: &[u8] = b"OPTIONS * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
/// The greeting of TLS 1.2 (RFC 5246, section 7.4.1.2), with four ciphers and no extensions: enough for an answer, be it a refusal.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x00\x33\x01\x00\x00\x2f\x03\x03AVP-CONFORM-ASKS-WHAT-IS-SPOKEN.\x00\x00\x08\xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30\x01\x00";
/// The types of TLS records that answer it: an alert, and a handshake.
const TLS_RECORDS: [u8; 2] = [21, 22];
/// How many bytes of an answer are looked at.
const LOOKED_AT: u64 = 9;
/// The type of a frame with settings, in the fourth byte of its head.
const SETTINGS: u8 = 4;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether HTTP/2 is spoken there without any negotiation, as gRPC is: a server says its settings at once. False over TLS, where
/// that cannot be seen.
pub async fn speaks_http2(endpoint: &Endpoint) -> bool {
    let said = first_words(endpoint, PREFACE).await;
    said.len() >= 9 && said[..2] == [0, 0] && said[3] == SETTINGS
}

/// Whether HTTP/1 is spoken there. False over TLS.
pub async fn speaks_http1(endpoint: &Endpoint) -> bool {
    first_words(endpoint, OPTIONS).await.starts_with(b"HTTP/1.")
}

/// Whether TLS is spoken there, which the address does not say.
pub async fn speaks_tls(endpoint: &Endpoint) -> bool {
    let said = first_words(endpoint, CLIENT_HELLO).await;
    matches!(said[..], [kind, 3, ..] if TLS_RECORDS.contains(&kind))
}

/// The first bytes that come after these; none where nothing comes.
async fn first_words(endpoint: &Endpoint, words: &[u8]) -> Vec<u8> {
    if endpoint.is_tls() {
        return Vec::new();
    }
    let port = format!(":{}", endpoint.port());
    let authority = endpoint.authority();
    let place = match authority.ends_with(&port) {
        true => authority,
        false => authority + &port,
    };
    let asked = async {
        let mut stream = TcpStream::connect(place).await?;
        stream.write_all(words).await?;
        let mut said = Vec::new();
        // Whoever breaks the connection off has said what is there.
        let _broken = stream.take(LOOKED_AT).read_to_end(&mut said).await;
        Ok::<_, std::io::Error>(said)
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(said)) => said,
        // Silence and broken connections say nothing.
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}
