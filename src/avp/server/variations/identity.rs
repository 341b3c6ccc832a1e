//! Freedoms of the identity provider: nonces, keys, signatures, tokens, discovery.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Verifier};
use serde_json::json;

use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Refusal};
use crate::avp::server::decision::{Asked, Decision, Grant, Rule, grant_if, restate};
use crate::avp::server::deviation::{AnswerContext, variations};
use crate::avp::server::faults::jwts::{as_jwt, publishes_keys};
use crate::avp::server::message_access;
use crate::avp::server::request::Request;
use crate::avp::server::rules::keys;
use crate::avp::server::rules::login::Claim;
use crate::avp::server::state::State;
use crate::avp::server::tokens::random;

/// How many bytes a token has where tokens are long.
const LONG_TOKEN_BYTES: usize = 2100;

/// The last second of the year 9999, epoch milliseconds.
const YEAR_9999: i64 = 253_402_300_799_000;

variations! { "identity";
    Nonce(long_nonces) "long-nonces", "Nonces carry 64 bytes.";
    Rule(burnt_nonces) "burnt-nonces", "A failed attempt to redeem a nonce uses it up.";
    Nonce(one_nonce_per_key) "one-nonce-per-key", "A new challenge for a key voids its outstanding nonce.";
    Named(BAD_KEY_UNREDEEMABLE) and Rule(bad_key_unredeemable) "bad-key-unredeemable",
        "A public key that is none gets a challenge, which nobody can redeem.";
    Named(BAD_SIGNATURE_FORM_401) "bad-signature-form-401",
        "A signature that is not base64 or not 64 bytes is refused with 401.";
    Named(BAD_TOKEN_KEY_401) and Rule(bad_token_key_401) "bad-token-key-401", "The token route refuses a public key that is none with 401.";
    Rule(small_order_accepted) "small-order-accepted",
        "Public keys of small order are taken, and signatures under them hold.";
    Grant(as_jwt) and Answer(publishes_keys) "jwt-tokens", "Tokens are JWTs signed with EdDSA, and discovery names the issuer's keys.";
    Grant(long_tokens) "long-tokens", "Tokens are 2800 characters long.";
    Grant(endless_tokens) "endless-tokens", "Tokens are said to end in the year 9999.";
    Named(SHORT_TOKENS) "short-tokens", "Tokens live three seconds.";
    Caller(bearer_exact_case) "bearer-exact-case", "The scheme is Bearer, in exactly this case.";
    Answer(discovery_404) "discovery-404", "Discovery is not offered: 404.";
    Answer(discovery_401) "discovery-401", "Discovery is not offered, and unknown routes ask for a token: 401.";
    Answer(discovery_403) "discovery-403", "Discovery is not offered, and unknown routes are forbidden: 403.";
    Answer(discovery_405) "discovery-405", "Discovery is not offered, and GET is taken for a wrong method: 405.";
    Answer(discovery_full) and Answer(publishes_keys) "discovery-full",
        "The discovery document lists both profiles, the issuer's keys and fields of its own.";
}

fn long_nonces(_: &State, _: &str, nonce: &mut Vec<u8>) -> bool {
    *nonce = random(64);
    true
}

fn one_nonce_per_key(state: &State, key: &str, _: &mut Vec<u8>) -> bool {
    state.nonces().void(key)
}

fn burnt_nonces(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::Signature(claim) if decision.is_err() => {
            asked.state.nonces().take(&claim.nonce, &claim.member_id)
        }
        _ => false,
    }
}

fn bad_key_unredeemable(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::PublicKey(_) if asked.call.operation == Operation::Challenge => grant_if(decision, true),
        Rule::PublicKey(_) => restate(decision, |refusal| refusal.under(401, "unauthorized")),
        _ => false,
    }
}

fn bad_token_key_401(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::PublicKey(_) if asked.call.operation == Operation::Token => {
            restate(decision, |refusal| refusal.under(401, "unauthorized"))
        }
        _ => false,
    }
}

fn small_order_accepted(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    match rule {
        Rule::PublicKey(key) => grant_if(decision, keys::point(key).is_ok()),
        Rule::Signature(claim) => grant_if(decision, holds_loosely(claim) == Some(true)),
        _ => false,
    }
}

/// Whether a signature holds where keys and points of small order are let pass.
fn holds_loosely(claim: &Claim) -> Option<bool> {
    let key = keys::point(&claim.member_id).ok()?;
    let signature = Signature::from_slice(&claim.signature).ok()?;
    Some(key.verify(&claim.nonce, &signature).is_ok())
}

fn long_tokens(_: &State, _: &Claim, grant: &mut Grant) -> bool {
    grant.token = URL_SAFE_NO_PAD.encode(random(LONG_TOKEN_BYTES));
    true
}

fn endless_tokens(_: &State, _: &Claim, grant: &mut Grant) -> bool {
    grant.expires_told = YEAR_9999;
    true
}

/// Counted wherever a scheme is compared, since the harness writes it in no other case.
fn bearer_exact_case(_: &State, request: &Request, caller: &mut Result<String, Refusal>) -> bool {
    let Some(header) = &request.authorization else {
        return false;
    };
    if caller.is_ok() && !header.starts_with("Bearer ") {
        *caller = Err(Refusal::unauthorized("this is no bearer token"));
    }
    true
}

fn discovery_404(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    unoffered(scene, answer, Refusal::not_found("there is no such route"))
}

fn discovery_401(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    unoffered(scene, answer, Refusal::unauthorized("a bearer token is needed"))
}

fn discovery_403(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    unoffered(scene, answer, Refusal::forbidden("there is no such route"))
}

fn discovery_405(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    unoffered(scene, answer, Refusal::wrong_method("POST"))
}

fn unoffered(scene: &AnswerContext<'_>, answer: &mut Answer, refusal: Refusal) -> bool {
    let here = scene.on(Operation::Discovery);
    if here {
        *answer = Answer::from(refusal);
    }
    here
}

fn discovery_full(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let document = message_access::object(answer).filter(|_| scene.on(Operation::Discovery));
    document.is_some_and(|document| {
        document.insert("profiles".to_owned(), json!(["grpc", "http-json"]));
        document.insert("software".to_owned(), json!("reference"));
        true
    })
}
