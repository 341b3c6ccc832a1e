//! Turns a stored case into a shell script that makes its requests again, for devices of its own.
//!
//! A registry keeps what was published for a device, so that the script makes throw-away keys and signs with them. What was signed, by
//! whom, and how the signature was spoiled is found out by making it again: Ed25519 gives the same signature each time.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet::{STANDARD as STANDARD_ALPHABET, URL_SAFE as URL_SAFE_ALPHABET};
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::devices::{device, device_id};
use crate::http::{Exchange, Outcome, Wire};
use crate::json;
use crate::keys::{Identity, s_plus_l};
use crate::protocol::Reach;
use crate::record::{CaseRecord, Record};
use crate::repro::{self, ED25519, JSON, PRELUDE, Plan, Text, Words, name, send, status};

/// What a script begins with behind what those of all protocols do.
const KEYPACKAGE: &str = include_str!("keypackage.sh");
/// A device that publishes nothing, and signs what others publish.
const FORGER: &str = "mallory";
/// What some sign in place of the payload.
const OTHER_PAYLOAD: &[u8] = b"another payload";

/// The script for a case of a record: the step with that index, else the first that is broken, else the last.
///
/// # Errors
/// The case has no request to repeat, or the step does not exist, or the case starts registries of its own: one sentence.
pub fn script(
    record: &Record,
    case: &CaseRecord,
    step: Option<usize>,
    reach: &Reach,
) -> Result<String, String> {
    let plan = Plan::of(record, case, step, reach)?;
    if plan.exchanges().iter().any(|(_, it)| it.wire == Wire::Command) {
        return Err(format!(
            "{id} starts, ends and waits for a registry of its own, which a script cannot do for every registry: run it with\n  \
             avp-conform --protocol keypackage --exec '... {{flags}}' --filter {id}",
            id = case.id
        ));
    }
    let mut script = Script {
        plan: &plan,
        text: Text::new(&plan),
        paths: Words::default(),
        devices: Vec::new(),
        is_incomplete: false,
    };
    script.devices();
    script.requests();
    let is_incomplete = script.is_incomplete;
    script.text.conclude(|text| {
        if is_incomplete {
            text.line("fail 'a publication of the run is not made here, so that this proves nothing: see the head of this script'");
        }
        compare(text);
    });
    let (body, left_out) = (script.text.out, script.text.left_out);
    Ok(format!(
        "{}{PRELUDE}{JSON}{ED25519}{KEYPACKAGE}\n{body}",
        head(&plan, &left_out)
    ))
}

fn head(plan: &Plan<'_>, left_out: &[String]) -> String {
    let usage = [
        "Usage: TARGET=http://localhost:8787 sh script.sh",
        "TLS and headers: CACERT, CLIENT_CERT, CLIENT_KEY, INSECURE=1, PROXY; HEADERS names a file.",
    ];
    let not_the_same = [
        "Not the same as in the run: the keys of devices, and with them the signatures; concurrent requests go out",
        "about, not exactly, at once.",
    ];
    let mut out = repro::head(plan, &usage.map(str::to_owned), &not_the_same, left_out);
    repro::address(
        &mut out,
        plan,
        "TARGET",
        &plan.record.target,
        "http://localhost:8787",
        "",
    );
    repro::reach(&mut out, plan.reach);
    out
}

/// A script that is being written.
struct Script<'a> {
    plan: &'a Plan<'a>,
    text: Text<'a>,
    /// The words of the text, for paths: no signature stands there.
    paths: Words,
    devices: Vec<(&'a str, Identity)>,
    /// Whether a publication that was granted in the run is left out.
    is_incomplete: bool,
}

