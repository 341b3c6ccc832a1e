//! Takes secrets out of a transcript before anybody sees it: tokens, live signatures, private keys, plaintext.
//!
//! The same secret gets the same placeholder throughout a case, so that judging a stored transcript again comes to the
//! same verdicts. Judging happens after this, so the judge sees what every reader of a report sees. What one case was
//! given may come back in another: [`hide_across`] looks for that when all cases are done.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::{fmt, thread};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};

use super::replacer::Finder;
use crate::http::{Body, Exchange, Outcome};
use crate::record::CaseRecord;
use crate::record::transcript::{
    PLAINTEXT_MARK, PRIVATE_KEY_MARK, Read, SIGNATURE_MARK, TOKEN_MARK, Transcript,
};
use crate::text::encode_segment;

/// Secrets shorter than this are hidden only where they stand as a whole value: anything else would tear texts apart.
const SHORTEST_SECRET_BYTES: usize = 8;
/// Secrets of other cases shorter than this may be what this case was given as well.
const SHORTEST_FOREIGN_SECRET_BYTES: usize = 20;

/// One form of a secret and what comes in its place, which all its forms share.
type Needle = (Box<[u8]>, Arc<str>);

/// The secrets of one case.
#[derive(Default)]
pub struct Secrets {
    /// The secrets themselves.
    bare: Vec<Needle>,
    /// Every form in which they are looked for.
    needles: Vec<Needle>,
    /// Tokens and signatures by their text.
    known: HashMap<String, Arc<str>>,
    tokens: usize,
    signatures: usize,
}

/// The secrets of a case with their placeholders, for looking through what other cases were served.
#[derive(Clone, Default, PartialEq)]
pub struct LiveSecrets(Vec<Needle>);

impl fmt::Debug for LiveSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveSecrets({})", self.0.len())
    }
}

impl Secrets {
    /// A token that the target handed out.
    pub fn token(&mut self, actor: &str, text: &str) {
        if text.is_empty() || self.known.contains_key(text) {
            return;
        }
        self.tokens += 1;
        let placeholder = format!("{TOKEN_MARK}{actor}:{}]", self.tokens).into();
        self.add_text(text, &placeholder);
    }

    /// The placeholder of a token.
    pub fn placeholder(&self, text: &str) -> &str {
        self.known.get(text).map_or("[token]", |it| &**it)
    }

    /// What goes out in place of a token and tells most of it; `shown` is how that is written down.
    pub fn variant(&mut self, text: &str, shown: &str) {
        if text.len() >= SHORTEST_SECRET_BYTES && !self.known.contains_key(text) {
            self.add_text(text, &format!("[{shown}]").into());
        }
    }

    /// A configured header, which a target may send back.
    pub fn header(&mut self, name: &str, value: &str) {
        let placeholder = format!("[header:{name}]").into();
        self.add_forms(value.as_bytes(), &placeholder);
        for word in value.split(' ') {
            self.add(word.as_bytes(), &placeholder);
            self.bare.push((word.as_bytes().into(), Arc::clone(&placeholder)));
        }
    }

    /// A signature over a nonce that may still be live, as it stands in the request.
    pub fn signature(&mut self, text: &str) {
        if text.len() >= SHORTEST_SECRET_BYTES && !self.known.contains_key(text) {
            self.signatures += 1;
            let placeholder = format!("{SIGNATURE_MARK}{}]", self.signatures).into();
            if let Ok(bytes) = BASE64_STANDARD.decode(text) {
                self.add_forms(&bytes, &placeholder);
            }
            self.add_text(text, &placeholder);
        }
    }

    /// Both private keys of an actor.
    pub fn private_keys(&mut self, actor: &str, keys: &[[u8; 32]]) {
        let placeholder = format!("{PRIVATE_KEY_MARK}{actor}]").into();
        for key in keys {
            self.add_forms(key, &placeholder);
            // A PEM file begins with something else.
            self.add_within(key, 1..3, &placeholder);
        }
    }

    /// A text that stands only in plaintext payloads, which no server can read.
    pub fn plaintext(&mut self, mark: &str) {
        let placeholder = format!("{PLAINTEXT_MARK}{}]", self.needles.len()).into();
        self.add_forms(mark.as_bytes(), &placeholder);
        self.add_within(mark.as_bytes(), 0..3, &placeholder);
    }

