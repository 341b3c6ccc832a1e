//! How a server that deviates gets at its repositories: the steps of `access`, each as such a server takes it, and what it
//! does to what an operation has written or refused.

use std::ops::ControlFlow;

use serde_json::Value;

use super::races::{self, Race, Window};
use super::{authorization, create, malformed, members, neighbours, push, removal, routes};
use crate::avp::Operation;
use crate::avp::server::access::{Act, Make, answer, reply, unknown};
use crate::avp::server::answer::Refusal;
use crate::avp::server::core::Call;
use crate::avp::server::decision::{Asked, Reply, Rule, Stop};
use crate::avp::server::deviation::Hook;
use crate::avp::server::rules;
use crate::avp::server::state::{State, now};
use crate::avp::server::variations::rules::BODY_FIRST;
use crate::avp::server::vault::{Repo, Vault, count, id_of, text};

/// How long a write takes to be seen where it takes its time, milliseconds.
pub(super) const LAG_MS: i64 = 60;

/// What has been, kept for deviations that go back to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::avp::server) struct History {
    /// Who created the repository.
    pub(in crate::avp::server) creator: String,
    /// Who was a member.
    pub(in crate::avp::server) former: Vec<String>,
    /// The first envelope.
    pub(in crate::avp::server) first: Value,
    /// The repository before its last write.
    pub(in crate::avp::server) previous: Option<Box<Repo>>,
    /// When that was.
    pub(in crate::avp::server) written: i64,
}

/// [`access::as_member`](crate::avp::server::access::as_member), as a server does it that deviates.
pub(in crate::avp::server) fn as_member(
    state: &State,
    call: &Call,
    body: Result<Value, Refusal>,
    act: Act,
) -> Result<Value, Refusal> {
    if body.is_err() && state.deviates(BODY_FIRST) {
        return body;
    }
    let mut vault = state.vault();
    let sent = body.as_ref().cloned().unwrap_or_default();
    let target = match admit(state, &vault, call, &sent)? {
        ControlFlow::Continue(target) => target,
        ControlFlow::Break(answered) => return Ok(answered),
    };
    if state.is(authorization::BEFORE_THE_LOCK) {
        drop(vault);
        Window::Wide.pass();
        vault = state.vault();
        let repo = vault.repos.get(&target);
        if repo.is_none_or(|repo| repo.entry(&call.caller).is_none()) {
            state.count(authorization::BEFORE_THE_LOCK);
        }
    }
    let repo = vault.repos.get_mut(&target).ok_or_else(unknown)?;
    if let Some(seen) = lagging(state, call, repo) {
        let (mut seen, body) = (seen.ok_or_else(unknown)?, body?);
        let body = &body;
        let replied = reply(act(&Asked { state, call, body }, &mut seen))?;
        return Ok(answer(&seen, replied));
    }
    if let Some(race) = races::of(state, call.operation) {
        let read = repo.clone();
        drop(vault);
        let body = &body?;
        return act_in_two_steps(&Asked { state, call, body }, race, &read, act);
    }
    let before = repo.clone();
    let ended = body.map_err(Stop::from).and_then(|mut body| {
        state.deviate(|hook| match hook {
            Hook::Body(amend) => amend(call, repo, &mut body),
            _ => false,
        });
        let body = &body;
        act(&Asked { state, call, body }, repo)
    });
    let asked = Asked {
        state,
        call,
        body: &sent,
    };
    let answered = finish(&asked, before, repo, reply(ended))?;
    state.deviate(|hook| match hook {
        Hook::Across(change) => change(call, &sent, &mut vault, &target),
        _ => false,
    });
    Ok(answered)
}

/// The repository that a request may touch, or what is answered without touching one.
fn admit(
    state: &State,
    vault: &Vault,
    call: &Call,
    body: &Value,
) -> Result<ControlFlow<Value, String>, Refusal> {
    let (gate, target) = authorization::repos(state, vault, call, body);
    let gate = vault.repos.get(gate).ok_or_else(unknown)?;
    if let Some(known) = unguarded(state, call, gate, body) {
        return Ok(ControlFlow::Break(known));
    }
    let asked = Asked { state, call, body };
    asked
        .decide(Rule::Member(vault, gate), rules::is_member(gate, &call.caller))
        .map_err(Stop::refusal)?;
    match neighbours::entry(state, vault, &call.member_id, target) {
        Some(entry) => Ok(ControlFlow::Break(entry)),
        None => Ok(ControlFlow::Continue(target.to_owned())),
    }
}

