//! Turns a stored case into a shell script that makes its requests again with curl and openssl, and its calls over gRPC with
//! grpcurl.
//!
//! A bare request would not do: a fresh nonce must be signed, and repositories are made once. The script makes its own
//! throw-away keys and repository ids and puts them where the run had its own. What the members alone can read
//! (ciphertexts, wrapped keys) stays as it was recorded: the server sees bytes.

mod script;
mod tainted;

use crate::avp::actors;
use crate::http::Wire;
use crate::protocol::Reach;
use crate::record::{CaseRecord, Record};
use crate::repro::Plan;

/// The script for a case of a record: the step with that index, else the first that is broken, else the last.
///
/// # Errors
/// The case has no exchange to repeat, or the step does not exist: one sentence.
pub fn script(
    record: &Record,
    case: &CaseRecord,
    step: Option<usize>,
    reach: &Reach,
) -> Result<String, String> {
    Ok(script::write(&Plan::of(record, case, step, reach)?))
}

/// What the keys and repositories of the case were made from.
fn scope(plan: &Plan<'_>) -> String {
    actors::scope(plan.generation(), &plan.case.name())
}

/// Whether any of its exchanges is a call over gRPC.
fn has_calls(plan: &Plan<'_>) -> bool {
    plan.exchanges()
        .iter()
        .any(|(_, exchange)| exchange.wire == Wire::Grpc)
}
