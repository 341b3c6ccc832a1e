//! Judges every delivery: the request, its envelope worked out anew, hash, signature and payload, and that no key is in it.

use serde_json::{Map, Value};

use super::Judge;
use crate::attesto::canonical::{RELAY_TAG, canonical, from_hex, hash, preimage, sha256};
use crate::attesto::cases::Act;
use crate::attesto::receiver::{HASH_HEADER as HASH, PATH, RECEIVER};
use crate::judge::Finding;
use crate::keys::primitives::ed25519_verify;
use crate::record::{Exchange, Side};
use crate::text::{media_type, visible_cut};

/// The header with its signature.
const SIGNATURE: &str = "x-attesto-local-vault-signature";
/// The header with the public key.
const PUBLIC_KEY: &str = "x-attesto-local-vault-public-key";
/// A clock that is read twice may differ by so much from one that is read once, milliseconds.
const CLOCK_MARGIN_MS: i64 = 2_000;

/// A delivery to the receiver, read.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    /// Where it stands among the exchanges.
    pub(super) at: usize,
    pub(super) step: Option<usize>,
    pub(super) round: usize,
    pub(super) envelope: Map<String, Value>,
    pub(super) payload: Value,
    /// When it came and when it was answered, microseconds since the case began.
    pub(super) came_us: u64,
    pub(super) answered_us: u64,
    /// Whether it was answered at all.
    pub(super) is_answered: bool,
    /// Whether it was acknowledged.
    pub(super) is_acknowledged: bool,
    headers: [Option<String>; 3],
}

/// The deliveries to the receiver, in the order in which they came, as far as they can be read.
pub(super) fn deliveries(exchanges: &[Exchange]) -> Vec<Delivery> {
    let asked = exchanges.iter().enumerate().filter(|(_, it)| is_request(it));
    asked.filter_map(|(at, exchange)| read(at, exchange)).collect()
}

fn is_request(exchange: &Exchange) -> bool {
    exchange.side == Side::Answered && exchange.request.service == RECEIVER
}

fn read(at: usize, exchange: &Exchange) -> Option<Delivery> {
    let body = exchange.request.body_bytes();
    let body = crate::json::parse(body).ok()?;
    let header = |wanted: &str| {
        let found = exchange.request.headers.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    };
    Some(Delivery {
        at,
        step: exchange.step,
        round: exchange.round,
        envelope: body.get("envelope")?.as_object()?.clone(),
        payload: body.get("payload")?.clone(),
        came_us: exchange.at_us,
        answered_us: exchange.at_us + exchange.took_us,
        is_answered: exchange.took_us > 0,
        is_acknowledged: exchange.spoiled.is_none() && exchange.outcome.answer().is_some(),
        headers: [HASH, SIGNATURE, PUBLIC_KEY].map(header),
    })
}

impl Delivery {
    fn text(&self, name: &str) -> &str {
        self.envelope
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether the hash header, if there is one, is that of the envelope.
    pub(super) fn says_its_hash(&self) -> bool {
        let own = || hash(RELAY_TAG, &Value::Object(self.envelope.clone()));
        self.headers[0].as_ref().is_none_or(|said| *said == own())
    }

    /// The stream and the reference that it names.
    pub(super) fn place(&self) -> (String, String) {
        (
            self.text("stream_id").to_owned(),
            self.text("source_ref").to_owned(),
        )
    }
}

/// Judges all requests that came to the receiver.
pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    for at in 0..judge.exchanges.len() {
        if is_request(&judge.exchanges[at]) && is_meant(judge, &judge.exchanges[at]) {
            let finding = request(&judge.exchanges[at]);
            judge.note(
                "request",
                "ALV-ENV-01",
                "a POST of JSON to the endpoint, with envelope, payload and the three headers",
                at,
                finding,
            );
        }
    }
    let all: Vec<Delivery> = judge.deliveries.clone();
    let meant: Vec<&Delivery> = all
        .iter()
        .filter(|it| is_meant(judge, &judge.exchanges[it.at]))
        .collect();
    for (index, delivery) in meant.iter().enumerate() {
        let at = delivery.at;
        let finding = envelope(judge, delivery);
        let is_known = finding == Finding::Holds || judge.item(&delivery.place()).is_some();
        judge.note(
            "envelope",
            "ALV-ENV-02",
            "an envelope with all members, with installation, stream and reference as told",
            at,
            finding,
        );
        signed(judge, delivery);
        if is_known && let Some(finding) = payload(judge, delivery) {
            judge.note(
                "payload",
                "ALV-ENV-05",
                "the payload that was enqueued, with the hash and the size of its canonical form",
                at,
                finding,
            );
        }
        let before = meant[..index]
            .iter()
            .rev()
            .find(|other| other.place() == delivery.place());
        let finding = attempts(before.copied(), delivery);
        judge.note(
            "attempts",
            "ALV-ENV-06",
            "event_id and created_at that stay, attempt counted from 1, and signed_at, hash and signature that are new",
            at,
            finding,
        );
    }
}

