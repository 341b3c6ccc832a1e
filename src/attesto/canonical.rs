//! What is hashed and signed, as the harness works it out: it shares nothing with the reference relay.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use serde_json::Value;

/// The tag of an envelope.
pub(super) const RELAY_TAG: &str = "attesto.local_vault.relay";
/// The tag of a receipt's statement.
pub(super) const WITNESS_TAG: &str = "attesto.v2.witness";
/// The tag of the evidence of a fork.
pub(super) const FORK_TAG: &str = "attesto.v2.fork";

/// JSON in UTF-8 without white space, members in the order of their code points, every character as itself that JSON lets be.
pub(super) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => quote(text, out),
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(value, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let sorted: BTreeMap<Vec<char>, &Value> = members
                .iter()
                .map(|(name, value)| (name.chars().collect(), value))
                .collect();
            out.push('{');
            for (at, (name, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quote(&name.into_iter().collect::<String>(), out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Number(number) => match crate::json::integer(number) {
            Some(integer) => out.push_str(&integer.to_string()),
            None => out.push_str(&number.to_string()),
        },
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Null => out.push_str("null"),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                // To write to a string does not fail.
                let _written = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The bytes that are hashed and signed: the tag, a zero byte, the canonical form.
pub(super) fn preimage(tag: &str, canonical: &str) -> Vec<u8> {
    format!("{tag}\0{canonical}").into_bytes()
}

/// SHA-256 in lower-case hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest(&SHA256, bytes).as_ref() {
        let _written = write!(text, "{byte:02x}");
    }
    text
}

/// The hash of an object under a tag.
pub(super) fn hash(tag: &str, value: &Value) -> String {
    sha256(&preimage(tag, &canonical(value)))
}

/// The bytes of lower-case hexadecimal digits; none of anything else.
pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(is_hex) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::keys::primitives::ed25519_verify;

    const KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

    fn verifies(tag: &str, value: &Value, signature: &str) -> bool {
        let signature = from_hex::<64>(signature).unwrap();
        ed25519_verify(
            &from_hex(KEY).unwrap(),
            &preimage(tag, &canonical(value)),
            &signature,
        )
    }

    #[test]
    fn the_published_envelope_is_hashed_and_verified() {
        let payload =
            json!({"note": "Grüße 🗝", "amount": 1200, "ok": true, "tags": ["b", "a"], "none": null});
        let digest = "c6e1c4f8c4f62fb7981c948dcf6b841087bcffe198bfe3b30c5aa543bade4080";
        assert_eq!(sha256(canonical(&payload).as_bytes()), digest);
        let envelope = json!({
            "protocol": "ATTESTO-LOCAL-VAULT-001", "protocol_version": "0.1", "installation_id": "lvi_test0001",
            "stream_id": "str_1", "source_ref": "invoice-42", "event_id": "lv_000102030405060708090a0b0c0d0e0f",
            "payload_sha256": digest, "payload_size": 76, "attempt": 1,
            "created_at": "2026-01-02T03:04:05.678Z", "signed_at": "2026-01-02T03:04:06.789Z",
        });
        assert_eq!(
            hash(RELAY_TAG, &envelope),
            "cbffba779715dc0d68d5f0fa50aecdcca5105d3a09a35c9d49882d57e851a051"
        );
        assert!(verifies(
            RELAY_TAG,
            &envelope,
            "fa393b46ba7884b9b3dbd3f9b6be48c48c9bc2d2303048dbba4769bee80695ce\
             80b337200bae508f28c6c8d796f4ac267746dc4a0b90dcfab070e90c72a9e60f"
        ));
    }

    #[test]
    fn the_published_statement_and_evidence_are_hashed_and_verified() {
        let (one, two) = ("11".repeat(32), "22".repeat(32));
        let statement = json!({
            "accepted_at": "2026-01-02T03:04:05.678Z", "checkpoint_hash": one, "checkpoint_id": "chk_1",
            "checkpoint_seq_no": 1, "key_epoch": "kid-1", "previous_checkpoint_hash": null,
            "protocol": "ATTESTO-PROOFSTREAM-001", "protocol_version": "0.1-alpha", "stream_id": "str_1",
            "tenant_id": "ten_1", "witness_id": "lvi_test0001",
        });
        assert_eq!(
            hash(WITNESS_TAG, &statement),
            "145f453c430d1ab999e86378ac08c7a562599723bc1f10d38316a11e7cc99853"
        );
        assert!(verifies(
            WITNESS_TAG,
            &statement,
            "92812e286955c68247e1a730ecfe998fe14e990113fddce702d53cc85585ba52\
             af6cd7ac79f6e8afc8b5ed997b055c99c415145063e11298f5299a8341d5af0c"
        ));
        let evidence = json!({
            "created_at": "2026-01-02T03:05:05.000Z", "last_checkpoint_hash": one, "last_checkpoint_id": "chk_1",
            "last_checkpoint_seq_no": 1, "protocol": "ATTESTO-PROOFSTREAM-001", "protocol_version": "0.1-alpha",
            "reason": "conflicting-checkpoint", "stream_id": "str_1", "submitted_checkpoint_hash": two,
            "submitted_checkpoint_id": "chk_x", "submitted_checkpoint_seq_no": 1,
            "submitted_previous_checkpoint_hash": null, "tenant_id": "ten_1", "witness_id": "lvi_test0001",
        });
        assert_eq!(
            hash(FORK_TAG, &evidence),
            "2ec73461003d19f3e115d748fb5f15607daa2401d1443083d885e4c3d14c46fe"
        );
        assert!(verifies(
            FORK_TAG,
            &evidence,
            "099b6adbcde456cbe818c7569764ad771937c9e16775a0d2270c8025a4f32457\
             010dc343698e39a66a2bd57f559a2a7bff05a0912d8682547a43f72b9826a908"
        ));
    }

    #[test]
    fn control_characters_are_escaped_and_nothing_else() {
        let value = json!({"b": "\u{1}\u{1f}\u{7f}\u{2028}/\u{8}\u{c}\n\r\t\"\\", "a": [-3, {}, []]});
        assert_eq!(
            canonical(&value),
            "{\"a\":[-3,{},[]],\"b\":\"\\u0001\\u001f\u{7f}\u{2028}/\\b\\f\\n\\r\\t\\\"\\\\\"}"
        );
    }
}
