//! What the harness writes as a member, and how it alters what a client reads. It knows the members' keys.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use serde_json::{Value, json};

use super::alts;
use super::cases::{Alteration, WeakKey};
use super::marks::{INTRUDER, weak_key};
use crate::avp::crypto::{DataKey, open_payload, seal_payload};
use crate::avp::server::{Answered, Inside};
use crate::avp::{EncryptedEnvelope, Operation, VaultManifest, WrappedKey};
use crate::keys::encoding::{encode, flipped};
use crate::keys::primitives::aes_256_gcm_seal;
use crate::keys::{Identity, Seed};

/// The members of a case, as the harness plays them.
pub(super) struct Forger {
    seed: Seed,
    scope: String,
    mark: String,
    members: BTreeMap<String, Identity>,
    /// Tokens in another form, and what they stand for.
    aliases: Mutex<BTreeMap<String, String>>,
}

/// What the harness writes as a member.
#[derive(Clone, Copy)]
pub(super) enum Written<'a> {
    /// The alts of these names, at the next version.
    Alts(&'a [String]),
    /// What is there, at this version.
    Again(i64),
}

impl Forger {
    /// A forger that knows these members.
    pub(super) fn new(seed: Seed, scope: &str, members: BTreeMap<String, Identity>) -> Forger {
        Forger {
            seed,
            scope: scope.to_owned(),
            mark: alts::mark(&seed, scope),
            members,
            aliases: Mutex::default(),
        }
    }

    /// The data key that a manifest holds for somebody whom we know.
    fn data_key(&self, manifest: &VaultManifest) -> Option<DataKey> {
        manifest.members.iter().find_map(|entry| {
            let known = self
                .members
                .values()
                .find(|member| member.member_id() == entry.ed25519_public_key)?;
            known
                .unwrap_key(&entry.wrapped_data_key)
                .ok()
                .map(DataKey::from_bytes)
        })
    }