/// Whether a request is one that was to come: not to an endpoint that the program had to refuse.
fn is_meant(judge: &Judge<'_, '_>, exchange: &Exchange) -> bool {
    let step = exchange.step.and_then(|step| judge.case.steps.get(step));
    match step.map(|step| &step.act) {
        Some(Act::Endpoints(places)) => places
            .get(exchange.round)
            .is_none_or(|place| place.is_registered()),
        _ => true,
    }
}

fn request(exchange: &Exchange) -> Finding {
    let request = &exchange.request;
    let header = |wanted: &str| {
        request
            .headers
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    if request.method != "POST" {
        return Finding::broken(format!("the method is {}", visible_cut(&request.method, 20)));
    }
    if request.path != PATH {
        return Finding::broken(format!(
            "it went to {}, and the endpoint has {PATH}",
            visible_cut(&request.path, 80)
        ));
    }
    let content_type = header("content-type").unwrap_or_default();
    if media_type(content_type) != "application/json" {
        return Finding::broken(format!("the content type is {:?}", visible_cut(content_type, 60)));
    }
    if let Some(missing) = [HASH, SIGNATURE, PUBLIC_KEY]
        .into_iter()
        .find(|name| header(name).is_none())
    {
        return Finding::broken(format!("there is no header {missing}"));
    }
    let body = request.body_bytes();
    match crate::json::parse(body) {
        Err(why) => Finding::broken(format!("the body is no JSON: {why}")),
        Ok(body) => match ["envelope", "payload"]
            .into_iter()
            .find(|name| body.get(name).is_none())
        {
            Some(missing) => Finding::broken(format!("the body has no {missing}")),
            None if !body["envelope"].is_object() => Finding::broken("the envelope is no object"),
            None => Finding::Holds,
        },
    }
}

fn envelope(judge: &Judge<'_, '_>, delivery: &Delivery) -> Finding {
    let members = &delivery.envelope;
    let named = [
        "protocol",
        "protocol_version",
        "installation_id",
        "stream_id",
        "source_ref",
        "event_id",
        "payload_sha256",
        "payload_size",
        "attempt",
        "created_at",
        "signed_at",
    ];
    if let Some(missing) = named.into_iter().find(|name| !members.contains_key(*name)) {
        return Finding::broken(format!("the envelope has no {missing}"));
    }
    let fixed = [
        ("protocol", "ATTESTO-LOCAL-VAULT-001".to_owned()),
        ("protocol_version", "0.1".to_owned()),
        ("installation_id", judge.names.installation()),
    ];
    for (name, wanted) in fixed {
        if members[name] != wanted.as_str() {
            return Finding::broken(format!(
                "{name} is {}, and {wanted:?} is wanted",
                cut(&members[name])
            ));
        }
    }
    if delivery.text("event_id").is_empty() {
        return Finding::broken(format!("event_id is {}", cut(&members["event_id"])));
    }
    if judge.item(&delivery.place()).is_none() {
        return Finding::broken(format!(
            "nothing was enqueued under stream {} and reference {}",
            cut(&members["stream_id"]),
            cut(&members["source_ref"])
        ));
    }
    for name in ["payload_size", "attempt"] {
        if !members[name].is_u64() {
            return Finding::broken(format!("{name} is {}, and no integer", cut(&members[name])));
        }
    }
    for name in ["created_at", "signed_at"] {
        if time_ms(delivery.text(name)).is_none() {
            return Finding::broken(format!(
                "{name} is {}, and no time like 2026-01-02T03:04:05.678Z",
                cut(&members[name])
            ));
        }
    }
    times(judge, delivery)
}

/// Whether the times lie as far apart as enqueue and attempt do: whatever the program's clock says.
fn times(judge: &Judge<'_, '_>, delivery: &Delivery) -> Finding {
    let (Some(created), Some(signed)) = (
        time_ms(delivery.text("created_at")),
        time_ms(delivery.text("signed_at")),
    ) else {
        return Finding::Holds;
    };
    let Some((began_us, ended_us)) = judge.enqueued_at(delivery) else {
        return Finding::Holds;
    };
    let ms = |us: u64| i64::try_from(us / 1000).unwrap_or(i64::MAX);
    let most = ms(delivery.came_us.saturating_sub(began_us)) + CLOCK_MARGIN_MS;
    let apart = signed - created;
    if apart < 0 || apart > most {
        let between = ms(delivery.came_us.saturating_sub(ended_us));
        return Finding::broken(format!(
            "signed_at is {apart} ms after created_at, and between enqueue and delivery passed {between} ms"
        ));
    }
    Finding::Holds
}

/// A time as envelopes have it, in milliseconds.
pub(super) fn time_ms(text: &str) -> Option<i64> {
    let form = "0000-00-00T00:00:00.000Z";
    let fits = |(own, form): (u8, u8)| {
        if form == b'0' {
            own.is_ascii_digit()
        } else {
            own == form
        }
    };
    let is_time = text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits);
    let time: jiff::Timestamp = is_time.then(|| text.parse().ok())??;
    Some(time.as_millisecond())
}

