//! Builds the valid request of an action: real keys, real wrapped keys, real ciphertexts.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::world::World;
use crate::avp::cases::model::{AddMember, Create, Push, RemoveMember};
use crate::avp::cases::{Action, Counter};
use crate::avp::repo_state::{RepoState, member_id};
use crate::avp::{DEFAULT_SCHEME, EncryptedEnvelope, MemberEntry, crypto};
use crate::keys::Identity;

/// The body of a vault operation by `actor` on the repository called `repo`; `None` where the route takes none.
/// Auth operations are built elsewhere: they need a nonce of the target's.
pub(super) fn body(world: &mut World<'_>, actor: &str, repo: &str, action: Action<'_>) -> Option<Arc<Value>> {
    match action {
        Action::Create(create) => Some(create_repo(world, actor, repo, create)),
        Action::Pull(pull) => {
            let known = pull
                .known
                .unwrap_or(Counter::Current(0))
                .resolve(current(world, repo).0);
            let id = &world.ensure_repo(repo).id;
            Some(json!({ "repoId": id, "knownPayloadVersion": known }).into())
        }
        Action::Push(push) => Some(push_request(world, actor, repo, push)),
        Action::AddMember(add) => Some(add_request(world, repo, add)),
        Action::RemoveMember(remove) => Some(remove_request(world, repo, remove)),
        _ => None,
    }
}

/// Version of a repository and epoch of its data key; those of a fresh one where it does not exist. A target may leave its
/// own epoch as it is when a push brings a new key: envelope and roster tell then which epoch that is.
fn current(world: &World<'_>, repo: &str) -> (i64, i64) {
    world.stored(repo).map_or((1, 1), |stored| {
        let envelope = stored.envelope["keyEpoch"].as_i64().unwrap_or(stored.epoch);
        let of_all = |entry: &Arc<Value>| entry["keyEpoch"].as_i64() == Some(envelope);
        let rotated = envelope > stored.epoch && stored.members.iter().all(of_all);
        (stored.version, if rotated { envelope } else { stored.epoch })
    })
}

fn create_repo(world: &mut World<'_>, actor: &str, repo: &str, create: &Create) -> Arc<Value> {
    // Who looks for a repository that is not there yet would make up its id.
    if create.again
        && let Some(first) = world.ensure_repo(repo).creation.clone()
    {
        return first;
    }
    let (version, epoch) = (create.version.unwrap_or(1), create.epoch.unwrap_or(1));
    let style = create.clone();
    let id = world.repo(repo, &style).id.clone();
    let scheme = style.scheme.as_deref().unwrap_or(DEFAULT_SCHEME);
    let members = create.members.clone().unwrap_or_else(|| vec![actor.to_owned()]);
    let entries: Vec<MemberEntry> = members
        .iter()
        .map(|name| entry(world, name, repo, epoch, Wrapping::of(&style)))
        .collect();
    let mut manifest = json!({
        "repoId": id,
        "schemeId": scheme,
        "keyEpoch": epoch,
        "payloadVersion": version,
        "members": entries,
    });
    let policy = create
        .share_refresh_tokens
        .filter(|_| world.spec >= crate::avp::V0_4);
    if let Some(policy) = policy {
        manifest["shareRefreshTokens"] = policy.into();
    }
    let envelope = envelope(world, repo, version, epoch, create.ciphertext);
    let request: Arc<Value> = json!({ "manifest": manifest, "initialEnvelope": envelope }).into();
    world
        .ensure_repo(repo)
        .creation
        .get_or_insert_with(|| Arc::clone(&request));
    request
}

fn push_request(world: &mut World<'_>, actor: &str, repo: &str, push: &Push) -> Arc<Value> {
    let last = world.ensure_repo(repo).last_pushes.get(actor).cloned();
    if let (true, Some(last)) = (push.again, last) {
        return last;
    }
    let (version, epoch) = current(world, repo);
    let wrapping = Wrapping::of(&world.ensure_repo(repo).style);
    let epoch = push.epoch.unwrap_or(Counter::Current(0)).resolve(epoch);
    let expected = push.expected.unwrap_or(Counter::Current(0)).resolve(version);
    let target = push
        .version
        .map_or(expected.saturating_add(1), |count| count.resolve(version));
    let mut request = json!({
        "repoId": world.ensure_repo(repo).id,
        "envelope": envelope(world, repo, target, epoch, push.ciphertext),
        "expectedPayloadVersion": expected,
    });
    if let Some(roster) = &push.rotate {
        // Whose name begins so is not asked what it sees: it would have to log in.
        let more = (roster.len()..push.crowd.unwrap_or(0)).map(|at| format!("new-{at}"));
        let roster: Vec<String> = roster.iter().cloned().chain(more).collect();
        let entries: Vec<MemberEntry> = roster
            .iter()
            .map(|name| entry(world, name, repo, epoch, wrapping.clone()))
            .collect();
        request["rotatedMembers"] = json!(entries);
    }
    let request = Arc::new(request);
    let pushes = &mut world.ensure_repo(repo).last_pushes;
    pushes.insert(actor.to_owned(), Arc::clone(&request));
    request
}

fn add_request(world: &mut World<'_>, repo: &str, add: &AddMember) -> Arc<Value> {
    if let (true, Some(last)) = (add.again, world.ensure_repo(repo).last_addition.clone()) {
        return last;
    }
    let epoch = current(world, repo).1;
    let id = world.ensure_repo(repo).id.clone();
    let name = &add.member;
    let known_id = world.member_id(name);
    let known = world
        .stored(repo)
        .and_then(|stored| stored.member(&known_id))
        .cloned();
    if let (true, Some(known)) = (add.same_entry, known) {
        return json!({ "repoId": id, "member": known }).into();
    }
    let mut wrapping = Wrapping::of(&world.ensure_repo(repo).style);
    wrapping.bound |= add.bound;
    wrapping.other_keys = add.other_keys;
    let member = entry(world, name, repo, epoch, wrapping);
    let request: Arc<Value> = json!({ "repoId": id, "member": member }).into();
    world.ensure_repo(repo).last_addition = Some(Arc::clone(&request));
    request
}

