//! Repositories, stored verbatim: what the protocol calls opaque is kept as the JSON that was sent.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::admission;
use super::answer::Refusal;
use super::core::Call;
use super::fault_hooks::{self, History};
use super::faults::push::NO_ENVELOPE;
use super::faults::{neighbours, races, routes};
use super::state::State;
use super::variations::rules;

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

/// What a repository operation has to say, once it is done.
pub(super) enum Reply {
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
/// `act` decides and what it writes is one step. A body that could not be read is refused after that, and not before.
pub(super) fn as_member(
    state: &State,
    place: &Call,
    body: Result<Value, Refusal>,
    act: impl FnOnce(&mut Repo, Value) -> Result<Reply, Refusal>,
) -> Result<Value, Refusal> {
    let unknown = || Refusal::not_found("there is no such repository");
    let mut vault = state.vault();
    let named = body.as_ref().unwrap_or(&Value::Null);
    let (gate, target) = admission::repos(state, &vault, place, named);
    let target = target.to_owned();
    let gate = vault.repos.get(gate).ok_or_else(unknown)?;
    if let Some(known) = fault_hooks::unguarded(state, place, gate, named) {
        return Ok(known);
    }
    if place.admitted && gate.entry(&place.caller).is_none() {
        state.fire();
    } else {
        admission::check(state, &vault, gate, place)?;
    }
    if let Some(entry) = neighbours::entry(state, &vault, &place.member_id, &target) {
        return Ok(entry);
    }
    let sent = (!state.is_faultless()).then(|| named.clone());
    let repo = vault.repos.get_mut(&target).ok_or_else(unknown)?;
    if let Some(seen) = fault_hooks::lagging(state, place, repo) {
        let mut seen = seen.ok_or_else(unknown)?;
        let said = act(&mut seen, body?)?;
        return Ok(answer(&seen, said));
    }
    if let Some(race) = races::of(state, place.operation) {
        let read = repo.clone();
        drop(vault);
        let body = body?;
        return fault_hooks::race(state, place, race, &read, |repo| act(repo, body));
    }
    let before = fault_hooks::before(state, repo, body.as_ref().unwrap_or(&Value::Null));
    let said = body.and_then(|body| act(repo, body));
    let answered = fault_hooks::deviate_and_answer(state, place, before, repo, said);
    if let (Some(sent), Ok(_)) = (sent, &answered) {
        neighbours::across(state, place, &mut vault, &sent, &target);
    }
    answered
}

/// What an operation answers, once the repository is as it is going to be.
pub(super) fn answer(repo: &Repo, said: Reply) -> Value {
    match said {
        Reply::Manifest => repo.manifest(),
        Reply::Value(value) => value,
        Reply::Pushed { applied } => json!({
            "accepted": applied,
            "payloadVersion": repo.version,
            "keyEpoch": repo.epoch,
            "conflict": !applied,
        }),
    }
}

/// Refuses a body that names another repository than the path.
pub(super) fn same_repo(state: &State, place: &Call, body: &Value) -> Result<(), Refusal> {
    let same =
        routes::is_same(state, text(body, "repoId"), &place.repo_id) || admission::takes_both(state, place);
    match same || state.deviates(rules::PATH_DECIDES) {
        true => Ok(()),
        false => Err(Refusal::bad_request("path and body name different repositories")),
    }
}

/// Refuses an envelope of another repository than this.
pub(super) fn same_envelope(state: &State, envelope: &Value, repo_id: &str) -> Result<(), Refusal> {
    let is_taken = || {
        state.is(neighbours::ENVELOPE_ID)
            || envelope.is_null() && state.is(NO_ENVELOPE)
            || state.deviates(rules::INCONSISTENT_ACCEPTED)
    };
    match text(envelope, "repoId") == repo_id || is_taken() {
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
