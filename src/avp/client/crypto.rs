//! The cryptography of the client side (section 5): envelopes, wrapped data keys, key bindings.

use super::messages::{Envelope, WrappedKey};
use crate::keys::encoding::{decode, decode_array, encode};
use crate::keys::primitives::{
    aes_256_gcm_open, aes_256_gcm_seal, ed25519_verify, hkdf_sha256, x25519, x25519_public_key,
};

/// The one wrap scheme that this client speaks.
pub(super) const SCHEME: &str = "X25519-HKDF-SHA256-AESGCM-v1";
/// HKDF info and additional data of that scheme.
pub(super) const WRAP_INFO: &[u8] = b"avp/rdk-wrap/v1";
/// What parts the repository's id from the counters in an envelope's additional data.
const UNIT_SEPARATOR: u8 = 0x1F;

/// What an envelope is bound to: its repository, version and epoch.
pub(super) fn aad(repo_id: &str, payload_version: i64, key_epoch: i64) -> Vec<u8> {
    let mut aad = repo_id.as_bytes().to_vec();
    aad.push(UNIT_SEPARATOR);
    aad.extend_from_slice(&payload_version.to_be_bytes());
    aad.extend_from_slice(&key_epoch.to_be_bytes());
    aad
}

/// Opens an envelope. None where the key is another, or anything of it was altered: the ciphertext, the tag, the iv, or the
/// repository, version and epoch that its head names.
pub(super) fn open(key: &[u8; 32], envelope: &Envelope) -> Option<Vec<u8>> {
    let iv: [u8; 12] = decode_array("iv", &envelope.iv).ok()?;
    let ciphertext = decode("ciphertext", &envelope.ciphertext).ok()?;
    let aad = aad(&envelope.repo_id, envelope.payload_version, envelope.key_epoch);
    aes_256_gcm_open(key, &iv, &aad, &ciphertext)
}

/// Wraps a data key for the holder of an X25519 key. None where that key is of small order: the shared secret would be zero,
/// and the wrapped key open to everybody.
///
/// `ephemeral` is the secret of a key pair that is used for this alone, `iv` is used for this alone.
pub(super) fn wrap(
    data_key: &[u8; 32],
    recipient: &[u8; 32],
    ephemeral: &[u8; 32],
    iv: &[u8; 12],
) -> Option<WrappedKey> {
    let ephemeral_public_key = x25519_public_key(ephemeral);
    let shared = x25519(ephemeral, recipient)?;
    let kek = key_encryption_key(&shared, &ephemeral_public_key);
    Some(WrappedKey {
        scheme_id: SCHEME.to_owned(),
        ephemeral_public_key: encode(&ephemeral_public_key),
        iv: encode(iv),
        ciphertext: encode(&aes_256_gcm_seal(&kek, iv, WRAP_INFO, data_key)),
    })
}

/// Unwraps a data key. None where it was wrapped for another key, under another scheme, or altered.
pub(super) fn unwrap(secret: &[u8; 32], wrapped: &WrappedKey) -> Option<[u8; 32]> {
    if wrapped.scheme_id != SCHEME {
        return None;
    }
    let ephemeral_public_key = decode_array("ephemeralPublicKey", &wrapped.ephemeral_public_key).ok()?;
    let iv: [u8; 12] = decode_array("iv", &wrapped.iv).ok()?;
    let ciphertext: [u8; 48] = decode_array("ciphertext", &wrapped.ciphertext).ok()?;
    let shared = x25519(secret, &ephemeral_public_key)?;
    let kek = key_encryption_key(&shared, &ephemeral_public_key);
    aes_256_gcm_open(&kek, &iv, WRAP_INFO, &ciphertext)?
        .try_into()
        .ok()
}

fn key_encryption_key(shared: &[u8; 32], ephemeral_public_key: &[u8; 32]) -> [u8; 32] {
    hkdf_sha256(shared, ephemeral_public_key, WRAP_INFO)
}

