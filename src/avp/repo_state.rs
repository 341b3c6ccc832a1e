//! What a repository must hold, as far as the target's own answers say.
//!
//! A [`RepoState`] is built from requests that were granted, by the rules of section 6 of the protocol page, and compared with
//! what members are served. The driver uses it to build the next valid request, the judge to know what to expect. The
//! reference server has code of its own for the same rules, on purpose.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::avp::Operation;

/// The state of one repository. JSON values are kept exactly as they were sent; states share what they have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct RepoState {
    /// `repoId` of the manifest.
    pub repo_id: String,
    /// `schemeId` of the manifest.
    pub scheme: String,
    /// The current key epoch.
    pub epoch: i64,
    /// The current payload version.
    pub version: i64,
    /// `shareRefreshTokens`; `None` where it was not sent.
    pub policy: Option<bool>,
    /// The roster, in the order in which it was sent.
    pub members: Vec<Arc<Value>>,
    /// The current envelope.
    pub envelope: Arc<Value>,
}

impl RepoState {
    /// The state after a granted request. `None` where the operation writes nothing, where there is nothing to write to,
    /// or where the request is not of the form that its rule speaks of.
    pub fn after(operation: Operation, before: Option<&RepoState>, request: &Value) -> Option<RepoState> {
        match operation {
            Operation::CreateRepo => RepoState::created(request),
            Operation::Push => before?.pushed(request),
            Operation::AddMember => before?.member_added(request),
            Operation::RemoveMember => before?.member_removed(request),
            _ => None,
        }
    }

    /// The state after a granted createRepo. `None` where the request is no such message.
    pub fn created(request: &Value) -> Option<RepoState> {
        RepoState::all_of(request.get("manifest")?, request.get("initialEnvelope")?)
    }

    /// The state that a manifest describes, with that envelope. `None` where it is none.
    fn all_of(manifest: &Value, envelope: &Value) -> Option<RepoState> {
        let members = manifest.get("members")?.as_array()?.iter().map(shared);
        RepoState::of(manifest, members.collect(), shared(envelope))
    }

    fn of(manifest: &Value, members: Vec<Arc<Value>>, envelope: Arc<Value>) -> Option<RepoState> {
        Some(RepoState {
            repo_id: manifest.get("repoId")?.as_str()?.to_owned(),
            scheme: manifest.get("schemeId")?.as_str()?.to_owned(),
            epoch: manifest.get("keyEpoch")?.as_i64()?,
            version: manifest.get("payloadVersion")?.as_i64()?,
            policy: manifest.get("shareRefreshTokens").and_then(Value::as_bool),
            members,
            envelope,
        })
    }

    /// The state after an applied push. The epoch is that of the key that the current payload is under: the envelope's.
    pub fn pushed(&self, request: &Value) -> Option<RepoState> {
        let envelope = request.get("envelope")?;
        let mut next = self.clone();
        next.version = envelope.get("payloadVersion")?.as_i64()?;
        next.epoch = envelope.get("keyEpoch")?.as_i64()?;
        next.envelope = shared(envelope);
        if let Some(roster) = request.get("rotatedMembers").and_then(Value::as_array) {
            next.members = roster.iter().map(shared).collect();
        }
        Some(next)
    }

    /// The state after a granted addMember: an entry of the same member is replaced.
    pub fn member_added(&self, request: &Value) -> Option<RepoState> {
        let entry = request.get("member")?;
        let id = member_id(entry)?;
        let mut next = self.clone();
        match next.members.iter_mut().find(|known| member_id(known) == Some(id)) {
            Some(known) => *known = shared(entry),
            None => next.members.push(shared(entry)),
        }
        Some(next)
    }

    /// The state after a granted removeMember. Whoever was removed is no member, listed or not.
    pub fn member_removed(&self, request: &Value) -> Option<RepoState> {
        let removed = request.get("removedMemberId")?.as_str()?;
        let envelope = request.get("rotatedEnvelope")?;
        let mut next = self.clone();
        next.epoch = request.get("newKeyEpoch")?.as_i64()?;
        next.version = envelope.get("payloadVersion")?.as_i64()?;
        next.envelope = shared(envelope);
        let staying = request.get("rewrappedMembers")?.as_array()?.iter();
        let staying = staying.filter(|entry| member_id(entry) != Some(removed));
        next.members = staying.map(shared).collect();
        Some(next)
    }