impl<'a> Script<'a> {
    /// A throw-away key for everybody.
    fn devices(&mut self) {
        let plan = self.plan;
        let mut names = plan.actors();
        names.extend((!names.contains(&FORGER)).then_some(FORGER));
        for actor in names {
            let identity = device(&plan.seed, plan.generation(), &plan.case.id, actor);
            let (id, who) = (device_id(&identity), name(actor));
            self.text
                .line(format!("device {who}\nid_{who}=$id upper_{who}=$upper"));
            for (text, variable) in [
                (id.as_str(), format!("id_{who}")),
                (&id.to_uppercase(), format!("upper_{who}")),
                (&id[..id.len() - 2], format!("id_{who}%??")),
            ] {
                self.text.words.add(text, variable.clone());
                self.paths.add(text, variable);
            }
            self.devices.push((actor, identity));
        }
    }

    fn requests(&mut self) {
        let exchanges = self.plan.exchanges();
        let mut at = 0;
        while at < exchanges.len() {
            let (index, exchange) = exchanges[at];
            let together = &exchanges[at..at + self.plan.length_of_race(&exchanges[at..])];
            if together.is_empty() {
                self.text.say(exchange);
                match self.request(index, exchange) {
                    Some(request) => self.text.line(format!("{request}\nshow {}", status(exchange))),
                    None => {
                        let answer = exchange.outcome.answer();
                        self.is_incomplete |= answer.is_some_and(|answer| matches!(answer.status, 200..300));
                        self.text.leave_out(exchange);
                    }
                }
                at += 1;
                continue;
            }
            // What is signed is wanted afterwards: it is signed before they go out.
            let requests = together
                .iter()
                .map(|(index, exchange)| self.request(*index, exchange));
            let requests: Vec<Option<String>> = requests.collect();
            self.text.race(together, requests);
            at += together.len();
        }
    }

    /// The commands of one request; none where a script cannot make it.
    fn request(&mut self, index: usize, exchange: &Exchange) -> Option<String> {
        let signed = self.signed(exchange);
        let raw = exchange.request.body.as_ref().and_then(|body| body.as_text());
        if signed
            .as_ref()
            .is_some_and(|(text, _)| raw.is_some_and(|raw| !raw.contains(text)))
        {
            // It is written with escapes, in which nothing can be put in its place.
            return None;
        }
        let is_new = |text: &str| !self.text.words.has(text);
        if let Some((text, signed)) = signed.filter(|(text, _)| is_new(text)) {
            // openssl signs no empty file.
            let signed = signed?;
            self.text.line(format!("{signed}\nsignature_{index}=$signature"));
            self.text.words.add(text, format!("signature_{index}"));
        }
        if self.is_written_otherwise(exchange) {
            return None;
        }
        let words = &self.text.words;
        let fields = exchange.request.headers.iter().map(|(field, value)| {
            format!(
                " -H {}{}",
                words.quoted(&format!("{field}: ")),
                words.quoted(value)
            )
        });
        let fields: Vec<String> = fields.collect();
        let path = self.paths.quoted(&exchange.request.path);
        send(exchange, "$TARGET", &path, &fields, words)
    }

    /// The signature in a publication, and commands that put one like it into `$signature`, where a script can make it; none where
    /// there is none that a device made.
    fn signed(&self, exchange: &Exchange) -> Option<(String, Option<String>)> {
        let body = json::first(exchange.request.body.as_ref()?.as_bytes())?;
        let member = |name: &str, at: usize| as_text(body.get(name).or_else(|| body.get(at))?);
        let (payload, signature) = (member("payload", 1)?, member("signature", 2)?);
        let bytes = STANDARD.decode(&signature).ok()?;
        let payload_bytes = decoded(&payload).unwrap_or_default();
        let digest = Sha256::digest(&payload_bytes);
        for (actor, identity) in &self.devices {
            let key = STANDARD.decode(identity.member_id()).unwrap_or_default();
            if let Some(made) = how_made(identity.sign(&[&key[..], &payload_bytes].concat()), &bytes) {
                let (who, payload) = (name(actor), Words::default().printed(&payload_bytes));
                let commands = format!(
                    "{{ public {who}; {payload}; }} >\"$work/signed\"\nsign {who}\nsignature=$({made} | openssl base64 -A)"
                );
                return Some((signature, Some(commands)));
            }
            for signed in [&payload_bytes, payload.as_bytes(), OTHER_PAYLOAD, &digest] {
                let Some(made) = how_made(identity.sign(signed), &bytes) else {
                    continue;
                };
                if signed.is_empty() {
                    return Some((signature, None));
                }
                let mut commands = Words::default().printed(signed);
                _ = write!(
                    commands,
                    " >\"$work/signed\"\nsign {}\nsignature=$({made} | openssl base64 -A)",
                    name(actor)
                );
                return Some((signature, Some(commands)));
            }
        }
        None
    }

