//! What the reference client can be told to get wrong, and the freedoms that it can use: one table each, and how they show.

pub(super) mod crypto;
mod table;
mod variations;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::Habits;
use super::error::ClientError;
use super::payload::Alt;
use crate::serve::{Fault, Tables, Variation};
pub use table::FAULTS;
pub use variations::VARIATIONS;

/// The tables of the client.
#[derive(Debug)]
pub enum ClientTables {}

impl Tables for ClientTables {
    fn faults() -> &'static [Fault] {
        FAULTS
    }

    fn variations() -> &'static [Variation] {
        VARIATIONS
    }
}

/// Looks into a token, which is nobody's business but the server's.
pub(super) fn token(habits: &Habits, token: &str, expires_at: i64) -> Result<(), ClientError> {
    let claims = token
        .split('.')
        .nth(1)
        .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Value> = claims.and_then(|json| serde_json::from_slice(&json).ok());
    if claims.is_none() && habits.has("token-must-be-a-jwt") {
        return Err(ClientError::Untrusted("a token that is no JWT".to_owned()));
    }
    let known = ["sub", "kind", "iss", "aud", "iat", "nbf", "exp", "jti"];
    let is_odd = claims
        .as_ref()
        .and_then(Value::as_object)
        .is_some_and(|claims| claims.keys().any(|name| !known.contains(&name.as_str())));
    if is_odd && habits.has("token-claims-closed") {
        return Err(ClientError::Untrusted(
            "a token with a claim that is not known".to_owned(),
        ));
    }
    if expires_at > FAR_AWAY_MS && habits.has("endless-token-refused") {
        return Err(ClientError::Untrusted("a token without an end".to_owned()));
    }
    if token.len() > 512 && habits.has("long-token-refused") {
        return Err(ClientError::Untrusted(
            "a token of more than 512 characters".to_owned(),
        ));
    }
    Ok(())
}

/// Expects more of a pull's answer than the protocol says.
pub(super) fn pull_answer(habits: &Habits, answer: &Value) -> Result<(), ClientError> {
    let invalid = |expected: &str| ClientError::Invalid {
        request: "pull".to_owned(),
        expected: expected.to_owned(),
        got: "none of it".to_owned(),
    };
    let envelope = answer.get("envelope");
    if envelope.is_none() && habits.has("absent-envelope-unread") {
        return Err(invalid("an envelope or null"));
    }
    if envelope.is_some_and(Value::is_null) && habits.has("null-envelope-unread") {
        return Err(invalid("an envelope or nothing"));
    }
    let policy = answer.pointer("/manifest/shareRefreshTokens");
    if policy.is_none() && habits.has("policy-must-be-there") {
        return Err(invalid("shareRefreshTokens"));
    }
    Ok(())
}

/// Reads a pull's answer in another way than it is meant.
pub(super) fn misread(habits: &Habits, answer: &mut Value) {
    if let Some(policy) = answer.pointer_mut("/manifest/shareRefreshTokens")
        && matches!(policy, Value::String(text) if !text.is_empty())
        && habits.has("policy-truthy")
    {
        *policy = true.into();
    }
    for pointer in ["/manifest/payloadVersion", "/envelope/payloadVersion"] {
        let counter = answer.pointer_mut(pointer);
        let Some((counter, exact)) = counter.and_then(|it| it.as_i64().map(|exact| (it, exact))) else {
            continue;
        };
        if exact > LARGEST_EXACT && habits.has("counters-as-doubles") {
            // Every second number beyond has no double.
            *counter = (exact & !1).into();
        }
    }
}

/// 2^53: beyond it doubles leave numbers out.
const LARGEST_EXACT: i64 = 1 << 53;

/// Expects more of an alt than the protocol says.
pub(super) fn alts(habits: &Habits, alts: &[Alt]) -> Result<(), ClientError> {
    for (name, field) in [
        ("provenance-must-be-there", "sourceClient"),
        ("refresh-token-must-be-there", "refreshToken"),
        ("expiry-must-be-there", "expiresAt"),
    ] {
        if alts.iter().any(|alt| !alt.contains_key(field)) && habits.has(name) {
            return Err(ClientError::Untrusted(format!("an alt without {field}")));
        }
    }
    let is_null = |alt: &Alt| alt.get("bans").is_some_and(Value::is_null);
    if alts.iter().any(is_null) && habits.has("null-in-alt-unread") {
        return Err(ClientError::Untrusted("an alt whose bans are null".to_owned()));
    }
    let is_other = |alt: &Alt| alt.get("type").is_some_and(|kind| kind != "MICROSOFT");
    if alts.iter().any(is_other) && habits.has("types-of-alts-few") {
        return Err(ClientError::Untrusted("an alt of another type".to_owned()));
    }
    Ok(())
}

/// Whether an error status is taken for a conflict.
pub(super) fn taken_for_a_conflict(habits: &Habits, status: u16) -> bool {
    match status {
        401 => habits.has("401-taken-for-a-conflict"),
        400 => habits.has("400-taken-for-a-conflict"),
        403 => habits.has("refusal-taken-for-a-conflict"),
        404 => habits.has("404-taken-for-a-conflict"),
        409 => habits.has("409-taken-for-a-conflict"),
        413 => habits.has("limit-taken-for-a-conflict"),
        500.. => habits.has("breakdown-taken-for-a-conflict"),
        _ => false,
    }
}

/// The year 2100, in milliseconds.
const FAR_AWAY_MS: i64 = 4_102_444_800_000;
/// So often whoever asks for ever asks in fact.
const FOR_EVER: u32 = 60;

/// Whether a request that was answered so is sent again at once.
pub(super) fn asks_again(habits: &Habits, status: u16, attempt: u32) -> bool {
    status >= 500 && attempt < FOR_EVER && habits.has("asks-again-for-ever")
}

/// How long a client waits that was told how long.
pub(super) fn waits(habits: &Habits, told: Duration, attempt: u32, has_token: bool) -> Duration {
    let is_unheeded = attempt > 1 && habits.has("retry-after-heeded-once")
        || !has_token && habits.has("retry-after-unheeded-at-login");
    if is_unheeded { Duration::ZERO } else { told }
}

/// Whether a client logs in again whose fresh token was not taken either.
pub(super) fn logs_in_again(habits: &Habits, attempt: u32) -> bool {
    attempt < FOR_EVER && habits.has("logs-in-for-ever")
}

/// What an answer lacks that the protocol does not promise.
pub(super) fn expects(
    habits: &Habits,
    body: &[u8],
    content_type: Option<&str>,
    content_length: Option<&str>,
) -> Option<&'static str> {
    let has = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
    if has(b"\n") && habits.has("json-on-one-line-only") {
        return Some("JSON on one line");
    }
    if has(b"\"keyBindingSig\":null") && habits.has("binding-null-unread") {
        return Some("a binding or nothing");
    }
    if content_type != Some("application/json") && habits.has("content-type-exact") {
        return Some("the content type application/json");
    }
    (content_length.is_none() && habits.has("length-needed")).then_some("a Content-Length")
}
