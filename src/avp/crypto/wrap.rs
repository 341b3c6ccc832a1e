//! Wrapped data keys: the default scheme, `X25519-HKDF-SHA256-AESGCM-v1`.
//!
//! The shared secret is the raw output of X25519 between an ephemeral pair and the recipient. The key-encryption key is
//! HKDF-SHA256 of it, salted with the raw ephemeral public key, with [`WRAP_INFO`] as info. The data key is encrypted
//! under it with AES-256-GCM, [`WRAP_INFO`] as additional data and the tag appended: 48 bytes.

use super::envelope::{DataKey, OpenError};
use crate::avp::{DEFAULT_SCHEME, WrappedKey};
use crate::keys::Identity;
use crate::keys::encoding::{decode_array, encode};
use crate::keys::primitives::{aes_256_gcm_open, aes_256_gcm_seal, hkdf_sha256, x25519, x25519_public_key};

/// HKDF info and additional data of the default scheme.
pub const WRAP_INFO: &[u8] = b"avp/rdk-wrap/v1";

/// Wraps a data key for a recipient. `ephemeral` is the secret of the ephemeral X25519 pair; it and `iv` are used once.
///
/// `scheme_id` is written as given; the bytes are those of the default scheme whatever it says. An entry under another
/// name serves to see names stored verbatim, and does not unwrap here.
pub fn wrap_key(
    key: &DataKey,
    scheme_id: &str,
    recipient: &Identity,
    ephemeral: [u8; 32],
    iv: [u8; 12],
) -> WrappedKey {
    let ephemeral_public_key = x25519_public_key(&ephemeral);
    let kek = key_encryption_key(&recipient.shared_with(&ephemeral), &ephemeral_public_key);
    WrappedKey {
        scheme_id: scheme_id.to_owned(),
        ephemeral_public_key: encode(&ephemeral_public_key),
        iv: encode(&iv),
        ciphertext: encode(&aes_256_gcm_seal(&kek, &iv, WRAP_INFO, key.as_bytes())),
    }
}

/// Unwraps a data key with the recipient's X25519 secret.
pub(super) fn unwrap(secret: &[u8; 32], wrapped: &WrappedKey) -> Result<[u8; 32], OpenError> {
    if wrapped.scheme_id != DEFAULT_SCHEME {
        return Err(OpenError::Scheme(wrapped.scheme_id.clone()));
    }
    let ephemeral_public_key = decode_array("ephemeralPublicKey", &wrapped.ephemeral_public_key)?;
    let iv = decode_array("iv", &wrapped.iv)?;
    let ciphertext: [u8; 48] = decode_array("ciphertext", &wrapped.ciphertext)?;
    let shared = x25519(secret, &ephemeral_public_key).ok_or(OpenError::SmallOrder)?;
    let kek = key_encryption_key(&shared, &ephemeral_public_key);
    let key = aes_256_gcm_open(&kek, &iv, WRAP_INFO, &ciphertext).ok_or(OpenError::Altered)?;
    key.try_into().map_err(|_| OpenError::Altered)
}

fn key_encryption_key(shared: &[u8; 32], ephemeral_public_key: &[u8; 32]) -> [u8; 32] {
    hkdf_sha256(shared, ephemeral_public_key, WRAP_INFO)
}

impl Identity {
    /// Unwraps a data key that was wrapped for this actor under the default scheme.
    ///
    /// # Errors
    ///
    /// Another scheme, a field that is not base64 of its length, an ephemeral key of small order, or anything altered
    /// or meant for somebody else.
    pub fn unwrap_key(&self, wrapped: &WrappedKey) -> Result<[u8; 32], OpenError> {
        let [_, x25519] = self.secrets();
        unwrap(&x25519, wrapped)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::encoding::flipped;

    const KEY: [u8; 32] = [5; 32];

    fn bob() -> Identity {
        Identity::from_secrets([1; 32], [2; 32])
    }

    fn wrapped() -> WrappedKey {
        let key = DataKey::from_bytes(KEY);
        wrap_key(&key, DEFAULT_SCHEME, &bob(), [3; 32], [4; 12])
    }

    #[test]
    fn every_altered_bit_is_refused() {
        assert_eq!(bob().unwrap_key(&wrapped()), Ok(KEY));
        let fields: [fn(&mut WrappedKey) -> &mut String; 3] = [
            |it| &mut it.ephemeral_public_key,
            |it| &mut it.iv,
            |it| &mut it.ciphertext,
        ];
        for (field, len) in fields.into_iter().zip([32, 12, 48]) {
            for bit in 0..len * 8 {
                let mut altered = wrapped();
                let text = field(&mut altered);
                *text = flipped(text, bit);
                assert!(bob().unwrap_key(&altered).is_err(), "bit {bit} of {len} bytes");
            }
        }
    }

    #[test]
    fn another_member_or_scheme_is_refused() {
        let carol = Identity::from_secrets([1; 32], [9; 32]);
        assert_eq!(carol.unwrap_key(&wrapped()), Err(OpenError::Altered));
        let mut other = wrapped();
        other.scheme_id = "x25519-hkdf-sha256-aesgcm-v1".to_owned();
        assert!(matches!(bob().unwrap_key(&other), Err(OpenError::Scheme(_))));
    }

    #[test]
    fn the_scheme_name_is_written_as_given() {
        let key = DataKey::from_bytes(KEY);
        let other = wrap_key(&key, "other", &bob(), [3; 32], [4; 12]);
        assert_eq!(other.scheme_id, "other");
        assert_eq!(other.ciphertext, wrapped().ciphertext);
    }

    #[test]
    fn keys_of_small_order_and_other_lengths_are_refused() {
        let zero = encode(&[0; 32]);
        let mut altered = wrapped();
        altered.ephemeral_public_key = zero;
        assert_eq!(bob().unwrap_key(&altered), Err(OpenError::SmallOrder));
        altered.ephemeral_public_key = "AAAA".to_owned();
        let error = bob().unwrap_key(&altered).unwrap_err().to_string();
        assert_eq!(
            error,
            "ephemeralPublicKey is not usable: decodes to 3 bytes where 32 are wanted"
        );
    }

    proptest! {
        #[test]
        fn what_was_wrapped_unwraps(key: [u8; 32], secret: [u8; 32], ephemeral: [u8; 32], iv: [u8; 12]) {
            let member = Identity::from_secrets([0; 32], secret);
            let data_key = DataKey::from_bytes(key);
            let wrapped = wrap_key(&data_key, DEFAULT_SCHEME, &member, ephemeral, iv);
            prop_assert_eq!(member.unwrap_key(&wrapped), Ok(key));
        }
    }
}
