//! What needs the members' keys: opens what the client wrote, and follows data keys, epochs, rosters and the policy.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha512};

use super::super::alts::unshared;
use super::super::cases::{Alteration, Deed, Rule};
use super::super::marks::TELL;
use super::wire::SECRET;
use super::{Judge, answered, asked, status};
use crate::avp::crypto::{DataKey, open_payload, payload_aad};
use crate::avp::schema::{base64_violations, violations};
use crate::avp::{EncryptedEnvelope, MemberEntry, Operation};
use crate::judge::Finding;
use crate::keys::Identity;
use crate::keys::encoding::{decode, decode_array};
use crate::keys::primitives::{aes_256_gcm_open, hkdf_sha256};
use crate::record::{Exchange, Side};

/// What was written, once decrypted.
#[derive(Default)]
pub(super) struct Opened {
    /// The alts of each write that was applied, with the step that it belongs to; none where it does not open, for a reason
    /// that is found elsewhere.
    writes: Vec<(usize, Option<Vec<Value>>)>,
}

impl Opened {
    /// The alts of the last write of a step, if there was one and it opens.
    pub(super) fn last_write(&self, step: usize) -> Option<Option<&[Value]>> {
        let of_step = self.writes.iter().rev().find(|(at, _)| *at == step);
        of_step.map(|(_, alts)| alts.as_deref())
    }
}

/// The repository as the client has to see it.
#[derive(Default)]
struct Repo {
    keys: BTreeMap<i64, DataKey>,
    epoch: i64,
    roster: Vec<String>,
    /// What the manifest said that was served last: nothing, false or true. None before there was one.
    policy: Option<Option<bool>>,
    /// Whether an envelope did not open that should: the additional data is at fault, and no other rule.
    is_unreadable: bool,
    /// Whether something was written that the policy keeps back: whoever reads it again has it from there.
    has_leaked: bool,
}

/// Follows the whole case. A walk's keys nobody knows: nothing of it is opened.
pub(super) fn judge(judge: &mut Judge<'_, '_>) -> Opened {
    let mut opened = Opened::default();
    let mut repo = Repo::default();
    if !judge
        .exchanges
        .iter()
        .any(|exchange| exchange.request.method == TELL)
    {
        return opened;
    }
    let exchanges = judge.exchanges;
    for (at, exchange) in exchanges.iter().enumerate() {
        if exchange.side != Side::Answered {
            continue;
        }
        // What is no message is found elsewhere, and nobody can open it.
        let written = match Operation::of(exchange).filter(|_| is_message(exchange)) {
            Some(Operation::CreateRepo) => Some(create(judge, &mut repo, at, exchange)),
            Some(Operation::Push) => Some(push(judge, &mut repo, at, exchange)),
            Some(Operation::AddMember) => {
                add(judge, &repo, at, exchange);
                None
            }
            Some(Operation::RemoveMember) => Some(remove(judge, &mut repo, at, exchange)),
            _ => None,
        };
        if let Some(alts) = &written.as_ref().and_then(Option::as_ref) {
            policy(judge, &mut repo, at, exchange, alts);
        }
        let is_applied = status(exchange) == 200 && answered(exchange)["conflict"] != true;
        if let (Some(alts), Some(step), true) = (written, exchange.step, is_applied) {
            opened.writes.push((step, alts));
        }
        learn(&mut repo, exchange);
    }
    opened
}

/// Whether a request is the message of its operation, its base64 included.
fn is_message(exchange: &Exchange) -> bool {
    let Some(message) = Operation::of(exchange).and_then(Operation::request_message) else {
        return true;
    };
    let body = asked(exchange);
    violations(message, &body).is_empty() && base64_violations(message, &body).is_empty()
}

/// What an answer tells the client.
fn learn(repo: &mut Repo, exchange: &Exchange) {
    if status(exchange) != 200 {
        return;
    }
    let body = answered(exchange);
    let manifest = body.get("manifest").unwrap_or(&body);
    let Some(members) = manifest["members"].as_array() else {
        return;
    };
    let member = |entry: &Value| entry["ed25519PublicKey"].as_str().map(str::to_owned);
    repo.roster = members.iter().filter_map(member).collect();
    repo.policy = Some(manifest["shareRefreshTokens"].as_bool());
    if let Some(epoch) = manifest["keyEpoch"].as_i64() {
        repo.epoch = epoch;
    }
}

