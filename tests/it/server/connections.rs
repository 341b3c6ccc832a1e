//! How connections are treated: framing, early errors, upgrades, limits.

use std::thread::sleep;
use std::time::Duration;

use avp_conform::avp::server::{Options, Server};
use serde_json::json;

use super::client::{Line, bearer, created};
use crate::support::servers::plain;

#[test]
fn a_connection_survives_an_early_error() {
    let server = plain();
    let mut line = Line::to(&server);
    let large = vec![b'x'; 300_000];
    for _ in 0..3 {
        line.ask("POST", "/v1/repos", "", &large)
            .refused(401, "unauthorized");
        line.ask("POST", "/nothing", "", &large).refused(404, "not_found");
    }
    assert_eq!(
        line.ask("GET", "/.well-known/avp", "", b"").json()["profiles"],
        json!(["http-json", "grpc"])
    );
}

#[test]
fn an_offer_to_upgrade_is_ignored() {
    let server = plain();
    let mut line = Line::to(&server);
    let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    for _ in 0..2 {
        let reply = line.ask("GET", "/.well-known/avp", offer, b"");
        assert_eq!(reply.json()["profiles"], json!(["http-json", "grpc"]));
        line.ask("POST", "/api/auth/keypair/challenge", offer, b"{}")
            .refused(400, "bad_request");
    }
}

#[test]
fn a_request_may_come_in_many_segments() {
    let server = plain();
    let mut line = Line::to(&server);
    let body = b"{\"ed25519PublicKey\":\"\"}";
    let head = format!(
        "POST /api/auth/keypair/challenge HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for part in [
        &head.as_bytes()[..40],
        &head.as_bytes()[40..],
        &body[..5],
        &body[5..],
    ] {
        line.send(part);
        sleep(Duration::from_millis(20));
    }
    line.read().refused(400, "bad_request");
    line.send(b"POST /api/auth/keypair/challenge HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
    line.read().refused(400, "bad_request");
}

#[test]
fn a_body_over_the_limit_is_refused_whether_drained_or_not() {
    let server = Server::start(Options {
        body_limit: 100_000,
        ..Options::default()
    })
    .unwrap();
    let mut line = Line::to(&server);
    let owner = created(&mut line, "r", 1);
    line.ask(
        "POST",
        "/v1/repos/r/push",
        &bearer(&owner.token),
        &vec![b' '; 150_000],
    )
    .refused(413, "too_large");
    line.ask("POST", "/v1/repos/r/push", "", &vec![b' '; 150_000])
        .refused(401, "unauthorized");
    assert_eq!(line.ask("GET", "/.well-known/avp", "", b"").status, 200);
}

#[test]
fn what_is_no_http_is_refused_and_harms_nobody_else() {
    let server = plain();
    for nonsense in [
        "nonsense\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut line = Line::to(&server);
        line.send(nonsense.as_bytes());
        line.read().refused(400, "bad_request");
    }
    assert_eq!(
        Line::to(&server).ask("GET", "/.well-known/avp", "", b"").status,
        200
    );
}
