//! A signed claim: who stands for a report.
//!
//! The signature is Ed25519 (RFC 8032) over [`CONTEXT`] and the report in canonical JSON (RFC 8785), the claim itself left out. It
//! is over the text of the file and not over what this program reads of it, so that any program can check it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is signed begins with this, so that the signature is good for nothing else.
pub const CONTEXT: &[u8] = b"avp-conform report\n";
/// The member of a report that holds the claim.
const MEMBER: &str = "claim";
/// What the DER of an Ed25519 public key begins with (RFC 8410); 32 bytes of the key follow.
const PUBLIC_KEY_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Who stands for a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The Ed25519 public key of the signer: 32 bytes in standard base64.
    pub public_key: String,
    /// The signature: 64 bytes in standard base64.
    pub signature: String,
}

/// Why a claim is not good, or cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClaimError {
    /// The report is no JSON object.
    #[error("it is no JSON object")]
    NotAnObject,
    /// Nobody signed it.
    #[error("nobody signed it; `avp-conform sign` does")]
    Unsigned,
    /// The claim has another form.
    #[error("its claim cannot be read: {0}")]
    Unreadable(String),
    /// Report or claim were changed after the signature.
    #[error("its signature is wrong: the report is not the one that was signed, or another key signed it")]
    Wrong,
    /// The key cannot be used.
    #[error("{0}")]
    Key(String),
}

/// The public key of a signer, 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signer([u8; 32]);

impl Signer {
    /// Reads a public key: standard base64 of its 32 bytes, or PEM as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Signer, ClaimError> {
        let raw = match text.contains("-----BEGIN") {
            true => SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes())
                .ok()
                .and_then(|der| der.strip_prefix(&PUBLIC_KEY_HEAD[..]).map(<[u8]>::to_vec)),
            false => BASE64_STANDARD.decode(text.trim()).ok(),
        };
        let bytes: Option<[u8; 32]> = raw.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Signer).ok_or_else(|| {
            ClaimError::Key(
                "no Ed25519 public key: 32 bytes in base64, or PEM as `openssl pkey -pubout` writes it"
                    .to_owned(),
            )
        })
    }

    /// The key in standard base64, as it stands in a claim.
    pub fn base64(&self) -> String {
        BASE64_STANDARD.encode(self.0)
    }
}

/// Signs a report with a private key: PEM as `openssl genpkey -algorithm ed25519` writes it. A claim that is there already is
/// replaced.
///
/// # Errors
/// The key cannot be read, or the report is no JSON object.
pub fn sign(report: &mut Value, private_key_pem: &str) -> Result<Signer, ClaimError> {
    let unusable = || {
        ClaimError::Key(
            "no Ed25519 private key in PEM (PKCS #8), as `openssl genpkey -algorithm ed25519` writes it"
                .to_owned(),
        )
    };
    let der = PrivatePkcs8KeyDer::from_pem_slice(private_key_pem.as_bytes()).map_err(|_| unusable())?;
    // OpenSSL writes no public key beside the private one.
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| unusable())?;
    let members = report.as_object_mut().ok_or(ClaimError::NotAnObject)?;
    let signature = pair.sign(&signed(members)?);
    let key: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| unusable())?;
    let signer = Signer(key);
    members.insert(
        MEMBER.to_owned(),
        serde_json::json!({
            "public_key": signer.base64(),
            "signature": BASE64_STANDARD.encode(signature.as_ref()),
        }),
    );
    Ok(signer)
}

/// Who signed a report, where the signature is good.
///
/// # Errors
/// There is no claim, or it is not good.
pub fn signer(report: &Value) -> Result<Signer, ClaimError> {
    let members = report.as_object().ok_or(ClaimError::NotAnObject)?;
    let claim = members.get(MEMBER).ok_or(ClaimError::Unsigned)?;
    let unreadable = ClaimError::Unreadable;
    let claim = Claim::deserialize(claim).map_err(|error| unreadable(error.to_string()))?;
    let signer = Signer::parse(&claim.public_key).map_err(|error| unreadable(error.to_string()))?;
    let signature = BASE64_STANDARD
        .decode(&claim.signature)
        .map_err(|error| unreadable(format!("the signature is not base64: {error}")))?;
    UnparsedPublicKey::new(&ED25519, &signer.0)
        .verify(&signed(members)?, &signature)
        .map_err(|_| ClaimError::Wrong)?;
    Ok(signer)
}

