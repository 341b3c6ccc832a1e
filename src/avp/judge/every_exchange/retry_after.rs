//! When to try again.

use super::Rule;
use crate::avp::judge::parsed::ParsedExchange;
use crate::judge::{Checks, Finding};

/// A limit of requests says how long it lasts.
pub(super) const RULE: Rule = Rule {
    name: "retry after",
    requirement: "AVP-7-02",
    expected: "429 says when to try again",
};

/// Looks at an answer of 429.
pub(super) fn check(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let Some(answer) = frame.answer().filter(|answer| answer.status == 429) else {
        return;
    };
    let finding = match answer.header("retry-after") {
        Some(_) => Finding::Holds,
        None => Finding::broken("429 without Retry-After"),
    };
    checks.note(RULE.subject(), frame.index, finding);
}