const WRAPPED: &str = "the data key is wrapped exactly as the scheme says";
const SEALED: &str = "the envelope opens with the data key, bound to its repository, version and epoch";
const AFTERWARDS: &str = "after a removal all is written under the new data key";
const ROTATED: &str =
    "a new data key, a higher epoch, the payload encrypted anew, the key wrapped for exactly those who stay";

fn entry(value: &Value) -> Option<MemberEntry> {
    serde_json::from_value(value.clone()).ok()
}

fn holder<'a>(judge: &'a Judge<'_, '_>, entry: &MemberEntry) -> Option<&'a Identity> {
    judge
        .members
        .values()
        .find(|member| member.member_id() == entry.ed25519_public_key)
}

/// Opens an envelope, and notes whether it does.
fn open(
    judge: &mut Judge<'_, '_>,
    repo: &mut Repo,
    at: usize,
    envelope: &Value,
    key: &DataKey,
) -> Option<Vec<Value>> {
    let envelope: EncryptedEnvelope = serde_json::from_value(envelope.clone()).ok()?;
    match open_payload(key, &envelope) {
        Ok(plaintext) => {
            judge.note("envelope", "AVP-4-20", SEALED, at, Finding::Holds);
            let payload: Value = serde_json::from_slice(&plaintext).unwrap_or_default();
            payload["alts"].as_array().cloned()
        }
        Err(why) => {
            repo.is_unreadable = true;
            // What is no ciphertext at all is looked at where secrets are.
            if !is_readable(&envelope) {
                let got = match other_layout(key, &envelope) {
                    Some(how) => format!("it opens {how}, and not as it should"),
                    None => format!("it does not open: {why}"),
                };
                let got = Finding::broken(got);
                judge.note("envelope", "AVP-4-20", SEALED, at, got);
            }
            None
        }
    }
}

/// How an envelope opens that does not open as it should, where it is one of the plainest mistakes.
fn other_layout(key: &DataKey, envelope: &EncryptedEnvelope) -> Option<&'static str> {
    let iv: [u8; 12] = decode_array("iv", &envelope.iv).ok()?;
    let ciphertext = decode("ciphertext", &envelope.ciphertext).ok()?;
    let opens =
        |aad: &[u8], ciphertext: &[u8]| aes_256_gcm_open(key.as_bytes(), &iv, aad, ciphertext).is_some();
    let (repo, version, epoch) = (&envelope.repo_id, envelope.payload_version, envelope.key_epoch);
    let id = repo.as_bytes();
    let (big, little) = (i64::to_be_bytes, i64::to_le_bytes);
    let layouts: [(&str, Vec<u8>); 9] = [
        ("without additional data", Vec::new()),
        (
            "with additional data without the epoch",
            [id, &[0x1F], &big(version)].concat(),
        ),
        (
            "with additional data without the version",
            [id, &[0x1F], &big(epoch)].concat(),
        ),
        (
            "with additional data without the repository's id",
            [&[0x1F][..], &big(version), &big(epoch)].concat(),
        ),
        (
            "with additional data without the separator 0x1F",
            [id, &big(version), &big(epoch)].concat(),
        ),
        (
            "with little-endian numbers in its additional data",
            [id, &[0x1F], &little(version), &little(epoch)].concat(),
        ),
        (
            "with numbers of 32 bits in its additional data",
            [id, &[0x1F], &big(version)[4..], &big(epoch)[4..]].concat(),
        ),
        (
            "with the epoch before the version in its additional data",
            [id, &[0x1F], &big(epoch), &big(version)].concat(),
        ),
        (
            "with decimal numbers in its additional data",
            format!("{repo}\u{1f}{version}\u{1f}{epoch}").into_bytes(),
        ),
    ];
    let other = layouts.iter().find(|(_, aad)| opens(aad, &ciphertext));
    let tag_first = || {
        let (tag, rest) = ciphertext.split_at_checked(16)?;
        let aad = payload_aad(repo, version, epoch);
        opens(&aad, &[rest, tag].concat()).then_some("with its tag moved behind the ciphertext")
    };
    other.map(|(how, _)| *how).or_else(tag_first)
}

/// Whether a ciphertext is text.
fn is_readable(envelope: &EncryptedEnvelope) -> bool {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(&envelope.ciphertext);
    bytes.is_ok_and(|bytes| std::str::from_utf8(&bytes).is_ok())
}

