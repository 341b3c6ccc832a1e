//! Repositories, stored verbatim: what the protocol calls opaque is kept as the JSON that was sent.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::faults::access::History;

/// All repositories, by id.
#[derive(Debug, Default)]
pub(super) struct Vault {
    /// The repositories.
    pub(super) repos: HashMap<String, Repo>,
}

impl Vault {
    /// Whether somebody is a member of anything.
    pub(super) fn knows(&self, member_id: &str) -> bool {
        self.repos.values().any(|repo| repo.entry(member_id).is_some())
    }
}

/// One repository.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Repo {
    /// Its id.
    pub(super) id: String,
    /// The name of its wrap scheme.
    pub(super) scheme: String,
    /// The current key epoch.
    pub(super) epoch: i64,
    /// The current payload version.
    pub(super) version: i64,
    /// The roster: `MemberEntry` objects as they were sent.
    pub(super) roster: Vec<Value>,
    /// `shareRefreshTokens`, if it was sent.
    pub(super) policy: Option<bool>,
    /// The current `EncryptedEnvelope` as it was sent.
    pub(super) envelope: Value,
    /// The last write, if that was a removal: sent again, it is recognised.
    pub(super) last_removal: Option<Value>,
    /// What has been; empty on a server that does not deviate.
    pub(super) history: History,
}

impl Repo {
    /// What a `CreateRepoRequest` makes.
    pub(super) fn new(body: &Value) -> Repo {
        let manifest = &body["manifest"];
        Repo {
            id: text(manifest, "repoId").to_owned(),
            scheme: text(manifest, "schemeId").to_owned(),
            epoch: count(manifest, "keyEpoch"),
            version: count(manifest, "payloadVersion"),
            roster: list(manifest, "members").to_vec(),
            policy: manifest["shareRefreshTokens"].as_bool(),
            envelope: body["initialEnvelope"].clone(),
            last_removal: None,
            history: History::default(),
        }
    }

    /// The `VaultManifest`.
    pub(super) fn manifest(&self) -> Value {
        let mut manifest = json!({
            "repoId": self.id,
            "schemeId": self.scheme,
            "keyEpoch": self.epoch,
            "payloadVersion": self.version,
            "members": self.roster,
        });
        if let Some(policy) = self.policy {
            manifest["shareRefreshTokens"] = Value::Bool(policy);
        }
        manifest
    }

    /// A member's entry.
    pub(super) fn entry(&self, member_id: &str) -> Option<&Value> {
        self.roster.iter().find(|entry| id_of(entry) == member_id)
    }

    /// Stores an envelope and moves version and epoch to its own.
    pub(super) fn store(&mut self, envelope: &Value) {
        self.envelope = envelope.clone();
        self.version = count(envelope, "payloadVersion");
        self.epoch = count(envelope, "keyEpoch");
        self.last_removal = None;
    }
}

/// The member id of an entry.
pub(super) fn id_of(entry: &Value) -> &str {
    text(entry, "ed25519PublicKey")
}

/// A string field; bodies have been checked, so the empty string never stands for an absent one.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

/// A counter.
pub(super) fn count(object: &Value, name: &str) -> i64 {
    object[name].as_i64().unwrap_or_default()
}

/// An array; empty where it is absent or null.
pub(super) fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
