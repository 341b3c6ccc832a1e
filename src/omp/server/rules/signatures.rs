//! What is demanded of a signature, and how the headers are read that carry it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::serve::Asked;

/// How far `created` may be from now, seconds.
const CREATED_WITHIN_S: i64 = 300;

/// One member of `Signature-Input`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::omp::server) struct Input {
    pub(in crate::omp::server) label: String,
    /// What stands between the parentheses.
    pub(in crate::omp::server) components: String,
    pub(in crate::omp::server) parameters: BTreeMap<String, String>,
    /// The list and its parameters as they were written.
    pub(in crate::omp::server) written: String,
}

impl Input {
    /// The id of the key that is said to have signed.
    pub(in crate::omp::server) fn key_id(&self) -> Option<&str> {
        self.parameters.get("keyid").map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.parameters.get(name)?.parse().ok()
    }
}

/// What the two headers say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::omp::server) struct Labels {
    /// The members of `Signature-Input`.
    pub(in crate::omp::server) inputs: Vec<Input>,
    /// The members of `Signature`: a label, and the text of its bytes.
    pub(in crate::omp::server) signatures: Vec<(String, String)>,
}

impl Labels {
    /// Reads the headers that are there.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(in crate::omp::server) fn read(asked: &Asked) -> Result<Labels, String> {
        let inputs = asked.header("signature-input").map(|text| inputs(&text));
        let signatures = asked.header("signature").map(|text| signatures(&text));
        Ok(Labels {
            inputs: inputs.transpose()?.unwrap_or_default(),
            signatures: signatures.transpose()?.unwrap_or_default(),
        })
    }

    /// The inputs that name a key, each with the text of the signature under its label.
    pub(in crate::omp::server) fn pairs(&self) -> impl Iterator<Item = (&Input, &str)> {
        self.inputs
            .iter()
            .filter(|input| input.key_id().is_some())
            .filter_map(|input| Some((input, self.signature(&input.label)?)))
    }

    /// Whether an input names no key.
    pub(in crate::omp::server) fn is_nameless(&self) -> bool {
        self.inputs.iter().any(|input| input.key_id().is_none())
    }

    /// Whether no label stands in both headers.
    pub(in crate::omp::server) fn is_crossed(&self) -> bool {
        !self
            .inputs
            .iter()
            .any(|input| self.signature(&input.label).is_some())
    }

    fn signature(&self, label: &str) -> Option<&str> {
        let own = self.signatures.iter().find(|(other, _)| other == label);
        own.map(|(_, text)| text.as_str())
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
pub(in crate::omp::server) fn inputs(text: &str) -> Result<Vec<Input>, String> {
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
pub(in crate::omp::server) fn signatures(text: &str) -> Result<Vec<(String, String)>, String> {
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
pub(in crate::omp::server) fn signature_bytes(text: &str) -> Option<[u8; 64]> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .or_else(|_| STANDARD.decode(text))
        .ok()?;
    bytes.try_into().ok()
}

/// The public key that a text stands for: base64url, standard base64, or hexadecimal digits.
pub(in crate::omp::server) fn public_key(text: &str) -> Option<[u8; 32]> {
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
        .or_else(|_| URL_SAFE.decode(text));
    bytes.ok()?.try_into().ok()
}

/// The parts of a request that a signature may cover.
#[derive(Debug, Clone, Copy)]
pub(in crate::omp::server) struct Parts<'a> {
    pub(in crate::omp::server) method: &'a str,
    pub(in crate::omp::server) scheme: &'a str,
    pub(in crate::omp::server) host: &'a str,
    pub(in crate::omp::server) path: &'a str,
    pub(in crate::omp::server) query: Option<&'a str>,
}

/// The line that a client signs.
pub(in crate::omp::server) fn signed_line(parts: &Parts<'_>) -> String {
    let query = parts.query.map(|query| format!("?{query}")).unwrap_or_default();
    let method = parts.method.to_uppercase();
    format!("{method} {}://{}{}{query}", parts.scheme, parts.host, parts.path)
}

/// Whether a signature is this key's over a text (RFC 8032), strictly.
pub(in crate::omp::server) fn verifies(key: &[u8; 32], text: &str, signature: &[u8; 64]) -> bool {
    let key = VerifyingKey::from_bytes(key);
    key.is_ok_and(|key| {
        key.verify_strict(text.as_bytes(), &Signature::from_bytes(signature))
            .is_ok()
    })
}

/// Whether a signature has not run out, and was made about now.
pub(in crate::omp::server) fn is_in_time(input: &Input, now_s: i64) -> bool {
    let is_past = input.number("expires").is_some_and(|expires| expires < now_s);
    !is_past && !is_far(input, now_s)
}

/// Whether it was made too far from now.
pub(in crate::omp::server) fn is_far(input: &Input, now_s: i64) -> bool {
    let created = input.number("created");
    created.is_some_and(|created| (created - now_s).abs() > CREATED_WITHIN_S)
}

/// Whether the algorithm is Ed25519, as it is unless another is named.
pub(in crate::omp::server) fn is_ed25519(input: &Input) -> bool {
    input.parameters.get("alg").is_none_or(|alg| alg == "ed25519")
}

/// Whether a digest that the client sent is that of the body (RFC 9530, SHA-256). Other digests are not looked at.
pub(in crate::omp::server) fn is_digest_of(header: &str, body: &[u8]) -> bool {
    let own = header
        .split(',')
        .find_map(|member| member.trim().strip_prefix("sha-256=:"));
    own.is_none_or(|digest| digest.trim_end_matches(':') == STANDARD.encode(Sha256::digest(body)))
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

    fn parts<'a>(method: &'a str, query: Option<&'a str>) -> Parts<'a> {
        Parts {
            method,
            scheme: "http",
            host: "127.0.0.1:8000",
            path: "/objects",
            query,
        }
    }

    #[test]
    fn the_published_vectors_verify_over_the_one_line() {
        let public = public_key("A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg").unwrap();
        let digits = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
        assert_eq!(Some(public), public_key(digits));
        assert_eq!(public, key().verifying_key().to_bytes());
        for (line, signature) in [
            (
                signed_line(&parts("post", None)),
                "QNXBUiq__MMMTgP9PmpX385ospFyVAm8o4Wj4ABfG_BlGan_YGxaf9MxVDtdTwtNTouDsXNKoIuP6DCD76tADw",
            ),
            (
                signed_line(&parts("GET", Some("limit=10"))),
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
    fn a_digest_is_held_against_the_body() {
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(b"x")));
        assert!(is_digest_of(&digest, b"x") && !is_digest_of(&digest, b"y"));
        assert!(is_digest_of("md5=:eA==:", b"y"));
    }

    #[test]
    fn a_signature_is_of_its_time_and_of_its_algorithm() {
        let input = |parameters: &str| inputs(&format!("a=();{parameters}")).unwrap().remove(0);
        let in_time = |parameters: &str| is_in_time(&input(parameters), 1000);
        assert!(
            in_time("created=700") && in_time("created=1300") && in_time("expires=1000") && in_time("x=1")
        );
        assert!(!in_time("created=699") && !in_time("created=1301") && !in_time("expires=999"));
        assert!(is_ed25519(&input("x=1")) && !is_ed25519(&input("alg=\"hmac\"")));
    }

    #[test]
    fn labels_are_paired_where_they_name_a_key_and_stand_in_both_headers() {
        let labels = |input: &str, signature: &str| Labels {
            inputs: inputs(input).unwrap(),
            signatures: signatures(signature).unwrap(),
        };
        let good = labels("a=();keyid=\"k\", b=();keyid=\"l\"", "b=:y:, a=:x:");
        let pairs: Vec<(Option<&str>, &str)> =
            good.pairs().map(|(input, text)| (input.key_id(), text)).collect();
        assert_eq!(pairs, [(Some("k"), "x"), (Some("l"), "y")]);
        assert!(!good.is_nameless() && !good.is_crossed());
        let crossed = labels("a=();keyid=\"k\"", "b=:y:");
        assert!(crossed.is_crossed() && crossed.pairs().next().is_none());
        let nameless = labels("a=()", "a=:x:");
        assert!(nameless.is_nameless() && nameless.pairs().next().is_none());
    }
}
