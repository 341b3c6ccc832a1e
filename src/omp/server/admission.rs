//! Who is let in: what a mode makes of the two signature headers. The rules of signatures are plain functions; what was
//! decided goes through a method of the server that is named after it.

use jiff::Timestamp;

use super::Server;
use super::answer::Answer;
use super::rules::signatures::{self as rules, Input, Labels, Parts};
use super::settings::Mode;
use crate::serve::Asked;

/// What came of one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It is signed by the key that it names.
    Verifies,
    /// The key is known, and the signature is none of it that counts.
    Fails,
    /// The key is not known.
    UnknownKey,
}

/// Why a strict server does not let a request in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lack {
    /// Neither header is there.
    Unsigned,
    /// One of the two headers is there.
    OneHeader,
    /// A header cannot be read.
    Malformed(String),
    /// No label has both an input that names a key and a signature that is one.
    Unusable {
        /// An input names no key.
        is_nameless: bool,
        /// No label stands in both headers.
        is_crossed: bool,
    },
    /// No key that is named is known.
    UnknownKeys,
    /// No label verifies.
    Unverified,
    /// The body is not the one of the digest.
    OtherBody,
}

impl Lack {
    /// The refusal: 400 where the headers are no signature at all, 401 where there is none that counts.
    pub(super) fn answer(&self) -> Answer {
        let (status, why) = match self {
            Lack::Unsigned => (401, "Missing required signature"),
            Lack::OneHeader => (401, "one of the two headers is missing"),
            Lack::Malformed(why) => (400, why.as_str()),
            Lack::Unusable {
                is_nameless: false,
                is_crossed: false,
            } => (401, "there is no usable signature"),
            Lack::Unusable { .. } => (400, "there is no usable signature"),
            Lack::UnknownKeys => (401, "the key id is unknown"),
            Lack::Unverified => (401, "the signature does not verify"),
            Lack::OtherBody => (400, "the digest is not that of the body"),
        };
        Answer::refused(status, why)
    }
}

/// Lets a request in.
///
/// # Errors
/// The refusal.
pub(super) fn admit(server: &Server, asked: &Asked) -> Result<(), Answer> {
    match server.settings.mode {
        Mode::Off => server.unguarded(asked, Ok(())),
        Mode::Permissive => server.permitted(asked, permissive(asked)),
        Mode::Strict => server.admitted(asked, strict(server, asked)),
    }
}

/// Whether what is sent can be read: nothing need be sent, and nothing need verify.
fn permissive(asked: &Asked) -> Result<(), Answer> {
    match Labels::read(asked) {
        Ok(_) => Ok(()),
        Err(why) => Err(Answer::refused(400, &why)),
    }
}

/// Whether one label verifies, and the body is the one that was meant.
fn strict(server: &Server, asked: &Asked) -> Result<(), Lack> {
    let labels = server.labels(asked, labels(asked)?)?;
    let looks = looks(server, asked, &labels);
    if looks.is_empty() {
        return Err(Lack::Unusable {
            is_nameless: labels.is_nameless(),
            is_crossed: labels.is_crossed(),
        });
    }
    one_verifies(&server.looks(looks))?;
    let body = asked.body.as_deref().unwrap_or_default();
    match asked.header("content-digest") {
        Some(digest) if !rules::is_digest_of(&digest, body) => Err(Lack::OtherBody),
        _ => Ok(()),
    }
}

/// What the two headers say, which must both be there.
fn labels(asked: &Asked) -> Result<Labels, Lack> {
    match (asked.header("signature-input"), asked.header("signature")) {
        (None, None) => Err(Lack::Unsigned),
        (None, Some(_)) | (Some(_), None) => Err(Lack::OneHeader),
        (Some(_), Some(_)) => Labels::read(asked).map_err(Lack::Malformed),
    }
}

/// What comes of each label with a key id and 64 bytes of signature.
pub(super) fn looks(server: &Server, asked: &Asked, labels: &Labels) -> Vec<Look> {
    labels
        .pairs()
        .filter_map(|(input, text)| {
            let signature = server.signature(text, rules::signature_bytes(text))?;
            Some(look(server, asked, input, &signature))
        })
        .collect()
}

