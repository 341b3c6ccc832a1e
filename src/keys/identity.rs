//! An actor's keys.

use std::fmt;
use std::sync::OnceLock;

use ed25519_dalek::SigningKey;

use super::encoding::encode;
use super::primitives::{
    ed25519_key_pair, ed25519_public_key, ed25519_sign, x25519_of_secrets, x25519_public_key,
};
use super::seed::Seed;

/// The Ed25519 and X25519 key pairs of one actor.
///
/// `Debug` shows the member id only.
#[derive(Clone)]
pub struct Identity {
    ed25519: SigningKey,
    x25519_secret: [u8; 32],
    member_id: String,
    x25519_public_key: OnceLock<String>,
}

impl Identity {
    /// The actor that belongs to a list of labels: its secrets are what the seed derives from the labels and `ed25519`,
    /// and from the labels and `x25519`.
    pub fn derive(seed: &Seed, labels: &[&str]) -> Identity {
        Identity::from_secrets(
            seed.derive_under(labels, "ed25519"),
            seed.derive_under(labels, "x25519"),
        )
    }

    /// The actor of these secrets, 32 bytes each: the private key of RFC 8032, and the scalar of RFC 7748 before clamping.
    pub fn from_secrets(ed25519_secret: [u8; 32], x25519_secret: [u8; 32]) -> Identity {
        let ed25519 = ed25519_key_pair(&ed25519_secret);
        Identity {
            member_id: encode(&ed25519_public_key(&ed25519)),
            x25519_public_key: OnceLock::new(),
            ed25519,
            x25519_secret,
        }
    }

    /// The member id: base64 of the Ed25519 public key.
    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    /// base64 of the X25519 public key.
    pub fn x25519_public_key(&self) -> &str {
        // Most actors never need it.
        self.x25519_public_key
            .get_or_init(|| encode(&x25519_public_key(&self.x25519_secret)))
    }

    /// The secret shared with the holder of another X25519 secret.
    pub(crate) fn shared_with(&self, secret: &[u8; 32]) -> [u8; 32] {
        x25519_of_secrets(&self.x25519_secret, secret)
    }

    /// Signs with plain Ed25519 (RFC 8032).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        ed25519_sign(&self.ed25519, message)
    }

    /// Both private keys, Ed25519 first, so that outputs can be searched for them.
    pub fn secrets(&self) -> [[u8; 32]; 2] {
        [self.ed25519.to_bytes(), self.x25519_secret]
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("member_id", &self.member_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_differ_and_come_again() {
        let seed = Seed::from_bytes([1; 32]);
        let alice = Identity::derive(&seed, &["actor", "alice"]);
        let bob = Identity::derive(&seed, &["actor", "bob"]);
        assert_ne!(alice.member_id(), bob.member_id());
        assert_ne!(alice.x25519_public_key(), bob.x25519_public_key());
        let again = Identity::derive(&seed, &["actor", "alice"]);
        assert_eq!(alice.secrets(), again.secrets());
        assert_ne!(alice.secrets()[0], alice.secrets()[1]);
    }

    #[test]
    fn debug_shows_no_secret() {
        let alice = Identity::from_secrets([0xAB; 32], [0xCD; 32]);
        let shown = format!("{alice:?}");
        assert_eq!(
            shown,
            format!("Identity {{ member_id: {:?}, .. }}", alice.member_id())
        );
    }
}
