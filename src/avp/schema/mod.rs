//! The message schema: what each message looks like, and what is wrong with a body that does not.
//!
//! The schema is `schema/avp.schema.json` (draft 2020-12, one definition per message), embedded in the binary and
//! compiled once; nothing is ever fetched. Binary fields are plain strings in it: alphabet and length are checks of
//! their own, reported apart ([`base64_violations`]). [`fields`] lists what a message is made of, so that malformed
//! requests can be derived from the schema instead of written by hand.

mod base64;
mod explain;
mod fields;
mod properties;

#[cfg(test)]
mod examples;

use std::collections::HashMap;
use std::sync::LazyLock;

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

pub use self::base64::{Base64Field, base64_fields, base64_violations};
pub use self::fields::{Field, FieldKind, fields};

/// What is wrong at one place of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// A JSON pointer (RFC 6901) into the body: `/manifest/members/0/keyEpoch`, empty for the whole body. For a missing
    /// or an unexpected property it names the object. It holds names of the schema only, never names off the wire,
    /// except for the keys of a map.
    pub pointer: String,
    /// What is wrong, one line, at most 200 characters; what came off the wire is escaped.
    pub message: String,
}

/// How many violations of one body are listed at most.
pub const MAX_VIOLATIONS: usize = 32;

/// Checks a body against the schema of a message; an empty list means it is valid.
///
/// A name that is no message is itself a violation. At most [`MAX_VIOLATIONS`] are listed. Numbers are judged as
/// [`Value`] holds them: JSON Schema takes `1.0` for an integer, and beyond 64 bits a number has been rounded before it
/// gets here.
pub fn violations(message: &str, instance: &Value) -> Vec<Violation> {
    let Some(validator) = validators().get(message) else {
        return vec![unknown_message(message)];
    };
    let errors = validator.iter_errors(instance);
    errors
        .flat_map(|error| explain::violations(&error))
        .take(MAX_VIOLATIONS)
        .collect()
}

/// The names of all messages, in the order of the protocol page.
pub fn messages() -> impl Iterator<Item = &'static str> {
    definitions().map(|(name, _)| name)
}

/// The text of the embedded schema.
pub fn schema_source() -> &'static str {
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/avp.schema.json"))
}

/// The embedded schema.
pub fn schema_document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(schema_source()).expect("a test parses the embedded schema"));
    &DOCUMENT
}

fn definitions() -> impl Iterator<Item = (&'static str, &'static Value)> {
    let definitions = schema_document().get("$defs").and_then(Value::as_object);
    definitions
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

fn validators() -> &'static HashMap<&'static str, Validator> {
    static VALIDATORS: LazyLock<HashMap<&'static str, Validator>> =
        LazyLock::new(|| compile().expect("a test compiles the embedded schema"));
    &VALIDATORS
}

/// One validator per message, each a reference into the one document.
fn compile() -> Result<HashMap<&'static str, Validator>, Box<dyn std::error::Error>> {
    let id = schema_document()["$id"].as_str().ok_or("the schema has no $id")?;
    let registry = Registry::new().add(id, schema_document())?.prepare()?;
    let options = jsonschema::options().with_registry(&registry).offline();
    messages()
        .map(|name| {
            let schema = json!({ "$ref": format!("{id}#/$defs/{name}") });
            Ok((name, options.build(&schema)?))
        })
        .collect()
}

