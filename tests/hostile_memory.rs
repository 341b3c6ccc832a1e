//! What the client takes from those of the hostile bank that send without end: a process of its own, so that nothing
//! else counts.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::time::Duration;

use avp_conform::avp::grpc::CODEC;
use avp_conform::http::{Body, Client, ClientOptions, Endpoint, GrpcOptions, Request, Service, Wire};
use tokio::task::JoinSet;

#[path = "it/support"]
#[expect(dead_code, reason = "the tests that share it use the rest")]
mod support {
    pub(crate) mod bank;
    pub(crate) mod certificates;
    pub(crate) mod http;
}

use support::bank;

/// As many exchanges at once as a run with many jobs may have.
const AT_ONCE: usize = 16;
/// The most that the process may ever have held, in KiB.
const MOST: usize = 128 << 10;

fn client(url: &str) -> Client {
    let mut options = match Endpoint::parse_grpc(url) {
        Ok(endpoint) => ClientOptions {
            grpc: Some(GrpcOptions {
                endpoint: endpoint.clone(),
                codec: CODEC,
                alone: true,
            }),
            ..ClientOptions::new(endpoint)
        },
        Err(_) => ClientOptions::new(Endpoint::parse(url).unwrap()),
    };
    options.tls.cacert = Some(bank::authority().to_owned());
    Client::new(options).unwrap()
}

fn request() -> Request {
    Request {
        service: Service::new("vault"),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
        body: None,
    }
}

fn call() -> Request {
    Request {
        method: "POST".to_owned(),
        path: "/avp.Auth/Challenge".to_owned(),
        body: Some(Body::from(r#"{"ed25519PublicKey":"AAAA"}"#.to_owned())),
        ..request()
    }
}

/// How long each is visited.
fn time(wire: Wire) -> Duration {
    match wire {
        Wire::Grpc => Duration::from_millis(300),
        _ => Duration::from_secs(1),
    }
}

/// The most memory that this process has ever held, in KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_within_bounds() {
    let large = ["gigabyte", "calls-many-fields", "calls-gzip-bomb"];
    for hostile in bank::bank()
        .into_iter()
        .chain(bank::calls())
        .filter(|one| one.about.contains("without") || large.contains(&one.name))
    {
        let running = hostile.start();
        let client = client(&running.url());
        let (wire, request) = match client.grpc() {
            Some(_) => (Wire::Grpc, call()),
            None => (Wire::Http, request()),
        };
        let mut visits = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (mut lane, request) = (client.lane(), request.clone());
            lane.over(wire);
            visits.spawn(async move { lane.send(&request, time(wire)).await });
        }
        visits.join_all().await;
        let peak = peak();
        assert!(peak < MOST, "{} ({}): {peak} KiB", hostile.name, hostile.about);
        assert!(running.trespasses().is_empty(), "{:?}", running.trespasses());
    }
    println!("at most {} KiB", peak());
}
