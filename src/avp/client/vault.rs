//! The operations of a member: what is sent, and what is checked of an answer before it is believed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::Habits;
use super::crypto;
use super::error::ClientError;
use super::faults::crypto as bent;
use super::http::{Ask, Http, Server, Watch, json, segment};
use super::messages::{
    AddRequest, Challenge, ChallengeRequest, CreateRequest, Entry, Envelope, Manifest, PullRequest,
    PullResponse, PushRequest, PushResponse, RemoveRequest, Token, TokenRequest,
};
use super::payload::{self, Alt};
use crate::keys::Identity;
use crate::keys::encoding::{decode, decode_array, encode};

/// So often a push is made anew because somebody else wrote first.
const MOST_PUSHES: usize = 4;

/// A member at a server.
pub(super) struct Member {
    http: Http,
    keys: Identity,
    pub(super) server: Server,
    /// One for each origin; none is ever shown to another.
    tokens: BTreeMap<String, Token>,
    /// The highest version that was read of each repository: nothing older is believed.
    seen: BTreeMap<String, i64>,
    /// The key of the issuer that binds members' keys, where the server is not our own.
    pub(super) issuer: Option<[u8; 32]>,
    /// What the client remembers that it should ask for: for deviations alone.
    pub(super) memory: Memory,
    log: Log,
}

/// Takes lines that a user would see.
pub type Log = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// What deviating clients remember.
#[derive(Default)]
pub(super) struct Memory {
    policy: BTreeMap<String, bool>,
    envelope: Option<Envelope>,
    iv: Option<[u8; 12]>,
    ephemeral: Option<[u8; 32]>,
    foreign_alts: Vec<Alt>,
    encryptions: u32,
    rotation_key: Option<[u8; 32]>,
    /// The first data key that was unwrapped of a repository.
    first_key: Option<[u8; 32]>,
    last: Option<Read>,
}

/// A repository as it was read.
#[derive(Clone)]
pub(super) struct Read {
    pub(super) manifest: Manifest,
    /// The decrypted alts; those that are not shared are left out of them.
    pub(super) alts: Vec<Alt>,
    data_key: [u8; 32],
}

/// What a pull came to.
pub(super) enum Pulled {
    /// The version that was known is the current one.
    Unchanged(Manifest),
    /// The repository, decrypted.
    Changed(Box<Read>),
}

impl Member {
    /// # Errors
    /// No client can be made on this system, or the file of the authority holds no certificate.
    pub(super) fn new(
        keys: Identity,
        server: Server,
        habits: Habits,
        authority: Option<&Path>,
        watch: Watch,
        log: Log,
    ) -> Result<Member, ClientError> {
        Ok(Member {
            http: Http::new(habits, authority, watch)?,
            keys,
            server,
            tokens: BTreeMap::new(),
            seen: BTreeMap::new(),
            issuer: None,
            memory: Memory::default(),
            log,
        })
    }

    pub(super) fn id(&self) -> &str {
        self.keys.member_id()
    }

    pub(super) fn x25519(&self) -> &str {
        self.keys.x25519_public_key()
    }

    fn habits(&self) -> &Habits {
        &self.http.habits
    }

