//! Who may do something, and where it is done: callers by their tokens, repositories under their lock.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::core::Call;
use super::decision::{Asked, Reply, Stop};
use super::deviation::Hook;
use super::faults::access as deviant;
use super::request::Request;
use super::rules::{self, login};
use super::state::State;
use super::vault::{Repo, Vault};

/// An operation on a repository: it decides by its rules, and writes.
pub(super) type Act = fn(&Asked<'_>, &mut Repo) -> Result<Reply, Stop>;

/// An operation that makes a repository.
pub(super) type Make = fn(&Asked<'_>, &Vault) -> Result<Repo, Stop>;

/// The member that the bearer token of a request stands for.
pub(super) fn caller(state: &State, request: &Request) -> Result<String, Refusal> {
    let mut caller = holder(state, request);
    state.deviate(|hook| match hook {
        Hook::Caller(bend) => bend(state, request, &mut caller),
        _ => false,
    });
    caller
}

fn holder(state: &State, request: &Request) -> Result<String, Refusal> {
    let header = request.authorization.as_deref();
    let header = header.ok_or_else(|| Refusal::unauthorized("a bearer token is needed"))?;
    let token = login::bearer(header).ok_or_else(|| Refusal::unauthorized("this is no bearer token"))?;
    let member = state.tokens().member(token);
    member.ok_or_else(|| Refusal::unauthorized("the token is unknown or over"))
}

/// Does something to the repository of the path, if there is one and the caller is its member, under the lock: what
/// `act` decides and what it writes is one step. A body that could not be read is refused after that, and not before.
pub(super) fn as_member(
    state: &State,
    call: &Call,
    body: Result<Value, Refusal>,
    act: Act,
) -> Result<Value, Refusal> {
    if !state.is_plain() {
        return deviant::as_member(state, call, body, act);
    }
    let mut vault = state.vault();
    let repo = vault.repos.get_mut(&call.repo_id).ok_or_else(unknown)?;
    rules::is_member(repo, &call.caller).map_err(Stop::refusal)?;
    let body = &body?;
    let replied = reply(act(&Asked { state, call, body }, repo))?;
    Ok(answer(repo, replied))
}

/// Stores the repository that `make` builds, under the lock.
pub(super) fn as_creator(state: &State, call: &Call, body: &Value, make: Make) -> Result<Value, Refusal> {
    if !state.is_plain() {
        return deviant::as_creator(state, call, body, make);
    }
    let mut vault = state.vault();
    let repo = make(&Asked { state, call, body }, &vault).map_err(Stop::refusal)?;
    let manifest = repo.manifest();
    vault.repos.insert(repo.id.clone(), repo);
    Ok(manifest)
}

/// The refusal of a request about a repository that is not there.
pub(super) fn unknown() -> Refusal {
    Refusal::not_found("there is no such repository")
}

/// The reply of an operation, wherever it ended.
pub(super) fn reply(ended: Result<Reply, Stop>) -> Result<Reply, Refusal> {
    match ended {
        Ok(reply) | Err(Stop::Done(reply)) => Ok(reply),
        Err(Stop::Refused(refusal)) => Err(refusal),
    }
}

/// What an operation answers, once the repository is as it is going to be.
pub(super) fn answer(repo: &Repo, reply: Reply) -> Value {
    match reply {
        Reply::Manifest => repo.manifest(),
        Reply::Value(value) => value,
        Reply::Pushed { applied } => json!({
            "accepted": applied,
            "payloadVersion": repo.version,
            "keyEpoch": repo.epoch,
            "conflict": !applied,
        }),
        Reply::Pulled { unchanged, envelope } => {
            let mut pulled = json!({ "manifest": repo.manifest() });
            if let Some(envelope) = envelope {
                pulled["envelope"] = envelope;
            }
            pulled["unchanged"] = Value::Bool(unchanged);
            pulled
        }
    }
}
