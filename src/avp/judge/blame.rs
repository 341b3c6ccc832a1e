//! Which requirement a piece of evidence contradicts: of those of a step, and of those that the operation is held to anyway.
//!
//! A case names what it is about. What breaks in one of its steps may be something else: a push that is answered 500 in a
//! case about verbatim storage breaks the rule of push. Nothing is held against a rule that the evidence does not contradict.

use serde_json::Value;

use super::compare::{Difference, Kind};
use super::parsed::ParsedExchange;
use super::steps::{Mark, Walk};
use crate::avp::cases::model::Step;
use crate::avp::cases::{ExpectedAnswer, TokenForm};
use crate::avp::outcome::AnswerClass;
use crate::avp::repo_state::RepoState;
use crate::avp::{Operation, catalogue, grpc, schema};
use crate::catalogue::Level;
use crate::record::{FailureKind, Role};

/// Counters beyond this are what servers round that keep them in too small a type.
pub(super) const LARGEST_I32: i64 = i32::MAX as i64;

/// The rule that a difference breaks after a granted write, or in what is read, whatever the case is about.
fn of_kind(operation: Operation, kind: Kind) -> &'static str {
    match (operation, kind) {
        (_, Kind::Verbatim) => "AVP-4-01",
        (_, Kind::EntryEpoch) => "AVP-2-04",
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
/// was sent before, `is_first` that nothing was amiss in the repository until then.
pub(super) fn granted(
    operation: Operation,
    difference: &Difference,
    own: &[&'static str],
    (is_again, is_first): (bool, bool),
    before: Option<&RepoState>,
) -> &'static str {
    let has = |id: &str| own.contains(&id);
    let again = ["AVP-7-03", "AVP-7-04", "AVP-7-05"]
        .into_iter()
        .find(|id| has(id));
    match again {
        Some(again) if is_again && is_first && difference.kind.is_state() => return again,
        _ => {}
    }
    if difference.kind.is_state() && is_rounded(difference, before) {
        return "AVP-2-04";
    }
    of_kind(operation, difference.kind)
}

/// Whether a counter is another one than was sent, and was too large for what it was put into. One of an earlier state is not
/// rounded, but old.
pub(super) fn is_rounded(difference: &Difference, before: Option<&RepoState>) -> bool {
    difference
        .counters
        .is_some_and(|counters| is_rounding(counters, before))
}

/// Whether a counter is not the one that was sent because that was too large.
pub(super) fn is_rounding((sent, seen): (i64, i64), before: Option<&RepoState>) -> bool {
    let is_old = before.is_some_and(|before| {
        let envelope =
            ["payloadVersion", "keyEpoch"].map(|name| before.envelope.get(name).and_then(Value::as_i64));
        // Or the next one, of a server that counts by itself.
        let counted = [before.version, before.epoch].map(|count| count.saturating_add(1));
        [before.version, before.epoch].contains(&seen)
            || counted.contains(&seen)
            || envelope.contains(&Some(seen))
    });
    sent > LARGEST_I32 && !is_old && is_near(sent, seen)
}

/// Whether a number is what becomes of another one in too small a type: cut to its lower bits, held at a bound, or rounded.
fn is_near(sent: i64, seen: i64) -> bool {
    const MOST: [i64; 4] = [i32::MAX as i64, u32::MAX as i64, (1 << 53) - 1, 1 << 53];
    let low_32 = sent & 0xffff_ffff;
    let cut = [low_32, low_32 - ((low_32 >> 31) << 32)];
    let is_rounded = sent.abs_diff(seen) <= sent.unsigned_abs() / 1_000_000;
    sent != seen && (MOST.contains(&seen) || cut.contains(&seen) || is_rounded)
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
    frame: &ParsedExchange<'_>,
    step: &Step,
    own: &[&'static str],
    next: Option<&ParsedExchange<'_>>,
) -> Result<Vec<&'static str>, String> {
    let Some(operation) = frame.operation else {
        return match &frame.reading {
            AnswerClass::Failed(failure) => Err(format!(
                "no answer came, which breaks none of them: {}",
                failure.message
            )),
            AnswerClass::Granted(body) if body.get("error").is_some_and(Value::is_string) => {
                Ok(vec!["AVP-6-18"])
            }
            _ => Ok(own.to_vec()),
        };
    };
    let words = step.words();
    let first = words.first().copied().unwrap_or(ExpectedAnswer::Granted);
    if is_no_http(&frame.reading) {
        return Ok(vec!["AVP-12-02"]);
    }
    if is_missing_method(frame) {
        return Ok(vec!["AVP-11-01"]);
    }
    if words.iter().all(|word| word.is_refusal()) {
        return refusal(walk, frame, step, first, own);
    }
    if let Some(why) = frame.breach() {
        return Err(why);
    }
    if walk.is_another(frame) {
        return Err("what is stored is not what was asked for, which is a finding of its own".to_owned());
    }
    // What a target served otherwise than it was sent may be what it cannot read.
    let message = operation.request_message();
    let is_ours = frame.exchange.spoiled.is_none();
    let holds_what_is_wrong = message
        .zip(frame.request.as_deref())
        .is_some_and(|(message, request)| {
            let is_sound = schema::base64_violations(message, request).is_empty()
                && schema::violations(message, request).is_empty();
            is_ours && !is_sound
        });
    if holds_what_is_wrong {
        return Err(
            "it holds what the target served, which is of the wrong form: a finding of its own".to_owned(),
        );
    }
    let status = frame.reading.status();
    let is_sound_token = frame.has_token() && operation.needs_token();
    match status {
        Some(401) if is_sound_token => return Ok(vec!["AVP-3-09"]),
        Some(500..) if words.iter().any(|word| word.is_refusal()) && own.contains(&"AVP-3-09") => {
            return Ok(vec!["AVP-6-21"]);
        }
        // Who may not create a repository of his own is taken for somebody else.
        Some(403) if operation == Operation::CreateRepo => return Ok(vec!["AVP-3-09"]),
        Some(400 | 422 | 500) if has_large_counter(frame) => return Ok(vec!["AVP-2-04"]),
        Some(403) if own.contains(&"AVP-6-15") => return Ok(vec!["AVP-6-15"]),
        Some(403)
            if operation == Operation::Pull
                && walk.was_served_to(frame)
                && walk.removed_anywhere(frame.index) =>
        {
            return Ok(vec!["AVP-6-13"]);
        }
        Some(403)
            if operation == Operation::FetchMemberKey
                && (!walk.was_served_to(frame) || walk.is_creator(frame)) =>
        {
            return Ok(vec![operation.rule()]);
        }
        Some(304) if first == ExpectedAnswer::Unchanged => return Ok(vec!["AVP-6-04"]),
        // Nobody was served anything of the repository, though its creation was granted.
        Some(400 | 404) if has_small_escapes(frame) || is_escaped(frame) && is_created(walk, frame) => {
            return Ok(vec!["AVP-7-06"]);
        }
        Some(301 | 302 | 307 | 308) if is_escaped(frame) => return Ok(vec!["AVP-7-06"]),
        Some(300..400) => return Ok(vec!["AVP-6-22"]),
        Some(404) if operation != Operation::CreateRepo && is_created(walk, frame) => {
            return Ok(vec![Operation::CreateRepo.rule()]);
        }
        // What may be refused for its size is refused otherwise.
        Some(409) if words.contains(&ExpectedAnswer::Status(413)) && first != ExpectedAnswer::Conflict => {
            return Ok(vec!["AVP-7-01"]);
        }
        Some(500..) if words.contains(&ExpectedAnswer::Status(413)) => return Ok(vec!["AVP-7-01"]),
        _ if (first != ExpectedAnswer::Conflict || words.contains(&ExpectedAnswer::Status(413)))
            && is_limit(walk, frame, operation) =>
        {
            return Ok(vec!["AVP-7-01"]);
        }
        _ => {}
    }
    let rule = match first {
        ExpectedAnswer::Unchanged => "AVP-6-04",
        ExpectedAnswer::Changed => "AVP-6-06",
        ExpectedAnswer::Conflict => "AVP-6-08",
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
        (AnswerClass::Granted(_), ExpectedAnswer::Unchanged | ExpectedAnswer::Changed) => {
            match is_right_elsewhere(walk, operation, first) {
                true => only(&["AVP-12-02"], rule),
                false => vec![rule],
            }
        }
        (AnswerClass::Granted(body), ExpectedAnswer::Conflict) => {
            let says_both = body.get("conflict").and_then(Value::as_bool) == Some(true);
            match !says_both && is_applied(walk, frame, next) {
                true if walk.is_again(frame) => vec!["AVP-7-03"],
                true => only(&["AVP-6-07", "AVP-10-02"], "AVP-6-07"),
                false => vec![rule],
            }
        }
        (AnswerClass::Conflict(body), ExpectedAnswer::Conflict) if body.get("conflict").is_some() => {
            vec![rule]
        }
        (AnswerClass::Conflict(body), _) => match body.get("conflict").and_then(Value::as_bool) {
            Some(true) => only(&["AVP-2-04", "AVP-7-01"], rule),
            _ => vec![rule],
        },
        (AnswerClass::Status(403), _) if walk.is_member(frame) && !walk.is_creator(frame) => {
            match walk.was_served_to(frame) {
                true => vec!["AVP-6-12"],
                false => only(&["AVP-3-09", "AVP-6-10", "AVP-6-12"], "AVP-6-11"),
            }
        }
        _ if first == ExpectedAnswer::Conflict => vec![rule],
        _ if operation == Operation::Pull => only(&["AVP-12-02", "AVP-6-21"], rule),
        (AnswerClass::Status(400 | 422 | 500), _) if own.contains(&"AVP-9-01") => vec!["AVP-9-01"],
        // A push is granted without a roster; what is refused is the roster.
        _ if operation == Operation::Push && brings_roster(frame) => vec!["AVP-6-10"],
        // The like of it was granted before: what is special about this one is what the case is about.
        _ if walk.was_granted(operation, frame.index) || words.len() > 1 => {
            only(RULES_OF_A_REFUSED_REQUEST, rule)
        }
        _ => vec![rule],
    })
}

