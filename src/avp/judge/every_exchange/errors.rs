//! Refusals: an error object, and a code of the table.

use serde_json::Value;

use super::Rule;
use crate::avp::Operation;
use crate::avp::judge::parsed::ParsedExchange;
use crate::judge::{Checks, Finding, reaches_the_server};
use crate::record::verdict::Verdict;

/// A refusal is an error object.
pub(super) const ERROR_OBJECT: Rule = Rule {
    name: "error object",
    requirement: "AVP-6-18",
    expected: "every answer that is not 2xx is an error object",
};

/// And an error object is a refusal.
pub(super) const NO_ERROR_IN_SUCCESS: Rule = Rule {
    name: "error object",
    requirement: "AVP-6-18",
    expected: "an error object comes with a status that is not 2xx",
};

/// A code is one of the table.
pub(super) const ERROR_CODE: Rule = Rule {
    name: "error code",
    requirement: "AVP-6-19",
    expected: "an error's code is one that the table gives for its status",
};

/// Looks at an error object that comes as if it were success.
pub(super) fn check_disguise(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>, status: u16) {
    let finding = Finding::broken(format!("status {status} with an error object"));
    checks.note(NO_ERROR_IN_SUCCESS.subject(), frame.index, finding);
}

/// Looks at a refusal.
pub(super) fn check(
    checks: &mut Checks<'_>,
    frame: &ParsedExchange<'_>,
    operation: Option<Operation>,
    status: u16,
) {
    // Discovery is optional: a server without it answers whatever it answers to unknown routes. Outside the route table a
    // refusal with no body at all is as good as any.
    let outside = operation.is_none_or(|operation| operation == Operation::Discovery);
    if outside && (frame.body.is_none() || operation.is_some()) {
        return;
    }
    // One that sends elsewhere is no refusal; where an answer was due, that says so.
    if (300..400).contains(&status) {
        return;
    }
    if !reaches_the_server(&frame.exchange.request.path) {
        return;
    }
    let subject = || ERROR_OBJECT.subject();
    let object = match &frame.body {
        Some(Ok(body)) if body.is_object() => body,
        Some(Ok(_)) => {
            return checks.note(
                subject(),
                frame.index,
                Finding::broken(format!("status {status} with JSON that is no object")),
            );
        }
        Some(Err(why)) => {
            let got = format!("status {status} with a body that is not JSON: {why}");
            return checks.note(subject(), frame.index, Finding::broken(got));
        }
        None => {
            return checks.note(
                subject(),
                frame.index,
                Finding::broken(format!("status {status} with no body")),
            );
        }
    };
    let finding = match (object.get("error"), object.get("detail")) {
        (Some(Value::String(_)), None | Some(Value::String(_))) => Finding::Holds,
        (Some(Value::String(_)), Some(_)) => Finding::broken_at("/detail", "a `detail` that is no string"),
        (Some(_), _) => Finding::broken_at("/error", "an `error` that is no string"),
        (None, _) => Finding::broken_at("", "an object without `error`"),
    };
    checks.note(subject(), frame.index, finding);
    error_code(checks, frame, object, status);
}

/// A field may be left out; one that is there has a word of the table, and null is none.
///
/// A server may answer with statuses that the error table does not have: 405, 411, 415. A code that comes with them need
/// only be one of the table.
fn error_code(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>, object: &Value, status: u16) {
    let subject = ERROR_CODE.subject();
    let Some(code) = object.get("code") else {
        let reason = "the target's errors carry no code".to_owned();
        let finding = Finding::Unknown {
            reason,
            verdict: Verdict::NotApplicable,
        };
        return checks.note(subject, frame.index, finding);
    };
    let known = match codes(status) {
        [] => &ERROR_CODES,
        known => known,
    };
    let fits = code.as_str().is_some_and(|code| known.contains(&code));
    let finding = match fits {
        true => Finding::Holds,
        false => Finding::broken_at(
            "/code",
            format!("the code {code} with status {status}, not {}", known.join(" or ")),
        ),
    };
    checks.note(subject, frame.index, finding);
}

/// Every code of the error table.
const ERROR_CODES: [&str; 8] = [
    "unauthorized",
    "forbidden",
    "not_found",
    "duplicate_repo",
    "quota_exceeded",
    "too_large",
    "policy_denied",
    "bad_request",
];

/// The codes that the error table gives for a status (AVP 0.4, limits and retries).
fn codes(status: u16) -> &'static [&'static str] {
    match status {
        400 => &["bad_request"],
        401 => &["unauthorized"],
        403 => &["forbidden", "policy_denied"],
        404 => &["not_found"],
        409 => &["duplicate_repo"],
        413 => &["too_large"],
        429 => &["quota_exceeded"],
        _ => &[],
    }
}
