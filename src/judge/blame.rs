//! Which requirement a piece of evidence contradicts: of those of a step, and of those that the operation is held to anyway.
//!
//! A case names what it is about. What breaks in one of its steps may be something else: a push that is answered 500 in a
//! case about verbatim storage breaks the rule of push. Nothing is held against a rule that the evidence does not contradict.

use serde_json::Value;

use super::check;
use super::compare::{Difference, Kind};
use super::tape::Frame;
use super::walk::Walk;
use crate::case::Word;
use crate::case::model::Step;
use crate::ledger::Stored;
use crate::protocol::{Level, Operation};
use crate::reading::Reading;

/// Counters beyond this are what servers round that keep them in too small a type.
const LARGE: i64 = i32::MAX as i64;

/// The rule that a difference breaks after a granted write, or in what is read, whatever the case is about.
fn of_kind(operation: Operation, kind: Kind) -> &'static str {
    match (operation, kind) {
        (_, Kind::Verbatim) => "AVP-4-01",
        (Operation::FetchMemberKey, Kind::Binding) => "AVP-6-14",
        (_, Kind::Binding) => "AVP-9-01",
        (operation, Kind::Policy) => preserves_policy(operation),
        (Operation::AddMember, Kind::Version | Kind::Epoch) => "AVP-6-17",
        (Operation::Push, Kind::Members | Kind::Entry) => "AVP-6-10",
        (operation, _) => operation.rule(),
    }
}

/// The requirement that an operation keeps `shareRefreshTokens`.
pub(super) fn preserves_policy(operation: Operation) -> &'static str {
    match operation {
        Operation::Push => "AVP-5.1-02",
        Operation::AddMember => "AVP-5.1-03",
        Operation::RemoveMember => "AVP-5.1-04",
        _ => "AVP-5.1-01",
    }
}

/// What a difference breaks after a granted write. `own` are the requirements of the step; `is_again` says that the request
/// was sent before.
pub(super) fn granted(
    operation: Operation,
    difference: &Difference,
    own: &[&'static str],
    is_again: bool,
    before: Option<&Stored>,
) -> &'static str {
    let has = |id: &str| own.contains(&id);
    let again = ["AVP-7-03", "AVP-7-04", "AVP-7-05"]
        .into_iter()
        .find(|id| has(id));
    match again {
        Some(again) if is_again && difference.kind.is_state() => return again,
        _ => {}
    }
    if difference.kind.is_state() && is_rounded(difference, before) {
        return "AVP-2-04";
    }
    of_kind(operation, difference.kind)
}

/// Whether a counter is another one than was sent, and was too large for what it was put into. One of an earlier state is not
/// rounded, but old.
pub(super) fn is_rounded(difference: &Difference, before: Option<&Stored>) -> bool {
    let Some((sent, seen)) = difference.counters else {
        return false;
    };
    let is_old = before.is_some_and(|before| {
        let envelope =
            ["payloadVersion", "keyEpoch"].map(|name| before.envelope.get(name).and_then(Value::as_i64));
        [before.version, before.epoch].contains(&seen) || envelope.contains(&Some(seen))
    });
    sent > LARGE && !is_old
}

/// What a difference breaks that was there before the first step: set-up creates, and adds members.
pub(super) fn set_up(
    walk: &Walk<'_, '_>,
    difference: &Difference,
    made_by: &[Operation],
    told: Option<&Value>,
) -> &'static str {
    if difference.kind.is_state() && is_rounded(difference, None) {
        return "AVP-2-04";
    }
    let adds = made_by.contains(&Operation::AddMember);
    let by_add = match difference.kind {
        Kind::Members | Kind::Entry => {
            let creator = walk.case.case.repo.as_ref().map(|repo| walk.member_id(&repo.by));
            creator.is_none() || difference.member != creator
        }
        // Whoever moved a counter or dropped the policy: the create, whose answer said so already, or an addition after it.
        Kind::Version | Kind::Epoch | Kind::Policy => told.is_some_and(|told| agrees(told, difference)),
        _ => false,
    };
    match adds && by_add {
        true => of_kind(Operation::AddMember, difference.kind),
        false => of_kind(Operation::CreateRepo, difference.kind),
    }
}

/// Whether the manifest that a create was answered with has no such difference.
fn agrees(told: &Value, difference: &Difference) -> bool {
    let name = difference.pointer.rsplit('/').next().unwrap_or_default();
    match (difference.kind, difference.counters) {
        (Kind::Policy, _) => told.get("shareRefreshTokens").and_then(Value::as_bool) == Some(true),
        (_, Some((sent, _))) => told.get(name).and_then(Value::as_i64) == Some(sent),
        _ => false,
    }
}

