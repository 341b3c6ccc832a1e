//! The client against the hostile bank: every exchange ends in bounded time, says what happened, and carries nothing
//! where it does not belong.

use std::collections::BTreeSet;
use std::time::Duration;

use avp_conform::http::{Client, ClientOptions, Connections, Endpoint, Outcome, Request, Sent, Service};
use tokio::task::JoinSet;

use crate::support::bank::{self, Hostile};

/// The limit of an exchange that is meant to run into it.
const SHORT: Duration = Duration::from_millis(300);
/// The limit of any other.
const LONG: Duration = Duration::from_secs(30);

/// How what comes of the first request to each begins, and what comes of the next ones.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("silent", "Timeout: no answer within 300 ms", SAME),
    ("deaf", "Timeout: no answer within 300 ms", SAME),
    (
        "trickle",
        "Timeout: no whole answer within 300 ms; 1 byte of it came | Timeout: no answer within 300 ms",
        SAME,
    ),
    (
        "trickled-body",
        "Timeout: no whole answer within 300 ms; 40 bytes of it came | Timeout: no answer within 300 ms",
        SAME,
    ),
    (
        "stops-after-the-head",
        "Timeout: no whole answer within 300 ms; 39 bytes of it came | Timeout: no answer within 300 ms",
        SAME,
    ),
    ("closes-at-once", "Closed: the connection was", SAME),
    (
        "closes-after-the-request",
        "Closed: the connection was closed before any answer",
        SAME,
    ),
    (
        "half-closes",
        "Closed: the connection was closed before any answer",
        SAME,
    ),
    ("half-closes-after-the-answer", "200 with 2 bytes", SAME),
    (
        "resets-on-accept",
        "Closed: the connection was | Connect: no connection to",
        SAME,
    ),
    (
        "resets-after-the-request",
        "Closed: the connection was reset before any answer",
        SAME,
    ),
    (
        "resets-after-the-status-line",
        "Closed: the connection was reset after 17 bytes of the head",
        SAME,
    ),
    (
        "resets-in-the-body",
        "Closed: the connection was reset after 12 of 40 body bytes",
        SAME,
    ),
    (
        "refuses-after-two",
        "200 with 2 bytes",
        "200 with 2 bytes | Connect: connection refused at 127.0.0.1:",
    ),
    (
        "answers-first",
        "200 with 2 bytes | Malformed: the server sent something that nobody had asked",
        SAME,
    ),
    ("answers-twice", "200 with 2 bytes", SAME),
    ("answers-again-later", "200 with 2 bytes", SAME),
    ("refuses-unread", "413 with 2 bytes", SAME),
    ("keep-alive-lie", "200 with 2 bytes", SAME),
    ("close-lie", "200 with 2 bytes", SAME),
    (
        "serves-one-in-two",
        "200 with 2 bytes | Timeout: no answer within 300 ms",
        "200 with 2 bytes | Timeout: no answer within 300 ms",
    ),
    ("endless-status-line", HEAD_TOO_LARGE, SAME),
    ("endless-headers", HEAD_TOO_LARGE, SAME),
    ("endless-header", HEAD_TOO_LARGE, SAME),
    ("many-headers", HEAD_TOO_LARGE, SAME),
    ("endless-body", BODY_TOO_LARGE, SAME),
    ("endless-chunks", BODY_TOO_LARGE, SAME),
    (
        "tiny-chunks",
        "Timeout: no whole answer within 300 ms | Timeout: no answer within 300 ms",
        SAME,
    ),
    (
        "endless-trailers",
        "Malformed: the body of the answer is not well framed: chunk trailers",
        SAME,
    ),
    (
        "endless-chunk-extension",
        "Malformed: the body of the answer is not well framed: chunk ext",
        SAME,
    ),
    (
        "flood-of-1xx",
        "Timeout: no whole answer within 300 ms | Timeout: no answer within 300 ms",
        SAME,
    ),
    ("gigabyte", BODY_TOO_LARGE, SAME),
    (
        "length-too-long",
        "Closed: the connection was closed after 12 of 40 body bytes",
        SAME,
    ),
    ("length-too-short", "200 with 2 bytes", SAME),
    ("length-astronomic", WRONG_LENGTH, SAME),
    ("length-exabytes", BODY_TOO_LARGE, SAME),
    ("length-negative", WRONG_LENGTH, SAME),
    ("length-in-words", WRONG_LENGTH, SAME),
    ("two-lengths", WRONG_LENGTH, SAME),
    ("length-and-chunks", "200 with 2 bytes", SAME),
    ("unknown-coding", "200 with 2 bytes", SAME),
    (
        "chunks-cut",
        "Closed: the connection was closed after 2 body bytes, before the end of the body",
        SAME,
    ),
    (
        "chunk-cut",
        "Closed: the connection was closed after 2 body bytes, before the end of the body",
        SAME,
    ),
    (
        "chunk-size-garbage",
        "Malformed: the body of the answer is not well framed",
        SAME,
    ),
    (
        "chunk-size-overflow",
        "Malformed: the body of the answer is not well framed",
        SAME,
    ),
    (
        "chunk-without-end",
        "Malformed: the body of the answer is not well framed",
        SAME,
    ),
    ("binary-noise", NOT_HTTP, SAME),
    ("http-0.9", NOT_HTTP, SAME),
    ("http-2", NOT_HTTP, SAME),
    (
        "ssh",
        "Malformed: the answer is not HTTP (invalid HTTP version); it begins \"SSH-2.0",
        SAME,
    ),
    ("status-in-words", NOT_HTTP, SAME),
    ("status-too-long", NOT_HTTP, SAME),
    ("header-without-colon", NOT_HTTP, SAME),
    ("header-with-nul", NOT_HTTP, SAME),
    ("status-000", NOT_HTTP, SAME),
    ("status-999", "999 with 2 bytes", SAME),
    (
        "switches-protocols",
        "Malformed: the server switched protocols without being asked",
        SAME,
    ),
    ("204-with-body", "204 with 0 bytes", SAME),
    ("304-with-body", "304 with 0 bytes", SAME),
    ("bare-line-feeds", "200 with 2 bytes", SAME),
    ("gzip-bomb", "200 with 422926 bytes", SAME),
    ("deflate-bomb", "200 with 422914 bytes", SAME),
    ("nested-bomb", "200 with 3415 bytes", SAME),
    ("redirect-to-itself", "307 with 0 bytes", SAME),
    ("redirect-to-another-host", "307 with 0 bytes", SAME),
    ("redirect-to-a-file", "307 with 0 bytes", SAME),
    ("alternative-service", "200 with 2 bytes", SAME),
    ("cookies", "200 with 2 bytes", SAME),
    ("invalid-utf-8", "200 with 15 bytes", SAME),
    ("invalid-utf-8-header", "200 with 2 bytes", SAME),
    ("nul", "200 with 17 bytes", SAME),
    ("byte-order-mark", "200 with 5 bytes", SAME),
    ("utf-16", "200 with 6 bytes", SAME),
    ("terminal-escapes", "200 with 45 bytes", SAME),
    ("escapes-in-the-head", NOT_HTTP, SAME),
    ("deep-json", "200 with 20000 bytes", SAME),
    ("deep-json-in-a-field", "200 with 60001 bytes", SAME),
    ("long-number", "200 with 10014 bytes", SAME),
    ("huge-exponent", "200 with 25 bytes", SAME),
    ("duplicate-keys", "200 with 25 bytes", SAME),
    ("many-keys", "200 with 988891 bytes", SAME),
    (
        "tls-silent",
        "Tls: the TLS handshake was not done within 300 ms",
        SAME,
    ),
    (
        "tls-garbage",
        "Tls: what came is not TLS: in the clear it is http:// or grpc://",
        SAME,
    ),
    ("tls-closes", "Tls: the connection was", SAME),
    (
        "plain-for-tls",
        "Tls: what came is not TLS: in the clear it is http:// or grpc://",
        SAME,
    ),
    (
        "tls-for-plain",
        "Malformed: the answer is a TLS alert: the server wants https",
        SAME,
    ),
    ("expired", "Tls: certificate not trusted: it has expired", SAME),
    (
        "not-yet-valid",
        "Tls: certificate not trusted: it is not valid yet",
        SAME,
    ),
    (
        "wrong-host",
        "Tls: certificate not trusted: it is for another host",
        SAME,
    ),
    (
        "self-signed",
        "Tls: certificate not trusted: self-signed, or signed by nobody known",
        SAME,
    ),
    (
        "tls-cut",
        "Closed: the connection was closed after 12 of 40 body bytes",
        SAME,
    ),
];