    /// The base64 of a secret in the middle of something longer, which depends on how many bytes stand before it.
    fn add_within(&mut self, secret: &[u8], before: Range<usize>, placeholder: &Arc<str>) {
        for before in before {
            let shifted = [&[0; 3][..before], secret].concat();
            let (first, end) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
            let text = BASE64_STANDARD.encode(&shifted);
            self.add(&text.as_bytes()[first..end], placeholder);
        }
    }

    /// Forgets tokens and signatures, which somebody wants to see.
    pub fn show_live(&mut self) {
        for list in [&mut self.bare, &mut self.needles] {
            list.retain(|(_, placeholder)| !was_sent(placeholder));
        }
    }

    /// Puts placeholders wherever a secret stands in what was sent, what came back, and what is said about it.
    pub fn hide(&self, transcript: &mut Transcript) {
        let finder = finder(&self.needles);
        let replace = |bytes: &[u8]| finder.replace(bytes);
        for (at, exchange) in transcript.exchanges.iter_mut().enumerate() {
            let mut unread = Read::default();
            let read = transcript.read.get_mut(at).unwrap_or(&mut unread);
            hide_in_exchange(exchange, read, &replace);
        }
        if let Some(stopped) = &mut transcript.stopped {
            hide_in_text(&mut stopped.reason, &replace);
        }
    }

    /// What another case must not be seen to be served of this one. Plaintext is left out: it is much, and it went nowhere.
    pub fn live(&self, case: &str) -> LiveSecrets {
        let mut live: Vec<Needle> = Vec::new();
        let mut named = (Arc::from(""), Arc::from(""));
        for (secret, placeholder) in &self.bare {
            if placeholder.starts_with(PLAINTEXT_MARK) {
                continue;
            }
            if !Arc::ptr_eq(&named.0, placeholder) {
                // Not the marks that the judge goes by: it was the case's own secrets that were looked for.
                let name = placeholder.split(']').next().unwrap_or_default();
                let name = format!("[{case}: {}]", name.trim_start_matches('['));
                named = (Arc::clone(placeholder), name.into());
            }
            live.push((secret.clone(), Arc::clone(&named.1)));
        }
        LiveSecrets(live)
    }

    /// A secret that is text, as it is and in other forms.
    fn add_text(&mut self, text: &str, placeholder: &Arc<str>) {
        self.known.insert(text.to_owned(), Arc::clone(placeholder));
        if text.len() < SHORTEST_SECRET_BYTES {
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            let needle = quoted(text).into_bytes().into();
            self.needles.push((needle, quoted(placeholder).into()));
            return;
        }
        self.add_forms(text.as_bytes(), placeholder);
    }

    /// A secret in all its forms.
    fn add_forms(&mut self, secret: &[u8], placeholder: &Arc<str>) {
        self.bare.push((secret.into(), Arc::clone(placeholder)));
        forms(secret, |form| self.add(form, placeholder));
    }

    fn add(&mut self, needle: &[u8], placeholder: &Arc<str>) {
        if needle.len() >= SHORTEST_SECRET_BYTES {
            self.needles.push((needle.into(), Arc::clone(placeholder)));
        }
    }
}

/// The bytes and the encodings in which a leak is usually found.
///
/// Many forms of a secret are the same, or one of them begins with another; each is given once.
fn forms(secret: &[u8], mut give: impl FnMut(&[u8])) {
    give(secret);
    let hex: String = secret
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect();
    give(hex.to_uppercase().as_bytes());
    give(hex.as_bytes());
    // A base64 text: without its padding, as it is, and with the padding escaped as in a path.
    let mut give_base64 = |text: &str| {
        let bare = text.trim_end_matches('=');
        give(bare.as_bytes());
        if bare != text {
            give(text.as_bytes());
            give(text.replace('=', "%3D").as_bytes());
        }
    };
    let base64 = BASE64_STANDARD.encode(secret);
    give_base64(&base64);
    if base64.contains(['+', '/']) {
        give_base64(&BASE64_URL_SAFE.encode(secret));
        give(encode_segment(&base64).as_bytes());
    }
    let text = std::str::from_utf8(secret).unwrap_or_default();
    let escaped = encode_segment(text);
    if escaped != text {
        give(escaped.to_lowercase().as_bytes());
        give(escaped.as_bytes());
    }
}

