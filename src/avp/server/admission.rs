//! Who may touch a repository: its members, all alike.

use serde_json::Value;

use super::answer::Refusal;
use super::core::Call;
use super::faults::{authorization as fault, members, removal};
use super::state::{State, now};
use super::vault::{Repo, Vault, id_of, text};

/// How long a cache of memberships is believed.
const CACHED_MEMBERSHIP_MS: i64 = 2000;

/// How long a removal takes where it takes its time.
pub(super) const REMOVAL_LAG_MS: i64 = 60;

/// Refuses a caller who is no member.
pub(super) fn check(state: &State, vault: &Vault, repo: &Repo, place: &Call) -> Result<(), Refusal> {
    let refusal = Refusal::forbidden("the caller is no member of this repository");
    let listed = repo.entry(&place.caller).is_some();
    if state.is_faultless() {
        return if listed { Ok(()) } else { Err(refusal) };
    }
    let key = |kind: &str| format!("{kind} {} {}", repo.id, place.caller);
    if listed {
        let outdated = state.is(fault::REFUSAL_CACHED) && is_recent(state, &key("refused"));
        state.remember(key("listed"), Value::Null);
        return if outdated {
            fired(state, Err(refusal))
        } else {
            check_rank(state, repo, place)
        };
    }
    if state.is(fault::CACHED) && is_recent(state, &key("listed")) || is_excused(state, vault, repo, place) {
        return fired(state, Ok(()));
    }
    state.remember(key("refused"), Value::Null);
    Err(refusal)
}

/// What a server that knows owners keeps from other members, or members from each other.
fn check_rank(state: &State, repo: &Repo, place: &Call) -> Result<(), Refusal> {
    let owner = place.caller == repo.history.creator;
    let owners = fault::for_owner_only(place.operation).filter(|_| !owner);
    let refused = owners.is_some_and(|name| state.deviates(name))
        || id_is_other(repo, place) && state.deviates(fault::OWN_KEY_ONLY)
        || !owner && state.deviates(members::NO_ACCESS);
    match refused {
        true => Err(Refusal::forbidden("only the owner may do this")),
        false => Ok(()),
    }
}

fn id_is_other(repo: &Repo, place: &Call) -> bool {
    place.member_id != place.caller && repo.entry(&place.member_id).is_some()
}

/// Whether a server that deviates lets in a caller who is no member.
fn is_excused(state: &State, vault: &Vault, repo: &Repo, place: &Call) -> bool {
    let is = |name: Option<_>| name.is_some_and(|name| state.is(name));
    let removed = repo.history.former.contains(&place.caller);
    place.caller.is_empty()
        || is(fault::open_to_strangers(place.operation))
        || removed && is(fault::open_to_removed(place.operation))
        || removed && state.is(removal::REMOVAL_LAG_MS) && now() - repo.history.written < REMOVAL_LAG_MS
        || state.is(fault::MEMBER_OF_ANY) && vault.knows(&place.caller)
}

fn is_recent(state: &State, key: &str) -> bool {
    state
        .recall(key)
        .is_some_and(|(at, _)| now() - at < CACHED_MEMBERSHIP_MS)
}

fn fired<T>(state: &State, result: T) -> T {
    state.fire();
    result
}

/// The repositories that a request is about: whose roster admits the caller, and which is touched. For a server that
/// does not deviate both are the path's.
pub(super) fn repos<'a>(
    state: &State,
    vault: &Vault,
    place: &'a Call,
    body: &'a Value,
) -> (&'a str, &'a str) {
    let (path, named) = (place.repo_id.as_str(), text(body, "repoId"));
    if state.is_faultless() || named == path || !vault.repos.contains_key(named) {
        return (path, path);
    }
    if fault::on_bodys_repo(place.operation).is_some_and(|name| state.deviates(name)) {
        return (path, named);
    }
    match state.deviates(fault::BODY_AUTHORIZES) {
        true => (named, path),
        false => (path, path),
    }
}

/// Whether a server takes a body that names another repository than the path, since one of the two decides.
pub(super) fn takes_both(state: &State, place: &Call) -> bool {
    fault::on_bodys_repo(place.operation).is_some_and(|name| state.is(name))
        || state.is(fault::BODY_AUTHORIZES)
}

/// Whether somebody may not be removed, on a server that knows owners.
pub(super) fn is_protected(state: &State, repo: &Repo, removed: &str, caller: &str) -> bool {
    let listed = repo.roster.iter().any(|entry| id_of(entry) == removed);
    let owner = removed == repo.history.creator && state.deviates(fault::OWNER_STAYS);
    listed && (owner || removed == caller && state.deviates(removal::SELF_REFUSED))
}
