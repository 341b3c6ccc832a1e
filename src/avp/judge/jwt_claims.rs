//! What can be said of tokens that are JWTs: the protocol leaves their form open, so this is advice and fails nobody.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::avp::Operation;
use crate::record::{CaseRecord, Exchange, Jwt, Record};

/// Claims that tell more of a member than the vault needs to know.
const PERSONAL: [&str; 14] = [
    "account",
    "accountId",
    "account_id",
    "email",
    "email_verified",
    "family_name",
    "given_name",
    "groups",
    "name",
    "phone_number",
    "preferred_username",
    "role",
    "roles",
    "username",
];

/// What is to be said of the tokens of a run, as sentences.
pub fn tokens(record: &Record) -> Vec<String> {
    let said: BTreeSet<String> = jwts(&record.cases)
        .flat_map(|(exchange, jwt)| remarks(exchange, jwt))
        .collect();
    said.into_iter()
        .map(|remark| format!("advice on tokens: {remark}"))
        .collect()
}

/// The tokens that are JWTs, with the exchanges that brought them.
pub fn jwts(cases: &[CaseRecord]) -> impl Iterator<Item = (&Exchange, &Jwt)> {
    let exchanges = cases.iter().flat_map(|case| &case.exchanges);
    exchanges.filter_map(|exchange| Some((exchange, exchange.jwt.as_ref()?)))
}

/// Whether a token says of its member what the reference form says, and nothing else; else what is wrong.
///
/// # Errors
/// The token says something else or something more: what, in a few words.
pub fn reference_form(exchange: &Exchange, jwt: &Jwt) -> Result<(), String> {
    let subject = member(exchange).map(|member| format!("key:{member}"));
    if let Some(subject) = subject
        && jwt.claims.get("sub").and_then(Value::as_str) != Some(&subject)
    {
        return Err("`sub` is not \"key:\" and the member id".to_owned());
    }
    if jwt.claims.get("kind").and_then(Value::as_str) != Some("keypair") {
        return Err("`kind` is not \"keypair\"".to_owned());
    }
    match PERSONAL.iter().find(|claim| jwt.claims.contains_key(**claim)) {
        Some(claim) => Err(format!(
            "it carries the claim `{claim}`, which a vault does not need"
        )),
        None => Ok(()),
    }
}

fn remarks(exchange: &Exchange, jwt: &Jwt) -> Vec<String> {
    let mut remarks = Vec::new();
    remarks.extend(reference_form(exchange, jwt).err());
    let algorithm = jwt.header.get("alg").and_then(Value::as_str).unwrap_or("none");
    if algorithm.eq_ignore_ascii_case("none") {
        remarks.push("the algorithm is \"none\": anybody can write such a token".to_owned());
    }
    // RFC 7519 has seconds, of which there may be fractions.
    let expires = jwt.claims.get("exp").and_then(Value::as_f64);
    let expires = expires.map(|seconds| seconds.floor() as i64);
    if expires.is_none() {
        remarks.push("there is no `exp`: who checks the token alone accepts it for ever".to_owned());
    }
    let said = answer(exchange).and_then(|body| body.get("expiresAt")?.as_i64());
    if let (Some(expires), Some(said)) = (expires, said)
        && expires.abs_diff(said / 1000) > 1
    {
        remarks.push("`exp` and `expiresAt` are more than a second apart".to_owned());
    }
    remarks
}

/// The member who logged in.
fn member(exchange: &Exchange) -> Option<String> {
    let body: Value = serde_json::from_slice(exchange.request.body.as_ref()?.as_bytes()).ok()?;
    Some(body.get("ed25519PublicKey")?.as_str()?.to_owned())
}

fn answer(exchange: &Exchange) -> Option<Value> {
    debug_assert_eq!(Operation::of(exchange), Some(Operation::Token));
    serde_json::from_slice(exchange.outcome.answer()?.body.as_bytes()).ok()
}
