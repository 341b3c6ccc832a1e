//! Keys that a target was told of beforehand, by their ids.

use std::fmt;
use std::str::FromStr;

use super::Seed;
use super::primitives::{ed25519_key_pair, ed25519_public_key, ed25519_sign};

/// An Ed25519 key that the target knows under an id.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// What the target calls it.
    pub id: String,
    secret: [u8; 32],
}

impl NamedKey {
    /// The key of this private key of RFC 8032.
    pub fn new(id: impl Into<String>, secret: [u8; 32]) -> NamedKey {
        let id = id.into();
        NamedKey { id, secret }
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        ed25519_public_key(&ed25519_key_pair(&self.secret))
    }

    /// Signs with plain Ed25519 (RFC 8032).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        ed25519_sign(&ed25519_key_pair(&self.secret), message)
    }
}

impl FromStr for NamedKey {
    type Err = String;

    /// `ID=HEX`, the private key as 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, secret) = text.split_once('=').ok_or("a key is written as ID=HEX")?;
        if id.is_empty()
            || !id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        {
            return Err("the id of a key is letters, digits, `-`, `_` and `.`".to_owned());
        }
        let seed: Seed = secret
            .parse()
            .map_err(|_| "the private key is 64 hexadecimal digits (it is not shown here)")?;
        Ok(NamedKey::new(id, seed.bytes()))
    }
}

impl fmt::Debug for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::encoding::hex;

    #[test]
    fn a_key_is_read_and_never_shown() {
        // RFC 8032, 7.1, test 1.
        let secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let key: NamedKey = format!("sig1={secret}").parse().unwrap();
        assert_eq!(
            hex(&key.public()),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert!(!format!("{key:?}").contains("9d61"));
        for wrong in ["sig1", &format!("={secret}"), "sig1=9d61b1", "a b=00"] {
            let error = wrong.parse::<NamedKey>().unwrap_err();
            assert!(!error.contains("9d61"), "{error}");
        }
    }
}