    fn ask(
        inside: &Inside,
        token: Option<&str>,
        operation: Operation,
        repo: &str,
        body: &Value,
    ) -> Option<Value> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            headers.insert("authorization", format!("Bearer {token}").parse().ok()?);
        }
        let path = operation.path(repo, "");
        let answered = inside.answer("POST", &path, &headers, body.to_string().into_bytes());
        (answered.status == 200).then(|| serde_json::from_slice(&answered.body).ok())?
    }

    /// Logs in and writes as a member: alts at the next version, or what is there at a version of the case's choice. The error is
    /// one sentence.
    pub(super) fn write(
        &self,
        inside: &Inside,
        member: &str,
        repo: &str,
        what: Written<'_>,
    ) -> Result<(), String> {
        let known = self
            .members
            .get(member)
            .ok_or_else(|| format!("nobody is called {member}"))?;
        let id = known.member_id();
        let challenge = json!({ "ed25519PublicKey": id });
        let challenge =
            Self::ask(inside, None, Operation::Challenge, "", &challenge).ok_or("no challenge")?;
        let nonce = challenge["nonce"].as_str().unwrap_or_default();
        let bytes = STANDARD.decode(nonce).map_err(|error| error.to_string())?;
        let signature = encode(&known.sign(&bytes));
        let login = json!({ "ed25519PublicKey": id, "nonce": nonce, "signature": signature });
        let token = Self::ask(inside, None, Operation::Token, "", &login).ok_or("no token")?;
        let token = token["token"].as_str().unwrap_or_default();
        let pull = json!({ "repoId": repo, "knownPayloadVersion": 0 });
        let pulled = Self::ask(inside, Some(token), Operation::Pull, repo, &pull).ok_or("no pull")?;
        let manifest: VaultManifest =
            serde_json::from_value(pulled["manifest"].clone()).map_err(|error| error.to_string())?;
        let key = self
            .data_key(&manifest)
            .ok_or("the wrapped data key does not open")?;
        let (alts, version) = match what {
            Written::Alts(names) => (json!(alts::alts(&self.mark, names)), manifest.payload_version + 1),
            Written::Again(version) => {
                let envelope: EncryptedEnvelope =
                    serde_json::from_value(pulled["envelope"].clone()).map_err(|error| error.to_string())?;
                let plaintext = open_payload(&key, &envelope).map_err(|error| error.to_string())?;
                let payload: Value = serde_json::from_slice(&plaintext).map_err(|error| error.to_string())?;
                (payload["alts"].clone(), version)
            }
        };
        let plaintext = json!({ "alts": alts, "payloadVersion": version }).to_string();
        let iv = self.iv(&["write", member, &version.to_string()]);
        let envelope = seal_payload(&key, repo, version, manifest.key_epoch, &iv, plaintext.as_bytes());
        let push = json!({
            "repoId": repo, "envelope": envelope, "expectedPayloadVersion": manifest.payload_version,
        });
        let pushed = Self::ask(inside, Some(token), Operation::Push, repo, &push).ok_or("no push")?;
        match pushed["accepted"].as_bool() {
            Some(true) => Ok(()),
            _ => Err("the push was a conflict".to_owned()),
        }
    }

    fn iv(&self, labels: &[&str]) -> [u8; 12] {
        let all: Vec<&str> = [&self.scope, "forged"]
            .into_iter()
            .chain(labels.iter().copied())
            .collect();
        self.seed.derive_iv(&all)
    }

    /// Alters an answer. Whether there was anything to alter.
    pub(super) fn alter(&self, how: Alteration, answered: &mut Answered) -> bool {
        if answered.status != 200 {
            return false;
        }
        let Ok(mut body) = serde_json::from_slice::<Value>(&answered.body) else {
            return false;
        };
        let done = self.alter_body(how, &mut body).is_some();
        if done {
            answered.body = body.to_string().into_bytes();
        }
        done
    }

    /// Gives a token another form: a JWT with claims that nobody knows. It is taken for the first one from then on.
    fn jwt(&self, body: &mut Value) -> Option<()> {
        let token = body["token"].as_str()?.to_owned();
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({
            "sub": "key:member", "kind": "keypair", "exp": body["expiresAt"].as_i64()? / 1000,
            "tier": "gold", "features": { "later": [1, 2] },
        });
        let signature = URL_SAFE_NO_PAD.encode(self.seed.derive(&[&self.scope, "jwt", &token]));
        let head = part(json!({ "alg": "EdDSA", "typ": "JWT" }));
        let other = format!("{head}.{}.{signature}{signature}", part(claims));
        body["token"] = other.as_str().into();
        let mut aliases = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        aliases.insert(other, token);
        Some(())
    }

    /// The server's own token behind one that it was given another form of.
    pub(super) fn own_token(&self, token: &str) -> Option<String> {
        let aliases = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        aliases.get(token).cloned()
    }

    fn alter_body(&self, how: Alteration, body: &mut Value) -> Option<()> {
        let at_manifest = if body.get("manifest").is_some() {
            "/manifest"
        } else {
            ""
        };
        match how {
            Alteration::EnvelopeNull => body["unchanged"]
                .as_bool()?
                .then(|| body["envelope"] = Value::Null),
            Alteration::EnvelopeAbsent => {
                let is_unchanged = body["unchanged"].as_bool()?;
                body.as_object_mut()?.shift_remove("envelope");
                is_unchanged.then_some(())
            }
            Alteration::PolicyAbsent => {
                let manifest = body.pointer_mut(at_manifest)?.as_object_mut()?;
                manifest.shift_remove("shareRefreshTokens");
                Some(())
            }
            Alteration::PolicyFalse => {
                body.pointer_mut(at_manifest)?["shareRefreshTokens"] = false.into();
                Some(())
            }
            Alteration::PolicyNull => {
                body.pointer_mut(at_manifest)?["shareRefreshTokens"] = Value::Null;
                Some(())
            }
            Alteration::PolicyText => {
                body.pointer_mut(at_manifest)?["shareRefreshTokens"] = "true".into();
                Some(())
            }
            Alteration::OwnKeySwapped => {
                let own = body
                    .pointer_mut(at_manifest)?
                    .pointer_mut("/members/0/x25519PublicKey")?;
                *own = self.members.get(INTRUDER)?.x25519_public_key().into();
                Some(())
            }
            Alteration::KeySwapped | Alteration::KeySwappedUnbound | Alteration::KeyWeak => {
                self.swap_keys(how, body.pointer_mut(at_manifest)?)
            }
            Alteration::Ciphertext => flip(body, "/envelope/ciphertext", 5),
            Alteration::Tag => flip(body, "/envelope/ciphertext", usize::MAX),
            Alteration::Iv => flip(body, "/envelope/iv", 3),
            Alteration::WrappedKey => {
                self.each_entry(body, |entry| flip(entry, "/wrappedDataKey/ciphertext", 5))
            }
            Alteration::WrappedTag => self.each_entry(body, |entry| {
                flip(entry, "/wrappedDataKey/ciphertext", usize::MAX)
            }),
            Alteration::EphemeralKey => {
                self.each_entry(body, |entry| flip(entry, "/wrappedDataKey/ephemeralPublicKey", 9))
            }
            Alteration::OtherWrappedKey => swap_wrapped_keys(body),
            Alteration::Version => add(body, &["/manifest/payloadVersion", "/envelope/payloadVersion"]),
            Alteration::Epoch => add(body, &["/manifest/keyEpoch", "/envelope/keyEpoch"]),
            Alteration::Repository
            | Alteration::OtherEnvelope
            | Alteration::OtherRepository
            | Alteration::OlderVersion
            | Alteration::Unbound => self.reseal(how, body),
            Alteration::JwtToken => self.jwt(body),
        }
    }

    fn each_entry(&self, body: &mut Value, change: impl Fn(&mut Value) -> Option<()>) -> Option<()> {
        let entries = body.pointer_mut("/manifest/members")?.as_array_mut()?;
        entries.iter_mut().try_for_each(change)
    }

    /// Puts another ciphertext in the place of the served one: of the same plaintext under the same key, made for another
    /// repository or version, or for none.
    fn reseal(&self, how: Alteration, body: &mut Value) -> Option<()> {
        let manifest: VaultManifest = serde_json::from_value(body["manifest"].clone()).ok()?;
        let envelope: EncryptedEnvelope = serde_json::from_value(body["envelope"].clone()).ok()?;
        let key = self.data_key(&manifest)?;
        let plaintext = open_payload(&key, &envelope).ok()?;
        let iv = self.iv(&["reseal"]);
        let (repo, version) = match how {
            Alteration::Unbound => (envelope.repo_id.clone(), envelope.payload_version),
            Alteration::OlderVersion => (envelope.repo_id.clone(), envelope.payload_version - 1),
            _ => (format!("{}-other", envelope.repo_id), envelope.payload_version),
        };
        let other = seal_payload(&key, &repo, version, envelope.key_epoch, &iv, &plaintext);
        body["envelope"]["iv"] = other.iv.into();
        body["envelope"]["ciphertext"] = match how {
            Alteration::Unbound => encode(&aes_256_gcm_seal(key.as_bytes(), &iv, &[], &plaintext)).into(),
            _ => other.ciphertext.into(),
        };
        if matches!(how, Alteration::OtherEnvelope | Alteration::OtherRepository) {
            body["envelope"]["repoId"] = repo.as_str().into();
        }
        if how == Alteration::OtherRepository {
            body["manifest"]["repoId"] = repo.into();
        }
        Some(())
    }

    /// Puts another X25519 key under the name of every member but the first.
    fn swap_keys(&self, how: Alteration, manifest: &mut Value) -> Option<()> {
        let key = match how {
            Alteration::KeyWeak => weak_key(WeakKey::Zero),
            _ => self.members.get(INTRUDER)?.x25519_public_key().to_owned(),
        };
        let entries = manifest["members"].as_array_mut()?;
        let others: Vec<&mut Value> = entries.iter_mut().skip(1).collect();
        if others.is_empty() {
            return None;
        }
        for entry in others {
            entry["x25519PublicKey"] = key.as_str().into();
            if how == Alteration::KeySwappedUnbound {
                entry.as_object_mut()?.shift_remove("keyBindingSig");
            }
        }
        Some(())
    }
}

