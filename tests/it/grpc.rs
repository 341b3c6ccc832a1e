//! The gRPC profile from outside: which transports a run goes over, and what it says of each.

mod connections;
mod witness;

use std::io::{Read as _, Write as _};

use avp_conform::avp::server::{Options, Server};
use avp_conform::record::Over;
use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::serve::Tls;

use crate::support::certificates::Authority;
use crate::support::program::{ran, reported};
use crate::support::servers::{faulty, plain};

/// The address of a server for calls.
fn calls_at(url: &str) -> String {
    url.replace("http://", "grpc://")
}

#[test]
fn a_server_is_judged_over_each_transport_and_over_both() {
    let server = plain();
    let (http, calls) = (server.url(), calls_at(&server.url()));
    for (options, over) in [
        (vec!["--target", http.as_str()], vec![Over::Http]),
        (vec!["--grpc", calls.as_str()], vec![Over::Grpc]),
        (
            vec!["--target", http.as_str(), "--grpc", calls.as_str()],
            vec![Over::Http, Over::Grpc, Over::Both],
        ),
        (
            vec![
                "--target",
                http.as_str(),
                "--grpc",
                calls.as_str(),
                "--transport",
                "grpc",
            ],
            vec![Over::Grpc],
        ),
    ] {
        let done = reported(&options);
        assert_eq!(
            (done.code, done.record.verdict),
            (0, RunVerdict::Conformant),
            "{options:?}: {}",
            done.out
        );
        let open = done
            .record
            .requirements
            .iter()
            .filter(|it| it.verdict == Verdict::Blocked);
        assert_eq!(
            open.map(|it| it.id.as_str()).collect::<Vec<_>>(),
            Vec::<&str>::new()
        );
        let mut seen: Vec<Over> = Vec::new();
        for case in &done.record.cases {
            if !seen.contains(&case.transport) {
                seen.push(case.transport);
            }
        }
        assert_eq!(seen.len(), over.len(), "{options:?}: {seen:?}");
        assert!(over.iter().all(|it| seen.contains(it)), "{options:?}: {seen:?}");
    }
}

/// The rules that a server with a fault is told to break, a cause each, over both transports, and what is printed.
fn causes_under(fault: &str) -> (Vec<String>, String) {
    let server = faulty(fault);
    let calls = calls_at(&server.url());
    let done = reported(&["--target", &server.url(), "--grpc", &calls]);
    let causes = done.record.diagnosis.unwrap_or_default();
    let rules = causes.into_iter().map(|cause| cause.requirement);
    (rules.collect(), done.out)
}

#[test]
fn what_breaks_over_grpc_alone_is_one_cause_and_told_by_the_rule_and_the_names_of_the_profile() {
    for (fault, rule) in [
        ("grpc-not-found-as-unknown", "AVP-11-03"),
        ("grpc-create-without-token", "AVP-11-02"),
        ("grpc-stale-push-aborted", "AVP-11-04"),
        ("grpc-fetch-unimplemented", "AVP-11-01"),
        ("grpc-counters-as-doubles", "AVP-11-05"),
    ] {
        let (causes, out) = causes_under(fault);
        assert_eq!(causes, [rule], "{fault}: {out}");
        assert!(out.contains("over HTTP the same cases pass"), "{out}");
    }
    let (_, out) = causes_under("grpc-not-found-as-unknown");
    assert!(
        out.contains("404 (NOT_FOUND)") && out.contains("got: status 500 (UNKNOWN)"),
        "{out}"
    );
    assert!(out.contains("→ 500 (UNKNOWN) in"), "{out}");
}

#[test]
fn what_breaks_over_both_is_no_matter_of_the_profile() {
    let (causes, out) = causes_under("unknown-repository-500");
    assert_eq!(causes[0], "AVP-6-16", "{out}");
    assert!(!out.contains("over HTTP the same cases pass"), "{out}");
}

#[test]
fn an_address_of_the_other_kind_is_told_what_to_type() {
    let (code, _, err) = ran(&["--target", "grpc://127.0.0.1:1"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("--grpc grpc://127.0.0.1:1"), "{err}");
    let (code, _, err) = ran(&["--grpc", "http://127.0.0.1:1"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("grpc://"), "{err}");
    let (code, _, err) = ran(&[
        "--target",
        "http://127.0.0.1:1",
        "--filter",
        "status/of-the-table",
    ]);
    assert_eq!(code, 5, "{err}");
    assert!(err.contains("with --grpc grpc://HOST:PORT"), "{err}");
    let (code, _, err) = ran(&["--grpc", "grpc://127.0.0.1:9", "--timeout", "2"]);
    assert_eq!(code, 3, "{err}");
    // A port that takes calls alone says its settings, whatever comes, and to several at once.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let _ = stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
                let _ = stream.read(&mut [0; 4096]);
            });
        }
    });
    let (code, _, err) = ran(&["--target", &format!("http://{place}"), "--timeout", "2"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains(&format!("--grpc grpc://{place}")), "{err}");
    // It speaks HTTP alone.
    let server = Server::start(Options {
        grpc: false,
        ..Options::default()
    })
    .unwrap();
    let (code, _, err) = ran(&["--grpc", &calls_at(&server.url()), "--timeout", "2"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("--target http://"), "{err}");
}

#[test]
fn a_server_is_judged_over_tls() {
    let authority = Authority::new();
    let identity = authority.certify("127.0.0.1", |_| {});
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let trusted = file("ca.pem", authority.certificate.pem());
    let server = Server::start(Options {
        tls: Some(Tls {
            cert_pem: identity.certificate.pem(),
            key_pem: identity.key.serialize_pem(),
        }),
        ..Options::default()
    })
    .unwrap();
    let calls = server.grpc().unwrap();
    assert!(calls.starts_with("grpcs://"), "{calls}");
    let some = ["--filter", "status/*", "--filter", "push/stale-is-a-conflict"];
    let trusting = ["--cacert", trusted.to_str().unwrap()];
    let done = reported(&[&["--grpc", calls.as_str()], &trusting[..], &some].concat());
    assert_eq!(done.code, 0, "{}", done.out);
    assert!(
        done.record.cases.iter().all(|case| case.verdict == Verdict::Pass),
        "{}",
        done.out
    );
    // Nobody vouches for it.
    let (code, _, err) = ran(&[&["--grpc", calls.as_str()], &some[..]].concat());
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("cannot reach grpcs://") && err.contains("certificate"),
        "{err}"
    );
    // Who asks in the clear is told.
    let (code, _, err) = ran(&["--grpc", &calls.replace("grpcs://", "grpc://"), "--timeout", "2"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains(&format!("type --grpc {calls}")), "{err}");
    let (https, http) = (server.url(), server.url().replace("https://", "http://"));
    let (code, _, err) = ran(&["--target", &http, "--timeout", "2"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains(&format!("type --target {https}")), "{err}");
}

/// A server of gRPC that has none of the protocol's services. Returns its address.
fn without_services() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let place = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_unimplemented(stream));
            }
        });
    });
    format!("grpc://{place}")
}

async fn answer_unimplemented(stream: tokio::net::TcpStream) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((_, mut call))) = connection.accept().await {
        let unimplemented = http::Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "12")
            .body(())
            .unwrap();
        let _ = call.send_response(unimplemented, true);
    }
}

#[test]
fn a_server_of_other_services_is_told_apart_at_once() {
    let calls = without_services();
    let (code, _, err) = ran(&["--grpc", &calls, "--timeout", "2"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains(&calls) && err.contains("avp.Vault"), "{err}");
    assert!(err.contains("schema/avp.proto"), "{err}");
}
