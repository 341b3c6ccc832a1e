//! The core: a request in, an answer out, nothing else touched but the state.
//!
//! The order of checks is token (401), route and repository (404), membership (403), body (400). Nothing under `/v1`
//! comes before the token, not even that a route is unknown.

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::request::Request;
use super::route::Route;
use super::state::State;
use super::{auth, create, members, pull, push, removal, shape, tokens};
use crate::protocol::Operation;

/// Answers one request.
pub(super) fn handle(state: &State, request: &Request) -> Answer {
    grant(state, request).map_or_else(Answer::from, Answer::ok)
}

fn grant(state: &State, request: &Request) -> Result<Value, Refusal> {
    let caller = match request.path.starts_with("/v1/") {
        true => caller(state, request)?,
        false => String::new(),
    };
    match Route::of(&request.method, &request.path) {
        Route::To {
            operation,
            repo_id,
            member_id,
        } => {
            let place = Place {
                operation,
                repo_id,
                member_id,
                caller,
            };
            perform(state, &place, request)
        }
        Route::WrongMethod(allowed) => Err(Refusal::wrong_method(allowed)),
        Route::Unknown => Err(Refusal::not_found("there is no such route")),
    }
}

/// What a request is about: the operation, the ids of its path and who asks.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The operation.
    pub(super) operation: Operation,
    /// The repository of the path.
    pub(super) repo_id: String,
    /// The member of the path.
    pub(super) member_id: String,
    /// The member id the token stands for; empty where none is needed.
    pub(super) caller: String,
}

/// The member the bearer token stands for.
fn caller(state: &State, request: &Request) -> Result<String, Refusal> {
    let header = request.authorization.as_deref();
    let header = header.ok_or_else(|| Refusal::unauthorized("a bearer token is needed"))?;
    let token = tokens::bearer(header).ok_or_else(|| Refusal::unauthorized("this is no bearer token"))?;
    let member = state.tokens().member(token);
    member.ok_or_else(|| Refusal::unauthorized("the token is unknown or over"))
}

fn perform(state: &State, place: &Place, request: &Request) -> Result<Value, Refusal> {
    let body = body(place.operation, request);
    match place.operation {
        Operation::Challenge => auth::challenge(state, &body?),
        Operation::Token => auth::token(state, &body?),
        Operation::CreateRepo => create::create(state, place, &body?),
        Operation::Pull => pull::pull(state, place, body),
        Operation::Push => push::push(state, place, body),
        Operation::AddMember => members::add(state, place, body),
        Operation::RemoveMember => removal::remove(state, place, body),
        Operation::FetchMemberKey => members::fetch(state, place),
        Operation::Discovery => Ok(json!({ "profiles": ["http-json"] })),
    }
}

/// The body, read and checked. Repository operations take the result as it is, since an unknown repository and a
/// stranger are named before a malformed body.
fn body(operation: Operation, request: &Request) -> Result<Value, Refusal> {
    let Some(shape) = shape::of(operation) else {
        return Ok(Value::Null);
    };
    let value = request.json()?;
    shape::check(shape, &value)?;
    Ok(value)
}
