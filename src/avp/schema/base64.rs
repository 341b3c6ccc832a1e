//! Which fields are base64, of how many bytes, and whether they are.
//!
//! Standard alphabet (RFC 4648 section 4), padding mandatory, unused trailing bits zero, no white space. An issuer's
//! `keyBindingSig` travels opaquely and is not looked at.

use std::fmt::Write as _;

use serde_json::Value;

use super::properties::{Shape, properties};
use super::{MAX_VIOLATIONS, Violation};
use crate::keys::encoding::{Base64Len, base64_fault};

/// A base64 field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base64Field {
    /// Its name: `ed25519PublicKey`.
    pub name: &'static str,
    /// How many bytes it decodes to.
    pub len: Base64Len,
}

/// The base64 fields of a message itself, not of the messages in it; none for an unknown message.
pub fn base64_fields(message: &str) -> &'static [Base64Field] {
    match message {
        "WrappedKey" => &[EPHEMERAL_KEY, IV, WRAPPED],
        "MemberEntry" | "InviteRequest" => &[ED25519_KEY, X25519_KEY],
        "EncryptedEnvelope" => &[IV, CIPHERTEXT],
        "ChallengeRequest" => &[ED25519_KEY],
        "AuthChallenge" => &[NONCE],
        "TokenRequest" => &[ED25519_KEY, NONCE, SIGNATURE],
        _ => &[],
    }
}

const ED25519_KEY: Base64Field = exactly("ed25519PublicKey", 32);
const X25519_KEY: Base64Field = exactly("x25519PublicKey", 32);
const EPHEMERAL_KEY: Base64Field = exactly("ephemeralPublicKey", 32);
const IV: Base64Field = exactly("iv", 12);
const WRAPPED: Base64Field = exactly("ciphertext", 48);
const CIPHERTEXT: Base64Field = at_least("ciphertext", 0);
const NONCE: Base64Field = at_least("nonce", 32);
const SIGNATURE: Base64Field = exactly("signature", 64);

const fn exactly(name: &'static str, len: usize) -> Base64Field {
    let len = Base64Len::Exactly(len);
    Base64Field { name, len }
}

const fn at_least(name: &'static str, len: usize) -> Base64Field {
    let len = Base64Len::AtLeast(len);
    Base64Field { name, len }
}

/// Checks every base64 field of a body, those of nested messages included; an empty list means all are as they should.
///
/// A field that is missing, null or no string is left to the schema. At most [`MAX_VIOLATIONS`] are listed.
pub fn base64_violations(message: &str, instance: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    walk(message, instance, &mut String::new(), &mut found);
    found.truncate(MAX_VIOLATIONS);
    found
}

/// `at` is the JSON pointer of the instance, and is so again afterwards.
fn walk(message: &str, instance: &Value, at: &mut String, found: &mut Vec<Violation>) {
    if found.len() >= MAX_VIOLATIONS {
        return;
    }
    for field in base64_fields(message) {
        let text = instance.get(field.name).and_then(Value::as_str);
        if let Some(message) = text.and_then(|text| base64_fault(text, field.len)) {
            let pointer = format!("{at}/{}", field.name);
            found.push(Violation { pointer, message });
        }
    }
    for property in properties(message) {
        let Some(value) = instance.get(property.name) else {
            continue;
        };
        let above = at.len();
        match property.shape {
            Shape::Message(name) => {
                let _ = write!(at, "/{}", property.name);
                walk(name, value, at, found);
            }
            Shape::List(Some(name)) => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    let _ = write!(at, "/{}/{index}", property.name);
                    walk(name, item, at, found);
                    at.truncate(above);
                }
            }
            _ => {}
        }
        at.truncate(above);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::examples::example;
    use super::super::messages;
    use super::*;

    #[test]
    fn every_base64_field_is_a_string_of_the_schema() {
        for name in messages() {
            for field in base64_fields(name) {
                let property = properties(name).iter().find(|it| it.name == field.name).unwrap();
                assert_eq!(property.shape, Shape::String, "{name}.{}", field.name);
            }
            assert_eq!(base64_violations(name, &example(name)), [], "{name}");
        }
    }

    #[test]
    fn nested_messages_and_arrays_are_walked() {
        let mut instance = example("PullResponse");
        let member = instance["manifest"]["members"][0].clone();
        instance["manifest"]["members"] = json!([member, member]);
        instance["manifest"]["members"][1]["wrappedDataKey"]["iv"] = json!("AAAA");
        instance["manifest"]["members"][1]["keyBindingSig"] = json!("not base64 at all");
        instance["envelope"]["ciphertext"] = json!("AAA");
        let pointers: Vec<_> = base64_violations("PullResponse", &instance)
            .into_iter()
            .map(|it| it.pointer)
            .collect();
        assert_eq!(
            pointers,
            ["/manifest/members/1/wrappedDataKey/iv", "/envelope/ciphertext"]
        );
    }

    #[test]
    fn what_is_no_string_is_left_to_the_schema() {
        for odd in [json!(null), json!(7), json!([]), json!({})] {
            assert_eq!(base64_violations("AuthChallenge", &json!({ "nonce": odd })), []);
            assert_eq!(base64_violations("VaultManifest", &json!({ "members": odd })), []);
            assert_eq!(base64_violations("PullResponse", &odd), []);
        }
        assert_eq!(base64_violations("NoSuch", &json!({})), []);
    }
}
