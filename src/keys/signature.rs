//! Signatures over a challenge nonce: the right one, and named ways to get it wrong.

use std::fmt;

use ed25519_dalek::SigningKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512};

use super::encoding::{EncodingError, decode, decode_array, encode, hex};
use super::identity::Identity;
use super::primitives::{ed25519_verify, hkdf_sha256};

/// What is put into the `signature` field of a token request. Only [`SignatureForm::Valid`] has to be accepted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureForm {
    /// As the protocol says: Ed25519 over the raw nonce bytes, base64.
    #[default]
    Valid,
    /// The classic mistake: a good signature, over the base64 text of the nonce.
    OverBase64Text,
    /// A good signature over other bytes: the nonce with one bit flipped.
    OverOtherBytes,
    /// A good signature over the SHA-256 of the nonce.
    OverDigest,
    /// A good signature over nothing at all.
    OverNothing,
    /// A good signature over the nonce in hexadecimal digits.
    OverHexText,
    /// A good signature over the base64 text of the nonce without its padding.
    OverUnpaddedText,
    /// A good signature over the nonce in the URL-safe base64 without padding that JWTs have.
    OverUrlSafeText,
    /// A good signature over the signer's public key and the nonce behind it.
    OverKeyAndNonce,
    /// A good signature over the first 32 bytes of the nonce; the valid one where it has no more.
    OverHead,
    /// The valid signature with one bit flipped in its first half, R.
    BitFlipped,
    /// The valid signature with one bit flipped in its second half, S.
    BitFlippedInS,
    /// The valid signature with the group order added to S: RFC 8032 section 5.1.7 calls it invalid, sloppy verifiers
    /// take it.
    SPlusL,
    /// 64 zero bytes.
    Zeros,
    /// The valid signature without its last byte: 63 bytes.
    Truncated,
    /// The valid signature and a zero byte: 65 bytes.
    Extended,
    /// The empty string.
    Empty,
    /// Text that no base64 decoder takes; those that skip what they do not know make a signature of it that does not hold.
    NotBase64,
    /// A valid signature in the URL-safe alphabet; it always holds a `-` or a `_`.
    UrlSafeBase64,
    /// The valid signature without the padding.
    Unpadded,
    /// The valid signature with an unused bit of the last base64 character set.
    TrailingBits,
    /// The valid signature with a line break in the base64 text.
    LineWrapped,
    /// The valid signature in hexadecimal digits.
    Hex,
}

impl SignatureForm {
    /// Every form, the valid one first.
    pub const ALL: [SignatureForm; 23] = [
        SignatureForm::Valid,
        SignatureForm::OverBase64Text,
        SignatureForm::OverOtherBytes,
        SignatureForm::OverDigest,
        SignatureForm::OverNothing,
        SignatureForm::OverHexText,
        SignatureForm::OverUnpaddedText,
        SignatureForm::OverUrlSafeText,
        SignatureForm::OverKeyAndNonce,
        SignatureForm::OverHead,
        SignatureForm::BitFlipped,
        SignatureForm::BitFlippedInS,
        SignatureForm::SPlusL,
        SignatureForm::Zeros,
        SignatureForm::Truncated,
        SignatureForm::Extended,
        SignatureForm::Empty,
        SignatureForm::NotBase64,
        SignatureForm::UrlSafeBase64,
        SignatureForm::Unpadded,
        SignatureForm::TrailingBits,
        SignatureForm::LineWrapped,
        SignatureForm::Hex,
    ];

