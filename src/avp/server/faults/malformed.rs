//! What is made of requests that are not what they should be.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Manner, Refusal, Script, Then};
use crate::avp::server::body_check::{self, Laxity};
use crate::avp::server::deviation::{AnswerContext, Name, faults};
use crate::avp::server::message_access;
use crate::avp::server::rules::login::Claim;
use crate::avp::server::state::State;
use crate::avp::server::vault::text;

faults! { "malformed";
    Answer(nul_500) "nul-answers-500", Should "AVP-6-21",
        "A text with a NUL character ends in a 500, as it does in databases that take none.",
        "Clients retry what can never work.",
        "Refuse it with 400 before the database does.";
    Answer(not_json_500) "not-json-answers-500", Must "AVP-6-20" and "AVP-6-21",
        "A body that is not JSON ends in a 500.",
        "Clients retry what can never work.",
        "Catch what the parser throws, and answer 400.";
    Answer(not_json_422) "not-json-answers-422", Must "AVP-6-20",
        "A body that is not JSON is refused with 422.",
        "Clients do not know the status.",
        "Map the framework's validation errors to 400.";
    Answer(malformed_422) "malformed-answers-422", Must "AVP-6-20",
        "Whatever is malformed is refused with 422.",
        "Clients do not know the status.",
        "Map the framework's validation errors to 400.";
    Answer(not_json_200) "not-json-answers-200", Must "AVP-6-20" and "AVP-6-18",
        "A body that is not JSON is answered with 200 and an error object.",
        "Clients believe that it worked.",
        "Answer 400.";
    Answer(not_json_page) "not-json-answers-page", Must "AVP-6-18",
        "A body that is not JSON is answered with the framework's own page.",
        "Clients cannot read what is wrong.",
        "Replace the framework's error handler on these routes.";
    Answer(shape_500) "wrong-shape-answers-500", Should "AVP-6-21",
        "A body with a missing field or a wrong type ends in a 500.",
        "Clients retry what can never work.",
        "Validate the body before you use it.";
    Answer(odd_500) "odd-bodies-answer-500", Should "AVP-6-21",
        "A body that is nearly JSON, with bytes behind it or in another encoding, ends in a 500.",
        "Clients retry what can never work.",
        "Catch what the parser throws, whatever it is, and answer 400.";
    Named(NOT_A_NUMBER_TAKEN) "not-a-number-taken", Must "AVP-6-20",
        "NaN and Infinity are taken for numbers, as some readers of JSON do, and end as zero.",
        "Clients with a mistake are answered as if they had asked for version 0.",
        "Tell the reader to take what JSON has, and nothing more.";
    Named(EXPONENTS_SATURATED) "huge-exponents-saturated", Should "AVP-6-21",
        "A counter like 1e400 is taken for the largest that there is.",
        "Versions are not what the client sent.",
        "Refuse numbers that are no 64-bit integers.";
    Named(NAMES_FOLDED) "names-read-without-case", Should "AVP-6-21",
        "The names of fields are matched without regard to the case of their first letter.",
        "Clients with a mistake work here and nowhere else.",
        "Refuse fields that the message does not have.";
    Named(LINE_BREAKS_SKIPPED) "base64-line-breaks-skipped", Should "AVP-6-21",
        "Line breaks in base64 are skipped.",
        "Whoever decodes strictly cannot read what is served.",
        "Decode strictly, as RFC 4648 says (3.3): some decoders that call themselves strict skip line breaks.";
    Named(BASE64_LENIENT) and Claim(claim_read_leniently) "base64-read-leniently", Should "AVP-6-21",
        "Base64 is read with characters in it that are not of its alphabet, in the URL-safe one, and without padding.",
        "Other members are served text that their own decoders refuse.",
        "Decode strictly: some libraries have a mode for that.";
    Answer(surrogate_500) "lone-surrogate-answers-500", Should "AVP-6-21",
        "Half of a surrogate pair in a text ends in a 500, since it cannot be written as UTF-8.",
        "Clients retry what can never work.",
        "Refuse it with 400 where the body is read.";
    Named(MISSING_DEFAULTED) "missing-fields-defaulted", Should "AVP-6-21",
        "A missing field is taken for zero or the empty string.",
        "Repositories with empty keys and payloads; Go's zero values are the usual cause.",
        "Ask for presence: use pointers, or a validator.";
    Named(TYPES_COERCED) "types-coerced", Should "AVP-6-21",
        "Numbers written as strings, and strings written as numbers, are taken.",
        "Clients with a mistake work here and nowhere else.",
        "Turn coercion off in the mapper.";
    Named(BASE64_UNCHECKED) "base64-unchecked", Should "AVP-6-21",
        "What should be base64 may be any string.",
        "Members are served values that they cannot decode.",
        "Decode what comes in, though you keep the text.";
    Named(LENGTHS_UNCHECKED) "lengths-unchecked", Should "AVP-6-21",
        "Keys, ivs and wrapped keys may be of any length.",
        "Members are served values that they cannot use.",
        "Check the decoded lengths.";
    Named(NULLS_TAKEN) "nulls-taken", Should "AVP-6-21",
        "Null is taken where a value is required.",
        "Members are served nulls.",
        "Ask for values, not for presence alone.";
    Named(FRACTIONS_TAKEN) "fractions-truncated", Should "AVP-6-21",
        "A counter with a fraction is truncated and taken.",
        "Versions are not what the client sent.",
        "Refuse numbers that are no integers.";
    Named(UNKNOWN_KEPT) "unknown-fields-served", Should "AVP-6-21",
        "Fields that a message does not have are stored and served.",
        "One client's mistake breaks all the others.",
        "Refuse unknown fields, or drop them.";
    Named(ADD_HALF) "add-refused-but-stored", Must "AVP-6-20" and "AVP-6-21",
        "An addMember whose entry is malformed is refused with 400, and the entry is stored.",
        "Members are served an entry that they cannot read.",
        "Validate before you write.";
    Named(PUSH_HALF) "push-refused-but-stored", Must "AVP-6-20" and "AVP-6-21",
        "A push whose rotated roster is malformed is refused with 400, and its envelope is stored.",
        "Nobody can decrypt what is served.",
        "Validate the whole request before you write any of it.";
    Named(REMOVE_HALF) "remove-refused-but-dropped", Must "AVP-6-20",
        "A removal whose roster or envelope is malformed is refused with 400, and the member is dropped.",
        "Somebody is locked out, and nothing was rotated.",
        "Validate the whole request before you write any of it.";
    Answer(deep_closes) "deep-nesting-closes", Must "AVP-6-20" and "AVP-6-21",
        "A deeply nested body ends the connection without an answer.",
        "One request takes the process down, and all the others with it.",
        "Limit the depth in the parser.";
}

