//! pull: the manifest, and the envelope unless the client has it.

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::Refusal;
use super::core::Call;
use super::faults::{pull as fault, races};
use super::state::State;
use super::vault::{Reply, Repo, as_member, count, same_repo};

/// How long a server with a cache believes it, in milliseconds.
const CACHED_PULL_MS: i64 = 300;

/// Answers what a member needs to be up to date.
pub(super) fn pull(state: &State, place: &Call, body: Result<Value, Refusal>) -> Result<Value, Refusal> {
    let mut answered = as_member(state, place, body, |repo, body| {
        same_repo(state, place, &body)?;
        let known = count(&body, "knownPayloadVersion");
        check_known(state, repo, known)?;
        let unchanged = is_current(state, repo, known);
        let mut fresh = answer(state, repo, unchanged);
        if unchanged {
            let key = format!("unchanged {} {known}", repo.id);
            fresh = state.cached(fault::UNCHANGED_CACHED, key, CACHED_PULL_MS * 100, fresh);
        }
        let key = format!("pull {} {} {known}", repo.id, place.caller);
        let fresh = state.cached(fault::CACHED, key, CACHED_PULL_MS, fresh);
        let key = format!("pull {} {} {}", repo.id, place.caller, repo.version);
        Ok(Reply::Value(state.cached(
            fault::CACHED_FOR_ALL_VERSIONS,
            key,
            CACHED_PULL_MS,
            fresh,
        )))
    })?;
    if state.is(fault::TORN) && answered["envelope"].is_object() {
        races::sleep(Duration::from_millis(3));
        let vault = state.vault();
        let repo = vault.repos.get(&place.repo_id);
        if let Some(repo) = repo.filter(|repo| repo.envelope != answered["envelope"]) {
            state.fire();
            answered["envelope"] = repo.envelope.clone();
        }
    }
    Ok(answered)
}

/// Any version may be known; a server that deviates may think otherwise.
fn check_known(state: &State, repo: &Repo, known: i64) -> Result<(), Refusal> {
    if known > repo.version && state.deviates(fault::AHEAD_REFUSED) {
        return Err(Refusal::bad_request("there is no such version"));
    }
    match known == 0 && state.deviates(fault::ZERO_REFUSED) {
        true => Err(Refusal::bad_request("knownPayloadVersion is required")),
        false => Ok(()),
    }
}

/// Whether the client has the current version.
fn is_current(state: &State, repo: &Repo, known: i64) -> bool {
    match known.cmp(&repo.version) {
        Ordering::Equal => !state.deviates(fault::NEVER_UNCHANGED),
        Ordering::Greater => {
            state.deviates(fault::AHEAD_UNCHANGED) || state.deviates(fault::ALWAYS_UNCHANGED)
        }
        Ordering::Less if known.saturating_add(1) == repo.version => {
            state.deviates(fault::ONE_BEHIND_UNCHANGED) || state.deviates(fault::ALWAYS_UNCHANGED)
        }
        Ordering::Less => state.deviates(fault::ALWAYS_UNCHANGED),
    }
}

fn answer(state: &State, repo: &Repo, unchanged: bool) -> Value {
    let manifest = repo.manifest();
    if unchanged && !state.deviates(fault::ENVELOPE_ALWAYS) {
        return json!({ "manifest": manifest, "unchanged": true });
    }
    json!({ "manifest": manifest, "envelope": envelope(state, repo), "unchanged": unchanged })
}

/// The current envelope, unless the server serves another.
fn envelope<'a>(state: &State, repo: &'a Repo) -> &'a Value {
    if state.is_faultless() {
        return &repo.envelope;
    }
    let (first, previous) = (
        &repo.history.first,
        repo.history.previous.as_ref().map(|repo| &repo.envelope),
    );
    match previous {
        Some(previous) if *previous != repo.envelope && state.deviates(fault::STALE_ENVELOPE) => previous,
        _ if *first != repo.envelope && state.deviates(fault::FIRST_ENVELOPE) => first,
        _ => &repo.envelope,
    }
}
