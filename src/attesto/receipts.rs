//! How the receiver answers a delivery: rightly, or in one of the many ways that are no acknowledgement.

use serde::Deserialize;
use serde_json::{Value, json};

use super::canonical::sha256;

/// How a delivery is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// With a full acknowledgement.
    Ack,
    /// With a full acknowledgement and 201.
    Created,
    /// With a full acknowledgement and 202.
    AcceptedLater,
    /// With a full acknowledgement in spaced JSON with escapes, its members the other way round.
    OtherForm,
    /// With a full acknowledgement whose members are in snake_case, which a relay may read or not.
    SnakeCase,
    /// With an acknowledgement in snake_case and the hash of another envelope.
    SnakeHashOther,
    /// With an acknowledgement in snake_case without the hash of the envelope.
    SnakeHashAbsent,
    /// With an acknowledgement in snake_case, `accepted` false.
    SnakeAcceptedFalse,
    /// With an acknowledgement in snake_case for another stream.
    SnakeStreamOther,
    /// With an acknowledgement in snake_case and the receipt of another reference.
    SnakeCanonicalOther,
    /// With an acknowledgement in snake_case whose receipt names another stream.
    SnakeReceiptStreamOther,
    /// With a full acknowledgement under another status.
    Status(u16),
    /// With a redirect of this status to a receiver that acknowledges, over plain http at another port.
    Redirect(u16),
    /// With a redirect of this status to a receiver that acknowledges, over https at another host.
    RedirectOverHttps(u16),
    /// With 200 and no body.
    Empty,
    /// With 204.
    NoContent,
    /// With a page.
    Html,
    /// With the acknowledgement in an array.
    Array,
    /// With the acknowledgement as a string.
    Text,
    /// With `null`.
    Null,
    /// With the first half of the acknowledgement, as a whole body.
    Half,
    /// With an acknowledgement that has a byte which is no UTF-8.
    BadUtf8,
    /// With an acknowledgement and another object behind it.
    TwoObjects,
    /// With a receipt and no `localVaultAck`.
    NoAck,
    /// With `localVaultAck` null.
    NullAck,
    /// With `accepted` false.
    AcceptedFalse,
    /// Without `accepted`.
    AcceptedAbsent,
    /// With `accepted` null.
    AcceptedNull,
    /// With `accepted` 1.
    AcceptedOne,
    /// With `accepted` "true".
    AcceptedText,
    /// Without `envelopeHash`.
    HashAbsent,
    /// With an empty `envelopeHash`.
    HashEmpty,
    /// With the first 32 digits of `envelopeHash`.
    HashCut,
    /// With the hash of another envelope.
    HashOther,
    /// With the hash of the payload.
    HashOfPayload,
    /// With the hash of an earlier attempt of the same item.
    HashEarlier,
    /// Without `streamId`.
    StreamAbsent,
    /// With another `streamId`.
    StreamOther,
    /// Without a receipt.
    ReceiptAbsent,
    /// With a receipt that is null.
    ReceiptNull,
    /// With a receipt that has no payload.
    ReceiptWithoutPayload,
    /// Without an event id in the receipt.
    CanonicalAbsent,
    /// With the event id of another reference in the receipt.
    CanonicalOther,
    /// With the event id of another installation in the receipt.
    CanonicalOfOther,
    /// With the vault's own event id in the receipt.
    CanonicalIsEvent,
    /// With the right event id and more behind it.
    CanonicalLonger,
    /// With another stream in the receipt.
    ReceiptStreamOther,
    /// With another installation in `localVaultAck`.
    InstallationOther,
    /// With another event in `localVaultAck`.
    EventOther,
    /// With another reference in `localVaultAck`.
    SourceOther,
    /// With an `eventHash` that is not that of the receipt.
    EventHashOther,
    /// Without `eventHash`.
    EventHashAbsent,
    /// With hashes of 62 digits.
    EventHashShort,
    /// With hashes that have a digit which is none.
    EventHashNoHex,
    /// Without `receiptHash`.
    ReceiptHashAbsent,
    /// With a `receiptHash` of 62 digits.
    ReceiptHashShort,
    /// With a `receiptHash` that has a digit which is none.
    ReceiptHashNoHex,
    /// Not at all: the connection is closed.
    Close,
    /// Not at all: the connection is reset.
    Reset,
    /// With a body in the middle of which the connection is reset.
    ResetInBody,
    /// With a head that breaks off.
    CutHead,
    /// With a body that breaks off in the middle.
    CutBody,
    /// With an acknowledgement that is complete, and the end of the connection before the announced length.
    CutBeforeLength,
    /// With an acknowledgement in chunks, without the last chunk.
    CutChunks,
    /// With bytes that are no HTTP.
    Garbage,
    /// Not at all, while the connection stays open.
    Silent,
    /// With a byte of a body now and then, without end.
    Trickle,
    /// With a body without end.
    Endless,
}