    /// The state that an answered pull with an envelope shows.
    pub fn served(answer: &Value) -> Option<RepoState> {
        let envelope = answer.get("envelope").filter(|envelope| envelope.is_object())?;
        RepoState::all_of(answer.get("manifest")?, envelope)
    }

    /// The state that an answered pull shows; the envelope stays what it was where the answer leaves it out.
    pub fn observed(&self, answer: &Value) -> Option<RepoState> {
        let envelope = answer.get("envelope").filter(|envelope| envelope.is_object());
        // Most of what is seen is known, and is not copied then.
        let known = |value: &Value, known: Option<&Arc<Value>>| match known {
            Some(known) if **known == *value => Arc::clone(known),
            _ => shared(value),
        };
        let envelope = match envelope {
            Some(envelope) => known(envelope, Some(&self.envelope)),
            None => Arc::clone(&self.envelope),
        };
        let entries = answer
            .pointer("/manifest/members")?
            .as_array()?
            .iter()
            .enumerate();
        let members = entries.map(|(at, entry)| known(entry, self.members.get(at)));
        RepoState::of(answer.get("manifest")?, members.collect(), envelope)
    }

    /// The roster entry of a member.
    pub fn member(&self, id: &str) -> Option<&Value> {
        let mut members = self.members.iter().map(Arc::as_ref);
        members.find(|entry| member_id(entry) == Some(id))
    }

    /// The manifest that members are to be served.
    pub fn manifest(&self) -> Value {
        let mut manifest = Map::new();
        manifest.insert("repoId".into(), self.repo_id.clone().into());
        manifest.insert("schemeId".into(), self.scheme.clone().into());
        manifest.insert("keyEpoch".into(), self.epoch.into());
        manifest.insert("payloadVersion".into(), self.version.into());
        let members = self.members.iter().map(|entry| Value::clone(entry));
        manifest.insert("members".into(), members.collect());
        if let Some(policy) = self.policy {
            manifest.insert("shareRefreshTokens".into(), policy.into());
        }
        manifest.into()
    }
}

fn shared(value: &Value) -> Arc<Value> {
    Arc::new(value.clone())
}

/// The member id of a roster entry.
pub fn member_id(entry: &Value) -> Option<&str> {
    entry.get("ed25519PublicKey")?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn created() -> RepoState {
        RepoState::created(&json!({
            "manifest": {"repoId": "r", "schemeId": "s", "keyEpoch": 1, "payloadVersion": 1,
                "members": [{"ed25519PublicKey": "A"}], "shareRefreshTokens": true},
            "initialEnvelope": {"ciphertext": "one"},
        }))
        .unwrap()
    }

    #[test]
    fn a_push_moves_version_and_envelope_and_nothing_else() {
        let next = created()
            .pushed(&json!({"envelope": {"payloadVersion": 2, "keyEpoch": 1, "ciphertext": "two"}}))
            .unwrap();
        assert_eq!((next.version, next.epoch, next.policy), (2, 1, Some(true)));
        assert_eq!(next.members, created().members);
        assert_eq!(next.envelope["ciphertext"], "two");
    }

    #[test]
    fn a_member_has_one_entry() {
        let add = |key: &str, mark: i64| json!({"member": {"ed25519PublicKey": key, "mark": mark}});
        let next = created()
            .member_added(&add("B", 1))
            .unwrap()
            .member_added(&add("B", 2))
            .unwrap();
        assert_eq!(next.members.len(), 2);
        assert_eq!(next.member("B").unwrap()["mark"], 2);
    }

    #[test]
    fn who_was_removed_is_no_member_even_if_rewrapped() {
        let request = json!({"removedMemberId": "B", "newKeyEpoch": 2, "rotatedEnvelope": {"payloadVersion": 2},
            "rewrappedMembers": [{"ed25519PublicKey": "A"}, {"ed25519PublicKey": "B"}]});
        let next = created().member_removed(&request).unwrap();
        assert_eq!(next.members.len(), 1);
        assert_eq!((next.epoch, next.version), (2, 2));
    }
}
