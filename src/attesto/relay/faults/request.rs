//! What goes wrong in the request: payload, envelope, hash, signature, headers, body.

use reqwest::Method;
use serde_json::{Map, Value};

use super::super::Habits;
use super::super::delivery::Posted;
use super::super::envelope::{Signed, WITNESS_TAG, canonical, preimage, sha256, time};
use super::super::spool::Item;
use crate::keys::encoding::hex;

/// The canonical form of a payload.
pub(in super::super) fn canonical_payload(habits: &Habits, canon: Vec<u8>) -> Vec<u8> {
    let is_ascii = canon.is_ascii();
    if habits.is("payload-escaped") && !is_ascii && habits.has("payload-escaped") {
        return escaped(&String::from_utf8_lossy(&canon)).into_bytes();
    }
    let text = String::from_utf8_lossy(&canon);
    let is_html = text.contains(['<', '>', '&']);
    if is_html && habits.has("payload-escaped-for-html") {
        let escaped = text.replace('<', "\\u003c").replace('>', "\\u003e");
        return escaped.replace('&', "\\u0026").into_bytes();
    }
    if habits.is("names-of-digits-first")
        && let Some(turned) = digits_first(&text)
        && turned != text
    {
        habits.fire("names-of-digits-first");
        return turned.into_bytes();
    }
    canon
}

/// An object whose members with names of digits come first, in the order of their numbers.
fn digits_first(canon: &str) -> Option<String> {
    let members: Map<String, Value> = serde_json::from_str(canon).ok()?;
    let mut names: Vec<&String> = members.keys().collect();
    names.sort_by_key(|name| (name.parse::<u32>().unwrap_or(u32::MAX), (*name).clone()));
    let member = |name: &String| format!("{}:{}", Value::from(name.as_str()), members[name]);
    let members: Vec<String> = names.into_iter().map(member).collect();
    Some(format!("{{{}}}", members.join(",")))
}

/// The text with everything beyond ASCII as `\u` and four digits.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character.is_ascii() {
            true => out.push(character),
            false => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