/// [`access::as_creator`](crate::avp::server::access::as_creator), as a server does it that deviates.
pub(in crate::avp::server) fn as_creator(
    state: &State,
    call: &Call,
    body: &Value,
    make: Make,
) -> Result<Value, Refusal> {
    let mut vault = state.vault();
    let id = text(&body["manifest"], "repoId");
    let id = routes::kept_under(state, &vault, id).into_owned();
    let mut repo = match make(&Asked { state, call, body }, &vault) {
        Ok(repo) => repo,
        Err(stop) => return not_created(state, call, body, vault.repos.get_mut(&id), stop),
    };
    if let Some(window) = create_window(state) {
        drop(vault);
        window.pass();
        vault = state.vault();
        if vault.repos.contains_key(&id) {
            state.fire();
        }
    }
    let stored = created(state, call, &mut repo);
    let manifest = repo.manifest();
    if stored {
        vault.repos.insert(id.clone(), repo);
    }
    state.deviate(|hook| match hook {
        Hook::Across(change) => change(call, body, &mut vault, &id),
        _ => false,
    });
    Ok(manifest)
}

/// What becomes of the repository that stands in the way of a new one, and what is answered.
fn not_created(
    state: &State,
    call: &Call,
    body: &Value,
    existing: Option<&mut Repo>,
    stop: Stop,
) -> Result<Value, Refusal> {
    let Some(existing) = existing else {
        return Err(stop.refusal());
    };
    if stop == Stop::Refused(Refusal::duplicate()) {
        state.deviate(|hook| match hook {
            Hook::Refusal(change) => change(call, body, existing),
            _ => false,
        });
    }
    reply(Err(stop)).map(|reply| answer(existing, reply))
}

/// How long a create lets others in between its check and its write; not at all, unless that is the fault.
fn create_window(state: &State) -> Option<Window> {
    match () {
        () if state.is(races::CREATE_WIDE) => Some(Window::Wide),
        () if state.is(races::CREATE_NARROW) => Some(Window::Narrow),
        () => None,
    }
}

/// Lets a deviation at what was just done, and finds the answer.
fn finish(
    asked: &Asked<'_>,
    before: Repo,
    repo: &mut Repo,
    mut replied: Result<Reply, Refusal>,
) -> Result<Value, Refusal> {
    let (state, call, body) = (asked.state, asked.call, asked.body);
    let refused = matches!(replied, Err(_) | Ok(Reply::Pushed { applied: false }));
    let written = differs(&before, repo);
    state.deviate(|hook| match hook {
        Hook::Write(change) if written => change(call, &before, repo),
        Hook::Refusal(change) if refused => change(call, body, repo),
        Hook::Unchanged(change) if !written && !refused => change(call, body, repo),
        _ => false,
    });
    state.deviate(|hook| match hook {
        Hook::Reply(change) => change(asked, repo, &mut replied),
        _ => false,
    });
    let answered = replied.map(|replied| answer(repo, replied));
    if written && is_forgotten(state, call.operation) {
        *repo = before;
    } else if written {
        record(before, repo);
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
fn created(state: &State, place: &Call, repo: &mut Repo) -> bool {
    repo.history.creator.clone_from(&place.caller);
    repo.history.first = repo.envelope.clone();
    repo.history.written = now();
    let before = repo.clone();
    state.deviate(|hook| match hook {
        Hook::Write(change) => change(place, &before, repo),
        _ => false,
    });
    !is_forgotten(state, Operation::CreateRepo)
}

/// What a server answers to a caller who is no member, since it looks for what it has answered before it looks at the
/// caller.
fn unguarded(state: &State, place: &Call, repo: &Repo, body: &Value) -> Option<Value> {
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
fn lagging(state: &State, place: &Call, repo: &Repo) -> Option<Option<Repo>> {
    let reads = matches!(place.operation, Operation::Pull | Operation::FetchMemberKey);
    if !reads || now() - repo.history.written >= LAG_MS {
        return None;
    }
    match &repo.history.previous {
        None => state.deviates(create::VISIBLE_LATE).then_some(None),
        Some(previous) => {
            let version_moved = previous.version != repo.version && previous.epoch == repo.epoch;
            let removed = previous.roster.len() > repo.roster.len();
            let here = version_moved && state.deviates(push::VISIBLE_LATE)
                || removed && state.deviates(removal::TAKES_EFFECT_LATE);
            here.then(|| Some((**previous).clone()))
        }
    }
}

/// Does an operation in two steps, between which others may write.
fn act_in_two_steps(asked: &Asked<'_>, race: Race, read: &Repo, act: Act) -> Result<Value, Refusal> {
    let (state, place) = (asked.state, asked.call);
    let mut mine = read.clone();
    let replied = reply(act(asked, &mut mine))?;
    if !differs(read, &mine) {
        return Ok(answer(&mine, replied));
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
            return Ok(answer(current, replied));
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
    Ok(answer(current, replied))
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
    let stored = || state.vault().repos.get(&place.repo_id).cloned();
    let before = stored();
    let _ = as_member(state, place, Ok(body.clone()), half);
    if before != stored() {
        state.fire();
    }
}

fn half(asked: &Asked<'_>, repo: &mut Repo) -> Result<Reply, Stop> {
    let body = asked.body;
    match asked.call.operation {
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
}

fn is_current(repo: &Repo, body: &Value) -> bool {
    count(body, "expectedPayloadVersion") == repo.version
}
