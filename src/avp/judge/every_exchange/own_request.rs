//! The harness's own requests: a harness that sends wrong bytes must notice.

use super::Rule;
use crate::avp::judge::parsed::ParsedExchange;
use crate::avp::{Operation, schema};
use crate::judge::{Checks, Finding};
use crate::record::verdict::Verdict;

/// What the harness sends, but for what it spoils on purpose, is of the schema.
pub(super) const RULE: Rule = Rule {
    name: "own request",
    requirement: "AVP-2-02",
    expected: "every request of the harness's own is a valid message",
};

/// Looks at a request.
pub(super) fn check(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    if frame.exchange.spoiled.is_some() {
        return;
    }
    let Some(message) = frame.operation.and_then(Operation::request_message) else {
        return;
    };
    let wrong = match &frame.request {
        None => Some("it is not JSON".to_owned()),
        // A nonce is the target's own, whatever it is.
        Some(request) => schema::violations(message, request)
            .into_iter()
            .chain(schema::base64_violations(message, request))
            .find(|violation| violation.pointer != "/nonce")
            .map(|violation| format!("{}: {}", violation.pointer, violation.message)),
    };
    if let Some(wrong) = wrong {
        let reason = format!("the harness sent a request that its own schema refuses: {wrong}");
        let finding = Finding::Unknown {
            reason,
            verdict: Verdict::Error,
        };
        checks.note(RULE.subject(), frame.index, finding);
    }
}
