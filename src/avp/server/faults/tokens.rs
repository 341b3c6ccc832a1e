//! What is got wrong about bearer tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::jwts::{as_jwt, claimed_subject};
use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Body, Refusal};
use crate::avp::server::body_check;
use crate::avp::server::decision::Grant;
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::message_shapes;
use crate::avp::server::request::Request;
use crate::avp::server::route::Route;
use crate::avp::server::rules::login::{self, Claim};
use crate::avp::server::state::{State, now};

/// How long a cache in front of the server keeps an answer, milliseconds.
const CACHED_ANSWER_MS: i64 = 2000;

/// Who asks, or why that is not known.
pub(super) type Caller = Result<String, Refusal>;

faults! { "tokens";
    Caller(jwt_none) "token-jwt-of-no-algorithm", Must "AVP-3-11",
        "A JWT whose header says that it is not signed is taken at its word.",
        "Anybody writes a token for anybody.",
        "Allow the one algorithm that you issue, and not the one that the token names.";
    Caller(member_id) "token-is-the-member-id", Must "AVP-3-11",
        "A member id is taken for a token of that member.",
        "Everybody who sees a roster acts in the name of everybody in it.",
        "Look tokens up among those that were issued.";
    Caller(proxy_header) "proxy-header-taken-for-a-login", Must "AVP-3-10",
        "Without a token the caller is whom the header X-Forwarded-User names, as if only a proxy could set it.",
        "Anybody acts in the name of anybody.",
        "Take callers from tokens alone, or drop such headers where requests come in.";
    Caller(proxy_header_beside) "proxy-header-beside-a-token", Must "AVP-6-15",
        "With a good token of anybody the caller is whom the header X-Forwarded-User names.",
        "Every member acts in the name of everybody.",
        "Take callers from tokens alone, or drop such headers where requests come in.";
    Caller(of_its_connection) "caller-of-its-connection", Must "AVP-3-10" and "AVP-3-11" and "AVP-6-15" and "AVP-10-03",
        "Who calls is worked out for the first request of a connection, and kept for those that follow on it.",
        "Behind a proxy that shares its connections everybody acts in the name of others.",
        "Look at the token of every request.";
    Answer(cached_by_address) "fetch-cached-by-its-address", Must "AVP-3-10" and "AVP-6-15" and "AVP-6-14" and "AVP-6-16" and "AVP-10-03",
        "A cache in front of the server keeps what fetchMemberKey answered for two seconds, and serves it to whoever asks.",
        "Anybody reads what a member has just read.",
        "Send Cache-Control: no-store.";
    Answer(head_open) "head-before-token", Must "AVP-3-10",
        "HEAD is answered before the token is looked at.",
        "Anybody can find out which repositories and members exist.",
        "Guard every method, or refuse those that no route has.";
    Caller(trailed) "token-first-word-counts", Must "AVP-3-11",
        "Of what stands behind Bearer the first word is the token, and the rest is ignored.",
        "Altered headers work.",
        "Take all that stands behind the scheme.";
    Caller(preceded) "token-last-word-counts", Must "AVP-3-11",
        "Of what stands behind Bearer the last word is the token, and the rest is ignored.",
        "Altered headers work.",
        "Take all that stands behind the scheme.";
    Caller(dotted) "token-ends-at-a-dot", Must "AVP-3-11",
        "Of a token what stands before its first dot counts, and the rest is ignored.",
        "Altered tokens work.",
        "Compare whole tokens.";
    Caller(eighth) "token-from-the-eighth-character", Must "AVP-3-10",
        "What follows the first seven characters of the header is the token, whatever they are.",
        "Credentials of another scheme are looked up as tokens.",
        "Compare the scheme with Bearer before you take what stands behind it.";
    Caller(glued) "token-needs-no-blank", Must "AVP-3-10",
        "The blank between Bearer and the token may be missing.",
        "Headers work here that work nowhere else.",
        "Take the scheme up to the blank, and compare it whole.";
    Caller(prefix) "token-compared-by-prefix", Must "AVP-3-11",
        "Of a token only the first 16 characters are compared.",
        "Tokens can be guessed in a fraction of the time.",
        "Compare whole tokens.";
    Caller(folded) "token-compared-without-case", Must "AVP-3-11",
        "Tokens are compared without regard to case.",
        "Tokens carry less randomness than they seem to; a case-insensitive collation is the usual cause.",
        "Compare bytes; give the column a binary collation.";
    Caller(tail) "token-last-character-ignored", Must "AVP-3-11",
        "The last character of a token is not compared.",
        "Altered tokens work.",
        "Compare whole tokens; a lenient base64 decoder is the usual cause.";
    Caller(last_session) "token-falls-back-to-last-session", Must "AVP-3-11" and "AVP-3-10",
        "An unknown token is taken for the session that was opened last.",
        "Strangers act in the name of whoever logged in before them.",
        "Answer 401 where the token is not found.";
    Caller(jwt_unchecked) and Grant(as_jwt) "token-jwt-unchecked", Must "AVP-3-11",
        "Tokens are JWTs whose subject is read and whose signature is not verified.",
        "Anybody writes a token for anybody.",
        "Verify the signature before you read a claim.";
    Caller(empty) "token-empty-taken", Must "AVP-3-10",
        "An empty bearer token is taken for the session that was opened last.",
        "Clients that lost their token act in somebody's name.",
        "Answer 401 where the token is empty.";
    Caller(once) "token-works-once", Must "AVP-3-09",
        "A token is good for one request.",
        "Every second request of a client fails.",
        "Keep the token until it is over; it is the nonce that is used once.";
    Grant(subject_folded) "token-subject-folded", Must "AVP-3-09",
        "The member id a token stands for is kept in lower case.",
        "Nobody is recognised as a member of anything.",
        "Keep ids as they are: base64 has two cases.";
    Named(OUTLIVES) and Caller(outlives) "token-outlives-expiry", Must "AVP-3-13",
        "Tokens are said to live two seconds, and are honoured after that.",
        "Stolen tokens work for ever.",
        "Compare the time of expiry at each request.";
    Named(SLIDES) and Caller(slides) "token-slides", Must "AVP-3-13",
        "Each use of a token lets it live for its four seconds once more.",
        "A stolen token lives as long as its thief wishes.",
        "Compare the time of expiry that the client was told, at each request, and move it never.";
    Answer(missing_403) "missing-token-403", Must "AVP-3-10",
        "A request without a token is answered with 403.",
        "Clients give up where they should log in.",
        "Answer 401 without a token; frameworks that answer 403 here need an entry point of your own.";
    Answer(missing_400) "missing-token-400", Must "AVP-3-10",
        "A request without a token is answered with 400, as if a header were a field of the body.",
        "Clients give up where they should log in.",
        "Answer 401 before anything is validated.";
    Answer(garbage_403) "bad-token-403", Must "AVP-3-11",
        "An unknown token is answered with 403.",
        "Clients whose token is over give up where they should log in again.",
        "Answer 401 to every token that is not good.";
    Answer(garbage_500) "bad-token-500", Must "AVP-3-11",
        "A token that cannot be parsed ends in a 500.",
        "Clients whose token is from elsewhere retry for ever.",
        "Catch what the parser throws, and answer 401.";
    Answer(garbage_302) "bad-token-redirected", Must "AVP-3-11",
        "An unknown token is answered with a redirect to a login page.",
        "Clients get a page where they expect an error, or follow it with their token in hand.",
        "Answer 401; keep the redirects of the framework to the pages for people.";
    Caller(repo_first) "repository-before-token", Must "AVP-3-10",
        "An unknown repository is answered with 404 before the token is looked at.",
        "Anybody can find out which repositories exist.",
        "Look at the token before you look anything up.";
    Caller(body_first) "body-before-token", Must "AVP-3-10",
        "A malformed body is answered with 400 before the token is looked at.",
        "Clients without a token are told about their body.",
        "Look at the token before you parse.";
}

