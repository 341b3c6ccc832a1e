//! The check of a body against the shape of its message: closed objects, exact types, base64 with padding and exact
//! lengths, int64 counters written as integers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::answer::Refusal;
use super::faults::malformed::Wanted;
use super::message_shapes::{Field, Kind, Need, Shape};

/// What a check lets pass, on a server that is not particular.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Laxity {
    /// Any string for base64.
    pub(super) base64: bool,
    /// Base64 in a lax spelling.
    pub(super) spelling: bool,
    /// Base64 with line breaks inside.
    pub(super) line_breaks: bool,
    /// Base64 of any length.
    pub(super) lengths: bool,
    /// Null for anything.
    pub(super) nulls: bool,
    /// Fields that a message does not have.
    pub(super) unknown: bool,
}

/// Checks a whole body against its shape.
pub(super) fn check(shape: &Shape, body: &Value) -> Result<(), Refusal> {
    check_laxly(shape, body, Laxity::default())
}

/// Checks a whole body against its shape, letting some things pass.
pub(super) fn check_laxly(shape: &Shape, body: &Value, lax: Laxity) -> Result<(), Refusal> {
    check_object(shape, body, "", lax)
        .map_err(|detail| Refusal::bad_request(&format!("the body is no {}", shape.name)).with_detail(detail))
}

/// Puts other values in place of those that do not fit, where `mend` has one; true where it had.
pub(super) fn mend(
    shape: &Shape,
    value: &mut Value,
    mend_one: &dyn Fn(&Wanted, Option<&Value>) -> Option<Value>,
) -> bool {
    let Some(object) = value.as_object_mut() else {
        return false;
    };
    let mut mended = false;
    for field in shape.fields {
        mended |= match (&field.kind, object.get_mut(field.name)) {
            (Kind::Object(shape), Some(value)) => mend(shape, value, mend_one),
            (Kind::List(shape), Some(Value::Array(items))) => items
                .iter_mut()
                .fold(false, |mended, item| mend(shape, item, mend_one) | mended),
            (kind, value) => {
                let fits = check_field(field, value.as_deref(), "", Laxity::default()).is_ok();
                let new = if fits {
                    None
                } else {
                    mend_one(&wanted(kind), value.as_deref())
                };
                new.is_some_and(|new| object.insert(field.name.to_owned(), new.clone()) != Some(new))
            }
        };
    }
    mended
}

fn wanted(kind: &Kind) -> Wanted {
    match kind {
        Kind::Text | Kind::Id | Kind::Base64(_) => Wanted::Text,
        Kind::Integer | Kind::Counter => Wanted::Integer,
        Kind::Flag | Kind::Object(_) | Kind::List(_) => Wanted::Other,
    }
}

/// Drops, at every depth, the fields that a message does not have.
pub(super) fn prune(shape: &Shape, value: &mut Value) -> bool {
    let Some(object) = value.as_object_mut() else {
        return false;
    };
    let count = object.len();
    object.retain(|name, _| shape.fields.iter().any(|field| field.name == name));
    let mut pruned = object.len() < count;
    for field in shape.fields {
        let Some(value) = object.get_mut(field.name) else {
            continue;
        };
        pruned |= match (&field.kind, value) {
            (Kind::Object(shape), value) => prune(shape, value),
            (Kind::List(shape), Value::Array(items)) => items
                .iter_mut()
                .fold(false, |pruned, item| prune(shape, item) | pruned),
            _ => false,
        };
    }
    pruned
}

fn check_object(shape: &Shape, value: &Value, at: &str, lax: Laxity) -> Result<(), String> {
    let object = value
        .as_object()
        .ok_or_else(|| format!("{} is not an object", place(at)))?;
    if !lax.unknown {
        refuse_unknown(shape, object, at)?;
    }
    for field in shape.fields {
        check_field(
            field,
            object.get(field.name),
            &format!("{at}/{}", field.name),
            lax,
        )?;
    }
    Ok(())
}

fn refuse_unknown(shape: &Shape, object: &Map<String, Value>, at: &str) -> Result<(), String> {
    let known = |name: &String| shape.fields.iter().any(|field| field.name == name);
    match object.keys().find(|name| !known(name)) {
        Some(name) => Err(format!(
            "{} has a field {name:?} that {} does not have",
            place(at),
            shape.name
        )),
        None => Ok(()),
    }
}

fn check_field(field: &Field, value: Option<&Value>, at: &str, lax: Laxity) -> Result<(), String> {
    match value {
        None if field.need == Need::Required => Err(format!("{at} is missing")),
        None => Ok(()),
        Some(Value::Null) if field.need == Need::Nullable || lax.nulls => Ok(()),
        Some(value) => check_kind(&field.kind, value, at, lax),
    }
}

