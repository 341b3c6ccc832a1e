//! Binary values: standard base64 with padding.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

use super::Rule;
use crate::avp::judge::parsed::ParsedExchange;
use crate::avp::judge::sent::Sent;
use crate::avp::schema;
use crate::judge::{Checks, Finding};

/// Binary values that a target makes, or alters, are written as the protocol says.
pub(super) const RULE: Rule = Rule {
    name: "base64",
    requirement: "AVP-2-01",
    expected: "binary values are standard base64 with padding",
};

/// Looks at the binary values of a body. Values that the server was sent in this case are not of its making.
pub(super) fn check(
    checks: &mut Checks<'_>,
    frames: &[ParsedExchange<'_>],
    frame: &ParsedExchange<'_>,
    message: &str,
    body: &Value,
) {
    let ours = |text: &str| {
        let sent = frames
            .iter()
            .filter_map(|other| other.exchange.request.body.as_ref());
        let quoted = Value::from(text).to_string();
        sent.filter_map(|body| body.as_text())
            .any(|body| body.contains(&quoted))
    };
    let mut sound = true;
    let violations = schema::base64_violations(message, body);
    let sent = match violations.is_empty() {
        true => Sent::default(),
        false => Sent::of(frames),
    };
    for violation in violations {
        let text = body
            .pointer(&violation.pointer)
            .and_then(Value::as_str)
            .unwrap_or_default();
        // Of another length is another value: that of a nonce has a rule of its own, and all the others are held against
        // what was sent.
        let is_another =
            BASE64_STANDARD.decode(text).is_ok() || (altered(message) && !sent.is_respelt(frame.index, text));
        if !is_another && !ours(text) {
            sound = false;
            checks.note(
                RULE.subject(),
                frame.index,
                Finding::broken_at(violation.pointer, violation.message),
            );
        }
    }
    if sound && !schema::base64_fields(message).is_empty() {
        checks.note(RULE.subject(), frame.index, Finding::Holds);
    }
}

/// Whether the binary values of a message are the client's own: what else they hold is altered.
fn altered(message: &str) -> bool {
    message != "AuthChallenge"
}
