//! Words for what the schema validator found: short, one line, nothing off the wire unescaped.

use std::fmt::Write as _;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use super::Violation;

/// The longest message, in characters.
const MAX_MESSAGE: usize = 200;

/// The longest string that is shown. A longer one is described, never cut: a part of a secret would slip past redaction.
const MAX_SHOWN: usize = 40;

/// What one finding of the validator comes to; several where it names several properties.
pub(super) fn violations(error: &ValidationError<'_>) -> Vec<Violation> {
    let at = error.instance_path().to_string();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names = unexpected.iter().map(|name| quoted(name));
            names
                .map(|name| violation(&at, format!("unexpected property {name}")))
                .collect()
        }
        // An optional reference is "this message or null": what is wrong with the message is what matters.
        ValidationErrorKind::AnyOf { context } => {
            let of_message = context.first().into_iter().flatten();
            of_message.flat_map(violations).collect()
        }
        // All enumerations are of strings: their type is a keyword of its own and has been reported.
        ValidationErrorKind::Enum { .. } if !error.instance().is_string() => Vec::new(),
        kind => vec![violation(&at, explain(kind, error))],
    }
}

/// A string off the wire in quotes, escaped; a long one is described by its length.
pub(super) fn quoted(text: &str) -> String {
    let length = text.chars().count();
    if length > MAX_SHOWN {
        return format!("of {length} characters");
    }
    format!("\"{}\"", escape(text))
}

/// Escapes control, formatting and combining characters, quotes and backslashes.
fn escape(text: &str) -> String {
    let plain = |c: char| c == '\'' || (c.is_ascii_graphic() && c != '"' && c != '\\');
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if plain(c) {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_debug());
        }
    }
    escaped
}

fn violation(pointer: &str, message: String) -> Violation {
    let message = match message.char_indices().nth(MAX_MESSAGE - 1) {
        Some((end, _)) if message.chars().count() > MAX_MESSAGE => format!("{}…", &message[..end]),
        _ => message,
    };
    Violation {
        pointer: pointer.to_owned(),
        message,
    }
}

fn explain(kind: &ValidationErrorKind, error: &ValidationError<'_>) -> String {
    let got = shown(error.instance());
    match kind {
        ValidationErrorKind::Required { property } => format!("property {property} is missing"),
        ValidationErrorKind::Type { kind } => format!("expected {}, got {got}", types(kind)),
        ValidationErrorKind::Enum { options } => format!("{got} is none of {}", listed(options)),
        ValidationErrorKind::Minimum { .. } | ValidationErrorKind::Maximum { .. } => {
            format!("{got} is not in the range of int64")
        }
        kind => format!("{got} breaks the keyword {}", kind.keyword()),
    }
}

/// A value as a message shows it: scalars as they are, the rest by kind and size.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("string {}", quoted(text)),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(set) => {
            let names: Vec<_> = set.iter().map(|one| one.to_string()).collect();
            names.join(" or ")
        }
    }
}

fn listed(options: &Value) -> String {
    let mut list = String::new();
    for option in options.as_array().into_iter().flatten() {
        let separator = if list.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(list, "{separator}{option}");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_or_described_but_never_cut() {
        assert_eq!(quoted("it's \"a\\b\"\t\u{1b}"), r#""it's \"a\\b\"\t\u{1b}""#);
        assert_eq!(quoted("é\u{301}\u{202e}"), r#""é\u{301}\u{202e}""#);
        assert_eq!(quoted(&"k".repeat(41)), "of 41 characters");
    }

    #[test]
    fn a_message_has_an_end() {
        assert_eq!(violation("", "m".repeat(200)).message.chars().count(), 200);
        assert_eq!(violation("", "é".repeat(201)).message.chars().count(), 200);
    }
}