/// Whether what came is no whole HTTP answer: something that was not asked for, or one that was not brought to its end.
pub(super) fn is_no_http(reading: &AnswerClass) -> bool {
    let AnswerClass::Failed(failure) = reading else {
        return false;
    };
    // Where time ran out, the rest may have been on its way.
    match failure.kind {
        FailureKind::Malformed => true,
        FailureKind::Closed | FailureKind::Reset => failure.begun,
        _ => false,
    }
}

/// Whether a method of the vault is not there, over gRPC.
pub(super) fn is_missing_method(frame: &ParsedExchange<'_>) -> bool {
    let is_of_vault = frame.operation.is_some_and(Operation::needs_token);
    is_of_vault && frame.is_grpc() && frame.reading.status() == Some(grpc::NOT_OFFERED)
}

/// Whether the repository's id is percent-encoded in the path. In a call nothing is.
pub(super) fn is_escaped(frame: &ParsedExchange<'_>) -> bool {
    if frame.is_grpc() {
        return false;
    }
    let path = frame.path();
    path.strip_prefix("/v1/repos/")
        .and_then(|path| path.split('/').next())
        .is_some_and(|id| id.contains('%'))
}

/// Whether the escapes of the path have small digits. They have them only where a case wants to know whether such are read.
fn has_small_escapes(frame: &ParsedExchange<'_>) -> bool {
    let path = frame.path();
    let mut escapes = path.split('%').skip(1);
    escapes.any(|escape| escape.bytes().take(2).any(|digit| digit.is_ascii_lowercase()))
}

