//! What is looked at in every request of every case: its form, its signature, its token, its path, its ivs, and that nothing
//! leaves the client that has to stay in it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::super::marks::{ELSEWHERE, OVER_BYTES, bearer};
use super::{Judge, answered, asked, status};
use crate::avp::Operation;
use crate::avp::schema::{base64_violations, violations};
use crate::json;
use crate::judge::Finding;
use crate::keys::encoding::hex;
use crate::record::transcript::{PRIVATE_KEY_MARK, SIGNATURE_MARK, TOKEN_MARK};
use crate::record::{Exchange, Outcome, Side, Wire};
use crate::text::encode_segment;

/// A client that waits by another clock may be so much early, milliseconds.
const TOLERANCE_MS: i64 = 60;
/// What is asked of every request and of every output.
pub(super) const SECRET: &str = "private keys and data keys stand nowhere, and plaintext in no request";
/// Text of so many bytes is no accident.
const SHORTEST_TEXT_BYTES: usize = 12;

/// What of the body of a request is not the message of its operation, where it has one.
pub(super) fn breach(exchange: &Exchange) -> Option<String> {
    let message = Operation::of(exchange).and_then(Operation::request_message)?;
    let body = match json::parse(exchange.request.body_bytes()) {
        Err(error) => return Some(format!("the body is no JSON: {error}")),
        Ok(body) => body,
    };
    let wrong = violations(message, &body).into_iter();
    let wrong = wrong.chain(base64_violations(message, &body));
    // The text of a signature is hidden; what it is over is looked at apart.
    let mut wrong = wrong.filter(|violation| violation.pointer != "/signature");
    let violation = wrong.next()?;
    let place = match violation.pointer.as_str() {
        "" => "the body",
        pointer => pointer,
    };
    Some(format!("{message}: {place}: {}", violation.message))
}

impl Judge<'_, '_> {
    /// All standing looks, except those that need keys.
    pub(super) fn requests(&mut self) {
        let mut issued: BTreeMap<String, bool> = BTreeMap::new();
        for at in 0..self.exchanges.len() {
            self.leaks(at);
            if self.exchanges[at].side != Side::Answered {
                continue;
            }
            self.schema(at);
            self.signature(at);
            self.tokens(at, &issued);
            self.path(at);
            self.retries(at);
            if let Some(token) = answered(&self.exchanges[at])["token"].as_str() {
                issued.insert(token.to_owned(), is_home(&self.exchanges[at]));
            }
        }
        self.ivs();
        self.errors();
    }

    fn schema(&mut self, at: usize) {
        let exchange = &self.exchanges[at];
        if Operation::of(exchange)
            .and_then(Operation::request_message)
            .is_none()
        {
            return;
        }
        // Libraries that follow a redirect may lose the body on the way, and nobody takes what they send.
        if exchange.request.body_bytes().is_empty() && self.is_sent_on(at) {
            return;
        }
        let finding = breach(exchange).map_or(Finding::Holds, Finding::broken);
        let expected = "the body is the message of the operation, as the schema has it";
        self.note("body", "AVP-6-32", expected, at, finding);
    }

    /// Whether the request before was answered with a redirect.
    fn is_sent_on(&self, at: usize) -> bool {
        let before = self.exchanges[..at].iter().rfind(|it| it.side == Side::Answered);
        let answer = before.and_then(|before| before.outcome.answer());
        answer.is_some_and(|answer| (300..400).contains(&answer.status))
    }

    fn signature(&mut self, at: usize) {
        let exchange = &self.exchanges[at];
        if Operation::of(exchange) != Some(Operation::Token) {
            return;
        }
        let body = asked(exchange);
        let signature = body["signature"].as_str().unwrap_or_default();
        let over = signature
            .strip_prefix(SIGNATURE_MARK)
            .and_then(|rest| rest.strip_suffix(']'));
        let finding = match over {
            Some(OVER_BYTES) => Finding::Holds,
            // A nonce that nobody knows says nothing of what is signed.
            Some("for a nonce that was not issued") | None => return,
            Some(other) => Finding::broken(format!("a signature {other}")),
        };
        let expected = "the signature is over the bytes that the nonce decodes to";
        self.note("signature", "AVP-3-20", expected, at, finding);
    }