    /// The form as case files write it: `over-base64-text`.
    pub fn name(self) -> &'static str {
        match self {
            SignatureForm::Valid => "valid",
            SignatureForm::OverBase64Text => "over-base64-text",
            SignatureForm::OverOtherBytes => "over-other-bytes",
            SignatureForm::OverDigest => "over-digest",
            SignatureForm::OverNothing => "over-nothing",
            SignatureForm::OverHexText => "over-hex-text",
            SignatureForm::OverUnpaddedText => "over-unpadded-text",
            SignatureForm::OverUrlSafeText => "over-url-safe-text",
            SignatureForm::OverKeyAndNonce => "over-key-and-nonce",
            SignatureForm::OverHead => "over-head",
            SignatureForm::BitFlipped => "bit-flipped",
            SignatureForm::BitFlippedInS => "bit-flipped-in-s",
            SignatureForm::SPlusL => "s-plus-l",
            SignatureForm::Zeros => "zeros",
            SignatureForm::Truncated => "truncated",
            SignatureForm::Extended => "extended",
            SignatureForm::Empty => "empty",
            SignatureForm::NotBase64 => "not-base64",
            SignatureForm::UrlSafeBase64 => "url-safe-base64",
            SignatureForm::Unpadded => "unpadded",
            SignatureForm::TrailingBits => "trailing-bits",
            SignatureForm::LineWrapped => "line-wrapped",
            SignatureForm::Hex => "hex",
        }
    }
}

impl fmt::Display for SignatureForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text of the `signature` field for a nonce, in the form asked for.
///
/// # Errors
///
/// A nonce that is not standard base64 with padding; its length does not matter.
pub fn sign_nonce(
    identity: &Identity,
    nonce_b64: &str,
    form: SignatureForm,
) -> Result<String, EncodingError> {
    let nonce = decode("nonce", nonce_b64)?;
    let valid = identity.sign(&nonce);
    Ok(match form {
        SignatureForm::Valid => encode(&valid),
        SignatureForm::OverBase64Text => encode(&identity.sign(nonce_b64.as_bytes())),
        SignatureForm::OverOtherBytes => encode(&identity.sign(&other_bytes(nonce))),
        SignatureForm::OverDigest => encode(&identity.sign(&Sha256::digest(&nonce))),
        SignatureForm::OverNothing => encode(&identity.sign(b"")),
        SignatureForm::OverHexText => encode(&identity.sign(hex(&nonce).as_bytes())),
        SignatureForm::OverUnpaddedText => encode(&identity.sign(nonce_b64.trim_end_matches('=').as_bytes())),
        SignatureForm::OverUrlSafeText => encode(&identity.sign(as_url_safe(nonce_b64).as_bytes())),
        SignatureForm::OverKeyAndNonce => {
            let key = decode("ed25519PublicKey", identity.member_id())?;
            encode(&identity.sign(&[key, nonce].concat()))
        }
        SignatureForm::OverHead => encode(&identity.sign(&nonce[..nonce.len().min(32)])),
        SignatureForm::BitFlipped => encode(&flipped(valid, 0)),
        SignatureForm::BitFlippedInS => encode(&flipped(valid, 32)),
        SignatureForm::SPlusL => encode(&s_plus_l(valid)),
        SignatureForm::Zeros => encode(&[0; 64]),
        SignatureForm::Truncated => encode(&valid[..63]),
        SignatureForm::Extended => encode(&[&valid[..], &[0]].concat()),
        SignatureForm::Empty => String::new(),
        SignatureForm::NotBase64 => not_base64(&encode(&valid)),
        SignatureForm::UrlSafeBase64 => url_safe(identity, &nonce),
        SignatureForm::Unpadded => encode(&valid).replace('=', ""),
        SignatureForm::TrailingBits => with_trailing_bits(&encode(&valid)),
        SignatureForm::LineWrapped => line_wrapped(&encode(&valid)),
        SignatureForm::Hex => hex(&valid),
    })
}

