//! Envelopes: the payload under the data key, bound to its repository, version and epoch.

use std::fmt;

use crate::avp::EncryptedEnvelope;
use crate::keys::Seed;
use crate::keys::encoding::{EncodingError, decode, decode_array, encode};
use crate::keys::primitives::{aes_256_gcm_open, aes_256_gcm_seal};

/// The 32-byte symmetric key of one key epoch. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey([u8; 32]);

/// Why an envelope or a wrapped key does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A binary field is not base64, or of another length.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// A wrapped key names a scheme that is not the default one.
    #[error("the wrap scheme {0:?} is unknown")]
    Scheme(String),
    /// The ephemeral public key is of small order: everybody knows the shared secret.
    #[error("the ephemeral public key is of small order")]
    SmallOrder,
    /// It does not authenticate: altered, under another key, or for another repository, version, epoch or member.
    #[error("it does not authenticate: altered, or not under this key")]
    Altered,
}

impl DataKey {
    /// The data key that belongs to a list of labels: what the seed derives from the labels and `data-key`.
    pub fn derive(seed: &Seed, labels: &[&str]) -> DataKey {
        DataKey(seed.derive_under(labels, "data-key"))
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> DataKey {
        DataKey(bytes)
    }

    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// What the encryption of a payload binds beside it: the UTF-8 bytes of `repo_id`, the byte 0x1F, then version and epoch
/// as 64-bit big-endian numbers.
pub fn payload_aad(repo_id: &str, version: i64, epoch: i64) -> Vec<u8> {
    let mut aad = Vec::with_capacity(repo_id.len() + 17);
    aad.extend_from_slice(repo_id.as_bytes());
    aad.push(0x1F);
    aad.extend_from_slice(&version.to_be_bytes());
    aad.extend_from_slice(&epoch.to_be_bytes());
    aad
}

/// Encrypts a payload: AES-256-GCM, tag appended, with [`payload_aad`]. An iv is used once under one key.
pub fn seal_payload(
    key: &DataKey,
    repo_id: &str,
    version: i64,
    epoch: i64,
    iv: &[u8; 12],
    plaintext: &[u8],
) -> EncryptedEnvelope {
    let aad = payload_aad(repo_id, version, epoch);
    EncryptedEnvelope {
        repo_id: repo_id.to_owned(),
        payload_version: version,
        key_epoch: epoch,
        iv: encode(iv),
        ciphertext: encode(&aes_256_gcm_seal(&key.0, iv, &aad, plaintext)),
    }
}

/// Decrypts an envelope under the repository, version and epoch that it names itself. A caller who asked for a certain
/// repository or version has to compare these.
///
/// # Errors
///
/// A field that is not base64 of its length, or anything altered.
pub fn open_payload(key: &DataKey, envelope: &EncryptedEnvelope) -> Result<Vec<u8>, OpenError> {
    let iv = decode_array("iv", &envelope.iv)?;
    let ciphertext = decode("ciphertext", &envelope.ciphertext)?;
    let aad = payload_aad(&envelope.repo_id, envelope.payload_version, envelope.key_epoch);
    aes_256_gcm_open(&key.0, &iv, &aad, &ciphertext).ok_or(OpenError::Altered)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::encoding::flipped;

    const KEY: DataKey = DataKey([3; 32]);

    fn sealed() -> EncryptedEnvelope {
        seal_payload(&KEY, "repo", 7, 2, &[9; 12], b"payload")
    }

    #[test]
    fn the_aad_has_the_layout_of_the_protocol() {
        let aad = payload_aad("é", 1, -2);
        let expected = b"\xC3\xA9\x1F\0\0\0\0\0\0\0\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE";
        assert_eq!(aad, expected);
    }

    #[test]
    fn every_altered_bit_of_iv_and_ciphertext_is_refused() {
        let envelope = sealed();
        assert_eq!(open_payload(&KEY, &envelope).unwrap(), b"payload");
        for bit in 0..12 * 8 {
            let iv = flipped(&envelope.iv, bit);
            let altered = EncryptedEnvelope {
                iv,
                ..envelope.clone()
            };
            assert_eq!(open_payload(&KEY, &altered), Err(OpenError::Altered));
        }
        for bit in 0..(7 + 16) * 8 {
            let ciphertext = flipped(&envelope.ciphertext, bit);
            let altered = EncryptedEnvelope {
                ciphertext,
                ..envelope.clone()
            };
            assert_eq!(open_payload(&KEY, &altered), Err(OpenError::Altered));
        }
    }

    #[test]
    fn every_altered_bit_of_the_key_is_refused() {
        for bit in 0..256 {
            let mut key = [3; 32];
            key[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_payload(&DataKey(key), &sealed()), Err(OpenError::Altered));
        }
    }

    #[test]
    fn another_repository_version_or_epoch_is_refused() {
        let altered: [fn(&mut EncryptedEnvelope); 6] = [
            |it| it.repo_id = "repO".to_owned(),
            |it| it.repo_id = String::new(),
            |it| it.payload_version = 8,
            |it| it.payload_version = i64::MIN + 7,
            |it| it.key_epoch = 3,
            |it| std::mem::swap(&mut it.payload_version, &mut it.key_epoch),
        ];
        for alter in altered {
            let mut envelope = sealed();
            alter(&mut envelope);
            assert_eq!(open_payload(&KEY, &envelope), Err(OpenError::Altered));
        }
    }

    #[test]
    fn cut_extended_and_misspelt_fields_are_refused() {
        let envelope = sealed();
        for ciphertext in ["", "AAAA", &encode(&[0; 15])] {
            let altered = EncryptedEnvelope {
                ciphertext: ciphertext.to_owned(),
                ..envelope.clone()
            };
            assert_eq!(open_payload(&KEY, &altered), Err(OpenError::Altered));
        }
        for iv in ["", "AAAA", "not base64", &encode(&[9; 13]), &encode(&[9; 16])] {
            let altered = EncryptedEnvelope {
                iv: iv.to_owned(),
                ..envelope.clone()
            };
            assert!(matches!(
                open_payload(&KEY, &altered),
                Err(OpenError::Encoding(_))
            ));
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{KEY:?}"), "DataKey(..)");
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(
            key: [u8; 32], repo: String, version: i64, epoch: i64, iv: [u8; 12], plaintext: Vec<u8>,
        ) {
            let key = DataKey(key);
            let envelope = seal_payload(&key, &repo, version, epoch, &iv, &plaintext);
            prop_assert_eq!(open_payload(&key, &envelope).unwrap(), plaintext);
        }

        #[test]
        fn no_envelope_makes_it_panic(iv: String, ciphertext: String) {
            let envelope = EncryptedEnvelope { iv, ciphertext, ..sealed() };
            prop_assert!(open_payload(&KEY, &envelope).is_err());
        }
    }
}
