//! addMember and fetchMemberKey: the roster, one entry at a time.

use serde_json::Value;

use super::answer::Refusal;
use super::core::Call;
use super::faults::members as fault;
use super::limits;
use super::state::State;
use super::variations::rules;
use super::vault::{Reply, Repo, as_member, count, id_of, same_repo, text};

/// How long a server with a cache believes it, in milliseconds.
const CACHED_MEMBERS_MS: i64 = 2000;

/// Records an entry as it was sent.
///
/// A member who is in the roster already stays as recorded: with the same X25519 key that is the no-op the protocol
/// asks for, with another it is refused, since to swap somebody's key is to lock them out.
pub(super) fn add(state: &State, place: &Call, body: Result<Value, Refusal>) -> Result<Value, Refusal> {
    as_member(state, place, body, |repo, body| {
        same_repo(state, place, &body)?;
        let member = &body["member"];
        check_binding(state, member)?;
        check_epoch(state, repo, member)?;
        match repo.roster.iter().position(|entry| id_of(entry) == id_of(member)) {
            Some(index) if !same_keys(&repo.roster[index], member) => rekey(state, repo, index, member)?,
            Some(_) => readd(state, repo, member)?,
            None => {
                limits::check_members(state, repo.roster.len() + 1)?;
                repo.roster.push(member.clone());
                repo.last_removal = None;
            }
        }
        Ok(Reply::Manifest)
    })
}

/// The epoch of an entry is the clients' business; a server that deviates may insist on the first one.
fn check_epoch(state: &State, repo: &Repo, member: &Value) -> Result<(), Refusal> {
    if count(member, "keyEpoch") != repo.epoch && state.deviates(rules::OTHER_EPOCH_REFUSED) {
        return Err(Refusal::bad_request("the entry is of another epoch"));
    }
    match state.is(fault::FIRST_EPOCH) && repo.epoch != count(&repo.history.first, "keyEpoch") {
        true => {
            state.fire();
            Err(Refusal::bad_request("the entry is of another epoch"))
        }
        false => Ok(()),
    }
}

/// The binding is the clients' business; a server that deviates may look at it.
fn check_binding(state: &State, member: &Value) -> Result<(), Refusal> {
    let binding = member["keyBindingSig"].as_str();
    let missing = binding.is_none() && state.deviates(fault::BINDING_REQUIRED);
    let odd =
        binding.is_some_and(|text| !fault::is_signature(text)) && state.deviates(fault::BINDING_CHECKED);
    match missing || odd {
        true => Err(Refusal::bad_request("keyBindingSig is not a signature")),
        false => Ok(()),
    }
}

/// A member is added again under the same key: nothing happens.
fn readd(state: &State, repo: &mut Repo, member: &Value) -> Result<(), Refusal> {
    let refusal = Refusal::bad_request("this member is in the roster already");
    if state.deviates(fault::READD_REFUSED) {
        return Err(refusal);
    }
    if state.deviates(fault::READD_409) {
        return Err(refusal.under(409, ""));
    }
    if state.is(fault::READD_UNBOUND)
        && let Some(known) = repo.roster.iter_mut().find(|entry| id_of(entry) == id_of(member))
        && known["keyBindingSig"].is_string()
    {
        state.fire();
        known["keyBindingSig"] = Value::Null;
    }
    if state.deviates(fault::READD_TWICE) {
        repo.roster.push(member.clone());
    } else if state.deviates(fault::READD_VERSION) {
        repo.version = repo.version.saturating_add(1);
    }
    Ok(())
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
pub(super) fn fetch(state: &State, place: &Call) -> Result<Value, Refusal> {
    as_member(state, place, Ok(Value::Null), |repo, _| {
        let key = format!("entry {} {}", repo.id, place.member_id);
        let entry = entry(state, repo, &place.member_id).cloned();
        let entry = state.cached(
            fault::FETCH_MISS_CACHED,
            key.clone(),
            CACHED_MEMBERS_MS,
            entry.into(),
        );
        let mut entry = state.cached(fault::FETCH_CACHED, key, CACHED_MEMBERS_MS, entry);
        if entry.is_null() {
            return Err(Refusal::not_found("there is no such member in this repository"));
        }
        if state.is(fault::FETCH_EPOCH) && entry["keyEpoch"] != repo.epoch {
            state.fire();
            entry["keyEpoch"] = repo.epoch.into();
        }
        Ok(Reply::Value(entry))
    })
}

fn entry<'a>(state: &State, repo: &'a Repo, member_id: &str) -> Option<&'a Value> {
    let previous = || repo.history.previous.as_ref()?.entry(member_id);
    match repo.entry(member_id) {
        Some(entry) => match repo.roster.first() {
            Some(first) if first != entry && state.deviates(fault::FETCH_FIRST) => Some(first),
            _ => Some(entry),
        },
        None => alike(state, repo, member_id)
            .or_else(|| previous().filter(|_| state.deviates(fault::FETCH_REMOVED))),
    }
}

/// The entry of a member whose id is nearly that, where the server deviates so.
fn alike<'a>(state: &State, repo: &'a Repo, member_id: &str) -> Option<&'a Value> {
    let folded = state.is(fault::FETCH_FOLDED);
    let like = state.is(fault::FETCH_LIKE);
    let entry = repo.roster.iter().find(|entry| {
        let id = id_of(entry);
        folded && id.eq_ignore_ascii_case(member_id) || like && id.starts_with(member_id)
    })?;
    state.fire();
    Some(entry)
}