/// Whether a repository was created by the target's own word, and nobody was served anything of it since.
fn is_created(walk: &Walk<'_, '_>, frame: &ParsedExchange<'_>) -> bool {
    walk.stored(frame).is_some() && !walk.was_served(frame) && frame.exchange.spoiled.is_none()
}

/// Requests beyond so many bytes are what servers have limits for.
const BIG_REQUEST_BYTES: usize = 16 * 1024;

/// Whether what is refused is refused for its size, though not as a limit is to be refused: something smaller was granted.
pub(super) fn is_limit(walk: &Walk<'_, '_>, frame: &ParsedExchange<'_>, operation: Operation) -> bool {
    let size = |frame: &ParsedExchange<'_>| {
        let body = frame.exchange.request.body.as_ref();
        body.map_or(0, |body| body.as_bytes().len())
    };
    let is_smaller_granted = walk.frames()[..frame.index].iter().any(|other| {
        let writes = other.operation.is_some_and(Operation::writes);
        writes && other.reading.granted().is_some() && size(other) < size(frame) / 2
    });
    let is_again = walk.is_again(frame);
    match &frame.reading {
        AnswerClass::Granted(_) | AnswerClass::Status(413 | 429 | 403 | 401 | 404) => false,
        // What is neither accepted nor a conflict is told as no limit either.
        AnswerClass::Conflict(body) if body.get("conflict").and_then(Value::as_bool) != Some(true) => false,
        AnswerClass::Failed(failure) if !matches!(failure.kind, FailureKind::Closed | FailureKind::Reset) => {
            false
        }
        _ if size(frame) > BIG_REQUEST_BYTES => is_smaller_granted,
        AnswerClass::Status(409) => {
            let is_later = matches!(
                operation,
                Operation::Push | Operation::AddMember | Operation::RemoveMember
            );
            is_later && walk.was_granted(operation, frame.index) && !is_again
        }
        _ => false,
    }
}