fn create(judge: &mut Judge<'_, '_>, repo: &mut Repo, at: usize, exchange: &Exchange) -> Option<Vec<Value>> {
    let body = asked(exchange);
    let own = entry(&body["manifest"]["members"][0])?;
    let epoch = body["manifest"]["keyEpoch"].as_i64()?;
    if body["manifest"]["shareRefreshTokens"] == true && !was_told_to_share(judge, exchange) {
        let expected = "a repository shares refresh tokens where its creator says so, and else none";
        let got = Finding::broken("shareRefreshTokens is true, and nobody said so");
        judge.note("policy", "AVP-5.1-20", expected, at, got);
    }
    let key = unwrap(judge, at, &own)?;
    if let Some(what) = known_to_the_server(&key, &body) {
        let got = Finding::broken(format!("the data key is {what}: the server works it out"));
        judge.note("secrets", "AVP-10-20", SECRET, at, got);
    }
    repo.keys.insert(epoch, key.clone());
    repo.policy = Some(body["manifest"]["shareRefreshTokens"].as_bool());
    repo.epoch = epoch;
    open(judge, repo, at, &body["initialEnvelope"], &key)
}

/// Whether the command that led to a request says that refresh tokens are shared.
fn was_told_to_share(judge: &Judge<'_, '_>, exchange: &Exchange) -> bool {
    let commands = judge
        .exchanges
        .iter()
        .filter(|it| it.step == exchange.step && it.request.method == TELL);
    commands
        .map(asked)
        .any(|command| command.pointer("/do/create/shareRefreshTokens") == Some(&Value::Bool(true)))
}

/// The data key of an entry, and a note whether it is wrapped as it has to be.
fn unwrap(judge: &mut Judge<'_, '_>, at: usize, entry: &MemberEntry) -> Option<DataKey> {
    let holder = holder(judge, entry)?;
    if holder.x25519_public_key() != entry.x25519_public_key {
        return None;
    }
    match holder.unwrap_key(&entry.wrapped_data_key) {
        Ok(key) => {
            judge.note("wrapped key", "AVP-4-21", WRAPPED, at, Finding::Holds);
            Some(DataKey::from_bytes(key))
        }
        Err(why) => {
            let got = Finding::broken(format!("it does not unwrap: {why}"));
            judge.note("wrapped key", "AVP-4-21", WRAPPED, at, got);
            None
        }
    }
}

fn push(judge: &mut Judge<'_, '_>, repo: &mut Repo, at: usize, exchange: &Exchange) -> Option<Vec<Value>> {
    let body = asked(exchange);
    let envelope: EncryptedEnvelope = serde_json::from_value(body["envelope"].clone()).ok()?;
    let epoch = envelope.key_epoch;
    let key = repo.keys.get(&epoch)?.clone();
    if repo.keys.len() > 1 {
        let is_under = |key: &DataKey| open_payload(key, &envelope).is_ok();
        let is_applied = status(exchange) == 200 && answered(exchange)["accepted"] == true;
        let is_old = if epoch < repo.epoch {
            is_applied
        } else {
            !is_under(&key) && repo.keys.range(..epoch).any(|(_, key)| is_under(key))
        };
        let finding = match is_old {
            true => Finding::broken("the envelope is under the data key from before the removal"),
            false if is_under(&key) => Finding::Holds,
            false if repo.keys.get(&repo.epoch).is_some_and(is_under) => {
                let now = repo.epoch;
                Finding::broken(format!(
                    "the envelope says epoch {epoch}, and is under the data key of epoch {now}"
                ))
            }
            // It opens with no key: the additional data is at fault.
            false => return open(judge, repo, at, &body["envelope"], &key),
        };
        judge.note("rotation", "AVP-6-33", AFTERWARDS, at, finding);
        if is_old {
            return None;
        }
    }
    open(judge, repo, at, &body["envelope"], &key)
}

fn add(judge: &mut Judge<'_, '_>, repo: &Repo, at: usize, exchange: &Exchange) {
    let body = asked(exchange);
    let Some(entry) = entry(&body["member"]) else {
        return;
    };
    let Some(key) = unwrap(judge, at, &entry) else {
        return;
    };
    let current = repo.keys.get(&repo.epoch);
    if current.is_some_and(|current| *current != key) {
        let got = Finding::broken("another key than that of the repository is wrapped");
        judge.note("wrapped key", "AVP-4-21", WRAPPED, at, got);
    }
}

