//! Servers whose answers are HTTP, with hostile contents.

use std::sync::LazyLock;

use super::bombs::{gzip, zlib_zeros};
use super::{Hostile, Visit, http};

/// What a bomb unpacks to.
const UNPACKED: usize = 64 << 20;

pub(crate) fn targets() -> Vec<Hostile> {
    let mut targets = bombs();
    targets.extend(lures());
    targets.extend(texts());
    targets.extend(json());
    targets
}

/// Answers every request with a body, under a head with further header fields.
fn with_body(visit: &mut Visit, head: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\n\r\n", body.len());
    visit.always([head.as_bytes(), body].concat());
}

fn as_json(visit: &mut Visit, body: impl AsRef<[u8]>) {
    with_body(visit, "Content-Type: application/json\r\n", body.as_ref());
}

fn bombs() -> Vec<Hostile> {
    static GZIP: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&vec![0; UNPACKED]));
    static ZLIB: LazyLock<Vec<u8>> = LazyLock::new(|| zlib_zeros(UNPACKED));
    static NESTED: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&GZIP));
    vec![
        http("gzip-bomb", "64 MiB of zeros in gzip", |visit| {
            with_body(visit, "Content-Encoding: gzip\r\n", &GZIP);
        }),
        http("deflate-bomb", "64 MiB of zeros in deflate", |visit| {
            with_body(visit, "Content-Encoding: deflate\r\n", &ZLIB);
        }),
        http("nested-bomb", "64 MiB of zeros in gzip in gzip", |visit| {
            with_body(visit, "Content-Encoding: gzip, gzip\r\n", &NESTED);
        }),
    ]
}

/// Answers every request with a redirect.
fn redirect(visit: &mut Visit, location: &str) {
    visit.always(format!(
        "HTTP/1.1 307 Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    ));
}

fn lures() -> Vec<Hostile> {
    vec![
        http("redirect-to-itself", "redirects to itself", |visit| {
            redirect(visit, "/redirected")
        }),
        http("redirect-to-another-host", "redirects to another host", |visit| {
            let location = format!("http://{}/redirected", visit.elsewhere());
            redirect(visit, &location);
        }),
        http("redirect-to-a-file", "redirects to a file", |visit| {
            redirect(visit, "file:///etc/passwd")
        }),
        http(
            "alternative-service",
            "says that it has moved to another host",
            |visit| {
                let head = format!("Alt-Svc: http/1.1=\"{}\"; ma=3600\r\n", visit.elsewhere());
                with_body(visit, &head, b"{}");
            },
        ),
        http("cookies", "sets cookies", |visit| {
            with_body(visit, "Set-Cookie: a=b; Path=/\r\nSet-Cookie: c=d\r\n", b"{}");
        }),
    ]
}

fn texts() -> Vec<Hostile> {
    vec![
        http("invalid-utf-8", "a body that is not UTF-8", |visit| {
            as_json(visit, b"{\"token\":\"\xff\xfe\xc0\"}")
        }),
        http("invalid-utf-8-header", "a header that is not UTF-8", |visit| {
            visit.always(b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Length: 2\r\n\r\n{}");
        }),
        http("nul", "NUL bytes in and around the body", |visit| {
            as_json(visit, b"\0{\"token\":\"a\0b\"}\0")
        }),
        http("byte-order-mark", "a byte order mark before the body", |visit| {
            as_json(visit, b"\xef\xbb\xbf{}")
        }),
        http("utf-16", "a body in UTF-16", |visit| {
            as_json(visit, b"\xff\xfe{\0}\0")
        }),
        http(
            "terminal-escapes",
            "escape sequences for the reader's terminal",
            |visit| {
                as_json(
                    visit,
                    "{\"error\":\"\x1b[2J\x1b]0;owned\x07\",\"detail\":\"\u{202e}live\"}",
                );
            },
        ),
        http(
            "escapes-in-the-head",
            "escape sequences in the reason and in a header",
            |visit| {
                visit.always("HTTP/1.1 500 \x1b[31mRed\r\nX-Bell: \x07\r\nContent-Length: 2\r\n\r\n{}");
            },
        ),
    ]
}

fn json() -> Vec<Hostile> {
    vec![
        http("deep-json", "JSON 10,000 levels deep", |visit| {
            as_json(visit, "[".repeat(10_000) + &"]".repeat(10_000))
        }),
        http("deep-json-in-a-field", "an object 10,000 levels deep", |visit| {
            as_json(visit, "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000));
        }),
        http("long-number", "a number of 10,000 digits", |visit| {
            as_json(visit, format!("{{\"expiresAt\":{}}}", "9".repeat(10_000)));
        }),
        http("huge-exponent", "the number 1e999999999", |visit| {
            as_json(visit, "{\"expiresAt\":1e999999999}")
        }),
        http("duplicate-keys", "an object with one key twice", |visit| {
            as_json(visit, "{\"token\":\"a\",\"token\":\"b\"}")
        }),
        http("many-keys", "an object of 100,000 keys", |visit| {
            static KEYS: LazyLock<String> = LazyLock::new(|| {
                let keys: Vec<_> = (0..100_000).map(|key| format!("\"{key}\":0")).collect();
                format!("{{{}}}", keys.join(","))
            });
            as_json(visit, KEYS.as_bytes());
        }),
    ]
}