/// Whether a plain request of an operation is answered as it should be somewhere in the case.
fn is_right_elsewhere(walk: &Walk<'_, '_>, operation: Operation, word: ExpectedAnswer) -> bool {
    let is_right = |other: &ParsedExchange<'_>| {
        let exchange = other.exchange;
        Operation::of(exchange) == Some(operation) && exchange.spoiled.is_none() && other.reading.is(word)
    };
    walk.frames().iter().any(is_right)
}

/// Whether an operation, any of the vault's where none is named, is granted somewhere in the case.
fn is_granted_somewhere(walk: &Walk<'_, '_>, operation: Option<Operation>) -> bool {
    let is_granted = |other: &ParsedExchange<'_>| {
        let of_vault = other.operation.is_some_and(Operation::needs_token);
        let is_it = operation.is_none() || other.operation == operation;
        of_vault && is_it && other.reading.granted().is_some()
    };
    walk.frames().iter().any(is_granted)
}

/// Whether a push brings a roster.
fn brings_roster(frame: &ParsedExchange<'_>) -> bool {
    let roster = frame
        .request
        .as_deref()
        .and_then(|request| request.get("rotatedMembers"));
    roster.is_some_and(Value::is_array)
}

/// Whether a request holds a counter that does not fit into 31 bits.
fn has_large_counter(frame: &ParsedExchange<'_>) -> bool {
    fn in_value(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.values().any(in_value),
            Value::Array(items) => items.iter().any(in_value),
            other => other.as_i64().is_some_and(|number| number > LARGEST_I32),
        }
    }
    frame.request.as_deref().is_some_and(in_value)
}

