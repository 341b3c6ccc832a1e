//! What the client takes from those of the hostile bank that send without end: a process of its own, so that nothing
//! else counts.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::time::Duration;

use avp_conform::http::{Client, ClientOptions, Endpoint, Request, Service};
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
    let mut options = ClientOptions::new(Endpoint::parse(url).unwrap());
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

/// The most memory that this process has ever held, in KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_within_bounds() {
    for hostile in bank::bank()
        .into_iter()
        .filter(|one| one.about.contains("without") || one.name == "gigabyte")
    {
        let running = hostile.start();
        let client = client(&running.url());
        let mut visits = JoinSet::new();
        for _ in 0..AT_ONCE {
            let mut lane = client.lane();
            visits.spawn(async move { lane.send(&request(), Duration::from_secs(1)).await });
        }
        visits.join_all().await;
        let peak = peak();
        assert!(peak < MOST, "{} ({}): {peak} KiB", hostile.name, hostile.about);
        assert!(running.trespasses().is_empty(), "{:?}", running.trespasses());
    }
    println!("at most {} KiB", peak());
}
