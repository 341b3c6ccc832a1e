//! What the relay and the witness decide, as plain functions: whether an answer acknowledges an attempt, whether an endpoint may
//! be spoken to, what a submission is beside what is kept, how long an item rests.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use reqwest::Url;
use serde_json::{Map, Value};

/// An answer that came as a whole.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// An attempt, as far as an acknowledgement has to fit it.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) installation: String,
    pub(super) event: String,
    pub(super) stream: String,
    pub(super) source: String,
    /// The hash of this attempt's envelope.
    pub(super) hash: String,
    /// The hashes of the envelopes of earlier attempts.
    pub(super) earlier: Vec<String>,
}

/// Why an answer is no acknowledgement of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objection {
    /// The status is none of 200 to 299.
    Status,
    /// The body is no JSON object.
    Body,
    /// There is no `localVaultAck`.
    Missing,
    /// `accepted` is not true.
    NotAccepted,
    /// `envelopeHash` is not that of this attempt.
    EnvelopeHash,
    /// `streamId` is another.
    Stream,
    /// There is no receipt, or no payload in it.
    NoReceipt,
    /// The receipt is for another event.
    CanonicalId,
    /// The receipt's payload names another stream.
    ReceiptStream,
    /// Installation, event or source reference in `localVaultAck` is another.
    Copies,
    /// `eventHash` is no hash, or not that of the receipt.
    EventHash,
    /// `receiptHash` is no hash.
    ReceiptHash,
}

impl Objection {
    /// The word that `error` says after `ack-`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Objection::Status => "status",
            Objection::Body => "no-object",
            Objection::Missing => "missing",
            Objection::NotAccepted => "not-accepted",
            Objection::EnvelopeHash => "envelope-hash",
            Objection::Stream => "stream",
            Objection::NoReceipt => "no-receipt",
            Objection::CanonicalId => "canonical-event-id",
            Objection::ReceiptStream => "receipt-stream",
            Objection::Copies => "copies",
            Objection::EventHash => "event-hash",
            Objection::ReceiptHash => "receipt-hash",
        }
    }
}

/// The event id that a receiver gives an attestation.
pub(super) fn canonical_event_id(installation: &str, source: &str) -> String {
    let id = format!("local-vault:{installation}:{source}");
    match id.chars().count() > 160 {
        true => format!(
            "local-vault:{installation}:{}",
            super::envelope::sha256(source.as_bytes())
        ),
        false => id,
    }
}

/// The object that a body is.
pub(super) fn object(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// All that keeps an answer from acknowledging an attempt; nothing where it does.
pub(super) fn objections(answered: &Answered, attempt: &Attempt) -> Vec<Objection> {
    let mut found = Vec::new();
    if !(200..300).contains(&answered.status) {
        found.push(Objection::Status);
    }
    match object(&answered.body) {
        None => found.push(Objection::Body),
        Some(said) => found.extend(of_receipt(&said, attempt)),
    }
    found
}

fn of_receipt(said: &Map<String, Value>, attempt: &Attempt) -> Vec<Objection> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let none = Map::new();
    let acknowledged = said.get("localVaultAck").and_then(Value::as_object);
    let ack = acknowledged.unwrap_or(&none);
    let receipt = said.get("receipt").and_then(Value::as_object);
    let payload = receipt.and_then(|receipt| receipt.get("payload")?.as_object());
    let inside = payload.unwrap_or(&none);
    let is = |value: Option<&Value>, wanted: &str| value.and_then(Value::as_str) == Some(wanted);
    let event_hash = text(said.get("eventHash"));
    let receipt_hash = receipt.and_then(|receipt| text(receipt.get("receiptHash")));
    let canonical = canonical_event_id(&attempt.installation, &attempt.source);
    let copies = [
        ("installationId", &attempt.installation),
        ("eventId", &attempt.event),
        ("sourceRef", &attempt.source),
    ];
    let holds = [
        (Objection::Missing, acknowledged.is_some()),
        (
            Objection::NotAccepted,
            ack.get("accepted") == Some(&Value::Bool(true)),
        ),
        (
            Objection::EnvelopeHash,
            is(ack.get("envelopeHash"), &attempt.hash),
        ),
        (Objection::Stream, is(said.get("streamId"), &attempt.stream)),
        (Objection::NoReceipt, payload.is_some()),
        (Objection::CanonicalId, is(inside.get("event_id"), &canonical)),
        (
            Objection::ReceiptStream,
            is(inside.get("stream_id"), &attempt.stream),
        ),
        (
            Objection::Copies,
            copies.iter().all(|(name, wanted)| is(ack.get(*name), wanted)),
        ),
        (
            Objection::EventHash,
            event_hash.as_deref().is_some_and(is_hash) && event_hash == text(inside.get("event_hash")),
        ),
        (
            Objection::ReceiptHash,
            receipt_hash.as_deref().is_some_and(is_hash),
        ),
    ];
    holds
        .into_iter()
        .filter(|(_, holds)| !holds)
        .map(|(objection, _)| objection)
        .collect()
}