fn remove(judge: &mut Judge<'_, '_>, repo: &mut Repo, at: usize, exchange: &Exchange) -> Option<Vec<Value>> {
    let body = asked(exchange);
    let removed = body["removedMemberId"].as_str().unwrap_or_default();
    let entries: Vec<MemberEntry> = body["rewrappedMembers"]
        .as_array()?
        .iter()
        .filter_map(entry)
        .collect();
    let epoch = body["newKeyEpoch"].as_i64()?;
    let broken = |judge: &mut Judge<'_, '_>, got: &str| {
        judge.note("rotation", "AVP-6-33", ROTATED, at, Finding::broken(got));
    };
    let mut staying: Vec<&str> = repo
        .roster
        .iter()
        .map(String::as_str)
        .filter(|id| *id != removed)
        .collect();
    let mut rewrapped: Vec<&str> = entries
        .iter()
        .map(|entry| entry.ed25519_public_key.as_str())
        .collect();
    staying.sort_unstable();
    rewrapped.sort_unstable();
    let mut is_good = true;
    let is_forged = exchange
        .step
        .is_some_and(|step| swaps_keys(&judge.case.steps[step].server));
    if staying != rewrapped && !is_forged {
        is_good = false;
        let got = match rewrapped.contains(&removed) {
            true => "the new key is wrapped for the one who is removed",
            false => "the new key is not wrapped for exactly those who stay",
        };
        broken(judge, got);
    }
    if epoch <= repo.epoch {
        is_good = false;
        broken(judge, &format!("the epoch goes from {} to {epoch}", repo.epoch));
    }
    let mut key = None;
    for entry in &entries {
        let unwrapped = unwrap(judge, at, entry)?;
        if key.as_ref().is_some_and(|known| *known != unwrapped) {
            is_good = false;
            broken(judge, "members are wrapped different keys");
        }
        key = Some(unwrapped);
    }
    let key = key?;
    if repo.keys.values().any(|old| *old == key) {
        is_good = false;
        broken(judge, "the data key is one from before");
    }
    if let Some(how) = repo.keys.values().find_map(|old| derivation(old, &key)) {
        is_good = false;
        broken(
            judge,
            &format!("the data key is {how} of one from before, which whoever was removed has"),
        );
    }
    if status(exchange) == 200 {
        repo.keys.insert(epoch, key.clone());
    }
    let envelope: EncryptedEnvelope = serde_json::from_value(body["rotatedEnvelope"].clone()).ok()?;
    match open_payload(&key, &envelope) {
        Ok(plaintext) => {
            if is_good {
                judge.note("rotation", "AVP-6-33", ROTATED, at, Finding::Holds);
            }
            let payload: Value = serde_json::from_slice(&plaintext).unwrap_or_default();
            payload["alts"].as_array().cloned()
        }
        Err(_) if repo.is_unreadable => None,
        Err(_) if is_bound_to_the_past(&key, &envelope, repo.epoch) => {
            let got = Finding::broken("it is bound to the version or the epoch from before the removal");
            judge.note("envelope", "AVP-4-20", SEALED, at, got);
            None
        }
        Err(_) => {
            if is_good {
                let got = "the rotated envelope does not open with the key that is wrapped";
                judge.note("rotation", "AVP-6-33", ROTATED, at, Finding::broken(got));
            }
            None
        }
    }
}

/// What a data key is that is no secret, of what the server is told: nothing but zeros, or the SHA-256 of an id.
fn known_to_the_server(key: &DataKey, create: &Value) -> Option<&'static str> {
    let told = |pointer: &str| {
        let text = create
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default();
        Sha256::digest(text) == *key.as_bytes()
    };
    match key.as_bytes() {
        [0, rest @ ..] if rest.iter().all(|byte| *byte == 0) => Some("nothing but zeros"),
        _ if told("/manifest/repoId") => Some("the SHA-256 of the repository's id"),
        _ if told("/manifest/members/0/ed25519PublicKey") => Some("the SHA-256 of the creator's id"),
        _ => None,
    }
}

/// How a data key was worked out from an old one, where that is plain to see.
fn derivation(old: &DataKey, new: &DataKey) -> Option<&'static str> {
    let (old, new) = (old.as_bytes(), new.as_bytes());
    let half = &Sha512::digest(old)[..32];
    [
        ("the SHA-256", &Sha256::digest(old)[..]),
        ("half of the SHA-512", half),
        (
            "the HKDF-SHA256, without salt and info,",
            &hkdf_sha256::<32>(old, &[], &[]),
        ),
    ]
    .into_iter()
    .find_map(|(how, made)| (made == new).then_some(how))
}