    /// Logs in at the server: signs the bytes of its nonce.
    pub(super) async fn login(&mut self) -> Result<i64, ClientError> {
        if self.habits().has("private-key-logged") {
            let [secret, _] = self.keys.secrets();
            (self.log)(&format!(
                "logging in with {}",
                crate::keys::encoding::hex(&secret)
            ));
        }
        if self.habits().has("private-key-logged-as-numbers") {
            (self.log)(&format!("logging in with {:?}", self.keys.secrets()[0]));
        }
        if self.habits().has("private-key-logged-as-pem") {
            let head = [
                0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
            ];
            let body = encode(&[&head[..], &self.keys.secrets()[0]].concat());
            (self.log)(&format!(
                "-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
            ));
        }
        if self.habits().has("private-key-in-a-header") {
            self.http.slip = Some(encode(&self.keys.secrets()[1]));
        }
        let id = self.id().to_owned();
        let ask = Ask::open(
            "/api/auth/keypair/challenge",
            &ChallengeRequest {
                ed25519_public_key: &id,
            },
        );
        let challenge: Challenge = self.http.call(&self.server, ask).await?;
        let nonce =
            decode("nonce", &challenge.nonce).map_err(|error| ClientError::Untrusted(error.to_string()))?;
        if nonce.len() != 32 && self.habits().has("nonce-of-32-bytes-only") {
            return Err(ClientError::Untrusted("a nonce that has not 32 bytes".to_owned()));
        }
        let signature = bent::sign(self.habits(), &self.keys, &challenge.nonce, &nonce);
        let ask = Ask::open(
            "/api/auth/keypair/token",
            &TokenRequest {
                ed25519_public_key: &id,
                nonce: &challenge.nonce,
                signature: encode(&signature),
            },
        );
        let token: Token = self.http.call(&self.server, ask).await?;
        super::faults::token(self.habits(), &token.token, token.expires_at)?;
        let until = token.expires_at;
        self.tokens.insert(self.server.origin.clone(), token);
        Ok(until)
    }

    /// A vault operation with the token of this server. Where it is not taken any more, a new one is fetched, once.
    async fn ask<T: DeserializeOwned>(
        &mut self,
        method: &'static str,
        path: String,
        body: Option<Vec<u8>>,
    ) -> Result<T, ClientError> {
        if !self.tokens.contains_key(&self.server.origin) || self.habits().has("login-each-call") {
            let foreign = self.tokens.values().next().cloned();
            match foreign.filter(|_| self.habits().has("token-for-all-hosts")) {
                Some(token) => drop(self.tokens.insert(self.server.origin.clone(), token)),
                None => drop(self.login().await?),
            }
        }
        for attempt in 0.. {
            let is_fresh = attempt > 0 && !super::faults::logs_in_again(self.habits(), attempt);
            let token = self
                .tokens
                .get(&self.server.origin)
                .map(|token| token.token.clone());
            let ask = Ask {
                method,
                path: path.clone(),
                token: token.as_deref(),
                body: body.clone(),
            };
            match self.http.call(&self.server, ask).await {
                Err(ClientError::Refused { status: 401, .. })
                    if !is_fresh && !self.habits().has("gives-up-on-401") =>
                {
                    self.login().await?;
                }
                other => return other,
            }
        }
        unreachable!("the second answer ends it")
    }

    fn path(&self, repo_id: &str, operation: &str) -> Result<String, ClientError> {
        Ok(format!(
            "/v1/repos/{}/{operation}",
            segment(repo_id, self.habits())?
        ))
    }

    /// Creates a repository with this member alone in it.
    pub(super) async fn create(
        &mut self,
        repo_id: &str,
        alts: &[Alt],
        mut share: Option<bool>,
    ) -> Result<Manifest, ClientError> {
        if share.is_none() && self.habits().has("policy-true-unless-told") {
            share = Some(true);
        }
        let mut data_key: [u8; 32] = rand::random();
        if self.habits().has("data-key-from-the-id") {
            data_key = Sha256::digest(repo_id).into();
        }
        let key_epoch = i64::from(!self.habits().has("epochs-from-zero"));
        self.memory.policy.insert(repo_id.to_owned(), share == Some(true));
        let envelope = self.seal(&data_key, repo_id, (1, key_epoch), alts.to_vec(), share)?;
        let own = (self.id().to_owned(), self.x25519().to_owned());
        let manifest = Manifest {
            repo_id: repo_id.to_owned(),
            scheme_id: crypto::SCHEME.to_owned(),
            key_epoch,
            payload_version: 1,
            members: vec![self.entry(&data_key, &own.0, &own.1, key_epoch, None)?],
            share_refresh_tokens: share,
        };
        let body = self.body(&CreateRequest {
            manifest,
            initial_envelope: envelope,
        });
        let stored: Manifest = self.ask("POST", "/v1/repos".to_owned(), Some(body)).await?;
        self.memory.first_key = Some(data_key);
        self.check_place(&stored, repo_id)?;
        self.seen.insert(repo_id.to_owned(), stored.payload_version);
        Ok(stored)
    }

