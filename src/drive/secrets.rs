//! Takes secrets out of a transcript before anybody sees it: tokens, live signatures, private keys, plaintext.
//!
//! The same secret gets the same placeholder throughout a case, so that judging a stored transcript again comes to the
//! same verdicts. Judging happens after this, so the judge sees what every reader of a report sees.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::prelude::{
    BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD, Engine as _,
};

use crate::protocol::encode_segment;
use crate::wire::{Body, Exchange, Outcome};

/// Secrets shorter than this are hidden only where they stand as a whole value: anything else would tear texts apart.
const SHORTEST: usize = 8;

/// How a placeholder for plaintext that a server must never have begins; the judge looks for it in answers.
pub const PLAINTEXT_MARK: &str = "[plaintext:";
/// How a placeholder for a private key begins.
pub const PRIVATE_KEY_MARK: &str = "[private-key:";
/// How a placeholder for a signature begins.
pub const SIGNATURE_MARK: &str = "[signature:";

/// The secrets of one case.
#[derive(Default)]
pub(super) struct Secrets {
    needles: Vec<String>,
    placeholders: Vec<String>,
    /// Each token, and what it is called where it is used.
    tokens: Vec<(String, String)>,
    signatures: usize,
}

impl Secrets {
    /// A token that the target handed out.
    pub(super) fn token(&mut self, actor: &str, text: &str) {
        if self.tokens.iter().any(|(known, _)| known == text) {
            return;
        }
        let name = format!("[token:{actor}:{}]", self.tokens.len() + 1);
        self.add(text.to_owned(), &name);
        self.add_forms(text.as_bytes(), &name);
        self.tokens.push((text.to_owned(), name));
    }

    /// The placeholder of a token.
    pub(super) fn placeholder(&self, text: &str) -> &str {
        let found = self.tokens.iter().find(|(known, _)| known == text);
        found.map_or("[token]", |(_, name)| name)
    }

    /// A configured header, which a target may send back.
    pub(super) fn header(&mut self, name: &str, value: &str) {
        let placeholder = format!("[header:{name}]");
        self.add_forms(value.as_bytes(), &placeholder);
        for word in value.split(' ') {
            self.add(word.to_owned(), &placeholder);
        }
        self.add(value.to_owned(), &placeholder);
    }

    /// A signature over a nonce that may still be live, as it stands in the request.
    pub(super) fn signature(&mut self, text: &str) {
        if text.len() >= SHORTEST && !self.needles.iter().any(|known| known == text) {
            self.signatures += 1;
            let placeholder = format!("{SIGNATURE_MARK}{}]", self.signatures);
            self.add(text.to_owned(), &placeholder);
        }
    }

    /// Both private keys of an actor.
    pub(super) fn private_keys(&mut self, actor: &str, keys: &[[u8; 32]]) {
        for key in keys {
            self.add_forms(key, &format!("{PRIVATE_KEY_MARK}{actor}]"));
        }
    }

    /// A secret that stands only in plaintext payloads, which no server can read.
    pub(super) fn plaintext(&mut self, secret: &str) {
        let placeholder = format!("{PLAINTEXT_MARK}{}]", self.needles.len());
        self.add_forms(secret.as_bytes(), &placeholder);
        self.add(secret.to_owned(), &placeholder);
    }

    /// Puts placeholders wherever a secret stands in what was sent or came back.
    pub(super) fn hide(&self, exchanges: &mut [Exchange]) {
        // Made for each case and used on a few kilobytes: a table of every state by every byte would cost more than it saves.
        let Ok(finder) = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::NoncontiguousNFA))
            .build(&self.needles)
        else {
            unreachable!("plain strings of a few kilobytes make a finder");
        };
        for exchange in exchanges {
            self.hide_text(&finder, &mut exchange.request.path);
            if let Some(body) = &mut exchange.request.body {
                self.hide_body(&finder, body);
            }
            match &mut exchange.outcome {
                Outcome::Failure(failure) => self.hide_text(&finder, &mut failure.message),
                Outcome::Answer(answer) => {
                    self.hide_body(&finder, &mut answer.body);
                    answer
                        .headers
                        .iter_mut()
                        .for_each(|(_, value)| self.hide_text(&finder, value));
                }
            }
        }
    }

    fn hide_text(&self, finder: &AhoCorasick, text: &mut String) {
        if finder.is_match(text.as_str()) {
            *text = finder.replace_all(text, &self.placeholders);
        }
    }

    fn hide_body(&self, finder: &AhoCorasick, body: &mut Body) {
        if finder.is_match(body.as_bytes()) {
            *body = Body::from(finder.replace_all_bytes(body.as_bytes(), &self.placeholders));
        }
    }

    /// The encodings in which a leak is usually found.
    fn add_forms(&mut self, secret: &[u8], placeholder: &str) {
        self.add(BASE64_STANDARD.encode(secret), placeholder);
        self.add(BASE64_STANDARD_NO_PAD.encode(secret), placeholder);
        self.add(BASE64_URL_SAFE.encode(secret), placeholder);
        self.add(BASE64_URL_SAFE_NO_PAD.encode(secret), placeholder);
        self.add(
            secret.iter().map(|byte| format!("{byte:02x}")).collect(),
            placeholder,
        );
        self.add(
            secret.iter().map(|byte| format!("{byte:02X}")).collect(),
            placeholder,
        );
        if let Ok(text) = std::str::from_utf8(secret) {
            self.add(encode_segment(text), placeholder);
        }
    }

    fn add(&mut self, needle: String, placeholder: &str) {
        if needle.len() >= SHORTEST {
            self.needles.push(needle);
            self.placeholders.push(placeholder.to_owned());
        }
    }
}
