//! What the objects API demands, as plain functions: nothing here knows of storage, of routes or of faults.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// How far `created` may be from now, seconds.
const CREATED_WITHIN_S: i64 = 300;

/// The order of the group, little endian (RFC 8032, 5.1).
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// One member of `Signature-Input`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) label: String,
    /// What stands between the parentheses.
    pub(super) components: String,
    pub(super) parameters: BTreeMap<String, String>,
    /// The list and its parameters as they were written.
    pub(super) written: String,
}

impl Input {
    fn number(&self, name: &str) -> Option<i64> {
        self.parameters.get(name)?.parse().ok()
    }
}

/// Splits at a character that stands outside of quotes, parentheses and colons.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    let (mut in_quotes, mut in_bytes, mut depth) = (false, false, 0_usize);
    for (index, character) in text.char_indices() {
        match character {
            '"' if !in_bytes => in_quotes = !in_quotes,
            ':' if !in_quotes => in_bytes = !in_bytes,
            '(' if !in_quotes => depth += 1,
            ')' if !in_quotes => depth = depth.saturating_sub(1),
            other if other == at && !in_quotes && !in_bytes && depth == 0 => {
                parts.push(&text[from..index]);
                from = index + other.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// Reads `Signature-Input`: labels with a list in parentheses and parameters.
///
/// # Errors
/// A member has no `=`, its value is no list, or the list is not closed.
pub(super) fn inputs(text: &str) -> Result<Vec<Input>, String> {
    let mut inputs = Vec::new();
    for member in split(text, ',') {
        let (label, value) = member
            .trim()
            .split_once('=')
            .ok_or("a member of Signature-Input has no value")?;
        let list = value
            .trim()
            .strip_prefix('(')
            .ok_or("a value of Signature-Input is no list")?;
        let (components, rest) = list
            .split_once(')')
            .ok_or("a list in Signature-Input is not closed")?;
        let named = split(rest, ';')
            .into_iter()
            .filter_map(|part| part.trim().split_once('='));
        inputs.push(Input {
            label: label.trim().to_owned(),
            components: components.to_owned(),
            written: value.trim().to_owned(),
            parameters: named
                .map(|(name, value)| (name.to_owned(), value.trim().trim_matches('"').to_owned()))
                .collect(),
        });
    }
    Ok(inputs)
}

/// Reads `Signature`: labels with bytes between colons, not decoded.
///
/// # Errors
/// A member has no `=`, or its value is not enclosed in colons.
pub(super) fn signatures(text: &str) -> Result<Vec<(String, String)>, String> {
    let read = |member: &str| {
        let (label, value) = member
            .trim()
            .split_once('=')
            .ok_or("a member of Signature has no value")?;
        let value = value
            .trim()
            .strip_prefix(':')
            .and_then(|value| value.strip_suffix(':'));
        let value = value.ok_or("a value of Signature is not enclosed in colons")?;
        Ok((label.trim().to_owned(), value.to_owned()))
    };
    text.split(',').map(read).collect()
}

/// The 64 bytes of a signature, in base64url without padding or in standard base64 with it.
pub(super) fn signature_bytes(text: &str) -> Option<[u8; 64]> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .or_else(|_| STANDARD.decode(text))
        .ok()?;
    bytes.try_into().ok()
}

/// The public key that a text stands for: base64url, standard base64, or hexadecimal digits.
pub(super) fn public_key(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = (text.len() == 64)
        .then(|| {
            text.chars()
                .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
                .collect()
        })
        .flatten();
    if let Some(digits) = digits {
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit))
            .collect();
        return bytes.try_into().ok();
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .or_else(|_| STANDARD.decode(text))
        .or_else(|_| base64::engine::general_purpose::URL_SAFE.decode(text));
    bytes.ok()?.try_into().ok()
}

/// The line that a client signs.
pub(super) fn signed_line(method: &str, scheme: &str, host: &str, path: &str, query: Option<&str>) -> String {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{} {scheme}://{host}{path}{query}", method.to_uppercase())
}

/// The parts of a request that a signature may cover.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) method: &'a str,
    pub(super) scheme: &'a str,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

/// The signature base of RFC 9421 for the components that a request itself has.
pub(super) fn rfc9421_base(input: &Input, parts: &Parts<'_>) -> String {
    let query = parts.query.map(|query| format!("?{query}")).unwrap_or_default();
    let lines = input.components.split(' ').map(|component| {
        let value = match component.trim_matches('"') {
            "@method" => parts.method.to_owned(),
            "@target-uri" => format!("{}://{}{}{query}", parts.scheme, parts.host, parts.path),
            "@authority" => parts.host.to_owned(),
            "@path" => parts.path.to_owned(),
            _ => String::new(),
        };
        format!("{component}: {value}\n")
    });
    let lines: String = lines.collect();
    format!("{lines}\"@signature-params\": {}", input.written)
}

/// The group order added to the S of a signature is taken away again; none where S was below it.
pub(super) fn reduced(signature: &[u8; 64]) -> Option<[u8; 64]> {
    let mut reduced = *signature;
    let mut borrow = 0_i16;
    for (byte, order) in reduced[32..].iter_mut().zip(GROUP_ORDER) {
        let left = i16::from(*byte) - i16::from(order) - borrow;
        *byte = u8::try_from(left & 0xff).ok()?;
        borrow = i16::from(left < 0);
    }
    (borrow == 0).then_some(reduced)
}

/// The first 64 bytes of a signature that has more.
pub(super) fn longer_signature(text: &str) -> Option<[u8; 64]> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .or_else(|_| STANDARD.decode(text))
        .ok()?;
    bytes.first_chunk().copied()
}

