//! The status of success.

use super::Rule;
use crate::avp::judge::parsed::ParsedExchange;
use crate::judge::{Checks, Finding};

/// Success is answered as the route table says.
pub(super) const RULE: Rule = Rule {
    name: "status",
    requirement: "AVP-6-22",
    expected: "success is answered with status 200",
};

/// Looks at an answer of success.
pub(super) fn check(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let Some(answer) = frame
        .answer()
        .filter(|answer| (200..300).contains(&answer.status))
    else {
        return;
    };
    if frame.operation.is_none() {
        return;
    }
    let finding = match answer.status {
        200 => Finding::Holds,
        other => Finding::broken(format!("status {other}")),
    };
    checks.note(RULE.subject(), frame.index, finding);
}