    /// A data key, or the first that was seen of its repository, with a habit of taking that.
    fn key_or_first(&self, data_key: [u8; 32], habit: &'static str) -> [u8; 32] {
        match self.memory.first_key {
            Some(first) if first != data_key && self.habits().has(habit) => first,
            _ => data_key,
        }
    }

    /// Whether an answer that is none is taken for success.
    fn takes_none(&self, answer: &Result<Manifest, ClientError>) -> bool {
        matches!(answer, Err(ClientError::Invalid { .. })) && self.habits().has("other-answers-unread")
    }

    /// Pulls. What has changed is decrypted.
    pub(super) async fn pull(&mut self, repo_id: &str, known: i64) -> Result<Pulled, ClientError> {
        let body = json(&PullRequest {
            repo_id,
            known_payload_version: known,
        });
        let path = self.path(repo_id, "pull")?;
        let mut answer: serde_json::Value = self.ask("POST", path, Some(body)).await?;
        super::faults::misread(self.habits(), &mut answer);
        super::faults::pull_answer(self.habits(), &answer)?;
        let answer: PullResponse = serde_json::from_value(answer).map_err(|error| ClientError::Invalid {
            request: "pull".to_owned(),
            expected: "a PullResponse".to_owned(),
            got: error.to_string(),
        })?;
        self.check_place(&answer.manifest, repo_id)?;
        match (answer.unchanged, answer.envelope) {
            (true, _) => Ok(Pulled::Unchanged(answer.manifest)),
            (false, Some(envelope)) => {
                if self.habits().has("unreadable-saved-over")
                    && let Some(last) = &mut self.memory.last
                {
                    last.manifest = answer.manifest.clone();
                }
                let read = match self.open(answer.manifest.clone(), &envelope) {
                    Err(ClientError::Untrusted(_)) if self.habits().has("unreadable-taken-for-empty") => {
                        Read {
                            manifest: answer.manifest,
                            alts: Vec::new(),
                            data_key: [0; 32],
                        }
                    }
                    read => read?,
                };
                self.memory.envelope = Some(envelope);
                self.memory.last = Some(read.clone());
                Ok(Pulled::Changed(Box::new(read)))
            }
            (false, None) => Err(ClientError::Invalid {
                request: "pull".to_owned(),
                expected: "an envelope, since it says that something changed".to_owned(),
                got: "none".to_owned(),
            }),
        }
    }

    /// What was read last, where it is of this repository and the client has the habit of going by it.
    fn remembered(&self, habit: &'static str, repo_id: &str) -> Option<Read> {
        let last = self.memory.last.as_ref().filter(|_| self.habits().has(habit))?;
        (last.manifest.repo_id == repo_id).then(|| last.clone())
    }

    /// The repository as it is now.
    pub(super) async fn read(&mut self, repo_id: &str) -> Result<Read, ClientError> {
        let remembered = self.remembered("read-from-memory", repo_id);
        // No repository is at version 0: the answer always holds the envelope.
        let known = remembered
            .as_ref()
            .map_or(0, |read| read.manifest.payload_version);
        match (self.pull(repo_id, known).await?, remembered) {
            (Pulled::Changed(read), _) => Ok(*read),
            (Pulled::Unchanged(manifest), Some(read)) => Ok(Read { manifest, ..read }),
            (Pulled::Unchanged(_), None) => Err(ClientError::Invalid {
                request: "pull".to_owned(),
                expected: "the envelope".to_owned(),
                got: "unchanged, at version 0".to_owned(),
            }),
        }
    }