/// Whether a text is 64 lower-case hexadecimal digits.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Why an endpoint may not be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is neither https nor plain http to this very machine.
    Scheme,
    /// It has credentials, a query or a fragment.
    Extras,
}

/// All that is wrong with an endpoint.
pub(super) fn unfit(endpoint: &Url) -> Vec<Unfit> {
    let is_clear = match endpoint.scheme() {
        "https" => false,
        "http" => !is_this_machine(endpoint),
        _ => true,
    };
    let has_extras = !endpoint.username().is_empty()
        || endpoint.password().is_some()
        || endpoint.query().is_some()
        || endpoint.fragment().is_some();
    let found = [(Unfit::Scheme, is_clear), (Unfit::Extras, has_extras)];
    found
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(unfit, _)| unfit)
        .collect()
}

/// Whether the host is the very `127.0.0.1`, `::1` or `localhost`.
fn is_this_machine(endpoint: &Url) -> bool {
    let host = endpoint.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse() == Ok(Ipv4Addr::LOCALHOST) || bare.parse() == Ok(Ipv6Addr::LOCALHOST)
}

/// What an attestation is beside what the spool holds under its stream and reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nothing is there.
    New,
    /// The same payload is there.
    Same,
    /// Another payload is there.
    Drift,
}

/// What an attestation is, by the hash of the canonical payload that is there, if one is.
pub(super) fn arrival(there: Option<&str>, payload_sha256: &str) -> Arrival {
    match there {
        None => Arrival::New,
        Some(known) if known == payload_sha256 => Arrival::Same,
        Some(_) => Arrival::Drift,
    }
}

/// After so many attempts an item is dead.
const MOST_ATTEMPTS: u32 = 8;
/// The longest that an item rests.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// How long an item rests after its failed attempt of this number, from 1; none where it is dead.
pub(super) fn delay(attempt: u32, first: Duration) -> Option<Duration> {
    let doubled = first.saturating_mul(1 << attempt.saturating_sub(1).min(10));
    (attempt < MOST_ATTEMPTS).then(|| doubled.min(LONGEST_DELAY))
}

/// A checkpoint as it was submitted, or as it was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) id: String,
    pub(super) seq_no: i64,
    pub(super) hash: String,
    pub(super) previous: Option<String>,
}

/// What a submitted checkpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submission {
    /// It goes on from the last one, or is the first.
    Progress,
    /// It is the last one again.
    Replay,
    /// It contradicts what was accepted.
    Fork,
}

/// What a submitted checkpoint is beside the last one that was accepted.
pub(super) fn submission(last: Option<&Checkpoint>, submitted: &Checkpoint) -> Submission {
    let Some(last) = last else {
        return Submission::Progress;
    };
    if submitted == last {
        return Submission::Replay;
    }
    let goes_on = submitted.seq_no > last.seq_no && submitted.previous.as_ref() == Some(&last.hash);
    if goes_on {
        Submission::Progress
    } else {
        Submission::Fork
    }
}

/// Why a submission is none.
///
/// # Errors
/// Its number is below 1, or a hash is not 64 lower-case hexadecimal digits.
pub(super) fn is_submission(submitted: &Checkpoint) -> Result<(), String> {
    if submitted.seq_no < 1 {
        return Err("the number of a checkpoint is 1 or more".to_owned());
    }
    let hashes = std::iter::once(&submitted.hash).chain(&submitted.previous);
    match hashes.into_iter().all(|hash| is_hash(hash)) {
        true => Ok(()),
        false => Err("a hash is 64 lower-case hexadecimal digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_unfit(url: &str) -> Vec<Unfit> {
        unfit(&url.parse().unwrap())
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for fit in [
            "https://v.example/in",
            "http://127.0.0.1:1/",
            "http://[::1]/",
            "http://localhost:8/x",
        ] {
            assert_eq!(is_unfit(fit), [], "{fit}");
        }
        for clear in [
            "http://127.0.0.2/",
            "http://localhost.example/",
            "http://[::ffff:7f00:1]/",
            "ftp://localhost/",
        ] {
            assert_eq!(is_unfit(clear), [Unfit::Scheme], "{clear}");
        }
        assert_eq!(is_unfit("https://a:b@v.example/"), [Unfit::Extras]);
        assert_eq!(is_unfit("https://v.example/?a"), [Unfit::Extras]);
        assert_eq!(
            is_unfit("http://127.0.0.1@v.example/"),
            [Unfit::Scheme, Unfit::Extras]
        );
    }

    #[test]
    fn delays_grow_until_the_item_is_dead() {
        let first = Duration::from_secs(2);
        let delays: Vec<u64> = (1..8).filter_map(|n| Some(delay(n, first)?.as_secs())).collect();
        assert_eq!(delays, [2, 4, 8, 16, 32, 64, 128]);
        assert_eq!(delay(8, first), None);
    }
}
