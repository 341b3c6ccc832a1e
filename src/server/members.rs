//! addMember and fetchMemberKey: the roster, one entry at a time.

use serde_json::Value;

use super::answer::Refusal;
use super::core::Place;
use super::limits;
use super::state::State;
use super::variations::rules;
use super::vault::{Repo, Said, as_member, id_of, same_repo, text};

/// Records an entry as it was sent.
///
/// A member who is in the roster already stays as recorded: with the same X25519 key that is the no-op the protocol
/// asks for, with another it is refused, since to swap somebody's key is to lock them out.
pub(super) fn add(state: &State, place: &Place, body: Result<Value, Refusal>) -> Result<Value, Refusal> {
    as_member(state, place, |repo| {
        let body = body?;
        same_repo(state, &body, &place.repo_id)?;
        let member = &body["member"];
        match repo.roster.iter().position(|entry| id_of(entry) == id_of(member)) {
            Some(index) if !same_keys(&repo.roster[index], member) => rekey(state, repo, index, member)?,
            Some(_) => {}
            None => {
                limits::check_members(state, repo.roster.len() + 1)?;
                repo.roster.push(member.clone());
                repo.last_removal = None;
            }
        }
        Ok(Said::Manifest)
    })
}

/// A member is added again under another key.
fn rekey(state: &State, repo: &mut Repo, index: usize, member: &Value) -> Result<(), Refusal> {
    if state.deviates(rules::READD_REPLACES) {
        repo.roster[index] = member.clone();
        return Ok(());
    }
    if state.deviates(rules::READD_KEEPS) {
        return Ok(());
    }
    let refusal = Refusal::bad_request("this member is in the roster under another key");
    match state.deviates(rules::READD_FORBIDDEN) {
        true => Err(refusal.under(403, "policy_denied")),
        false => Err(refusal),
    }
}

fn same_keys(one: &Value, other: &Value) -> bool {
    text(one, "x25519PublicKey") == text(other, "x25519PublicKey")
}

/// Answers one entry of the roster.
pub(super) fn fetch(state: &State, place: &Place) -> Result<Value, Refusal> {
    as_member(state, place, |repo| {
        let entry = repo.entry(&place.member_id).cloned();
        let entry = entry.ok_or_else(|| Refusal::not_found("there is no such member in this repository"))?;
        Ok(Said::Value(entry))
    })
}
