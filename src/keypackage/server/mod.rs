//! The reference registry: every rule in `rules`, what is stored in `store`, and here what a request is answered.
//!
//! A rule is asked first, and may then be bent: [`Registry::bends`] says whether this server gets it wrong in that way, and
//! counts that it did.

mod faults;
mod rules;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::serve::{Asked, Fault, Handler, Listener, Reference, Reply, ServeOptions, StartError, Variation};
use rules::Publication;
use store::{Bundle, Store, Which};

/// So many bundles of a device are kept.
const KEPT_PER_DEVICE: usize = 5;
/// How long a bundle is kept, milliseconds: thirty days.
const RETENTION_MS: i64 = 30 * 86_400_000;
/// How long a server with a cache believes it, milliseconds.
const CACHED_MS: i64 = 2000;
/// How long storing a bundle takes where others fail meanwhile.
const WRITING: Duration = Duration::from_millis(5);
/// A server with a limit of requests refuses one of so many.
const REQUESTS_PER_REFUSAL: u64 = 25;
/// The largest body that a server with a limit takes, bytes.
const BODY_LIMIT_BYTES: usize = 64 << 10;
/// The order of the group, little endian (RFC 8032, 5.1).
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// What the registry can be told to get wrong.
pub fn faults() -> &'static [Fault] {
    faults::FAULTS
}

/// The freedoms that the registry can use.
pub fn variations() -> &'static [Variation] {
    faults::VARIATIONS
}

/// Starts the registry.
///
/// # Errors
/// The address cannot be listened on, or the database cannot be opened.
pub fn start(options: ServeOptions) -> Result<Box<dyn Reference>, StartError> {
    let registry = Registry::new(&options)?;
    Ok(Box::new(Listener::start(&options, Arc::new(registry))?))
}

/// One registry.
struct Registry {
    deviations: Vec<&'static str>,
    fired: Mutex<BTreeMap<&'static str, u64>>,
    store: Mutex<Store>,
    cache: Mutex<BTreeMap<String, (i64, Bundle)>>,
    /// Held while a bundle is stored, by a server that fails then.
    writing: Mutex<()>,
    /// The requests so far.
    requests: AtomicU64,
    /// What the time is, epoch milliseconds.
    clock: fn() -> i64,
}

impl Registry {
    fn new(options: &ServeOptions) -> Result<Registry, StartError> {
        let store = Store::open(options.db.as_deref()).map_err(|error| StartError(Box::new(error)))?;
        Ok(Registry {
            deviations: options.deviations(),
            fired: Mutex::default(),
            store: Mutex::new(store),
            cache: Mutex::default(),
            writing: Mutex::default(),
            requests: AtomicU64::new(0),
            clock: now_ms,
        })
    }

    /// Whether this server deviates in that way, which then takes effect.
    fn bends(&self, name: &'static str) -> bool {
        let deviates = self.deviations.contains(&name);
        if deviates {
            *lock(&self.fired).entry(name).or_default() += 1;
        }
        deviates
    }

    fn publish(&self, asked: &Asked) -> Result<Reply, Reply> {
        let Some(body) = &asked.body else {
            return Err(self.refusal(413, "the body is too large"));
        };
        if body.len() > BODY_LIMIT_BYTES && self.bends("body-limit") {
            return Err(self.refusal(413, "the body is too large"));
        }
        if !asked.content_type.starts_with("application/json") && self.bends("json-type-demanded") {
            return Err(self.refusal(415, "the body is to be application/json"));
        }
        if self.bends("canary") {
            return Err(self.refusal(500, "canary"));
        }
        let publication = match rules::read(body) {
            Ok(publication) => publication,
            Err(why) => self.misread(body, &why)?,
        };
        self.odd_members(body)?;
        let device = self.name(&publication.device, body);
        let bundle = Bundle {
            payload: publication.payload.clone(),
            signature: publication.signature.to_vec(),
        };
        if VerifyingKey::from_bytes(&publication.device).is_err() && self.bends("no-point-500") {
            return Err(self.refusal(500, "the key cannot be read"));
        }
        if !self.is_signed(&publication) {
            if self.bends("stored-before-checked") {
                self.add(&device, &bundle)?;
            }
            if self.bends("refused-drops-the-bundle") {
                self.stored(|store| store.remove(&device))?;
            }
            return Err(self.refusal(400, "the signature does not verify"));
        }
        self.look_into(&publication.payload)?;
        if self.has_published(&device) && self.bends("second-publication-409") {
            return Err(self.refusal(409, "the device has published"));
        }
        let _turn = self.turn()?;
        if !self.bends("publish-forgets") {
            self.add(&device, &bundle)?;
        }
        Ok(self.published())
    }

