//! What a case ever sent, by the field it stood in: what comes back for a field and was sent for it once is old or
//! somebody else's, but not altered.

use std::collections::HashSet;

use serde_json::Value;

use super::tape::Frame;

/// The strings of all requests of a case.
#[derive(Debug, Default)]
pub(super) struct Sent {
    exact: HashSet<(String, String)>,
    spelt: HashSet<String>,
}

impl Sent {
    pub(super) fn of(frames: &[Frame<'_>]) -> Sent {
        let mut sent = Sent::default();
        for request in frames.iter().filter_map(|frame| frame.request.as_ref()) {
            sent.note("", request);
        }
        sent
    }

    fn note(&mut self, field: &str, value: &Value) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.note(name, value)),
            Value::Array(items) => items.iter().for_each(|value| self.note(field, value)),
            Value::String(text) => {
                self.spelt.insert(plain(text));
                self.exact.insert((field.to_owned(), text.clone()));
            }
            _ => {}
        }
    }

    /// Whether a text was sent in that field.
    pub(super) fn has(&self, field: &str, text: &str) -> bool {
        self.exact.contains(&(field.to_owned(), text.to_owned()))
    }

    /// Whether a text is one that was sent, with its base64 spelt otherwise.
    pub(super) fn is_respelt(&self, field: &str, text: &str) -> bool {
        !self.has(field, text) && self.spelt.contains(&plain(text))
    }
}

/// A base64 text without what its spellings differ in: alphabet, padding, line breaks.
fn plain(text: &str) -> String {
    let letters = text.chars().filter(|c| !c.is_whitespace() && *c != '=');
    letters
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect()
}