/// The bytes that are signed: of all members but the claim.
fn signed(members: &Map<String, Value>) -> Result<Vec<u8>, ClaimError> {
    let rest: BTreeMap<&String, &Value> = members.iter().filter(|(name, _)| *name != MEMBER).collect();
    let canonical = serde_json_canonicalizer::to_vec(&rest)
        .map_err(|error| ClaimError::Unreadable(format!("the report has no canonical form: {error}")))?;
    Ok([CONTEXT, &canonical].concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The first key pair of RFC 8032, section 7.1.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn a_signed_report_is_good_in_any_order_of_its_members_and_changed_it_is_not() {
        let mut report = json!({ "verdict": "conformant", "format": 1, "cases": [{ "id": "a", "n": 10 }] });
        assert_eq!(signer(&report), Err(ClaimError::Unsigned));
        let signed_by = sign(&mut report, PRIVATE).unwrap();
        assert_eq!(signed_by.base64(), PUBLIC);
        assert_eq!(Signer::parse(PUBLIC), Ok(signed_by));
        assert_eq!(Signer::parse(PUBLIC_PEM), Ok(signed_by));
        assert_eq!(signer(&report), Ok(signed_by));
        let other_order = json!({
            "claim": report["claim"], "cases": [{ "n": 10, "id": "a" }], "format": 1, "verdict": "conformant",
        });
        assert_eq!(signer(&other_order), Ok(signed_by));
        for change in [
            json!({ "verdict": "nonconformant" }),
            json!({ "cases": [] }),
            json!({ "more": null }),
        ] {
            let mut changed = report.clone();
            changed
                .as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
            assert_eq!(signer(&changed), Err(ClaimError::Wrong), "{change}");
        }
        // Signed again, the former claim counts for nothing.
        let claim = report["claim"].clone();
        sign(&mut report, PRIVATE).unwrap();
        assert_eq!(report["claim"], claim);
    }

    /// Made by OpenSSL 3: `openssl pkeyutl -sign -rawin` over the bytes `avp-conform report\n{"a":1,"b":"é"}`.
    #[test]
    fn another_program_makes_the_same_signature() {
        let mut report = json!({ "b": "é", "a": 1 });
        sign(&mut report, PRIVATE).unwrap();
        assert_eq!(report["claim"]["signature"], OPENSSL);
    }

    const OPENSSL: &str =
        "Vmk3d7kDPrWnyww5ai/MCQOE7c4FCxe4lTfk8HcIfw10a44UkTWQhxhpHJkRBSkN3Kwhbsbcx+YLfSq7x461Dg==";

    #[test]
    fn what_is_no_key_and_no_claim_is_told() {
        for text in [
            "",
            "AAAA",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        ] {
            assert!(Signer::parse(text).is_err(), "{text}");
        }
        let mut report = json!({});
        for pem in ["", PUBLIC_PEM] {
            assert!(matches!(sign(&mut report, pem), Err(ClaimError::Key(_))), "{pem}");
        }
        assert_eq!(sign(&mut json!([]), PRIVATE), Err(ClaimError::NotAnObject));
        for claim in [
            json!(null),
            json!({ "public_key": PUBLIC }),
            json!({ "public_key": "AAAA", "signature": "" }),
            json!({ "public_key": PUBLIC, "signature": "!" }),
        ] {
            let found = signer(&json!({ "claim": claim }));
            assert!(
                matches!(found, Err(ClaimError::Unreadable(_))),
                "{claim}: {found:?}"
            );
        }
        let short = json!({ "claim": { "public_key": PUBLIC, "signature": "AAAA" } });
        assert_eq!(signer(&short), Err(ClaimError::Wrong));
    }
}
