//! What passes for an acknowledgement and is none.

use serde_json::Value;

use super::super::Habits;
use super::super::rules::{Answered, Attempt, Objection, objections};

use Objection::{
    Body, CanonicalId, Copies, EnvelopeHash, EventHash, Missing, NoReceipt, NotAccepted, ReceiptHash,
    ReceiptStream, Status, Stream,
};

/// The objections that are heeded.
pub(in super::super) fn heeded(
    habits: &Habits,
    answered: &Answered,
    attempt: &Attempt,
    found: Vec<Objection>,
) -> Vec<Objection> {
    let found = repaired(habits, answered, attempt, found);
    let found = read_in_snake_case(habits, answered, attempt, found);
    let said: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    let left = |name: &'static str, found: &[Objection], ignored: &[Objection]| {
        let left: Vec<Objection> = found.iter().copied().filter(|it| !ignored.contains(it)).collect();
        if left.len() < found.len() {
            habits.fire(name);
        }
        left
    };
    let mut found = found;
    for (name, ignored) in IGNORED {
        if habits.is(name) {
            found = left(name, &found, ignored);
        }
    }
    let accepted = &said["localVaultAck"]["accepted"];
    let hash = said["localVaultAck"]["envelopeHash"].as_str();
    let lenient: [(&'static str, bool, &[Objection]); 7] = [
        ("status-below-400-taken", answered.status < 400, &[Status]),
        (
            "any-success-taken",
            (200..300).contains(&answered.status),
            ALL_OF_BODY,
        ),
        (
            "acknowledgement-optional",
            said["localVaultAck"].is_null(),
            &[Missing, NotAccepted, EnvelopeHash, Copies],
        ),
        (
            "accepted-truthy",
            *accepted == 1 || *accepted == "true",
            &[NotAccepted],
        ),
        (
            "envelope-hash-cut-taken",
            hash.is_some_and(|hash| attempt.hash.starts_with(hash)),
            &[EnvelopeHash],
        ),
        (
            "envelope-hash-of-any-attempt",
            hash.is_some_and(|hash| attempt.earlier.iter().any(|earlier| earlier == hash)),
            &[EnvelopeHash],
        ),
        (
            "receipt-optional",
            said["receipt"].is_null(),
            &[NoReceipt, CanonicalId, ReceiptStream, EventHash, ReceiptHash],
        ),
    ];
    for (name, applies, ignored) in lenient {
        if habits.is(name) && applies {
            found = left(name, &found, ignored);
        }
    }
    if answered.status > 200 && answered.status < 300 && habits.has("only-200-taken") {
        found.push(Status);
    }
    if habits.has("never-acknowledged") {
        found.push(NotAccepted);
    }
    found
}

const ALL_OF_BODY: &[Objection] = &[
    Body,
    Missing,
    NotAccepted,
    EnvelopeHash,
    Stream,
    NoReceipt,
    CanonicalId,
    ReceiptStream,
    Copies,
    EventHash,
    ReceiptHash,
];

/// Faults that do not look at something.
const IGNORED: [(&str, &[Objection]); 9] = [
    ("status-ignored", &[Status]),
    ("accepted-unchecked", &[NotAccepted]),
    ("envelope-hash-unchecked", &[EnvelopeHash]),
    ("stream-unchecked", &[Stream]),
    ("canonical-id-unchecked", &[CanonicalId]),
    ("receipt-stream-unchecked", &[ReceiptStream]),
    ("copies-unchecked", &[Copies]),
    ("event-hash-unchecked", &[EventHash]),
    ("receipt-hash-unchecked", &[ReceiptHash]),
];

/// What is said of an acknowledgement whose members are in snake_case, where such are read.
fn read_in_snake_case(
    habits: &Habits,
    answered: &Answered,
    attempt: &Attempt,
    found: Vec<Objection>,
) -> Vec<Objection> {
    let names = ["reads-snake-case", "snake-case-unchecked"];
    let Some(name) = names.into_iter().find(|name| habits.is(name)) else {
        return found;
    };
    let said: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
    if !said["local_vault_ack"].is_object() {
        return found;
    }
    habits.fire(name);
    let again = Answered {
        status: answered.status,
        body: in_camel_case(&said).to_string().into_bytes(),
    };
    let mut found = objections(&again, attempt);
    if name == "snake-case-unchecked" {
        found.retain(|objection| *objection != EnvelopeHash);
    }
    found
}

/// An acknowledgement, its members in camelCase. In the receipt's payload they are in snake_case always.
fn in_camel_case(said: &Value) -> Value {
    let Value::Object(members) = said else {
        return said.clone();
    };
    let spelt = |name: &str| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| {
            let (letter, rest) = word.split_at(word.len().min(1));
            name + &letter.to_ascii_uppercase() + rest
        })
    };
    let members = members.iter().map(|(name, value)| match name.as_str() {
        "payload" => (name.clone(), value.clone()),
        _ => (spelt(name), in_camel_case(value)),
    });
    Value::Object(members.collect())
}

/// What is said of a body that is made readable first.
fn repaired(
    habits: &Habits,
    answered: &Answered,
    attempt: &Attempt,
    found: Vec<Objection>,
) -> Vec<Objection> {
    if !found.contains(&Body) {
        return found;
    }
    let lossy = || String::from_utf8_lossy(&answered.body).into_owned().into_bytes();
    let first = || {
        let mut values = serde_json::Deserializer::from_slice(&answered.body).into_iter::<Value>();
        values
            .next()
            .and_then(Result::ok)
            .unwrap_or_default()
            .to_string()
            .into_bytes()
    };
    let body = match () {
        () if habits.is("broken-utf8-repaired") => lossy(),
        () if habits.is("rest-of-the-body-ignored") => first(),
        () => return found,
    };
    let again = objections(
        &Answered {
            status: answered.status,
            body,
        },
        attempt,
    );
    if again.len() < found.len() {
        for name in ["broken-utf8-repaired", "rest-of-the-body-ignored"] {
            if habits.is(name) {
                habits.fire(name);
            }
        }
    }
    again
}
