//! addMember and fetchMemberKey: the roster, one entry at a time.

use serde_json::Value;

use super::answer::Refusal;
use super::core::Place;
use super::state::State;
use super::vault::{as_member, id_of, same_repo, text};

/// Records an entry as it was sent.
///
/// A member who is in the roster already stays as recorded: with the same X25519 key that is the no-op the protocol
/// asks for, with another it is refused, since to swap somebody's key is to lock them out.
pub(super) fn add(state: &State, place: &Place, body: Result<Value, Refusal>) -> Result<Value, Refusal> {
    as_member(state, &place.repo_id, &place.caller, |repo| {
        let body = body?;
        same_repo(&body, &place.repo_id)?;
        let member = &body["member"];
        match repo.entry(id_of(member)) {
            Some(entry) if !same_keys(entry, member) => Err(Refusal::bad_request(
                "this member is in the roster under another key",
            )),
            Some(_) => Ok(repo.manifest()),
            None => {
                repo.roster.push(member.clone());
                repo.last_removal = None;
                Ok(repo.manifest())
            }
        }
    })
}

fn same_keys(one: &Value, other: &Value) -> bool {
    text(one, "x25519PublicKey") == text(other, "x25519PublicKey")
}

/// Answers one entry of the roster.
pub(super) fn fetch(state: &State, place: &Place) -> Result<Value, Refusal> {
    as_member(state, &place.repo_id, &place.caller, |repo| {
        let entry = repo.entry(&place.member_id).cloned();
        entry.ok_or_else(|| Refusal::not_found("there is no such member in this repository"))
    })
}