impl Reply {
    /// What it is, for people.
    pub fn about(self) -> String {
        if let Reply::Status(status) = self {
            return format!("a full acknowledgement under {status}");
        }
        if let Reply::Redirect(status) = self {
            return format!("a {status} to another address over plain http");
        }
        if let Reply::RedirectOverHttps(status) = self {
            return format!("a {status} to another host over https");
        }
        // The names of the format say it.
        let words = match self {
            Reply::Ack => "a full acknowledgement",
            Reply::Created => "a full acknowledgement with 201",
            Reply::AcceptedLater => "a full acknowledgement with 202",
            Reply::OtherForm => "a full acknowledgement in spaced JSON",
            Reply::SnakeCase => "a full acknowledgement in snake_case",
            Reply::SnakeHashOther => "the hash of another envelope, in snake_case",
            Reply::SnakeHashAbsent => "no envelope_hash, in snake_case",
            Reply::SnakeAcceptedFalse => "accepted false, in snake_case",
            Reply::SnakeStreamOther => "another stream_id, in snake_case",
            Reply::SnakeCanonicalOther => "a receipt for another reference, in snake_case",
            Reply::SnakeReceiptStreamOther => "a receipt for another stream, in snake_case",
            Reply::Empty => "200 without a body",
            Reply::NoContent => "204",
            Reply::Html => "200 with a page",
            Reply::Array => "the acknowledgement in an array",
            Reply::Text => "the acknowledgement as a string",
            Reply::Null => "null",
            Reply::Half => "half of the acknowledgement",
            Reply::BadUtf8 => "an acknowledgement with a byte that is no UTF-8",
            Reply::TwoObjects => "an acknowledgement and another object behind it",
            Reply::NoAck => "a receipt without localVaultAck",
            Reply::NullAck => "localVaultAck null",
            Reply::AcceptedFalse => "accepted false",
            Reply::AcceptedAbsent => "no accepted",
            Reply::AcceptedNull => "accepted null",
            Reply::AcceptedOne => "accepted 1",
            Reply::AcceptedText => "accepted \"true\"",
            Reply::HashAbsent => "no envelopeHash",
            Reply::HashEmpty => "an empty envelopeHash",
            Reply::HashCut => "the first half of the envelope's hash",
            Reply::HashOther => "the hash of another envelope",
            Reply::HashOfPayload => "the hash of the payload as envelopeHash",
            Reply::HashEarlier => "the hash of an earlier attempt",
            Reply::StreamAbsent => "no streamId",
            Reply::StreamOther => "another streamId",
            Reply::ReceiptAbsent => "no receipt",
            Reply::ReceiptNull => "a receipt that is null",
            Reply::ReceiptWithoutPayload => "a receipt without a payload",
            Reply::CanonicalAbsent => "a receipt without event_id",
            Reply::CanonicalOther => "a receipt for another reference",
            Reply::CanonicalOfOther => "a receipt for another installation",
            Reply::CanonicalIsEvent => "a receipt with the vault's own event id",
            Reply::CanonicalLonger => "a receipt for an event id that only begins like the right one",
            Reply::ReceiptStreamOther => "a receipt for another stream",
            Reply::InstallationOther => "another installationId",
            Reply::EventOther => "another eventId",
            Reply::SourceOther => "another sourceRef",
            Reply::EventHashOther => "an eventHash that is not that of the receipt",
            Reply::EventHashAbsent => "no eventHash",
            Reply::EventHashShort => "hashes of the event with 62 digits",
            Reply::EventHashNoHex => "hashes of the event that are none",
            Reply::ReceiptHashAbsent => "no receiptHash",
            Reply::ReceiptHashShort => "a receiptHash of 62 digits",
            Reply::ReceiptHashNoHex => "a receiptHash that is none",
            Reply::Close => "the end of the connection",
            Reply::Reset => "a reset connection",
            Reply::ResetInBody => "a connection that is reset in the body",
            Reply::CutHead => "a head that breaks off",
            Reply::CutBody => "a body that breaks off",
            Reply::CutBeforeLength => "an acknowledgement shorter than announced",
            Reply::CutChunks => "an acknowledgement without its last chunk",
            Reply::Garbage => "bytes that are no HTTP",
            Reply::Silent => "nothing, while the connection stays open",
            Reply::Trickle => "a byte now and then, without end",
            Reply::Endless => "a body without end",
            Reply::Status(_) | Reply::Redirect(_) | Reply::RedirectOverHttps(_) => "",
        };
        words.to_owned()
    }

