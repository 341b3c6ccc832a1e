//! The core: a request in, an answer out, nothing else touched but the state.
//!
//! The order of checks is token (401), route and repository (404), membership (403), body (400). Nothing under `/v1`
//! comes before the token, not even that a route is unknown.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Answer, Manner, Refusal, Script, Then};
use super::body_check::Laxity;
use super::deviation::{AnswerContext, Hook};
use super::faults::auth as signatures;
use super::faults::push::NO_ENVELOPE;
use super::faults::transport::CHUNKED_EMPTY;
use super::faults::{authorization, errors, fidelity, malformed, races, routes, tokens as fault};
use super::message_shapes::Shape;
use super::request::Request;
use super::route::Route;
use super::state::{State, now};
use super::variations::{identity, rules, transport};
use super::{
    auth, body_check, create, discovery, fault_hooks, limits, members, message_shapes, pull, push, removal,
    tokens,
};
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
    let granted = kept(state, request).map_or_else(|| grant(state, request, &mut place), Ok);
    keep(state, request, &granted);
    let mut answer = granted.map_or_else(Answer::from, Answer::ok);
    if answer.status == 413 && state.is(errors::SIZE_RESET) {
        answer.manner = Manner::ByHand(Script {
            steps: Vec::new(),
            then: Then::Close,
        });
    }
    let scene = AnswerContext {
        request,
        place: place.as_ref(),
    };
    for deviation in state.deviations() {
        if let Hook::Answer(rewrite) = deviation.edge
            && rewrite(&scene, &mut answer)
        {
            deviation.fire();
        }
    }
    answer
}

/// How long a cache in front of the server keeps an answer, in milliseconds.
const CACHED_ANSWER_MS: i64 = 2000;

/// What a cache in front of a server has of an address, whoever asks.
fn kept(state: &State, request: &Request) -> Option<Value> {
    if !state.is(fault::CACHED_BY_ADDRESS) || request.method != "GET" {
        return None;
    }
    let (at, known) = state.recall(&request.path)?;
    (now() - at < CACHED_ANSWER_MS).then(|| {
        state.fire();
        known
    })
}

fn keep(state: &State, request: &Request, granted: &Result<Value, Refusal>) {
    if let (Ok(value), true) = (
        granted,
        state.is(fault::CACHED_BY_ADDRESS) && request.method == "GET",
    ) {
        state.remember(request.path.clone(), value.clone());
    }
}

fn grant(state: &State, request: &Request, place: &mut Option<Call>) -> Result<Value, Refusal> {
    limits::check_rate(state)?;
    let asks_for_head = request.method == "HEAD" && request.path.starts_with("/v1/");
    if asks_for_head && state.deviates(fault::HEAD_OPEN) {
        return Ok(Value::Null);
    }
    let path = routes::path(state, &request.path);
    let around = path
        .strip_suffix('/')
        .filter(|_| state.is(routes::SLASH_UNGUARDED));
    let route = Route::of(&request.method, around.unwrap_or(&path));
    if around.is_some() && matches!(route, Route::To { .. }) {
        state.fire();
    }
    let caller = match request.path.starts_with("/v1/") && around.is_none() {
        true => caller(state, request).or_else(|refusal| anonymous(state, request, &route, refusal))?,
        false => String::new(),
    };
    match route {
        Route::To { .. } if request.path.contains("%2F") && state.deviates(routes::SLASH_REFUSED) => {
            Err(Refusal::bad_request("the path holds an escaped slash"))
        }
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
        Route::Unknown => {
            discovery::beside(state, request).ok_or_else(|| Refusal::not_found("there is no such route"))
        }
    }
}

/// Whether the caller is a member by what the head of a request says; nobody can say so of a repository that is not there.
pub(super) fn admits(state: &State, head: &Request) -> bool {
    let (Ok(caller), Route::To { repo_id, .. }) = (caller(state, head), Route::of(&head.method, &head.path))
    else {
        return false;
    };
    let vault = state.vault();
    let repo = vault.repos.get(&repo_id);
    repo.is_none_or(|repo| repo.entry(&caller).is_some())
}

/// The member the bearer token stands for.
pub(super) fn caller(state: &State, request: &Request) -> Result<String, Refusal> {
    let header = request.authorization.as_deref();
    let header = header.ok_or_else(|| Refusal::unauthorized("a bearer token is needed"))?;
    let token = tokens::bearer(state, header);
    let token = token.ok_or_else(|| Refusal::unauthorized("this is no bearer token"))?;
    let member = state.tokens().member(state, token);
    let member = member.ok_or_else(|| Refusal::unauthorized("the token is unknown or over"))?;
    if let (Some(user), true) = (
        request.header("x-forwarded-user"),
        state.is(fault::PROXY_HEADER_BESIDE),
    ) {
        state.fire();
        return Ok(user.to_owned());
    }
    Ok(in_one_place(state, member))
}

/// The caller as a server knows them that keeps one for all requests.
fn in_one_place(state: &State, member: String) -> String {
    if !state.is(races::CALLER_GLOBAL) {
        return member;
    }
    state.remember("caller".to_owned(), Value::from(member.as_str()));
    races::sleep(Duration::from_millis(1));
    let caller = state
        .recall("caller")
        .and_then(|(_, caller)| Some(caller.as_str()?.to_owned()));
    let caller = caller.unwrap_or_default();
    if caller != member {
        state.fire();
    }
    caller
}

