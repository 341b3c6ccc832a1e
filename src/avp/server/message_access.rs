//! Finds the messages inside an answer, for deviations that rewrite one kind of message wherever it is served.

use serde_json::{Map, Value};

use super::answer::{Answer, Body};

/// A JSON object, as `serde_json` keeps it.
pub(super) type Object = Map<String, Value>;

/// The object that is the whole body of a granted answer.
pub(super) fn object(answer: &mut Answer) -> Option<&mut Object> {
    let granted = answer.status < 300;
    body(answer).filter(|_| granted)
}

/// The error object of a refusal.
pub(super) fn error(answer: &mut Answer) -> Option<&mut Object> {
    let refused = answer.status >= 300;
    body(answer).filter(|_| refused)
}

/// The manifest of an answer: the body itself, or a field of it.
pub(super) fn manifest(answer: &mut Answer) -> Option<&mut Object> {
    let object = object(answer)?;
    match object.contains_key("members") {
        true => Some(object),
        false => object.get_mut("manifest")?.as_object_mut(),
    }
}

/// The envelope of an answer.
pub(super) fn envelope(answer: &mut Answer) -> Option<&mut Object> {
    object(answer)?.get_mut("envelope")?.as_object_mut()
}

/// Does something to every member entry of an answer; true where any of them was changed.
pub(super) fn entries(answer: &mut Answer, mut act: impl FnMut(&mut Object) -> bool) -> bool {
    let Some(object) = object(answer) else {
        return false;
    };
    if object.contains_key("wrappedDataKey") {
        return act(object);
    }
    let Some(Value::Array(members)) = manifest(answer).and_then(|manifest| manifest.get_mut("members"))
    else {
        return false;
    };
    members
        .iter_mut()
        .filter_map(Value::as_object_mut)
        .fold(false, |changed, entry| act(entry) | changed)
}

/// Does something to every field of every object, at any depth; true where any was changed.
pub(super) fn fields(value: &mut Value, act: &mut impl FnMut(&str, &mut Value) -> bool) -> bool {
    match value {
        Value::Object(object) => object.iter_mut().fold(false, |changed, (name, value)| {
            let here = act(name, value);
            fields(value, act) | here | changed
        }),
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |changed, item| fields(item, act) | changed),
        _ => false,
    }
}

/// Does something to every string of a granted answer; true where any was changed.
pub(super) fn strings(answer: &mut Answer, mut act: impl FnMut(&str, &str) -> Option<String>) -> bool {
    if answer.status >= 300 {
        return false;
    }
    let Body::Json(value) = &mut answer.body else {
        return false;
    };
    fields(value, &mut |name, value| {
        let Some(new) = value.as_str().and_then(|text| act(name, text)) else {
            return false;
        };
        let changed = value.as_str() != Some(&new);
        *value = Value::String(new);
        changed
    })
}

fn body(answer: &mut Answer) -> Option<&mut Object> {
    match &mut answer.body {
        Body::Json(value) => value.as_object_mut(),
        Body::Text { .. } => None,
    }
}