    /// Whether an answer is about the repository that was asked for.
    fn check_place(&self, manifest: &Manifest, repo_id: &str) -> Result<(), ClientError> {
        match manifest.repo_id == repo_id || self.habits().has("place-unchecked") {
            true => Ok(()),
            false => Err(ClientError::Untrusted(format!(
                "the answer is about repository {:?}, not {repo_id:?}",
                manifest.repo_id
            ))),
        }
    }

    /// Decrypts what was pulled: all that it names must fit, and nothing may be older than what was read before.
    fn open(&mut self, manifest: Manifest, envelope: &Envelope) -> Result<Read, ClientError> {
        let untrusted = |why: &str| ClientError::Untrusted(why.to_owned());
        let is_here = envelope.repo_id == manifest.repo_id;
        let fits = (is_here || self.habits().has("place-of-envelope-unchecked"))
            && envelope.payload_version == manifest.payload_version
            && envelope.key_epoch == manifest.key_epoch;
        if !fits {
            return Err(untrusted("envelope and manifest name different places"));
        }
        let lowest = self.seen.get(&manifest.repo_id).copied().unwrap_or(0);
        if envelope.payload_version < lowest {
            return Err(untrusted("the envelope is older than what was read before"));
        }
        let own = manifest
            .members
            .iter()
            .find(|entry| entry.ed25519_public_key == self.id())
            .ok_or_else(|| untrusted("we are not in the roster"))?;
        let [_, secret] = self.keys.secrets();
        let data_key = bent::unwrap(self.habits(), &secret, &own.wrapped_data_key)
            .ok_or_else(|| untrusted("our wrapped data key does not open"))?;
        self.memory.first_key.get_or_insert(data_key);
        let data_key = self.key_or_first(data_key, "data-key-remembered");
        if self.habits().has("data-key-logged") {
            (self.log)(&format!("data key: {}", encode(&data_key)));
        }
        let plaintext = bent::open(self.habits(), &data_key, envelope)
            .ok_or_else(|| untrusted("the envelope does not open: it was altered, or is of another place"))?;
        let plaintext = bent::letters(self.habits(), plaintext);
        let mut alts = match payload::read(&plaintext) {
            Ok(alts) => alts,
            Err(_) if bent::is_lax(self.habits()) => Vec::new(),
            Err(why) => return Err(untrusted(&format!("the payload is none: {why}"))),
        };
        super::faults::alts(self.habits(), &alts)?;
        self.memory.foreign_alts.clone_from(&alts);
        if !self.shares(&manifest) && !self.habits().has("refresh-tokens-kept") {
            payload::strip(&mut alts);
        }
        self.seen
            .insert(manifest.repo_id.clone(), envelope.payload_version.max(lowest));
        Ok(Read {
            manifest,
            alts,
            data_key,
        })
    }

    /// Whether refresh tokens are shared: only an explicit true says so.
    fn shares(&self, manifest: &Manifest) -> bool {
        if self.habits().is("policy-remembered")
            && let Some(known) = self.memory.policy.get(&manifest.repo_id)
        {
            self.habits().has("policy-remembered");
            return *known;
        }
        if manifest.share_refresh_tokens.is_none() && self.habits().has("policy-absent-is-true") {
            return true;
        }
        manifest.share_refresh_tokens == Some(true)
    }

