//! Payloads as they are kept: AES-256-GCM under the encryption key, bound to their event.

use serde_json::Value;

use crate::keys::primitives::{aes_256_gcm_open, aes_256_gcm_seal};

/// The bytes of an iv, which stand before the ciphertext.
const IV_BYTES: usize = 12;

/// Encrypts a payload for its place in the spool.
pub(super) fn seal(key: &[u8; 32], event: &str, payload: &[u8]) -> Vec<u8> {
    let iv: [u8; IV_BYTES] = rand::random();
    [iv.to_vec(), aes_256_gcm_seal(key, &iv, event.as_bytes(), payload)].concat()
}

/// Decrypts what was kept for an event; none where it was kept under another key, or altered.
pub(super) fn open(key: &[u8; 32], event: &str, kept: &[u8]) -> Option<Value> {
    let (iv, ciphertext) = kept.split_first_chunk::<IV_BYTES>()?;
    let payload = aes_256_gcm_open(key, iv, event.as_bytes(), ciphertext)?;
    serde_json::from_slice(&payload).ok()
}
