//! The fields of a message, nested ones included, read from the schema.

use super::base64::base64_fields;
use super::properties::{Property, Shape, properties};
use crate::keys::encoding::Base64Len;

/// One field that a valid message can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// A JSON pointer to it in a message whose arrays hold one item: `/manifest/members/0/wrappedDataKey/iv`.
    pub pointer: String,
    /// Whether the object it belongs to must have it.
    pub required: bool,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it holds.
    pub kind: FieldKind,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    String,
    /// Standard base64 with padding, of exactly `len` bytes where that is fixed.
    Base64 {
        /// The length once decoded, bytes.
        len: Option<usize>,
    },
    /// An integer of 64 bits.
    Int64,
    /// `true` or `false`.
    Bool,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// Every field of a message, each object before what it holds, in the order of the schema; none for an unknown message.
///
/// Items of an array are reached through index 0 and are no fields themselves; the values of a map are left out.
pub fn fields(message: &str) -> Vec<Field> {
    let mut fields = Vec::new();
    collect(message, "", &mut fields);
    fields
}

fn collect(message: &str, at: &str, fields: &mut Vec<Field>) {
    for property in properties(message) {
        let pointer = format!("{at}/{}", property.name);
        fields.push(Field {
            pointer: pointer.clone(),
            required: property.required,
            nullable: property.nullable,
            kind: kind(message, *property),
        });
        match property.shape {
            Shape::Message(name) => collect(name, &pointer, fields),
            Shape::List(Some(name)) => collect(name, &format!("{pointer}/0"), fields),
            _ => {}
        }
    }
}

fn kind(message: &str, property: Property) -> FieldKind {
    match property.shape {
        Shape::String => base64_kind(message, property.name).unwrap_or(FieldKind::String),
        Shape::Int64 => FieldKind::Int64,
        Shape::Bool => FieldKind::Bool,
        Shape::Message(_) | Shape::Map => FieldKind::Object,
        Shape::List(_) => FieldKind::Array,
    }
}

fn base64_kind(message: &str, name: &str) -> Option<FieldKind> {
    let field = base64_fields(message).iter().find(|field| field.name == name)?;
    let len = match field.len {
        Base64Len::Exactly(len) => Some(len),
        Base64Len::AtLeast(_) => None,
    };
    Some(FieldKind::Base64 { len })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::examples::example;
    use super::super::{base64_violations, messages, violations};
    use super::*;

    fn field(message: &str, pointer: &str) -> Field {
        let all = fields(message);
        all.into_iter().find(|field| field.pointer == pointer).unwrap()
    }

    /// The example of a message without the field.
    fn without(message: &str, pointer: &str) -> Value {
        let mut instance = example(message);
        let (object, name) = pointer.rsplit_once('/').unwrap();
        let object = instance.pointer_mut(object).unwrap().as_object_mut().unwrap();
        object.remove(name).unwrap();
        instance
    }

    /// The example of a message with another value in the field.
    fn with(message: &str, pointer: &str, value: Value) -> Value {
        let mut instance = example(message);
        *instance.pointer_mut(pointer).unwrap() = value;
        instance
    }

    #[test]
    fn a_nested_field_is_described_as_the_schema_says() {
        let iv = field("CreateRepoRequest", "/manifest/members/0/wrappedDataKey/iv");
        assert_eq!((iv.required, iv.nullable), (true, false));
        assert_eq!(iv.kind, FieldKind::Base64 { len: Some(12) });
        let binding = field("MemberAddRequest", "/member/keyBindingSig");
        assert_eq!(
            (binding.required, binding.nullable, binding.kind),
            (false, true, FieldKind::String)
        );
        assert_eq!(
            field("AuthChallenge", "/nonce").kind,
            FieldKind::Base64 { len: None }
        );
        assert_eq!(field("PullResponse", "/envelope").kind, FieldKind::Object);
        assert!(field("PullResponse", "/envelope").nullable);
        assert_eq!(field("Discovery", "/profiles").kind, FieldKind::Array);
        assert_eq!(field("RepoLocator", "/keyEpoch").kind, FieldKind::Int64);
        assert_eq!(field("VaultPayload", "/alts/0/bans").kind, FieldKind::Object);
        assert_eq!(field("PushResponse", "/accepted").kind, FieldKind::Bool);
    }

    #[test]
    fn a_request_without_a_field_is_valid_only_if_the_field_is_optional() {
        for name in messages() {
            for field in fields(name) {
                let valid = violations(name, &without(name, &field.pointer)).is_empty();
                assert_eq!(valid, !field.required, "{name}{}", field.pointer);
            }
        }
    }

    #[test]
    fn null_is_valid_only_where_a_field_is_nullable() {
        for name in messages() {
            for field in fields(name) {
                let valid = violations(name, &with(name, &field.pointer, json!(null))).is_empty();
                assert_eq!(valid, field.nullable, "{name}{}", field.pointer);
            }
        }
    }

    #[test]
    fn another_type_is_a_violation_at_the_field() {
        for name in messages() {
            for field in fields(name) {
                let other = match field.kind {
                    FieldKind::String | FieldKind::Base64 { .. } => json!(1),
                    _ => json!("1"),
                };
                let found = violations(name, &with(name, &field.pointer, other));
                assert_eq!(found.len(), 1, "{name}{}", field.pointer);
                assert_eq!(found[0].pointer, field.pointer);
            }
        }
    }

    #[test]
    fn base64_of_another_length_is_a_violation_at_the_field() {
        for name in messages() {
            for field in fields(name) {
                let FieldKind::Base64 { len: Some(_) } = field.kind else {
                    continue;
                };
                let instance = with(name, &field.pointer, json!("AAAA"));
                let found = base64_violations(name, &instance);
                assert_eq!(found.len(), 1, "{name}{}", field.pointer);
                assert_eq!(found[0].pointer, field.pointer);
                assert_eq!(violations(name, &instance), []);
            }
        }
    }
}