/// The length of a canonical payload.
pub(in super::super) fn size(habits: &Habits, canon: &[u8]) -> i64 {
    let counts_characters = habits.is("payload-size-in-characters") && !canon.is_ascii();
    let size = match counts_characters && habits.has("payload-size-in-characters") {
        true => String::from_utf8_lossy(canon).chars().count(),
        false => canon.len(),
    };
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The id of an event.
pub(in super::super) fn event_id(habits: &Habits, plain: String) -> String {
    match habits.has("event-id-of-another-form") {
        true => format!("evt:{}", &sha256(plain.as_bytes())[..24]),
        false => plain,
    }
}

/// The envelope of an attempt.
pub(in super::super) fn envelope(habits: &Habits, envelope: Value, item: &Item) -> Value {
    let Value::Object(mut members) = envelope else {
        return envelope;
    };
    if habits.has("member-missing") {
        members.remove("payload_size");
    }
    if habits.has("protocol-version-wrong") {
        members.insert("protocol_version".to_owned(), "0.2".into());
    }
    if habits.has("stream-is-the-reference") {
        members.insert("stream_id".to_owned(), item.source.as_str().into());
    }
    if habits.has("installation-left-out") {
        members.insert("installation_id".to_owned(), "".into());
    }
    if habits.has("times-without-milliseconds") {
        for name in ["created_at", "signed_at"] {
            let short = members[name].as_str().map(|text| format!("{}Z", &text[..19]));
            members.insert(name.to_owned(), short.into());
        }
    }
    if item.attempts > 1 {
        again(habits, &mut members, item);
    }
    if habits.has("envelope-has-more") {
        members.insert("site".to_owned(), "north".into());
    }
    Value::Object(members)
}

/// What goes wrong from the second attempt on.
fn again(habits: &Habits, members: &mut Map<String, Value>, item: &Item) {
    if habits.has("attempt-not-counted") {
        members.insert("attempt".to_owned(), 1.into());
    }
    if habits.has("event-id-of-each-attempt") {
        let event = format!("lv_{}", hex(&rand::random::<[u8; 16]>()));
        members.insert("event_id".to_owned(), event.into());
    }
    if habits.has("envelope-sent-again") {
        members.insert("attempt".to_owned(), 1.into());
        members.insert("signed_at".to_owned(), time(item.created_ms).into());
    }
    if habits.has("created-at-of-each-attempt") {
        members.insert("created_at".to_owned(), members["signed_at"].clone());
    }
}

/// What is hashed, and what is signed.
pub(in super::super) fn signs(habits: &Habits, envelope: &Value, plain: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    if habits.has("hash-without-tag") {
        return (canonical(envelope), plain);
    }
    if habits.has("hash-of-the-body") {
        return (envelope.to_string().into_bytes(), plain);
    }
    if habits.has("signature-over-the-hash") {
        let signs = sha256(&plain).into_bytes();
        return (plain, signs);
    }
    if !plain.is_ascii() && habits.has("envelope-escaped") {
        let escaped = escaped(&String::from_utf8_lossy(&plain)).into_bytes();
        return (escaped.clone(), escaped);
    }
    if habits.has("signature-under-another-tag") {
        return (plain, preimage(WITNESS_TAG, &canonical(envelope)));
    }
    if habits.has("signature-over-unsorted-json") {
        let signs = preimage(super::super::envelope::RELAY_TAG, envelope.to_string().as_bytes());
        return (plain, signs);
    }
    (plain.clone(), plain)
}

/// The seed that signs.
pub(in super::super) fn signing_key(habits: &Habits, configured: [u8; 32]) -> [u8; 32] {
    match habits.has("signing-key-made-up") {
        true => rand::random(),
        false => configured,
    }
}

/// Hash and signature as they are sent.
pub(in super::super) fn signed(habits: &Habits, mut signed: Signed) -> Signed {
    if habits.has("canary") {
        signed.signature = "0".repeat(128);
    }
    if habits.has("hash-in-upper-case") {
        signed.hash = signed.hash.to_uppercase();
    }
    signed
}

/// The body.
pub(in super::super) fn body(habits: &Habits, body: &Value) -> Vec<u8> {
    let mut body = body.clone();
    if habits.is("payload-without-nulls")
        && let Some(payload) = body["payload"].as_object_mut()
        && payload.values().any(Value::is_null)
    {
        habits.fire("payload-without-nulls");
        payload.retain(|_, value| !value.is_null());
    }
    if habits.is("payload-as-text") && habits.has("payload-as-text") {
        body["payload"] = body["payload"].to_string().into();
    }
    let is_large = body["payload"].to_string().len() > 32 << 10;
    if is_large && habits.has("large-payload-left-out") {
        body["payload"] = Value::Object(Map::new());
    }
    let is_empty = body["payload"].as_object().is_some_and(Map::is_empty);
    if is_empty && habits.has("empty-payload-as-null") {
        body["payload"] = Value::Null;
    }
    if habits.has("body-spaced") {
        return serde_json::to_vec_pretty(&body).unwrap_or_default();
    }
    if habits.has("body-escaped") {
        return escaped(&body.to_string()).into_bytes();
    }
    body.to_string().into_bytes()
}

/// The request as it goes out.
pub(in super::super) fn posted(habits: &Habits, mut posted: Posted, seed: &[u8; 32]) -> Posted {
    if habits.has("method-put") {
        posted.method = Method::PUT;
    }
    if habits.has("path-dropped") {
        posted.endpoint.set_path("/");
    }
    if habits.has("content-type-text") {
        posted.headers[0].1 = "text/plain".to_owned();
    }
    if habits.has("content-type-with-charset") {
        posted.headers[0].1 = "application/json; charset=utf-8".to_owned();
    }
    if habits.has("public-key-left-out") {
        posted.headers.retain(|(name, _)| !name.ends_with("Public-Key"));
    }
    if habits.has("signing-key-in-a-header") {
        posted.headers.push(("X-Debug".to_owned(), hex(seed)));
    }
    if habits.has("further-headers") {
        posted
            .headers
            .push(("User-Agent".to_owned(), "local-vault/2.0.1".to_owned()));
        posted
            .headers
            .push(("Idempotency-Key".to_owned(), sha256(&posted.body)));
    }
    posted
}