fn check_kind(kind: &Kind, value: &Value, at: &str, lax: Laxity) -> Result<(), String> {
    match kind {
        Kind::Text => text(value, at).map(drop),
        Kind::Id if text(value, at)?.is_empty() => Err(format!("{at} is empty")),
        Kind::Id => Ok(()),
        Kind::Base64(_) if lax.base64 => text(value, at).map(drop),
        Kind::Base64(length) => {
            let text = text(value, at)?;
            let spelt = match () {
                () if lax.spelling => respelt(text),
                () if lax.line_breaks => text.replace(['\r', '\n'], ""),
                () => text.to_owned(),
            };
            check_base64(&spelt, length.filter(|_| !lax.lengths), at)
        }
        Kind::Integer => integer(value, at).map(drop),
        Kind::Counter if integer(value, at)? < 0 => Err(format!("{at} is negative")),
        Kind::Counter => Ok(()),
        Kind::Flag if value.is_boolean() => Ok(()),
        Kind::Flag => Err(format!("{at} is not a boolean")),
        Kind::Object(shape) => check_object(shape, value, at, lax),
        Kind::List(shape) => check_list(shape, value, at, lax),
    }
}

fn check_list(shape: &Shape, value: &Value, at: &str, lax: Laxity) -> Result<(), String> {
    let items = value.as_array().ok_or_else(|| format!("{at} is not an array"))?;
    let mut items = items.iter().enumerate();
    items.try_for_each(|(index, item)| check_object(shape, item, &format!("{at}/{index}"), lax))
}

fn check_base64(text: &str, length: Option<usize>, at: &str) -> Result<(), String> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| format!("{at} is not base64 with padding: {error}"))?;
    match length {
        Some(length) if bytes.len() != length => {
            Err(format!("{at} holds {} bytes and not {length}", bytes.len()))
        }
        _ => Ok(()),
    }
}

/// The standard spelling of what a lenient decoder reads.
pub(super) fn respelt(text: &str) -> String {
    let standard = text.replace('-', "+").replace('_', "/");
    let mut known: String = standard
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/'))
        .collect();
    while !known.len().is_multiple_of(4) {
        known.push('=');
    }
    known
}

fn text<'a>(value: &'a Value, at: &str) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("{at} is not a string"))
}

fn integer(value: &Value, at: &str) -> Result<i64, String> {
    value
        .as_i64()
        .ok_or_else(|| format!("{at} is not an int64 written as an integer"))
}

fn place(at: &str) -> &str {
    if at.is_empty() { "the body" } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avp::Operation;
    use crate::avp::server::message_shapes::of;
    use serde_json::json;

    fn refused(operation: Operation, body: &Value) -> String {
        let refusal = check(of(operation).unwrap(), body).unwrap_err();
        assert_eq!((refusal.status, refusal.code), (400, "bad_request"));
        refusal.detail.unwrap()
    }

    #[test]
    fn a_pull_is_closed_and_typed() {
        let good = json!({ "repoId": "r", "knownPayloadVersion": -1 });
        check(of(Operation::Pull).unwrap(), &good).unwrap();
        for (bad, why) in [
            (json!({ "repoId": "r" }), "/knownPayloadVersion is missing"),
            (
                json!({ "repoId": 1, "knownPayloadVersion": 1 }),
                "/repoId is not a string",
            ),
            (
                json!({ "repoId": "r", "knownPayloadVersion": 1.0 }),
                "written as an integer",
            ),
            (
                json!({ "repoId": "r", "knownPayloadVersion": u64::MAX }),
                "not an int64",
            ),
            (
                json!({ "repoId": "r", "knownPayloadVersion": null }),
                "not an int64",
            ),
            (
                json!({ "repoId": "r", "knownPayloadVersion": 1, "x": 1 }),
                "a field \"x\"",
            ),
            (json!([]), "the body is not an object"),
        ] {
            assert!(refused(Operation::Pull, &bad).contains(why), "{bad}");
        }
    }

    #[test]
    fn base64_has_padding_and_the_exact_length() {
        let key = |text: &str| json!({ "ed25519PublicKey": text });
        let good = STANDARD.encode([7_u8; 32]);
        check(of(Operation::Challenge).unwrap(), &key(&good)).unwrap();
        for bad in [
            good.trim_end_matches('='),
            "AA==",
            "",
            "****",
            &good.replace('B', "-"),
        ] {
            refused(Operation::Challenge, &key(bad));
        }
    }
}
