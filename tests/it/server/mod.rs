//! The reference server seen from outside, over plain sockets: what it answers to what is malformed, what survives
//! concurrency, and how it treats connections.

mod client;
mod connections;
mod deviations;
mod races;

use avp_conform::avp::Operation;
use client::{Line, bearer, created, creation, entry, envelope, member, pull, pushing};
use serde_json::json;

use crate::support::servers::plain;

#[test]
fn a_repository_lives_from_creation_to_removal() {
    let server = plain();
    let mut line = Line::to(&server);
    let alice = created(&mut line, "r", 1);
    let bob = member(&mut line, 2);
    let added = json!({ "repoId": "r", "member": entry(&bob.id, 1) });
    assert_eq!(
        line.post("/v1/repos/r/add-member", &alice.token, &added).status,
        200
    );
    let applied = line
        .post("/v1/repos/r/push", &bob.token, &pushing("r", 1, 2))
        .json();
    assert_eq!(
        applied,
        json!({ "accepted": true, "payloadVersion": 2, "keyEpoch": 1, "conflict": false })
    );
    let stale = line
        .post("/v1/repos/r/push", &alice.token, &pushing("r", 1, 2))
        .json();
    assert_eq!(
        stale,
        json!({ "accepted": false, "payloadVersion": 2, "keyEpoch": 1, "conflict": true })
    );
    let removal = json!({
        "repoId": "r", "removedMemberId": bob.id, "rotatedEnvelope": envelope("r", 3, 2),
        "rewrappedMembers": [entry(&alice.id, 2)], "newKeyEpoch": 2,
    });
    for _ in 0..2 {
        let manifest = line
            .post("/v1/repos/r/remove-member", &alice.token, &removal)
            .json();
        assert_eq!(manifest["members"], json!([entry(&alice.id, 2)]));
        assert_eq!(
            (&manifest["payloadVersion"], &manifest["keyEpoch"]),
            (&json!(3), &json!(2))
        );
        assert_eq!(manifest["shareRefreshTokens"], true);
    }
    assert_eq!(
        pull(&mut line, "r", &alice.token)["envelope"],
        envelope("r", 3, 2)
    );
    let path = Operation::FetchMemberKey.path("r", &alice.id);
    line.ask("GET", &path, &bearer(&bob.token), b"")
        .refused(403, "forbidden");
    assert_eq!(
        line.ask("GET", &path, &bearer(&alice.token), b"").json(),
        entry(&alice.id, 2)
    );
    line.ask(
        "GET",
        &Operation::FetchMemberKey.path("r", &bob.id),
        &bearer(&alice.token),
        b"",
    )
    .refused(404, "not_found");
}

#[test]
fn what_is_malformed_is_refused_with_an_error_object() {
    let server = plain();
    let mut line = Line::to(&server);
    let alice = created(&mut line, "r", 1);
    let before = pull(&mut line, "r", &alice.token);
    let deep = "[".repeat(100_000);
    for path in [
        "/v1/repos",
        "/v1/repos/r/pull",
        "/v1/repos/r/push",
        "/v1/repos/r/add-member",
    ] {
        for body in [
            "",
            "nonsense",
            "[]",
            "null",
            "{}",
            "{\"repoId\":\"r\"",
            "{} {}",
            &deep,
            "\u{feff}{}",
        ] {
            line.ask("POST", path, &bearer(&alice.token), body.as_bytes())
                .refused(400, "bad_request");
        }
        line.ask("POST", path, &bearer(&alice.token), b"\xff\xfe")
            .refused(400, "bad_request");
    }
    let typed = format!("{}Content-Type: text/plain\r\n", bearer(&alice.token));
    let body = json!({ "repoId": "r", "knownPayloadVersion": 1 }).to_string();
    line.ask("POST", "/v1/repos/r/pull", &typed, body.as_bytes())
        .refused(400, "bad_request");
    for path in ["/api/auth/keypair/challenge", "/api/auth/keypair/token"] {
        line.ask("POST", path, "", b"{\"ed25519PublicKey\":\"AA==\"}")
            .refused(400, "bad_request");
    }
    assert_eq!(pull(&mut line, "r", &alice.token), before);
}

#[test]
fn the_order_of_checks_is_token_repository_membership_body() {
    let server = plain();
    let mut line = Line::to(&server);
    let alice = created(&mut line, "r", 1);
    let mallory = member(&mut line, 2);
    line.ask("POST", "/v1/repos/none/pull", "", b"nonsense")
        .refused(401, "unauthorized");
    line.ask("POST", "/v1/nothing", "", b"")
        .refused(401, "unauthorized");
    line.ask(
        "POST",
        "/v1/repos/none/pull",
        &bearer(&mallory.token),
        b"nonsense",
    )
    .refused(404, "not_found");
    line.ask("POST", "/v1/repos/r/pull", &bearer(&mallory.token), b"nonsense")
        .refused(403, "forbidden");
    line.ask("POST", "/v1/repos/r/pull", &bearer(&alice.token), b"nonsense")
        .refused(400, "bad_request");
    line.ask("GET", "/nothing", "", b"").refused(404, "not_found");
    let wrong = line.ask("GET", "/v1/repos", &bearer(&alice.token), b"");
    assert_eq!((wrong.status, wrong.json()["error"].is_string()), (405, true));
}

#[test]
fn versions_and_epochs_only_grow() {
    let server = plain();
    let mut line = Line::to(&server);
    let alice = created(&mut line, "r", 1);
    for version in [1, 0] {
        line.post("/v1/repos/r/push", &alice.token, &pushing("r", 1, version))
            .refused(400, "bad_request");
    }
    let mut removal = json!({
        "repoId": "r", "removedMemberId": alice.id, "rotatedEnvelope": envelope("r", 2, 1),
        "rewrappedMembers": [], "newKeyEpoch": 1,
    });
    line.post("/v1/repos/r/remove-member", &alice.token, &removal)
        .refused(400, "bad_request");
    removal["rotatedEnvelope"] = envelope("r", 1, 2);
    removal["newKeyEpoch"] = json!(2);
    line.post("/v1/repos/r/remove-member", &alice.token, &removal)
        .refused(400, "bad_request");
    line.post("/v1/repos", &alice.token, &creation("r", &alice.id))
        .refused(409, "duplicate_repo");
    assert_eq!(
        pull(&mut line, "r", &alice.token)["manifest"]["payloadVersion"],
        1
    );
}

#[test]
fn ids_are_found_however_they_are_escaped() {
    let server = plain();
    let mut line = Line::to(&server);
    for (seed, repo) in (1_u8..).zip([
        "a b/c%+é..",
        "..",
        "a/../b",
        "%2F",
        "😀",
        &"x".repeat(255),
        "A",
        "a",
    ]) {
        let owner = created(&mut line, repo, seed);
        assert_eq!(pull(&mut line, repo, &owner.token)["manifest"]["repoId"], repo);
        let raw = format!("/member/{}", owner.id.replace('/', "%2F"));
        let path = Operation::Pull.path(repo, "").replace("/pull", &raw);
        assert_eq!(
            line.ask("GET", &path, &bearer(&owner.token), b"").json(),
            entry(&owner.id, 1)
        );
    }
}
