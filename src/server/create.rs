//! createRepo: stores the manifest and envelope that the client built.

use serde_json::Value;

use super::answer::Refusal;
use super::core::Place;
use super::limits;
use super::state::State;
use super::variations::rules;
use super::vault::{Repo, count, id_of, list, same_envelope, text};

/// Creates a repository whose only member is the caller.
pub(super) fn create(state: &State, place: &Place, body: &Value) -> Result<Value, Refusal> {
    check_roster(state, &body["manifest"], &place.caller)?;
    check_parts(state, body)?;
    let id = text(&body["manifest"], "repoId");
    let mut vault = state.vault();
    if vault.repos.contains_key(id) {
        return Err(Refusal::duplicate());
    }
    limits::check_repos(state, &vault, &place.caller)?;
    let repo = Repo::new(body);
    let manifest = repo.manifest();
    vault.repos.insert(id.to_owned(), repo);
    Ok(manifest)
}

fn check_roster(state: &State, manifest: &Value, caller: &str) -> Result<(), Refusal> {
    if matches!(list(manifest, "members"), [only] if id_of(only) == caller) {
        return Ok(());
    }
    let refusal = Refusal::forbidden("the roster of a new repository is exactly its creator");
    match state.deviates(rules::BAD_CREATE_400) {
        true => Err(refusal.under(400, "bad_request")),
        false => Err(refusal),
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
