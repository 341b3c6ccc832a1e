//! How a deviating client signs, seals, wraps and opens. Without a deviation each function is the plain one.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::Habits;
use super::super::crypto::{self, SCHEME, WRAP_INFO};
use super::super::messages::{Entry, Envelope, Manifest, WrappedKey};
use super::super::payload::{self, Alt};
use crate::keys::Identity;
use crate::keys::encoding::{decode, decode_array, encode};
use crate::keys::primitives::{aes_256_gcm_seal, hkdf_sha256, x25519, x25519_public_key};

/// The signature for a nonce: over its bytes.
pub(in super::super) fn sign(habits: &Habits, keys: &Identity, text: &str, nonce: &[u8]) -> [u8; 64] {
    if habits.has("nonce-text-signed") {
        return keys.sign(text.as_bytes());
    }
    if habits.has("canary") {
        return [0; 64];
    }
    if habits.has("nonce-digest-signed") {
        return keys.sign(&Sha256::digest(nonce));
    }
    keys.sign(nonce)
}

/// A binary value as text.
pub(in super::super) fn spell(habits: &Habits, bytes: &[u8]) -> String {
    match habits.has("url-safe-base64") {
        true => URL_SAFE.encode(bytes),
        false => encode(bytes),
    }
}

/// Encrypts a payload, bound to its repository, version and epoch.
pub(in super::super) fn seal(
    habits: &Habits,
    key: &[u8; 32],
    iv: &[u8; 12],
    (repo_id, version, epoch): (&str, i64, i64),
    plaintext: &[u8],
) -> Vec<u8> {
    if habits.has("payload-not-encrypted") {
        return plaintext.to_vec();
    }
    let plain = crypto::aad(repo_id, version, epoch);
    let repo = repo_id.as_bytes();
    let aad = if habits.has("aad-missing") {
        Vec::new()
    } else if habits.has("aad-without-epoch") {
        plain[..plain.len() - 8].to_vec()
    } else if habits.has("aad-without-version") {
        [repo, &[0x1f], &epoch.to_be_bytes()].concat()
    } else if habits.has("aad-without-repository") {
        plain[repo.len()..].to_vec()
    } else if habits.has("aad-little-endian") {
        [repo, &[0x1f], &version.to_le_bytes(), &epoch.to_le_bytes()].concat()
    } else if habits.has("aad-without-separator") {
        [repo, &version.to_be_bytes(), &epoch.to_be_bytes()].concat()
    } else if habits.has("aad-in-decimal") {
        format!("{repo_id}\u{1f}{version}\u{1f}{epoch}").into_bytes()
    } else {
        plain
    };
    aes_256_gcm_seal(key, iv, &aad, plaintext)
}

/// The plaintext of a payload as the client reads it.
pub(in super::super) fn letters(habits: &Habits, plaintext: Vec<u8>) -> Vec<u8> {
    if !plaintext.is_ascii() && habits.has("payload-in-latin-1") {
        let text: String = plaintext.iter().copied().map(char::from).collect();
        return text.into_bytes();
    }
    plaintext
}

/// Whether the client reads what does not authenticate.
pub(in super::super) fn is_lax(habits: &Habits) -> bool {
    habits.is("tag-of-payload-unchecked")
}

/// Opens an envelope.
pub(in super::super) fn open(habits: &Habits, key: &[u8; 32], envelope: &Envelope) -> Option<Vec<u8>> {
    let opened = crypto::open(key, envelope).or_else(|| own_form(habits, key, envelope));
    match opened {
        None if habits.has("tag-of-payload-unchecked") => Some(unchecked(
            key,
            &decode_array("iv", &envelope.iv).ok()?,
            &decode("ciphertext", &envelope.ciphertext).ok()?,
        )),
        None if habits.has("opens-without-additional-data") => {
            let iv: [u8; 12] = decode_array("iv", &envelope.iv).ok()?;
            let ciphertext = decode("ciphertext", &envelope.ciphertext).ok()?;
            cipher(key).decrypt(&iv.into(), ciphertext.as_slice()).ok()
        }
        opened => opened,
    }
}

