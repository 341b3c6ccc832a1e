//! createRepo: stores the manifest and envelope that the client built.

use std::collections::hash_map::Entry;

use serde_json::Value;

use super::answer::Refusal;
use super::core::Place;
use super::state::State;
use super::vault::{Repo, count, id_of, list, same_repo, text};

/// Creates a repository whose only member is the caller.
pub(super) fn create(state: &State, place: &Place, body: &Value) -> Result<Value, Refusal> {
    check_roster(&body["manifest"], &place.caller)?;
    check_parts(body)?;
    match state
        .vault()
        .repos
        .entry(text(&body["manifest"], "repoId").to_owned())
    {
        Entry::Occupied(_) => Err(Refusal::duplicate()),
        Entry::Vacant(vacant) => Ok(vacant.insert(Repo::new(body)).manifest()),
    }
}

fn check_roster(manifest: &Value, caller: &str) -> Result<(), Refusal> {
    match list(manifest, "members") {
        [only] if id_of(only) == caller => Ok(()),
        _ => Err(Refusal::forbidden(
            "the roster of a new repository is exactly its creator",
        )),
    }
}

/// Manifest and envelope speak of the same repository, version and epoch.
fn check_parts(body: &Value) -> Result<(), Refusal> {
    let (manifest, envelope) = (&body["manifest"], &body["initialEnvelope"]);
    same_repo(envelope, text(manifest, "repoId"))?;
    for counter in ["payloadVersion", "keyEpoch"] {
        if count(manifest, counter) != count(envelope, counter) {
            let error = Refusal::bad_request("manifest and envelope disagree");
            return Err(error.with_detail(format!("on {counter}")));
        }
    }
    Ok(())
}
