//! Compares what a member is served with what must be stored, and tells what kind of difference it is.

use std::sync::Arc;

use serde_json::Value;

use super::sent;
use crate::avp::repo_state::{RepoState, member_id};
use crate::json;

/// What a difference is about; each kind is another requirement's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The repository's id.
    Id,
    /// The manifest's version.
    Version,
    /// The manifest's epoch.
    Epoch,
    /// Who is a member.
    Members,
    /// An entry of the roster that is another one than should be.
    Entry,
    /// The epoch of an entry whose wrapped key is the right one.
    EntryEpoch,
    /// An envelope that is another one than should be.
    Envelope,
    /// The right thing, but not byte for byte: nothing that was ever sent for its place.
    Verbatim,
    /// `shareRefreshTokens`.
    Policy,
    /// `keyBindingSig`.
    Binding,
}

impl Kind {
    /// Whether the operation did not do what it says: which envelope, which versions, who is a member.
    pub(super) fn is_state(self) -> bool {
        !matches!(self, Kind::Verbatim | Kind::Policy | Kind::Binding)
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) kind: Kind,
    /// A JSON pointer into the answer.
    pub(super) pointer: String,
    /// What came, against what was expected.
    pub(super) got: String,
    /// The counter that was expected and the one that came, where it is one.
    pub(super) counters: Option<(i64, i64)>,
    /// The member id whose entry it is about.
    pub(super) member: Option<String>,
}

impl Difference {
    pub(super) fn new(kind: Kind, pointer: impl Into<String>, got: impl Into<String>) -> Difference {
        Difference {
            kind,
            pointer: pointer.into(),
            got: got.into(),
            counters: None,
            member: None,
        }
    }

    fn of(mut self, member: &str) -> Difference {
        self.member = Some(member.to_owned());
        self
    }
}

/// The differences of a served manifest; `at` is where it stands in the answer.
pub(super) fn manifest(
    expected: &RepoState,
    before: Option<&RepoState>,
    seen: &Value,
    at: &str,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (field, value, kind) in [
        ("repoId", expected.repo_id.as_str().into(), Kind::Id),
        ("keyEpoch", expected.epoch.into(), Kind::Epoch),
        ("payloadVersion", expected.version.into(), Kind::Version),
        ("schemeId", expected.scheme.as_str().into(), Kind::Verbatim),
    ] {
        compare(&mut differences, kind, (at, field), &value, seen.get(field));
    }
    policy(&mut differences, expected, seen, at);
    roster(&mut differences, expected, before, seen, at);
    differences
}

/// The differences of a served envelope. The envelope of the state before is no altered one, but an old one.
pub(super) fn envelope(expected: &Value, before: Option<&Value>, seen: &Value, at: &str) -> Vec<Difference> {
    let mut differences = Vec::new();
    for field in ["repoId", "payloadVersion", "keyEpoch"] {
        compare(
            &mut differences,
            Kind::Envelope,
            (at, field),
            expected.get(field).unwrap_or(&Value::Null),
            seen.get(field),
        );
    }
    for field in ["iv", "ciphertext"] {
        let old = before.and_then(|before| before.get(field));
        let kind = if seen.get(field).is_some() && seen.get(field) == old {
            Kind::Envelope
        } else {
            Kind::Verbatim
        };
        compare(
            &mut differences,
            kind,
            (at, field),
            expected.get(field).unwrap_or(&Value::Null),
            seen.get(field),
        );
    }
    differences
}

/// The differences of one served roster entry.
pub(super) fn entry(expected: &Value, before: Option<&Value>, seen: &Value, at: &str) -> Vec<Difference> {
    let mut differences = Vec::new();
    let id = "ed25519PublicKey";
    let is_same = |a: Option<&str>, b: Option<&str>| a.zip(b).is_some_and(|(a, b)| sent::is_same(a, b));
    if !is_same(member_id(expected), member_id(seen)) {
        compare(
            &mut differences,
            Kind::Members,
            (at, id),
            field(expected, id),
            seen.get(id),
        );
    }
    let stale = before.is_some_and(|before| field(before, "wrappedDataKey") == field(seen, "wrappedDataKey"));
    let kind = if stale { Kind::Entry } else { Kind::Verbatim };
    let key = "x25519PublicKey";
    compare(
        &mut differences,
        kind,
        (at, key),
        field(expected, key),
        seen.get(key),
    );
    wrapped_key(&mut differences, kind, expected, seen, at);
    let has_the_key = field(expected, "wrappedDataKey") == field(seen, "wrappedDataKey");
    compare(
        &mut differences,
        if has_the_key {
            Kind::EntryEpoch
        } else {
            Kind::Entry
        },
        (at, "keyEpoch"),
        field(expected, "keyEpoch"),
        seen.get("keyEpoch"),
    );
    let (wanted, got) = (field(expected, "keyBindingSig"), field(seen, "keyBindingSig"));
    // What has no member id is no entry, and breaks the schema.
    if wanted != got && member_id(seen).is_some() {
        let got = format!("{} where {} was stored", show(got), show(wanted));
        differences.push(Difference::new(Kind::Binding, format!("{at}/keyBindingSig"), got));
    }
    differences
}