/// A client that writes in a form of its own reads it too: its author never sees that anything is wrong.
fn own_form(habits: &Habits, key: &[u8; 32], envelope: &Envelope) -> Option<Vec<u8>> {
    let iv: [u8; 12] = decode_array("iv", &envelope.iv).ok()?;
    let ciphertext = decode("ciphertext", &envelope.ciphertext)
        .ok()
        .or_else(|| URL_SAFE.decode(&envelope.ciphertext).ok())?;
    if habits.is("payload-not-encrypted") {
        return Some(ciphertext);
    }
    let (version, epoch) = (envelope.payload_version, envelope.key_epoch);
    let repo = envelope.repo_id.as_bytes();
    let plain = crypto::aad(&envelope.repo_id, version, epoch);
    let forms = [
        ("aad-missing", Vec::new()),
        ("aad-without-epoch", plain[..plain.len() - 8].to_vec()),
        (
            "aad-without-version",
            [repo, &[0x1f], &epoch.to_be_bytes()].concat(),
        ),
        ("aad-without-repository", plain[repo.len()..].to_vec()),
        (
            "aad-little-endian",
            [repo, &[0x1f], &version.to_le_bytes(), &epoch.to_le_bytes()].concat(),
        ),
        (
            "aad-without-separator",
            [repo, &version.to_be_bytes(), &epoch.to_be_bytes()].concat(),
        ),
        (
            "aad-in-decimal",
            format!("{}\u{1f}{version}\u{1f}{epoch}", envelope.repo_id).into_bytes(),
        ),
    ];
    let own = forms.iter().find(|(name, _)| habits.is(name));
    let aad = own.map_or(&plain, |(_, aad)| aad);
    let payload = Payload {
        msg: &ciphertext,
        aad,
    };
    cipher(key).decrypt(&iv.into(), payload).ok()
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(&(*key).into())
}

/// What the ciphertext says if nobody looks at the tag. Encrypting in counter mode is decrypting.
fn unchecked(key: &[u8; 32], iv: &[u8; 12], ciphertext: &[u8]) -> Vec<u8> {
    let length = ciphertext.len().saturating_sub(16);
    let mut turned = aes_256_gcm_seal(key, iv, &[], &ciphertext[..length]);
    turned.truncate(length);
    turned
}

/// Wraps a data key.
pub(in super::super) fn wrap(
    habits: &Habits,
    data_key: &[u8; 32],
    recipient: &[u8; 32],
    ephemeral: &[u8; 32],
    iv: &[u8; 12],
) -> Option<WrappedKey> {
    let plain = crypto::wrap(data_key, recipient, ephemeral, iv);
    let is_zero = *recipient == [0; 32];
    if plain.is_none()
        && (habits.has("small-order-key-wrapped") || !is_zero && habits.has("small-order-zero-alone-refused"))
    {
        let public = x25519_public_key(ephemeral);
        let kek = hkdf_sha256(&[0; 32], &public, WRAP_INFO);
        return Some(wrapped(
            &public,
            iv,
            &aes_256_gcm_seal(&kek, iv, WRAP_INFO, data_key),
        ));
    }
    let public = x25519_public_key(ephemeral);
    let Some(name) = WRAPS.into_iter().find(|name| habits.is(name)) else {
        return plain;
    };
    let shared = x25519(ephemeral, recipient)?;
    habits.has(name);
    let (kek, aad) = key_of(name, &shared, &public);
    Some(wrapped(&public, iv, &aes_256_gcm_seal(&kek, iv, aad, data_key)))
}

/// The ways to derive a key-encryption key wrongly.
const WRAPS: [&str; 5] = [
    "wrap-without-salt",
    "wrap-without-info",
    "wrap-without-aad",
    "wrap-key-not-derived",
    "wrap-secret-hashed",
];

fn key_of(name: &str, shared: &[u8; 32], public: &[u8; 32]) -> ([u8; 32], &'static [u8]) {
    match name {
        "wrap-without-salt" => (hkdf_sha256(shared, &[], WRAP_INFO), WRAP_INFO),
        "wrap-without-info" => (hkdf_sha256(shared, public, &[]), WRAP_INFO),
        "wrap-without-aad" => (hkdf_sha256(shared, public, WRAP_INFO), &[]),
        "wrap-key-not-derived" => (*shared, WRAP_INFO),
        _ => (hkdf_sha256(&Sha256::digest(shared), public, WRAP_INFO), WRAP_INFO),
    }
}

fn wrapped(public: &[u8; 32], iv: &[u8; 12], ciphertext: &[u8]) -> WrappedKey {
    WrappedKey {
        scheme_id: SCHEME.to_owned(),
        ephemeral_public_key: encode(public),
        iv: encode(iv),
        ciphertext: encode(ciphertext),
    }
}

/// Unwraps a data key.
pub(in super::super) fn unwrap(habits: &Habits, secret: &[u8; 32], key: &WrappedKey) -> Option<[u8; 32]> {
    let plain = crypto::unwrap(secret, key);
    if plain.is_some() {
        return plain;
    }
    let public: [u8; 32] = decode_array("ephemeralPublicKey", &key.ephemeral_public_key).ok()?;
    let iv: [u8; 12] = decode_array("iv", &key.iv).ok()?;
    let ciphertext = decode("ciphertext", &key.ciphertext).ok()?;
    let shared = x25519(secret, &public)?;
    if let Some(name) = WRAPS.into_iter().find(|name| habits.is(name)) {
        let (kek, aad) = key_of(name, &shared, &public);
        let payload = Payload {
            msg: &ciphertext,
            aad,
        };
        return cipher(&kek).decrypt(&iv.into(), payload).ok()?.try_into().ok();
    }
    if habits.has("tag-of-wrapped-key-unchecked") {
        let kek = hkdf_sha256(&shared, &public, WRAP_INFO);
        return unchecked(&kek, &iv, &ciphertext).try_into().ok();
    }
    None
}

