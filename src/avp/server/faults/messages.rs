//! Answers that are not what the message schema says.

use serde_json::{Map, Value, json};

use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Body};
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::message_access;
use crate::avp::server::vault::id_of;

faults! { "messages";
    Answer(snake_case) "fields-in-snake-case", Must "AVP-2-02",
        "Fields are named in snake case.",
        "Clients find none of the fields.",
        "Map names to camel case.";
    Answer(counters_as_text) "counters-as-strings", Must "AVP-2-02",
        "Counters are served as strings, as the JSON mapping of protobuf writes int64.",
        "Clients cannot read the answer.",
        "Write int64 as JSON numbers.";
    Answer(counters_as_floats) "counters-as-floats", Must "AVP-2-02",
        "Counters are served with a fraction of zero.",
        "Clients that ask for integers cannot read the answer.",
        "Use an integer type.";
    Answer(defaults_omitted) "defaults-omitted", Must "AVP-2-02",
        "Fields that are false, zero or empty are left out.",
        "Clients find no answer to whether there was a conflict.",
        "Turn off what leaves out empty fields; in Go drop omitempty.";
    Answer(timestamps) "manifest-with-timestamps", Must "AVP-2-02",
        "Manifests carry createdAt and updatedAt.",
        "Clients with closed messages cannot read the answer.",
        "Serve the message, not the database row.";
    Answer(entry_ids) "entries-with-row-ids", Must "AVP-2-02",
        "Member entries carry the id of their database row.",
        "Clients with closed messages cannot read the answer.",
        "Serve the message, not the database row.";
    Answer(envelope_size) "envelope-with-size", Must "AVP-2-02",
        "Envelopes carry the size of their ciphertext.",
        "Clients with closed messages cannot read the answer.",
        "Serve the message as it was sent.";
    Answer(policy_null) "policy-null", Must "AVP-2-02",
        "An absent shareRefreshTokens is served as null.",
        "Clients that ask for a boolean cannot read the answer.",
        "Leave the field out where it was not sent.";
    Answer(policy_number) "policy-as-number", Must "AVP-2-02",
        "shareRefreshTokens is served as 0 or 1.",
        "Clients that ask for a boolean cannot read the answer.",
        "Map the column to a boolean.";
    Answer(members_map) "members-as-map", Must "AVP-2-02",
        "The roster is served as an object by member id.",
        "Clients cannot read the answer.",
        "Serve an array.";
    Answer(data_envelope) "answers-inside-data", Must "AVP-2-02",
        "Every granted answer comes inside an object with a data field.",
        "Clients find none of the fields.",
        "Turn off the framework's response wrapper on these routes.";
    Answer(epoch_missing) "push-without-key-epoch", Must "AVP-2-02",
        "The answer to a push carries no keyEpoch.",
        "Clients do not learn of a rotation.",
        "Fill in all four fields.";
    Answer(token_field) "token-as-access-token", Must "AVP-2-02",
        "The token is served as access_token, as OAuth names it.",
        "Clients find no token.",
        "Name the field token.";
    Answer(expires_text) "expires-as-text", Must "AVP-2-03",
        "The expiresAt of a token is an ISO date.",
        "Clients cannot read the answer.",
        "Serve epoch milliseconds.";
    Answer(bom) "byte-order-mark", Must "AVP-2-02",
        "Bodies begin with a byte order mark.",
        "Strict parsers refuse the answer.",
        "Write UTF-8 without a mark.";
    Answer(prefix) "script-guard-prefix", Must "AVP-2-02",
        "Bodies begin with characters that keep them from being run as a script.",
        "Parsers refuse the answer.",
        "Turn the guard off for the API.";
    Answer(trailing) "bytes-after-the-json", Must "AVP-2-02",
        "Bodies end with a second JSON value.",
        "Strict parsers refuse the answer.",
        "Return after the answer is written.";
    Answer(no_profiles) "discovery-without-profiles", Must "AVP-8-01",
        "The discovery document lists no profiles.",
        "Clients do not know how to speak to the server.",
        "List the profiles that are spoken.";
    Answer(no_grpc_profile) "discovery-without-grpc", Must "AVP-8-01",
        "The discovery document does not list grpc, which is spoken.",
        "Clients that prefer gRPC never use it.",
        "List the profiles that are spoken.";
    Answer(profile_name) "discovery-names-http", Must "AVP-8-01",
        "The discovery document lists the profile as http.",
        "Clients do not know how to speak to the server.",
        "The profile is called http-json.";
    Answer(discovery_text) "discovery-as-page", Must "AVP-8-01",
        "Discovery answers 200 and the start page of a web application.",
        "Clients break on what they cannot read.",
        "Route the path before the catch-all, or answer 404.";
}

const COUNTERS: [&str; 2] = ["payloadVersion", "keyEpoch"];

fn snake_case(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    remake(answer, &|value| rename(value))
}

fn rename(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let fields = object.iter().map(|(name, value)| (snake(name), rename(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(rename).collect()),
        other => other.clone(),
    }
}

fn snake(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter.is_ascii_uppercase() {
        true => format!("_{}", letter.to_ascii_lowercase()),
        false => letter.to_string(),
    });
    letters.collect()
}