/// The order of the group, 2^252 + 27742317777372353535851937790883648493, little-endian.
const GROUP_ORDER: [u8; 32] = [
    0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The bytes with one bit flipped; one byte for none.
fn other_bytes(mut bytes: Vec<u8>) -> Vec<u8> {
    match bytes.first_mut() {
        Some(first) => *first ^= 1,
        None => bytes.push(0),
    }
    bytes
}

fn flipped(mut signature: [u8; 64], at: usize) -> [u8; 64] {
    signature[at] ^= 1;
    signature
}

/// A signature with the group order added to its S: as good to whoever does not look whether S is below it (RFC 8032, 5.1.7). S is
/// below 2^253, so the sum fits.
pub fn s_plus_l(mut signature: [u8; 64]) -> [u8; 64] {
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(GROUP_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = (sum & 0xFF) as u8;
        carry = sum >> 8;
    }
    signature
}

/// A valid signature whose base64 needs the two characters in which the alphabets differ, in the URL-safe one.
///
/// About one signature in 15 needs neither and would be the same text in both. RFC 8032 makes a signature
/// deterministic, yet verifies any: other prefixes for the secret number give other valid signatures.
fn url_safe(identity: &Identity, nonce: &[u8]) -> String {
    let key = SigningKey::from_bytes(&identity.secrets()[0]);
    let mut expanded = ExpandedSecretKey::from(key.as_bytes());
    let differs = |text: &String| text.contains(['+', '/']);
    let signatures = (0..=u8::MAX).map(|attempt| {
        expanded.hash_prefix = hkdf_sha256(key.as_bytes(), b"", &[attempt]);
        let signature = raw_sign::<Sha512>(&expanded, nonce, &key.verifying_key());
        encode(&signature.to_bytes())
    });
    let standard = signatures.into_iter().find(differs).unwrap_or_default();
    in_url_alphabet(&standard)
}

/// Base64 text in the URL-safe alphabet and without its padding.
fn as_url_safe(base64: &str) -> String {
    in_url_alphabet(base64.trim_end_matches('='))
}

fn in_url_alphabet(base64: &str) -> String {
    base64.replace('+', "-").replace('/', "_")
}

/// 64 bytes leave four unused bits in the last character before `==`; the lowest is set.
fn with_trailing_bits(base64: &str) -> String {
    let end = base64.trim_end_matches('=').len();
    let last = match base64.as_bytes().get(end.wrapping_sub(1)) {
        Some(b'A') => "B",
        Some(b'Q') => "R",
        Some(b'g') => "h",
        _ => "x",
    };
    format!("{}{last}==", &base64[..end.saturating_sub(1)])
}

/// Upper and lower case swapped, and exclamation marks for the padding.
fn not_base64(text: &str) -> String {
    let swapped = |c: char| match c {
        '=' => '!',
        c if c.is_ascii_lowercase() => c.to_ascii_uppercase(),
        c => c.to_ascii_lowercase(),
    };
    text.chars().map(swapped).collect()
}

/// A line break after 76 characters, as MIME encoders write it.
fn line_wrapped(base64: &str) -> String {
    let (first, rest) = base64.split_at(76);
    format!("{first}\r\n{rest}")
}

/// Whether an Ed25519 signature is valid, key and signature in base64.
///
/// Strict: what is not canonical base64 of 32 and 64 bytes, a key or an R of small order, a key that is not encoded
/// canonically and an S that is not below the group order are refused.
pub fn verify_ed25519(public_key_b64: &str, message: &[u8], signature_b64: &str) -> bool {
    let key = decode_array("ed25519PublicKey", public_key_b64);
    let signature = decode_array("signature", signature_b64);
    matches!((key, signature), (Ok(key), Ok(signature)) if ed25519_verify(&key, message, &signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Seed;
    use base64::Engine as _;
    use base64::alphabet::STANDARD;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    /// A decoder that does not mind padding or trailing bits.
    const LAX: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );

    /// What a nonce is made of: its base64 differs between the alphabets.
    const OF: u8 = 0xfb;

    fn alice() -> Identity {
        Identity::derive(&Seed::from_bytes([1; 32]), &["alice"])
    }

    fn nonce(of: u8) -> String {
        encode(&[of; 40])
    }

    fn signed(form: SignatureForm) -> String {
        sign_nonce(&alice(), &nonce(OF), form).unwrap()
    }

    #[test]
    fn only_the_valid_form_verifies() {
        for form in SignatureForm::ALL {
            let verified = verify_ed25519(alice().member_id(), &[OF; 40], &signed(form));
            assert_eq!(verified, form == SignatureForm::Valid, "{form}");
        }
    }

    #[test]
    fn all_forms_differ_and_are_named_as_serde_names_them() {
        let texts: std::collections::HashSet<_> = SignatureForm::ALL.map(signed).into();
        assert_eq!(texts.len(), SignatureForm::ALL.len());
        for form in SignatureForm::ALL {
            assert_eq!(serde_json::to_value(form).unwrap(), form.name());
        }
    }

    #[test]
    fn signatures_over_something_else_are_good_ones() {
        let verifies = |message: &[u8], form| verify_ed25519(alice().member_id(), message, &signed(form));
        let mut other = [OF; 40];
        other[0] ^= 1;
        assert!(verifies(nonce(OF).as_bytes(), SignatureForm::OverBase64Text));
        assert!(verifies(&other, SignatureForm::OverOtherBytes));
        assert!(verifies(&Sha256::digest([OF; 40]), SignatureForm::OverDigest));
        assert!(verifies(b"", SignatureForm::OverNothing));
        assert!(verifies(&[OF; 32], SignatureForm::OverHead));
        assert!(verifies("fb".repeat(40).as_bytes(), SignatureForm::OverHexText));
        let unpadded = nonce(OF).trim_end_matches('=').to_owned();
        assert!(verifies(unpadded.as_bytes(), SignatureForm::OverUnpaddedText));
        let url_safe = BASE64_URL_SAFE_NO_PAD.encode([OF; 40]);
        assert!(verifies(url_safe.as_bytes(), SignatureForm::OverUrlSafeText));
        let key = decode("test", alice().member_id()).unwrap();
        assert!(verifies(
            &[&key[..], &[OF; 40]].concat(),
            SignatureForm::OverKeyAndNonce
        ));
    }

    #[test]
    fn spoiled_encodings_hold_a_good_signature() {
        let valid = decode("test", &signed(SignatureForm::Valid)).unwrap();
        let lax = |form| LAX.decode(signed(form).replace("\r\n", "")).unwrap();
        for form in [
            SignatureForm::Unpadded,
            SignatureForm::TrailingBits,
            SignatureForm::LineWrapped,
        ] {
            assert_eq!(lax(form), valid, "{form}");
        }
        assert_eq!(lax(SignatureForm::Truncated).len(), 63);
        assert_eq!(lax(SignatureForm::Extended).len(), 65);
        assert!(LAX.decode(signed(SignatureForm::NotBase64)).is_err());
        assert_eq!(signed(SignatureForm::Hex), hex(&valid));
    }

    #[test]
    fn the_url_safe_form_always_shows_and_is_a_good_signature() {
        for of in 0..100 {
            let text = sign_nonce(&alice(), &nonce(of), SignatureForm::UrlSafeBase64).unwrap();
            assert!(text.contains(['-', '_']), "{text}");
            let standard = text.replace('-', "+").replace('_', "/");
            assert!(verify_ed25519(alice().member_id(), &[of; 40], &standard));
        }
    }

    #[test]
    fn s_plus_l_is_the_same_scalar() {
        use ed25519_dalek::Signature;
        let valid: [u8; 64] = decode("test", &signed(SignatureForm::Valid))
            .unwrap()
            .try_into()
            .unwrap();
        let altered: [u8; 64] = decode("test", &signed(SignatureForm::SPlusL))
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!(valid[..32], altered[..32]);
        let mut borrow = 0;
        for at in 0..32 {
            let difference = 256 + i16::from(altered[32 + at]) - i16::from(GROUP_ORDER[at]) - borrow;
            assert_eq!((difference & 0xFF) as u8, valid[32 + at]);
            borrow = 1 - (difference >> 8);
        }
        assert_eq!(borrow, 0);
        assert_ne!(Signature::from_bytes(&valid), Signature::from_bytes(&altered));
    }

    #[test]
    fn a_nonce_of_any_length_is_signed_and_one_that_is_not_base64_is_refused() {
        for nonce in ["", "AA==", &encode(&[1; 1000])] {
            for form in SignatureForm::ALL {
                assert!(sign_nonce(&alice(), nonce, form).is_ok());
            }
        }
        let error = sign_nonce(&alice(), "-_-_", SignatureForm::Valid).unwrap_err();
        assert!(error.to_string().contains("URL-safe"));
    }
}
