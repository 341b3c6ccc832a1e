//! What driver and judge call things in a transcript.

use super::cases::{Alteration, Deed, Step};
use crate::avp::adapter_contract::ErrorKind;
use crate::keys::encoding::encode;
use crate::record::Exchange;

/// How a command is written where requests have a method.
pub(super) const TELL: &str = "TELL";
/// How a program that was started is written where requests have a method.
pub(super) const RUN: &str = "RUN";
/// How the other origin is written in paths.
pub(super) const ELSEWHERE: &str = "http://elsewhere";
/// Somebody who is no member, and whose key a server would like to slip in.
pub(super) const INTRUDER: &str = "mallory";
/// The signature of a nonce's bytes.
pub(super) const OVER_BYTES: &str = "over the bytes of the nonce";

/// The bearer token of a request.
pub(super) fn bearer(exchange: &Exchange) -> Option<&str> {
    let field = exchange
        .request
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let (scheme, token) = field?.1.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The word of a kind.
pub(super) fn word(kind: ErrorKind) -> String {
    let word = serde_json::to_value(kind).ok();
    word.and_then(|word| word.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Whether a step's answers are altered by a rule that has to come into force for the step to say anything.
pub(super) fn needs_its_rules(step: &Step) -> bool {
    let policy = [Alteration::PolicyAbsent, Alteration::PolicyFalse];
    step.server
        .iter()
        .any(|rule| !matches!(&rule.deed, Deed::Alter(how) if policy.contains(how)))
}

/// An X25519 key of small order: whatever is wrapped to it, everybody can unwrap.
pub(super) fn weak_key() -> String {
    encode(&[0; 32])
}