/// The requirements that may be contradicted where a request is refused, or not answered, that was to be granted: none that
/// speak of what is stored of a granted one, or of what is to be refused.
const RULES_OF_A_REFUSED_REQUEST: &[&str] = &[
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
    frame: &ParsedExchange<'_>,
    step: &Step,
    first: ExpectedAnswer,
    own: &[&'static str],
) -> Result<Vec<&'static str>, String> {
    if frame.is_refusal_in_disguise() {
        return Err("it is a refusal, told with a status of success".to_owned());
    }
    let is_login = frame.operation == Some(Operation::Token);
    if is_login && frame.reading.granted().is_some() && !yields_token(frame) {
        return Ok(vec!["AVP-3-08"]);
    }
    let words = step.words();
    if is_login && words.len() > 1 && matches!(frame.reading.status(), Some(500..)) {
        return Ok(vec!["AVP-6-21"]);
    }
    // Who may do what does not depend on what is stored, but on who is a member.
    let follows = match first {
        ExpectedAnswer::Status(401) => false,
        ExpectedAnswer::Status(403 | 404) => walk.is(frame, Mark::DoubtfulRoster),
        _ => walk.is_another(frame),
    };
    if follows {
        return Err("what is stored is not what was asked for, which is a finding of its own".to_owned());
    }
    let is_sound_token = frame.has_token() && frame.operation.is_some_and(Operation::needs_token);
    if frame.reading.is(ExpectedAnswer::Status(401))
        && is_sound_token
        && !words.contains(&ExpectedAnswer::Status(401))
    {
        let is_stranger = first == ExpectedAnswer::Status(403)
            && !walk.is_member(frame)
            && is_granted_somewhere(walk, None);
        let rule = match own.contains(&"AVP-6-15") || is_stranger {
            true => "AVP-6-15",
            false => "AVP-3-09",
        };
        return Ok(vec![rule]);
    }
    // A recommendation that is not kept is never a must that is broken.
    if !own.is_empty() && catalogue().strongest(own) != Level::Must {
        return Ok(own.to_vec());
    }
    // A 2xx without a body of the operation's is no grant, but a refusal with the wrong status.
    let granted = frame.reading.granted().is_some();
    let one_of = |wanted: &[&'static str], or: &'static str| -> Vec<&'static str> {
        let found = own.iter().copied().find(|id| wanted.contains(id));
        vec![found.unwrap_or(or)]
    };
    Ok(match first {
        ExpectedAnswer::Status(401) if is_login => {
            one_of(&["AVP-3-03", "AVP-3-04", "AVP-3-06", "AVP-3-07"], "AVP-3-08")
        }
        ExpectedAnswer::Status(401) if own.contains(&"AVP-3-13") => vec!["AVP-3-13"],
        ExpectedAnswer::Status(401) => vec![unauthorized(walk, frame)],
        ExpectedAnswer::Status(403) if granted && frame.operation != Some(Operation::CreateRepo) => {
            if walk.is_member(frame) && frame.exchange.spoiled.is_none() {
                let who = frame.actor();
                return Err(format!(
                    "{who} is a member by what was served before, which is a finding of its own"
                ));
            }
            let was_member =
                walk.had_access(frame) && !walk.is(frame, Mark::Wronged) && frame.breach().is_none();
            match was_member {
                true => vec!["AVP-10-03"],
                false => one_of(&["AVP-3-08"], "AVP-6-15"),
            }
        }
        // Who was a member gets past the door, whatever he finds behind it.
        ExpectedAnswer::Status(403)
            if walk.had_access(frame)
                && !walk.is(frame, Mark::Wronged)
                && !walk.is_member(frame)
                && is_granted_somewhere(walk, frame.operation)
                && !matches!(
                    frame.reading,
                    AnswerClass::Status(401 | 404 | 500..) | AnswerClass::Failed(_)
                ) =>
        {
            vec!["AVP-10-03"]
        }
        ExpectedAnswer::Status(403) => one_of(&["AVP-6-01"], "AVP-6-15"),
        ExpectedAnswer::Status(404) if frame.reading.is(ExpectedAnswer::Status(400)) && is_escaped(frame) => {
            vec!["AVP-7-06"]
        }
        ExpectedAnswer::Status(404) if frame.breach().is_some() => vec!["AVP-6-16"],
        ExpectedAnswer::Status(404) if granted => one_of(&["AVP-4-01", "AVP-7-06"], "AVP-6-16"),
        ExpectedAnswer::Status(404) => vec!["AVP-6-16"],
        ExpectedAnswer::Status(409) => vec!["AVP-6-02"],
        ExpectedAnswer::Status(400) if frame.request.is_some() && !granted => {
            one_of(&["AVP-6-01"], "AVP-6-21")
        }
        ExpectedAnswer::Status(400) => one_of(&["AVP-6-21"], "AVP-6-20"),
        _ => own
            .iter()
            .copied()
            .map(|id| if id == "AVP-6-18" { "AVP-6-21" } else { id })
            .collect(),
    })
}

/// Whether what was granted is a token that could be used.
pub(super) fn yields_token(frame: &ParsedExchange<'_>) -> bool {
    let token = frame.reading.granted().and_then(|body| body.get("token"));
    token
        .and_then(Value::as_str)
        .is_some_and(|token| !token.is_empty())
}

