//! What is asked of every answer, whatever its case is about: that it comes, that it is no breakdown, that errors have the one
//! shape, and that messages have what the protocol says.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::protocol::unescaped;
use crate::json;
use crate::judge::{Checks, Finding, Subject, reaches_the_server};
use crate::record::{Answer, Exchange, FailureKind, Outcome};
use crate::text::{encode_segment, media_type, visible_cut};

/// How much of a value a finding shows, characters.
const SHOWN: usize = 120;

/// The known words for statuses.
const CODES: [(u16, &str); 8] = [
    (400, "bad_request"),
    (401, "unauthorized"),
    (403, "forbidden"),
    (404, "not_found"),
    (409, "conflict"),
    (429, "rate_limited"),
    (500, "internal_error"),
    (503, "unavailable"),
];

/// The message that a granted operation is answered with, and the rule that says so.
const MESSAGES: [(&str, &str, &str); 5] = [
    ("create", "Object", "OMP-OBJ-01"),
    ("read", "ObjectWithContent", "OMP-OBJ-03"),
    ("list", "ObjectList", "OMP-LST-01"),
    ("search", "ObjectList", "OMP-LST-05"),
    ("capabilities", "Capabilities", "OMP-CAP-01"),
];

/// The rules that an operation is held to where a step merely prepares.
pub(super) fn prepares(operation: &str) -> &'static [&'static str] {
    match operation {
        "create" => &["OMP-OBJ-01"],
        "read" => &["OMP-OBJ-03"],
        "replace" => &["OMP-OBJ-04"],
        "delete" => &["OMP-OBJ-08"],
        "list" => &["OMP-LST-01"],
        "search" => &["OMP-LST-05"],
        "capabilities" => &["OMP-CAP-01"],
        _ => &[],
    }
}

/// The rule that an answer contradicts, whatever its step is about, by what came before it in its case.
pub(super) fn blame(exchange: &Exchange, earlier: &[Exchange]) -> Option<&'static str> {
    let status = exchange.outcome.answer()?.status;
    let operation = exchange.operation.as_ref()?.as_str();
    let is_refused = matches!(status, 401 | 403);
    if operation == "capabilities" && !is_refused {
        return Some("OMP-CAP-01");
    }
    if exchange.spoiled.is_some() {
        return None;
    }
    match operation {
        _ if is_refused => rule_of_the_mode(exchange.request.service.as_str()),
        "create" if status >= 500 && is_creation(exchange) => Some("OMP-OBJ-01"),
        "search" if matches!(status, 404 | 405) => Some("OMP-LST-06"),
        "read" => rule_of_a_read(exchange, earlier),
        _ => None,
    }
}

/// The rule of the mode that a refusal contradicts, where the request was to be let in.
fn rule_of_the_mode(service: &str) -> Option<&'static str> {
    match service {
        "strict" => Some("OMP-SIG-09"),
        "permissive" => Some("OMP-SIG-02"),
        "off" => Some("OMP-SIG-01"),
        _ => None,
    }
}

/// The rule that a wrong answer to a read contradicts, where the history of its object leaves one alone: it was created, and nobody
/// has touched it since; or it was deleted.
fn rule_of_a_read(read: &Exchange, earlier: &[Exchange]) -> Option<&'static str> {
    let status = read.outcome.answer()?.status;
    let created = earlier.iter().rposition(|it| creates(it, read))?;
    let since = &earlier[created + 1..];
    let is_at_it = |it: &&Exchange| {
        let is_plain_read = it.request.method == "GET" && !names_another_method(it);
        it.request.path == read.request.path && !is_plain_read
    };
    let is_granted = |it: &Exchange| {
        let answer = it.outcome.answer();
        answer.is_some_and(|answer| (200..300).contains(&answer.status))
    };
    let segment = id_segment(read);
    let is_respelt = |it: &Exchange| {
        let mut parts = it.request.path.split(['/', '?']);
        it.request.method != "GET"
            && it.request.path != read.request.path
            && parts.any(|part| part == segment)
    };
    if since.iter().any(is_respelt) {
        return None;
    }
    let is_another =
        |it: &Exchange| matches!(it.request.method.as_str(), "POST" | "DELETE") && is_granted(it);
    match since.iter().rfind(is_at_it) {
        None if status == 404 && !since.iter().any(is_another) => Some("OMP-OBJ-03"),
        None => None,
        Some(last) if last.request.method != "DELETE" || !is_granted(last) => None,
        // It is there still; or it is gone, and the answer says that in another way than with 404.
        Some(_) if is_granted(read) && is_message(read) => Some("OMP-OBJ-08"),
        Some(_) if status < 500 => Some("OMP-OBJ-09"),
        Some(_) => None,
    }
}