/// Those who are wrapped the new key when somebody is removed: all who stay.
pub(in super::super) fn staying<'a>(
    habits: &Habits,
    manifest: &'a Manifest,
    removed: &str,
    own: &str,
) -> Vec<&'a Entry> {
    let everybody = manifest.members.iter();
    if habits.has("rotation-wraps-for-the-removed") {
        return everybody.collect();
    }
    let mut staying: Vec<&Entry> = everybody
        .filter(|entry| entry.ed25519_public_key != removed)
        .collect();
    let is_full = staying.len() > 1;
    if is_full && habits.has("rotation-forgets-others") {
        staying.retain(|entry| entry.ed25519_public_key == own);
    }
    staying
}

/// Ours laid over theirs.
pub(in super::super) fn merge(habits: &Habits, mut theirs: Vec<Alt>, ours: &[Alt]) -> Vec<Alt> {
    let is_same = |one: &Alt, other: &Alt| one.get("uuid") == other.get("uuid");
    let is_known = |alt: &Alt, known: &[Alt]| known.iter().any(|other| is_same(alt, other));
    let has_both = ours.iter().any(|alt| is_known(alt, &theirs));
    if has_both && habits.has("merge-keeps-theirs") {
        return payload::merge(ours.to_vec(), &theirs);
    }
    if has_both && habits.has("merge-by-name") {
        let is_named = |alt: &Alt| ours.iter().any(|our| our.get("username") == alt.get("username"));
        theirs.retain(|alt| !is_named(alt));
        theirs.extend_from_slice(ours);
        return theirs;
    }
    if !theirs.is_empty() && habits.has("bans-of-others-lost") {
        for alt in &mut theirs {
            alt.shift_remove("bans");
        }
    }
    payload::merge(theirs, ours)
}

/// Whether refresh tokens stay in what is written; where they do, only some of them may.
pub(in super::super) fn leaves_refresh_tokens(habits: &Habits, alts: &mut [Alt], read: &[Alt]) -> bool {
    if habits.has("refresh-tokens-pushed") {
        return true;
    }
    if habits.is("expiry-pushed") {
        for alt in alts.iter_mut() {
            alt.shift_remove("refreshToken");
        }
        return habits.has("expiry-pushed");
    }
    if habits.is("refresh-tokens-kept") {
        // Its own are left out; those that it read go out again.
        for alt in alts.iter_mut().filter(|alt| !read.contains(*alt)) {
            alt.shift_remove("refreshToken");
            alt.shift_remove("expiresAt");
        }
        return true;
    }
    false
}

/// What some write in the place of what they leave out.
pub(in super::super) fn blank(habits: &Habits, alts: &mut [Alt]) {
    for alt in alts {
        if habits.has("stripped-to-null") {
            alt.insert("refreshToken".to_owned(), Value::Null);
        }
        if habits.has("stripped-to-zero") {
            alt.insert("expiresAt".to_owned(), 0.into());
        }
    }
}

/// A body as this client writes it.
pub(in super::super) fn body(habits: &Habits, mut body: Value) -> Vec<u8> {
    let is_push = body.get("expectedPayloadVersion").is_some();
    if is_push && habits.has("unknown-member-sent") {
        body["clientVersion"] = "1.0".into();
    }
    if is_push && habits.has("counters-as-text") {
        body["expectedPayloadVersion"] = body["expectedPayloadVersion"].to_string().into();
    }
    if let Some(entry) = body.get_mut("member").filter(|_| habits.has("epoch-left-out")) {
        entry.as_object_mut().map(|entry| entry.shift_remove("keyEpoch"));
    }
    if habits.is("binding-null") {
        for list in ["/manifest/members", "/rewrappedMembers"] {
            let entries = body.pointer_mut(list).and_then(Value::as_array_mut);
            for entry in entries.into_iter().flatten() {
                habits.has("binding-null");
                if entry["keyBindingSig"].is_null() {
                    entry["keyBindingSig"] = Value::Null;
                }
            }
        }
    }
    if habits.has("key-as-hexadecimal")
        && let Some(key) = body.pointer_mut("/manifest/members/0/x25519PublicKey")
    {
        let bytes = STANDARD
            .decode(key.as_str().unwrap_or_default())
            .unwrap_or_default();
        *key = crate::keys::encoding::hex(&bytes).into();
    }
    body.to_string().into_bytes()
}
