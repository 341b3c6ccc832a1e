//! push: a new payload, if nobody was faster.

use std::cmp::Ordering;

use serde_json::Value;

use super::answer::Refusal;
use super::core::Call;
use super::faults::push as fault;
use super::limits;
use super::state::State;
use super::variations::rules;
use super::vault::{Reply, Repo, as_member, count, has_twins, id_of, list, same_envelope, same_repo, text};

/// What is a large ciphertext to a server that mistakes limits for conflicts.
const LARGE_CIPHERTEXT_CHARS: usize = 32 * 1024;

/// Stores an envelope, and a rotated roster with it, if the client knew the current version.
pub(super) fn push(state: &State, place: &Call, body: Result<Value, Refusal>) -> Result<Value, Refusal> {
    as_member(state, place, body, |repo, mut body| {
        same_repo(state, place, &body)?;
        same_envelope(state, &body["envelope"], &repo.id)?;
        if let Some(again) = retry(state, repo, &body) {
            return Ok(again);
        }
        check_step(state, &body)?;
        if is_stale(state, repo, &body) || !check_growth(state, repo, &mut body)? {
            return Ok(Reply::Pushed { applied: false });
        }
        check_rotation(state, repo, &place.caller, &body)?;
        let epoch = repo.epoch;
        apply(repo, &body);
        if repo.epoch != epoch && state.deviates(rules::EPOCH_STAYS) {
            repo.epoch = epoch;
        }
        remember(state, repo, body);
        Ok(Reply::Pushed { applied: true })
    })
}

/// A server may hold the envelope against the version that the client expects before it compares that with its own.
fn check_step(state: &State, body: &Value) -> Result<(), Refusal> {
    let wanted = count(body, "expectedPayloadVersion").saturating_add(1);
    match count(&body["envelope"], "payloadVersion") != wanted && state.deviates(rules::STEPS_FIRST) {
        true => Err(Refusal::bad_request(
            "the envelope is not of the version after the expected one",
        )),
        false => Ok(()),
    }
}

/// Whether the client knew another version than the current one.
fn is_stale(state: &State, repo: &Repo, body: &Value) -> bool {
    let large = text(&body["envelope"], "ciphertext").len() > LARGE_CIPHERTEXT_CHARS
        && state.deviates(fault::SIZE_CONFLICT);
    let expected = count(body, "expectedPayloadVersion");
    let taken = match expected.cmp(&repo.version) {
        Ordering::Equal => true,
        _ if expected == -1 && state.deviates(fault::MINUS_ONE_FORCES) => true,
        _ if repo.last_removal.is_some()
            && expected == repo.version - 1
            && state.deviates(fault::STALE_AFTER_REMOVAL) =>
        {
            true
        }
        _ if low_bits(expected) == low_bits(repo.version) && state.deviates(fault::EXPECTED_32_BIT) => true,
        _ if state.deviates(fault::IGNORES_EXPECTED) => true,
        Ordering::Less => state.deviates(fault::OLDER_TAKEN),
        Ordering::Greater => state.deviates(fault::AHEAD_TAKEN),
    };
    large || !taken
}

fn low_bits(counter: i64) -> i64 {
    counter & 0xffff_ffff
}

/// Whether a server takes an envelope whose version does not grow.
fn takes_any_version(state: &State, repo: &Repo, version: i64) -> bool {
    let lax = [
        fault::IGNORES_EXPECTED,
        fault::OLDER_TAKEN,
        fault::EXPECTED_32_BIT,
        fault::MINUS_ONE_FORCES,
        fault::NO_ENVELOPE,
    ];
    let ignores = lax.into_iter().any(|name| state.is(name));
    ignores
        || version < repo.version && state.deviates(fault::VERSION_BACK)
        || version == repo.version && state.deviates(fault::VERSION_STILL)
}

/// What a server that deviates makes of the last push, sent again.
fn retry(state: &State, repo: &mut Repo, body: &Value) -> Option<Reply> {
    let applies = state.is(fault::RETRY_APPLIES);
    if !(applies || state.is(fault::RETRY_ACCEPTED)) || state.recall(&repo.id)?.1 != *body {
        return None;
    }
    state.fire();
    repo.version = repo.version.saturating_add(i64::from(applies));
    Some(Reply::Pushed { applied: true })
}

fn remember(state: &State, repo: &Repo, body: Value) {
    if state.is(fault::RETRY_APPLIES) || state.is(fault::RETRY_ACCEPTED) {
        state.remember(repo.id.clone(), body);
    }
}

/// Versions of a repository only grow. False where a version that does not is taken for a conflict.
fn check_growth(state: &State, repo: &Repo, body: &mut Value) -> Result<bool, Refusal> {
    let (version, next) = (
        count(&body["envelope"], "payloadVersion"),
        repo.version.saturating_add(1),
    );
    let backwards = version > repo.version && version.to_string() <= repo.version.to_string();
    if backwards && state.deviates(fault::VERSIONS_AS_TEXT) {
        return Err(Refusal::bad_request("the version of a repository only grows"));
    }
    if version > repo.version {
        return match version != next && state.deviates(rules::STRICT_STEPS) {
            true => Err(Refusal::bad_request("the version grows by one at a time")),
            false => Ok(true),
        };
    }
    if takes_any_version(state, repo, version) {
        return Ok(true);
    }
    if state.deviates(rules::STALE_ASSIGNED_HIGHER) {
        body["envelope"]["payloadVersion"] = Value::from(next);
        return Ok(true);
    }
    if state.deviates(rules::STALE_CONFLICT) {
        return Ok(false);
    }
    let error = Refusal::bad_request("the version of a repository only grows");
    Err(error.with_detail(format!("it is {} and the envelope's is {version}", repo.version)))
}

/// The epoch of the data key moves with a rotated roster only, and never back; such a roster names each member once and the
/// caller among them.
fn check_rotation(state: &State, repo: &Repo, caller: &str, body: &Value) -> Result<(), Refusal> {
    let epoch = count(&body["envelope"], "keyEpoch");
    let rotates = !body["rotatedMembers"].is_null();
    let known = repo.epoch.max(count(&repo.envelope, "keyEpoch"));
    let ahead = epoch > known && !rotates && !state.deviates(rules::INCONSISTENT_ACCEPTED);
    if body["envelope"].is_null() && state.deviates(fault::NO_ENVELOPE) {
        return Ok(());
    }
    if epoch < repo.epoch || ahead {
        return Err(Refusal::bad_request(
            "the key epoch grows, and with a rotated roster only",
        ));
    }
    if rotates && state.deviates(fault::ROTATION_REFUSED) {
        return Err(Refusal::bad_request("unknown field `rotatedMembers`"));
    }
    match rotates {
        true => check_roster(state, list(body, "rotatedMembers"), caller),
        false => Ok(()),
    }
}

/// A roster that a member may put in place of the current one.
pub(super) fn check_roster(state: &State, roster: &[Value], caller: &str) -> Result<(), Refusal> {
    limits::check_members(state, roster.len())?;
    let twins = has_twins(roster);
    let without = !roster.iter().any(|entry| id_of(entry) == caller);
    if !(twins || without) || state.deviates(rules::INCONSISTENT_ACCEPTED) {
        return Ok(());
    }
    Err(Refusal::bad_request(match twins {
        true => "the roster names a member twice",
        false => "the roster leaves the caller out",
    }))
}

fn apply(repo: &mut Repo, body: &Value) {
    repo.store(&body["envelope"]);
    if let Some(roster) = body["rotatedMembers"].as_array() {
        repo.roster.clone_from(roster);
    }
}