/// The last part of the path of a read: the id of its object.
fn id_segment(read: &Exchange) -> &str {
    read.request.path.rsplit('/').next().unwrap_or_default()
}

/// Whether a header of a request asks to take it for another method.
fn names_another_method(exchange: &Exchange) -> bool {
    let mut names = exchange.request.headers.iter().map(|(name, _)| name);
    names.any(|name| name.starts_with("x-") && name.contains("method"))
}

/// Whether what was sent to be created is an object with content.
fn is_creation(create: &Exchange) -> bool {
    let body = json::parse(create.request.body_bytes());
    body.is_ok_and(|body| body.get("content").is_some_and(Value::is_object))
}

/// Whether an exchange created the object that another one reads.
fn creates(create: &Exchange, read: &Exchange) -> bool {
    let answer = create.outcome.answer();
    let answer = answer.filter(|answer| (200..300).contains(&answer.status));
    let body = answer.and_then(|answer| json::parse(answer.body.as_bytes()).ok());
    let id = body.as_ref().and_then(|body| body.get("id")?.as_str());
    create.request.method == "POST"
        && create.request.service == read.request.service
        && id.is_some_and(|id| read.request.path == format!("/objects/{}", encode_segment(id)))
}

/// The message of the operation of an exchange that was granted, and the rule that says so.
fn message(exchange: &Exchange) -> Option<(&'static str, &'static str)> {
    let operation = exchange.operation.as_ref()?.as_str();
    let status = exchange.outcome.answer()?.status;
    let (_, message, rule) = MESSAGES.iter().find(|(name, ..)| *name == operation)?;
    let is_shown = (200..300).contains(&status) && exchange.request.method != "HEAD";
    is_shown.then_some((*message, *rule))
}

/// Whether an answer is the message of its operation, where it is to be one.
pub(super) fn is_message(exchange: &Exchange) -> bool {
    let (Some((message, _)), Some(answer)) = (message(exchange), exchange.outcome.answer()) else {
        return true;
    };
    let body = json::parse(answer.body.as_bytes());
    body.is_ok_and(|body| fits(message, &body) == Finding::Holds)
}

/// Whether a list was asked for an item: a search is for objects of a namespace, or with a text in their keys, be it in small letters
/// or in capitals.
pub(super) fn is_asked_for(list: &Exchange, item: &Value) -> bool {
    let (_, query) = list.request.path.split_once('?').unwrap_or_default();
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .all(|(name, value)| {
            let value = unescaped(value);
            match name {
                "namespace" => text("namespace").is_none_or(|own| own == value),
                "key_contains" => {
                    text("key").is_none_or(|own| own.to_lowercase().contains(&value.to_lowercase()))
                }
                _ => true,
            }
        })
}