    /// A token is shown to the host alone that has issued it.
    fn tokens(&mut self, at: usize, issued: &BTreeMap<String, bool>) {
        let exchange = &self.exchanges[at];
        let expected = "a token goes to the host alone that issued it";
        let shown = bearer(exchange).filter(|token| token.starts_with(TOKEN_MARK));
        let home = is_home(exchange);
        let of_other = shown
            .and_then(|token| issued.get(token))
            .filter(|issuer| **issuer != home);
        let anywhere = exchange.request.path.contains(TOKEN_MARK)
            || exchange
                .request
                .headers
                .iter()
                .any(|(_, value)| value.contains(TOKEN_MARK));
        let finding = match (of_other, home, anywhere) {
            (Some(_), ..) => Finding::broken("the token of another host stands in this request"),
            (None, false, true) if shown.is_none() => {
                Finding::broken("the token of another host stands in this request")
            }
            // It could have been shown, and was not.
            (None, false, _) => Finding::Holds,
            (None, true, true) if (300..400).contains(&status(exchange)) => Finding::Holds,
            _ => return,
        };
        self.note("token", "AVP-3-21", expected, at, finding);
    }

    /// Ids in the path are escaped, once.
    fn path(&mut self, at: usize) {
        let exchange = &self.exchanges[at];
        let path = exchange
            .request
            .path
            .strip_prefix(ELSEWHERE)
            .unwrap_or(&exchange.request.path);
        if !path.starts_with("/v1/repos/") {
            return;
        }
        let body = asked(exchange);
        let mut known: Vec<String> = self.ids();
        known.extend(body["repoId"].as_str().map(str::to_owned));
        let is_odd = |id: &&String| encode_segment(id) != **id;
        let odd: Vec<&String> = known.iter().filter(is_odd).collect();
        let bare = path.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = bare.split('/').collect();
        let decoded: Vec<String> = segments.iter().map(|segment| decode(segment)).collect();
        let is_right = odd.iter().find(|id| {
            // Slashes, spaces and the like cannot stand in a segment; some of the others may.
            decoded.contains(**id) && !segments.contains(&id.as_str())
                || decoded.contains(**id) && id.contains('/')
        });
        let is_twice = odd.iter().find(|id| {
            decoded
                .iter()
                .any(|segment| *segment != ***id && decode(segment) == ***id)
        });
        let form = |id: &str| id.replace(' ', "+");
        let is_form = odd
            .iter()
            .find(|id| id.contains(' ') && decoded.iter().any(|segment| **segment == form(id)));
        let whole = decode(bare);
        let is_raw = odd.iter().find(|id| {
            id.contains('/') && !decoded.contains(**id) && whole.contains(id.as_str())
                || id.contains('?')
                    && path.contains(&format!(
                        "{}?",
                        id.split('?').next().unwrap_or_default().replace(' ', "%20")
                    ))
        });
        let finding = if is_right.is_some() {
            Finding::Holds
        } else if is_twice.is_some() {
            Finding::broken(format!("an id is escaped twice: {path}"))
        } else if is_form.is_some() {
            Finding::broken(format!("a space is written as +: {path}"))
        } else if is_raw.is_some() {
            Finding::broken(format!("an id is not escaped: {path}"))
        } else {
            return;
        };
        let expected = "ids stand percent-encoded in the path, each a segment of its own";
        self.note("path", "AVP-7-20", expected, at, finding);
    }

