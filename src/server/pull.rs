//! pull: the manifest, and the envelope unless the client has it.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::core::Place;
use super::state::State;
use super::vault::{Repo, Said, as_member, count, same_repo};

/// Answers what a member needs to be up to date.
pub(super) fn pull(state: &State, place: &Place, body: Result<Value, Refusal>) -> Result<Value, Refusal> {
    as_member(state, place, |repo| {
        let body = body?;
        same_repo(state, &body, &place.repo_id)?;
        Ok(Said::Value(answer(repo, count(&body, "knownPayloadVersion"))))
    })
}

fn answer(repo: &Repo, known: i64) -> Value {
    let manifest = repo.manifest();
    if known == repo.version {
        return json!({ "manifest": manifest, "unchanged": true });
    }
    json!({ "manifest": manifest, "envelope": repo.envelope, "unchanged": false })
}