fn missing_403(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    !on_auth(scene) && scene.request.authorization.is_none() && restate(answer, 403, "forbidden")
}

fn missing_400(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    !on_auth(scene) && scene.request.authorization.is_none() && restate(answer, 400, "bad_request")
}

fn garbage_403(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    !on_auth(scene) && scene.request.authorization.is_some() && restate(answer, 403, "forbidden")
}

fn garbage_500(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.request.authorization.is_some() && is_refused_token(answer) && !on_auth(scene);
    if here {
        *answer = Answer::new(
            500,
            json!({ "error": "JWT strings must contain exactly 2 period characters" }),
        );
    }
    here
}

fn garbage_302(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.request.authorization.is_some() && is_refused_token(answer) && !on_auth(scene);
    if here {
        *answer = Answer::new(302, json!({ "error": "see the login page" }));
        answer.headers.push(("Location".to_owned(), "/login".to_owned()));
    }
    here
}

/// The same refusal of a token under another status, `/v1` routes only.
fn restate(answer: &mut Answer, status: u16, code: &str) -> bool {
    let here = is_refused_token(answer);
    if here {
        *answer = Answer::new(status, json!({ "error": "access denied", "code": code }));
    }
    here
}

fn is_refused_token(answer: &Answer) -> bool {
    answer.status == 401
}