    /// The turn to write, of a server that fails while somebody else has it; others need none.
    fn turn(&self) -> Result<Option<MutexGuard<'_, ()>>, Reply> {
        if !self.deviations.contains(&"busy-500") {
            return Ok(None);
        }
        let Ok(turn) = self.writing.try_lock() else {
            self.fire("busy-500");
            return Err(self.refusal(500, "the database is locked"));
        };
        std::thread::sleep(WRITING);
        Ok(Some(turn))
    }

    fn published(&self) -> Reply {
        match self.bends("publish-200") {
            true => self.json(200, &json!({ "stored": true })),
            false => Reply {
                status: 204,
                ..Reply::default()
            },
        }
    }

    fn fetch(&self, id: &str) -> Result<Reply, Reply> {
        let is_odd = !id.is_ascii() || id.contains('%');
        if is_odd && self.bends("odd-device-500") {
            return Err(self.refusal(500, "the device id is not ASCII"));
        }
        let device = rules::device(id);
        let Some(key) = device else {
            let status = if self.bends("odd-ids-are-malformed") {
                400
            } else {
                404
            };
            return Err(self.refusal(status, "this is no device id"));
        };
        let is_upper = id.bytes().any(|byte| byte.is_ascii_uppercase());
        if is_upper && self.bends("upper-case-refused") {
            return Err(self.refusal(400, "device ids are in lower case"));
        }
        let device = match is_upper && self.bends("case-makes-two") {
            true => id.to_owned(),
            false => hex(&key),
        };
        let Some(bundle) = self.find(&device)? else {
            return match () {
                () if self.bends("fetch-200-for-nobody") => Ok(self.json(200, &json!({}))),
                () if self.bends("fetch-serves-nobodys-500") => Err(self.refusal(500, "no such row")),
                () => Err(self.refusal(404, "this device has published nothing")),
            };
        };
        Ok(self.bundle(&device, bundle))
    }

    /// The bundle that is served for a device.
    fn find(&self, device: &str) -> Result<Option<Bundle>, Reply> {
        let get = |device: Option<&str>, which| self.stored(|store| store.get(device, which));
        let newest = get(Some(device), Which::Newest)?;
        let Some(bundle) = newest else {
            return match self.deviations.contains(&"one-for-all") {
                true => Ok(get(None, Which::Newest)?.inspect(|_| self.fire("one-for-all"))),
                false => Ok(None),
            };
        };
        let other =
            |name: &'static str, device: Option<&str>, which: Which| -> Result<Option<Bundle>, Reply> {
                if !self.deviations.contains(&name) {
                    return Ok(None);
                }
                let found = get(device, which)?.filter(|found| *found != bundle);
                Ok(found.inspect(|_| self.fire(name)))
            };
        if let Some(found) = other("one-for-all", None, Which::Newest)? {
            return Ok(Some(found));
        }
        if let Some(found) = other("latest-by-its-time", Some(device), Which::LatestTime)? {
            return Ok(Some(found));
        }
        if let Some(found) = other("first-bundle-served", Some(device), Which::Oldest)? {
            return Ok(Some(found));
        }
        if let Some(found) = other("signature-of-the-one-before", Some(device), Which::Previous)? {
            return Ok(Some(Bundle {
                signature: found.signature,
                ..bundle
            }));
        }
        Ok(Some(self.cached(device, bundle)))
    }

    fn cached(&self, device: &str, bundle: Bundle) -> Bundle {
        if !self.deviations.contains(&"fetch-cached") {
            return bundle;
        }
        let mut cache = lock(&self.cache);
        match cache.get(device) {
            Some((until, known)) if *until > (self.clock)() => {
                if *known != bundle {
                    self.fire("fetch-cached");
                }
                known.clone()
            }
            _ => {
                cache.insert(device.to_owned(), ((self.clock)() + CACHED_MS, bundle.clone()));
                bundle
            }
        }
    }

    fn bundle(&self, device: &str, mut bundle: Bundle) -> Reply {
        let zero = bundle.payload.iter().position(|byte| *byte == 0);
        if let Some(end) = zero
            && self.bends("payload-ends-at-nul")
        {
            bundle.payload.truncate(end);
        }
        let safe = URL_SAFE.encode(&bundle.payload);
        let standard = STANDARD.encode(&bundle.payload);
        let payload = match safe != standard && self.bends("payload-url-safe") {
            true => safe,
            false => standard,
        };
        let mut body = json!({ "payload": payload, "signature": STANDARD.encode(&bundle.signature) });
        if bundle.payload.is_empty() && self.bends("empty-payload-is-null") {
            body["payload"] = Value::Null;
        }
        if self.bends("more-members") {
            body["device_id"] = device.into();
            body["served_ms"] = (self.clock)().into();
        }
        let mut reply = self.json(200, &body);
        if self.bends("bundle-as-text") {
            reply.headers = vec![("content-type", "text/plain".to_owned())];
        }
        reply
    }

    /// What a body that breaks a rule is taken for by a server that gets the rule wrong; else the refusal.
    fn misread(&self, body: &[u8], why: &str) -> Result<Publication, Reply> {
        let refusal = || self.refusal(400, why);
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
            let first = values.next().and_then(Result::ok);
            return match first.and_then(|first| rules::read(first.to_string().as_bytes()).ok()) {
                Some(publication) if self.bends("trailing-bytes-taken") => Ok(publication),
                _ if body.is_empty() && self.bends("empty-body-204") => Err(self.published()),
                _ if !body.is_empty() && self.bends("not-json-500") => Err(self.refusal(500, "cannot parse")),
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
            return Err(self.refusal(500, "unexpected null"));
        }
        if !value.is_object() {
            return Err(refusal());
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
    fn take(&self, publication: &Publication) -> Result<Publication, Reply> {
        let bundle = Bundle {
            payload: publication.payload.clone(),
            signature: publication.signature.to_vec(),
        };
        self.add(&hex(&publication.device), &bundle)?;
        Err(self.published())
    }

    fn odd_members(&self, body: &[u8]) -> Result<(), Reply> {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let known = ["device_id", "payload", "signature"];
        let object = value.as_object();
        let is_odd = object.is_some_and(|object| object.keys().any(|name| !known.contains(&name.as_str())));
        if is_odd && self.bends("unknown-members-refused") {
            return Err(self.refusal(400, "there is a member that is not known"));
        }
        let id = value.get("device_id").and_then(Value::as_str).unwrap_or_default();
        if id.bytes().any(|byte| byte.is_ascii_uppercase()) && self.bends("upper-case-refused") {
            return Err(self.refusal(400, "device ids are in lower case"));
        }
        Ok(())
    }

    /// What a device is stored under.
    fn name(&self, device: &[u8; 32], body: &[u8]) -> String {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let id = value.get("device_id").and_then(Value::as_str).unwrap_or_default();
        match id.bytes().any(|byte| byte.is_ascii_uppercase()) && self.bends("case-makes-two") {
            true => id.to_owned(),
            false => hex(device),
        }
    }

    fn is_signed(&self, publication: &Publication) -> bool {
        let Publication {
            device,
            payload,
            signature,
        } = publication;
        if rules::is_signed(device, payload, signature) {
            return true;
        }
        if self.bends("signature-unchecked") || *signature == [0; 64] && self.bends("signature-zero-taken") {
            return true;
        }
        let text = STANDARD.encode(payload);
        if rules::is_signed(device, text.as_bytes(), signature) && self.bends("signature-over-the-text") {
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
        if borrow == 0 && rules::is_signed(device, payload, &reduced) && self.bends("s-above-the-order-taken")
        {
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
        if self.has_published(&hex(device)) && self.bends("signature-checked-once") {
            return true;
        }
        let others = self.stored(Store::devices).unwrap_or_default();
        let by_other =
            |id: &String| rules::device(id).is_some_and(|key| rules::is_signed(&key, payload, signature));
        others.iter().any(by_other) && self.bends("signature-of-any-device")
    }

    /// What a server makes of a payload that looks into it.
    fn look_into(&self, payload: &[u8]) -> Result<(), Reply> {
        let time = payload.first_chunk().map(|first| u64::from_le_bytes(*first));
        let now = u64::try_from((self.clock)()).unwrap_or_default();
        if payload.is_empty() && self.bends("empty-payload-refused")
            || payload.len() < 8 && self.bends("short-payload-refused")
            || payload.len() > BODY_LIMIT_BYTES && self.bends("long-payload-refused")
            || time.is_some_and(|time| time > now) && self.bends("future-payload-refused")
        {
            return Err(self.refusal(400, "the payload is not liked"));
        }
        Ok(())
    }

    fn has_published(&self, device: &str) -> bool {
        let newest = self.stored(|store| store.get(Some(device), Which::Newest));
        newest.is_ok_and(|found| found.is_some())
    }

    fn add(&self, device: &str, bundle: &Bundle) -> Result<(), Reply> {
        let is_known = self.stored(|store| store.has(device, bundle))?;
        if is_known && self.bends("published-again-500") {
            return Err(self.refusal(500, "UNIQUE constraint failed"));
        }
        if is_known && self.bends("repeated-stays-old") {
            return Ok(());
        }
        self.stored(|store| store.add(device, bundle, (self.clock)()))?;
        if self.deviations.contains(&"cap-drops-the-newest")
            && self.stored(|store| store.keep_oldest(device, KEPT_PER_DEVICE))? > 0
        {
            self.fire("cap-drops-the-newest");
        }
        if self.deviations.contains(&"cap-over-all") && self.stored(|store| store.cap(KEPT_PER_DEVICE))? > 0 {
            self.fire("cap-over-all");
        }
        self.stored(|store| store.prune((self.clock)(), RETENTION_MS, KEPT_PER_DEVICE))
    }

    fn stored<T>(&self, work: impl FnOnce(&Store) -> rusqlite::Result<T>) -> Result<T, Reply> {
        work(&lock(&self.store)).map_err(|error| self.refusal(500, &error.to_string()))
    }

    fn fire(&self, name: &'static str) {
        *lock(&self.fired).entry(name).or_default() += 1;
    }

    fn refusal(&self, status: u16, why: &str) -> Reply {
        let typed = |content_type: &str, body: &str| Reply {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.as_bytes().to_vec(),
        };
        match () {
            () if self.bends("errors-as-text") => typed("text/plain", why),
            () if self.bends("errors-empty") => Reply {
                status,
                ..Reply::default()
            },
            () if self.bends("errors-as-html") => {
                typed("text/html", &format!("<h1>{status}</h1><p>{why}</p>"))
            }
            () => self.json(status, &json!({ "error": why })),
        }
    }

    fn json(&self, status: u16, body: &Value) -> Reply {
        let text = match self.bends("spaced-json") {
            true => format!("{body:#}\n"),
            false => body.to_string(),
        };
        let text = match text.contains('/') && self.bends("slashes-escaped") {
            true => text.replace('/', "\\/"),
            false => text,
        };
        let content_type = match self.bends("charset") {
            true => "application/json; charset=utf-8",
            false => "application/json",
        };
        Reply {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: text.into_bytes(),
        }
    }

    /// The refusal of a server that limits how many requests it takes.
    fn too_many(&self) -> Option<Reply> {
        if !self.deviations.contains(&"rate-limit") {
            return None;
        }
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        (before % REQUESTS_PER_REFUSAL == REQUESTS_PER_REFUSAL - 1).then(|| {
            self.fire("rate-limit");
            let mut reply = self.refusal(429, "too many requests");
            reply.headers.push(("retry-after", "1".to_owned()));
            reply
        })
    }

    fn not_allowed(&self, allowed: &str) -> Reply {
        let mut reply = self.refusal(405, "this method is not allowed here");
        if !self.bends("methods-without-allow") {
            reply.headers.push(("allow", allowed.to_owned()));
        }
        reply
    }
}

impl Handler for Registry {
    fn answer(&self, asked: &Asked) -> Reply {
        if let Some(refused) = self.too_many() {
            return refused;
        }
        let answered = match (asked.method.as_str(), asked.path.strip_prefix("/v0/keypackage")) {
            ("POST", Some("")) => self.publish(asked),
            (_, Some("")) => Err(self.not_allowed("POST")),
            (method, Some(rest)) if rest.starts_with('/') => match method {
                "HEAD" if self.bends("head-not-allowed") => Err(self.not_allowed("GET")),
                "GET" | "HEAD" => self.fetch(&rest[1..]),
                _ => Err(self.not_allowed("GET, HEAD")),
            },
            _ => Err(self.refusal(404, "there is no such route")),
        };
        answered.unwrap_or_else(|refused| refused)
    }

    fn fired(&self, name: &str) -> u64 {
        lock(&self.fired).get(name).copied().unwrap_or_default()
    }
}

/// Reads a publication that was written anew.
fn again(value: &Value) -> Result<Publication, String> {
    rules::read(value.to_string().as_bytes())
}

fn hex(device: &[u8; 32]) -> String {
    device.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