fn remove_request(world: &mut World<'_>, repo: &str, remove: &RemoveMember) -> Arc<Value> {
    if let (true, Some(last)) = (remove.again, world.ensure_repo(repo).last_removal.clone()) {
        return last;
    }
    let (version, epoch) = current(world, repo);
    let removed = world.member_id(&remove.member);
    let new_epoch = remove.epoch.unwrap_or(Counter::Current(1)).resolve(epoch);
    let target = remove.version.unwrap_or(Counter::Current(1)).resolve(version);
    let staying = remove
        .rewrap
        .clone()
        .unwrap_or_else(|| staying(world, repo, &removed));
    let wrapping = Wrapping::of(&world.ensure_repo(repo).style);
    let entries: Vec<MemberEntry> = staying
        .iter()
        .map(|name| entry(world, name, repo, new_epoch, wrapping.clone()))
        .collect();
    let request = Arc::new(json!({
        "repoId": world.ensure_repo(repo).id,
        "removedMemberId": removed,
        "rotatedEnvelope": envelope(world, repo, target, new_epoch, None),
        "rewrappedMembers": entries,
        "newKeyEpoch": new_epoch,
    }));
    world.ensure_repo(repo).last_removal = Some(Arc::clone(&request));
    request
}

/// The names of the members who stay when one is removed.
fn staying(world: &World<'_>, repo: &str, removed: &str) -> Vec<String> {
    let members = world
        .stored(repo)
        .map(|stored: &RepoState| stored.members.as_slice())
        .unwrap_or_default();
    let ids = members
        .iter()
        .filter_map(|entry| member_id(entry))
        .filter(|id| *id != removed);
    ids.filter_map(|id| world.name_of(id))
        .map(str::to_owned)
        .collect()
}

/// How roster entries of a repository are made.
#[derive(Clone)]
struct Wrapping {
    scheme: String,
    bound: bool,
    other_keys: bool,
}

impl Wrapping {
    fn of(style: &Create) -> Wrapping {
        Wrapping {
            scheme: style.scheme.clone().unwrap_or_else(|| DEFAULT_SCHEME.to_owned()),
            bound: style.bound,
            other_keys: false,
        }
    }
}

fn entry(world: &mut World<'_>, name: &str, repo: &str, epoch: i64, wrapping: Wrapping) -> MemberEntry {
    let key = world.data_key(repo, epoch);
    let (ephemeral, iv) = (world.draw("ephemeral"), iv(world));
    let ed25519 = world.member_id(name);
    let other_keys;
    let recipient = match wrapping.other_keys {
        true => {
            other_keys = Identity::derive(world.seed(), &["other-keys", world.scope(), name]);
            &other_keys
        }
        false => &world.actor(name).identity,
    };
    let x25519 = recipient.x25519_public_key().to_owned();
    let wrapped = crypto::wrap_key(&key, &wrapping.scheme, recipient, ephemeral, iv);
    let binding = wrapping.bound.then(|| binding(world, &ed25519, &x25519));
    MemberEntry {
        ed25519_public_key: ed25519,
        wrapped_data_key: wrapped,
        x25519_public_key: x25519,
        key_epoch: epoch,
        key_binding_sig: binding,
    }
}

/// An issuer's signature over both keys of a member.
fn binding(world: &World<'_>, ed25519: &str, x25519: &str) -> String {
    let issuer = Identity::derive(world.seed(), &["issuer", world.scope()]);
    crypto::sign_binding(&issuer, ed25519, x25519)
}

fn envelope(
    world: &mut World<'_>,
    repo: &str,
    version: i64,
    epoch: i64,
    size: Option<usize>,
) -> EncryptedEnvelope {
    const TAG: usize = 16;
    let id = world.ensure_repo(repo).id.clone();
    let (key, iv) = (world.data_key(repo, epoch), iv(world));
    let mut plaintext = world.plaintext(repo, version);
    match size {
        // Too small for a real payload, or so large that what repeats itself packs better in a report: the server cannot tell,
        // since it sees bytes alone.
        Some(size) if size < plaintext.len() + TAG || size > FILLER_PERIOD => {
            let bytes = filler(world, size);
            return EncryptedEnvelope {
                repo_id: id,
                payload_version: version,
                key_epoch: epoch,
                iv: BASE64_STANDARD.encode(iv),
                ciphertext: BASE64_STANDARD.encode(bytes),
            };
        }
        // White space behind the JSON keeps it a payload.
        Some(size) => plaintext.resize(size - TAG, b' '),
        None => {}
    }
    crypto::seal_payload(&key, &id, version, epoch, &iv, &plaintext)
}

/// After how many bytes a large filler repeats itself: no multiple of what servers cut data into, so that blocks that are lost or
/// take each other's place are seen; in base64 four times as many characters, which is within the window of gzip.
const FILLER_PERIOD: usize = 4093;

fn filler(world: &mut World<'_>, size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < size.min(FILLER_PERIOD) {
        bytes.extend_from_slice(&world.draw("filler"));
    }
    bytes.truncate(size.min(FILLER_PERIOD));
    bytes.iter().copied().cycle().take(size).collect()
}

fn iv(world: &mut World<'_>) -> [u8; 12] {
    let drawn = world.draw("iv");
    let mut iv = [0; 12];
    iv.copy_from_slice(&drawn[..12]);
    iv
}