fn on_auth(scene: &AnswerContext<'_>) -> bool {
    scene.on(Operation::Token) || scene.on(Operation::Challenge)
}

/// Takes a token that was never issued, where `member_of` takes it for one of a member.
pub(super) fn takes_token(
    state: &State,
    request: &Request,
    caller: &mut Caller,
    member_of: impl FnOnce(&str) -> Option<String>,
) -> bool {
    let header = request.authorization.as_deref();
    let Some(token) = header.and_then(login::bearer).filter(|_| caller.is_err()) else {
        return false;
    };
    if state.tokens().holder(token).is_some() {
        return false;
    }
    let member = member_of(token);
    let taken = member.is_some();
    if let Some(member) = member {
        *caller = Ok(member);
    }
    taken
}

fn empty(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, |token| {
        state.tokens().last().filter(|_| token.is_empty())
    })
}

fn last_session(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, |_| state.tokens().last())
}

fn prefix(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, |token| {
        let long = token.len() >= 16;
        state
            .tokens()
            .find(|known, _| long && known.get(..16) == token.get(..16))
    })
}

fn folded(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, |token| {
        state.tokens().find(|known, _| known.eq_ignore_ascii_case(token))
    })
}

fn tail(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, |token| {
        let head = |text: &str| text.get(..text.len().saturating_sub(1)).map(str::to_owned);
        let is_like = |known: &str| known.len() == token.len() && head(known) == head(token);
        state
            .tokens()
            .find(|known, _| !token.is_empty() && is_like(known))
    })
}

fn trailed(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, |token| {
        let first = token.split(' ').next()?;
        state.tokens().holder(first)
    })
}

fn preceded(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, |token| {
        let last = token.rsplit(' ').next()?;
        state.tokens().holder(last)
    })
}

fn dotted(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, |token| {
        let head = token.split('.').next()?;
        state
            .tokens()
            .find(|known, _| known.split('.').next() == Some(head) && !head.is_empty())
    })
}

fn eighth(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_header(state, request, caller, |header| header.get(7..))
}

fn glued(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_header(state, request, caller, |header| header.strip_prefix("Bearer"))
}

/// Takes a header that names no bearer token for one that does, where `token_of` reads one from it.
fn takes_header(
    state: &State,
    request: &Request,
    caller: &mut Caller,
    token_of: impl FnOnce(&str) -> Option<&str>,
) -> bool {
    let header = request.authorization.as_deref().filter(|_| caller.is_err());
    let token = header
        .filter(|header| !header.contains("Bearer "))
        .and_then(token_of);
    let member = token.and_then(|token| state.tokens().member(token));
    member.is_some_and(|member| {
        *caller = Ok(member);
        true
    })
}

/// Who has used a token while it lived may go on while no more than its lifetime lies between two uses.
fn slides(state: &State, request: &Request, caller: &mut Caller) -> bool {
    let header = request.authorization.as_deref();
    let Some(token) = header.and_then(login::bearer).map(str::to_owned) else {
        return false;
    };
    let key = format!("used {token}");
    let used = state.recall(&key).map(|(at, _)| at);
    let slid = caller.is_err() && used.is_some_and(|at| now() - at < state.lifetimes.token);
    let holder = state.tokens().holder(&token).filter(|_| slid);
    if let Some(holder) = holder {
        *caller = Ok(holder);
    }
    if caller.is_ok() {
        state.remember(key, Value::Null);
    }
    slid && caller.is_ok()
}

