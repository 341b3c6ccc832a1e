//! Refusals over gRPC: a status of the table.

use super::Rule;
use crate::avp::grpc;
use crate::avp::judge::parsed::ParsedExchange;
use crate::judge::{Checks, Finding};

/// A refusal has a status of the table.
pub(super) const RULE: Rule = Rule {
    name: "grpc status",
    requirement: "AVP-11-03",
    expected: "a refusal over gRPC has a status of the table",
};

/// Statuses for what is wrong with a call before a method looks at it, or with the server: UNKNOWN, DEADLINE_EXCEEDED, CANCELLED,
/// UNIMPLEMENTED, INTERNAL, UNAVAILABLE. What they mean for the request is judged where the request is.
const OF_THE_CALL: [u32; 6] = [1, 2, 4, 12, 13, 14];

/// Looks at the status of a refusal.
pub(super) fn check(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    let refusal = frame
        .answer()
        .filter(|answer| frame.is_grpc() && answer.status != 200);
    let Some(code) = refusal.and_then(|answer| answer.header("grpc-status")?.parse::<u32>().ok()) else {
        return;
    };
    if OF_THE_CALL.contains(&code) {
        return;
    }
    let finding = match grpc::is_of_the_table(code) {
        true => Finding::Holds,
        false => Finding::broken(format!("grpc-status {code}, {}", grpc::status_name(code))),
    };
    checks.note(RULE.subject(), frame.index, finding);
}