fn signed(judge: &mut Judge<'_, '_>, delivery: &Delivery) {
    let envelope = Value::Object(delivery.envelope.clone());
    let [said_hash, signature, key] = delivery.headers.clone();
    // A number with a fraction has no canonical form that all agree on.
    let has_fraction = delivery.envelope.values().any(|value| value.is_f64());
    let unknown = || Finding::Unknown {
        reason: "the envelope has a number with a fraction, whose canonical form is not laid down".to_owned(),
        verdict: crate::record::verdict::Verdict::Blocked,
    };
    if let Some(said) = said_hash {
        let own = hash(RELAY_TAG, &envelope);
        let finding = match said == own {
            _ if has_fraction => unknown(),
            true => Finding::Holds,
            false => Finding::broken(format!(
                "the hash is {}, and {own} is that of the envelope",
                visible_cut(&said, 80)
            )),
        };
        judge.note(
            "hash",
            "ALV-ENV-03",
            "the SHA-256 of the tagged canonical envelope, in lower case",
            delivery.at,
            finding,
        );
    }
    let (Some(signature), Some(key)) = (signature, key) else {
        return;
    };
    let own_key = judge.names.public_key();
    let verifies = |key: &[u8; 32]| {
        let bytes = from_hex::<64>(&signature);
        bytes.is_some_and(|bytes| ed25519_verify(key, &preimage(RELAY_TAG, &canonical(&envelope)), &bytes))
    };
    let finding = match from_hex::<32>(&key) {
        _ if has_fraction => unknown(),
        Some(shown) if shown != own_key => {
            Finding::broken("the public key is not that of the configured signing key")
        }
        Some(_) if verifies(&own_key) => Finding::Holds,
        Some(_) => Finding::broken(format!(
            "the signature {} does not verify over the tagged canonical envelope",
            visible_cut(&signature, 24)
        )),
        None => Finding::broken(format!(
            "the public key is {}, and not 64 lower-case digits",
            visible_cut(&key, 80)
        )),
    };
    judge.note(
        "signature",
        "ALV-ENV-04",
        "an Ed25519 signature over the tagged canonical envelope by the configured key",
        delivery.at,
        finding,
    );
}

