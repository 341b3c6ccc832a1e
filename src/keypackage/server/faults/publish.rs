//! What a registry makes of a publication that gets a rule wrong, or that has a rule more.

use std::sync::MutexGuard;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::keypackage::server::answer::Answer;
use crate::keypackage::server::operations;
use crate::keypackage::server::rules::{self, Publication};
use crate::keypackage::server::store::{Bundle, Store, Which};
use crate::keypackage::server::{Registry, lock};
use crate::serve::Asked;

/// How long storing a bundle takes where others fail meanwhile.
const WRITING: Duration = Duration::from_millis(5);
/// How many bundles a server keeps that counts those of all devices together.
const KEPT_OF_ALL: usize = 40;
/// The largest body that a server with a limit takes, bytes.
const BODY_LIMIT_BYTES: usize = 64 << 10;
/// The order of the group, little endian (RFC 8032, 5.1).
pub(in crate::keypackage::server) const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

impl Registry {
    /// The body that is read, given the one that arrived.
    pub(in crate::keypackage::server) fn body<'a>(
        &self,
        asked: &Asked,
        body: Result<&'a [u8], Answer>,
    ) -> Result<&'a [u8], Answer> {
        let body = body?;
        if body.len() > BODY_LIMIT_BYTES && self.bends("body-limit") {
            return Err(Answer::refused(413, "the body is too large"));
        }
        if let Some((status, why)) = asked.framing_refused(|name| self.bends(name)) {
            return Err(Answer::refused(status, why));
        }
        if !asked.is_json() && self.bends("json-type-demanded") {
            return Err(Answer::refused(415, "the body is to be application/json"));
        }
        match self.bends("canary") {
            true => Err(Answer::refused(500, "canary")),
            false => Ok(body),
        }
    }

    /// The publication that is taken for what a body holds, given what was read of it.
    pub(in crate::keypackage::server) fn publication(
        &self,
        body: &[u8],
        read: Result<Publication, String>,
    ) -> Result<Publication, Answer> {
        let publication = read.or_else(|why| self.misread(body, &why))?;
        self.refuse_form(body, &publication)?;
        Ok(publication)
    }

    /// Whether a publication is taken, given whether its signature holds.
    pub(in crate::keypackage::server) fn signature(
        &self,
        publication: &Publication,
        holds: bool,
    ) -> Result<(), Answer> {
        let device = self.stored_name(publication, rules::name(&publication.device));
        if VerifyingKey::from_bytes(&publication.device).is_err() && self.bends("no-point-500") {
            return Err(Answer::refused(500, "the key cannot be read"));
        }
        if self.is_blocked(&device, holds) {
            return Err(Answer::refused(400, "the device is blocked"));
        }
        if !holds && !self.takes_signature(publication) {
            if self.bends("stored-before-checked") {
                operations::store(self, &device, &publication.bundle())?;
            }
            if self.bends("refused-drops-the-bundle") {
                self.stored(|store| store.remove(&device))?;
            }
            return Err(Answer::refused(400, "the signature does not verify"));
        }
        self.remembers(publication);
        self.look_into(&publication.payload)?;
        match self.has_published(&device) && self.bends("second-publication-409") {
            true => Err(Answer::refused(409, "the device has published")),
            false => Ok(()),
        }
    }

    /// Whether a device is blocked, by a server that counts what is refused in its name.
    fn is_blocked(&self, device: &str, holds: bool) -> bool {
        if !self.has("refusals-block-the-device") {
            return false;
        }
        let mut refused = lock(&self.refused);
        let times = refused.entry(device.to_owned()).or_default();
        *times += usize::from(!holds);
        holds && *times >= 3 && self.bends("refusals-block-the-device")
    }

    /// Remembers what has verified, to a server that goes by it.
    fn remembers(&self, publication: &Publication) {
        if VERIFIED_BEFORE.into_iter().any(|name| self.has(name)) {
            lock(&self.verified).push(publication.clone());
        }
    }

    /// Whether a publication that does not verify is taken for one that did.
    fn seems_verified(&self, publication: &Publication) -> bool {
        let verified = lock(&self.verified);
        let (payload, signature) = (&publication.payload, &publication.signature);
        verified.iter().any(|it| {
            let is_own = it.device == publication.device;
            is_own && it.signature == *signature && self.bends("signatures-are-verified-once")
                || it.payload == *payload
                    && it.signature == *signature
                    && self.bends("bundles-are-verified-once")
                || is_own
                    && it.payload == *payload
                    && it.signature[..32] == signature[..32]
                    && self.bends("signatures-by-their-first-half")
        })
    }

    /// The text under which a device is stored, given that of its key.
    pub(in crate::keypackage::server) fn stored_name(
        &self,
        publication: &Publication,
        name: String,
    ) -> String {
        match has_upper_case(&publication.id) && self.bends("case-makes-two") {
            true => publication.id.clone(),
            false => name,
        }
    }

    /// Stores a bundle by `add`, or does not.
    pub(in crate::keypackage::server) fn adds(
        &self,
        device: &str,
        bundle: &Bundle,
        add: impl FnOnce(&Store) -> rusqlite::Result<()>,
    ) -> Result<(), Answer> {
        let _turn = self.turn()?;
        let is_known = self.stored(|store| store.has(device, bundle))?;
        if is_known && self.bends("published-again-500") {
            return Err(Answer::refused(500, "UNIQUE constraint failed"));
        }
        if self.bends("publish-forgets") || is_known && self.bends("repeated-stays-old") {
            return Ok(());
        }
        if self.has("one-bundle-for-a-time")
            && self.is_of_a_known_time(device, &bundle.payload)
            && self.bends("one-bundle-for-a-time")
        {
            return Ok(());
        }
        if bundle.payload.is_empty()
            && self.has_published(device)
            && self.bends("empty-payload-replaces-nothing")
        {
            return Ok(());
        }
        self.stored(add)
    }

    /// Drops bundles by `prune`, and others before it.
    pub(in crate::keypackage::server) fn drops(
        &self,
        device: &str,
        prune: impl FnOnce(&Store) -> rusqlite::Result<usize>,
    ) -> Result<(), Answer> {
        // That one leaves it to the background task.
        if self.has("task-keeps-the-oldest") || self.has("task-keeps-the-latest-time") {
            return Ok(());
        }
        if self.has("cap-drops-the-newest")
            && self.stored(|store| store.keep_oldest(device, self.flags.max_per_identity))? > 0
        {
            self.fire("cap-drops-the-newest");
        }
        if self.has("cap-over-all") && self.stored(|store| store.cap(KEPT_OF_ALL))? > 0 {
            self.fire("cap-over-all");
        }
        if self.has("devices-beyond-a-hundred-and-fifty-are-lost")
            && self.stored(|store| store.keep_devices(150))? > 0
        {
            self.fire("devices-beyond-a-hundred-and-fifty-are-lost");
        }
        self.stored(prune).map(drop)
    }

    /// The turn to write, of a server that fails while somebody else has it; others need none.
    fn turn(&self) -> Result<Option<MutexGuard<'_, ()>>, Answer> {
        if !self.has("busy-500") {
            return Ok(None);
        }
        let Ok(turn) = self.writing.try_lock() else {
            self.fire("busy-500");
            return Err(Answer::refused(500, "the database is locked"));
        };
        std::thread::sleep(WRITING);
        Ok(Some(turn))
    }

    /// What a body that breaks a rule is taken for by a server that gets the rule wrong; else the refusal.
    fn misread(&self, body: &[u8], why: &str) -> Result<Publication, Answer> {
        let refusal = || Answer::refused(400, why);
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
            let first = values.next().and_then(Result::ok);
            return match first.and_then(|first| rules::read(first.to_string().as_bytes()).ok()) {
                Some(publication) if self.bends("trailing-bytes-taken") => Ok(publication),
                _ if body.is_empty() && self.bends("empty-body-204") => Err(Answer::Published),
                _ if body.starts_with(b"[[[[") && self.bends("deep-json-500") => {
                    Err(Answer::refused(500, "the stack ran over"))
                }
                _ if !body.is_empty() && self.bends("not-json-500") => {
                    Err(Answer::refused(500, "cannot parse"))
                }
                _ => Err(refusal()),
            };
        };
        if let Some([device, payload, signature]) = value.as_array().map(Vec::as_slice)
            && let Ok(publication) =
                again(&json!({ "device_id": device, "payload": payload, "signature": signature }))
            && self.bends("array-taken")
        {
            return Ok(publication);
        }
        if value
            .as_object()
            .is_some_and(|object| object.values().any(Value::is_null))
            && self.bends("null-member-500")
        {
            return Err(Answer::refused(500, "unexpected null"));
        }
        if !value.is_object() {
            return Err(refusal());
        }
        for (name, change) in COERCIONS {
            if self.has(name)
                && let Ok(publication) = again(&change(value.clone()))
                && self.bends(name)
            {
                return Ok(publication);
            }
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let with = |name: &str, text: String| {
            let mut value = value.clone();
            value[name] = text.into();
            again(&value).ok()
        };
        let decoded = STANDARD.decode(text("signature")).unwrap_or_default();
        if decoded.len() > 64
            && let Some(publication) = with("signature", STANDARD.encode(&decoded[..64]))
            && self.bends("signature-tail-ignored")
        {
            return Ok(publication);
        }
        if text("device_id").len() < 64
            && !text("device_id").is_empty()
            && let Some(publication) = with("device_id", format!("{:0<64}", text("device_id")))
            && self.bends("device-id-short-taken")
        {
            // Who fills up an id does not ask whose it is.
            return self.take(&publication);
        }
        for name in ["payload", "signature"] {
            let filled = STANDARD_NO_PAD
                .decode(text(name))
                .map(|bytes| STANDARD.encode(bytes));
            if let Some(publication) = filled
                .ok()
                .filter(|filled| filled != text(name))
                .and_then(|it| with(name, it))
                && self.bends("unpadded-base64-taken")
            {
                return Ok(publication);
            }
        }
        let standard = URL_SAFE
            .decode(text("payload"))
            .map(|bytes| STANDARD.encode(bytes));
        if let Some(publication) = standard.ok().and_then(|it| with("payload", it))
            && self.bends("url-safe-base64-taken")
        {
            return Ok(publication);
        }
        if text("device_id").trim() != text("device_id")
            && let Some(publication) = with("device_id", text("device_id").trim().to_owned())
            && self.bends("device-id-is-trimmed")
        {
            return Ok(publication);
        }
        if value.get("payload").is_some_and(Value::is_null)
            && let Some(publication) = with("payload", String::new())
            && self.bends("null-payload-is-empty")
        {
            return Ok(publication);
        }
        if value.get("payload").is_none()
            && let Some(publication) = with("payload", String::new())
            && self.bends("missing-payload-is-empty")
        {
            return self.take(&publication);
        }
        if value.get("payload").is_some_and(Value::is_string)
            && let Some(publication) = with("payload", STANDARD.encode(text("payload")))
            && self.bends("payload-text-taken")
        {
            return self.take(&publication);
        }
        Err(refusal())
    }

    /// Stores a publication whatever its signature, and says so.
    fn take(&self, publication: &Publication) -> Result<Publication, Answer> {
        let device = rules::name(&publication.device);
        operations::store(self, &device, &publication.bundle())?;
        Err(Answer::Published)
    }

    /// Refuses a publication for how it is written.
    fn refuse_form(&self, body: &[u8], publication: &Publication) -> Result<(), Answer> {
        let written = String::from_utf8_lossy(body);
        if written.contains('\\') && self.bends("escapes-refused") {
            return Err(Answer::refused(400, "the body cannot be read"));
        }
        if written.find("\"signature\"") < written.find("\"payload\"")
            && self.bends("members-by-their-places")
        {
            return Err(Answer::refused(400, "the members stand in another order"));
        }
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let known = ["device_id", "payload", "signature"];
        let object = value.as_object();
        let is_odd = object.is_some_and(|object| object.keys().any(|name| !known.contains(&name.as_str())));
        if is_odd && self.bends("unknown-members-refused") {
            return Err(Answer::refused(400, "there is a member that is not known"));
        }
        if has_upper_case(&publication.id) && self.bends("upper-case-refused") {
            return Err(Answer::refused(400, "device ids are in lower case"));
        }
        Ok(())
    }

    /// Whether a signature that does not hold is taken.
    fn takes_signature(&self, publication: &Publication) -> bool {
        let Publication {
            device,
            payload,
            signature,
            ..
        } = publication;
        if self.bends("signature-unchecked") || *signature == [0; 64] && self.bends("signature-zero-taken") {
            return true;
        }
        if rules::holds(device, &Sha256::digest(payload), signature)
            && self.bends("signature-over-the-digest")
        {
            return true;
        }
        let both = [&device[..], payload].concat();
        if rules::holds(device, &both, signature) && self.bends("signature-over-the-id-too") {
            return true;
        }
        if self.is_stored_payload(&rules::name(device), payload) && self.bends("known-payloads-unchecked") {
            return true;
        }
        if self.seems_verified(publication) {
            return true;
        }
        let text = STANDARD.encode(payload);
        if rules::holds(device, text.as_bytes(), signature) && self.bends("signature-over-the-text") {
            return true;
        }
        let mut reduced = *signature;
        let borrow = reduced[32..]
            .iter_mut()
            .zip(GROUP_ORDER)
            .fold(0_i16, |borrow, (byte, order)| {
                let left = i16::from(*byte) - i16::from(order) - borrow;
                *byte = u8::try_from(left & 0xff).unwrap_or_default();
                i16::from(left < 0)
            });
        if borrow == 0 && rules::holds(device, payload, &reduced) && self.bends("s-above-the-order-taken") {
            return true;
        }
        let lax = |key: VerifyingKey| {
            key.is_weak() && key.verify(payload, &Signature::from_bytes(signature)).is_ok()
        };
        if let Some(key) = VerifyingKey::from_bytes(device).ok().filter(|key| lax(*key)) {
            let is_respelt = key.to_edwards().compress().to_bytes() != *device;
            if self.bends("small-order-keys-taken") || is_respelt && self.bends("unreduced-keys-taken") {
                return true;
            }
        }
        if self.has_published(&rules::name(device)) && self.bends("signature-checked-once") {
            return true;
        }
        let others = self.stored(Store::devices).unwrap_or_default();
        let by_other =
            |id: &String| rules::device(id).is_some_and(|key| rules::holds(&key, payload, signature));
        others.iter().any(by_other) && self.bends("signature-of-any-device")
    }

    /// What a server makes of a payload that looks into it.
    fn look_into(&self, payload: &[u8]) -> Result<(), Answer> {
        let time = payload.first_chunk().map(|first| u64::from_le_bytes(*first));
        let now = u64::try_from((self.clock)()).unwrap_or_default();
        if payload.is_empty() && self.bends("empty-payload-refused")
            || payload.len() < 8 && self.bends("short-payload-refused")
            || std::str::from_utf8(payload).is_err() && self.bends("payload-of-text-alone")
            || payload.len() > BODY_LIMIT_BYTES && self.bends("long-payload-refused")
            || time.is_some_and(|time| time > now) && self.bends("future-payload-refused")
        {
            return Err(Answer::refused(400, "the payload is not liked"));
        }
        Ok(())
    }

    /// Whether a device's newest bundle has this payload.
    fn is_stored_payload(&self, device: &str, payload: &[u8]) -> bool {
        let newest = self.stored(|store| store.get(Some(device), Which::Newest));
        newest.is_ok_and(|found| found.is_some_and(|found| found.payload == payload))
    }

    /// Whether a device's newest bundle has another payload that begins with the same time.
    fn is_of_a_known_time(&self, device: &str, payload: &[u8]) -> bool {
        let newest = self.stored(|store| store.get(Some(device), Which::Newest));
        let time = |payload: &[u8]| payload.first_chunk::<8>().copied();
        let is_like = |known: &[u8]| known != payload && time(known) == time(payload);
        time(payload).is_some() && newest.is_ok_and(|found| found.is_some_and(|it| is_like(&it.payload)))
    }

    fn has_published(&self, device: &str) -> bool {
        let newest = self.stored(|store| store.get(Some(device), Which::Newest));
        newest.is_ok_and(|found| found.is_some())
    }
}

