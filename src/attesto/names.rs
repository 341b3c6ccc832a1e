//! Who is who in a case: keys, ids, references, payloads and hashes, all from the seed of the run and the id of the case. The
//! driver uses them and the judge works them out again.

use serde::Deserialize;
use serde_json::{Value, json};

use super::canonical::sha256;
use crate::keys::Seed;
use crate::keys::encoding::hex;
use crate::keys::primitives::{ed25519_key_pair, ed25519_public_key};

/// The largest integer that every reader of JSON keeps.
const LARGEST_INTEGER: i64 = 9_007_199_254_740_991;

/// The names of one case.
#[derive(Debug, Clone)]
pub(super) struct Names {
    seed: Seed,
    scope: String,
}

/// What a payload looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A few members.
    #[default]
    Plain,
    /// Characters beyond ASCII and control characters, in names and values; nested, empty and null values; large integers.
    Rich,
    /// What `plain` is, in a file with its members the other way round and white space between them.
    Reordered,
    /// Another payload than `plain`.
    Changed,
    /// A payload of 64 KiB.
    Large,
    /// An object without members.
    Empty,
}

impl Names {
    /// The names of a case in a run that uses the seed for this time.
    pub(super) fn new(seed: &Seed, generation: u32, case: &str) -> Names {
        Names {
            seed: *seed,
            scope: format!("{generation}/{case}"),
        }
    }

    fn bytes(&self, what: &str, name: &str) -> [u8; 32] {
        self.seed.derive(&["attesto", &self.scope, what, name])
    }

    fn short(&self, what: &str, name: &str) -> String {
        hex(&self.bytes(what, name)[..4])
    }

    /// The installation, which is the witness as well.
    pub(super) fn installation(&self) -> String {
        format!("lvi_{}", self.short("installation", ""))
    }

    /// A witness beside the installation.
    pub(super) fn witness(&self, name: &str) -> String {
        match name {
            "own" => self.installation(),
            other => format!("lvi_{}", self.short("installation", other)),
        }
    }

    /// The name of the signing key.
    pub(super) fn key_id(&self) -> String {
        format!("kid-{}", self.short("key", ""))
    }

    /// The seed of the signing key.
    pub(super) fn signing_key(&self) -> [u8; 32] {
        self.bytes("signing-key", "")
    }

    /// The public half of the signing key.
    pub(super) fn public_key(&self) -> [u8; 32] {
        ed25519_public_key(&ed25519_key_pair(&self.signing_key()))
    }

    /// The key that payloads are kept under, or another of that kind.
    pub(super) fn encryption_key(&self, is_other: bool) -> [u8; 32] {
        self.bytes("encryption-key", if is_other { "other" } else { "" })
    }

    /// A stream.
    pub(super) fn stream(&self, name: &str) -> String {
        format!("str_{name}_{}", self.short("stream", name))
    }

    /// A tenant.
    pub(super) fn tenant(&self, name: &str) -> String {
        format!("ten_{name}_{}", self.short("tenant", name))
    }

    /// The reference of an item.
    pub(super) fn source(&self, item: &str) -> String {
        format!("{item}-{}", self.short("source", item))
    }

    /// A hash of a name: of a checkpoint.
    pub(super) fn hash(&self, name: &str) -> String {
        sha256(&self.bytes("hash", name))
    }

    /// A text that stands in payloads alone.
    pub(super) fn mark(&self) -> String {
        format!("geheim-{}", hex(&self.bytes("mark", "")[..12]))
    }

    /// The payload of an item.
    pub(super) fn payload(&self, item: &str, kind: Kind) -> Value {
        let mark = self.mark();
        match kind {
            Kind::Plain | Kind::Reordered => json!({
                "type": "invoice", "note": mark, "item": item, "amount": 1200, "open": true, "previous": null,
                "lines": [{"sku": "b-2", "count": 3}, {"sku": "a-1", "count": 0}],
            }),
            Kind::Rich => json!({
                "note": format!("{mark} Grüße 🗝 e\u{301} ﬁ 日本語"),
                "control": "\u{1}\u{1f}\u{7f}\u{8}\u{c}\n\r\t\"\\/\u{2028}\u{feff}",
                "ä": -1, "Z": 0, "a": LARGEST_INTEGER, "_": -LARGEST_INTEGER, "é": true, "": false,
                "none": null, "nested": {"z": {}, "y": [], "x": [[1], {"ß": "ẞ"}, null]},
            }),
            Kind::Changed => json!({"type": "invoice", "note": mark, "item": item, "amount": 1201}),
            Kind::Large => json!({"note": mark, "item": item, "filling": mark.repeat(2200)}),
            Kind::Empty => json!({}),
        }
    }

    /// The file that a payload is enqueued from.
    pub(super) fn file(&self, item: &str, kind: Kind) -> String {
        let payload = self.payload(item, kind);
        if kind != Kind::Reordered {
            return payload.to_string();
        }
        let members = payload.as_object().into_iter().flatten().collect::<Vec<_>>();
        let lines = members.into_iter().rev().map(|(name, value)| {
            // An escape that nobody need write stands for the same character.
            format!(
                "  {} :\t{}",
                Value::from(name.as_str()).to_string().replace('n', "\\u006e"),
                value
            )
        });
        format!("{{\n{}\n}}\n", lines.collect::<Vec<_>>().join(" ,\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reordered_payload_is_the_same_value() {
        let names = Names::new(&Seed::from_bytes([7; 32]), 0, "queue/x");
        let read: Value = serde_json::from_str(&names.file("a", Kind::Reordered)).unwrap();
        assert!(crate::json::equal(&read, &names.payload("a", Kind::Plain)));
        assert_ne!(names.file("a", Kind::Reordered), names.file("a", Kind::Plain));
        assert_ne!(names.payload("a", Kind::Changed), names.payload("a", Kind::Plain));
        assert!(names.file("a", Kind::Large).len() > 64 << 10);
    }
}
