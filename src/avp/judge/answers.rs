//! What a granted answer must say, by operation.

use std::borrow::Cow;

use serde_json::Value;

use super::blame;
use super::compare::{self, Difference, Kind};
use super::parsed::ParsedExchange;
use super::steps::{Mark, Walk};
use super::stored::{Expected, aspects, broken, grouped};
use crate::avp::Operation;
use crate::avp::cases::model::Step;
use crate::avp::outcome::AnswerClass;
use crate::avp::repo_state::{RepoState, member_id};
use crate::json;
use crate::judge::{Finding, Subject};
use crate::record::verdict::Verdict;

/// Notes a finding under a step, or as a standing check where there is none.
pub(super) fn report(
    walk: &mut Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
    step: Option<usize>,
    name: &'static str,
    expected: impl Into<Cow<'static, str>>,
    requirements: &[&'static str],
    finding: Finding,
) {
    if walk.is_spoilt(frame) && step.is_none() {
        return;
    }
    let subject = Subject {
        step,
        name,
        requirements: requirements.to_vec(),
        expected: expected.into(),
    };
    walk.checks.note(subject, frame.index, finding);
}

/// What the case wants to stand at pointers of the body.
pub(super) fn pointers(walk: &mut Walk<'_, '_>, frame: &ParsedExchange<'_>, index: usize, step: &Step) {
    for (pointer, wanted) in &step.body {
        let wanted = crate::avp::cases::to_json(wanted);
        let seen = frame.json().and_then(|body| body.pointer(pointer));
        let mut subject = walk.subject(index, "body", format!("`{pointer}` is {wanted}"));
        let is_sound = frame.reading.granted().is_some() && frame.breach().is_none();
        let finding = match seen {
            Some(seen) if json::equal(seen, &wanted) => Finding::Holds,
            // What is missing or of another type breaks the schema, or is an answer of another kind.
            None if pointer.ends_with("shareRefreshTokens") && is_sound => {
                Finding::broken_at("", format!("nothing at {pointer}"))
            }
            Some(seen) if seen.is_string() == wanted.is_string() && frame.breach().is_none() => {
                Finding::broken_at(pointer, format!("{seen}"))
            }
            _ => Finding::Unknown {
                reason: format!("nothing to compare at {pointer}, which is a finding of its own"),
                verdict: Verdict::Blocked,
            },
        };
        let is_another_entry = frame.operation == Some(Operation::FetchMemberKey)
            && frame.json().is_some_and(|body| !is_asked_for(frame, body));
        let words = step.words();
        let is_answered = words.is_empty() || words.iter().any(|word| frame.reading.is(*word));
        let finding = match (
            finding,
            walk.is_another(frame) || is_another_entry || !is_answered,
        ) {
            (Finding::Broken { .. }, true) => Finding::Unknown {
                reason: "the answer, or what is stored, is another one, which is a finding of its own"
                    .to_owned(),
                verdict: Verdict::Blocked,
            },
            (finding, _) => finding,
        };
        if let (Finding::Broken { .. }, Some(operation)) = (&finding, frame.operation) {
            let is_conflict = matches!(frame.reading, AnswerClass::Conflict(_));
            let state = walk.stored(frame);
            let is_known = seen
                .and_then(Value::as_str)
                .is_some_and(|seen| walk.was_sent(frame.index, seen));
            subject.requirements = blame::pointer(
                operation,
                is_conflict,
                pointer,
                (&wanted, seen, is_known),
                state,
                &subject.requirements,
            );
        }
        walk.checks.note(subject, frame.index, finding);
    }
}

/// The content of a granted (or conflicting) answer of an operation.
pub(super) fn granted(
    walk: &mut Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
    step: Option<usize>,
    requirements: &[&'static str],
    before: Option<&RepoState>,
    expected: &Expected,
) {
    let Some(operation) = frame.operation else {
        return;
    };
    match (operation, &frame.reading) {
        (
            Operation::CreateRepo | Operation::AddMember | Operation::RemoveMember,
            AnswerClass::Granted(body),
        ) => {
            answered_manifest(walk, frame, step, requirements, before, expected, body);
        }
        (Operation::Push, AnswerClass::Granted(body)) => {
            let finding = applied(body, expected);
            let sentence = "an applied push answers the new version, the epoch and `conflict: false`";
            let is_stale = before.is_some_and(|before| is_stale(frame, before));
            let rules = match (&finding, expected.above) {
                (Finding::Broken { .. }, None) if is_stale => vec!["AVP-6-08"],
                (Finding::Broken { .. }, None) => vec![of_applied(body, before, expected)],
                _ => requirements.to_vec(),
            };
            report(walk, frame, step, "answer body", sentence, &rules, finding);
        }
        (Operation::Push, AnswerClass::Conflict(body)) => {
            let finding = before.map_or(Finding::Holds, |before| conflict(body, before));
            let finding = follow(walk.is_deviated(frame), finding);
            let sentence = "a conflict answers `conflict: true` with the current version and epoch";
            report(walk, frame, step, "answer body", sentence, &["AVP-6-08"], finding);
        }
        (Operation::Pull, AnswerClass::Granted(body)) => {
            if let Some(before) = before {
                pulled(walk, frame, step, requirements, before, body);
            }
        }
        (Operation::Discovery, AnswerClass::Granted(body)) if frame.breach().is_none() => {
            let profiles = body.get("profiles").and_then(Value::as_array);
            let lists = |name: &str| profiles.is_some_and(|profiles| profiles.contains(&name.into()));
            let speaks_grpc = walk
                .frames()
                .iter()
                .any(|frame| frame.is_grpc() && frame.reading.granted().is_some());
            let finding = match () {
                () if !lists("http-json") => Finding::broken_at(
                    "/profiles",
                    "http-json, in which this was said, is not among them",
                ),
                () if speaks_grpc && !lists("grpc") => {
                    Finding::broken_at("/profiles", "grpc, which is spoken, is not among them")
                }
                () => Finding::Holds,
            };
            let sentence = "discovery lists the profiles that are spoken";
            report(walk, frame, step, "answer body", sentence, requirements, finding);
        }
        (Operation::FetchMemberKey, AnswerClass::Granted(body)) => {
            if let Some(before) = before {
                fetched(walk, frame, step, requirements, before, body);
            }
        }
        _ => {}
    }
}

fn answered_manifest(
    walk: &mut Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
    step: Option<usize>,
    requirements: &[&'static str],
    before: Option<&RepoState>,
    expected: &Expected,
    body: &Value,
) {
    // What is no manifest breaks the schema, which is said once.
    if expected.anything || expected.above.is_some() || body.get("repoId").is_none() {
        return;
    }
    let candidates = expected.states.iter().flatten();
    let compared = candidates.map(|it| (it, compare::manifest(it, before, body, "")));
    let Some((state_of, differences)) = compared.min_by_key(|(_, differences)| differences.len()) else {
        return;
    };
    let differences = walk.stale_or_altered(frame, differences, body);
    if let Some(operation) = frame.operation {
        let sentence = "the answer is the manifest as it is stored now";
        let (is_again, is_first) = (walk.is_again(frame), !walk.is_deviated(frame));
        let rule = |it: &Difference| {
            vec![blame::granted(
                operation,
                it,
                requirements,
                (is_again, is_first),
                before,
            )]
        };
        state(walk, frame, step, sentence, requirements, &differences, rule);
        aspects(walk, frame, state_of, operation, &differences, None);
    }
}

/// Differences of state, each group under the rule that it breaks; that none is there shows all that is asked of the answer.
fn state(
    walk: &mut Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
    step: Option<usize>,
    sentence: &'static str,
    requirements: &[&'static str],
    differences: &[Difference],
    rule: impl Fn(&Difference) -> Vec<&'static str>,
) {
    let wrong: Vec<Difference> = differences
        .iter()
        .filter(|it| it.kind.is_state())
        .cloned()
        .collect();
    if wrong.is_empty() && differences.iter().all(|it| it.kind != Kind::Verbatim) {
        report(
            walk,
            frame,
            step,
            "answer body",
            sentence,
            requirements,
            Finding::Holds,
        );
    }
    let follows = walk.is_deviated(frame);
    let is_read = !frame.operation.is_some_and(Operation::writes);
    for (rule, of_rule) in grouped(wrong, rule) {
        let finding = follow(follows, broken(&of_rule, frame.actor()));
        report(walk, frame, step, "answer body", sentence, &rule, finding);
        if of_rule.iter().any(|it| it.kind == Kind::Members) {
            walk.mark(frame, Mark::DoubtfulRoster);
        }
        match is_read {
            true => walk.mark(frame, Mark::Deviated),
            false => walk.mark(frame, Mark::Unsettled),
        }
    }
}

/// A finding, or that it may follow from an earlier one.
pub(super) fn follow(follows: bool, finding: Finding) -> Finding {
    match finding {
        Finding::Broken { got, .. } if follows => Finding::Unknown {
            reason: format!("{got}, which may follow from what was found before"),
            verdict: Verdict::Blocked,
        },
        other => other,
    }
}

/// What is said of a version that did not grow.
pub(super) fn not_above(version: Option<i64>, above: i64) -> String {
    match version {
        Some(version) => format!("version {version}, which is not above {above}"),
        None => format!("no version, where one above {above} was expected"),
    }
}

/// Whether a push was made at another version than the current one.
fn is_stale(frame: &ParsedExchange<'_>, before: &RepoState) -> bool {
    let expected = frame
        .request
        .as_ref()
        .and_then(|request| request.get("expectedPayloadVersion")?.as_i64());
    expected.is_some_and(|expected| expected != before.version)
}

/// The rule that the answer to an applied push breaks.
fn of_applied(body: &Value, before: Option<&RepoState>, expected: &Expected) -> &'static str {
    let is_rounded = expected.states.iter().flatten().any(|state| {
        let counters = [("payloadVersion", state.version), ("keyEpoch", state.epoch)];
        counters.into_iter().any(|(name, wanted)| {
            let seen = body.get(name).and_then(Value::as_i64);
            seen.is_some_and(|seen| blame::is_rounding((wanted, seen), before))
        })
    });
    match is_rounded {
        true => "AVP-2-04",
        false => Operation::Push.rule(),
    }
}

fn applied(body: &Value, expected: &Expected) -> Finding {
    let version = body.get("payloadVersion").and_then(Value::as_i64);
    if expected.anything {
        return Finding::Holds;
    }
    if body.get("conflict").and_then(Value::as_bool) == Some(true) {
        return Finding::broken_at("/conflict", "accepted, and a conflict at once");
    }
    // What is missing or of another type breaks the schema, which is said once.
    if version.is_none() || body.get("keyEpoch").and_then(Value::as_i64).is_none() {
        return Finding::Unknown {
            reason: "its counters cannot be read, which is a finding of its own".to_owned(),
            verdict: Verdict::Blocked,
        };
    }
    if let Some(above) = expected.above {
        return match version.is_some_and(|version| version > above) {
            true => Finding::Holds,
            false => Finding::broken_at("/payloadVersion", not_above(version, above)),
        };
    }
    let states: Vec<&RepoState> = expected.states.iter().flatten().collect();
    let epoch = body.get("keyEpoch").and_then(Value::as_i64);
    let Some(first) = states.first() else {
        return Finding::Holds;
    };
    if states
        .iter()
        .any(|state| (version, epoch) == (Some(state.version), Some(state.epoch)))
    {
        return Finding::Holds;
    }
    match states.iter().find(|state| version == Some(state.version)) {
        Some(state) => Finding::broken_at(
            "/keyEpoch",
            format!("{} where {} is current", show(epoch), state.epoch),
        ),
        None => Finding::broken_at(
            "/payloadVersion",
            format!("{} where {} was written", show(version), first.version),
        ),
    }
}

fn conflict(body: &Value, before: &RepoState) -> Finding {
    let flag = |name: &str| body.get(name).and_then(Value::as_bool);
    if flag("conflict") == Some(false) {
        return Finding::broken_at("/conflict", "not accepted, and no `conflict: true`");
    }
    let mut is_whole = flag("accepted").is_some() && flag("conflict").is_some();
    for (name, current) in [("payloadVersion", before.version), ("keyEpoch", before.epoch)] {
        match body.get(name).and_then(Value::as_i64) {
            Some(told) if told == current => {}
            None => is_whole = false,
            told => {
                return Finding::broken_at(
                    format!("/{name}"),
                    format!("{} where {current} is current", show(told)),
                );
            }
        }
    }
    // What is missing or of another type breaks the schema, which is said once.
    match is_whole {
        true => Finding::Holds,
        false => Finding::Unknown {
            reason: "it cannot be read whole, which is a finding of its own".to_owned(),
            verdict: Verdict::Blocked,
        },
    }
}

fn pulled(
    walk: &mut Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
    step: Option<usize>,
    requirements: &[&'static str],
    before: &RepoState,
    body: &Value,
) {
    let manifest = body.get("manifest").unwrap_or(&Value::Null);
    let mut differences = compare::manifest(before, None, manifest, "/manifest");
    if let Some(envelope) = body.get("envelope").filter(|envelope| envelope.is_object()) {
        differences.extend(compare::envelope(&before.envelope, None, envelope, "/envelope"));
    }
    let differences = walk.stale_or_altered(frame, differences, body);
    let pending = walk.pending(frame);
    let told = walk.told(frame);
    let rules: Vec<Vec<&'static str>> = differences
        .iter()
        .map(|it| match &pending {
            Some(made_by) => vec![blame::set_up(walk, it, made_by, told.as_ref())],
            None if blame::is_rounded(it, None) => vec!["AVP-2-04"],
            // The case is about who may touch this repository: somebody has.
            None if requirements.contains(&"AVP-6-15") => vec!["AVP-6-15"],
            None if walk.is(frame, Mark::Split) => vec![Operation::Pull.rule()],
            None if it.kind == Kind::EntryEpoch => vec!["AVP-2-04"],
            None if body.get("unchanged").and_then(Value::as_bool) == Some(true) => vec!["AVP-6-04"],
            None => vec![Operation::Pull.rule()],
        })
        .collect();
    let rule = |it: &Difference| {
        let at = differences.iter().position(|other| other == it).unwrap_or(0);
        rules[at].clone()
    };
    state(
        walk,
        frame,
        step,
        "a pull answers what is stored",
        requirements,
        &differences,
        rule,
    );
    aspects(
        walk,
        frame,
        before,
        Operation::Pull,
        &differences,
        pending.as_deref(),
    );
    walk.adopt(frame, before, body);
    let known = frame.known();
    if walk.is_deviated(frame) || walk.is_wrong() && step.is_some() {
        return;
    }
    match known == Some(before.version) {
        true => unchanged(walk, frame, step, body),
        false => changed(walk, frame, step, &["AVP-6-06"], body),
    }
}

fn unchanged(walk: &mut Walk<'_, '_>, frame: &ParsedExchange<'_>, step: Option<usize>, body: &Value) {
    if body.get("unchanged").and_then(Value::as_bool).is_none() {
        return;
    }
    let finding = match body.get("unchanged") {
        Some(Value::Bool(true)) => Finding::Holds,
        _ => Finding::broken_at(
            "/unchanged",
            "not true, where the client holds the current version",
        ),
    };
    let sentence = "a pull at the current version answers `unchanged: true`";
    let is_said = finding == Finding::Holds;
    let rule = match current(body) {
        Some(version) if version > blame::LARGEST_I32 => "AVP-2-04",
        _ => "AVP-6-04",
    };
    report(walk, frame, step, "unchanged", sentence, &[rule], finding);
    if !is_said {
        return;
    }
    let finding = match body.get("envelope") {
        None | Some(Value::Null) => Finding::Holds,
        Some(_) => Finding::broken_at("/envelope", "an envelope that the client holds already"),
    };
    let sentence = "a pull at the current version leaves the envelope out";
    report(
        walk,
        frame,
        step,
        "envelope left out",
        sentence,
        &["AVP-6-05"],
        finding,
    );
}

/// A pull at another version brings the envelope and says so.
pub(super) fn changed(
    walk: &mut Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
    step: Option<usize>,
    requirements: &[&'static str],
    body: &Value,
) {
    if body.get("unchanged").and_then(Value::as_bool).is_none() {
        return;
    }
    let finding = match (body.get("unchanged"), body.get("envelope")) {
        (Some(Value::Bool(false)), Some(Value::Object(_))) => Finding::Holds,
        (Some(Value::Bool(false)), _) => Finding::broken_at("", "no envelope"),
        _ => Finding::broken_at("/unchanged", "not false, where the client holds another version"),
    };
    let sentence = "a pull at another version answers the envelope and `unchanged: false`";
    let known = frame.known();
    let stored = walk.stored(frame).map(|stored| stored.version);
    let is_rounded = body.get("unchanged") == Some(&Value::Bool(true))
        && known
            .zip(stored)
            .is_some_and(|(known, stored)| collapse(known, stored));
    let rule = match (&finding, is_rounded) {
        (Finding::Broken { .. }, true) => vec!["AVP-2-04"],
        _ => requirements.to_vec(),
    };
    report(walk, frame, step, "changed", sentence, &rule, finding);
}

/// Whether two counters are one in a type that is too small for them: 32 bits, or a floating point number.
fn collapse(a: i64, b: i64) -> bool {
    let is_large = a > blame::LARGEST_I32 || b > blame::LARGEST_I32;
    let is_one_float = (a as f64).to_bits() == (b as f64).to_bits();
    is_large && (is_one_float || a & 0xffff_ffff == b & 0xffff_ffff)
}

fn current(body: &Value) -> Option<i64> {
    body.pointer("/manifest/payloadVersion")?.as_i64()
}

/// Whether an entry is that of the member whom the path names.
fn is_asked_for(frame: &ParsedExchange<'_>, entry: &Value) -> bool {
    let path = frame.path();
    member_id(entry).is_some_and(|id| {
        path.ends_with(&crate::text::encode_segment(id)) || path.ends_with(&loosely_encoded(id))
    })
}

fn fetched(
    walk: &mut Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
    step: Option<usize>,
    requirements: &[&'static str],
    before: &RepoState,
    body: &Value,
) {
    let wanted = before.members.iter().find(|member| is_asked_for(frame, member));
    let Some(wanted) = wanted else { return };
    let mut differences = compare::entry(wanted, None, body, "");
    for difference in &mut differences {
        difference.member = member_id(wanted).map(str::to_owned);
    }
    let differences = walk.stale_or_altered(frame, differences, body);
    let rule = |it: &Difference| match blame::is_rounded(it, None) {
        true => vec!["AVP-2-04"],
        false => vec![Operation::FetchMemberKey.rule()],
    };
    let sentence = "the answer is the member's entry as it is stored";
    state(walk, frame, step, sentence, requirements, &differences, rule);
    let fields: Vec<Difference> = differences.into_iter().filter(|it| !it.kind.is_state()).collect();
    aspects(walk, frame, before, Operation::FetchMemberKey, &fields, None);
}

/// An id as clients put it into a path that leave `+` and `=` as they are.
fn loosely_encoded(id: &str) -> String {
    crate::text::encode_segment(id)
        .replace("%2B", "+")
        .replace("%3D", "=")
}

fn show(number: Option<i64>) -> String {
    number.map_or("no number".to_owned(), |number| number.to_string())
}