fn nul_500(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let holds_nul = scene.sent().to_string().contains("\\u0000");
    if holds_nul && answer.status == 200 {
        *answer = Answer::from(Refusal::failure(500, "invalid byte sequence for encoding"));
    }
    holds_nul
}

fn surrogate_500(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let bytes = scene.request.bytes().unwrap_or_default();
    let here = String::from_utf8_lossy(bytes).contains("\\ud800");
    if here {
        *answer = Answer::from(Refusal::failure(500, "surrogates not allowed"));
    }
    here
}

/// The body with small letters at the beginning of every name; `None` on a server that tells them apart, or where all are so.
pub(in crate::avp::server) fn names_mended(state: &State, value: &Value) -> Option<Value> {
    if !state.is(NAMES_FOLDED) {
        return None;
    }
    let mended = uncapitalised(value);
    (mended != *value).then(|| {
        state.fire();
        mended
    })
}

fn uncapitalised(value: &Value) -> Value {
    let small = |name: &String| {
        let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
        format!("{}{rest}", first.to_lowercase())
    };
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (small(name), uncapitalised(value)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(uncapitalised).collect(),
        other => other.clone(),
    }
}

/// The body with other numbers where it has some that JSON does not have, or that no counter holds; `None` where a server takes
/// them for what they are, or where there are none.
pub(in crate::avp::server) fn numbers_mended(state: &State, bytes: &[u8]) -> Option<Vec<u8>> {
    let swaps: &[(&str, &str)] = match () {
        () if state.is(NOT_A_NUMBER_TAKEN) => &[(":NaN", ":0"), (":Infinity", ":0")],
        () if state.is(EXPONENTS_SATURATED) => &[(":1e400", ":9223372036854775807")],
        () => return None,
    };
    let text = std::str::from_utf8(bytes).ok()?;
    let mended = swaps
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    (mended != text).then(|| {
        state.fire();
        mended.into_bytes()
    })
}

fn not_json_500(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    not_json(
        scene,
        answer,
        Answer::new(500, json!({ "error": "Unexpected token in JSON at position 0" })),
    )
}

fn not_json_422(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    not_json(
        scene,
        answer,
        Answer::new(422, json!({ "error": "unprocessable entity" })),
    )
}

fn malformed_422(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = answer.status == 400;
    if here {
        *answer = Answer::new(422, json!({ "error": "unprocessable entity" }));
    }
    here
}