/// Whether a placeholder is that of a secret which travels: not of a key or of plaintext, which no server has.
fn was_sent(placeholder: &str) -> bool {
    !placeholder.starts_with(PRIVATE_KEY_MARK) && !placeholder.starts_with(PLAINTEXT_MARK)
}

/// A finder of secrets.
fn finder<'a>(needles: impl IntoIterator<Item = &'a Needle>) -> Finder<'a> {
    Finder::new(
        needles
            .into_iter()
            .map(|(needle, placeholder)| (&**needle, &**placeholder)),
    )
}

/// Puts placeholders where a case was served what only another case was given. Judging is over by then: what a check says
/// is searched as well.
pub fn hide_across(cases: &mut [CaseRecord], secrets: &[LiveSecrets]) {
    let mut needles: Vec<Needle> = Vec::new();
    for (secret, placeholder) in secrets.iter().flat_map(|secrets| &secrets.0) {
        forms(secret, |form| {
            if form.len() >= SHORTEST_FOREIGN_SECRET_BYTES {
                needles.push((form.into(), Arc::clone(placeholder)));
            }
        });
    }
    let finder = finder(&needles);
    let replace = |bytes: &[u8]| finder.replace(bytes);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for share in cases.chunks_mut(cases.len().div_ceil(cores).max(1)) {
            scope.spawn(|| share.iter_mut().for_each(|case| hide_in_case(case, &replace)));
        }
    });
}

fn hide_in_case(case: &mut CaseRecord, replace: &impl Fn(&[u8]) -> Option<Vec<u8>>) {
    for exchange in &mut case.exchanges {
        hide_in_outcome(&mut exchange.outcome, replace);
    }
    for text in case
        .reason
        .iter_mut()
        .chain(case.stopped.iter_mut().map(|it| &mut it.reason))
    {
        hide_in_text(text, replace);
    }
    for check in &mut case.checks {
        hide_in_text(&mut check.got, replace);
        check
            .pointer
            .iter_mut()
            .for_each(|text| hide_in_text(text, replace));
    }
}

/// What was read of a body before something was hidden in it is forgotten: it is not what stands there now.
fn hide_in_exchange(exchange: &mut Exchange, read: &mut Read, replace: &impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let request = &mut exchange.request;
    hide_in_text(&mut request.path, replace);
    for (_, value) in &mut request.headers {
        hide_in_text(value, replace);
    }
    let body = request.body.as_mut();
    if body.is_some_and(|body| hide_in_body(body, replace)) {
        read.request = None;
    }
    if let Some(spoiled) = &mut exchange.spoiled {
        hide_in_text(spoiled, replace);
    }
    if hide_in_outcome(&mut exchange.outcome, replace) {
        read.answer = None;
    }
}

/// Whether something was hidden in the body.
fn hide_in_outcome(outcome: &mut Outcome, replace: &impl Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
    match outcome {
        Outcome::Failure(failure) => {
            hide_in_text(&mut failure.message, replace);
            false
        }
        Outcome::Answer(answer) => {
            let mut quoted = String::new();
            for (name, value) in &mut answer.headers {
                hide_in_text(name, replace);
                // What is a whole value in JSON stands in quotes, which a field's value has not.
                quoted.clear();
                quoted.extend(["\"", value, "\""]);
                if let Some(hidden) = replace(quoted.as_bytes()) {
                    let hidden = String::from_utf8_lossy(&hidden).into_owned();
                    let bare = hidden.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                    *value = bare.unwrap_or(&hidden).to_owned();
                }
            }
            hide_in_body(&mut answer.body, replace)
        }
    }
}

fn hide_in_text(text: &mut String, replace: &impl Fn(&[u8]) -> Option<Vec<u8>>) {
    if let Some(hidden) = replace(text.as_bytes()) {
        *text = String::from_utf8_lossy(&hidden).into_owned();
    }
}