/// Looks at an answer, and says whether it makes what comes later another thing than the case means. One that its step does not allow
/// is held to no message.
pub(super) fn every(checks: &mut Checks<'_>, index: usize, exchange: &Exchange, is_allowed: bool) -> bool {
    soundness(checks, index, exchange);
    let Some(answer) = exchange.outcome.answer() else {
        return false;
    };
    let is_told = exchange.request.method != "HEAD" && reaches_the_server(&exchange.request.path);
    if answer.status >= 400 && is_told {
        error(checks, index, answer);
    }
    let operation = exchange.operation.as_ref().map_or("", |name| name.as_str());
    if operation == "replace" && is_allowed && answer.status == 200 && exchange.spoiled.is_none() {
        replaced(checks, index, exchange, answer);
    }
    let Some((message, rule)) = message(exchange).filter(|_| is_allowed) else {
        return false;
    };
    let body = json::parse(answer.body.as_bytes());
    let finding = match (&body, other_type(answer)) {
        (Err(why), _) => Finding::broken(format!("the body is not JSON: {why}")),
        (Ok(_), Some(other)) => Finding::broken(format!("JSON that is said to be {other}")),
        (Ok(body), None) => fits(message, body),
    };
    let is_sound = finding == Finding::Holds;
    let expected = format!("the answer to {operation} is {}", with_article(message));
    checks.note(standing("message", rule, expected), index, finding);
    match body {
        Ok(object) if is_sound && operation == "create" && exchange.spoiled.is_none() => {
            as_sent(checks, index, exchange, &object)
        }
        _ => false,
    }
}

/// Looks at the object with which a replace may be answered: its metadata is the new one. Its content need not stand in it.
fn replaced(checks: &mut Checks<'_>, index: usize, replace: &Exchange, answer: &Answer) {
    let sent = json::parse(replace.request.body_bytes());
    let (Ok(sent), Ok(object)) = (sent, json::parse(answer.body.as_bytes())) else {
        return;
    };
    let sent = sent.get("metadata").filter(|sent| sent.is_object());
    let (Some(sent), Some(own)) = (sent, object.get("metadata")) else {
        return;
    };
    let subject = standing(
        "metadata of the answer",
        "OMP-OBJ-04",
        "the object with which replace is answered has the metadata that was sent",
    );
    let finding = match json::equal(sent, own) {
        true => Finding::Holds,
        false => Finding::broken_at("/metadata", visible_cut(&own.to_string(), SHOWN)),
    };
    checks.note(subject, index, finding);
}

/// Whether the answer to a create has other names or other metadata than were sent. An empty name may be replaced.
fn as_sent(checks: &mut Checks<'_>, index: usize, create: &Exchange, object: &Value) -> bool {
    let Ok(sent) = json::parse(create.request.body_bytes()) else {
        return false;
    };
    let is_sent = |name: &str| match sent.get(name) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(_)) => true,
        _ => false,
    };
    let is_another = |name: &&str| {
        let both = sent.get(*name).zip(object.get(*name));
        is_sent(name) && both.is_none_or(|(sent, own)| !json::equal(sent, own))
    };
    let other = ["namespace", "key", "metadata"].into_iter().find(is_another);
    let subject = standing(
        "as sent",
        "OMP-OBJ-01",
        "namespace, key and metadata of the answer to create are as sent",
    );
    let finding = match other {
        None => Finding::Holds,
        Some(name) => {
            let own = object.get(name).unwrap_or(&Value::Null).to_string();
            Finding::broken_at(format!("/{name}"), visible_cut(&own, SHOWN))
        }
    };
    checks.note(subject, index, finding);
    other.is_some()
}

fn with_article(message: &str) -> String {
    match message.starts_with(['A', 'E', 'I', 'O']) {
        true => format!("an {message}"),
        false => format!("a {message}"),
    }
}

fn soundness(checks: &mut Checks<'_>, index: usize, exchange: &Exchange) {
    let subject = standing(
        "status",
        "OMP-ERR-03",
        "every request is answered, and none with a status of 5xx",
    );
    let finding = match &exchange.outcome {
        // What is out of order for a time, and a method that nobody knows.
        Outcome::Answer(answer) if answer.status == 503 => return,
        Outcome::Answer(answer) if answer.status == 501 && exchange.operation.is_none() => return,
        Outcome::Answer(answer) if answer.status >= 500 => {
            Finding::broken(format!("status {}", answer.status))
        }
        Outcome::Answer(_) => Finding::Holds,
        Outcome::Failure(failure) if matches!(failure.kind, FailureKind::Connect | FailureKind::Tls) => {
            return;
        }
        Outcome::Failure(failure) => Finding::broken(failure.message.clone()),
    };
    checks.note(subject, index, finding);
}

