//! Drives a case: turns its steps into publications and fetches.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::cases::{Fetch, Form, Publish, RawRequest, Step};
use super::devices::{device, device_id};
use crate::catalogue::OperationName;
use crate::http::{Body, Request, Role, Service};
use crate::json::deep_lists;
use crate::keys::encoding::hex;
use crate::keys::{
    IDENTITY_FORGERY, Identity, NOT_A_POINT, forge_for_small_order_key, non_canonical_keys, s_plus_l,
    small_order_keys,
};
use crate::record::Stopped;
use crate::record::transcript::Transcript;
use crate::session::{Conversation, Message, RunContext, Wish};
use crate::text::with_in_the_middle;

/// The one service.
const REGISTRY: Service = Service::new("registry");
/// The route of publications.
const ROUTE: &str = "/v0/keypackage";
/// So many bytes of payload are made up unless told.
const PAYLOAD_BYTES: usize = 40;
/// The end of a payload that is blank at its end.
const BLANK: &[u8] = b"\0 \t\r\n\0\0";
/// So often a second a fetch is made that waits for something.
const LOOKS_PER_SECOND: u32 = 4;

/// Drives a case from its first step to its last.
pub(super) async fn drive(id: &str, steps: &[Step], context: &RunContext) -> Transcript {
    let mut driver = Driver {
        case: id,
        context,
        talk: Conversation::new(context),
        published: Vec::new(),
    };
    let ended = tokio::select! {
        biased;
        reason = context.patience.halt().called() => Err(reason),
        ended = driver.run(steps) => Ok(ended),
    };
    let stopped = match ended {
        Ok(ended) => ended.err(),
        Err(reason) => Some(driver.talk.error(reason)),
    };
    driver.talk.finish(stopped)
}

struct Driver<'a> {
    case: &'a str,
    context: &'a RunContext,
    talk: Conversation<'a>,
    /// The bodies of valid publications, in their order.
    published: Vec<Value>,
}