fn payload(judge: &Judge<'_, '_>, delivery: &Delivery) -> Option<Finding> {
    let kinds = judge.payloads(&delivery.place());
    let found = kinds
        .iter()
        .find(|payload| crate::json::equal(payload, &delivery.payload));
    let Some(payload) = found else {
        let first = kinds.first()?;
        let how = difference(first, &delivery.payload);
        return Some(Finding::broken(format!(
            "the payload is another than was enqueued: {how}"
        )));
    };
    let canon = canonical(payload);
    let own = sha256(canon.as_bytes());
    let (said, size) = (
        delivery.envelope.get("payload_sha256")?,
        delivery.envelope.get("payload_size")?,
    );
    if *said != own.as_str() {
        return Some(Finding::broken(format!(
            "payload_sha256 is {}, and {own} is that of the canonical payload",
            cut(said)
        )));
    }
    if *size != canon.len() {
        return Some(Finding::broken(format!(
            "payload_size is {}, and the canonical payload has {} bytes",
            cut(size),
            canon.len()
        )));
    }
    Some(Finding::Holds)
}

/// Where two payloads differ first, for people.
fn difference(wanted: &Value, got: &Value) -> String {
    let (Some(wanted), Some(got)) = (wanted.as_object(), got.as_object()) else {
        return format!("it is {}", cut(got));
    };
    let missing = wanted.keys().find(|name| !got.contains_key(*name));
    if let Some(name) = missing {
        return format!("{name:?} is missing");
    }
    let more = got.keys().find(|name| !wanted.contains_key(*name));
    let other = wanted
        .keys()
        .find(|name| !crate::json::equal(&wanted[*name], &got[*name]));
    match (more, other) {
        (Some(name), _) => format!("{name:?} is more than was enqueued"),
        (_, Some(name)) => format!(
            "{name:?} is {}, and {} was enqueued",
            cut(&got[name]),
            cut(&wanted[name])
        ),
        _ => "its members are the same".to_owned(),
    }
}

fn attempts(before: Option<&Delivery>, delivery: &Delivery) -> Finding {
    let count = |delivery: &Delivery| delivery.envelope.get("attempt").and_then(Value::as_u64);
    let Some(before) = before else {
        return match count(delivery) {
            None | Some(1) => Finding::Holds,
            Some(other) => Finding::broken(format!("attempt is {other} in the first attempt")),
        };
    };
    for name in ["event_id", "created_at"] {
        if before.envelope.get(name) != delivery.envelope.get(name) {
            let [old, new] = [before, delivery].map(|it| it.envelope.get(name).map_or_else(String::new, cut));
            return Finding::broken(format!("{name} was {old} in the attempt before, and is {new}"));
        }
    }
    if let (Some(old), Some(new)) = (count(before), count(delivery)) {
        // An attempt that was broken off by a crash may count or not.
        let counts = new == old + 1 || !before.is_answered && new == old;
        if !counts {
            return Finding::broken(format!("attempt was {old} in the attempt before, and is {new}"));
        }
    }
    if before.envelope.get("signed_at") == delivery.envelope.get("signed_at") {
        return Finding::broken("signed_at is that of the attempt before");
    }
    for (at, name) in ["hash", "signature"].into_iter().enumerate() {
        if delivery.headers[at].is_some() && delivery.headers[at] == before.headers[at] {
            return Finding::broken(format!("the {name} is that of the attempt before"));
        }
    }
    Finding::Holds
}

pub(super) fn cut(value: &Value) -> String {
    visible_cut(&value.to_string(), 80)
}