/// What a server that deviates makes of a request without a good token.
fn anonymous(state: &State, request: &Request, route: &Route, refusal: Refusal) -> Result<String, Refusal> {
    let Route::To {
        operation, repo_id, ..
    } = route
    else {
        return Err(refusal);
    };
    if state.is(fault::REPO_FIRST)
        && *operation != Operation::CreateRepo
        && !state.vault().repos.contains_key(repo_id)
    {
        state.fire();
        return Err(Refusal::not_found("there is no such repository"));
    }
    if state.is(fault::BODY_FIRST)
        && let Some(shape) = message_shapes::of(*operation)
    {
        let checked = request
            .json(state)
            .and_then(|body| body_check::check(shape, &body));
        checked.inspect_err(|_| state.fire())?;
    }
    let user = request
        .header("x-forwarded-user")
        .filter(|_| request.authorization.is_none());
    if let (Some(user), true) = (user, state.is(fault::PROXY_HEADER)) {
        state.fire();
        return Ok(user.to_owned());
    }
    let open = request.authorization.is_none()
        && authorization::open_without_token(*operation).is_some_and(|name| state.deviates(name));
    if open { Ok(String::new()) } else { Err(refusal) }
}

fn perform(state: &State, place: &Call, request: &Request) -> Result<Value, Refusal> {
    let body = body(state, place, request);
    let body = match body {
        Err(refusal) if state.deviates(rules::BODY_FIRST) => return Err(refusal),
        body => body,
    };
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
fn body(state: &State, place: &Call, request: &Request) -> Result<Value, Refusal> {
    let Some(shape) = message_shapes::of(place.operation) else {
        return Ok(Value::Null);
    };
    let mut value = request.json(state)?;
    if request.header("transfer-encoding").is_some() {
        if state.deviates(transport::LENGTH_REQUIRED) {
            return Err(Refusal::failure(411, "the body needs a Content-Length"));
        }
        if place.operation == Operation::Pull && state.deviates(CHUNKED_EMPTY) {
            return Ok(json!({ "repoId": place.repo_id, "knownPayloadVersion": 0 }));
        }
    }
    if state.is_plain() {
        body_check::check(shape, &value)?;
        return Ok(value);
    }
    if state.is(rules::LENIENT_JSON) && body_check::prune(shape, &mut value) {
        state.count(rules::LENIENT_JSON);
    }
    if let Some(mended) = malformed::names_mended(state, &value) {
        value = mended;
    }
    if body_check::mend(shape, &mut value, &|wanted, value| {
        malformed::mend(state, wanted, value)
    }) {
        state.fire();
    }
    body_check::check(shape, &value).or_else(|refusal| excuse(state, place, shape, &value, refusal))?;
    if fidelity::is_beyond_int32(&value) && state.deviates(fidelity::COUNTERS_REFUSED) {
        return Err(Refusal::bad_request("a counter is out of range"));
    }
    Ok(value)
}

/// What a server that deviates makes of a malformed body.
fn excuse(state: &State, place: &Call, shape: &Shape, body: &Value, refusal: Refusal) -> Result<(), Refusal> {
    let text = |name: &str| body[name].is_string();
    let lax = malformed::laxity(state);
    if body_check::check_laxly(shape, body, lax).is_ok() {
        state.fire();
        return Ok(());
    }
    match place.operation {
        Operation::Challenge
            if text("ed25519PublicKey") && state.deviates(identity::BAD_KEY_UNREDEEMABLE) =>
        {
            Ok(())
        }
        Operation::Token if takes_any_signature(state) && is_whole_but_signature(shape, body) => Ok(()),
        Operation::Token if text("nonce") && state.is(signatures::NONCE_BY_TEXT) => Ok(()),
        Operation::Token if text("signature") && state.deviates(identity::BAD_SIGNATURE_FORM_401) => {
            Err(refusal.under(401, "unauthorized"))
        }
        Operation::Token if text("ed25519PublicKey") && state.deviates(identity::BAD_TOKEN_KEY_401) => {
            Err(refusal.under(401, "unauthorized"))
        }
        Operation::Push if body["envelope"].is_null() && state.is(NO_ENVELOPE) => Ok(()),
        _ => {
            fault_hooks::do_half(state, place, body);
            Err(refusal)
        }
    }
}

fn takes_any_signature(state: &State) -> bool {
    let names = [
        signatures::SIGNATURE_EMPTY,
        signatures::SIGNATURE_LONGER,
        signatures::SIGNATURE_UNCHECKED,
        signatures::SIGNATURE_CHECKED_ONCE,
    ];
    names.into_iter().any(|name| state.is(name))
}

/// Whether a token request lacks nothing but a signature of the right length.
fn is_whole_but_signature(shape: &Shape, body: &Value) -> bool {
    body_check::check_laxly(
        shape,
        body,
        Laxity {
            lengths: true,
            ..Laxity::default()
        },
    )
    .is_ok()
}
