//! What is asked of every answer, whatever its case is about: that it comes, that it is no breakdown, that errors have the one
//! shape, and that messages have what the protocol says.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use crate::json;
use crate::judge::{Checks, Finding, Subject};
use crate::record::{Answer, Exchange, FailureKind, Outcome};

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

/// The rule of the mode that a refusal contradicts, where the request was to be let in.
pub(super) fn blame(exchange: &Exchange) -> Option<&'static str> {
    let status = exchange.outcome.answer()?.status;
    if !matches!(status, 401 | 403) || exchange.spoiled.is_some() || exchange.operation.is_none() {
        return None;
    }
    match exchange.request.service.as_str() {
        "strict" => Some("OMP-SIG-09"),
        "permissive" => Some("OMP-SIG-02"),
        "off" => Some("OMP-SIG-01"),
        _ => None,
    }
}

/// Looks at an answer.
pub(super) fn every(checks: &mut Checks<'_>, index: usize, exchange: &Exchange) {
    soundness(checks, index, exchange);
    let Some(answer) = exchange.outcome.answer() else {
        return;
    };
    let is_head = exchange.request.method == "HEAD";
    if answer.status >= 400 && !is_head {
        error(checks, index, answer);
    }
    let operation = exchange.operation.as_ref().map_or("", |name| name.as_str());
    let message = MESSAGES.iter().find(|(name, ..)| *name == operation);
    if let (Some((_, message, rule)), true) = (message, (200..300).contains(&answer.status) && !is_head) {
        let finding = match json::parse(answer.body.as_bytes()) {
            Err(why) => Finding::broken(format!("the body is not JSON: {why}")),
            Ok(body) => fits(message, &body),
        };
        let expected = format!("the answer to {operation} is {}", with_article(message));
        checks.note(standing("message", rule, expected), index, finding);
    }
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
    let finding = match &body {
        Err(why) => Finding::broken(format!("the body is not JSON: {why}")),
        Ok(body) => match (
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
