//! createRepo: stores the manifest and envelope that the client built.

use serde_json::Value;

use super::answer::Refusal;
use super::core::Call;
use super::faults::{create as fault, neighbours, races, routes};
use super::state::State;
use super::variations::{limits as limit, rules};
use super::vault::{Repo, count, id_of, list, same_envelope, text};
use super::{fault_hooks, limits};

/// Creates a repository whose only member is the caller.
pub(super) fn create(state: &State, place: &Call, body: &Value) -> Result<Value, Refusal> {
    let kept = check_roster(state, &body["manifest"], &place.caller)?;
    check_parts(state, body)?;
    let id = routes::id(state, text(&body["manifest"], "repoId"));
    let mut repo = Repo::new(body);
    repo.roster
        .retain(|entry| kept == Kept::All || id_of(entry) == place.caller);
    let mut vault = state.vault();
    if state.is(limit::REPO_LIMIT_FIRST) {
        limits::check_repos(state, &vault, &place.caller)?;
    }
    if let Some(existing) = vault.repos.get_mut(id.as_ref()) {
        return duplicate(state, existing, repo);
    }
    limits::check_repos(state, &vault, &place.caller)?;
    if let Some(window) = window(state) {
        drop(vault);
        window.pass();
        vault = state.vault();
        if vault.repos.contains_key(id.as_ref()) {
            state.fire();
        }
    }
    let stored = fault_hooks::created(state, place, &mut repo);
    let manifest = repo.manifest();
    if stored {
        vault.repos.insert(id.clone().into_owned(), repo);
    }
    neighbours::across(state, place, &mut vault, body, &id);
    Ok(manifest)
}

/// How much of a roster is kept.
#[derive(Debug, PartialEq)]
enum Kept {
    All,
    Caller,
}

fn check_roster(state: &State, manifest: &Value, caller: &str) -> Result<Kept, Refusal> {
    let roster = list(manifest, "members");
    let has_caller = roster.iter().any(|entry| id_of(entry) == caller);
    match roster {
        [_] if has_caller || caller.is_empty() || state.deviates(fault::ROSTER_OTHER) => {
            return Ok(Kept::All);
        }
        [] if state.deviates(fault::ROSTER_EMPTY) => return Ok(Kept::All),
        [_, _, ..] if has_caller && state.deviates(fault::ROSTER_TWO) => return Ok(Kept::All),
        [_, _, ..] if has_caller && state.deviates(fault::ROSTER_TRIMMED) => return Ok(Kept::Caller),
        _ => {}
    }
    if roster.len() > 1 {
        let full = "a new repository holds one member here";
        if state.deviates(rules::CROWDED_CREATE_413) {
            return Err(Refusal::quota_exceeded(full).under(413, "too_large"));
        }
        if state.deviates(rules::CROWDED_CREATE_429) {
            return Err(Refusal::quota_exceeded(full));
        }
    }
    let refusal = Refusal::forbidden("the roster of a new repository is exactly its creator");
    match state.deviates(rules::BAD_CREATE_400) {
        true => Err(refusal.under(400, "bad_request")),
        false => Err(refusal),
    }
}

/// An id that is taken: 409, and nothing changes.
fn duplicate(state: &State, existing: &mut Repo, offered: Repo) -> Result<Value, Refusal> {
    if state.deviates(fault::DUPLICATE_GRANTED) {
        return Ok(existing.manifest());
    }
    if state.deviates(fault::DUPLICATE_REPLACES) {
        *existing = offered;
        return Ok(existing.manifest());
    }
    if state.deviates(fault::DUPLICATE_REPLACES_409) {
        *existing = offered;
    } else if state.deviates(fault::DUPLICATE_ENVELOPE) {
        existing.envelope = offered.envelope;
    } else if state.deviates(fault::DUPLICATE_JOINS) {
        existing.roster.extend(offered.roster);
    }
    Err(Refusal::duplicate())
}

/// How long a create lets others in between its check and its write; not at all, unless that is the fault.
fn window(state: &State) -> Option<races::Window> {
    match () {
        () if state.is(races::CREATE_WIDE) => Some(races::Window::Wide),
        () if state.is(races::CREATE_NARROW) => Some(races::Window::Narrow),
        () => None,
    }
}

/// Manifest and envelope speak of the same repository, version and epoch.
fn check_parts(state: &State, body: &Value) -> Result<(), Refusal> {
    let (manifest, envelope) = (&body["manifest"], &body["initialEnvelope"]);
    same_envelope(state, envelope, text(manifest, "repoId"))?;
    let disagrees = |counter: &&str| count(manifest, counter) != count(envelope, counter);
    match ["payloadVersion", "keyEpoch"]
        .iter()
        .find(|counter| disagrees(counter))
    {
        Some(counter) if !state.deviates(rules::INCONSISTENT_ACCEPTED) => {
            Err(Refusal::bad_request("manifest and envelope disagree").with_detail(format!("on {counter}")))
        }
        _ => Ok(()),
    }
}
