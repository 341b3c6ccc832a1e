//! What a case ever sent, by the place it was for: what comes back and was sent for its place once is old, but not altered.

use std::collections::HashSet;

use serde_json::Value;

use super::tape::Frame;
use crate::ledger::member_id;

/// The envelopes, wrapped keys and public keys of all requests of a case.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Every text, without what spellings of base64 differ in.
    spelt: HashSet<String>,
    exact: HashSet<String>,
    /// Repository, iv, ciphertext.
    envelopes: HashSet<[String; 3]>,
    /// Repository, member id, and the four parts of the key.
    wrapped: HashSet<[String; 6]>,
    /// Repository, member id, X25519 key.
    keys: HashSet<[String; 3]>,
}

impl Sent {
    pub(super) fn of(frames: &[Frame<'_>]) -> Sent {
        let mut sent = Sent::default();
        for frame in frames {
            if let Some(request) = &frame.request {
                sent.note(frame.exchange.repo.as_deref().unwrap_or_default(), request);
            }
        }
        sent
    }

    fn note(&mut self, repo: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                if value.get("ciphertext").is_some() && value.get("ephemeralPublicKey").is_none() {
                    self.envelopes.insert(envelope(repo, value));
                }
                if let Some(member) = member_id(value) {
                    if let Some(wrapped) = value.get("wrappedDataKey") {
                        self.wrapped.insert(wrapped_key(repo, member, wrapped));
                    }
                    self.keys.insert(public_key(repo, member, value));
                }
                fields.values().for_each(|value| self.note(repo, value));
            }
            Value::Array(items) => items.iter().for_each(|value| self.note(repo, value)),
            Value::String(text) => {
                self.spelt.insert(plain(text));
                self.exact.insert(text.clone());
            }
            _ => {}
        }
    }

    /// Whether an envelope was sent for a repository, with that iv.
    pub(super) fn has_envelope(&self, repo: &str, served: &Value) -> bool {
        self.envelopes.contains(&envelope(repo, served))
    }

    /// Whether a wrapped key was sent for a member of a repository.
    pub(super) fn has_wrapped(&self, repo: &str, member: &str, served: &Value) -> bool {
        self.wrapped.contains(&wrapped_key(repo, member, served))
    }

    /// Whether the X25519 key of an entry was sent for a member of a repository.
    pub(super) fn has_key(&self, repo: &str, member: &str, entry: &Value) -> bool {
        self.keys.contains(&public_key(repo, member, entry))
    }

    /// Whether a text is one that was sent, with its base64 spelt otherwise.
    pub(super) fn is_respelt(&self, text: &str) -> bool {
        !self.exact.contains(text) && self.spelt.contains(&plain(text))
    }
}

fn envelope(repo: &str, envelope: &Value) -> [String; 3] {
    [
        repo.to_owned(),
        text(envelope, "iv"),
        text(envelope, "ciphertext"),
    ]
}

fn wrapped_key(repo: &str, member: &str, key: &Value) -> [String; 6] {
    let part = |name| text(key, name);
    [
        repo.to_owned(),
        plain(member),
        part("schemeId"),
        part("ephemeralPublicKey"),
        part("iv"),
        part("ciphertext"),
    ]
}

fn public_key(repo: &str, member: &str, entry: &Value) -> [String; 3] {
    [repo.to_owned(), plain(member), text(entry, "x25519PublicKey")]
}

fn text(value: &Value, name: &str) -> String {
    value
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// Whether two texts are one value of base64, however it is spelt.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    a == b || plain(a) == plain(b)
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