    /// Whether it acknowledges the delivery.
    pub fn is_acknowledgement(self) -> bool {
        matches!(
            self,
            Reply::Ack | Reply::Created | Reply::AcceptedLater | Reply::OtherForm
        )
    }

    /// The same answer with its members in camelCase; nothing where it is none in snake_case.
    fn in_camel_case(self) -> Option<Reply> {
        Some(match self {
            Reply::SnakeCase => Reply::Ack,
            Reply::SnakeHashOther => Reply::HashOther,
            Reply::SnakeHashAbsent => Reply::HashAbsent,
            Reply::SnakeAcceptedFalse => Reply::AcceptedFalse,
            Reply::SnakeStreamOther => Reply::StreamOther,
            Reply::SnakeCanonicalOther => Reply::CanonicalOther,
            Reply::SnakeReceiptStreamOther => Reply::ReceiptStreamOther,
            _ => return None,
        })
    }

    /// The statuses that another than a full acknowledgement comes under.
    pub(super) fn status(self) -> u16 {
        match self {
            Reply::Status(status) | Reply::Redirect(status) | Reply::RedirectOverHttps(status) => status,
            Reply::Created => 201,
            Reply::AcceptedLater => 202,
            Reply::NoContent => 204,
            _ => 200,
        }
    }
}

/// What an acknowledgement is about: the members of an envelope, and its hash.
#[derive(Debug, Clone, Default)]
pub(super) struct Receipt {
    pub(super) installation: String,
    pub(super) event: String,
    pub(super) stream: String,
    pub(super) source: String,
    pub(super) payload_sha256: String,
    pub(super) hash: String,
    /// The hash of the attempt before it of the same item.
    pub(super) earlier: Option<String>,
}

impl Receipt {
    /// What an envelope says.
    pub(super) fn of(envelope: &Value, hash: String) -> Receipt {
        let text = |name: &str| envelope[name].as_str().unwrap_or_default().to_owned();
        Receipt {
            installation: text("installation_id"),
            event: text("event_id"),
            stream: text("stream_id"),
            source: text("source_ref"),
            payload_sha256: text("payload_sha256"),
            hash,
            earlier: None,
        }
    }

    fn full(&self) -> Value {
        let canonical = format!("local-vault:{}:{}", self.installation, self.source);
        let event_hash = sha256(format!("event {canonical}").as_bytes());
        json!({
            "localVaultAck": {
                "accepted": true,
                "installationId": self.installation,
                "eventId": self.event,
                "sourceRef": self.source,
                "envelopeHash": self.hash,
            },
            "streamId": self.stream,
            "eventHash": event_hash,
            "receipt": {
                "payload": { "event_id": canonical, "stream_id": self.stream, "event_hash": event_hash },
                "receiptHash": sha256(format!("receipt {canonical}").as_bytes()),
            },
        })
    }

    /// The body that answers a delivery.
    pub(super) fn body(&self, reply: Reply) -> Vec<u8> {
        let full = self.full();
        let text = full.to_string();
        match reply {
            Reply::Empty | Reply::NoContent => Vec::new(),
            Reply::Html => b"<!doctype html><title>200 OK</title><p>The proxy says hello.".to_vec(),
            Reply::Array => json!([full]).to_string().into_bytes(),
            Reply::Text => Value::from(text).to_string().into_bytes(),
            Reply::Null => b"null".to_vec(),
            Reply::Half => text.as_bytes()[..text.len() / 2].to_vec(),
            Reply::BadUtf8 => {
                let note = b",\"note\":\"\xff\"}";
                [&text.as_bytes()[..text.len() - 1], note].concat()
            }
            Reply::TwoObjects => format!("{text}{{\"error\":\"upstream\"}}").into_bytes(),
            Reply::OtherForm => spaced(&full).into_bytes(),
            other => match other.in_camel_case() {
                Some(plain) => snake_case(&self.spoilt(full, plain)).to_string().into_bytes(),
                None => self.spoilt(full, other).to_string().into_bytes(),
            },
        }
    }

