//! Key bindings: an issuer's signature over a member's two public keys, which travels as `keyBindingSig`.

use crate::keys::encoding::encode;
use crate::keys::{Identity, verify_ed25519};

/// What an issuer signs: the UTF-8 bytes of the base64 of the Ed25519 key, `|`, and the base64 of the X25519 key.
pub fn binding_message(ed25519_b64: &str, x25519_b64: &str) -> Vec<u8> {
    format!("{ed25519_b64}|{x25519_b64}").into_bytes()
}

/// Binds a member's keys: base64 of the issuer's signature over [`binding_message`].
pub fn sign_binding(issuer: &Identity, ed25519_b64: &str, x25519_b64: &str) -> String {
    encode(&issuer.sign(&binding_message(ed25519_b64, x25519_b64)))
}

/// Whether a `keyBindingSig` is the issuer's signature over these two keys.
pub fn verify_binding(issuer_id: &str, ed25519_b64: &str, x25519_b64: &str, signature_b64: &str) -> bool {
    verify_ed25519(
        issuer_id,
        &binding_message(ed25519_b64, x25519_b64),
        signature_b64,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::encoding::decode;

    #[test]
    fn a_binding_holds_for_its_keys_and_issuer_only() {
        let issuer = Identity::from_secrets([1; 32], [1; 32]);
        let member = Identity::from_secrets([2; 32], [2; 32]);
        let (ed, x) = (member.member_id(), member.x25519_public_key());
        let signature = sign_binding(&issuer, ed, x);
        assert!(verify_binding(issuer.member_id(), ed, x, &signature));
        assert!(!verify_binding(member.member_id(), ed, x, &signature));
        assert!(!verify_binding(issuer.member_id(), x, ed, &signature));
        assert!(!verify_binding(
            issuer.member_id(),
            issuer.member_id(),
            x,
            &signature
        ));
        assert!(!verify_binding(issuer.member_id(), ed, x, "opaque"));
    }

    #[test]
    fn every_altered_bit_of_a_signature_is_refused() {
        let issuer = Identity::from_secrets([1; 32], [1; 32]);
        let signature = issuer.sign(b"message");
        for bit in 0..512 {
            let mut altered = signature;
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !verify_ed25519(issuer.member_id(), b"message", &encode(&altered)),
                "bit {bit}"
            );
        }
        assert!(verify_ed25519(
            issuer.member_id(),
            b"message",
            &encode(&signature)
        ));
    }

    #[test]
    fn every_altered_bit_of_the_key_is_refused() {
        let issuer = Identity::from_secrets([1; 32], [1; 32]);
        let signature = encode(&issuer.sign(b"message"));
        let key = decode("test", issuer.member_id()).unwrap();
        for bit in 0..256 {
            let mut altered = key.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !verify_ed25519(&encode(&altered), b"message", &signature),
                "bit {bit}"
            );
        }
    }
}