/// Whether a signature is this key's over a text (RFC 8032), strictly.
pub(super) fn verifies(key: &[u8; 32], text: &str, signature: &[u8; 64]) -> bool {
    let key = VerifyingKey::from_bytes(key);
    key.is_ok_and(|key| {
        key.verify_strict(text.as_bytes(), &Signature::from_bytes(signature))
            .is_ok()
    })
}

/// Whether it is one by whatever a lax verification takes: keys that are no points, and points of small order.
pub(super) fn verifies_laxly(key: &[u8; 32], text: &str, signature: &[u8; 64]) -> bool {
    let key = VerifyingKey::from_bytes(key);
    key.is_ok_and(|key| {
        key.verify(text.as_bytes(), &Signature::from_bytes(signature))
            .is_ok()
    })
}

/// Whether S is 0 and R is a point of small order.
pub(super) fn is_degenerate(signature: &[u8; 64]) -> bool {
    let (r, s) = signature.split_at(32);
    let point = <[u8; 32]>::try_from(r)
        .ok()
        .and_then(|r| VerifyingKey::from_bytes(&r).ok());
    s == [0; 32] && point.is_some_and(|point| point.is_weak())
}

/// Whether a signature has run out, or was made too far from now.
pub(super) fn is_out_of_time(input: &Input, now_s: i64) -> bool {
    let is_past = input.number("expires").is_some_and(|expires| expires < now_s);
    is_past || is_far(input, now_s)
}

/// Whether it was made too far from now.
pub(super) fn is_far(input: &Input, now_s: i64) -> bool {
    let created = input.number("created");
    created.is_some_and(|created| (created - now_s).abs() > CREATED_WITHIN_S)
}

/// Whether the algorithm that is named is another than Ed25519.
pub(super) fn is_other_alg(input: &Input) -> bool {
    input.parameters.get("alg").is_some_and(|alg| alg != "ed25519")
}

/// Whether a digest of the body that the client sent is another than the body's (RFC 9530, SHA-256).
pub(super) fn is_other_digest(header: &str, body: &[u8]) -> bool {
    let own = header
        .split(',')
        .find_map(|member| member.trim().strip_prefix("sha-256=:"));
    own.is_some_and(|digest| digest.trim_end_matches(':') != STANDARD.encode(Sha256::digest(body)))
}

/// A new object, read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Creation {
    pub(super) namespace: String,
    pub(super) key: Option<String>,
    pub(super) content: Value,
    pub(super) metadata: Option<Value>,
}

/// Reads what is to be created.
///
/// # Errors
/// A member is missing, or of another type.
pub(super) fn creation(body: &Value) -> Result<Creation, String> {
    let object = object(body)?;
    let namespace = object
        .get("namespace")
        .and_then(Value::as_str)
        .ok_or("namespace must be a string")?;
    let key = match object.get("key") {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key.clone()),
        Some(_) => return Err("key must be a string".to_owned()),
    };
    let (content, metadata) = replacement(body)?;
    Ok(Creation {
        namespace: namespace.to_owned(),
        key,
        content,
        metadata,
    })
}

/// Reads what is to take the place of an object's content, and of its metadata if it is sent.
///
/// # Errors
/// The content is no object, or the metadata is none.
pub(super) fn replacement(body: &Value) -> Result<(Value, Option<Value>), String> {
    let object = object(body)?;
    let content = object.get("content").filter(|content| content.is_object());
    let metadata = match object.get("metadata") {
        None | Some(Value::Null) => None,
        Some(metadata) if metadata.is_object() => Some(metadata.clone()),
        Some(_) => return Err("metadata must be an object".to_owned()),
    };
    Ok((content.ok_or("content must be an object")?.clone(), metadata))
}

fn object(body: &Value) -> Result<&Map<String, Value>, String> {
    body.as_object()
        .ok_or_else(|| "the body must be an object".to_owned())
}

