//! Nothing passes without a witness.
//!
//! A check that holds counts only in a case in which the target granted something that only a working server can: a pull
//! whose answer carries the case's own fresh repository with the caller in its roster, neither of which is a constant and
//! the latter of which stands nowhere in the request. A refusal counts only where the same
//! operation, rightly asked, was granted in the same case. Otherwise a server that answers everything alike would verify
//! half the protocol.

use serde_json::Value;

use super::actors::Actors;
use super::parsed::ParsedExchange;
use crate::avp::Operation;
use crate::avp::cases::{ExpectedAnswer, LoadedCase};
use crate::avp::repo_state::member_id;
use crate::judge::NO_WITNESS;
use crate::record::verdict::Verdict;
use crate::record::{CheckRecord, Stopped};

/// Turns passes that nothing proves into blocked; into not applicable, where a limit of the target's ended the case
/// before anything could.
pub(super) fn require_witness(
    case: &LoadedCase,
    frames: &[ParsedExchange<'_>],
    cast: &Actors<'_>,
    stopped: Option<&Stopped>,
    records: &mut [CheckRecord],
) {
    let unproven_is = match stopped.map(|stopped| stopped.verdict) {
        Some(Verdict::NotApplicable) => Verdict::NotApplicable,
        _ => Verdict::Blocked,
    };
    let grounded = frames.iter().any(|frame| shows_memory(frame, cast));
    for record in records {
        if record.verdict != Verdict::Pass {
            continue;
        }
        if !grounded {
            record.verdict = unproven_is;
            record.got = NO_WITNESS.to_owned();
        } else if let Some(operation) = unproven(case, frames, record) {
            record.verdict = unproven_is;
            record.got =
                format!("no {operation} succeeded in this case, so that its refusal verifies nothing");
        }
    }
}

/// Whether an answer is one that only a server with a memory can give: to a pull, which says nothing of who is a member, it
/// brings the repository that was asked for with the caller in its roster.
fn shows_memory(frame: &ParsedExchange<'_>, cast: &Actors<'_>) -> bool {
    let (Some(Operation::Pull), Some(body)) = (frame.operation, frame.reading.granted()) else {
        return false;
    };
    let id = body.pointer("/manifest/repoId").and_then(Value::as_str);
    let path = id.map(|id| Operation::Pull.path(id, ""));
    if path.as_deref() != Some(&*frame.path()) {
        return false;
    }
    let caller = cast.identity(frame.actor());
    let members = body.pointer("/manifest/members").and_then(Value::as_array);
    members
        .into_iter()
        .flatten()
        .any(|member| member_id(member) == Some(caller.member_id()))
}

/// The operation whose refusal a check shows, where it was never granted in the case.
fn unproven(case: &LoadedCase, frames: &[ParsedExchange<'_>], record: &CheckRecord) -> Option<Operation> {
    let step = case.case.steps.get(record.step?)?.get_ref();
    let words = step.answer.as_ref()?.get_ref();
    if record.name != "answer" || !words.iter().all(|word: &ExpectedAnswer| word.is_refusal()) {
        return None;
    }
    let operation = step.action().operation()?;
    let granted = |frame: &ParsedExchange<'_>| {
        let same = frame.operation == Some(operation) && frame.exchange.spoiled.is_none();
        same && frame.reading.granted().is_some()
    };
    (!frames.iter().any(granted)).then_some(operation)
}