    fn seal(
        &mut self,
        data_key: &[u8; 32],
        repo_id: &str,
        (payload_version, key_epoch): (i64, i64),
        mut alts: Vec<Alt>,
        share: Option<bool>,
    ) -> Result<Envelope, ClientError> {
        let shares = share == Some(true)
            || share.is_none() && self.habits().is("policy-absent-is-true")
            || self.habits().is("policy-remembered")
                && self.memory.policy.get(repo_id).copied().unwrap_or(false);
        if !shares && !bent::leaves_refresh_tokens(self.habits(), &mut alts, &self.memory.foreign_alts) {
            payload::strip(&mut alts);
            bent::blank(self.habits(), &mut alts);
        }
        let plaintext = payload::write(&alts, payload_version);
        if let (Some(name), true) = (
            alts.first().and_then(|alt| alt.get("accessToken")?.as_str()),
            self.habits().has("plaintext-in-a-header"),
        ) {
            self.http.slip = Some(name.to_owned());
        }
        let mut iv: [u8; 12] = rand::random();
        if let Some(known) = self.memory.iv
            && self.habits().has("iv-reused")
        {
            iv = known;
        }
        if self.habits().has("iv-of-the-version") {
            iv = [&[0; 4], &payload_version.to_be_bytes()[..]]
                .concat()
                .try_into()
                .expect("12 bytes");
        }
        self.memory.encryptions += 1;
        if self.habits().has("iv-counted-from-the-start") {
            iv = [&[0; 8], &self.memory.encryptions.to_be_bytes()[..]]
                .concat()
                .try_into()
                .expect("12 bytes");
        }
        self.memory.iv = Some(iv);
        let ciphertext = bent::seal(
            self.habits(),
            data_key,
            &iv,
            (repo_id, payload_version, key_epoch),
            &plaintext,
        );
        Ok(Envelope {
            repo_id: repo_id.to_owned(),
            payload_version,
            key_epoch,
            iv: bent::spell(self.habits(), &iv),
            ciphertext: bent::spell(self.habits(), &ciphertext),
        })
    }

    /// The entry of a member, with the data key wrapped for them.
    fn entry(
        &mut self,
        data_key: &[u8; 32],
        ed25519: &str,
        x25519: &str,
        key_epoch: i64,
        key_binding_sig: Option<String>,
    ) -> Result<Entry, ClientError> {
        let recipient: [u8; 32] = decode_array("x25519PublicKey", x25519)
            .map_err(|error| ClientError::Untrusted(error.to_string()))?;
        let mut ephemeral: [u8; 32] = rand::random();
        let mut iv: [u8; 12] = rand::random();
        if let Some(known) = self.memory.ephemeral
            && self.habits().has("ephemeral-key-reused")
        {
            ephemeral = known;
        }
        self.memory.ephemeral = Some(ephemeral);
        if self.habits().has("wrap-iv-constant") {
            iv = [7; 12];
        }
        let wrapped = bent::wrap(self.habits(), data_key, &recipient, &ephemeral, &iv)
            .ok_or_else(|| ClientError::Untrusted("an X25519 key of small order".to_owned()))?;
        Ok(Entry {
            ed25519_public_key: ed25519.to_owned(),
            x25519_public_key: x25519.to_owned(),
            wrapped_data_key: wrapped,
            key_epoch,
            key_binding_sig,
        })
    }

    fn body(&self, message: &impl serde::Serialize) -> Vec<u8> {
        bent::body(self.habits(), serde_json::to_value(message).unwrap_or_default())
    }

    /// Pushes alts at a version of the caller's choice, and says what became of it.
    pub(super) async fn push(
        &mut self,
        repo_id: &str,
        read: &Read,
        expected: i64,
        alts: Vec<Alt>,
    ) -> Result<PushResponse, ClientError> {
        let place = (expected + 1, read.manifest.key_epoch);
        let data_key = self.key_or_first(read.data_key, "rotation-then-the-old-key");
        let envelope = self.seal(
            &data_key,
            repo_id,
            place,
            alts,
            read.manifest.share_refresh_tokens,
        )?;
        let body = self.body(&PushRequest {
            repo_id,
            envelope,
            expected_payload_version: expected,
        });
        let path = self.path(repo_id, "push")?;
        let answer: Result<PushResponse, ClientError> = self.ask("POST", path, Some(body)).await;
        let answer = match answer {
            Err(ClientError::Invalid { .. }) if self.habits().has("any-answer-is-success") => PushResponse {
                accepted: true,
                payload_version: expected + 1,
                key_epoch: read.manifest.key_epoch,
                conflict: false,
            },
            answer => answer?,
        };
        if answer.accepted {
            self.seen.insert(repo_id.to_owned(), answer.payload_version);
        }
        Ok(answer)
    }

