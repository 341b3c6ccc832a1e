//! Public keys whose base64 looks like that of another: what a comparison without case, or of the beginning alone, takes for it.

use ed25519_dalek::VerifyingKey;

use super::encoding::{decode_array, encode};
use crate::text::swap_case;

/// An id that is another one's but for the case of one letter, and is a point of the curve. The id itself where it has no such
/// letter, which no key has in practice.
pub fn in_other_case(id: &str) -> String {
    let letters = id.char_indices().filter(|(_, c)| c.is_ascii_alphabetic());
    let others = letters.map(|(at, c)| format!("{}{}{}", &id[..at], swap_case(c), &id[at + 1..]));
    others
        .into_iter()
        .find(|other| is_key(other))
        .unwrap_or_else(|| id.to_owned())
}

/// An id that begins with the first 32 characters of another one's, goes on otherwise, and is a point of the curve. The id
/// itself where it is no base64 of 32 bytes.
pub fn with_head_of(id: &str) -> String {
    let Ok(own) = decode_array::<32>("id", id) else {
        return id.to_owned();
    };
    // 24 bytes are 32 characters.
    let others = (1..=u8::MAX).map(|mask| {
        let mut other = own;
        other[24..].iter_mut().for_each(|byte| *byte ^= mask);
        encode(&other)
    });
    others
        .into_iter()
        .find(|other| is_key(other))
        .unwrap_or_else(|| id.to_owned())
}

/// Whether a text is an Ed25519 public key in canonical base64 that is of no small order.
fn is_key(text: &str) -> bool {
    let bytes = decode_array("id", text).ok();
    let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    key.is_some_and(|key| !key.is_weak())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Identity, Seed};

    #[test]
    fn lookalikes_are_keys_of_nobody() {
        for of in 0..50 {
            let identity = Identity::derive(&Seed::from_bytes([of; 32]), &["alice"]);
            let id = identity.member_id();
            let (cased, headed) = (in_other_case(id), with_head_of(id));
            assert!(
                cased != id && cased.eq_ignore_ascii_case(id) && is_key(&cased),
                "{cased}"
            );
            assert!(
                headed != id && headed[..32] == id[..32] && is_key(&headed),
                "{headed}"
            );
            assert!(!headed.eq_ignore_ascii_case(id));
        }
    }
}
