//! What was sent wrongly, and should have been refused.

use super::Rule;
use crate::avp::judge::parsed::ParsedExchange;
use crate::avp::schema;
use crate::judge::{Checks, Finding};

/// What was no valid message should not be stored, and so not be served.
pub(super) const RULE: Rule = Rule {
    name: "stored",
    requirement: "AVP-6-21",
    expected: "what is not of the schema is refused, or left out: it is not served",
};

/// Looks at an answer that may hold what the harness itself sent wrongly.
pub(super) fn check(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let (Some(operation), Some(body)) = (frame.operation, frame.json()) else {
        return;
    };
    let message = operation.answer_message();
    let violations = schema::violations(message, body)
        .into_iter()
        .chain(schema::base64_violations(message, body));
    for violation in violations.take(1) {
        checks.note(
            RULE.subject(),
            frame.index,
            Finding::broken_at(violation.pointer, violation.message),
        );
    }
}