/// Reads a publication that was written anew.
fn again(value: &Value) -> Result<Publication, String> {
    rules::read(value.to_string().as_bytes())
}

/// Whether a device id is written with capitals.
pub(super) fn has_upper_case(id: &str) -> bool {
    id.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The faults of servers that go by what has verified before.
const VERIFIED_BEFORE: [&str; 3] = [
    "signatures-are-verified-once",
    "bundles-are-verified-once",
    "signatures-by-their-first-half",
];

/// Changes a body to what it is taken for.
type Coercion = fn(Value) -> Value;

const COERCIONS: &[(&str, Coercion)] = &[
    ("junk-in-base64-is-skipped", |mut body| {
        for name in ["payload", "signature"] {
            let text = body[name].as_str().unwrap_or_default();
            let is_junk = |c: char| c.is_ascii_whitespace() || c == '!';
            body[name] = text.replace(is_junk, "").into();
        }
        body
    }),
    ("separators-in-ids-are-skipped", |mut body| {
        body["device_id"] = body["device_id"]
            .as_str()
            .unwrap_or_default()
            .replace(':', "")
            .into();
        body
    }),
    ("members-are-made-strings", |body| {
        members(body, |value| match value {
            Value::Number(_) | Value::Bool(_) => value.to_string().into(),
            other => other,
        })
    }),
    ("lists-of-one-are-unwrapped", |body| {
        members(body, |value| match value {
            Value::Array(mut items) if items.len() == 1 => items.remove(0),
            other => other,
        })
    }),
    ("lists-of-bytes-are-payloads", |body| {
        members(body, |value| {
            let bytes: Option<Vec<u8>> = value.as_array().and_then(|items| {
                let byte = |item: &Value| u8::try_from(item.as_u64()?).ok();
                items.iter().map(byte).collect()
            });
            bytes.map_or(value, |bytes| STANDARD.encode(bytes).into())
        })
    }),
    ("absent-payload-is-empty", |mut body| {
        if body.get("payload").is_none() {
            body["payload"] = "".into();
        }
        body
    }),
];

/// A body with the values of its members changed.
fn members(mut body: Value, change: fn(Value) -> Value) -> Value {
    for value in body.as_object_mut().into_iter().flat_map(|it| it.values_mut()) {
        *value = change(value.take());
    }
    body
}
