//! Freedoms in how an answer is written.

use serde_json::{Map, Value, json};

use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Body};
use crate::avp::server::deviation::{AnswerContext, variations};
use crate::avp::server::message_access;

variations! { "form";
    Answer(null_envelope) "null-envelope", "An unchanged pull carries a null envelope.";
    Answer(binding_null) "binding-null", "An entry without keyBindingSig is served with null.";
    Answer(binding_absent) "binding-absent", "A keyBindingSig of null is served as absent.";
    Answer(policy_false) "policy-false", "An absent shareRefreshTokens is served as false.";
    Answer(no_codes) "no-codes", "Error objects carry neither code nor detail.";
    Answer(extra_error_fields) "extra-error-fields", "Error objects carry further fields.";
    Answer(extra_discovery_fields) "extra-discovery-fields", "The discovery document carries further fields.";
    Answer(charset) "content-type-charset", "The content type names a charset and is written in capitals.";
    Answer(pretty) "pretty-json", "JSON is served over several lines, indented.";
    Answer(shuffled) "shuffled-keys", "Fields come in another order than the protocol page writes them.";
    Answer(escaped) "escaped-json", "Strings are served with every character escaped that JSON can escape.";
    Answer(wide) "wide-json", "JSON is served between a kilobyte of white space and a line break.";
}

fn null_envelope(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::object(answer).is_some_and(|object| {
        let here = object.get("unchanged") == Some(&Value::Bool(true)) && !object.contains_key("envelope");
        here && object.insert("envelope".to_owned(), Value::Null).is_none()
    })
}

fn binding_null(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::entries(answer, |entry| {
        let absent = !entry.contains_key("keyBindingSig");
        absent && entry.insert("keyBindingSig".to_owned(), Value::Null).is_none()
    })
}

fn binding_absent(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::entries(answer, |entry| {
        entry.get("keyBindingSig").is_some_and(Value::is_null) && entry.remove("keyBindingSig").is_some()
    })
}

fn policy_false(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::manifest(answer).is_some_and(|manifest| {
        let absent = !manifest.contains_key("shareRefreshTokens");
        absent
            && manifest
                .insert("shareRefreshTokens".to_owned(), Value::Bool(false))
                .is_none()
    })
}

fn no_codes(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::error(answer).is_some_and(|error| {
        error.shift_remove("code");
        error.shift_remove("detail");
        true
    })
}

fn extra_error_fields(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let status = answer.status;
    message_access::error(answer).is_some_and(|error| {
        error.insert("status".to_owned(), json!(status));
        error.insert("help".to_owned(), json!({ "see": ["the log"], "since": null }));
        true
    })
}

fn extra_discovery_fields(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = scene
        .place
        .is_some_and(|place| place.operation == Operation::Discovery);
    here && message_access::object(answer).is_some_and(|object| {
        object.insert(
            "software".to_owned(),
            json!({ "name": "reference", "limits": { "members": 50 } }),
        );
        true
    })
}

fn charset(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    rewrite(answer, "Application/JSON; Charset=\"utf-8\"", |value| {
        value.to_string()
    })
}

fn pretty(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    rewrite(answer, "application/json", |value| format!("{value:#}"))
}

fn wide(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    rewrite(answer, "application/json", |value| {
        format!("{}{value}\r\n", " \t\n\r".repeat(256))
    })
}

fn shuffled(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    rewrite(answer, "application/json", |value| backwards(value).to_string())
}

fn backwards(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let fields = object
                .iter()
                .rev()
                .map(|(name, value)| (name.clone(), backwards(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(backwards).collect()),
        other => other.clone(),
    }
}

fn escaped(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    rewrite(answer, "application/json", |value| {
        let mut text = String::new();
        write_escaped(value, &mut text);
        text
    })
}

fn write_escaped(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let fields = object.iter().map(|(name, value)| (Some(name), value));
            write_items(fields, ['{', '}'], out);
        }
        Value::Array(items) => write_items(items.iter().map(|item| (None, item)), ['[', ']'], out),
        Value::String(text) => write_string(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn write_items<'a>(
    items: impl Iterator<Item = (Option<&'a String>, &'a Value)>,
    [open, close]: [char; 2],
    out: &mut String,
) {
    out.push(open);
    for (index, (name, value)) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        if let Some(name) = name {
            write_string(name, out);
            out.push(':');
        }
        write_escaped(value, out);
    }
    out.push(close);
}

/// Long strings are left alone after their first characters: a payload need not grow sixfold to make the point.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let end = text
        .char_indices()
        .map(|(at, _)| at)
        .nth(256)
        .unwrap_or(text.len());
    let (head, tail) = text.split_at(end);
    for unit in head.encode_utf16() {
        match unit {
            0x2f => out.push_str("\\/"),
            _ => out.push_str(&format!("\\u{unit:04X}")),
        }
    }
    let quoted = Value::from(tail).to_string();
    out.push_str(&quoted[1..]);
}

fn rewrite(answer: &mut Answer, content_type: &str, write: impl Fn(&Value) -> String) -> bool {
    let Body::Json(value) = &answer.body else {
        return false;
    };
    let bytes = write(value).into_bytes();
    answer.body = Body::Text {
        content_type: content_type.to_owned(),
        bytes,
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_body_reads_the_same() {
        let value = json!({ "a/b": ["é😀\"", 1, null, { "x".repeat(300): "é".repeat(300) }], "c": true });
        let mut text = String::new();
        write_escaped(&value, &mut text);
        assert!(text.contains("\\u00E9") && text.contains("\\/"));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn shuffling_moves_fields_and_nothing_else() {
        let value = json!({ "a": 1, "b": { "c": [1, 2], "d": 2 } });
        assert_eq!(backwards(&value), value);
        assert_eq!(backwards(&value).to_string(), r#"{"b":{"d":2,"c":[1,2]},"a":1}"#);
    }
}
