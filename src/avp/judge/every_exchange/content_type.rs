//! The content type of JSON.

use super::Rule;
use crate::avp::judge::parsed::ParsedExchange;
use crate::judge::{Checks, Finding};
use crate::text::media_type;

/// JSON says that it is JSON.
pub(super) const RULE: Rule = Rule {
    name: "content type",
    requirement: "AVP-2-05",
    expected: "JSON is served as application/json",
};

/// Looks at an answer that holds JSON.
pub(super) fn check(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let (Some(answer), Some(Ok(_)), Some(_)) = (frame.answer(), &frame.body, frame.operation) else {
        return;
    };
    let media = answer.header("content-type").map(media_type);
    let finding = match media.as_deref() {
        Some("application/json") => Finding::Holds,
        Some(other) => Finding::broken(format!("content-type: {}", other.escape_default())),
        None => Finding::broken("no content type"),
    };
    checks.note(RULE.subject(), frame.index, finding);
}
