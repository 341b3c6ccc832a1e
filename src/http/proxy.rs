//! A proxy that tunnels: CONNECT, and from then on every byte is the target's. One that forwards requests instead would change
//! what is judged.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::phrases::{failure, shown};
use super::{Endpoint, EndpointError, Failure, FailureKind};

/// A proxy's answer to CONNECT may have so many bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// A proxy, and who we are to it. The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    endpoint: Endpoint,
    /// User name and password as `Proxy-Authorization` has them.
    credentials: Option<String>,
}

impl Proxy {
    /// Reads `http://[USER:PASSWORD@]HOST:PORT`; user and password are percent-encoded where they must be.
    ///
    /// # Errors
    /// It is no address, or one of another kind.
    pub fn parse(text: &str) -> Result<Proxy, ProxyError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(BASE64_STANDARD.encode(decoded(user))), address),
            None => (None, rest),
        };
        let endpoint = Endpoint::parse(&format!("{scheme}://{address}"))?;
        if endpoint.is_tls() || !endpoint.base().is_empty() {
            return Err(ProxyError::Kind);
        }
        Ok(Proxy {
            endpoint,
            credentials,
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A connection to the target, on one to the proxy.
    pub(super) async fn tunnel(
        &self,
        target: &Endpoint,
        dialled: impl Future<Output = Result<TcpStream, Failure>>,
    ) -> Result<TcpStream, Failure> {
        let lost = |why: String| failure(FailureKind::Connect, format!("through the proxy {self}: {why}"));
        let mut stream = dialled.await.map_err(|error| lost(error.message))?;
        let answer = self.ask(&mut stream, target).await;
        let answer = answer.map_err(|error| lost(error.to_string()))?;
        match status(&answer) {
            Some(200..=299) => Ok(stream),
            _ => {
                let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
                let said = shown(line);
                Err(lost(format!(
                    "it answered CONNECT {} with {said}",
                    target.host_and_port()
                )))
            }
        }
    }

    /// Asks for the tunnel; the head of the answer.
    async fn ask(&self, stream: &mut TcpStream, target: &Endpoint) -> std::io::Result<Vec<u8>> {
        let place = target.host_and_port();
        let mut request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n");
        if let Some(credentials) = &self.credentials {
            request.push_str(&format!("Proxy-Authorization: Basic {credentials}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        // Byte by byte: what comes after the head is the target's.
        while !answer.ends_with(b"\r\n\r\n") && answer.len() < LONGEST_HEAD {
            answer.push(stream.read_u8().await?);
        }
        Ok(answer)
    }
}

fn status(answer: &[u8]) -> Option<u16> {
    let head = std::str::from_utf8(answer.get(..12)?).ok()?;
    let (version, status) = head.split_once(' ')?;
    let is_whole = answer.ends_with(b"\r\n\r\n");
    status
        .parse()
        .ok()
        .filter(|_| is_whole && version.starts_with("HTTP/1."))
}

fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Why a text is no [`Proxy`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It is no address.
    #[error(transparent)]
    Address(#[from] EndpointError),
    /// It is the address of something else.
    #[error("a proxy is written as http://HOST:PORT, without a path")]
    Kind,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_their_passwords_hidden() {
        let proxy = Proxy::parse("http://me:p%40ss@proxy:3128/").unwrap();
        assert_eq!(proxy.to_string(), "http://proxy:3128");
        assert_eq!(format!("{proxy:?}"), "Proxy(http://proxy:3128)");
        let decoded = BASE64_STANDARD.decode(proxy.credentials.unwrap()).unwrap();
        assert_eq!(decoded, b"me:p@ss");
        assert_eq!(
            Proxy::parse("http://[::1]").unwrap().endpoint.host_and_port(),
            "[::1]:80"
        );
        for wrong in [
            "https://proxy",
            "socks5://proxy",
            "proxy:3128",
            "http://proxy/path",
            "http://a:b@",
        ] {
            let error = Proxy::parse(wrong).unwrap_err().to_string();
            assert!(!error.contains("a:b"), "{error}");
        }
    }

    #[test]
    fn only_a_whole_answer_that_says_yes_opens_a_tunnel() {
        for (answer, opened) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", true),
            ("HTTP/1.0 204\r\n\r\n", true),
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false),
            ("HTTP/1.1 200 OK\r\n", false),
            ("SSH-2.0-x 200\r\n\r\n", false),
            ("", false),
        ] {
            let is_yes = matches!(status(answer.as_bytes()), Some(200..=299));
            assert_eq!(is_yes, opened, "{answer:?}");
        }
    }
}