fn look(server: &Server, asked: &Asked, input: &Input, signature: &[u8; 64]) -> Look {
    let id = input.key_id().unwrap_or_default();
    let Some(key) = server.settings.keys.get(id) else {
        return Look::UnknownKey;
    };
    let host = asked.headers.iter().find(|(name, _)| name == "host");
    let host = server.host(asked, host.map(|(_, value)| value.as_str()).unwrap_or_default());
    let parts = parts(server, asked, &host);
    if !input.components.is_empty() {
        // What a client signs is one line, and covers no components.
        let uncovered = server.uncovered(&parts, key, signature, Look::Fails);
        return server.covering(input, &parts, key, signature, uncovered);
    }
    let now_s = Timestamp::now().as_second();
    let line = rules::signed_line(&parts);
    let is_signed = server.is_signed(id, key, &parts, signature, rules::verifies(key, &line, signature));
    let counts = is_signed
        && server.is_in_time(input, now_s, rules::is_in_time(input, now_s))
        && server.is_ed25519(input, rules::is_ed25519(input))
        && server.is_new(is_new(server, id, input));
    match counts {
        true => Look::Verifies,
        false => Look::Fails,
    }
}

/// Whether the nonce of a label, if it has one, is used for the first time.
fn is_new(server: &Server, id: &str, input: &Input) -> bool {
    let nonce = input.parameters.get("nonce");
    nonce.is_none_or(|nonce| server.store().use_nonce(id, server.nonce(nonce)))
}

/// One label that verifies suffices.
fn one_verifies(looks: &[Look]) -> Result<(), Lack> {
    match () {
        () if looks.contains(&Look::Verifies) => Ok(()),
        () if looks.iter().all(|look| *look == Look::UnknownKey) => Err(Lack::UnknownKeys),
        () => Err(Lack::Unverified),
    }
}

/// The parts of a request that a signature covers.
fn parts<'a>(server: &Server, asked: &'a Asked, host: &'a str) -> Parts<'a> {
    Parts {
        method: &asked.method,
        scheme: server.scheme,
        host,
        path: &asked.path,
        query: asked.query.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&str, &str)]) -> Asked {
        let owned = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Asked {
            headers: owned.collect(),
            ..Asked::default()
        }
    }

    #[test]
    fn one_label_that_verifies_suffices() {
        use Look::{Fails, UnknownKey, Verifies};
        assert_eq!(one_verifies(&[Fails, UnknownKey, Verifies]), Ok(()));
        assert_eq!(one_verifies(&[Fails, UnknownKey]), Err(Lack::Unverified));
        assert_eq!(one_verifies(&[UnknownKey, UnknownKey]), Err(Lack::UnknownKeys));
    }

    #[test]
    fn both_headers_must_be_there_and_be_read_to_a_strict_server() {
        let (input, signature) = (("signature-input", "a=();keyid=\"k\""), ("signature", "a=:x:"));
        assert_eq!(labels(&asked(&[])), Err(Lack::Unsigned));
        assert_eq!(labels(&asked(&[input])), Err(Lack::OneHeader));
        assert_eq!(labels(&asked(&[signature])), Err(Lack::OneHeader));
        assert!(labels(&asked(&[input, signature])).is_ok());
        let malformed = asked(&[input, ("signature", "a=x")]);
        assert!(matches!(labels(&malformed), Err(Lack::Malformed(_))));
        assert!(permissive(&asked(&[])).is_ok() && permissive(&asked(&[input])).is_ok());
        assert!(permissive(&malformed).is_err());
    }

    #[test]
    fn headers_that_are_no_signature_are_400_and_a_signature_that_does_not_count_401() {
        let unusable = |is_nameless, is_crossed| Lack::Unusable {
            is_nameless,
            is_crossed,
        };
        for (lack, status) in [
            (Lack::Unsigned, 401),
            (Lack::OneHeader, 401),
            (Lack::Malformed(String::new()), 400),
            (unusable(true, false), 400),
            (unusable(false, true), 400),
            (unusable(false, false), 401),
            (Lack::UnknownKeys, 401),
            (Lack::Unverified, 401),
            (Lack::OtherBody, 400),
        ] {
            assert_eq!(lack.answer().status, status, "{lack:?}");
        }
    }
}
