//! The core: a request in, an answer out, nothing else touched but the state.
//!
//! The order of checks is token (401), route and repository (404), membership (403), body (400). Nothing under `/v1`
//! comes before the token, not even that a route is unknown.

use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::deviation::{Edge, Scene};
use super::request::Request;
use super::route::Route;
use super::state::State;
use super::variations::{identity, rules};
use super::{auth, create, discovery, limits, members, pull, push, removal, shape, tokens};
use crate::protocol::Operation;

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

/// Answers one request.
pub(super) fn handle(state: &State, request: &Request) -> Answer {
    let mut place = None;
    let granted = grant(state, request, &mut place);
    let mut answer = granted.map_or_else(Answer::from, Answer::ok);
    if let Edge::Answer(rewrite) = state.edge()
        && rewrite(
            &Scene {
                state,
                request,
                place: place.as_ref(),
            },
            &mut answer,
        )
    {
        state.fire();
    }
    answer
}

fn grant(state: &State, request: &Request, place: &mut Option<Place>) -> Result<Value, Refusal> {
    limits::check_rate(state)?;
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
            let place = place.insert(Place {
                operation,
                repo_id,
                member_id,
                caller,
            });
            perform(state, place, request)
        }
        Route::WrongMethod(allowed) => Err(Refusal::wrong_method(allowed)),
        Route::Unknown => {
            discovery::beside(state, request).ok_or_else(|| Refusal::not_found("there is no such route"))
        }
    }
}

/// The member the bearer token stands for.
fn caller(state: &State, request: &Request) -> Result<String, Refusal> {
    let header = request.authorization.as_deref();
    let header = header.ok_or_else(|| Refusal::unauthorized("a bearer token is needed"))?;
    let token = tokens::bearer(state, header);
    let token = token.ok_or_else(|| Refusal::unauthorized("this is no bearer token"))?;
    let member = state.tokens().member(token);
    member.ok_or_else(|| Refusal::unauthorized("the token is unknown or over"))
}

fn perform(state: &State, place: &Place, request: &Request) -> Result<Value, Refusal> {
    let body = body(state, place, request);
    if state.is(rules::BODY_FIRST)
        && let Err(refusal) = body
    {
        state.fire();
        return Err(refusal);
    }
    match place.operation {
        Operation::Challenge => auth::challenge(state, &body?),
        Operation::Token => auth::token(state, &body?),
        Operation::CreateRepo => create::create(state, place, &body?),
        Operation::Pull => pull::pull(state, place, body),
        Operation::Push => push::push(state, place, body),
        Operation::AddMember => members::add(state, place, body),
        Operation::RemoveMember => removal::remove(state, place, body),
        Operation::FetchMemberKey => members::fetch(state, place),
        Operation::Discovery => discovery::document(state, request),
    }
}

/// The body, read and checked. Repository operations take the result as it is, since an unknown repository and a
/// stranger are named before a malformed body.
fn body(state: &State, place: &Place, request: &Request) -> Result<Value, Refusal> {
    let Some(shape) = shape::of(place.operation) else {
        return Ok(Value::Null);
    };
    let mut value = request.json(state)?;
    if state.is(rules::LENIENT_JSON) && shape::prune(shape, &mut value) {
        state.fire();
    }
    shape::check(shape, &value).or_else(|refusal| excuse(state, place, &value, refusal))?;
    if let Edge::Body(rewrite) = state.edge()
        && rewrite(place, &mut value)
    {
        state.fire();
    }
    Ok(value)
}

/// What a server that deviates makes of a malformed body.
fn excuse(state: &State, place: &Place, body: &Value, refusal: Refusal) -> Result<(), Refusal> {
    let text = |name: &str| body[name].is_string();
    match place.operation {
        Operation::Challenge
            if text("ed25519PublicKey") && state.deviates(identity::BAD_KEY_UNREDEEMABLE) =>
        {
            Ok(())
        }
        Operation::Token if text("signature") && state.deviates(identity::BAD_SIGNATURE_FORM_401) => {
            Err(refusal.under(401, "unauthorized"))
        }
        Operation::Token if text("ed25519PublicKey") && state.deviates(identity::BAD_TOKEN_KEY_401) => {
            Err(refusal.under(401, "unauthorized"))
        }
        _ => Err(refusal),
    }
}