/// Whether an issuer has bound a member's two keys to each other.
pub(super) fn is_bound(issuer: &[u8; 32], ed25519: &str, x25519: &str, signature: Option<&str>) -> bool {
    let signature = signature.and_then(|text| decode_array("keyBindingSig", text).ok());
    let message = format!("{ed25519}|{x25519}");
    signature.is_some_and(|signature| ed25519_verify(issuer, message.as_bytes(), &signature))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::keys::Identity;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../schema/vectors.json")).unwrap()
    }

    fn unhex<const N: usize>(value: &Value) -> [u8; N] {
        let text = value.as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(byte)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn additional_data_is_that_of_the_vectors() {
        for vector in vectors()["aad"].as_array().unwrap() {
            let number = |name: &str| vector[name].as_i64().unwrap();
            let made = aad(
                vector["repoId"].as_str().unwrap(),
                number("payloadVersion"),
                number("keyEpoch"),
            );
            assert_eq!(hex(&made), vector["aad"].as_str().unwrap());
        }
    }

    #[test]
    fn the_envelopes_of_the_vectors_open_and_altered_ones_do_not() {
        for vector in vectors()["envelopes"].as_array().unwrap() {
            let key = unhex(&vector["dataKey"]);
            let envelope: Envelope = serde_json::from_value(vector["envelope"].clone()).unwrap();
            assert_eq!(
                open(&key, &envelope).unwrap(),
                vector["plaintext"].as_str().unwrap().as_bytes()
            );
            let other = |change: fn(&mut Envelope)| {
                let mut envelope = envelope.clone();
                change(&mut envelope);
                open(&key, &envelope)
            };
            assert_eq!(other(|it| it.key_epoch += 1), None);
            assert_eq!(other(|it| it.payload_version -= 1), None);
            assert_eq!(other(|it| it.repo_id.push('x')), None);
        }
    }

    #[test]
    fn the_wrapped_keys_of_the_vectors_come_out_the_same() {
        let vectors = vectors();
        for (vector, who) in vectors["wraps"]
            .as_array()
            .unwrap()
            .iter()
            .zip(vectors["identities"].as_array().unwrap())
        {
            let wanted: WrappedKey = serde_json::from_value(vector["wrappedDataKey"].clone()).unwrap();
            let data_key = unhex(&vector["dataKey"]);
            let recipient = decode_array("recipient", vector["recipient"].as_str().unwrap()).unwrap();
            let iv = decode_array("iv", &wanted.iv).unwrap();
            let made = wrap(&data_key, &recipient, &unhex(&vector["ephemeralSecret"]), &iv).unwrap();
            assert_eq!(made, wanted);
            assert_eq!(unwrap(&unhex(&who["x25519Secret"]), &wanted), Some(data_key));
            assert_eq!(unwrap(&unhex(&who["ed25519Secret"]), &wanted), None);
        }
    }

    #[test]
    fn the_bindings_of_the_vectors_hold_and_no_others() {
        let vectors = vectors();
        for binding in vectors["bindings"].as_array().unwrap() {
            let issuer = decode_array("issuer", binding["issuer"].as_str().unwrap()).unwrap();
            let (ed25519, x25519) = binding["message"].as_str().unwrap().split_once('|').unwrap();
            let signature = binding["keyBindingSig"].as_str();
            assert!(is_bound(&issuer, ed25519, x25519, signature));
            assert!(!is_bound(&issuer, x25519, ed25519, signature));
            assert!(!is_bound(&issuer, ed25519, x25519, None));
            assert!(!is_bound(&issuer, ed25519, x25519, Some("")));
        }
    }

    #[test]
    fn nothing_is_wrapped_to_a_key_of_small_order() {
        let mut one = [0; 32];
        one[0] = 1;
        for weak in [[0; 32], one] {
            assert_eq!(wrap(&[7; 32], &weak, &[9; 32], &[1; 12]), None);
        }
        let bob = Identity::from_secrets([1; 32], [2; 32]);
        let key = decode_array("key", bob.x25519_public_key()).unwrap();
        let wrapped = wrap(&[7; 32], &key, &[9; 32], &[1; 12]).unwrap();
        assert_eq!(unwrap(&[2; 32], &wrapped), Some([7; 32]));
    }
}
