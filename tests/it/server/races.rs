//! The wide races, seen to go wrong: what a harness has to find, it must be able to find.

use avp_conform::avp::server::Server;
use serde_json::{Value, json};

use super::client::{Line, Member, created, creation, entry, envelope, member, pull, pushing};
use crate::support::servers::faulty;

/// Does something in several threads at once.
fn at_once(count: u8, act: impl Fn(u8) -> Value + Sync) -> Vec<Value> {
    std::thread::scope(|scope| {
        let act = &act;
        let threads: Vec<_> = (0..count).map(|seed| scope.spawn(move || act(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn add(server: &Server, owner: &Member, id: &str) -> Value {
    let body = json!({ "repoId": "r", "member": entry(id, 1) });
    Line::to(server)
        .post("/v1/repos/r/add-member", &owner.token, &body)
        .json()
}

fn push(server: &Server, owner: &Member) -> Value {
    let reply = Line::to(server).post("/v1/repos/r/push", &owner.token, &pushing("r", 1, 2));
    json!({ "status": reply.status, "accepted": reply.json()["accepted"] })
}

fn size(server: &Server, owner: &Member) -> usize {
    let pulled = pull(&mut Line::to(server), "r", &owner.token);
    pulled["manifest"]["members"].as_array().unwrap().len()
}

/// Runs a race, each time against a new server, until the fault took effect: whether two requests meet is up to the machine. What
/// the race came to.
fn met<T>(name: &str, race: impl Fn(&Server) -> T) -> T {
    for _ in 0..20 {
        let server = faulty(name);
        let seen = race(&server);
        if server.fired(name) > 0 {
            return seen;
        }
    }
    panic!("{name} took no effect in 20 races");
}

#[test]
fn creates_at_once_are_all_granted() {
    let server = faulty("create-race-wide");
    let members: Vec<Member> = (1..5).map(|seed| member(&mut Line::to(&server), seed)).collect();
    let answers = at_once(4, |seed| {
        let owner = &members[usize::from(seed)];
        json!(
            Line::to(&server)
                .post("/v1/repos", &owner.token, &creation("r", &owner.id))
                .status
        )
    });
    assert!(
        answers.iter().filter(|status| **status == 200).count() > 1,
        "{answers:?}"
    );
    assert!(server.fired("create-race-wide") > 0);
}

#[test]
fn additions_at_once_are_lost() {
    let server = faulty("add-race-wide");
    let owner = created(&mut Line::to(&server), "r", 1);
    let members: Vec<Member> = (2..6).map(|seed| member(&mut Line::to(&server), seed)).collect();
    at_once(4, |seed| add(&server, &owner, &members[usize::from(seed)].id));
    assert!(size(&server, &owner) < 5);
    assert!(server.fired("add-race-wide") > 0);
}

#[test]
fn an_addition_during_a_push_is_lost() {
    let size = met("push-race-restores-roster", |server| {
        let owner = created(&mut Line::to(server), "r", 1);
        let new = member(&mut Line::to(server), 2);
        at_once(2, |turn| match turn {
            0 => push(server, &owner),
            _ => {
                std::thread::sleep(std::time::Duration::from_millis(3));
                add(server, &owner, &new.id)
            }
        });
        size(server, &owner)
    });
    assert_eq!(size, 1);
}

#[test]
fn a_push_during_a_removal_is_lost() {
    let (answers, pulled) = met("remove-race-wide", |server| {
        let owner = created(&mut Line::to(server), "r", 1);
        let new = member(&mut Line::to(server), 2);
        add(server, &owner, &new.id);
        let removal = json!({
            "repoId": "r", "removedMemberId": new.id, "rotatedEnvelope": envelope("r", 2, 2),
            "rewrappedMembers": [entry(&owner.id, 2)], "newKeyEpoch": 2,
        });
        let answers = at_once(2, |turn| match turn {
            0 => json!(
                Line::to(server)
                    .post("/v1/repos/r/remove-member", &owner.token, &removal)
                    .status
            ),
            _ => {
                std::thread::sleep(std::time::Duration::from_millis(2));
                push(server, &owner)["status"].clone()
            }
        });
        let pulled = pull(&mut Line::to(server), "r", &owner.token)["envelope"].clone();
        (answers, pulled)
    });
    assert_eq!(answers, [200, 200]);
    assert_eq!(pulled, envelope("r", 2, 2));
}

#[test]
fn the_losers_of_pushes_at_once_fail() {
    for (name, status) in [("push-race-answers-500", 500), ("push-race-answers-409", 409)] {
        let server = faulty(name);
        let owner = created(&mut Line::to(&server), "r", 1);
        let answers = at_once(8, |_| push(&server, &owner)["status"].clone());
        assert!(
            answers.iter().any(|answer| *answer == status),
            "{name}: {answers:?}"
        );
    }
}

#[test]
fn callers_are_mixed_up() {
    let server = faulty("caller-in-a-global");
    let owner = created(&mut Line::to(&server), "r", 1);
    let stranger = member(&mut Line::to(&server), 2);
    let body = json!({ "repoId": "r", "knownPayloadVersion": 0 });
    let answers = at_once(8, |turn| {
        let token = if turn % 2 == 0 {
            &owner.token
        } else {
            &stranger.token
        };
        let mut line = Line::to(&server);
        let statuses = (0..20).map(|_| line.post("/v1/repos/r/pull", token, &body).status);
        json!(
            statuses
                .filter(|status| (*status == 200) != (turn % 2 == 0))
                .count()
        )
    });
    assert!(answers.iter().any(|count| *count != 0), "{answers:?}");
}