const SAME: &str = "";
const HEAD_TOO_LARGE: &str =
    "TooLarge: the head of the answer is larger than 64 KiB or has more than 200 fields";
const BODY_TOO_LARGE: &str = "TooLarge: the body of the answer is larger than 4 MiB";
const WRONG_LENGTH: &str = "Malformed: the answer is not HTTP (invalid content-length); it begins \"HTTP";
const NOT_HTTP: &str = "Malformed: the answer is not HTTP (invalid HTTP ";

fn lane(url: &str, limit: Duration) -> Connections {
    let mut options = ClientOptions::new(Endpoint::parse(url).unwrap());
    options.tls.cacert = Some(bank::authority().to_owned());
    options.connect_timeout = limit;
    Client::new(options).unwrap().lane()
}

fn request() -> Request {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Request {
        service: Service::new("vault"),
        method: "POST".to_owned(),
        path: "/v1/repos".to_owned(),
        headers: vec![
            field("authorization", "Bearer secret"),
            field("content-type", "application/json"),
        ],
        body: Some("{}".into()),
    }
}

/// What came of a request: "200 with 2 bytes", "Timeout: no answer within 5 s".
fn told(sent: &Sent) -> String {
    match &sent.outcome {
        Outcome::Answer(answer) => format!("{} with {} bytes", answer.status, answer.body.len()),
        Outcome::Failure(failure) => format!("{:?}: {}", failure.kind, failure.message),
    }
}

