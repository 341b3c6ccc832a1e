//! What driver and judge call things in a transcript.

use super::cases::{Alteration, Deed, Step, WeakKey};
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
    let policy = [
        Alteration::PolicyAbsent,
        Alteration::PolicyFalse,
        Alteration::PolicyNull,
        Alteration::PolicyText,
    ];
    step.server
        .iter()
        .any(|rule| !matches!(&rule.deed, Deed::Alter(how) if policy.contains(how)))
}

/// base64 of an X25519 key of small order: whatever is wrapped to it, everybody can unwrap.
pub(super) fn weak_key(which: WeakKey) -> String {
    let mut key = [0; 32];
    match which {
        WeakKey::Zero => {}
        WeakKey::One => key[0] = 1,
        WeakKey::MinusOne | WeakKey::NotReduced => {
            key = [0xff; 32];
            key[0] = if which == WeakKey::MinusOne { 0xec } else { 0xed };
            key[31] = 0x7f;
        }
        WeakKey::OrderEight => key = ORDER_EIGHT,
    }
    encode(&key)
}

/// A point of order 8 ("May the Fourth Be With You", Genkin, Valenta, Yarom, 2017).
const ORDER_EIGHT: [u8; 32] = [
    0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
    0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::encoding::decode_array;
    use crate::keys::primitives::x25519;

    #[test]
    fn nothing_is_agreed_with_a_weak_key() {
        use WeakKey::{MinusOne, NotReduced, One, OrderEight, Zero};
        for which in [Zero, One, MinusOne, OrderEight, NotReduced] {
            let key = decode_array("key", &weak_key(which)).unwrap();
            assert_eq!(x25519(&[9; 32], &key), None, "{which:?}");
        }
    }
}