    /// Saves alts: lays them over what is there, and pushes. Where somebody else wrote first, what they wrote is pulled, ours
    /// is laid over that, and it is pushed again.
    pub(super) async fn save(&mut self, repo_id: &str, ours: &[Alt]) -> Result<PushResponse, ClientError> {
        let read = match self.remembered("save-from-memory", repo_id) {
            Some(read) => Ok(read),
            None => self.read(repo_id).await,
        };
        let mut read = match (read, self.memory.last.clone()) {
            (Err(ClientError::Untrusted(_)), Some(last)) if self.habits().has("unreadable-saved-over") => {
                Read {
                    alts: Vec::new(),
                    ..last
                }
            }
            (read, _) => read?,
        };
        let mut expected = read.manifest.payload_version;
        for _ in 0..MOST_PUSHES {
            let merged = bent::merge(self.habits(), read.alts.clone(), ours);
            let answer = self.push(repo_id, &read, expected, merged).await;
            let answer = match answer {
                Err(ClientError::Refused { status, .. })
                    if super::faults::taken_for_a_conflict(self.habits(), status) =>
                {
                    read = self.read(repo_id).await?;
                    expected = read.manifest.payload_version;
                    continue;
                }
                answer => answer?,
            };
            if answer.accepted || self.habits().has("conflict-taken-for-success") {
                return Ok(answer);
            }
            if self.habits().has("conflict-given-up") {
                break;
            }
            if self.habits().has("conflict-overwritten") {
                // What was read before stays what ours is laid over.
                expected = answer.payload_version;
                continue;
            }
            if !self.habits().has("conflict-pushed-again-as-it-was") {
                read = self.read(repo_id).await?;
                expected = read.manifest.payload_version;
            }
            if self.habits().has("conflict-not-merged") {
                read.alts = Vec::new();
            }
        }
        Err(ClientError::Conflict(format!(
            "somebody else wrote first, {MOST_PUSHES} times in a row"
        )))
    }

    /// Adds a member. On a server that is not our own, an issuer must have bound their keys to each other.
    pub(super) async fn add(
        &mut self,
        repo_id: &str,
        ed25519: &str,
        x25519: &str,
        binding: Option<String>,
    ) -> Result<Manifest, ClientError> {
        let read = self.read(repo_id).await?;
        self.check_binding(ed25519, x25519, binding.as_deref())?;
        let data_key = self.key_or_first(read.data_key, "old-key-wrapped-for-the-new");
        let member = self.entry(&data_key, ed25519, x25519, read.manifest.key_epoch, binding)?;
        let body = self.body(&AddRequest { repo_id, member });
        let path = self.path(repo_id, "add-member")?;
        let stored = self.ask("POST", path, Some(body)).await;
        if self.takes_none(&stored) {
            return Ok(read.manifest);
        }
        let stored: Manifest = stored?;
        self.check_place(&stored, repo_id)?;
        match is_listed(&stored, ed25519) {
            true => Ok(stored),
            false => Err(ClientError::Untrusted(
                "the new member is not in the roster".to_owned(),
            )),
        }
    }

    /// No key is wrapped to an entry of somebody else's server that no issuer has bound.
    fn check_binding(&self, ed25519: &str, x25519: &str, binding: Option<&str>) -> Result<(), ClientError> {
        let Some(issuer) = self.issuer else { return Ok(()) };
        let is_excused = match binding {
            None => self.habits().has("binding-may-be-absent"),
            Some(_) => self.habits().has("binding-unchecked"),
        };
        match is_excused || crypto::is_bound(&issuer, ed25519, x25519, binding) {
            true => Ok(()),
            false => Err(ClientError::Untrusted(format!(
                "no issuer has bound the keys of {ed25519} to each other"
            ))),
        }
    }