/// Field by field: what else the object may hold is the schema's business.
fn wrapped_key(differences: &mut Vec<Difference>, kind: Kind, expected: &Value, seen: &Value, at: &str) {
    let name = "wrappedDataKey";
    let (expected, seen) = (field(expected, name), field(seen, name));
    if !expected.is_object() || !seen.is_object() {
        return compare(differences, kind, (at, name), expected, Some(seen));
    }
    let at = format!("{at}/{name}");
    for part in ["schemeId", "ephemeralPublicKey", "iv", "ciphertext"] {
        if expected.get(part).is_some() || seen.get(part).is_some() {
            compare(
                differences,
                kind,
                (&at, part),
                field(expected, part),
                seen.get(part),
            );
        }
    }
}

/// Absent means false; true must stay true.
fn policy(differences: &mut Vec<Difference>, expected: &RepoState, seen: &Value, at: &str) {
    if !has_policy(seen) {
        return;
    }
    let served = seen
        .get("shareRefreshTokens")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    if served != expected.policy.unwrap_or(false) {
        let was = expected
            .policy
            .map_or("nothing".to_owned(), |policy| policy.to_string());
        let got = format!(
            "{} where {was} was stored",
            show(field(seen, "shareRefreshTokens"))
        );
        let pointer = match seen.get("shareRefreshTokens") {
            Some(_) => format!("{at}/shareRefreshTokens"),
            None => at.to_owned(),
        };
        differences.push(Difference::new(Kind::Policy, pointer, got));
    }
}

/// Whether something says what the policy is, by a value or by leaving it out: what is no manifest, or has another type
/// there, breaks the schema.
pub(super) fn has_policy(manifest: &Value) -> bool {
    let policy = manifest.get("shareRefreshTokens");
    manifest.get("repoId").is_some() && policy.is_none_or(|policy| policy.is_boolean() || policy.is_null())
}

/// Rosters are compared as sets of entries: the protocol gives no order.
fn roster(
    differences: &mut Vec<Difference>,
    expected: &RepoState,
    before: Option<&RepoState>,
    seen: &Value,
    at: &str,
) {
    let pointer = format!("{at}/members");
    // A roster that is none, or holds what is no entry, breaks the schema: that is not a difference of state as well.
    let entries = seen.get("members").and_then(Value::as_array);
    let Some(entries) = entries.filter(|entries| entries.iter().all(|entry| member_id(entry).is_some()))
    else {
        return;
    };
    let wanted: Vec<Option<&str>> = expected.members.iter().map(|entry| member_id(entry)).collect();
    // A member whose id is spelt otherwise is the same one.
    let known = |id: &str| -> Option<&str> {
        let mut known = wanted.iter().copied().flatten();
        known.find(|wanted| sent::is_same(wanted, id))
    };
    let ids: Vec<Option<&str>> = entries
        .iter()
        .map(|entry| member_id(entry).map(|id| known(id).unwrap_or(id)))
        .collect();
    for (index, (seen, id)) in entries.iter().zip(&ids).enumerate() {
        let state = |got: String| Difference::new(Kind::Members, format!("{pointer}/{index}"), got);
        let id = id.unwrap_or_default();
        let twins = wanted.iter().filter(|other| **other == Some(id)).count();
        if ids[..index].contains(&Some(id)) && twins < 2 {
            differences.push(state(format!("the member {id} stands twice in the roster")).of(id));
        } else if twins == 0 {
            differences.push(state(format!("{id} is in the roster and must not be")).of(id));
        } else if expected.members.get(index).is_none_or(|same| **same != *seen) {
            let old = before.and_then(|before| before.member(id));
            let place = format!("{pointer}/{index}");
            let found = nearest_entry(expected, id, old, seen, &place);
            differences.extend(found.into_iter().map(|difference| difference.of(id)));
        }
    }
    for id in &wanted {
        let id = id.unwrap_or_default();
        if !ids.contains(&Some(id)) {
            let got = format!("the member {id} is missing from the roster");
            differences.push(Difference::new(Kind::Members, pointer.clone(), got).of(id));
        }
    }
}

/// The differences from the stored entry of a member; from the nearest, where a roster that names a member twice was taken.
fn nearest_entry(
    expected: &RepoState,
    id: &str,
    old: Option<&Value>,
    seen: &Value,
    at: &str,
) -> Vec<Difference> {
    let wanted = expected
        .members
        .iter()
        .map(Arc::as_ref)
        .filter(|member| member_id(member) == Some(id));
    let compared = wanted.map(|wanted| entry(wanted, old.filter(|old| *old != wanted), seen, at));
    compared.min_by_key(Vec::len).unwrap_or_default()
}

