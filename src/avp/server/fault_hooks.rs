//! What deviations do around an operation: to what it wrote, to what it refused, and between its decision and its
//! write. A server that does not deviate passes through here unchanged.

use serde_json::Value;

use super::admission::REMOVAL_LAG_MS;
use super::answer::Refusal;
use super::core::Call;
use super::deviation::Hook;
use super::faults::races::Race;
use super::faults::{create, malformed, members, push, removal};
use super::state::{State, now};
use super::vault::{Reply, Repo, answer, as_member, count, id_of, text};
use crate::avp::Operation;

/// What has been, kept for deviations that go back to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct History {
    /// Who created the repository.
    pub(super) creator: String,
    /// Who was a member.
    pub(super) former: Vec<String>,
    /// The first envelope.
    pub(super) first: Value,
    /// The repository before its last write.
    pub(super) previous: Option<Box<Repo>>,
    /// When that was.
    pub(super) written: i64,
}

/// What was, before an operation: the repository and the body.
pub(super) struct Before {
    repo: Repo,
    body: Value,
}

/// Takes note of what is; nothing on a server that does not deviate.
pub(super) fn before(state: &State, repo: &Repo, body: &Value) -> Option<Before> {
    (!state.is_faultless()).then(|| Before {
        repo: repo.clone(),
        body: body.clone(),
    })
}

/// Lets a deviation at what was just done, and finds the answer.
pub(super) fn deviate_and_answer(
    state: &State,
    place: &Call,
    before: Option<Before>,
    repo: &mut Repo,
    said: Result<Reply, Refusal>,
) -> Result<Value, Refusal> {
    let Some(before) = before else {
        return said.map(|said| answer(repo, said));
    };
    let refused = matches!(said, Err(_) | Ok(Reply::Pushed { applied: false }));
    let written = differs(&before.repo, repo);
    for deviation in state.deviations() {
        match deviation.edge {
            Hook::Write(change) if written && change(place, &before.repo, repo) => deviation.fire(),
            Hook::Refusal(change) if refused && change(place, &before.body, repo) => deviation.fire(),
            _ => {}
        }
    }
    let answered = said.map(|said| answer(repo, said));
    if written && is_forgotten(state, place.operation) {
        *repo = before.repo;
    } else if written {
        record(before.repo, repo);
    }
    answered
}

/// Whether a write is answered and then forgotten.
fn is_forgotten(state: &State, operation: Operation) -> bool {
    match operation {
        Operation::Push => state.deviates(push::CANARY),
        Operation::AddMember => state.deviates(members::ANSWERED_ONLY),
        Operation::RemoveMember => state.deviates(removal::ANSWERED_ONLY),
        Operation::CreateRepo => state.deviates(create::ANSWERED_ONLY),
        _ => false,
    }
}

fn record(mut before: Repo, repo: &mut Repo) {
    let gone = before
        .roster
        .iter()
        .filter(|entry| repo.entry(id_of(entry)).is_none());
    let gone: Vec<String> = gone.map(|entry| id_of(entry).to_owned()).collect();
    repo.history.former.extend(gone);
    repo.history.written = now();
    before.history.previous = None;
    repo.history.previous = Some(Box::new(before));
}

/// Lets a deviation at a repository that is about to be stored for the first time; false where it is not stored.
pub(super) fn created(state: &State, place: &Call, repo: &mut Repo) -> bool {
    if state.is_faultless() {
        return true;
    }
    repo.history.creator.clone_from(&place.caller);
    repo.history.first = repo.envelope.clone();
    repo.history.written = now();
    let before = repo.clone();
    for deviation in state.deviations() {
        if let Hook::Write(change) = deviation.edge
            && change(place, &before, repo)
        {
            deviation.fire();
        }
    }
    !is_forgotten(state, Operation::CreateRepo)
}

