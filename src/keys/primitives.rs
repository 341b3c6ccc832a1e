//! The primitives as the protocol uses them, one function each, so that they are wired up in one place.
//!
//! AES-256-GCM with a 12-byte iv and the 16-byte tag appended (NIST SP 800-38D), X25519 (RFC 7748), HKDF-SHA256
//! (RFC 5869), Ed25519 (RFC 8032).

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use curve25519_dalek::scalar::clamp_integer;
use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

/// Encrypts; the 16-byte tag ends the result.
pub fn aes_256_gcm_seal(key: &[u8; 32], iv: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: plaintext, aad };
    Aes256Gcm::new(key.into())
        .encrypt(<&Nonce<_>>::from(iv), payload)
        .expect("AES-GCM encrypts whatever fits into memory: its limit is 64 GiB")
}

/// Decrypts what [`aes_256_gcm_seal`] made; `None` if anything was altered.
pub fn aes_256_gcm_open(key: &[u8; 32], iv: &[u8; 12], aad: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload { msg: ciphertext, aad };
    Aes256Gcm::new(key.into())
        .decrypt(<&Nonce<_>>::from(iv), payload)
        .ok()
}

/// The X25519 public key of a secret, 32 bytes each; the secret is clamped as RFC 7748 says.
pub fn x25519_public_key(secret: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

/// The shared secret of X25519, raw; `None` where it is zero whatever the secret, since the public key is of small order.
pub fn x25519(secret: &[u8; 32], public_key: &[u8; 32]) -> Option<[u8; 32]> {
    let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(*public_key));
    shared.was_contributory().then(|| shared.to_bytes())
}

/// What [`x25519`] gives for one of two key pairs and the other's public key, for somebody who has both secrets.
///
/// It is the multiple of the base point by both scalars, and multiples of the base point are found much faster than those
/// of any other.
pub fn x25519_of_secrets(one: &[u8; 32], other: &[u8; 32]) -> [u8; 32] {
    let [one, other] = [one, other].map(|secret| Scalar::from_bytes_mod_order(clamp_integer(*secret)));
    EdwardsPoint::mul_base(&(one * other)).to_montgomery().to_bytes()
}

/// `N` bytes of HKDF-SHA256. An empty salt is that of RFC 5869: zeros.
pub fn hkdf_sha256<const N: usize>(ikm: &[u8], salt: &[u8], info: &[u8]) -> [u8; N] {
    const { assert!(N <= 255 * 32, "HKDF gives at most 255 blocks") };
    let mut out = [0; N];
    Hkdf::<Sha256>::new(Some(salt), ikm)
        .expand(info, &mut out)
        .expect("the length was checked when this was compiled");
    out
}

/// The first half of HKDF-SHA256 (RFC 5869, section 2.2): a pseudorandom key of key material.
pub fn hkdf_extract(ikm: &[u8], salt: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(salt), ikm).0.into()
}

/// The second half of HKDF-SHA256 (RFC 5869, section 2.3): 32 bytes of a pseudorandom key.
pub fn hkdf_expand(prk: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::from_prk(prk)
        .and_then(|hkdf| hkdf.expand(info, &mut out).map_err(|_| hkdf::InvalidPrkLength))
        .expect("32 bytes are one block of a key of one block");
    out
}

/// The Ed25519 key pair of a 32-byte secret. Making one costs as much as a signature.
pub fn ed25519_key_pair(secret: &[u8; 32]) -> SigningKey {
    SigningKey::from_bytes(secret)
}

/// The 32-byte public key of an Ed25519 key pair.
pub fn ed25519_public_key(pair: &SigningKey) -> [u8; 32] {
    pair.verifying_key().to_bytes()
}

/// Signs with plain Ed25519.
pub fn ed25519_sign(pair: &SigningKey, message: &[u8]) -> [u8; 64] {
    pair.sign(message).to_bytes()
}

/// Verifies strictly: RFC 8032 with S below the group order, and neither a key nor an R of small order; keys that are
/// not encoded canonically are refused.
pub fn ed25519_verify(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(public_key) else {
        return false;
    };
    let canonical = key.to_edwards().compress().to_bytes() == *public_key;
    let signature = Signature::from_bytes(signature);
    canonical && key.verify_strict(message, &signature).is_ok()
}