fn not_json_200(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let body = json!({ "error": "invalid json", "code": "bad_request" });
    not_json(scene, answer, Answer::ok(body))
}

fn not_json_page(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    not_json(scene, answer, Answer::page(400, "<h1>Bad Request</h1>"))
}

fn not_json(scene: &AnswerContext<'_>, answer: &mut Answer, instead: Answer) -> bool {
    let bytes = scene.request.bytes().unwrap_or_default();
    let here = answer.status == 400 && serde_json::from_slice::<Value>(bytes).is_err();
    if here {
        *answer = instead;
    }
    here
}

fn odd_500(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let bytes = scene.request.bytes().unwrap_or_default();
    let text = String::from_utf8_lossy(bytes).replace('\0', "");
    let begins = text.trim_start_matches(|c: char| !c.is_ascii()).starts_with('{');
    begins
        && not_json(
            scene,
            answer,
            Answer::new(500, json!({ "error": "unexpected end of data" })),
        )
}

fn shape_500(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let shapeless = message_access::error(answer).is_some_and(|error| {
        error
            .get("error")
            .and_then(Value::as_str)
            .is_some_and(|text| text.starts_with("the body is no "))
    });
    let here = answer.status == 400 && scene.place.is_some() && shapeless;
    if here {
        *answer = Answer::new(500, json!({ "error": "Cannot read properties of undefined" }));
    }
    here
}

/// A value that stands in for one that is not what the shape asks for, on servers that are not particular.
pub(in crate::avp::server) fn mend(state: &State, wanted: &Wanted, value: Option<&Value>) -> Option<Value> {
    let mended = match value {
        None => (MISSING_DEFAULTED, wanted.default()),
        Some(Value::Null) => return None,
        Some(Value::Number(number)) if matches!(wanted, Wanted::Integer) => {
            (FRACTIONS_TAKEN, number.as_f64().and_then(truncate))
        }
        Some(value) => (TYPES_COERCED, wanted.coerce(value)),
    };
    let (name, value) = mended;
    state.is(name).then_some(value).flatten()
}

/// What kind of value a field wants.
pub(in crate::avp::server) enum Wanted {
    /// A string.
    Text,
    /// An int64.
    Integer,
    /// Something else.
    Other,
}

impl Wanted {
    fn default(&self) -> Option<Value> {
        match self {
            Wanted::Text => Some(json!("")),
            Wanted::Integer => Some(json!(0)),
            Wanted::Other => None,
        }
    }

    fn coerce(&self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Wanted::Text, Value::Number(number)) => Some(json!(number.to_string())),
            (Wanted::Text, Value::Bool(flag)) => Some(json!(flag.to_string())),
            (Wanted::Integer, Value::String(text)) => text.parse::<i64>().ok().map(Value::from),
            (Wanted::Integer, Value::Bool(flag)) => Some(json!(i64::from(*flag))),
            _ => None,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the loss is the fault")]
fn truncate(number: f64) -> Option<Value> {
    (number.abs() < 1e15).then(|| json!(number as i64))
}

/// The fault by which a malformed request of this operation is half done.
pub(in crate::avp::server) fn half_done(operation: Operation) -> Option<Name> {
    match operation {
        Operation::AddMember => Some(ADD_HALF),
        Operation::Push => Some(PUSH_HALF),
        Operation::RemoveMember => Some(REMOVE_HALF),
        _ => None,
    }
}

/// What a check of shapes lets pass on this server.
pub(in crate::avp::server) fn laxity(state: &State) -> Laxity {
    Laxity {
        base64: state.is(BASE64_UNCHECKED),
        spelling: state.is(BASE64_LENIENT),
        line_breaks: state.is(LINE_BREAKS_SKIPPED),
        lengths: state.is(LENGTHS_UNCHECKED),
        nulls: state.is(NULLS_TAKEN),
        unknown: state.is(UNKNOWN_KEPT),
    }
}

fn deep_closes(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let bytes = scene.request.bytes().unwrap_or_default();
    let deep = bytes.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 120;
    let here = deep && answer.status == 400;
    if here {
        answer.manner = Manner::ByHand(Script {
            steps: Vec::new(),
            then: Then::Close,
        });
    }
    here
}

/// Reads the nonce and the signature of a claim in any spelling of base64.
fn claim_read_leniently(body: &Value, claim: &mut Claim) -> bool {
    let bytes = |name: &str| {
        let spelt = body_check::respelt(text(body, name));
        STANDARD.decode(spelt).unwrap_or_default()
    };
    let read = Claim {
        nonce: bytes("nonce"),
        signature: bytes("signature"),
        ..claim.clone()
    };
    std::mem::replace(claim, read.clone()) != read
}