fn compare(
    differences: &mut Vec<Difference>,
    kind: Kind,
    (at, field): (&str, &str),
    expected: &Value,
    seen: Option<&Value>,
) {
    let got = match seen {
        Some(seen) if json::equal(seen, expected) => return,
        // What is missing or of another type breaks the schema: that is not a difference of state as well.
        Some(seen) if !expected.is_null() && type_of(seen) != type_of(expected) => return,
        None => return,
        Some(seen) => format!("{} where {} was stored", show(seen), show(expected)),
    };
    differences.push(Difference {
        counters: expected.as_i64().zip(seen.and_then(Value::as_i64)),
        ..Difference::new(kind, format!("{at}/{field}"), got)
    });
}

/// The type of a value, as the message schema tells types apart.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|float| float.fract() != 0.0) => "fraction",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// A value for people, at most 60 characters.
fn show(value: &Value) -> String {
    let text = match value {
        Value::Null => return "nothing".to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}… ({} characters)", &text[..at], text.chars().count()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored() -> RepoState {
        RepoState::created(&json!({
            "manifest": {"repoId": "r", "schemeId": "s", "keyEpoch": 1, "payloadVersion": 2,
                "members": [{"ed25519PublicKey": "A", "x25519PublicKey": "x", "wrappedDataKey": {"iv": "i"}, "keyEpoch": 1},
                    {"ed25519PublicKey": "B", "x25519PublicKey": "y", "wrappedDataKey": {"iv": "j"}, "keyEpoch": 1,
                     "keyBindingSig": "sig"}]},
            "initialEnvelope": {"repoId": "r", "payloadVersion": 2, "keyEpoch": 1, "iv": "new", "ciphertext": "new"},
        }))
        .unwrap()
    }

    fn kinds(change: impl FnOnce(&mut Value)) -> Vec<Kind> {
        let mut seen = stored().manifest();
        change(&mut seen);
        manifest(&stored(), None, &seen, "")
            .into_iter()
            .map(|difference| difference.kind)
            .collect()
    }

    #[test]
    fn the_same_manifest_in_another_form_is_the_same() {
        assert_eq!(kinds(|_| {}), []);
        assert_eq!(
            kinds(|seen| seen["members"].as_array_mut().unwrap().reverse()),
            []
        );
        assert_eq!(
            kinds(|seen| seen["members"][0]["keyBindingSig"] = Value::Null),
            []
        );
        assert_eq!(kinds(|seen| seen["shareRefreshTokens"] = false.into()), []);
    }

    #[test]
    fn each_difference_has_its_kind() {
        assert_eq!(kinds(|seen| seen["payloadVersion"] = 1.into()), [Kind::Version]);
        assert_eq!(
            kinds(|seen| seen["members"].as_array_mut().unwrap().truncate(1)),
            [Kind::Members]
        );
        assert_eq!(
            kinds(|seen| seen["members"][1] = seen["members"][0].clone()),
            [Kind::Members, Kind::Members]
        );
        assert_eq!(
            kinds(|seen| seen["members"][0]["x25519PublicKey"] = "X".into()),
            [Kind::Verbatim]
        );
        assert_eq!(
            kinds(|seen| seen["members"][1]["keyBindingSig"] = Value::Null),
            [Kind::Binding]
        );
        assert_eq!(
            kinds(|seen| seen["shareRefreshTokens"] = true.into()),
            [Kind::Policy]
        );
    }

    #[test]
    fn what_breaks_the_schema_is_no_difference_of_state_as_well() {
        assert_eq!(kinds(|seen| seen["payloadVersion"] = "2".into()), []);
        assert_eq!(kinds(|seen| seen["keyEpoch"] = 1.5.into()), []);
        assert_eq!(kinds(|seen| seen["members"] = json!({})), []);
        assert_eq!(
            kinds(|seen| seen["members"][0]["ed25519PublicKey"] = json!(7)),
            []
        );
        assert_eq!(
            kinds(|seen| seen["members"][0]["wrappedDataKey"] = Value::Null),
            []
        );
    }

    #[test]
    fn an_old_envelope_is_not_an_altered_one() {
        let old =
            json!({"repoId": "r", "payloadVersion": 1, "keyEpoch": 1, "iv": "old", "ciphertext": "old"});
        let kinds = |seen: &Value| -> Vec<Kind> {
            envelope(&stored().envelope, Some(&old), seen, "")
                .into_iter()
                .map(|difference| difference.kind)
                .collect()
        };
        assert!(kinds(&old).iter().all(|kind| *kind == Kind::Envelope));
        let mut altered = Value::clone(&stored().envelope);
        altered["ciphertext"] = "neW".into();
        assert_eq!(kinds(&altered), [Kind::Verbatim]);
    }
}