fn unknown_message(name: &str) -> Violation {
    Violation {
        pointer: String::new(),
        message: format!("the protocol has no message {}", explain::quoted(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::examples::example;
    use super::*;
    use crate::avp;
    use crate::avp::Operation;

    fn only_violation(message: &str, instance: &Value) -> (String, String) {
        let mut found = violations(message, instance);
        assert_eq!(found.len(), 1, "{found:?}");
        let violation = found.remove(0);
        (violation.pointer, violation.message)
    }

    #[test]
    fn every_message_accepts_its_example() {
        for name in messages() {
            assert_eq!(violations(name, &example(name)), [], "{name}");
        }
        assert_eq!(messages().count(), 22);
    }

    /// The types of the crate and the schema say the same: what a type writes is what the schema accepts.
    #[test]
    fn the_types_write_what_the_schema_accepts() {
        fn check<T: serde::Serialize + serde::de::DeserializeOwned>(name: &str) {
            let message: T = serde_json::from_value(example(name)).unwrap();
            assert_eq!(serde_json::to_value(&message).unwrap(), example(name));
        }
        check::<avp::WrappedKey>("WrappedKey");
        check::<avp::MemberEntry>("MemberEntry");
        check::<avp::EncryptedEnvelope>("EncryptedEnvelope");
        check::<avp::VaultManifest>("VaultManifest");
        check::<avp::ChallengeRequest>("ChallengeRequest");
        check::<avp::AuthChallenge>("AuthChallenge");
        check::<avp::TokenRequest>("TokenRequest");
        check::<avp::AuthToken>("AuthToken");
        check::<avp::CreateRepoRequest>("CreateRepoRequest");
        check::<avp::PullRequest>("PullRequest");
        check::<avp::PullResponse>("PullResponse");
        check::<avp::PushRequest>("PushRequest");
        check::<avp::PushResponse>("PushResponse");
        check::<avp::MemberAddRequest>("MemberAddRequest");
        check::<avp::MemberRemoveRequest>("MemberRemoveRequest");
        check::<avp::ErrorBody>("Error");
        check::<avp::Discovery>("Discovery");
    }

    #[test]
    fn every_message_that_travels_has_a_definition() {
        let names: Vec<_> = messages().collect();
        for operation in Operation::ALL {
            assert!(names.contains(&operation.answer_message()));
            assert!(
                operation
                    .request_message()
                    .is_none_or(|name| names.contains(&name))
            );
        }
    }

    #[test]
    fn only_error_and_discovery_are_open() {
        for name in messages() {
            let mut instance = example(name);
            instance["some\nthing"] = json!(1);
            if ["Error", "Discovery"].contains(&name) {
                assert_eq!(violations(name, &instance), [], "{name}");
            } else {
                let (pointer, message) = only_violation(name, &instance);
                assert_eq!(pointer, "");
                assert_eq!(message, r#"unexpected property "some\nthing""#);
            }
        }
    }

    #[test]
    fn nested_objects_are_closed_too() {
        let mut instance = example("CreateRepoRequest");
        instance["manifest"]["members"][0]["wrappedDataKey"]["extra"] = json!(null);
        let (pointer, message) = only_violation("CreateRepoRequest", &instance);
        assert_eq!(pointer, "/manifest/members/0/wrappedDataKey");
        assert_eq!(message, r#"unexpected property "extra""#);
    }

    #[test]
    fn what_is_wrong_inside_a_nullable_object_is_named() {
        let mut instance = example("PullResponse");
        instance["envelope"]["keyEpoch"] = json!("1");
        let (pointer, message) = only_violation("PullResponse", &instance);
        assert_eq!(pointer, "/envelope/keyEpoch");
        assert_eq!(message, r#"expected integer, got string "1""#);
        instance["envelope"] = json!(7);
        let (pointer, message) = only_violation("PullResponse", &instance);
        assert_eq!(
            (pointer.as_str(), message.as_str()),
            ("/envelope", "expected object, got 7")
        );
        instance["envelope"] = json!(null);
        assert_eq!(violations("PullResponse", &instance), []);
    }

    #[test]
    fn int64_is_held_to_its_range_and_floats_are_refused() {
        let with = |text: &str| {
            let epoch: Value = serde_json::from_str(text).unwrap();
            let mut instance = example("PushResponse");
            instance["keyEpoch"] = epoch;
            violations("PushResponse", &instance).len()
        };
        for good in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(with(good), 0, "{good}");
        }
        for bad in [
            "9223372036854775808",
            "-9223372036854777856",
            "1e20",
            "1.5",
            "true",
            "null",
            "[]",
        ] {
            assert_eq!(with(bad), 1, "{bad}");
        }
    }

    #[test]
    fn an_error_code_is_one_of_the_table() {
        let (pointer, message) = only_violation("Error", &json!({ "error": "", "code": "teapot" }));
        assert_eq!(pointer, "/code");
        assert!(
            message.starts_with(r#"string "teapot" is none of "unauthorized", "#),
            "{message}"
        );
        assert_eq!(
            violations("Error", &json!({ "error": "", "code": "too_large" })),
            []
        );
    }

    #[test]
    fn a_hostile_body_gives_short_single_lines_and_not_many() {
        let long = "\u{1b}[2J\n".repeat(500);
        let instance = json!({ "v": long, "ed25519PublicKey": { "a": 1 }, &long: [1, 2], "x\u{202e}": 0 });
        let found = violations("InviteRequest", &instance);
        assert_eq!(found.len(), 5);
        for violation in found {
            assert!(violation.message.chars().count() <= 200, "{}", violation.message);
            assert!(
                !violation
                    .message
                    .contains(|c: char| c.is_control() || c == '\u{202e}')
            );
        }
        let many = json!({ "alts": vec![json!(1); 1000], "payloadVersion": 1 });
        assert_eq!(violations("VaultPayload", &many).len(), MAX_VIOLATIONS);
    }

    #[test]
    fn an_unknown_message_is_a_violation() {
        assert_eq!(
            only_violation("Pull", &json!({})).1,
            r#"the protocol has no message "Pull""#
        );
    }
}