fn member_id(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, |token| {
        state.tokens().find(|_, member| member == token)
    })
}

fn jwt_unchecked(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, claimed_subject)
}

fn jwt_none(state: &State, request: &Request, caller: &mut Caller) -> bool {
    takes_token(state, request, caller, |token| {
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
        let header: Value = serde_json::from_slice(&header).ok()?;
        claimed_subject(token).filter(|_| header["alg"] == "none")
    })
}

fn outlives(state: &State, request: &Request, caller: &mut Caller) -> bool {
    let header = request.authorization.as_deref();
    let token = header.and_then(login::bearer).filter(|_| caller.is_err());
    let holder = token.and_then(|token| state.tokens().holder(token));
    holder.is_some_and(|holder| {
        *caller = Ok(holder);
        true
    })
}

fn once(state: &State, request: &Request, caller: &mut Caller) -> bool {
    let header = request.authorization.as_deref();
    let token = header.and_then(login::bearer).filter(|_| caller.is_ok());
    token.is_some_and(|token| state.tokens().forget(token))
}

fn proxy_header(_: &State, request: &Request, caller: &mut Caller) -> bool {
    let user = request.header("x-forwarded-user");
    let user = user.filter(|_| request.authorization.is_none() && caller.is_err());
    user.is_some_and(|user| {
        *caller = Ok(user.to_owned());
        true
    })
}

fn of_its_connection(state: &State, request: &Request, caller: &mut Caller) -> bool {
    let key = format!("caller on {}", request.connection);
    let Some((_, known)) = state.recall(&key) else {
        if let Ok(member) = caller {
            state.remember(key, json!(member));
        }
        return false;
    };
    let known = known.as_str().map(str::to_owned);
    let here = known.as_ref() != caller.as_ref().ok();
    *caller = known.ok_or_else(|| Refusal::unauthorized("the token is unknown"));
    here
}

fn proxy_header_beside(_: &State, request: &Request, caller: &mut Caller) -> bool {
    let user = request.header("x-forwarded-user").filter(|_| caller.is_ok());
    user.is_some_and(|user| {
        *caller = Ok(user.to_owned());
        true
    })
}

fn repo_first(state: &State, request: &Request, caller: &mut Caller) -> bool {
    let missing = match Route::of(&request.method, &request.path) {
        Route::To {
            operation, repo_id, ..
        } => operation != Operation::CreateRepo && !state.vault().repos.contains_key(&repo_id),
        _ => false,
    };
    let here = missing && caller.is_err();
    if here {
        *caller = Err(Refusal::not_found("there is no such repository"));
    }
    here
}

fn body_first(state: &State, request: &Request, caller: &mut Caller) -> bool {
    let Route::To { operation, .. } = Route::of(&request.method, &request.path) else {
        return false;
    };
    let Some(shape) = message_shapes::of(operation).filter(|_| caller.is_err()) else {
        return false;
    };
    let checked = request
        .json(state)
        .and_then(|body| body_check::check(shape, &body));
    checked.is_err_and(|refusal| {
        *caller = Err(refusal);
        true
    })
}

fn subject_folded(_: &State, claim: &Claim, grant: &mut Grant) -> bool {
    let folded = claim.member_id.to_lowercase();
    std::mem::replace(&mut grant.member_id, folded.clone()) != folded
}

/// What a cache in front of a server has of an address, whoever asks.
fn cached_by_address(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    if scene.request.method != "GET" {
        return false;
    }
    match scene.state.recall(&scene.request.path) {
        Some((at, known)) if now() - at < CACHED_ANSWER_MS => {
            let known = Answer::ok(known);
            std::mem::replace(answer, known.clone()) != known
        }
        _ => {
            if let (200, Body::Json(value)) = (answer.status, &answer.body) {
                scene.state.remember(scene.request.path.clone(), value.clone());
            }
            false
        }
    }
}

fn head_open(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene.request.method == "HEAD" && scene.request.path.starts_with("/v1/");
    if here {
        *answer = Answer::ok(Value::Null);
    }
    here
}
