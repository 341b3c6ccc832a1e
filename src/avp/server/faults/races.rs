//! What is got wrong only when two do it at once: a decision, and a write that no longer fits it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::tokens::Caller;
use crate::avp::Operation;
use crate::avp::server::decision::{Asked, Decision, Grant, Rule, grant_if};
use crate::avp::server::deviation::faults;
use crate::avp::server::request::Request;
use crate::avp::server::rules::login::Claim;
use crate::avp::server::state::State;

/// How long a server waits for its database between the check of a nonce and its deletion.
const QUERY_TIME: Duration = Duration::from_micros(200);

/// How long a server with the caller in one place leaves it there before it reads it again.
const GLOBAL_PAUSE: Duration = Duration::from_millis(1);

faults! { "races";
    Named(PUSH_WIDE) "push-race-wide", Must "AVP-10-02" and "AVP-6-11",
        "Between the check of a push and its write lie five milliseconds in which others write.",
        "Of two who save at once both are told that they did, and one is lost.",
        "Check and write in one transaction, or update where the version is still the expected one.";
    Named(PUSH_NARROW) "push-race-narrow", Must "AVP-10-02",
        "Between the check of a push and its write lies a moment in which others write.",
        "Of two who save at once both are told that they did, once in a while, and one is lost.",
        "Check and write under one lock.";
    Named(PUSH_ROSTER) "push-race-restores-roster", Must "AVP-6-11",
        "A push writes back the roster that it read, if the version is still the one that it read.",
        "A member who is added while somebody saves is gone again.",
        "Write what changed, or have addMember move the row's own revision.";
    Named(PUSH_500) "push-race-answers-500", Must "AVP-6-08",
        "The loser of two pushes at once ends in a 500.",
        "Clients report an error where they should merge.",
        "Catch the serialization failure, and answer a conflict.";
    Named(PUSH_BUSY) "push-race-answers-409", Must "AVP-6-08",
        "The loser of two pushes at once is refused with 409.",
        "Clients report an error where they should merge.",
        "Answer 200 with conflict = true.";
    Named(CREATE_WIDE) "create-race-wide", Must "AVP-6-02",
        "Between the check of a create and its write lie five milliseconds.",
        "Two people create the same repository, and one of them loses it.",
        "Insert, and let the primary key refuse.";
    Named(CREATE_NARROW) "create-race-narrow", Must "AVP-6-02",
        "Between the check of a create and its write lies a moment.",
        "Two people create the same repository, once in a while, and one of them loses it.",
        "Check and insert under one lock.";
    Rule(nonce_wide) "nonce-race-wide", Must "AVP-3-03",
        "Between the check of a nonce and its deletion lie five milliseconds.",
        "A login that was overheard can be replayed at the same moment.",
        "Delete the nonce in the step that finds it.";
    Rule(nonce_narrow) "nonce-race-while-verifying", Must "AVP-3-03",
        "Between the check of a nonce and its deletion the signature is verified, and nobody asks again.",
        "A login that was overheard can be replayed at the same moment.",
        "Ask whether it was you who deleted the nonce.";
    Named(ADD_WIDE) "add-race-wide", Must "AVP-6-11" and "AVP-6-13",
        "addMember reads the roster, and writes it back five milliseconds later.",
        "Of two who are invited at once one is lost.",
        "Insert a row; do not write the roster back.";
    Named(ADD_NARROW) "add-race-narrow", Must "AVP-6-11",
        "addMember reads the roster, and writes it back a moment later.",
        "Of two who are invited at once one is lost, once in a while.",
        "Read and write under one lock.";
    Named(ADD_500) "add-race-answers-500", Must "AVP-6-11",
        "The loser of two additions at once ends in a 500.",
        "Of two who are invited at once one is not, and the invitation has to be repeated.",
        "Catch the serialization failure, and try again.";
    Named(ADD_TWINS) "add-race-twins", Must "AVP-6-11",
        "addMember looks whether the member is there, and inserts five milliseconds later.",
        "Who is invited twice at once stands in the roster twice, and clients wrap for the wrong entry.",
        "Give the roster a unique key of repository and member.";
    Named(REMOVE_WIDE) "remove-race-wide", Must "AVP-10-02",
        "removeMember reads the repository, and writes it back five milliseconds later.",
        "What is saved while somebody is removed is lost, though it was answered as applied.",
        "Check and write in one transaction.";
    Named(REMOVE_NARROW) "remove-race-narrow", Must "AVP-10-02",
        "removeMember reads the repository, and writes it back a moment later.",
        "Of two changes at once one is lost, once in a while, though both were answered as applied.",
        "Check and write under one lock.";
    Rule(nonce_awaited) "nonce-race-across-an-await", Must "AVP-3-03",
        "Between the check of a nonce and its deletion the server waits a fifth of a millisecond for its database.",
        "A login that was overheard can be replayed at the same moment.",
        "Delete the nonce with the query that finds it, and ask whether it deleted one.";
    Caller(caller_global) "caller-in-a-global", Must "AVP-6-15" and "AVP-3-09",
        "Who calls is kept in one place for all requests, and read again a millisecond later.",
        "People act in each other's name when the server is busy.",
        "Carry the caller with the request.";
    Nonce(subject_noted) and Grant(subject_global) "subject-in-a-global", Must "AVP-3-09",
        "Who asked for the last nonce is kept in one place for all requests, and gets the next token.",
        "Of two who log in at once one gets the other's token.",
        "Carry the key with the request.";
}