/// Flips a bit of a base64 value; the last one where there are fewer.
fn flip(body: &mut Value, pointer: &str, bit: usize) -> Option<()> {
    let value = body.pointer_mut(pointer)?;
    let text = value.as_str()?;
    let bits = STANDARD.decode(text).ok()?.len() * 8;
    *value = flipped(text, bit.min(bits.checked_sub(1)?)).into();
    Some(())
}

fn add(body: &mut Value, pointers: &[&str]) -> Option<()> {
    for pointer in pointers {
        let value = body.pointer_mut(pointer)?;
        *value = (value.as_i64()? + 1).into();
    }
    Some(())
}

/// Each member's wrapped key goes to the next.
fn swap_wrapped_keys(body: &mut Value) -> Option<()> {
    let entries = body.pointer_mut("/manifest/members")?.as_array_mut()?;
    let keys: Vec<WrappedKey> = entries
        .iter()
        .map(|entry| serde_json::from_value(entry["wrappedDataKey"].clone()).ok())
        .collect::<Option<_>>()?;
    if keys.len() < 2 {
        return None;
    }
    for (at, entry) in entries.iter_mut().enumerate() {
        entry["wrappedDataKey"] = serde_json::to_value(&keys[(at + 1) % keys.len()]).ok()?;
    }
    Some(())
}
