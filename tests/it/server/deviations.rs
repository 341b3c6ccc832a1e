//! Deviations that show in connections or under concurrency.

use serde_json::{Value, json};

use super::client::{Line, created, pushing};
use crate::support::servers::{faulty, plain};

/// How many of eight pushes at once are applied, over several rounds.
fn applied_at_once(server: &avp_conform::avp::server::Server, rounds: i64) -> Vec<usize> {
    let owner = created(&mut Line::to(server), "race", 1);
    let mut counts = Vec::new();
    for round in 1..=rounds {
        let push = || {
            let mut line = Line::to(server);
            line.post(
                "/v1/repos/race/push",
                &owner.token,
                &pushing("race", round, round + 1),
            )
            .json()
        };
        let answers: Vec<Value> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(push)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        counts.push(answers.iter().filter(|answer| answer["accepted"] == true).count());
    }
    counts
}

#[test]
fn of_pushes_at_once_exactly_one_applies() {
    assert_eq!(applied_at_once(&plain(), 20), vec![1; 20]);
}

#[test]
fn the_wide_race_lets_several_pushes_apply() {
    let server = faulty("push-race-wide");
    assert!(applied_at_once(&server, 3).iter().any(|count| *count > 1));
    assert!(server.fired("push-race-wide") > 0);
}

#[test]
fn a_body_that_is_left_unread_is_taken_for_the_next_request() {
    let server = faulty("unread-body-after-401");
    let mut line = Line::to(&server);
    line.ask(
        "POST",
        "/v1/repos",
        "",
        b"GET /.well-known/avp HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .refused(401, "unauthorized");
    assert_eq!(line.read().json()["profiles"], json!(["http-json", "grpc"]));
    assert_eq!(server.fired("unread-body-after-401"), 1);
}

#[test]
fn a_server_that_hangs_still_ends_at_once() {
    let server = faulty("pull-hangs");
    let mut line = Line::to(&server);
    let owner = created(&mut line, "r", 1);
    let body = json!({ "repoId": "r", "knownPayloadVersion": 0 }).to_string();
    let head = format!(
        "POST /v1/repos/r/pull HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n",
        owner.token
    );
    line.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    let start = std::time::Instant::now();
    drop(server);
    assert!(start.elapsed() < std::time::Duration::from_secs(1));
}
