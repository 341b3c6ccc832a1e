//! Ed25519 as the server needs it: which public keys it takes, and whether a signature holds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};

use super::state::State;
use super::variations::identity;

/// Reads a member id as a public key. Refused, with the reason: anything but 32 bytes, no point of the curve, a
/// second spelling of a point, and a point of small order, under which anybody can sign anything.
pub(super) fn public_key(state: &State, member_id: &str) -> Result<VerifyingKey, &'static str> {
    let bytes = STANDARD
        .decode(member_id)
        .map_err(|_| "the key is not base64 with padding")?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| "the key is not 32 bytes")?;
    if !is_canonical(&bytes) {
        return Err("the key is not in its canonical form");
    }
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| "the key is no point of the curve")?;
    if key.is_weak() && !state.deviates(identity::SMALL_ORDER_ACCEPTED) {
        return Err("the key is of small order");
    }
    Ok(key)
}

/// Whether `signature` is one over exactly `message` under `key`. S must lie below the group order (RFC 8032).
pub(super) fn verifies(state: &State, key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    let Ok(signature) = Signature::from_slice(signature) else {
        return false;
    };
    match state.is(identity::SMALL_ORDER_ACCEPTED) {
        true => key.verify(message, &signature).is_ok(),
        false => key.verify_strict(message, &signature).is_ok(),
    }
}

/// A signature whose S is not below the group order, with S brought below it; `None` for any other.
pub(super) fn reduce(signature: &[u8]) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = signature.to_vec();
    let scalar = bytes.get_mut(32..64)?;
    let (mut borrow, mut reduced) = (0, [0; 32]);
    for index in 0..32 {
        let difference = i16::from(scalar[index]) - i16::from(ORDER[index]) - borrow;
        borrow = i16::from(difference < 0);
        reduced[index] = u8::try_from(difference.rem_euclid(256)).ok()?;
    }
    scalar.copy_from_slice(&reduced);
    (borrow == 0 && signature.len() == 64).then_some(bytes)
}

/// The order of the group, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Whether the encoded y lies below 2^255 - 19.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let all_ones = bytes[1..31].iter().all(|byte| *byte == 0xff) && bytes[31] & 0x7f == 0x7f;
    !(all_ones && bytes[0] >= 0xed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    #[test]
    fn a_signature_holds_for_its_message_alone() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let signature = key.sign(b"message").to_bytes();
        let public = public_key(
            &State::default(),
            &STANDARD.encode(key.verifying_key().as_bytes()),
        )
        .unwrap();
        assert!(verifies(&State::default(), &public, b"message", &signature));
        assert!(!verifies(&State::default(), &public, b"massage", &signature));
        assert!(!verifies(
            &State::default(),
            &public,
            b"message",
            &signature[..63]
        ));
        assert!(!verifies(&State::default(), &public, b"message", &[]));
    }

    #[test]
    fn a_signature_with_the_order_added_is_refused_until_reduced() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let good = key.sign(b"message").to_bytes();
        let mut malleable = good;
        let mut carry = 0;
        for index in 0..32 {
            let sum = u16::from(good[32 + index]) + u16::from(ORDER[index]) + carry;
            malleable[32 + index] = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert!(!verifies(
            &State::default(),
            &key.verifying_key(),
            b"message",
            &malleable
        ));
        assert_eq!(reduce(&malleable).as_deref(), Some(&good[..]));
        assert_eq!(reduce(&good), None);
    }

    #[test]
    fn keys_that_prove_nothing_are_refused() {
        let mut small_order = [0_u8; 32];
        small_order[0] = 1;
        let mut no_point = [0_u8; 32];
        no_point[0] = 2;
        let mut second_spelling = [0xff_u8; 32];
        second_spelling[0] = 0xf0;
        for bytes in [
            &small_order[..],
            &no_point,
            &second_spelling,
            &[1; 31],
            &[1; 33],
            &[],
        ] {
            assert!(
                public_key(&State::default(), &STANDARD.encode(bytes)).is_err(),
                "{bytes:?}"
            );
        }
        assert!(public_key(&State::default(), "no base64").is_err());
    }
}
