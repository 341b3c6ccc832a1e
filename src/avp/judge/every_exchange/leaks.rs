//! Secrets: nothing that stands only in plaintext or in private keys may come back, in whatever encoding.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

use super::Rule;
use crate::avp::Operation;
use crate::avp::judge::parsed::ParsedExchange;
use crate::judge::{Checks, Finding};
use crate::record::transcript::{PLAINTEXT_MARK, PRIVATE_KEY_MARK};

/// No answer holds a secret of the client.
pub(super) const RULE: Rule = Rule {
    name: "plaintext",
    requirement: "AVP-10-01",
    expected: "nothing served holds or decodes to plaintext of an account",
};

/// Looks at an answer.
pub(super) fn check(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let Some(answer) = frame.answer() else { return };
    let subject = RULE.subject();
    let text = answer.body.to_text();
    let found = [PLAINTEXT_MARK, PRIVATE_KEY_MARK]
        .into_iter()
        .find(|mark| text.contains(mark));
    if let Some(mark) = found {
        let got = format!("a secret of the client's in the answer, shown here as {mark}...]");
        return checks.note(subject, frame.index, Finding::broken(got));
    }
    match frame.json().and_then(plaintext_in) {
        Some(pointer) => {
            checks.note(
                subject,
                frame.index,
                Finding::broken_at(pointer, "text that decodes to fields of an account"),
            );
        }
        None if frame.operation == Some(Operation::Pull) && frame.reading.granted().is_some() => {
            checks.note(subject, frame.index, Finding::Holds);
        }
        None => {}
    }
}

/// Fields of an AltAccount that no answer of a server has.
const ACCOUNT_FIELDS: [&str; 3] = ["accessToken", "refreshToken", "alts"];

/// Where a value holds plaintext: a JSON pointer.
fn plaintext_in(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let below = match ACCOUNT_FIELDS.contains(&key.as_str()) {
                true => String::new(),
                false => plaintext_in(value)?,
            };
            Some(format!("/{key}{below}"))
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| plaintext_in(item).map(|below| format!("/{index}{below}"))),
        Value::String(text) => decodes_to_account(text).then(String::new),
        _ => None,
    }
}

fn decodes_to_account(text: &str) -> bool {
    if !may_decode_to_object(text) {
        return false;
    }
    let bytes = BASE64_STANDARD.decode(text).unwrap_or_default();
    serde_json::from_slice::<Value>(&bytes).is_ok_and(|value| plaintext_in(&value).is_some())
}

/// Whether the first bytes are such as an object of JSON begins with: few strings are decoded whole.
fn may_decode_to_object(text: &str) -> bool {
    let mut head = [0; 3];
    let decoded = text
        .get(..4)
        .map(|text| BASE64_STANDARD.decode_slice(text, &mut head));
    matches!(decoded, Some(Ok(3))) && matches!(head.trim_ascii_start().first(), None | Some(b'{'))
}
