//! Ed25519 as the server needs it: which public keys it takes, and whether a signature holds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

/// Reads a member id as a public key. Refused, with the reason: anything but 32 bytes, no point of the curve, a
/// second spelling of a point, and a point of small order, under which anybody can sign anything.
pub(in crate::avp::server) fn public_key(member_id: &str) -> Result<VerifyingKey, &'static str> {
    match point(member_id)? {
        key if key.is_weak() => Err("the key is of small order"),
        key => Ok(key),
    }
}

/// Reads a member id as a point of the curve in its canonical form.
pub(in crate::avp::server) fn point(member_id: &str) -> Result<VerifyingKey, &'static str> {
    let bytes = STANDARD
        .decode(member_id)
        .map_err(|_| "the key is not base64 with padding")?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| "the key is not 32 bytes")?;
    if !is_canonical(&bytes) {
        return Err("the key is not in its canonical form");
    }
    VerifyingKey::from_bytes(&bytes).map_err(|_| "the key is no point of the curve")
}

/// Whether `signature` is one over exactly `message` under this key. S must lie below the group order (RFC 8032).
pub(in crate::avp::server) fn verifies(member_id: &str, message: &[u8], signature: &[u8]) -> bool {
    match (public_key(member_id), Signature::from_slice(signature)) {
        (Ok(key), Ok(signature)) => key.verify_strict(message, &signature).is_ok(),
        _ => false,
    }
}

/// Whether the encoded y lies below 2^255 - 19.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let all_ones = bytes[1..31].iter().all(|byte| *byte == 0xff) && bytes[31] & 0x7f == 0x7f;
    !(all_ones && bytes[0] >= 0xed)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    #[test]
    fn a_signature_holds_for_its_message_alone() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let signature = key.sign(b"message").to_bytes();
        let id = STANDARD.encode(key.verifying_key().as_bytes());
        assert!(verifies(&id, b"message", &signature));
        assert!(!verifies(&id, b"massage", &signature));
        assert!(!verifies(&id, b"message", &signature[..63]));
        assert!(!verifies(&id, b"message", &[]));
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
            assert!(public_key(&STANDARD.encode(bytes)).is_err(), "{bytes:?}");
        }
        assert!(public_key("no base64").is_err());
    }
}
