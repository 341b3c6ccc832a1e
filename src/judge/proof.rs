//! Nothing passes without a witness.
//!
//! A check that holds counts only in a case in which the target granted something that only a working server can: an
//! answer that carries the case's own fresh repository with the caller in its roster. A refusal counts only where the same
//! operation, rightly asked, was granted in the same case. Otherwise a server that answers everything alike would verify
//! half the protocol.

use serde_json::Value;

use super::tape::Frame;
use crate::case::{LoadedCase, Word};
use crate::ledger::member_id;
use crate::protocol::Operation;
use crate::record::{CheckRecord, Stopped};
use crate::verdict::Verdict;

/// Turns passes that nothing proves into blocked.
pub(super) fn withhold(case: &LoadedCase, frames: &[Frame<'_>], records: &mut [CheckRecord]) {
    let grounded = frames.iter().any(is_grounded);
    for record in records {
        if record.verdict != Verdict::Pass {
            continue;
        }
        if !grounded {
            record.verdict = Verdict::Blocked;
            record.got =
                "nothing in this case was granted as asked, so nothing in it proves anything".to_owned();
        } else if let Some(operation) = unproven(case, frames, record) {
            record.verdict = Verdict::Blocked;
            record.got = format!("no {operation} was granted in this case, so its refusal proves nothing");
        }
    }
}

/// Whether an answer is one that only a server that did what it was asked can give.
fn is_grounded(frame: &Frame<'_>) -> bool {
    let Some(body) = frame.reading.granted() else {
        return false;
    };
    let manifest = match frame.exchange.operation {
        Some(Operation::Pull) => body.get("manifest"),
        Some(Operation::CreateRepo | Operation::AddMember | Operation::RemoveMember) => Some(body),
        _ => None,
    };
    let Some(manifest) = manifest else { return false };
    let id = manifest.get("repoId").and_then(Value::as_str).unwrap_or_default();
    let members = manifest
        .get("members")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let ours = crate::protocol::encode_segment(id);
    let asked = frame.exchange.request.path.contains(&ours)
        || frame
            .request
            .as_ref()
            .and_then(|request| request.pointer("/manifest/repoId")?.as_str())
            == Some(id);
    !id.is_empty() && asked && members.iter().any(|member| member_id(member).is_some())
}

/// The operation whose refusal a check shows, where it was never granted in the case.
fn unproven(case: &LoadedCase, frames: &[Frame<'_>], record: &CheckRecord) -> Option<Operation> {
    let step = case.case.steps.get(record.step?)?.get_ref();
    let words = step.answer.as_ref()?.get_ref();
    if record.name != "answer" || !words.iter().all(|word: &Word| word.is_refusal()) {
        return None;
    }
    let operation = step.action().operation()?;
    let granted = |frame: &Frame<'_>| {
        let same = frame.exchange.operation == Some(operation) && frame.exchange.spoiled.is_none();
        same && frame.reading.granted().is_some()
    };
    (!frames.iter().any(granted)).then_some(operation)
}

/// Why a case came to what it did, where its checks do not say it themselves.
pub(super) fn reason(verdict: Verdict, stopped: Option<&Stopped>, records: &[CheckRecord]) -> Option<String> {
    if !matches!(
        verdict,
        Verdict::NotApplicable | Verdict::Blocked | Verdict::Error
    ) {
        return None;
    }
    let of_checks = || {
        records
            .iter()
            .find(|record| record.verdict == verdict)
            .map(|record| record.got.clone())
    };
    stopped.map(|stopped| stopped.reason.clone()).or_else(of_checks)
}