fn error(checks: &mut Checks<'_>, index: usize, answer: &Answer) {
    let body = json::parse(answer.body.as_bytes());
    let shape = standing(
        "error",
        "OMP-ERR-01",
        "an error is JSON of the one shape, with the status of the answer in it",
    );
    let finding = match (&body, other_type(answer)) {
        (Err(why), _) => Finding::broken(format!("the body is not JSON: {why}")),
        (Ok(_), Some(other)) => Finding::broken(format!("JSON that is said to be {other}")),
        (Ok(body), None) => match (
            fits("Error", body),
            body.pointer("/error/status").and_then(Value::as_f64),
        ) {
            (Finding::Holds, Some(status)) if (status - f64::from(answer.status)).abs() > f64::EPSILON => {
                Finding::broken_at(
                    "/error/status",
                    format!("{status} in an answer {}", answer.status),
                )
            }
            (finding, _) => finding,
        },
    };
    checks.note(shape, index, finding);
    let known = CODES.iter().find(|(status, _)| *status == answer.status);
    let code = body
        .ok()
        .and_then(|body| Some(body.pointer("/error/code")?.as_str()?.to_owned()));
    if let (Some((status, word)), Some(code)) = (known, code) {
        let subject = standing("code", "OMP-ERR-04", "the code is the known word for the status");
        let finding = match code == *word {
            true => Finding::Holds,
            false => Finding::broken_at("/error/code", format!("{code:?} for {status}, not {word:?}")),
        };
        checks.note(subject, index, finding);
    }
    let wanted = match answer.status {
        401 => "www-authenticate",
        405 => "allow",
        _ => return,
    };
    let subject = standing(
        "header",
        "OMP-ERR-05",
        "405 carries Allow, and 401 WWW-Authenticate",
    );
    let finding = match answer.header(wanted) {
        Some(_) => Finding::Holds,
        None => Finding::broken(format!("status {} without a header {wanted}", answer.status)),
    };
    checks.note(subject, index, finding);
}

/// The content type of an answer, where it says that its body is something else than JSON.
fn other_type(answer: &Answer) -> Option<String> {
    let said = answer.header("content-type")?;
    let essence = media_type(said);
    let is_json = essence == "application/json" || essence.ends_with("+json");
    (!is_json).then(|| visible_cut(said, SHOWN))
}

/// Whether a body is a message.
fn fits(message: &str, body: &Value) -> Finding {
    static VALIDATORS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(validators);
    let Some(validator) = VALIDATORS.get(message) else {
        return Finding::Holds;
    };
    match validator.iter_errors(body).next() {
        None => Finding::Holds,
        Some(error) => Finding::broken_at(error.instance_path().to_string(), error.to_string()),
    }
}

fn validators() -> BTreeMap<String, Validator> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schema/omp.schema.json"));
    let schema: Value = serde_json::from_str(text).unwrap_or_default();
    let names = schema["$defs"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name);
    let validator = |name: &String| {
        let mut rooted = schema.clone();
        rooted["$ref"] = format!("#/$defs/{name}").into();
        Some((name.clone(), jsonschema::validator_for(&rooted).ok()?))
    };
    names.filter_map(validator).collect()
}

fn standing(
    name: &'static str,
    requirement: &'static str,
    expected: impl Into<std::borrow::Cow<'static, str>>,
) -> Subject {
    Subject {
        step: None,
        name,
        requirements: vec![requirement],
        expected: expected.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_what_the_schema_says() {
        for message in [
            "Error",
            "Object",
            "ObjectWithContent",
            "ObjectList",
            "Capabilities",
        ] {
            assert_ne!(fits(message, &json!("x")), Finding::Holds, "{message}");
        }
        let error = |details: Value| json!({ "error": { "code": "x", "message": "y", "status": 400, "details": details } });
        assert_eq!(fits("Error", &error(Value::Null)), Finding::Holds);
        assert_eq!(fits("Error", &error(json!({ "a": 1 }))), Finding::Holds);
        assert_ne!(fits("Error", &error("none".into())), Finding::Holds);
        assert_eq!(fits("ObjectList", &json!({ "items": [] })), Finding::Holds);
    }
}
