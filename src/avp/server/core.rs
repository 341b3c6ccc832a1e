//! The core: a request in, an answer out, nothing else touched but the state.
//!
//! The order of checks is token (401), route and repository (404), membership (403), body (400). Nothing under `/v1`
//! comes before the token, not even that a route is unknown.

use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::decision::{Asked, Stop};
use super::deviation::{AnswerContext, Hook};
use super::faults::{bodies, routes};
use super::operations::{auth, create, discovery, members, pull, push, removal};
use super::request::Request;
use super::route::Route;
use super::state::State;
use super::{access, body_check, limits, message_shapes};
use crate::avp::Operation;

/// What a request is about: the operation, the ids of its path and who asks.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The operation.
    pub(super) operation: Operation,
    /// The repository of the path.
    pub(super) repo_id: String,
    /// The member of the path.
    pub(super) member_id: String,
    /// The member id the token stands for; empty where none is needed.
    pub(super) caller: String,
    /// Whether the caller was let in before the body was read.
    pub(super) admitted: bool,
}

/// Answers one request.
pub(super) fn handle(state: &State, request: &Request) -> Answer {
    let mut place = None;
    let granted = grant(state, request, &mut place);
    finish(state, request, place, granted)
}

/// Answers a call of an operation that names its repository and member in another place than the path. A faulty server may take
/// its caller for somebody else.
pub(super) fn call(
    state: &State,
    request: &Request,
    operation: Operation,
    repo_id: &str,
    member_id: &str,
    stand_in: Option<String>,
) -> Answer {
    let mut place = None;
    let granted = limits::check_rate(state)
        .and_then(|()| match operation.needs_token() {
            true => stand_in.map_or_else(|| access::caller(state, request), Ok),
            false => Ok(String::new()),
        })
        .and_then(|caller| {
            let place = place.insert(Call {
                operation,
                repo_id: repo_id.to_owned(),
                member_id: member_id.to_owned(),
                caller,
                admitted: request.admitted,
            });
            perform(state, place, request)
        });
    finish(state, request, place, granted)
}

/// The answer, as this server gives it.
fn finish(state: &State, request: &Request, place: Option<Call>, granted: Result<Value, Refusal>) -> Answer {
    let mut answer = granted.map_or_else(Answer::from, Answer::ok);
    let scene = AnswerContext {
        state,
        request,
        place: place.as_ref(),
    };
    state.deviate(|hook| match hook {
        Hook::Answer(rewrite) => rewrite(&scene, &mut answer),
        _ => false,
    });
    answer
}

fn grant(state: &State, request: &Request, place: &mut Option<Call>) -> Result<Value, Refusal> {
    limits::check_rate(state)?;
    let path = routes::path(state, &request.path);
    let caller = match request.path.starts_with("/v1/") {
        true => access::caller(state, request)?,
        false => String::new(),
    };
    match Route::of(&request.method, &path) {
        Route::To {
            operation,
            repo_id,
            member_id,
        } => {
            let repo_id = routes::id(state, &repo_id).into_owned();
            let place = place.insert(Call {
                operation,
                repo_id,
                member_id,
                caller,
                admitted: request.admitted,
            });
            perform(state, place, request)
        }
        Route::WrongMethod(allowed) => Err(Refusal::wrong_method(allowed)),
        Route::Unknown => Err(Refusal::not_found("there is no such route")),
    }
}

/// Whether the caller is a member by what the head of a request says; nobody can say so of a repository that is not there.
pub(super) fn admits(state: &State, head: &Request) -> bool {
    let (Ok(caller), Route::To { repo_id, .. }) =
        (access::caller(state, head), Route::of(&head.method, &head.path))
    else {
        return false;
    };
    let vault = state.vault();
    let repo = vault.repos.get(&repo_id);
    repo.is_none_or(|repo| repo.entry(&caller).is_some())
}

fn perform(state: &State, call: &Call, request: &Request) -> Result<Value, Refusal> {
    let body = body(state, call, request);
    match call.operation {
        Operation::Challenge => login(state, call, &body?, auth::challenge),
        Operation::Token => login(state, call, &body?, auth::token),
        Operation::CreateRepo => access::as_creator(state, call, &body?, create::create),
        Operation::Pull => access::as_member(state, call, body, pull::pull),
        Operation::Push => access::as_member(state, call, body, push::push),
        Operation::AddMember => access::as_member(state, call, body, members::add),
        Operation::RemoveMember => access::as_member(state, call, body, removal::remove),
        Operation::FetchMemberKey => access::as_member(state, call, body, members::fetch),
        Operation::Discovery => Ok(discovery::document(state.speaks_grpc)),
    }
}

/// An operation that needs no token.
fn login(
    state: &State,
    call: &Call,
    body: &Value,
    act: fn(&Asked<'_>) -> Result<Value, Stop>,
) -> Result<Value, Refusal> {
    act(&Asked { state, call, body }).map_err(Stop::refusal)
}

/// The body, read and checked. Repository operations take the result as it is, since an unknown repository and a
/// stranger are named before a malformed body.
fn body(state: &State, call: &Call, request: &Request) -> Result<Value, Refusal> {
    let Some(shape) = message_shapes::of(call.operation) else {
        return Ok(Value::Null);
    };
    if !state.is_plain() {
        return bodies::read(state, call, request, shape);
    }
    let value = request.json(state)?;
    body_check::check(shape, &value)?;
    Ok(value)
}
