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
    /// What `plain` is, in a file with its members, within as well, the other way round and white space between them.
    Reordered,
    /// `rich` with a character in one piece that is in two there.
    Composed,
    /// Another payload than `plain`.
    Changed,
    /// `plain` with 1 in the place of true.
    OneForTrue,
    /// `plain` with a number as text.
    NumberAsText,
    /// `plain` without the member that is null.
    NullLeftOut,
    /// `plain` with the objects of its array the other way round.
    ArrayTurned,
    /// `plain` with a capital letter.
    OtherCase,
    /// `plain` with another number deep within.
    ChangedWithin,
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
        joined(name, |name| format!("str_{name}_{}", self.short("stream", name)))
    }

    /// A tenant.
    pub(super) fn tenant(&self, name: &str) -> String {
        joined(name, |name| format!("ten_{name}_{}", self.short("tenant", name)))
    }

    /// The reference of an item.
    pub(super) fn source(&self, item: &str) -> String {
        joined(item, |item| format!("{item}-{}", self.short("source", item)))
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
                "none": null, "html": "<a href='x'>&amp;</a>", "10": 1, "9": 2, "__proto__": "p", "when": "2026-01-02T03:04:05Z",
                "nested": {"z": {}, "y": [], "x": [[1], {"ß": "ẞ"}, null]},
            }),
            Kind::Composed => {
                let mut payload = self.payload(item, Kind::Rich);
                let note = payload["note"]
                    .as_str()
                    .map(|note| note.replace("e\u{301}", "\u{e9}"));
                payload["note"] = note.into();
                payload
            }
            Kind::Changed => json!({"type": "invoice", "note": mark, "item": item, "amount": 1201}),
            Kind::OneForTrue => self.nearly(item, "/open", 1.into()),
            Kind::NumberAsText => self.nearly(item, "/amount", "1200".into()),
            Kind::OtherCase => self.nearly(item, "/type", "Invoice".into()),
            Kind::ChangedWithin => self.nearly(item, "/lines/1/count", 1.into()),
            Kind::ArrayTurned => {
                let mut payload = self.payload(item, Kind::Plain);
                payload["lines"]
                    .as_array_mut()
                    .into_iter()
                    .for_each(|lines| lines.reverse());
                payload
            }
            Kind::NullLeftOut => {
                let mut payload = self.payload(item, Kind::Plain);
                payload
                    .as_object_mut()
                    .and_then(|members| members.remove("previous"));
                payload
            }
            Kind::Large => json!({"note": mark, "item": item, "filling": mark.repeat(2200)}),
            Kind::Empty => json!({}),
        }
    }

    /// The plain payload with another value at a place.
    fn nearly(&self, item: &str, pointer: &str, value: Value) -> Value {
        let mut payload = self.payload(item, Kind::Plain);
        crate::json::set(&mut payload, pointer, value);
        payload
    }

    /// The file that a payload is enqueued from.
    pub(super) fn file(&self, item: &str, kind: Kind) -> String {
        let payload = self.payload(item, kind);
        if kind != Kind::Reordered {
            return payload.to_string();
        }
        turned(&payload) + "\n"
    }
}

/// JSON with white space and the members of every object the other way round.
fn turned(value: &Value) -> String {
    let member = |(name, value): (&String, &Value)| {
        // An escape that nobody need write stands for the same character.
        let name = Value::from(name.as_str()).to_string().replace('n', "\\u006e");
        format!("  {name} :\t{}", turned(value))
    };
    match value {
        Value::Object(members) => {
            let lines: Vec<String> = members.iter().rev().map(member).collect();
            format!("{{\n{}\n}}", lines.join(" ,\n"))
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(turned).collect();
            format!("[ {} ]", values.join(" , "))
        }
        other => other.to_string(),
    }
}

/// A name with texts before or behind it that stand as they are: `'x:'+main`. So two pairs of names come to the same when
/// whoever keeps them puts them together.
fn joined(name: &str, plain: impl Fn(&str) -> String) -> String {
    let part = |part: &str| match part.strip_prefix('\'').and_then(|part| part.strip_suffix('\'')) {
        Some(text) => text.to_owned(),
        None => plain(part),
    };
    name.split('+').map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_beside_a_name_stand_as_they_are() {
        let names = Names::new(&Seed::from_bytes([7; 32]), 0, "queue/x");
        assert_eq!(names.stream("main+':x'"), format!("{}:x", names.stream("main")));
        assert_eq!(names.source("'x:'+a"), format!("x:{}", names.source("a")));
    }

    #[test]
    fn what_is_nearly_the_same_is_another_payload() {
        let names = Names::new(&Seed::from_bytes([7; 32]), 0, "queue/x");
        let plain = names.payload("a", Kind::Plain);
        for kind in [
            Kind::OneForTrue,
            Kind::NumberAsText,
            Kind::NullLeftOut,
            Kind::ArrayTurned,
            Kind::OtherCase,
            Kind::ChangedWithin,
        ] {
            assert_ne!(names.payload("a", kind), plain, "{kind:?}");
        }
    }

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