    /// An acknowledgement that is wrong in one way.
    fn spoilt(&self, mut full: Value, reply: Reply) -> Value {
        let other = |text: &str| format!("{}0", text.chars().rev().collect::<String>());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (event_hash, receipt_hash) = (text(&full["eventHash"]), text(&full["receipt"]["receiptHash"]));
        let canonical = text(&full["receipt"]["payload"]["event_id"]);
        let mut remove = |pointer: &str, name: &str| {
            if let Some(members) = full.pointer_mut(pointer).and_then(Value::as_object_mut) {
                members.remove(name);
            }
        };
        match reply {
            Reply::NoAck => remove("", "localVaultAck"),
            Reply::AcceptedAbsent => remove("/localVaultAck", "accepted"),
            Reply::HashAbsent => remove("/localVaultAck", "envelopeHash"),
            Reply::StreamAbsent => remove("", "streamId"),
            Reply::ReceiptAbsent => remove("", "receipt"),
            Reply::ReceiptWithoutPayload => remove("/receipt", "payload"),
            Reply::CanonicalAbsent => remove("/receipt/payload", "event_id"),
            Reply::EventHashAbsent => remove("", "eventHash"),
            Reply::ReceiptHashAbsent => remove("/receipt", "receiptHash"),
            _ => {}
        }
        let both = |text: String| {
            vec![
                ("/eventHash", json!(text)),
                ("/receipt/payload/event_hash", json!(text)),
            ]
        };
        let changes: Vec<(&str, Value)> = match reply {
            Reply::NullAck => vec![("/localVaultAck", Value::Null)],
            Reply::AcceptedFalse => vec![("/localVaultAck/accepted", false.into())],
            Reply::AcceptedNull => vec![("/localVaultAck/accepted", Value::Null)],
            Reply::AcceptedOne => vec![("/localVaultAck/accepted", 1.into())],
            Reply::AcceptedText => vec![("/localVaultAck/accepted", "true".into())],
            Reply::HashEmpty => vec![("/localVaultAck/envelopeHash", "".into())],
            Reply::HashCut => {
                let half = self.hash.get(..32).unwrap_or_default();
                vec![("/localVaultAck/envelopeHash", half.into())]
            }
            Reply::HashOther => {
                let hash = sha256(self.hash.as_bytes());
                vec![("/localVaultAck/envelopeHash", hash.into())]
            }
            Reply::HashOfPayload => {
                vec![("/localVaultAck/envelopeHash", self.payload_sha256.as_str().into())]
            }
            Reply::HashEarlier => vec![(
                "/localVaultAck/envelopeHash",
                self.earlier.clone().unwrap_or_default().into(),
            )],
            Reply::StreamOther => vec![("/streamId", other(&self.stream).into())],
            Reply::ReceiptNull => vec![("/receipt", Value::Null)],
            Reply::CanonicalOther => {
                let id = format!("local-vault:{}:{}", self.installation, other(&self.source));
                vec![("/receipt/payload/event_id", id.into())]
            }
            Reply::CanonicalOfOther => {
                let id = format!("local-vault:{}:{}", other(&self.installation), self.source);
                vec![("/receipt/payload/event_id", id.into())]
            }
            Reply::CanonicalIsEvent => vec![("/receipt/payload/event_id", self.event.as_str().into())],
            Reply::CanonicalLonger => vec![("/receipt/payload/event_id", format!("{canonical}-2").into())],
            Reply::ReceiptStreamOther => vec![("/receipt/payload/stream_id", other(&self.stream).into())],
            Reply::InstallationOther => {
                vec![("/localVaultAck/installationId", other(&self.installation).into())]
            }
            Reply::EventOther => vec![("/localVaultAck/eventId", other(&self.event).into())],
            Reply::SourceOther => vec![("/localVaultAck/sourceRef", other(&self.source).into())],
            Reply::EventHashOther => vec![("/eventHash", sha256(event_hash.as_bytes()).into())],
            Reply::EventHashShort => both(event_hash[..62].to_owned()),
            Reply::EventHashNoHex => both(format!("{}xy", &event_hash[..62])),
            Reply::ReceiptHashShort => vec![("/receipt/receiptHash", receipt_hash[..62].into())],
            Reply::ReceiptHashNoHex => vec![(
                "/receipt/receiptHash",
                format!("{}xy", &receipt_hash[..62]).into(),
            )],
            _ => Vec::new(),
        };
        for (pointer, value) in changes {
            crate::json::set(&mut full, pointer, value);
        }
        full
    }
}