/// What a wrong answer to a step breaks: of the step's requirements those that it contradicts, or else the rule that the
/// expected answer is a matter of. The error is why it breaks nothing here.
pub(super) fn answer(
    walk: &Walk<'_, '_>,
    frame: &Frame<'_>,
    step: &Step,
    own: &[&'static str],
    next: Option<&Frame<'_>>,
) -> Result<Vec<&'static str>, String> {
    let Some(operation) = frame.exchange.operation else {
        return Ok(own.to_vec());
    };
    let words = step
        .answer
        .as_ref()
        .map(|answer| answer.get_ref().0.as_slice())
        .unwrap_or_default();
    let first = words.first().copied().unwrap_or(Word::Granted);
    if words.iter().all(|word| word.is_refusal()) {
        return refusal(walk, frame, first, own);
    }
    if let Some(why) = frame.breach() {
        return Err(why);
    }
    let is_sound = frame.exchange.spoiled.is_none();
    // A token that was issued a moment ago.
    if frame.reading.is(Word::Status(401)) && operation.needs_token() && is_sound {
        return Ok(vec!["AVP-3-09"]);
    }
    if walk.is_deviated(frame) {
        return Err("what is stored is not what was asked for, which is a finding of its own".to_owned());
    }
    let rule = match first {
        Word::Unchanged => "AVP-6-04",
        Word::Conflict => "AVP-6-08",
        _ => operation.rule(),
    };
    let only = |wanted: &[&'static str], or: &'static str| -> Vec<&'static str> {
        let found: Vec<&str> = own.iter().copied().filter(|id| wanted.contains(id)).collect();
        match found.is_empty() {
            true => vec![or],
            false => found,
        }
    };
    Ok(match (&frame.reading, first) {
        (Reading::Granted(_), Word::Unchanged | Word::Changed) => vec![rule],
        (Reading::Granted(body), Word::Conflict) => {
            let says_both = body.get("conflict").and_then(Value::as_bool) == Some(true);
            match !says_both && is_applied(frame, next) {
                true => only(&["AVP-6-07", "AVP-7-03", "AVP-10-02"], "AVP-6-07"),
                false => vec![rule],
            }
        }
        (Reading::Conflict(body), _) => match body.get("conflict").and_then(Value::as_bool) {
            Some(true) => only(&["AVP-2-04", "AVP-7-01"], rule),
            _ => vec![rule],
        },
        (Reading::Status(403), _) if walk.is_member(frame) && !walk.is_creator(frame) => {
            match walk.had_access(frame) {
                true => vec!["AVP-6-12"],
                false => only(&["AVP-3-09", "AVP-6-10", "AVP-6-12"], "AVP-6-11"),
            }
        }
        // The like of it was granted before: what is special about this one is what the case is about.
        _ if walk.was_granted(operation, frame.index) || words.len() > 1 => only(REFUSED, rule),
        _ => vec![rule],
    })
}

/// The requirements that may be contradicted where a request is refused, or not answered, that was to be granted: none that
/// speak of what is stored of a granted one, or of what is to be refused.
const REFUSED: &[&str] = &[
    "AVP-2-04",
    "AVP-3-07",
    "AVP-3-09",
    "AVP-4-01",
    "AVP-6-03",
    "AVP-6-04",
    "AVP-6-06",
    "AVP-6-09",
    "AVP-6-10",
    "AVP-6-11",
    "AVP-6-13",
    "AVP-6-14",
    "AVP-6-21",
    "AVP-7-01",
    "AVP-7-04",
    "AVP-7-06",
    "AVP-8-01",
    "AVP-9-01",
    "AVP-12-02",
];