/// How an operation lets others in between its decision and its write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::avp::server) enum Race {
    /// It writes back all that it read.
    Overwrites(Window),
    /// It inserts what it found missing before.
    Inserts(Window),
    /// It notices that the version moved, and overwrites the rest.
    KeepsVersion,
    /// It notices, and fails with this status.
    Fails(u16),
}

/// How long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::avp::server) enum Window {
    /// Five milliseconds, in which the thread does other things.
    Wide,
    /// Twenty microseconds.
    Narrow,
}

/// The race of an operation, if this server has one.
pub(in crate::avp::server) fn of(state: &State, operation: Operation) -> Option<Race> {
    let races = [
        (Operation::Push, PUSH_WIDE, Race::Overwrites(Window::Wide)),
        (Operation::Push, PUSH_NARROW, Race::Overwrites(Window::Narrow)),
        (Operation::Push, PUSH_ROSTER, Race::KeepsVersion),
        (Operation::Push, PUSH_500, Race::Fails(500)),
        (Operation::Push, PUSH_BUSY, Race::Fails(409)),
        (Operation::AddMember, ADD_WIDE, Race::Overwrites(Window::Wide)),
        (Operation::AddMember, ADD_NARROW, Race::Overwrites(Window::Narrow)),
        (Operation::AddMember, ADD_500, Race::Fails(500)),
        (Operation::AddMember, ADD_TWINS, Race::Inserts(Window::Wide)),
        (
            Operation::RemoveMember,
            REMOVE_WIDE,
            Race::Overwrites(Window::Wide),
        ),
        (
            Operation::RemoveMember,
            REMOVE_NARROW,
            Race::Overwrites(Window::Narrow),
        ),
    ];
    let here = races
        .into_iter()
        .find(|(of, name, _)| *of == operation && state.is(*name));
    here.map(|(_, _, race)| race)
}

impl Race {
    /// How long it lasts.
    pub(in crate::avp::server) fn window(self) -> Window {
        match self {
            Race::Overwrites(window) | Race::Inserts(window) => window,
            Race::KeepsVersion | Race::Fails(_) => Window::Wide,
        }
    }
}

impl Window {
    /// Waits it out.
    pub(in crate::avp::server) fn pass(self) {
        match self {
            Window::Wide => sleep(Duration::from_millis(5)),
            Window::Narrow => spin(Duration::from_micros(20)),
        }
    }
}

/// Sleeps, and leaves the thread's other work to another thread.
pub(in crate::avp::server) fn sleep(time: Duration) {
    tokio::task::block_in_place(|| std::thread::sleep(time));
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Lets time pass once the signature holds, and does not ask then whether it was this request that took the nonce.
fn nonce_race(rule: Rule<'_>, decision: &mut Decision, pass_time: impl FnOnce()) -> bool {
    if matches!(rule, Rule::Signature(_)) && decision.is_ok() {
        pass_time();
    }
    grant_if(decision, matches!(rule, Rule::NonceIsTaken))
}

fn nonce_wide(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    nonce_race(rule, decision, || Window::Wide.pass())
}

fn nonce_awaited(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    nonce_race(rule, decision, || sleep(QUERY_TIME))
}

fn nonce_narrow(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    nonce_race(rule, decision, || {})
}

fn caller_global(state: &State, _: &Request, caller: &mut Caller) -> bool {
    let Ok(own) = caller else { return false };
    state.remember("caller".to_owned(), Value::from(own.as_str()));
    sleep(GLOBAL_PAUSE);
    let kept = noted(state, "caller");
    std::mem::replace(own, kept.clone()) != kept
}

fn subject_noted(state: &State, key: &str, _: &mut Vec<u8>) -> bool {
    state.remember("subject".to_owned(), Value::from(key));
    false
}

fn subject_global(state: &State, _: &Claim, grant: &mut Grant) -> bool {
    let kept = noted(state, "subject");
    std::mem::replace(&mut grant.member_id, kept.clone()) != kept
}

/// What is kept in one place for all requests.
fn noted(state: &State, place: &str) -> String {
    let kept = state.recall(place);
    kept.and_then(|(_, kept)| Some(kept.as_str()?.to_owned()))
        .unwrap_or_default()
}