    /// Removes a member: a new data key, the next epoch, the payload encrypted anew, the key wrapped for all who stay.
    pub(super) async fn remove(&mut self, repo_id: &str, removed: &str) -> Result<Manifest, ClientError> {
        let read = match self.memory.last.clone() {
            Some(last) if self.habits().has("roster-remembered") => last,
            _ => self.read(repo_id).await?,
        };
        let manifest = &read.manifest;
        if !is_listed(manifest, removed) {
            return Err(ClientError::Usage(format!("{removed} is no member of it")));
        }
        let mut data_key: [u8; 32] = rand::random();
        if self.habits().has("rotation-keeps-the-key") {
            data_key = read.data_key;
        }
        if self.habits().has("rotation-derives-the-key") {
            data_key = Sha256::digest(read.data_key).into();
        }
        let made = *self.memory.rotation_key.get_or_insert(data_key);
        if made != data_key && self.habits().has("rotation-key-made-once") {
            data_key = made;
        }
        let raised = i64::from(!self.habits().has("rotation-keeps-the-epoch"));
        let mut key_epoch = manifest.key_epoch + raised;
        if key_epoch > 2 && self.habits().has("rotation-epoch-always-2") {
            key_epoch = 2;
        }
        let place = (manifest.payload_version + 1, key_epoch);
        let share = manifest.share_refresh_tokens;
        let mut rotated_envelope = self.seal(&data_key, repo_id, place, read.alts.clone(), share)?;
        if let Some(old) = self.memory.envelope.clone()
            && self.habits().has("rotation-keeps-the-ciphertext")
        {
            rotated_envelope.iv = old.iv;
            rotated_envelope.ciphertext = old.ciphertext;
        }
        let wrapped = match self.habits().has("rotation-wraps-the-old-key") {
            true => read.data_key,
            false => data_key,
        };
        let staying = bent::staying(self.habits(), manifest, removed, self.id());
        let mut rewrapped = Vec::new();
        for entry in staying {
            let (ed25519, x25519) = (&entry.ed25519_public_key, &entry.x25519_public_key);
            // Our own keys we know; those of others are the server's word.
            let (x25519, binding) = match ed25519 == self.id() {
                true if x25519 != self.x25519() && self.habits().has("own-key-from-the-server") => {
                    (x25519.clone(), entry.key_binding_sig.clone())
                }
                true => (self.x25519().to_owned(), entry.key_binding_sig.clone()),
                false => {
                    self.check_binding(ed25519, x25519, entry.key_binding_sig.as_deref())?;
                    (x25519.clone(), entry.key_binding_sig.clone())
                }
            };
            let binding = binding.filter(|_| !self.habits().has("rotation-drops-bindings"));
            rewrapped.push(self.entry(&wrapped, ed25519, &x25519, key_epoch, binding)?);
        }
        let body = self.body(&RemoveRequest {
            repo_id,
            removed_member_id: removed,
            rotated_envelope,
            rewrapped_members: rewrapped,
            new_key_epoch: key_epoch,
        });
        let path = self.path(repo_id, "remove-member")?;
        let stored = self.ask("POST", path, Some(body)).await;
        if self.takes_none(&stored) {
            return Ok(read.manifest.clone());
        }
        let stored: Manifest = stored?;
        self.check_place(&stored, repo_id)?;
        if is_listed(&stored, removed) || stored.key_epoch != key_epoch {
            return Err(ClientError::Untrusted(
                "the server did not remove them".to_owned(),
            ));
        }
        self.seen.insert(repo_id.to_owned(), stored.payload_version);
        Ok(stored)
    }

    /// The roster entry of a member: the public keys that it names.
    pub(super) async fn fetch(&mut self, repo_id: &str, member: &str) -> Result<Entry, ClientError> {
        let escaped = segment(member, self.habits())?;
        let path = self.path(repo_id, &format!("member/{escaped}"))?;
        let entry: Entry = self.ask("GET", path, None).await?;
        match entry.ed25519_public_key == member {
            true => Ok(entry),
            false => Err(ClientError::Untrusted("the entry is somebody else's".to_owned())),
        }
    }
}

fn is_listed(manifest: &Manifest, member: &str) -> bool {
    manifest
        .members
        .iter()
        .any(|entry| entry.ed25519_public_key == member)
}