/// What is broken where a request was to be refused, by what came instead.
fn refusal(
    walk: &Walk<'_, '_>,
    frame: &Frame<'_>,
    first: Word,
    own: &[&'static str],
) -> Result<Vec<&'static str>, String> {
    if frame.is_refusal_in_disguise() {
        return Err("it is a refusal, told with a status of success".to_owned());
    }
    // A recommendation that is not kept is never a must that is broken.
    if !own.is_empty() && check::level(own) != Level::Must {
        return Ok(own.to_vec());
    }
    let granted = frame.reading.granted().is_some();
    let is_login = frame.exchange.operation == Some(Operation::Token);
    let one_of = |wanted: &[&'static str], or: &'static str| -> Vec<&'static str> {
        let found = own.iter().copied().find(|id| wanted.contains(id));
        vec![found.unwrap_or(or)]
    };
    Ok(match first {
        Word::Status(401) if is_login => {
            one_of(&["AVP-3-03", "AVP-3-04", "AVP-3-06", "AVP-3-07"], "AVP-3-08")
        }
        Word::Status(401) if own.contains(&"AVP-3-13") => vec!["AVP-3-13"],
        Word::Status(401) => match frame.has_token() {
            true => vec!["AVP-3-11"],
            false => vec!["AVP-3-10"],
        },
        Word::Status(403) if granted && frame.exchange.operation != Some(Operation::CreateRepo) => {
            if walk.is_member(frame) && frame.exchange.spoiled.is_none() {
                let who = frame.actor();
                return Err(format!(
                    "{who} is a member by what was served before, which is a finding of its own"
                ));
            }
            let was_member = walk.had_access(frame) && !walk.is_wronged(frame);
            match was_member {
                true => vec!["AVP-10-03"],
                false => one_of(&["AVP-3-08"], "AVP-6-15"),
            }
        }
        Word::Status(403) => one_of(&["AVP-6-01"], "AVP-6-15"),
        Word::Status(404) if granted => one_of(&["AVP-4-01", "AVP-7-06"], "AVP-6-16"),
        Word::Status(404) => vec!["AVP-6-16"],
        Word::Status(409) => vec!["AVP-6-02"],
        Word::Status(400) => one_of(&["AVP-6-21"], "AVP-6-20"),
        _ => own
            .iter()
            .copied()
            .map(|id| if id == "AVP-6-18" { "AVP-6-21" } else { id })
            .collect(),
    })
}

/// What a value breaks that a case wants at a place of the body, and that is not there.
pub(super) fn pointer(
    operation: Operation,
    pointer: &str,
    wanted: &Value,
    own: &[&'static str],
) -> Vec<&'static str> {
    let is_large = wanted.as_i64().is_some_and(|wanted| wanted > LARGE);
    let name = pointer.rsplit('/').next().unwrap_or_default();
    match (name, operation) {
        ("payloadVersion" | "keyEpoch", _) if is_large => vec!["AVP-2-04"],
        ("payloadVersion" | "keyEpoch", Operation::AddMember) => vec!["AVP-6-17"],
        ("accepted" | "payloadVersion" | "keyEpoch", _) => vec![operation.rule()],
        ("conflict", _) => match wanted.as_bool() {
            Some(true) => vec!["AVP-6-08"],
            _ => vec![operation.rule()],
        },
        ("shareRefreshTokens", _) => match wanted.as_bool() {
            Some(true) => vec![preserves_policy(operation)],
            _ => vec!["AVP-5.1-05"],
        },
        ("schemeId" | "x25519PublicKey", _) => vec!["AVP-4-01"],
        _ => own.to_vec(),
    }
}

/// What a race breaks by one of its answers alone, whatever the others are; none where it takes all of them.
pub(super) fn alone(walk: &Walk<'_, '_>, frame: &Frame<'_>) -> Option<(&'static str, usize, String)> {
    let operation = frame.exchange.operation?;
    let got = format!("{operation} by {}: {}", frame.actor(), frame.reading.describe());
    let rule = match &frame.reading {
        // Who is removed at the same moment may be refused rightly.
        Reading::Status(403)
            if walk.is_member(frame) && !walk.is_creator(frame) && !walk.removes_in_round(frame) =>
        {
            "AVP-6-12"
        }
        Reading::Granted(body) if operation == Operation::Push => {
            let sent = frame
                .request
                .as_ref()?
                .pointer("/envelope/payloadVersion")?
                .as_i64();
            let told = body.get("payloadVersion").and_then(Value::as_i64);
            let says_both = body.get("conflict").and_then(Value::as_bool) == Some(true);
            if told == sent && !says_both {
                return None;
            }
            operation.rule()
        }
        Reading::Conflict(body) if body.get("conflict").and_then(Value::as_bool) != Some(true) => {
            operation.rule()
        }
        _ => return None,
    };
    Some((rule, frame.index, got))
}

/// Whether the pull behind a push serves what the push asked for.
fn is_applied(frame: &Frame<'_>, next: Option<&Frame<'_>>) -> bool {
    let sent = frame
        .request
        .as_ref()
        .and_then(|request| request.pointer("/envelope/iv").cloned());
    let served = next.and_then(|next| next.reading.granted()?.pointer("/envelope/iv").cloned());
    sent.is_some() && sent == served
}
