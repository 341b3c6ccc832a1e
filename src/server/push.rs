//! push: a new payload, if nobody was faster.

use serde_json::Value;

use super::answer::Refusal;
use super::core::Place;
use super::faults::push::CANARY;
use super::limits;
use super::state::State;
use super::variations::rules;
use super::vault::{Repo, Said, as_member, count, has_twins, id_of, list, same_envelope, same_repo};

/// Stores an envelope, and a rotated roster with it, if the client knew the current version.
pub(super) fn push(state: &State, place: &Place, body: Result<Value, Refusal>) -> Result<Value, Refusal> {
    as_member(state, place, |repo| {
        let mut body = body?;
        same_repo(state, &body, &place.repo_id)?;
        same_envelope(state, &body["envelope"], &place.repo_id)?;
        if count(&body, "expectedPayloadVersion") != repo.version {
            return Ok(Said::Pushed { applied: false });
        }
        if !check_growth(state, repo, &mut body)? {
            return Ok(Said::Pushed { applied: false });
        }
        check_rotation(state, repo, &place.caller, &body)?;
        if state.deviates(CANARY) {
            return Ok(Said::Value(serde_json::json!({
                "accepted": true, "payloadVersion": count(&body["envelope"], "payloadVersion"),
                "keyEpoch": count(&body["envelope"], "keyEpoch"), "conflict": false,
            })));
        }
        apply(repo, &body);
        Ok(Said::Pushed { applied: true })
    })
}

/// Versions of a repository only grow. False where a version that does not is taken for a conflict.
fn check_growth(state: &State, repo: &Repo, body: &mut Value) -> Result<bool, Refusal> {
    let (version, next) = (
        count(&body["envelope"], "payloadVersion"),
        repo.version.saturating_add(1),
    );
    if version > repo.version {
        return match version != next && state.deviates(rules::STRICT_STEPS) {
            true => Err(Refusal::bad_request("the version grows by one at a time")),
            false => Ok(true),
        };
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

/// The epoch moves with a rotated roster only, and never back; such a roster names each member once and the caller
/// among them.
fn check_rotation(state: &State, repo: &Repo, caller: &str, body: &Value) -> Result<(), Refusal> {
    let epoch = count(&body["envelope"], "keyEpoch");
    let rotates = !body["rotatedMembers"].is_null();
    let ahead = epoch > repo.epoch && !rotates && !state.deviates(rules::INCONSISTENT_ACCEPTED);
    if epoch < repo.epoch || ahead {
        return Err(Refusal::bad_request(
            "the key epoch grows, and with a rotated roster only",
        ));
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
