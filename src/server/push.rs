//! push: a new payload, if nobody was faster.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::behaviour::CANARY;
use super::core::Place;
use super::state::State;
use super::vault::{Repo, as_member, count, has_twins, list, same_repo};

/// Stores an envelope, and a rotated roster with it, if the client knew the current version.
pub(super) fn push(state: &State, place: &Place, body: Result<Value, Refusal>) -> Result<Value, Refusal> {
    as_member(state, &place.repo_id, &place.caller, |repo| {
        let body = body?;
        same_repo(&body, &place.repo_id)?;
        same_repo(&body["envelope"], &place.repo_id)?;
        if count(&body, "expectedPayloadVersion") != repo.version {
            return Ok(outcome(repo, false));
        }
        check_growth(repo, &body)?;
        check_rotation(repo, &place.caller, &body)?;
        if state.deviates(CANARY.name) {
            let mut unsaved = repo.clone();
            apply(&mut unsaved, &body);
            return Ok(outcome(&unsaved, true));
        }
        apply(repo, &body);
        Ok(outcome(repo, true))
    })
}

fn outcome(repo: &Repo, accepted: bool) -> Value {
    json!({
        "accepted": accepted,
        "payloadVersion": repo.version,
        "keyEpoch": repo.epoch,
        "conflict": !accepted,
    })
}

/// Versions of a repository only grow.
fn check_growth(repo: &Repo, body: &Value) -> Result<(), Refusal> {
    let version = count(&body["envelope"], "payloadVersion");
    if version > repo.version {
        return Ok(());
    }
    let error = Refusal::bad_request("the version of a repository only grows");
    Err(error.with_detail(format!("it is {} and the envelope's is {version}", repo.version)))
}

/// The epoch moves with a rotated roster only, and never back; such a roster names each member once and the caller
/// among them.
fn check_rotation(repo: &Repo, caller: &str, body: &Value) -> Result<(), Refusal> {
    let epoch = count(&body["envelope"], "keyEpoch");
    if body["rotatedMembers"].is_null() {
        return match epoch == repo.epoch {
            true => Ok(()),
            false => Err(Refusal::bad_request(
                "the key epoch changes with a rotated roster only",
            )),
        };
    }
    if epoch < repo.epoch {
        return Err(Refusal::bad_request(
            "the key epoch of a repository never goes back",
        ));
    }
    check_roster(list(body, "rotatedMembers"), caller)
}

/// A roster that a member may put in place of the current one.
pub(super) fn check_roster(roster: &[Value], caller: &str) -> Result<(), Refusal> {
    if has_twins(roster) {
        return Err(Refusal::bad_request("the roster names a member twice"));
    }
    if !roster.iter().any(|entry| super::vault::id_of(entry) == caller) {
        return Err(Refusal::bad_request("the roster leaves the caller out"));
    }
    Ok(())
}

fn apply(repo: &mut Repo, body: &Value) {
    repo.store(&body["envelope"]);
    if let Some(roster) = body["rotatedMembers"].as_array() {
        repo.roster.clone_from(roster);
    }
}
