//! removeMember: the member, the key, the payload and the counters, in one step.

use serde_json::Value;

use super::answer::Refusal;
use super::core::Place;
use super::push::check_roster;
use super::state::State;
use super::vault::{Repo, as_member, count, id_of, list, same_repo, text};

/// Removes a member and puts the rotated envelope and roster in place.
pub(super) fn remove(state: &State, place: &Place, body: Result<Value, Refusal>) -> Result<Value, Refusal> {
    as_member(state, &place.repo_id, &place.caller, |repo| {
        let body = body?;
        same_repo(&body, &place.repo_id)?;
        same_repo(&body["rotatedEnvelope"], &place.repo_id)?;
        if repo.last_removal.as_ref() == Some(&body) {
            return Ok(repo.manifest());
        }
        check_members(repo, &place.caller, &body)?;
        check_counters(repo, &body)?;
        apply(repo, body);
        Ok(repo.manifest())
    })
}

fn check_members(repo: &Repo, caller: &str, body: &Value) -> Result<(), Refusal> {
    let removed = text(body, "removedMemberId");
    if repo.entry(removed).is_none() {
        return Err(Refusal::not_found("there is no such member in this repository"));
    }
    let rewrapped = list(body, "rewrappedMembers");
    if rewrapped.iter().any(|entry| id_of(entry) == removed) {
        return Err(Refusal::bad_request(
            "the removed member is still in the rewrapped roster",
        ));
    }
    match removed == caller {
        true if rewrapped.is_empty() => Ok(()),
        true => check_roster(rewrapped, id_of(&rewrapped[0])),
        false => check_roster(rewrapped, caller),
    }
}

/// Version and epoch grow, and the envelope is of the new epoch.
fn check_counters(repo: &Repo, body: &Value) -> Result<(), Refusal> {
    let envelope = &body["rotatedEnvelope"];
    let (version, epoch) = (count(envelope, "payloadVersion"), count(body, "newKeyEpoch"));
    if epoch <= repo.epoch {
        return Err(Refusal::bad_request("a removal increments the key epoch"));
    }
    if count(envelope, "keyEpoch") != epoch {
        return Err(Refusal::bad_request(
            "the rotated envelope is not of the new key epoch",
        ));
    }
    if version <= repo.version {
        let error = Refusal::bad_request("the version of a repository only grows");
        return Err(error.with_detail(format!("it is {} and the envelope's is {version}", repo.version)));
    }
    Ok(())
}

fn apply(repo: &mut Repo, body: Value) {
    repo.store(&body["rotatedEnvelope"]);
    repo.roster = list(&body, "rewrappedMembers").to_vec();
    repo.last_removal = Some(body);
}