/// What is wrong with how the client came away from one of the bank.
async fn visit(hostile: Hostile, first: &str, later: &str) -> Vec<String> {
    let running = hostile.start();
    let limit = limit(first, later);
    let mut lane = lane(&running.url(), limit);
    let mut wrong = Vec::new();
    for expected in [first, later, later] {
        let expected = if expected == SAME { first } else { expected };
        let sent = lane.send(&request(), limit).await;
        if !expected
            .split(" | ")
            .any(|beginning| told(&sent).starts_with(beginning))
        {
            wrong.push(format!("expected {expected:?}, not {:?}", told(&sent)));
        }
        if limit == SHORT && sent.took > 10 * SHORT {
            wrong.push(format!("took {:?}", sent.took));
        }
    }
    wrong.extend(running.trespasses());
    let Hostile { name, about, .. } = hostile;
    wrong
        .iter()
        .map(|wrong| format!("{name} ({about}): {wrong}"))
        .collect()
}

/// What is wrong with all of those that are meant to run into the limit of time, or of the others.
async fn visit_all(slow: bool) -> Vec<String> {
    let mut visits = JoinSet::new();
    for hostile in bank::bank() {
        let expected = EXPECTED.iter().find(|(name, ..)| *name == hostile.name);
        let (_, first, later) = expected.unwrap_or_else(|| panic!("{} is not expected", hostile.name));
        if limit(first, later).eq(&SHORT) == slow {
            visits.spawn(visit(hostile, first, later));
        }
    }
    visits.join_all().await.concat()
}

/// The limit of the exchanges of which this is expected.
fn limit(first: &str, later: &str) -> Duration {
    if [first, later].concat().contains("300 ms") {
        SHORT
    } else {
        LONG
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_yields_what_it_must() {
    let wrong = [visit_all(false).await, visit_all(true).await].concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_is_there_once() {
    let there: Vec<_> = bank::bank().iter().map(|hostile| hostile.name).collect();
    let expected: BTreeSet<_> = EXPECTED.iter().map(|(name, ..)| *name).collect();
    assert_eq!(there.len(), expected.len());
    assert_eq!(there.into_iter().collect::<BTreeSet<_>>(), expected);
}
