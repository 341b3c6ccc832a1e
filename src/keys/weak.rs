//! Ed25519 public keys that no honest member has, and a signature that a lax verifier takes under some of them.
//!
//! The encodings are the published ones of the points whose order divides 8, and of points whose y coordinate is not
//! reduced ("Taming the many EdDSAs", Chalkias, Garillot, Nikolaenko, 2020). RFC 8032 lets a verifier take small-order
//! keys; it does not let it take y coordinates that are not reduced (section 5.1.3).

use ed25519_dalek::{Signature, Verifier, VerifyingKey};

use super::encoding::{decode_array, encode};

/// A public key that invites trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeakKey {
    /// What it is: `identity`, `order-8`.
    pub name: &'static str,
    /// base64 of the encoding, 32 bytes.
    pub public_key: &'static str,
    /// What a server that takes it gives away.
    pub impact: &'static str,
}

/// base64 of 32 bytes that encode no point: y = 2.
pub const NOT_A_POINT: &str = "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// base64 of the signature with R the identity element and S = 0. A verifier that takes keys of small order finds it
/// valid for every message under the identity key.
pub const IDENTITY_FORGERY: &str =
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

/// The eight points of small order, canonically encoded, the identity first.
pub fn small_order_keys() -> &'static [WeakKey] {
    &SMALL_ORDER
}

/// Encodings whose y coordinate is not below 2^255 - 19, or whose x is zero with its sign bit set: first those of small
/// order, then points of large order, whose private key nobody knows.
pub fn non_canonical_keys() -> &'static [WeakKey] {
    &NON_CANONICAL
}

/// base64 of a signature that a lax verifier takes for `message` under a key of small order, made without a private key:
/// S = 0 and an R of small order.
///
/// `None` where the key is not of small order, or no R fits this message: always one does under the identity, for
/// about two messages in three under a key of order 8.
pub fn forge_for_small_order_key(public_key_b64: &str, message: &[u8]) -> Option<String> {
    let key = decode_array("ed25519PublicKey", public_key_b64).ok()?;
    let key = VerifyingKey::from_bytes(&key)
        .ok()
        .filter(VerifyingKey::is_weak)?;
    let points = SMALL_ORDER.iter();
    let candidates = points.filter_map(|point| decode_array::<32>("R", point.public_key).ok());
    candidates
        .map(|r| Signature::from_components(r, [0; 32]))
        .find(|signature| key.verify(message, signature).is_ok())
        .map(|signature| encode(&signature.to_bytes()))
}

const FORGEABLE_ALWAYS: &str = "whoever likes signs any nonce for this member id without a private key, where small-order keys are taken";
const FORGEABLE_OFTEN: &str = "whoever likes signs about every second nonce for this member id, or every one where \
                               signatures are verified with the cofactor, without a private key";
const SECOND_SPELLING: &str =
    "a second member id for a key that has one: bans, rosters and removals by id miss it";

const SMALL_ORDER: [WeakKey; 8] = [
    weak(
        "identity",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        FORGEABLE_ALWAYS,
    ),
    weak(
        "order-2",
        "7P///////////////////////////////////////38=",
        FORGEABLE_OFTEN,
    ),
    weak(
        "order-4",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        FORGEABLE_OFTEN,
    ),
    weak(
        "order-4-negative",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA=",
        FORGEABLE_OFTEN,
    ),
    weak(
        "order-8-a",
        "JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/AU=",
        FORGEABLE_OFTEN,
    ),
    weak(
        "order-8-a-negative",
        "JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/IU=",
        FORGEABLE_OFTEN,
    ),
    weak(
        "order-8-b",
        "xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA3o=",
        FORGEABLE_OFTEN,
    ),
    weak(
        "order-8-b-negative",
        "xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA/o=",
        FORGEABLE_OFTEN,
    ),
];

const NON_CANONICAL: [WeakKey; 10] = [
    weak(
        "identity-signed",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA=",
        FORGEABLE_ALWAYS,
    ),
    weak(
        "identity-unreduced",
        "7v///////////////////////////////////////38=",
        FORGEABLE_ALWAYS,
    ),
    weak(
        "identity-unreduced-signed",
        "7v////////////////////////////////////////8=",
        FORGEABLE_ALWAYS,
    ),
    weak(
        "order-2-signed",
        "7P////////////////////////////////////////8=",
        FORGEABLE_OFTEN,
    ),
    weak(
        "order-4-unreduced",
        "7f///////////////////////////////////////38=",
        FORGEABLE_OFTEN,
    ),
    weak(
        "order-4-unreduced-negative",
        "7f////////////////////////////////////////8=",
        FORGEABLE_OFTEN,
    ),
    weak(
        "y-3-unreduced",
        "8P///////////////////////////////////////38=",
        SECOND_SPELLING,
    ),
    weak(
        "y-4-unreduced",
        "8f///////////////////////////////////////38=",
        SECOND_SPELLING,
    ),
    weak(
        "y-9-unreduced",
        "9v///////////////////////////////////////38=",
        SECOND_SPELLING,
    ),
    weak(
        "y-18-unreduced",
        "/////////////////////////////////////////38=",
        SECOND_SPELLING,
    ),
];

const fn weak(name: &'static str, public_key: &'static str, impact: &'static str) -> WeakKey {
    WeakKey {
        name,
        public_key,
        impact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::verify_ed25519;

    fn key(text: &str) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&decode_array("test", text).unwrap()).ok()
    }

    fn is_canonical(weak: &WeakKey) -> bool {
        let point = key(weak.public_key).unwrap().to_edwards();
        encode(&point.compress().to_bytes()) == weak.public_key
    }

    #[test]
    fn the_keys_are_what_they_are_called() {
        for weak in small_order_keys() {
            assert!(
                key(weak.public_key).unwrap().is_weak() && is_canonical(weak),
                "{}",
                weak.name
            );
        }
        for weak in non_canonical_keys() {
            let is_weak = key(weak.public_key).unwrap().is_weak();
            assert!(!is_canonical(weak), "{}", weak.name);
            assert_eq!(is_weak, weak.impact != SECOND_SPELLING, "{}", weak.name);
        }
        assert!(key(NOT_A_POINT).is_none());
    }

    #[test]
    fn lax_verifiers_take_the_forgery_and_ours_does_not() {
        let signature = Signature::from_bytes(&decode_array("test", IDENTITY_FORGERY).unwrap());
        let identity = small_order_keys()[0].public_key;
        for message in [&b""[..], b"nonce", &[7; 32]] {
            assert!(key(identity).unwrap().verify(message, &signature).is_ok());
            assert!(!verify_ed25519(identity, message, IDENTITY_FORGERY));
            assert_eq!(
                forge_for_small_order_key(identity, message).as_deref(),
                Some(IDENTITY_FORGERY)
            );
        }
    }

    #[test]
    fn every_small_order_key_is_forged_for_some_message() {
        for weak in small_order_keys().iter().chain(&non_canonical_keys()[..6]) {
            let forged = (0..40).filter_map(|of| forge_for_small_order_key(weak.public_key, &[of; 32]));
            assert!(forged.count() > 5, "{}", weak.name);
        }
        let honest = crate::keys::Identity::from_secrets([1; 32], [1; 32]);
        assert_eq!(forge_for_small_order_key(honest.member_id(), b""), None);
        assert_eq!(forge_for_small_order_key("?", b""), None);
    }
}
