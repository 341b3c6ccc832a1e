//! Repositories, stored verbatim: what the protocol calls opaque is kept as the JSON that was sent.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::answer::Refusal;
use super::core::Place;
use super::state::State;
use super::variations::rules;

/// All repositories, by id.
#[derive(Debug, Default)]
pub(super) struct Vault {
    /// The repositories.
    pub(super) repos: HashMap<String, Repo>,
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

/// What a repository operation has to say, once it is done.
pub(super) enum Said {
    /// The manifest as it is now.
    Manifest,
    /// What became of a push.
    Pushed {
        /// Whether it was applied; a conflict otherwise.
        applied: bool,
    },
    /// This.
    Value(Value),
}

/// Does something to the repository of the path, if there is one and the caller is its member, under the lock: what
/// `act` decides and what it writes is one step.
pub(super) fn as_member(
    state: &State,
    place: &Place,
    act: impl FnOnce(&mut Repo) -> Result<Said, Refusal>,
) -> Result<Value, Refusal> {
    let mut vault = state.vault();
    let repo = vault.repos.get_mut(&place.repo_id);
    let repo = repo.ok_or_else(|| Refusal::not_found("there is no such repository"))?;
    if repo.entry(&place.caller).is_none() {
        return Err(Refusal::forbidden("the caller is no member of this repository"));
    }
    let said = act(repo)?;
    Ok(answer(repo, said))
}

fn answer(repo: &Repo, said: Said) -> Value {
    match said {
        Said::Manifest => repo.manifest(),
        Said::Value(value) => value,
        Said::Pushed { applied } => json!({
            "accepted": applied,
            "payloadVersion": repo.version,
            "keyEpoch": repo.epoch,
            "conflict": !applied,
        }),
    }
}

/// Refuses a body that names another repository than the path.
pub(super) fn same_repo(state: &State, body: &Value, repo_id: &str) -> Result<(), Refusal> {
    match text(body, "repoId") == repo_id || state.deviates(rules::PATH_DECIDES) {
        true => Ok(()),
        false => Err(Refusal::bad_request("path and body name different repositories")),
    }
}

/// Refuses an envelope of another repository.
pub(super) fn same_envelope(state: &State, envelope: &Value, repo_id: &str) -> Result<(), Refusal> {
    match text(envelope, "repoId") == repo_id || state.deviates(rules::INCONSISTENT_ACCEPTED) {
        true => Ok(()),
        false => Err(Refusal::bad_request("the envelope is of another repository")),
    }
}

/// Whether a member id occurs twice in a roster.
pub(super) fn has_twins(roster: &[Value]) -> bool {
    let is_repeated = |index: usize| {
        roster[..index]
            .iter()
            .any(|entry| id_of(entry) == id_of(&roster[index]))
    };
    (1..roster.len()).any(is_repeated)
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
