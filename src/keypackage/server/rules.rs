//! What the registry demands of a publication, as plain functions: nothing here knows of storage or faults.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use serde_json::Value;

use super::answer::Answer;
use super::store::Bundle;
use crate::serve::Asked;

/// A publication, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Publication {
    /// The device id as it was written.
    pub(super) id: String,
    /// The raw public key of the device.
    pub(super) device: [u8; 32],
    /// The payload.
    pub(super) payload: Vec<u8>,
    /// The device's signature over the payload.
    pub(super) signature: [u8; 64],
}

impl Publication {
    /// What is stored of it.
    pub(super) fn bundle(&self) -> Bundle {
        Bundle {
            payload: self.payload.clone(),
            signature: self.signature.to_vec(),
        }
    }
}

/// The body as it is written. A member that is missing, stands twice or is no string is refused.
#[derive(Deserialize)]
struct Body {
    device_id: String,
    payload: String,
    signature: String,
}

/// Reads the body of a publication: an object with three strings.
///
/// # Errors
/// What is wrong with it, for the client.
pub(super) fn read(body: &[u8]) -> Result<Publication, String> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON".to_owned())?;
    if !value.is_object() {
        return Err("the body is no object".to_owned());
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let device = device(&body.device_id).ok_or("device_id is not the hex of 32 bytes")?;
    let payload = STANDARD
        .decode(body.payload)
        .map_err(|_| "payload is not base64")?;
    let signature = STANDARD
        .decode(body.signature)
        .map_err(|_| "signature is not base64")?;
    let signature = signature.try_into().map_err(|_| "signature has not 64 bytes")?;
    Ok(Publication {
        id: body.device_id,
        device,
        payload,
        signature,
    })
}

/// The body of a publication, which has arrived whole.
///
/// # Errors
/// It is larger than the registry reads.
pub(super) fn body(asked: &Asked) -> Result<&[u8], Answer> {
    let body = asked.body.as_deref();
    body.ok_or_else(|| Answer::refused(413, "the body is too large"))
}

/// The text under which a device is stored: its key in lower-case hex.
pub(super) fn name(device: &[u8; 32]) -> String {
    device.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key that a device id names, in upper or lower case; none where it is not the hex of 32 bytes.
pub(super) fn device(id: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = id
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let bytes: Vec<u8> = digits?
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit))
        .collect();
    (id.len() == 64).then(|| bytes.try_into().ok()).flatten()
}

/// The name of the device that a device id stands for.
///
/// # Errors
/// It is no device id, so that nobody has published under it.
pub(super) fn named_device(id: &str) -> Result<String, Answer> {
    let key = device(id).ok_or_else(|| Answer::refused(404, "this is no device id"))?;
    Ok(name(&key))
}

/// Whether the device has signed what it publishes.
pub(super) fn is_signed(publication: &Publication) -> bool {
    holds(&publication.device, &publication.payload, &publication.signature)
}

/// Whether a signature is the device's over these bytes (RFC 8032). Keys and points of small order, keys that are not
/// encoded canonically and an S that is not below the group order are refused.
pub(super) fn holds(device: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    let key = VerifyingKey::from_bytes(device);
    key.is_ok_and(|key| {
        key.verify_strict(bytes, &Signature::from_bytes(signature))
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    const DEVICE: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

    fn vector() -> Value {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/schema/keypackage.vectors.json"
        ));
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_published_vector_is_signed_over_the_payload_and_not_over_its_text() {
        let mut vector = vector();
        let good = read(vector["publish"].to_string().as_bytes()).unwrap();
        assert!(is_signed(&good));
        vector["publish"]["signature"] = vector["signature_over_the_text"].clone();
        let bad = read(vector["publish"].to_string().as_bytes()).unwrap();
        assert!(!is_signed(&bad));
        let text = vector["publish"]["payload"].as_str().unwrap();
        assert!(holds(&bad.device, text.as_bytes(), &bad.signature));
    }

    #[test]
    fn the_published_vector_is_made_of_its_parts() {
        let vector = vector();
        let text = |name: &str| vector[name].as_str().unwrap();
        let key = SigningKey::from_bytes(&device(text("seed")).unwrap());
        let time = vector["timestamp_ms"].as_u64().unwrap().to_le_bytes();
        let payload = [&time[..], text("key_package").as_bytes()].concat();
        let digits: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, text("payload_hex"));
        let published = read(vector["publish"].to_string().as_bytes()).unwrap();
        assert_eq!(
            (published.device, &published.payload),
            (key.verifying_key().to_bytes(), &payload)
        );
        assert_eq!(published.signature, key.sign(&payload).to_bytes());
    }

    #[test]
    fn a_device_id_is_the_hex_of_32_bytes_in_any_case() {
        assert_eq!(device(DEVICE), device(&DEVICE.to_uppercase()));
        for wrong in [
            "",
            "03",
            &DEVICE[2..],
            &format!("{DEVICE}00"),
            &DEVICE.replace('0', "g"),
            &DEVICE.replace('0', "é"),
        ] {
            assert_eq!(device(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_publication_is_refused_with_a_reason() {
        for (body, why) in [
            ("", "not JSON"),
            ("[]", "no object"),
            ("{}", "missing field `device_id`"),
            (r#"{"device_id": null}"#, "expected a string"),
            (
                r#"{"device_id": "00", "device_id": "00"}"#,
                "duplicate field `device_id`",
            ),
            (
                r#"{"device_id": "00", "payload": "", "signature": ""}"#,
                "hex of 32 bytes",
            ),
        ] {
            assert!(read(body.as_bytes()).unwrap_err().contains(why), "{body}");
        }
    }
}