/// Whether an object is one that a search asks for.
pub(super) fn is_found(namespace: &str, key: &str, wanted: Option<&str>, contains: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| wanted == namespace) && contains.is_none_or(|part| key.contains(part))
}

/// The parameters of a query, decoded.
pub(super) fn parameters(query: Option<&str>) -> BTreeMap<String, String> {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        })
        .collect()
}

/// A text with its escapes read.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether a percent sign is not followed by two hexadecimal digits.
pub(super) fn has_malformed_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|rest| !is_escape(rest))
}

/// Whether a text begins with two hexadecimal digits.
fn is_escape(rest: &str) -> bool {
    rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
}

/// A text without its malformed escapes.
pub(super) fn without_malformed_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        if is_escape(rest) {
            out.push('%');
            out.push_str(rest);
        } else {
            out.extend(rest.chars().skip(2));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    fn key() -> SigningKey {
        let mut seed = [0; 32];
        for (at, byte) in (0..).zip(seed.iter_mut()) {
            *byte = at;
        }
        SigningKey::from_bytes(&seed)
    }

    #[test]
    fn the_published_vectors_verify_over_the_one_line() {
        let public = public_key("A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg").unwrap();
        let digits = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        assert_eq!(Some(public), public_key(digits));
        assert_eq!(public, key().verifying_key().to_bytes());
        for (line, signature) in [
            (
                signed_line("post", "http", "127.0.0.1:8000", "/objects", None),
                "QNXBUiq__MMMTgP9PmpX385ospFyVAm8o4Wj4ABfG_BlGan_YGxaf9MxVDtdTwtNTouDsXNKoIuP6DCD76tADw",
            ),
            (
                signed_line("GET", "http", "127.0.0.1:8000", "/objects", Some("limit=10")),
                "9_usYuUTIM5yDnzewIrJhD5DLOiFHk3OnE0hBRLDx6OrVigxSsEGad16FZvQHm6Xz0rJkJZtFGxvdQHjhs35DA",
            ),
        ] {
            let signature = signature_bytes(signature).unwrap();
            assert!(verifies(&public, &line, &signature), "{line}");
            assert_eq!(key().sign(line.as_bytes()).to_bytes(), signature);
            assert!(!verifies(&public, &format!("{line}\n"), &signature));
        }
    }

    #[test]
    fn the_published_vector_of_rfc_9421_verifies_over_its_base() {
        let input = inputs(r#"sig1=("@method" "@target-uri");created=1700000000;keyid="sig1""#)
            .unwrap()
            .remove(0);
        let parts = Parts {
            method: "POST",
            scheme: "http",
            host: "127.0.0.1:8000",
            path: "/objects",
            query: None,
        };
        let text = "Xfi7t/HBLXUNF9l9fsuyIMX0aBLXgyFFp2NgA3j4G0DIs/C1og0xXYAvUdBF9KSX8n0ZSyE3VZjMTtOaqb8ZBQ==";
        let signature = signature_bytes(text).unwrap();
        assert!(verifies(
            &key().verifying_key().to_bytes(),
            &rfc9421_base(&input, &parts),
            &signature
        ));
        assert_eq!(reduced(&signature), None);
    }

    #[test]
    fn headers_are_read_and_what_is_none_is_refused() {
        let read = inputs(r#"a=();created=1;keyid="k, 1", b=("@method" "x");keyid="l""#).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].parameters["keyid"], "k, 1");
        assert_eq!(read[1].components, r#""@method" "x""#);
        for wrong in ["", "a", "a=b", "a=\"()\"", "a=(", "a=(;keyid=\"k\""] {
            assert!(inputs(wrong).is_err(), "{wrong}");
        }
        assert_eq!(signatures("a=:x:, b=:y:").unwrap().len(), 2);
        for wrong in ["", "a", "a=x", "a=:x", "a=x:"] {
            assert!(signatures(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn malformed_escapes_are_told_from_escapes() {
        for text in ["%", "a%zz", "a%2", "%41%4"] {
            assert!(has_malformed_escape(text), "{text}");
        }
        assert!(!has_malformed_escape("a%20b%C3%A9"));
        assert_eq!(without_malformed_escapes("a%zz%20b%"), "a%20b");
    }

    #[test]
    fn escapes_are_read() {
        let read = parameters(Some("a=b%20c+d&e=%C3%A9&f=%zz&g"));
        assert_eq!((read["a"].as_str(), read["e"].as_str()), ("b c d", "é"));
        assert_eq!((read["f"].as_str(), read["g"].as_str()), ("%zz", ""));
    }

    #[test]
    fn a_digest_is_held_against_the_body() {
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(b"x")));
        assert!(!is_other_digest(&digest, b"x") && is_other_digest(&digest, b"y"));
        assert!(!is_other_digest("md5=:eA==:", b"y"));
    }
}