/// Whether something was hidden.
fn hide_in_body(body: &mut Body, replace: &impl Fn(&[u8]) -> Option<Vec<u8>>) -> bool {
    // Escapes first: the last digit of one and what follows it may read like a secret, and hiding that would break it.
    let may_escape = body.as_bytes().contains(&b'\\');
    let text = if may_escape { body.as_text() } else { None };
    let escaped = text.and_then(|text| hide_escaped(text, replace)).map(Body::from);
    let plain = replace(escaped.as_ref().unwrap_or(body).as_bytes()).map(Body::from);
    let hidden = plain.or(escaped);
    let any = hidden.is_some();
    if let Some(hidden) = hidden {
        *body = hidden;
    }
    any
}

/// JSON may write any character as an escape (`\/`, `\u002b`): strings that do are read, and written anew if they hold a
/// secret.
fn hide_escaped(text: &str, replace: &impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<String> {
    let (mut out, mut rest, mut found) = (String::with_capacity(text.len()), text, false);
    while let Some(start) = rest.find('"') {
        let Some(length) = literal(&rest[start..]) else {
            break;
        };
        let (before, from) = rest.split_at(start);
        let (string, after) = from.split_at(length);
        out.push_str(before);
        rest = after;
        let read = || serde_json::from_str::<String>(string).ok();
        let hidden = string
            .contains('\\')
            .then(read)
            .flatten()
            .and_then(|read| replace(read.as_bytes()));
        match hidden {
            Some(hidden) => {
                found = true;
                out.push_str(&serde_json::Value::from(String::from_utf8_lossy(&hidden)).to_string());
            }
            None => out.push_str(string),
        }
    }
    out.push_str(rest);
    found.then_some(out)
}

/// How long the string is that begins here, quotes included.
fn literal(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn hidden(secrets: &Secrets, body: &str) -> String {
        let mut transcript = Transcript {
            exchanges: vec![crate::http::Exchange::new(
                crate::http::Request {
                    service: crate::http::Service::new("vault"),
                    method: "GET".to_owned(),
                    path: "/".to_owned(),
                    headers: Vec::new(),
                    body: Some(Body::from(body)),
                },
                Outcome::Answer(crate::http::Answer {
                    status: 200,
                    headers: vec![("x".to_owned(), body.to_owned())],
                    body: Body::default(),
                }),
                Duration::ZERO,
                Duration::ZERO,
            )],
            ..Transcript::default()
        };
        secrets.hide(&mut transcript);
        let body = transcript.exchanges.remove(0).request.body;
        body.and_then(|body| body.as_text().map(str::to_owned))
            .unwrap_or_default()
    }

    #[test]
    fn escapes_of_json_hide_nothing() {
        let mut secrets = Secrets::default();
        secrets.token("alice", "ab/cd+efgh==");
        let body = r#"{"a":"ab\/cd\u002befgh==","b":"\"plain\"","c":"x ab/cd+efgh== y"}"#;
        assert_eq!(
            hidden(&secrets, body),
            r#"{"a":"[token:alice:1]","b":"\"plain\"","c":"x [token:alice:1] y"}"#
        );
    }

    #[test]
    fn an_escape_is_not_torn_apart() {
        let mut secrets = Secrets::default();
        secrets.token("alice", "3abcdefgh");
        assert_eq!(
            hidden(&secrets, r#"{"a":"\u0033abcdefgh"}"#),
            r#"{"a":"[token:alice:1]"}"#
        );
    }

    #[test]
    fn a_short_token_is_hidden_as_a_whole_value_alone() {
        let mut secrets = Secrets::default();
        secrets.token("alice", "a1");
        assert_eq!(secrets.placeholder("a1"), "[token:alice:1]");
        assert_eq!(
            hidden(&secrets, r#"{"token":"a1","x":"ba1b"}"#),
            r#"{"token":"[token:alice:1]","x":"ba1b"}"#
        );
    }

    #[test]
    fn the_end_of_a_string_is_found() {
        assert_eq!(literal(r#""a\"b\\" c"#), Some(8));
        assert_eq!(literal("\"open"), None);
    }
}