fn counters_as_text(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    counters(answer, |count| json!(count.to_string()))
}

#[expect(clippy::cast_precision_loss, reason = "the loss is the fault")]
fn counters_as_floats(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    counters(answer, |count| json!(count as f64))
}

fn counters(answer: &mut Answer, change: impl Fn(i64) -> Value) -> bool {
    let granted = answer.status < 300;
    let Body::Json(value) = &mut answer.body else {
        return false;
    };
    granted
        && message_access::fields(value, &mut |name, value| {
            let Some(count) = value.as_i64().filter(|_| COUNTERS.contains(&name)) else {
                return false;
            };
            *value = change(count);
            true
        })
}

fn defaults_omitted(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::object(answer).is_some_and(|object| {
        let count = object.len();
        object.retain(|_, value| *value != json!(false) && *value != json!(0) && *value != json!(""));
        object.len() < count
    })
}

fn timestamps(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::manifest(answer).is_some_and(|manifest| {
        manifest.insert("createdAt".to_owned(), json!(1_700_000_000_000_i64));
        manifest
            .insert("updatedAt".to_owned(), json!(1_700_000_000_000_i64))
            .is_none()
    })
}

fn entry_ids(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::entries(answer, |entry| entry.insert("id".to_owned(), json!(17)).is_none())
}

fn envelope_size(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let envelope = message_access::envelope(answer);
    envelope.is_some_and(|envelope| envelope.insert("size".to_owned(), json!(1024)).is_none())
}

fn policy_null(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let manifest =
        message_access::manifest(answer).filter(|manifest| !manifest.contains_key("shareRefreshTokens"));
    manifest.is_some_and(|manifest| {
        manifest
            .insert("shareRefreshTokens".to_owned(), Value::Null)
            .is_none()
    })
}

fn policy_number(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let policy = message_access::manifest(answer).and_then(|manifest| manifest.get_mut("shareRefreshTokens"));
    policy.is_some_and(|policy| {
        *policy = json!(i32::from(*policy == json!(true)));
        true
    })
}

fn members_map(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let members = message_access::manifest(answer).and_then(|manifest| manifest.get_mut("members"));
    members.is_some_and(|members| {
        let entries = members.as_array().cloned().unwrap_or_default().into_iter();
        *members = Value::Object(entries.map(|entry| (id_of(&entry).to_owned(), entry)).collect());
        true
    })
}

fn data_envelope(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    remake(answer, &|value| json!({ "data": value, "success": true }))
}

fn epoch_missing(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let pushed = message_access::object(answer).filter(|_| scene.on(Operation::Push));
    pushed.is_some_and(|pushed| pushed.shift_remove("keyEpoch").is_some())
}

fn token_field(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let issued = message_access::object(answer).filter(|_| scene.on(Operation::Token));
    issued.is_some_and(|issued| {
        let token = issued.shift_remove("token").unwrap_or_default();
        issued.insert("access_token".to_owned(), token).is_none()
    })
}

fn expires_text(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let issued = message_access::object(answer).filter(|_| scene.on(Operation::Token));
    issued.is_some_and(|issued| {
        issued
            .insert("expiresAt".to_owned(), json!("2038-01-19T03:14:07Z"))
            .is_some()
    })
}

fn bom(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    surround(answer, "\u{feff}", "")
}

fn prefix(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    surround(answer, ")]}',\n", "")
}

fn trailing(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    surround(answer, "", "{\"status\":\"ok\"}")
}

fn surround(answer: &mut Answer, before: &str, after: &str) -> bool {
    if answer.status >= 300 {
        return false;
    }
    let (content_type, bytes) = answer.content();
    let content_type = content_type.to_owned();
    answer.body = Body::Text {
        content_type,
        bytes: [before.as_bytes(), &bytes, after.as_bytes()].concat(),
    };
    true
}

fn remake(answer: &mut Answer, make: &dyn Fn(&Value) -> Value) -> bool {
    let granted = answer.status < 300;
    let Body::Json(value) = &mut answer.body else {
        return false;
    };
    let made = make(value);
    granted && std::mem::replace(value, made.clone()) != made
}

fn no_profiles(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    discovered(
        scene,
        answer,
        Answer::ok(json!({ "software": "vault", "version": "1.4" })),
    )
}

fn profile_name(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    discovered(scene, answer, Answer::ok(json!({ "profiles": ["http"] })))
}

fn discovery_text(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let mut page = Answer::ok(Value::Null);
    let bytes = b"<!doctype html><title>Vault</title><div id=\"app\"></div>".to_vec();
    page.body = Body::Text {
        content_type: "text/html".to_owned(),
        bytes,
    };
    discovered(scene, answer, page)
}

fn no_grpc_profile(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    discovered(scene, answer, Answer::ok(json!({ "profiles": ["http-json"] })))
}

fn discovered(scene: &AnswerContext<'_>, answer: &mut Answer, instead: Answer) -> bool {
    let here = scene.on(Operation::Discovery);
    if here {
        *answer = instead;
    }
    here
}