/// The same value, the names of its members in snake_case.
fn snake_case(value: &Value) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    let spelt = |name: &str| {
        name.chars().fold(String::new(), |mut name, letter| {
            if letter.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
            name
        })
    };
    let members = members
        .iter()
        .map(|(name, value)| (spelt(name), snake_case(value)));
    Value::Object(members.collect())
}

/// The same object, its members the other way round, with white space and an escape.
fn spaced(full: &Value) -> String {
    let members: Vec<String> = full
        .as_object()
        .into_iter()
        .flatten()
        .rev()
        .map(|(name, value)| {
            format!(
                " {} : {value}",
                Value::from(name.as_str()).to_string().replace('e', "\\u0065")
            )
        })
        .collect();
    format!("{{\n{}\n}}\n", members.join(" ,\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        Receipt {
            installation: "lvi_1".to_owned(),
            event: "lv_2".to_owned(),
            stream: "str_3".to_owned(),
            source: "a-4".to_owned(),
            payload_sha256: sha256(b"payload"),
            hash: sha256(b"envelope"),
            earlier: Some(sha256(b"earlier")),
        }
    }

    #[test]
    fn the_other_form_is_the_same_object() {
        let (plain, spaced) = (receipt().body(Reply::Ack), receipt().body(Reply::OtherForm));
        let read = |bytes: &[u8]| crate::json::parse(bytes).unwrap();
        assert_ne!(plain, spaced);
        assert!(crate::json::equal(&read(&plain), &read(&spaced)));
    }

    #[test]
    fn in_snake_case_the_values_are_the_same() {
        let read = |reply| crate::json::parse(&receipt().body(reply)).unwrap();
        let (camel, snake) = (read(Reply::Ack), read(Reply::SnakeCase));
        for (one, other) in [
            ("/localVaultAck/envelopeHash", "/local_vault_ack/envelope_hash"),
            ("/localVaultAck/sourceRef", "/local_vault_ack/source_ref"),
            ("/streamId", "/stream_id"),
            ("/receipt/payload/event_id", "/receipt/payload/event_id"),
            ("/receipt/receiptHash", "/receipt/receipt_hash"),
        ] {
            assert!(camel.pointer(one).is_some(), "{one}");
            assert_eq!(camel.pointer(one), snake.pointer(other), "{other}");
        }
        let other = read(Reply::SnakeHashOther);
        assert_ne!(other["local_vault_ack"], snake["local_vault_ack"]);
        assert_eq!(other["receipt"], snake["receipt"]);
    }

    #[test]
    fn each_wrong_body_is_another_than_the_right_one() {
        let right = receipt().body(Reply::Ack);
        for reply in [
            Reply::Empty,
            Reply::Array,
            Reply::Half,
            Reply::BadUtf8,
            Reply::TwoObjects,
            Reply::NoAck,
            Reply::AcceptedFalse,
            Reply::AcceptedAbsent,
            Reply::HashAbsent,
            Reply::HashEarlier,
            Reply::StreamAbsent,
            Reply::StreamOther,
            Reply::ReceiptAbsent,
            Reply::ReceiptNull,
            Reply::ReceiptWithoutPayload,
            Reply::CanonicalAbsent,
            Reply::CanonicalOther,
            Reply::ReceiptStreamOther,
            Reply::InstallationOther,
            Reply::EventHashOther,
            Reply::EventHashAbsent,
            Reply::EventHashShort,
            Reply::ReceiptHashAbsent,
            Reply::ReceiptHashNoHex,
        ] {
            assert_ne!(receipt().body(reply), right, "{reply:?}");
        }
    }
}