/// Whether an envelope opens under the version or the epoch that was there before.
fn is_bound_to_the_past(key: &DataKey, envelope: &EncryptedEnvelope, old_epoch: i64) -> bool {
    let under = |payload_version: i64, key_epoch: i64| {
        let other = EncryptedEnvelope {
            payload_version,
            key_epoch,
            ..envelope.clone()
        };
        open_payload(key, &other).is_ok()
    };
    let (version, epoch) = (envelope.payload_version, envelope.key_epoch);
    under(version - 1, epoch) || under(version, old_epoch) || under(version - 1, old_epoch)
}

fn swaps_keys(rules: &[Rule]) -> bool {
    let swaps = |rule: &Rule| {
        matches!(
            rule.deed,
            Deed::Alter(
                Alteration::KeySwapped
                    | Alteration::KeySwappedUnbound
                    | Alteration::OwnKeySwapped
                    | Alteration::KeyWeak
            )
        )
    };
    rules.iter().any(swaps)
}

/// What is not shared is not written: neither what the client was given, nor what it has read.
fn policy(judge: &mut Judge<'_, '_>, repo: &mut Repo, at: usize, exchange: &Exchange, alts: &[Value]) {
    let told = match repo.policy {
        Some(Some(true)) | None => return,
        Some(told) => told,
    };
    let given = given(judge, exchange);
    let had = |uuid: &Value| {
        let found = given.iter().find(|alt| alt.get("uuid") == Some(uuid));
        found.map(|alt| alt.contains_key("refreshToken"))
    };
    // Whoever writes what it was given takes no policy for what it is: that it keeps what it reads follows from that.
    let leaks = |alt: &Value| unshared(alt).is_some();
    let follows = repo.has_leaked || alts.iter().any(|alt| leaks(alt) && had(&alt["uuid"]).is_some());
    repo.has_leaked |= alts.iter().any(leaks);
    for alt in alts {
        let own = had(&alt["uuid"]);
        let requirement = match (own, told) {
            (None, _) => "AVP-5.1-22",
            (Some(_), None) => "AVP-5.1-20",
            (Some(_), Some(_)) => "AVP-5.1-21",
        };
        let expected = match requirement {
            "AVP-5.1-22" => "what was read of refresh tokens that are not shared is written by nobody",
            "AVP-5.1-20" => "an absent policy shares no refresh tokens",
            _ => "under a policy that is not true, refreshToken and expiresAt are left out",
        };
        let finding = match (unshared(alt), own) {
            (Some(_), None) if follows => continue,
            (Some(name), _) => Finding::broken(format!("{name} is in what was written")),
            // There was nothing to strip.
            (None, Some(false)) => continue,
            (None, None) if !is_planted(judge, exchange) => continue,
            (None, _) => Finding::Holds,
        };
        judge.note("policy", requirement, expected, at, finding);
        if requirement == "AVP-5.1-20" {
            let expected = "under a policy that is not true, refreshToken and expiresAt are left out";
            if unshared(alt).is_none() {
                judge.note("policy", "AVP-5.1-21", expected, at, Finding::Holds);
            }
        }
    }
}

/// The alts that the client was given up to a step.
fn given(judge: &Judge<'_, '_>, exchange: &Exchange) -> Vec<Map<String, Value>> {
    let commands = judge
        .exchanges
        .iter()
        .filter(|it| it.step == exchange.step && it.request.method == TELL);
    let mut given = Vec::new();
    for command in commands.map(asked) {
        for pointer in ["/do/create/alts", "/do/save/alts"] {
            let alts = command.pointer(pointer).and_then(Value::as_array);
            given.extend(
                alts.into_iter()
                    .flatten()
                    .filter_map(|alt| alt.as_object().cloned()),
            );
        }
    }
    given
}

/// Whether the harness wrote alts with refresh tokens before: then there was something to strip.
fn is_planted(judge: &Judge<'_, '_>, exchange: &Exchange) -> bool {
    let step = exchange.step.unwrap_or_default();
    let before = &judge.case.steps[..=step.min(judge.case.steps.len() - 1)];
    let has_tokens = |names: &[String]| {
        let has_none = |name: &String| name.ends_with(":bare") || name.ends_with(":nulls");
        names.iter().any(|name| !has_none(name))
    };
    before.iter().any(|step| match &step.act {
        super::Act::Plant(names) => has_tokens(names),
        _ => false,
    })
}