    /// Whether ids of devices stand in a request in a writing in which a script cannot put those of its own.
    fn is_written_otherwise(&self, exchange: &Exchange) -> bool {
        let (path, body) = (&exchange.request.path, &exchange.request.body);
        let raw = body.as_ref().and_then(|body| body.as_text()).unwrap_or_default();
        let sent = json::first(raw.as_bytes()).map(|body: Value| body.to_string());
        let sent = format!("{path} {}", sent.unwrap_or_default());
        self.devices.iter().any(|(_, identity)| {
            let id = device_id(identity);
            let stands = |text: &str| text.contains(&id) || text.contains(&id.to_uppercase());
            sent.to_lowercase().contains(&id) && !stands(path) && !stands(raw)
        })
    }
}

/// A member as a lenient reader may have it: what it says where it is no text, the item of a list of one, the base64 of bytes. Some
/// sign nothing beside null.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(items) if items.len() == 1 => as_text(&items[0]),
        Value::Array(items) => {
            let byte = |item: &Value| u8::try_from(item.as_u64()?).ok();
            let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
            bytes.map(|bytes| STANDARD.encode(bytes))
        }
        Value::Object(_) => None,
    }
}

/// The bytes of base64 in either alphabet, padded or not.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let lax = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabets = [STANDARD_ALPHABET, URL_SAFE_ALPHABET];
    let mut read = alphabets
        .iter()
        .map(|alphabet| GeneralPurpose::new(alphabet, lax).decode(text));
    read.find_map(Result::ok)
}

/// The command that makes these bytes of a valid signature.
fn how_made(valid: [u8; 64], bytes: &[u8]) -> Option<&'static str> {
    let mut flipped = valid;
    flipped[5] ^= 1;
    let longer = [&valid[..], &[0]].concat();
    let known: [(&[u8], &str); 5] = [
        (&valid, "cat \"$work/signature\""),
        (&valid[..63], "head -c 63 \"$work/signature\""),
        (&longer, "{ cat \"$work/signature\"; printf '\\000'; }"),
        (&flipped, "flipped"),
        (&s_plus_l(valid), "malleable"),
    ];
    known.iter().find(|(made, _)| *made == bytes).map(|(_, how)| *how)
}

/// Where a status says too little, what else an answer says.
fn compare(text: &mut Text<'_>) {
    let exchange = text.plan.end();
    let (Some(check), Outcome::Answer(answer)) = (text.plan.check, &exchange.outcome) else {
        return;
    };
    if check.got.ends_with("without a header Allow") {
        return text.line("if grep -qi '^allow:' \"$work/head\"; then gone 'the field is there'; fi");
    }
    if matches!(check.name.as_str(), "answer" | "status") {
        return;
    }
    text.line("[ -z \"$strayed\" ] || gone 'an earlier answer is another'");
    let is_json = json::first(answer.body.as_bytes()).is_some_and(|body: Value| body.is_object());
    let read = if is_json { "flat | alike" } else { "cat" };
    let recorded = text.words.printed(answer.body.as_bytes());
    text.line(format!(
        "read_out() {{ {read}; }}\n\
         [ \"$(read_out <\"$work/answer\")\" = \"$({recorded} | read_out)\" ] || gone 'the answer is another'"
    ));
}
