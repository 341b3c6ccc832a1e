//! removeMember: the member, the key, the payload and the counters, in one step.

use serde_json::Value;

use super::admission;
use super::answer::Refusal;
use super::core::Call;
use super::faults::removal as fault;
use super::push::check_roster;
use super::state::State;
use super::variations::rules;
use super::vault::{Reply, Repo, as_member, count, id_of, list, same_envelope, same_repo, text};

/// Removes a member and puts the rotated envelope and roster in place.
pub(super) fn remove(state: &State, place: &Call, body: Result<Value, Refusal>) -> Result<Value, Refusal> {
    as_member(state, place, body, |repo, sent| {
        same_repo(state, place, &sent)?;
        same_envelope(state, &sent["rotatedEnvelope"], &repo.id)?;
        if is_known(state, repo, &sent) {
            return Ok(Reply::Manifest);
        }
        if repo.last_removal.as_ref() == Some(&sent) && !state.deviates(rules::REMOVAL_AGAIN_404) {
            again(state, repo);
            return Ok(Reply::Manifest);
        }
        let mut body = sent.clone();
        check_removed(state, repo, &mut body)?;
        check_allowed(state, repo, &place.caller, &body)?;
        check_rewrapped(state, &place.caller, &body)?;
        check_counters(state, repo, &body)?;
        apply(repo, &body);
        repo.last_removal = Some(sent);
        Ok(Reply::Manifest)
    })
}

/// Whether a server takes a removal for done that it has seen before, whatever came between.
fn is_known(state: &State, repo: &Repo, sent: &Value) -> bool {
    if !state.is(fault::REPLAY_FOR_EVER) {
        return false;
    }
    let key = format!("removal {} {sent}", repo.id);
    let known = state.recall(&key).is_some();
    state.remember(key, Value::Null);
    if known && repo.last_removal.as_ref() != Some(sent) {
        state.fire();
    }
    known
}

/// The last removal, sent again: it is done already.
fn again(state: &State, repo: &mut Repo) {
    if state.deviates(fault::REPLAY_APPLIES) {
        repo.version = repo.version.saturating_add(1);
        repo.epoch = repo.epoch.saturating_add(1);
    }
}

/// Any member may remove any member; a server that knows owners thinks otherwise.
fn check_allowed(state: &State, repo: &Repo, caller: &str, body: &Value) -> Result<(), Refusal> {
    match admission::is_protected(state, repo, text(body, "removedMemberId"), caller) {
        true => Err(Refusal::forbidden("this member cannot be removed")),
        false => Ok(()),
    }
}

/// Who is removed is a member, and is not in the new roster.
fn check_removed(state: &State, repo: &Repo, body: &mut Value) -> Result<(), Refusal> {
    let removed = text(body, "removedMemberId").to_owned();
    if repo.entry(&removed).is_none() && !state.deviates(rules::REMOVE_STRANGER_APPLIED) {
        let refusal = Refusal::not_found("there is no such member in this repository");
        return match state.deviates(rules::REMOVE_STRANGER_400) {
            true => Err(refusal.under(400, "bad_request")),
            false => Err(refusal),
        };
    }
    let Some(rewrapped) = body["rewrappedMembers"].as_array_mut() else {
        return Ok(());
    };
    if !rewrapped.iter().any(|entry| id_of(entry) == removed) {
        return Ok(());
    }
    if state.deviates(fault::STILL_LISTED) {
        return Ok(());
    }
    if state.deviates(rules::REMOVED_STILL_LISTED_DROPPED) {
        rewrapped.retain(|entry| id_of(entry) != removed);
        return Ok(());
    }
    Err(Refusal::bad_request(
        "the removed member is still in the rewrapped roster",
    ))
}

/// Those who stay are named once each, the caller among them; who removes themselves need not be.
fn check_rewrapped(state: &State, caller: &str, body: &Value) -> Result<(), Refusal> {
    let rewrapped = list(body, "rewrappedMembers");
    match rewrapped.first() {
        _ if text(body, "removedMemberId") != caller => check_roster(state, rewrapped, caller),
        Some(first) => check_roster(state, rewrapped, id_of(first)),
        None => Ok(()),
    }
}

/// Version and epoch grow, and the envelope is of the new epoch.
fn check_counters(state: &State, repo: &Repo, body: &Value) -> Result<(), Refusal> {
    let envelope = &body["rotatedEnvelope"];
    let (version, epoch) = (count(envelope, "payloadVersion"), count(body, "newKeyEpoch"));
    if epoch <= repo.epoch && !takes_epoch(state, repo, epoch) {
        return Err(Refusal::bad_request("a removal increments the key epoch"));
    }
    if count(envelope, "keyEpoch") != epoch && !state.deviates(rules::INCONSISTENT_ACCEPTED) {
        return Err(Refusal::bad_request(
            "the rotated envelope is not of the new key epoch",
        ));
    }
    if version <= repo.version && !state.deviates(fault::VERSION_BACK) {
        let error = Refusal::bad_request("the version of a repository only grows");
        return Err(error.with_detail(format!("it is {} and the envelope's is {version}", repo.version)));
    }
    Ok(())
}

/// Whether a server takes an epoch that does not grow.
fn takes_epoch(state: &State, repo: &Repo, epoch: i64) -> bool {
    match epoch == repo.epoch {
        true => state.deviates(fault::EPOCH_STILL),
        false => state.deviates(fault::EPOCH_BACK),
    }
}

fn apply(repo: &mut Repo, body: &Value) {
    repo.store(&body["rotatedEnvelope"]);
    repo.epoch = count(body, "newKeyEpoch");
    repo.roster = list(body, "rewrappedMembers").to_vec();
}