/// What it breaks that a request without a valid token is not answered 401: that there must be one, where none is asked for;
/// and else that it must be a valid one. A header that holds none is taken for the one or the other, as the server takes it.
fn unauthorized(walk: &Walk<'_, '_>, frame: &ParsedExchange<'_>) -> &'static str {
    let how = |frame: &ParsedExchange<'_>| frame.exchange.spoiled.clone().unwrap_or_default();
    let is_bare = |frame: &ParsedExchange<'_>| how(frame).contains(&TokenForm::None.to_string());
    let is_wrong = |frame: &&ParsedExchange<'_>| {
        let same = frame.operation.is_some_and(Operation::needs_token) && frame.exchange.role == Role::Step;
        same && frame.exchange.spoiled.is_some() && !frame.reading.is(ExpectedAnswer::Status(401))
    };
    let mut wrong = walk.frames().iter().filter(is_wrong);
    let has_bare = wrong.clone().any(is_bare);
    let has_token = wrong.any(|frame| !is_bare(frame) && frame.has_token());
    match (has_bare, has_token, frame.has_token()) {
        (true, _, _) | (false, false, false) => "AVP-3-10",
        _ => "AVP-3-11",
    }
}

/// What a value breaks that a case wants at a place of the body, and that is not there. `state` is what is stored, and
/// `is_known` says that what came was sent before, for whatever place.
pub(super) fn pointer(
    operation: Operation,
    is_conflict: bool,
    pointer: &str,
    (wanted, seen, is_known): (&Value, Option<&Value>, bool),
    state: Option<&RepoState>,
    own: &[&'static str],
) -> Vec<&'static str> {
    let counters = wanted.as_i64().zip(seen.and_then(Value::as_i64));
    let is_rounded = counters.is_some_and(|counters| is_rounding(counters, state));
    let name = pointer.rsplit('/').next().unwrap_or_default();
    match (name, operation) {
        ("payloadVersion" | "keyEpoch", _) if is_rounded || pointer.contains("/members/") => vec!["AVP-2-04"],
        // The entry of somebody else.
        ("x25519PublicKey", Operation::FetchMemberKey) if is_known => vec!["AVP-6-14"],
        ("accepted" | "conflict" | "payloadVersion" | "keyEpoch", Operation::Push) if is_conflict => {
            vec!["AVP-6-08"]
        }
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
pub(super) fn alone(
    walk: &Walk<'_, '_>,
    frame: &ParsedExchange<'_>,
) -> Option<(&'static str, usize, String)> {
    let operation = frame.operation?;
    let got = format!("{operation} by {}: {}", frame.actor(), frame.reading.describe());
    let rule = match &frame.reading {
        AnswerClass::Status(403) if operation == Operation::CreateRepo => "AVP-3-09",
        AnswerClass::Status(409) if operation == Operation::AddMember => "AVP-7-01",
        // Who is removed at the same moment may be refused rightly.
        AnswerClass::Status(403)
            if walk.is_member(frame) && !walk.is_creator(frame) && !walk.removes_in_round(frame) =>
        {
            match walk.was_served_to(frame) {
                true => "AVP-6-12",
                false => "AVP-6-11",
            }
        }
        AnswerClass::Granted(body) if operation == Operation::Push => {
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
        AnswerClass::Conflict(body) if body.get("conflict").and_then(Value::as_bool) != Some(true) => {
            operation.rule()
        }
        _ => return None,
    };
    Some((rule, frame.index, got))
}

/// Whether the pull behind a push serves what the push asked for; where none follows, whether the answer says so.
fn is_applied(walk: &Walk<'_, '_>, frame: &ParsedExchange<'_>, next: Option<&ParsedExchange<'_>>) -> bool {
    let sent = frame
        .request
        .as_ref()
        .and_then(|request| request.pointer("/envelope/iv").cloned());
    let served = next.and_then(|next| next.reading.granted()?.pointer("/envelope/iv").cloned());
    // A word by word repetition is stored already.
    if walk.is_again(frame) {
        let told = frame
            .reading
            .granted()
            .and_then(|body| body.get("payloadVersion")?.as_i64());
        return walk
            .stored(frame)
            .is_some_and(|stored| told.is_some_and(|told| told > stored.version));
    }
    sent.is_some() && (next.is_none() || sent == served)
}