    /// The ids of repositories and members that were seen.
    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .members
            .values()
            .map(|member| member.member_id().to_owned())
            .collect();
        for exchange in self.exchanges.iter().filter(|it| it.wire == Wire::Http) {
            let body = asked(exchange);
            let told = [
                "/manifest/repoId",
                "/repoId",
                "/ed25519PublicKey",
                "/member/ed25519PublicKey",
            ];
            let told = told.iter().filter_map(|pointer| body.pointer(pointer)?.as_str());
            for id in told {
                if !ids.iter().any(|known| known == id) {
                    ids.push(id.to_owned());
                }
            }
        }
        ids
    }

    /// Whoever is told when to come back does not come earlier.
    fn retries(&mut self, at: usize) {
        let exchange = &self.exchanges[at];
        let Outcome::Answer(answer) = &exchange.outcome else {
            return;
        };
        let Some(told) = answer.header("retry-after").filter(|_| answer.status == 429) else {
            return;
        };
        let millis = |micros: u64| i64::try_from(micros / 1000).unwrap_or(i64::MAX);
        let came = self.began_ms + millis(exchange.at_us + exchange.took_us);
        let until = match (told.parse::<i64>(), httpdate::parse_http_date(told)) {
            (Ok(seconds), _) => came + seconds * 1000,
            (_, Ok(date)) => jiff::Timestamp::try_from(date).map_or(came, |date| date.as_millisecond()),
            _ => return,
        };
        let is_again = |other: &Exchange| {
            other.side == Side::Answered
                && other.step == exchange.step
                && other.request.method == exchange.request.method
                && other.request.path == exchange.request.path
                && other.actor == exchange.actor
        };
        let later = self.exchanges.iter().enumerate().skip(at + 1);
        let Some((again, next)) = later.into_iter().find(|(_, other)| is_again(other)) else {
            return;
        };
        let early = until - TOLERANCE_MS - (self.began_ms + millis(next.at_us));
        let finding = match early <= 0 {
            true => Finding::Holds,
            false => Finding::broken(format!("it came again {early} ms too early")),
        };
        let expected = "after a 429 nothing comes again before Retry-After is over";
        self.note("retry", "AVP-7-21", expected, again, finding);
    }

    /// No iv serves for two encryptions. The same bytes sent again are none.
    fn ivs(&mut self) {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let mut keys: BTreeMap<String, String> = BTreeMap::new();
        let mut looks = Vec::new();
        for (at, exchange) in self.exchanges.iter().enumerate() {
            if exchange.side != Side::Answered {
                continue;
            }
            let mut found = Vec::new();
            encryptions(&asked(exchange), &mut found);
            for encryption in found {
                let text = |name: &str| encryption[name].as_str().unwrap_or_default().to_owned();
                let (iv, ciphertext) = (text("iv"), text("ciphertext"));
                let known = seen.insert(iv.clone(), ciphertext.clone());
                let is_reused = known.is_some_and(|known| known != ciphertext);
                looks.push((at, is_reused.then_some(iv)));
                let ephemeral = text("ephemeralPublicKey");
                if !ephemeral.is_empty() {
                    let known = keys.insert(ephemeral, ciphertext.clone());
                    if known.is_some_and(|known| known != ciphertext) {
                        let got = Finding::broken("two keys are wrapped with one ephemeral key");
                        let expected = "each key is wrapped with an ephemeral key of its own";
                        self.note("ephemeral key", "AVP-4-21", expected, at, got);
                    }
                }
            }
        }
        // One encryption alone cannot show that ivs differ.
        if looks.len() < 2 {
            return;
        }
        for (at, reused) in looks {
            let finding = match reused {
                None => Finding::Holds,
                Some(iv) => Finding::broken(format!("the iv {iv} serves for another encryption as well")),
            };
            self.note(
                "iv",
                "AVP-4-22",
                "each encryption has an iv of its own",
                at,
                finding,
            );
        }
    }

    /// A walk that ends at an error retries nothing. One that goes on may push something else, and whoever looks on cannot tell;
    /// but nobody who has read an error pushes at one version again and again.
    fn errors(&mut self) {
        let expected = "an error status of a push is final";
        for at in 0..self.exchanges.len() {
            let exchange = &self.exchanges[at];
            let step = exchange.step.and_then(|step| self.case.steps.get(step));
            let is_refused = status(exchange) >= 400 && !matches!(status(exchange), 401 | 429);
            let is_ours = exchange.spoiled.is_some() && Operation::of(exchange) == Some(Operation::Push);
            if !step.is_some_and(super::Step::is_walk) || !is_refused || !is_ours {
                continue;
            }
            let version = |exchange: &Exchange| asked(exchange)["expectedPayloadVersion"].as_i64();
            let is_push = |other: &&Exchange| {
                other.step == exchange.step
                    && Operation::of(other) == Some(Operation::Push)
                    && other.actor == exchange.actor
            };
            let later: Vec<&Exchange> = self.exchanges[at + 1..].iter().filter(is_push).collect();
            let same = later
                .iter()
                .filter(|other| version(other) == version(exchange))
                .count();
            let finding = match (later.len(), same) {
                (0, _) => Finding::Holds,
                (_, 2..) => Finding::broken(format!("{same} more pushes at the same version")),
                _ => continue,
            };
            self.note("error", "AVP-6-31", expected, at, finding);
        }
    }

    /// Keys are in no request and in no output, plaintext is in no request.
    fn leaks(&mut self, at: usize) {
        let exchange = &self.exchanges[at];
        let finding = match exchange.wire {
            Wire::Command => match exchange.outcome.answer() {
                Some(answer) if holds(answer.body.as_bytes(), PRIVATE_KEY_MARK) => {
                    let place = PRIVATE_KEY_MARK.trim_matches(['[', ':']);
                    Finding::broken(format!("its output holds a key ({place})"))
                }
                _ => return,
            },
            Wire::Http | Wire::Grpc => {
                let writes = Operation::of(exchange).is_some_and(|operation| {
                    matches!(
                        operation,
                        Operation::CreateRepo | Operation::Push | Operation::RemoveMember
                    )
                });
                match self.leak(exchange) {
                    Some(what) => Finding::broken(what),
                    None if writes && status(exchange) == 200 => Finding::Holds,
                    None => return,
                }
            }
        };
        self.note("secrets", "AVP-10-20", SECRET, at, finding);
    }

    fn leak(&self, exchange: &Exchange) -> Option<String> {
        let request = &exchange.request;
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| (format!("the header {name}"), value.clone()));
        let body = request.body.as_ref().map(|body| body.to_text().into_owned());
        let places = [("the path".to_owned(), request.path.clone())].into_iter();
        let places = places
            .chain(headers)
            .chain(body.map(|body| ("the body".to_owned(), body)));
        for (place, text) in places {
            if text.contains(PRIVATE_KEY_MARK) {
                return Some(format!("{place} holds a private key or a data key"));
            }
            if needles(&self.mark).iter().any(|needle| text.contains(needle)) {
                return Some(format!("{place} holds plaintext of an alt"));
            }
        }
        let body = asked(exchange);
        let envelopes = ["/initialEnvelope", "/envelope", "/rotatedEnvelope"];
        let ciphertexts = envelopes
            .iter()
            .filter_map(|pointer| body.pointer(pointer)?["ciphertext"].as_str());
        let is_text = |text: &str| {
            let bytes = STANDARD.decode(text).unwrap_or_default();
            let text = std::str::from_utf8(&bytes).unwrap_or_default();
            text.len() >= SHORTEST_TEXT_BYTES && !text.chars().any(|c| c.is_control() && !c.is_whitespace())
        };
        let mut readable = ciphertexts.filter(|text| is_text(text));
        readable
            .next()
            .map(|_| "the ciphertext is readable text".to_owned())
    }
}

fn is_home(exchange: &Exchange) -> bool {
    !exchange.request.path.starts_with(ELSEWHERE)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

/// The forms in which a text is looked for.
fn needles(mark: &str) -> Vec<String> {
    let mut all = vec![mark.to_owned(), hex(mark.as_bytes())];
    // In the middle of something longer, its base64 depends on where it begins.
    for before in 0..3 {
        let shifted = [&[0; 3][..before], mark.as_bytes()].concat();
        let (first, end) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            all.push(engine.encode(&shifted)[first..end].to_owned());
        }
    }
    all
}

/// Everything in a body that has an iv and a ciphertext.
fn encryptions(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(object) if object.contains_key("iv") && object.contains_key("ciphertext") => {
            found.push(value.clone());
        }
        Value::Object(object) => object.values().for_each(|value| encryptions(value, found)),
        Value::Array(list) => list.iter().for_each(|value| encryptions(value, found)),
        _ => {}
    }
}

/// A segment without its escapes.
fn decode(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| segment.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