impl Driver<'_> {
    async fn run(&mut self, steps: &[Step]) -> Result<(), Stopped> {
        for (index, step) in steps.iter().enumerate() {
            self.talk.step(index);
            if step.is_command() {
                if !self.command(step).await? {
                    return Err(self
                        .talk
                        .blocked("the registry did not start as the case wants it"));
                }
                continue;
            }
            if let Some(seconds) = step.within {
                self.until_answered(step, seconds).await?;
                continue;
            }
            for round in 0..step.rounds {
                self.round(index, step, round).await?;
            }
        }
        Ok(())
    }

    /// What is done with the registry's process. False where it does not start.
    async fn command(&mut self, step: &Step) -> Result<bool, Stopped> {
        if let Some(seconds) = step.pause {
            self.talk.pause(self.talk.second() * seconds).await;
        }
        if let Some(flags) = step.restart.clone() {
            return self.talk.restart_server(flags).await;
        }
        let Some(flags) = step.start.clone() else {
            return Ok(true);
        };
        let wish = Wish {
            flags,
            place: ["--db", "{dir}/registry.db"].map(str::to_owned).to_vec(),
            ..Wish::default()
        };
        self.talk.start_server(wish).await
    }

    /// Fetches again until it is answered as the step wants it, or its time is over.
    async fn until_answered(&mut self, step: &Step, seconds: u32) -> Result<(), Stopped> {
        let (began, time) = (Instant::now(), self.talk.second() * seconds);
        let Some(fetch) = &step.fetch else { return Ok(()) };
        for round in 0.. {
            let message = self.fetch(&step.devices[0], fetch);
            let is_over = began.elapsed() >= time;
            let answer = self.talk.send(&message, Role::Step, round).await?;
            let is_so = answer.is_some_and(|answer| step.answer.contains(&answer.status));
            if is_so || is_over {
                break;
            }
            self.talk.pause(self.talk.second() / LOOKS_PER_SECOND).await;
        }
        Ok(())
    }

    async fn round(&mut self, index: usize, step: &Step, round: usize) -> Result<(), Stopped> {
        let label = |more: usize| format!("{index}/{round}/{more}");
        let mut messages = Vec::new();
        for (number, name) in step.devices.iter().enumerate() {
            let name = &name.replace("{round}", &round.to_string());
            match (&step.publish, &step.fetch, &step.request) {
                (Some(publish), ..) if publish.with.is_empty() => {
                    let body = self.publication(name, publish, &label(number));
                    self.published.push(body.clone());
                    messages.push(self.post(name, body.to_string(), None));
                }
                (Some(publish), ..) => {
                    for (at, form) in publish.with.iter().enumerate() {
                        let body = self.publication(name, publish, &label(number * 1000 + at));
                        messages.push(self.post(name, self.spoil(*form, body), Some(*form)));
                    }
                }
                (_, Some(fetch), _) => messages.push(self.fetch(name, fetch)),
                (.., Some(raw)) => messages.push(self.raw(name, raw)),
                _ => {}
            }
        }
        if step.is_race() {
            self.talk.send_at_once(&messages, round).await?;
            return Ok(());
        }
        for (number, message) in messages.iter().enumerate() {
            self.talk.send(message, Role::Step, round + number).await?;
        }
        Ok(())
    }

    fn identity(&self, name: &str) -> Identity {
        device(&self.context.seed, self.context.generation, self.case, name)
    }

    /// A valid publication.
    fn publication(&self, name: &str, publish: &Publish, label: &str) -> Value {
        let again = publish
            .again
            .and_then(|ago| self.published.iter().rev().nth(ago - 1));
        if let Some(again) = again {
            return again.clone();
        }
        let identity = self.identity(name);
        let payload = self.payload(publish, name, label);
        json!({
            "device_id": device_id(&identity),
            "payload": STANDARD.encode(&payload),
            "signature": STANDARD.encode(identity.sign(&payload)),
        })
    }

    fn payload(&self, publish: &Publish, name: &str, label: &str) -> Vec<u8> {
        let length = publish.bytes.unwrap_or(PAYLOAD_BYTES);
        let mut payload: Vec<u8> = Vec::with_capacity(length);
        // As devices write it: the time, and then bytes of any kind. Where a length is named, there is no time unless told.
        let time = publish
            .time
            .or((publish.bytes.or(publish.at.map(|_| 0)).is_none()).then_some(0));
        payload.extend(publish.at.map(i64::to_le_bytes).into_iter().flatten());
        if let Some(time) = time {
            payload.extend(
                Timestamp::now()
                    .as_millisecond()
                    .saturating_add(time)
                    .to_le_bytes(),
            );
        }
        let generation = self.context.generation.to_string();
        let mut block = 0_usize;
        while payload.len() < length {
            let labels = ["payload", &generation, self.case, name, label, &block.to_string()];
            let bytes = self.context.seed.derive(&labels);
            payload.extend(bytes.iter().take(length - payload.len()));
            block += 1;
        }
        // A zero byte, and those whose base64 is another in the URL-safe alphabet: nothing of it may be lost.
        if length >= PAYLOAD_BYTES {
            payload[10..14].copy_from_slice(&[0xfb, 0xff, 0x00, 0xfe]);
        }
        if publish.blank {
            let end = payload.len().saturating_sub(BLANK.len());
            payload.truncate(end);
            payload.extend(BLANK);
        }
        payload
    }

    /// A publication that is none, as it goes out.
    fn spoil(&self, form: Form, mut body: Value) -> String {
        let text = |body: &Value, name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let payload = STANDARD.decode(text(&body, "payload")).unwrap_or_default();
        let signature = STANDARD.decode(text(&body, "signature")).unwrap_or_default();
        let id = text(&body, "device_id");
        let own = self.identity("alice");
        let signed = |identity: &Identity, bytes: &[u8]| STANDARD.encode(identity.sign(bytes)).into();
        match form {
            Form::UpperCase => body["device_id"] = id.to_uppercase().into(),
            Form::MixedCase => body["device_id"] = mixed(&id).into(),
            Form::TypeWithCharset | Form::TypeInCapitals | Form::Chunked => {}
            Form::EscapedSlashes => return body.to_string().replace('/', "\\/"),
            Form::EscapedLetters => return body.to_string().replace('a', "\\u0061"),
            Form::MembersTurnedRound => {
                return json!({
                    "signature": body["signature"],
                    "payload": body["payload"],
                    "device_id": body["device_id"],
                })
                .to_string();
            }
            Form::DeviceIdWithColons => {
                let bytes: Vec<&str> = id
                    .as_bytes()
                    .chunks(2)
                    .filter_map(|two| std::str::from_utf8(two).ok())
                    .collect();
                body["device_id"] = bytes.join(":").into();
            }
            Form::PayloadWithLineEnd => body["payload"] = (text(&body, "payload") + "\n").into(),
            Form::PayloadWithSpaces => {
                body["payload"] = with_in_the_middle(&text(&body, "payload"), " ").into()
            }
            Form::PayloadWithJunk => {
                body["payload"] = with_in_the_middle(&text(&body, "payload"), "!").into()
            }
            Form::SignatureWithJunk => {
                body["signature"] = with_in_the_middle(&text(&body, "signature"), "!").into();
            }
            Form::SignatureAlteredAtItsEnd => {
                let mut altered = signature;
                altered[40] ^= 1;
                body["signature"] = STANDARD.encode(altered).into();
            }
            Form::SignatureOfTheLast => {
                let last = self.published.last().cloned().unwrap_or_default();
                body["signature"] = last["signature"].clone();
            }
            Form::BundleOfAnother => {
                let last = self.published.last().cloned().unwrap_or_default();
                body["payload"] = last["payload"].clone();
                body["signature"] = last["signature"].clone();
            }
            Form::NumberForPayload => {
                body["payload"] = 1234.into();
                body["signature"] = signed(&own, &STANDARD.decode("1234").unwrap_or_default());
            }
            Form::TrueForPayload => {
                body["payload"] = true.into();
                body["signature"] = signed(&own, &STANDARD.decode("true").unwrap_or_default());
            }
            Form::BytesForPayload => body["payload"] = json!(payload),
            Form::ListsOfOne => {
                return json!({
                    "device_id": [body["device_id"]],
                    "payload": [body["payload"]],
                    "signature": [body["signature"]],
                })
                .to_string();
            }
            Form::WithoutAnEmptyPayload => {
                body["signature"] = signed(&own, b"");
                drop(body.as_object_mut().map(|it| it.shift_remove("payload")));
            }
            Form::UnknownMember => body["comment"] = "not known".into(),
            Form::TypeOfText => {}
            Form::ShortDeviceId => body["device_id"] = id[..62].into(),
            Form::LongDeviceId => body["device_id"] = format!("{id}00").into(),
            Form::OddDeviceId => body["device_id"] = format!("{}zz", &id[..62]).into(),
            Form::EmptyDeviceId => body["device_id"] = "".into(),
            Form::DeviceIdWith0x => body["device_id"] = format!("0x{id}").into(),
            Form::DeviceIdWithSpaces => body["device_id"] = format!(" {id} ").into(),
            Form::DeviceIdWithLineEnd => body["device_id"] = format!("{id}\n").into(),
            Form::DeviceIdInBase64 => body["device_id"] = own.member_id().into(),
            Form::SmallOrderKey => {
                let weak = small_order_keys().iter().find_map(|key| {
                    let forged = forge_for_small_order_key(key.public_key, &payload)?;
                    Some((STANDARD.decode(key.public_key).ok()?, forged))
                });
                if let Some((key, forged)) = weak {
                    body["device_id"] = hex(&key).into();
                    body["signature"] = forged.into();
                }
            }
            Form::UnreducedKey => {
                let mut spellings = non_canonical_keys().iter();
                let unreduced = spellings.find(|key| key.name == "identity-unreduced");
                if let Some(key) = unreduced.and_then(|key| STANDARD.decode(key.public_key).ok()) {
                    body["device_id"] = hex(&key).into();
                    body["signature"] = IDENTITY_FORGERY.into();
                }
            }
            Form::NoPoint => {
                let bytes = STANDARD.decode(NOT_A_POINT).unwrap_or_default();
                body["device_id"] = hex(&bytes).into();
            }
            Form::PayloadNoBase64 => body["payload"] = "%% no base64 %%".into(),
            Form::PayloadUnpadded => body["payload"] = STANDARD_NO_PAD.encode(&payload).into(),
            Form::PayloadUrlSafe => body["payload"] = URL_SAFE.encode(&payload).into(),
            Form::SignatureNoBase64 => body["signature"] = "%% no base64 %%".into(),
            Form::SignatureShort => body["signature"] = STANDARD.encode(&signature[..63]).into(),
            Form::SignatureLong => {
                body["signature"] = STANDARD.encode([&signature[..], &[0]].concat()).into()
            }
            Form::SignatureZero => body["signature"] = STANDARD.encode([0; 64]).into(),
            Form::SignatureAltered => {
                let mut altered = signature;
                altered[5] ^= 1;
                body["signature"] = STANDARD.encode(altered).into();
            }
            Form::SignedByAnother => body["signature"] = signed(&self.identity("mallory"), &payload),
            Form::SignedText => body["signature"] = signed(&own, text(&body, "payload").as_bytes()),
            Form::SignedOtherPayload => body["signature"] = signed(&own, b"another payload"),
            Form::SignedDigest => body["signature"] = signed(&own, &Sha256::digest(&payload)),
            Form::SignedIdAndPayload => {
                let key = STANDARD.decode(own.member_id()).unwrap_or_default();
                body["signature"] = signed(&own, &[key, payload].concat());
            }
            Form::SignatureMalleable => {
                if let Ok(signature) = <[u8; 64]>::try_from(signature) {
                    body["signature"] = STANDARD.encode(s_plus_l(signature)).into();
                }
            }
            Form::NoBody => return String::new(),
            Form::NotJson => return "device_id=".to_owned() + &id,
            Form::DeepJson => return deep_lists(),
            Form::TrailingBytes => return format!("{body} trailing"),
            Form::Array => return json!([body["device_id"], body["payload"], body["signature"]]).to_string(),
            Form::WithoutDeviceId => drop(body.as_object_mut().map(|it| it.shift_remove("device_id"))),
            Form::WithoutPayload => drop(body.as_object_mut().map(|it| it.shift_remove("payload"))),
            Form::WithoutSignature => drop(body.as_object_mut().map(|it| it.shift_remove("signature"))),
            Form::NullPayload => body["payload"] = Value::Null,
            Form::NullForAnEmptyPayload => {
                body["payload"] = Value::Null;
                body["signature"] = signed(&own, b"");
            }
            Form::NullSignature => body["signature"] = Value::Null,
            Form::NumberForDeviceId => body["device_id"] = 7.into(),
            Form::ArrayForPayload => body["payload"] = json!([1, 2]),
        }
        body.to_string()
    }

    fn post(&self, name: &str, body: String, form: Option<Form>) -> Message {
        let content_type = match form {
            Some(Form::TypeOfText) => "text/plain",
            Some(Form::TypeWithCharset) => "application/json; charset=utf-8",
            Some(Form::TypeInCapitals) => "APPLICATION/JSON",
            _ => "application/json",
        };
        let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
        if form == Some(Form::Chunked) {
            headers.push(("transfer-encoding".to_owned(), "chunked".to_owned()));
        }
        Message {
            request: Request {
                headers,
                body: Some(Body::from(body)),
                ..request("POST", ROUTE.to_owned())
            },
            operation: Some(OperationName::new("publish")),
            is_spent_by_use: true,
            actor: name.to_owned(),
            spoiled: form
                .filter(|form| !form.is_odd_alone())
                .map(|form| form.about().to_owned()),
        }
    }

    fn fetch(&self, name: &str, fetch: &Fetch) -> Message {
        let id = device_id(&self.identity(fetch.of.as_deref().unwrap_or(name)));
        let id = match &fetch.id {
            Some(other) => other
                .replace("{cut}", &id[..62])
                .replace("{other}", &with_another_end(&id)),
            None if fetch.upper_case => id.to_uppercase(),
            None if fetch.mixed_case => mixed(&id),
            None => id,
        };
        Message {
            request: request("GET", format!("{ROUTE}/{id}")),
            operation: Some(OperationName::new("fetch")),
            is_spent_by_use: false,
            actor: name.to_owned(),
            spoiled: fetch.id.as_ref().map(|_| "the id is none".to_owned()),
        }
    }

    fn raw(&self, name: &str, raw: &RawRequest) -> Message {
        let path = raw.path.replace("{device}", &device_id(&self.identity(name)));
        Message {
            request: request(&raw.method, path),
            operation: None,
            is_spent_by_use: false,
            actor: name.to_owned(),
            spoiled: Some("outside the route table".to_owned()),
        }
    }
}

/// A device id with every other character in upper case.
fn mixed(id: &str) -> String {
    let spelt = id.char_indices().map(|(at, digit)| match at % 2 {
        0 => digit.to_ascii_uppercase(),
        _ => digit,
    });
    spelt.collect()
}

/// A device id with another last digit.
fn with_another_end(id: &str) -> String {
    let (before, last) = id.split_at(id.len() - 1);
    format!("{before}{}", if last == "0" { "1" } else { "0" })
}

fn request(method: &str, path: String) -> Request {
    Request {
        service: REGISTRY,
        method: method.to_owned(),
        path,
        headers: Vec::new(),
        body: None,
    }
}