/// What a server answers to a caller who is no member, since it looks for what it has answered before it looks at the
/// caller.
pub(super) fn unguarded(state: &State, place: &Call, repo: &Repo, body: &Value) -> Option<Value> {
    let known = match place.operation {
        Operation::RemoveMember => {
            state.is(removal::REPLAY_UNGUARDED) && repo.last_removal.as_ref() == Some(body)
        }
        Operation::AddMember => {
            state.is(members::READD_UNGUARDED) && repo.entry(id_of(&body["member"])) == Some(&body["member"])
        }
        _ => false,
    };
    (known && repo.entry(&place.caller).is_none()).then(|| {
        state.fire();
        repo.manifest()
    })
}

/// The repository as a server sees it that reads elsewhere than it writes; `None` inside for one that is not there yet.
pub(super) fn lagging(state: &State, place: &Call, repo: &Repo) -> Option<Option<Repo>> {
    let reads = matches!(place.operation, Operation::Pull | Operation::FetchMemberKey);
    if !reads || now() - repo.history.written >= REMOVAL_LAG_MS {
        return None;
    }
    match &repo.history.previous {
        None => state.deviates(create::REMOVAL_LAG_MS).then_some(None),
        Some(previous) => {
            let version_moved = previous.version != repo.version && previous.epoch == repo.epoch;
            let removed = previous.roster.len() > repo.roster.len();
            let here = version_moved && state.deviates(push::REMOVAL_LAG_MS)
                || removed && state.deviates(removal::REMOVAL_LAG_MS);
            here.then(|| Some((**previous).clone()))
        }
    }
}

/// Does an operation in two steps, between which others may write.
pub(super) fn race(
    state: &State,
    place: &Call,
    race: Race,
    read: &Repo,
    act: impl FnOnce(&mut Repo) -> Result<Reply, Refusal>,
) -> Result<Value, Refusal> {
    let mut mine = read.clone();
    let said = act(&mut mine)?;
    if !differs(read, &mine) {
        return Ok(answer(&mine, said));
    }
    race.window().pass();
    let mut vault = state.vault();
    let Some(current) = vault.repos.get_mut(&place.repo_id) else {
        return Err(Refusal::not_found("there is no such repository"));
    };
    let meanwhile = differs(read, current);
    match race {
        Race::KeepsVersion if current.version != read.version => {
            return Ok(answer(current, Reply::Pushed { applied: false }));
        }
        Race::Inserts(_) if place.operation == Operation::AddMember => {
            let added = mine.roster.pop().unwrap_or_default();
            if current.entry(id_of(&added)).is_some() {
                state.fire();
            }
            current.roster.push(added);
            return Ok(answer(current, said));
        }
        Race::Fails(status) if meanwhile => {
            state.fire();
            return Err(Refusal::failure(
                status,
                "could not serialize access due to concurrent update",
            ));
        }
        _ if meanwhile => state.fire(),
        _ => {}
    }
    *current = mine;
    Ok(answer(current, said))
}

/// Whether two states of a repository differ in what is served.
fn differs(one: &Repo, other: &Repo) -> bool {
    (one.version, one.epoch, one.policy) != (other.version, other.epoch, other.policy)
        || one.roster != other.roster
        || one.envelope != other.envelope
}

/// Does half of what a malformed request asks for, on a server that validates as it goes.
pub(super) fn do_half(state: &State, place: &Call, body: &Value) {
    if !malformed::half_done(place.operation).is_some_and(|name| state.is(name)) {
        return;
    }
    let act = |repo: &mut Repo| {
        match place.operation {
            Operation::AddMember if body["member"].is_object() => repo.roster.push(body["member"].clone()),
            Operation::Push if is_current(repo, body) && body["envelope"].is_object() => {
                repo.store(&body["envelope"]);
            }
            Operation::RemoveMember => repo
                .roster
                .retain(|entry| id_of(entry) != text(body, "removedMemberId")),
            _ => {}
        }
        Ok(Reply::Value(Value::Null))
    };
    let before = state.vault().repos.get(&place.repo_id).cloned();
    let _ = as_member(state, place, Ok(body.clone()), |repo, _| act(repo));
    let after = state.vault().repos.get(&place.repo_id).cloned();
    if before != after {
        state.fire();
    }
}

fn is_current(repo: &Repo, body: &Value) -> bool {
    count(body, "expectedPayloadVersion") == repo.version
}
