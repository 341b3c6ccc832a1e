//! The body of success: the message that the table names, and nothing more.

use serde_json::Value;

use super::{Rule, base64, nonces, tokens};
use crate::avp::judge::parsed::ParsedExchange;
use crate::avp::{Operation, schema};
use crate::judge::{Checks, Finding, Subject};

/// The body of success is of the schema.
pub(super) const RULE: Rule = Rule {
    name: "schema",
    requirement: "AVP-2-02",
    expected: "the body of success is the message of its operation, and nothing more",
};

/// The same for discovery, which is optional.
pub(super) const DISCOVERY: Rule = Rule {
    name: "schema",
    requirement: "AVP-8-01",
    expected: "the body of discovery is its document",
};

/// Looks at the body of an answer of success.
pub(super) fn check(
    checks: &mut Checks<'_>,
    frames: &[ParsedExchange<'_>],
    frame: &ParsedExchange<'_>,
    operation: Operation,
) {
    let message = operation.answer_message();
    let subject = || subject(operation);
    // Another status of success has a rule of its own, and no body that the table speaks of.
    let is_other = frame.answer().is_some_and(|answer| answer.status != 200);
    if is_other && frame.body.is_none() {
        return;
    }
    let body = match &frame.body {
        Some(Ok(body)) => body,
        Some(Err(why)) => {
            return checks.note(
                subject(),
                frame.index,
                Finding::broken(format!("not JSON: {why}")),
            );
        }
        None => return checks.note(subject(), frame.index, Finding::broken("no body")),
    };
    let violations = schema::violations(message, body);
    if violations.is_empty() {
        checks.note(subject(), frame.index, Finding::Holds);
    }
    // JSON Schema takes 2.0 for an integer; who reads an int64 does not.
    if let Some(pointer) = fraction_in(body).filter(|_| operation != Operation::Discovery) {
        let got = "a counter that is written with a fraction";
        checks.note(subject(), frame.index, Finding::broken_at(pointer, got));
    }
    for violation in violations {
        // A time that is none has a rule of its own.
        let subject = match violation.pointer.as_str() {
            "/expiresAt" => tokens::TIME.subject(),
            _ => subject(),
        };
        checks.note(
            subject,
            frame.index,
            Finding::broken_at(violation.pointer, violation.message),
        );
    }
    base64::check(checks, frames, frame, message, body);
    if operation == Operation::Challenge {
        nonces::check_length(checks, frame, body);
    }
}

fn subject(operation: Operation) -> Subject {
    let rule = match operation {
        Operation::Discovery => DISCOVERY,
        _ => RULE,
    };
    let message = operation.answer_message();
    rule.expecting(format!(
        "the body of {operation} is a {message}, and nothing more"
    ))
}

/// Where a number stands that is no integer by the way it is written: a JSON pointer.
fn fraction_in(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .find_map(|(name, value)| Some(format!("/{name}{}", fraction_in(value)?))),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, value)| Some(format!("/{index}{}", fraction_in(value)?))),
        Value::Number(number) => number.is_f64().then(String::new),
        _ => None,
    }
}
