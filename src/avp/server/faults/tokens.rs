//! What is got wrong about bearer tokens.

use serde_json::json;

use crate::avp::Operation;
use crate::avp::server::answer::Answer;
use crate::avp::server::deviation::{AnswerContext, faults};

faults! { "tokens";
    Rule(JWT_NONE) "token-jwt-of-no-algorithm", Must "AVP-3-11",
        "A JWT whose header says that it is not signed is taken at its word.",
        "Anybody writes a token for anybody.",
        "Allow the one algorithm that you issue, and not the one that the token names.";
    Rule(MEMBER_ID) "token-is-the-member-id", Must "AVP-3-11",
        "A member id is taken for a token of that member.",
        "Everybody who sees a roster acts in the name of everybody in it.",
        "Look tokens up among those that were issued.";
    Rule(PROXY_HEADER) "proxy-header-taken-for-a-login", Must "AVP-3-10",
        "Without a token the caller is whom the header X-Forwarded-User names, as if only a proxy could set it.",
        "Anybody acts in the name of anybody.",
        "Take callers from tokens alone, or drop such headers where requests come in.";
    Rule(PROXY_HEADER_BESIDE) "proxy-header-beside-a-token", Must "AVP-6-15",
        "With a good token of anybody the caller is whom the header X-Forwarded-User names.",
        "Every member acts in the name of everybody.",
        "Take callers from tokens alone, or drop such headers where requests come in.";
    Rule(CACHED_BY_ADDRESS) "fetch-cached-by-its-address", Must "AVP-3-10" and "AVP-6-15" and "AVP-6-14" and "AVP-6-16" and "AVP-10-03",
        "A cache in front of the server keeps what fetchMemberKey answered for two seconds, and serves it to whoever asks.",
        "Anybody reads what a member has just read.",
        "Send Cache-Control: no-store.";
    Rule(HEAD_OPEN) "head-before-token", Must "AVP-3-10",
        "HEAD is answered before the token is looked at.",
        "Anybody can find out which repositories and members exist.",
        "Guard every method, or refuse those that no route has.";
    Rule(TRAILED) "token-first-word-counts", Must "AVP-3-11",
        "Of what stands behind Bearer the first word is the token, and the rest is ignored.",
        "Altered headers work.",
        "Take all that stands behind the scheme.";
    Rule(PREFIX) "token-compared-by-prefix", Must "AVP-3-11",
        "Of a token only the first 16 characters are compared.",
        "Tokens can be guessed in a fraction of the time.",
        "Compare whole tokens.";
    Rule(FOLDED) "token-compared-without-case", Must "AVP-3-11",
        "Tokens are compared without regard to case.",
        "Tokens carry less randomness than they seem to; a case-insensitive collation is the usual cause.",
        "Compare bytes; give the column a binary collation.";
    Rule(TAIL) "token-last-character-ignored", Must "AVP-3-11",
        "The last character of a token is not compared.",
        "Altered tokens work.",
        "Compare whole tokens; a lenient base64 decoder is the usual cause.";
    Rule(LAST_SESSION) "token-falls-back-to-last-session", Must "AVP-3-11" and "AVP-3-10",
        "An unknown token is taken for the session that was opened last.",
        "Strangers act in the name of whoever logged in before them.",
        "Answer 401 where the token is not found.";
    Rule(JWT_UNCHECKED) "token-jwt-unchecked", Must "AVP-3-11",
        "Tokens are JWTs whose subject is read and whose signature is not verified.",
        "Anybody writes a token for anybody.",
        "Verify the signature before you read a claim.";
    Rule(EMPTY) "token-empty-taken", Must "AVP-3-10",
        "An empty bearer token is taken for the session that was opened last.",
        "Clients that lost their token act in somebody's name.",
        "Answer 401 where the token is empty.";
    Rule(ONCE) "token-works-once", Must "AVP-3-09",
        "A token is good for one request.",
        "Every second request of a client fails.",
        "Keep the token until it is over; it is the nonce that is used once.";
    Rule(SUBJECT_FOLDED) "token-subject-folded", Must "AVP-3-09",
        "The member id a token stands for is kept in lower case.",
        "Nobody is recognised as a member of anything.",
        "Keep ids as they are: base64 has two cases.";
    Rule(OUTLIVES) "token-outlives-expiry", Must "AVP-3-13",
        "Tokens are said to live two seconds, and are honoured after that.",
        "Stolen tokens work for ever.",
        "Compare the time of expiry at each request.";
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
    Rule(REPO_FIRST) "repository-before-token", Must "AVP-3-10",
        "An unknown repository is answered with 404 before the token is looked at.",
        "Anybody can find out which repositories exist.",
        "Look at the token before you look anything up.";
    Rule(BODY_FIRST) "body-before-token", Must "AVP-3-10",
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
