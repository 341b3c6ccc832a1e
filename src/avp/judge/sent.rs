//! What a case ever sent, by the place it was for: what comes back and was sent for its place once is old, but not altered.

use std::collections::HashMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

use super::parsed::ParsedExchange;
use crate::avp::repo_state::member_id;

/// Texts of fewer characters are not taken for binary values: an iv has sixteen.
const SHORTEST_BINARY_CHARS: usize = 16;

/// The envelopes, wrapped keys and public keys of all requests of a case.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Every text that is base64, without what its spellings differ in.
    spelt: First<String>,
    exact: First<String>,
    /// Iv and ciphertext: the envelope of another repository is not an altered one.
    envelopes: First<[String; 2]>,
    /// Repository, member id, and the four parts of the key.
    wrapped: First<[String; 6]>,
    /// Repository, member id, X25519 key.
    keys: First<[String; 3]>,
}

/// What was sent, and the exchange that sent it first.
type First<K> = HashMap<K, usize>;

impl Sent {
    pub(super) fn of(frames: &[ParsedExchange<'_>]) -> Sent {
        let mut sent = Sent::default();
        for frame in frames {
            if let Some(request) = &frame.request {
                sent.note(
                    frame.index,
                    frame.exchange.repo.as_deref().unwrap_or_default(),
                    request,
                );
            }
        }
        sent
    }

    fn note(&mut self, at: usize, repo: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                if value.get("ciphertext").is_some() && value.get("ephemeralPublicKey").is_none() {
                    self.envelopes.entry(envelope(value)).or_insert(at);
                }
                if let Some(member) = member_id(value) {
                    if let Some(wrapped) = value.get("wrappedDataKey") {
                        self.wrapped
                            .entry(wrapped_key(repo, member, wrapped))
                            .or_insert(at);
                    }
                    self.keys.entry(public_key(repo, member, value)).or_insert(at);
                }
                fields.values().for_each(|value| self.note(at, repo, value));
            }
            Value::Array(items) => items.iter().for_each(|value| self.note(at, repo, value)),
            Value::String(text) => {
                if text.len() >= SHORTEST_BINARY_CHARS && BASE64_STANDARD.decode(text).is_ok() {
                    self.spelt.entry(plain(text)).or_insert(at);
                }
                self.exact.entry(text.clone()).or_insert(at);
            }
            _ => {}
        }
    }

    /// Whether an envelope was sent with an exchange or before it, with that iv.
    pub(super) fn has_envelope(&self, before: usize, served: &Value) -> bool {
        let first = self.envelopes.get(&envelope(served));
        first.is_some_and(|first| *first <= before)
    }

    /// Whether a wrapped key was sent for a member of a repository with an exchange or before it.
    pub(super) fn has_wrapped(&self, before: usize, repo: &str, member: &str, served: &Value) -> bool {
        let first = self.wrapped.get(&wrapped_key(repo, member, served));
        first.is_some_and(|first| *first <= before)
    }

    /// Whether the X25519 key of an entry was sent for a member of a repository with an exchange or before it.
    pub(super) fn has_key(&self, before: usize, repo: &str, member: &str, entry: &Value) -> bool {
        let first = self.keys.get(&public_key(repo, member, entry));
        first.is_some_and(|first| *first <= before)
    }

    /// Whether a text was sent anywhere with an exchange or before it.
    pub(super) fn has(&self, before: usize, text: &str) -> bool {
        self.exact.get(text).is_some_and(|first| *first <= before)
    }

    /// Whether a text is one that was sent with an exchange or before it, with its base64 spelt otherwise.
    pub(super) fn is_respelt(&self, before: usize, text: &str) -> bool {
        let spelt = self.spelt.get(&plain(text));
        !self.has(before, text) && spelt.is_some_and(|first| *first <= before)
    }
}

fn envelope(envelope: &Value) -> [String; 2] {
    [text(envelope, "iv"), text(envelope, "ciphertext")]
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
