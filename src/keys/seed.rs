//! The seed of a run, and everything that follows from it.

use std::fmt;
use std::str::FromStr;

use super::encoding::hex;
use super::primitives::{hkdf_expand, hkdf_extract};

/// The salt of every derivation. A new layout would get a new one.
const SALT: &[u8] = b"avp-conform/seed/v1";

/// The 32 bytes that all keys, ids and ivs of a run follow from; written as 64 hexadecimal digits.
///
/// A seed is no secret: reports name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed {
    bytes: [u8; 32],
    /// The pseudorandom key that HKDF extracts of them, since it is the same for all derivations.
    extracted: [u8; 32],
}

/// A text that is no seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// It has another length.
    #[error("a seed is 64 hexadecimal digits, this has {0} characters")]
    Length(usize),
    /// It has a character that is no hexadecimal digit.
    #[error("a seed is 64 hexadecimal digits, character {0} is none")]
    Digit(usize),
}

impl Seed {
    /// A seed of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Seed {
        let extracted = hkdf_extract(&bytes, SALT);
        Seed { bytes, extracted }
    }

    /// The 32 bytes.
    pub(crate) fn bytes(&self) -> [u8; 32] {
        self.bytes
    }

    /// A seed from the operating system's randomness.
    pub fn random() -> Seed {
        Seed::from_bytes(rand::random())
    }

    /// The 32 bytes that belong to a list of labels, such as `["actor", "alice", "ed25519"]`.
    ///
    /// HKDF-SHA256 (RFC 5869) with the seed as key material, salt `avp-conform/seed/v1`, and as info each label in turn:
    /// its length in bytes as a 32-bit big-endian number, then its UTF-8 bytes. Lists that differ give bytes that differ.
    pub fn derive(&self, labels: &[&str]) -> [u8; 32] {
        hkdf_expand(&self.extracted, &info(labels))
    }

    /// The iv that belongs to a list of labels: the first 12 bytes of [`Seed::derive`].
    ///
    /// Every encryption needs labels of its own, for one iv must not be used twice under one key.
    pub fn derive_iv(&self, labels: &[&str]) -> [u8; 12] {
        let mut iv = [0; 12];
        iv.copy_from_slice(&self.derive(labels)[..12]);
        iv
    }

    /// The bytes that belong to a base list of labels and one more.
    pub(crate) fn derive_under(&self, labels: &[&str], last: &str) -> [u8; 32] {
        let labels: Vec<_> = labels.iter().copied().chain([last]).collect();
        self.derive(&labels)
    }
}

fn info(labels: &[&str]) -> Vec<u8> {
    let mut info = Vec::new();
    for label in labels {
        let length = u32::try_from(label.len()).unwrap_or(u32::MAX);
        info.extend_from_slice(&length.to_be_bytes());
        info.extend_from_slice(label.as_bytes());
    }
    info
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.bytes))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({self})")
    }
}

impl FromStr for Seed {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Seed, SeedError> {
        let length = text.chars().count();
        if length != 64 {
            return Err(SeedError::Length(length));
        }
        let mut bytes = [0; 32];
        for (at, c) in text.chars().enumerate() {
            let digit = c.to_digit(16).ok_or(SeedError::Digit(at + 1))?;
            bytes[at / 2] = bytes[at / 2] << 4 | digit as u8;
        }
        Ok(Seed::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_is_read_as_it_is_written() {
        let text = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        let seed: Seed = text.parse().unwrap();
        assert_eq!(seed.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(seed));
        let random = Seed::random();
        assert_eq!(random.to_string().parse(), Ok(random));
        assert_ne!(random, Seed::random());
    }

    #[test]
    fn what_is_no_seed_is_refused_in_words() {
        let error = |text: &str| text.parse::<Seed>().unwrap_err().to_string();
        assert_eq!(
            error("abcd"),
            "a seed is 64 hexadecimal digits, this has 4 characters"
        );
        assert!(error(&format!("{}g", "0".repeat(63))).ends_with("character 64 is none"));
        assert!(error(&"é".repeat(64)).ends_with("character 1 is none"));
        assert!(error(&"0".repeat(66)).contains("66"));
    }

    #[test]
    fn lists_of_labels_that_differ_give_bytes_that_differ() {
        let seed = Seed::from_bytes([7; 32]);
        let lists: [&[&str]; 8] = [
            &[],
            &[""],
            &["", ""],
            &["a"],
            &["a", ""],
            &["a", "b"],
            &["ab"],
            &["b", "a"],
        ];
        let bytes: HashSet<_> = lists.iter().map(|labels| seed.derive(labels)).collect();
        assert_eq!(bytes.len(), lists.len());
        assert_eq!(seed.derive(&["a"]), seed.derive(&["a"]));
        assert_ne!(seed.derive(&["a"]), Seed::from_bytes([8; 32]).derive(&["a"]));
        assert_eq!(seed.derive_under(&["a"], "b"), seed.derive(&["a", "b"]));
        assert_eq!(seed.derive_iv(&["a"])[..], seed.derive(&["a"])[..12]);
    }
}
