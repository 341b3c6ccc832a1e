//! What the relay and the witness sign: canonical JSON under a domain tag, hashed with SHA-256 and signed with Ed25519.

use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::keys::encoding::hex;
use crate::keys::primitives::{ed25519_key_pair, ed25519_public_key, ed25519_sign};

/// The tag of an envelope.
pub(super) const RELAY_TAG: &str = "attesto.local_vault.relay";
/// The tag of a receipt's statement.
pub(super) const WITNESS_TAG: &str = "attesto.v2.witness";
/// The tag of the evidence of a fork.
pub(super) const FORK_TAG: &str = "attesto.v2.fork";

/// An object with its hash and its signature, in lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) hash: String,
    pub(super) signature: String,
    pub(super) public_key: String,
}

/// JSON in UTF-8 without white space, members in the order of their code points.
pub(super) fn canonical(value: &Value) -> Vec<u8> {
    sorted(value).to_string().into_bytes()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            let member = |name: &String| (name.clone(), sorted(&members[name]));
            Value::Object(names.into_iter().map(member).collect::<Map<_, _>>())
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The bytes that are hashed and signed.
pub(super) fn preimage(tag: &str, canonical: &[u8]) -> Vec<u8> {
    [tag.as_bytes(), &[0], canonical].concat()
}

/// Signs bytes by a seed: what is hashed, and what is signed.
pub(super) fn sign(seed: &[u8; 32], hashed: &[u8], signed: &[u8]) -> Signed {
    let pair = ed25519_key_pair(seed);
    Signed {
        hash: sha256(hashed),
        signature: hex(&ed25519_sign(&pair, signed)),
        public_key: hex(&ed25519_public_key(&pair)),
    }
}

/// A time as it is signed: `2026-01-02T03:04:05.678Z`.
pub(super) fn time(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seed() -> [u8; 32] {
        std::array::from_fn(|at| u8::try_from(at).unwrap())
    }

    fn signed(tag: &str, value: &Value) -> Signed {
        let preimage = preimage(tag, &canonical(value));
        sign(&seed(), &preimage, &preimage)
    }

    #[test]
    fn the_published_vectors_come_out() {
        let payload =
            json!({"note": "Grüße 🗝", "amount": 1200, "ok": true, "tags": ["b", "a"], "none": null});
        let canon = canonical(&payload);
        assert_eq!(
            String::from_utf8(canon.clone()).unwrap(),
            r#"{"amount":1200,"none":null,"note":"Grüße 🗝","ok":true,"tags":["b","a"]}"#
        );
        assert_eq!(canon.len(), 76);
        let digest = "c6e1c4f8c4f62fb7981c948dcf6b841087bcffe198bfe3b30c5aa543bade4080";
        assert_eq!(sha256(&canon), digest);
        let envelope = json!({
            "protocol": "ATTESTO-LOCAL-VAULT-001", "protocol_version": "0.1", "installation_id": "lvi_test0001",
            "stream_id": "str_1", "source_ref": "invoice-42", "event_id": "lv_000102030405060708090a0b0c0d0e0f",
            "payload_sha256": digest, "payload_size": 76, "attempt": 1,
            "created_at": "2026-01-02T03:04:05.678Z", "signed_at": "2026-01-02T03:04:06.789Z",
        });
        assert_eq!(preimage(RELAY_TAG, &canonical(&envelope)).len(), 410);
        let done = signed(RELAY_TAG, &envelope);
        assert_eq!(
            done.hash,
            "cbffba779715dc0d68d5f0fa50aecdcca5105d3a09a35c9d49882d57e851a051"
        );
        assert_eq!(
            done.signature,
            "fa393b46ba7884b9b3dbd3f9b6be48c48c9bc2d2303048dbba4769bee80695ce\
             80b337200bae508f28c6c8d796f4ac267746dc4a0b90dcfab070e90c72a9e60f"
        );
        assert_eq!(
            done.public_key,
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
        );
    }

    #[test]
    fn a_time_has_three_digits_of_a_second() {
        assert_eq!(time(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
        assert_eq!(time(1_767_323_045_000), "2026-01-02T03:04:05.000Z");
    }
}
