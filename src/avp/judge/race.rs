//! Judges a race: the answers, and what is stored afterwards, must be those of some order of the requests, one after the
//! other. No case has to say who wins.
//!
//! An order that exists is found, and that there is none is shown, by a search through what is done and what is stored then,
//! each of which is looked at once. Where there is none, the round is looked at again with one kind of answer left out after
//! the other: the kind without which there is an order is what contradicts a rule.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::compare;
use super::parsed::ParsedExchange;
use super::steps::epoch_left;
use crate::avp::Operation;
use crate::avp::outcome::AnswerClass;
use crate::avp::repo_state::{RepoState, member_id};

/// How far a search goes. Beyond that nothing is known, neither that there is an order nor that there is none.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// More requests than these are not put in order.
    runners: usize,
    /// So many different states are told apart: eight who add one member make nine.
    states: usize,
    /// So many pairs of what is done and what is stored are looked at.
    nodes: usize,
}

const BOUNDS: Bounds = Bounds {
    runners: 16,
    states: 256,
    nodes: 200_000,
};

/// One request of a race.
pub(super) struct Runner<'a> {
    /// The index of its exchange.
    pub(super) index: usize,
    pub(super) operation: Operation,
    pub(super) actor: &'a str,
    /// The member id of who made it.
    pub(super) caller: String,
    pub(super) request: &'a Value,
    pub(super) answer: RaceAnswer<'a>,
}

/// What an answer says of what was done.
#[derive(Debug, Clone, Copy)]
pub(super) enum RaceAnswer<'a> {
    /// It was done.
    Granted(&'a Value),
    /// A push at another version.
    Conflict(&'a Value),
    /// It was refused, with this status.
    Refused(u16),
    /// Nothing: it may have been done, or not.
    Nothing,
    /// It was not done, and that is no answer to judge here.
    Apart,
}

impl<'a> RaceAnswer<'a> {
    /// What a reading says. An answer of a server that failed says nothing.
    pub(super) fn of(reading: &'a AnswerClass) -> RaceAnswer<'a> {
        match reading {
            AnswerClass::Granted(body) => RaceAnswer::Granted(body),
            AnswerClass::Conflict(body) => RaceAnswer::Conflict(body),
            // A token is looked at before anything is done; 429 is not executed.
            AnswerClass::Status(401 | 429) => RaceAnswer::Apart,
            AnswerClass::Status(status @ 400..=499) => RaceAnswer::Refused(*status),
            AnswerClass::Status(_) | AnswerClass::Unreadable(_) | AnswerClass::Failed(_) => {
                RaceAnswer::Nothing
            }
        }
    }
}

impl Runner<'_> {
    /// The id of the member who is added, if that is what it does.
    fn added(&self) -> Option<&str> {
        match self.operation {
            Operation::AddMember => member_id(self.request.get("member")?),
            _ => None,
        }
    }

    /// The id of the member who is removed, if that is what it does.
    fn removed(&self) -> Option<&str> {
        match self.operation {
            Operation::RemoveMember => self.request.get("removedMemberId")?.as_str(),
            _ => None,
        }
    }

    /// Whether it changes nothing, wherever in the order it comes.
    fn is_idle(&self) -> bool {
        let is_refused = matches!(
            self.answer,
            RaceAnswer::Conflict(_) | RaceAnswer::Refused(_) | RaceAnswer::Apart
        );
        is_refused || self.operation == Operation::Pull
    }

    fn is_granted(&self) -> bool {
        matches!(self.answer, RaceAnswer::Granted(_))
    }

    /// The version that its answer names.
    fn told(&self) -> Option<i64> {
        match self.answer {
            RaceAnswer::Granted(answer) | RaceAnswer::Conflict(answer) => version_of(answer),
            _ => None,
        }
    }
}

/// The version that an answer names, at whichever of its places.
fn version_of(answer: &Value) -> Option<i64> {
    let place = |pointer: &str| answer.pointer(pointer).and_then(Value::as_i64);
    place("/payloadVersion").or_else(|| place("/manifest/payloadVersion"))
}

/// The runners of a round. A request that is not of the route table's vault operations takes no part.
pub(super) fn runner<'a>(frame: &'a ParsedExchange<'_>, caller: String) -> Option<Runner<'a>> {
    let operation = frame.operation?;
    Some(Runner {
        index: frame.index,
        operation,
        actor: frame.actor(),
        caller,
        request: frame.request.as_ref()?,
        answer: RaceAnswer::of(&frame.reading),
    })
}

/// What is known of the orders of a round.
#[derive(Debug, PartialEq)]
pub(super) enum Orders {
    /// The states that they lead to; none where there is no order.
    Ends(Vec<Option<RepoState>>),
    /// There are too many to try.
    Untold,
}

/// Every state that some order of the requests leads to, in which each got the answer that it got.
pub(super) fn orders(before: Option<&RepoState>, runners: &[Runner<'_>]) -> Orders {
    orders_within(BOUNDS, before, runners)
}

fn orders_within(bounds: Bounds, before: Option<&RepoState>, runners: &[Runner<'_>]) -> Orders {
    if runners.len() > bounds.runners {
        return Orders::Untold;
    }
    let mut search = Search {
        bounds,
        runners,
        before,
        states: Vec::new(),
        next: Vec::new(),
        seen: Vec::new(),
        nodes: 0,
    };
    match search.run() {
        Some(ends) => Orders::Ends(ends),
        None => Orders::Untold,
    }
}

/// Which requests are done, a bit each.
type Done = usize;

struct Search<'a> {
    bounds: Bounds,
    runners: &'a [Runner<'a>],
    before: Option<&'a RepoState>,
    /// Every state that was met; elsewhere they are named by their place here.
    states: Vec<Option<RepoState>>,
    /// By state and request: what the request makes of it, once that is known; nothing where its answer does not fit.
    next: Vec<Vec<Option<Vec<usize>>>>,
    /// By state: what was done when it was met, a bit for each.
    seen: Vec<Vec<u64>>,
    nodes: usize,
}

impl Search<'_> {
    /// The ends, or nothing where a bound was met first.
    fn run(&mut self) -> Option<Vec<Option<RepoState>>> {
        let all: Done = (1 << self.runners.len()) - 1;
        let first = self.state(self.before.cloned())?;
        let (mut open, mut ends) = (VecDeque::from([(0, first)]), Vec::new());
        while let Some((done, state)) = open.pop_front() {
            if done == all {
                ends.push(state);
                continue;
            }
            for at in self.choices(done, state)? {
                for next in self.after(state, at)? {
                    let node = (done | 1 << at, next);
                    if self.is_new(node) {
                        self.nodes += 1;
                        open.push_back(node);
                    }
                }
            }
            if self.nodes > self.bounds.nodes {
                return None;
            }
        }
        Some(ends.into_iter().map(|state| self.states[state].clone()).collect())
    }

    /// The requests that may come next. One whose place among the others does not matter comes at once, and alone.
    fn choices(&mut self, done: Done, state: usize) -> Option<Vec<usize>> {
        let waiting: Vec<usize> = (0..self.runners.len()).filter(|at| done & 1 << at == 0).collect();
        for at in &waiting {
            // What never changes anything, and fits now, can as well come now.
            if self.runners[*at].is_idle() && !self.after(state, *at)?.is_empty() {
                return Some(vec![*at]);
            }
        }
        for at in &waiting {
            if self.is_apart(*at, &waiting) && !self.after(state, *at)?.is_empty() {
                return Some(vec![*at]);
            }
        }
        Some(waiting)
    }

    /// Whether a request adds a member with whom no other that is still to come has to do: others are added or a payload is
    /// pushed, and the new member asks for nothing.
    fn is_apart(&self, at: usize, waiting: &[usize]) -> bool {
        let added = self.runners[at].added();
        let mut others = waiting.iter().filter(|other| **other != at);
        let said = matches!(self.runners[at].answer, RaceAnswer::Granted(_));
        said && added.is_some()
            && others.all(|other| {
                let other = &self.runners[*other];
                let other_member = other.operation == Operation::AddMember && other.added() != added;
                let payload = other.operation == Operation::Push
                    && other.request.get("rotatedMembers").is_none_or(Value::is_null);
                (other_member || payload) && added != Some(other.caller.as_str())
            })
    }

    /// The states after a request.
    fn after(&mut self, state: usize, at: usize) -> Option<Vec<usize>> {
        if let Some(known) = &self.next[state][at] {
            return Some(known.clone());
        }
        let outcomes = outcomes(self.states[state].as_ref(), self.before, &self.runners[at]);
        let mut next = Vec::new();
        for outcome in outcomes {
            let outcome = self.state(outcome)?;
            if !next.contains(&outcome) {
                next.push(outcome);
            }
        }
        self.next[state][at] = Some(next.clone());
        Some(next)
    }

    /// The place of a state.
    fn state(&mut self, state: Option<RepoState>) -> Option<usize> {
        let known = |known: &Option<RepoState>| same(known.as_ref(), state.as_ref());
        if let Some(at) = self.states.iter().position(known) {
            return Some(at);
        }
        if self.states.len() >= self.bounds.states {
            return None;
        }
        self.states.push(state);
        self.next.push(vec![None; self.runners.len()]);
        self.seen.push(vec![0; (1 << self.runners.len()) / 64 + 1]);
        Some(self.states.len() - 1)
    }

    fn is_new(&mut self, (done, state): (Done, usize)) -> bool {
        let (word, bit) = (&mut self.seen[state][done / 64], 1 << (done % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

/// The states that a request may lead to where it got the answer that it got; none where it cannot have got it.
fn outcomes(
    state: Option<&RepoState>,
    before: Option<&RepoState>,
    runner: &Runner<'_>,
) -> Vec<Option<RepoState>> {
    let stays = || vec![state.cloned()];
    match runner.answer {
        RaceAnswer::Apart => stays(),
        RaceAnswer::Granted(answer) => granted(state, runner, Some(answer)),
        RaceAnswer::Nothing => {
            let mut outcomes = stays();
            outcomes.extend(granted(state, runner, None));
            outcomes
        }
        RaceAnswer::Conflict(_) | RaceAnswer::Refused(_) => match refused_rightly(state, before, runner) {
            true => stays(),
            false => Vec::new(),
        },
    }
}

/// The states that a request leads to that was done; `answer` is what it was told, if that is known.
fn granted(state: Option<&RepoState>, runner: &Runner<'_>, answer: Option<&Value>) -> Vec<Option<RepoState>> {
    if runner.operation == Operation::Pull {
        let may = state.is_some_and(|state| {
            state.member(&runner.caller).is_some() && answer.is_none_or(|answer| saw(state, answer))
        });
        return if may { vec![state.cloned()] } else { Vec::new() };
    }
    let next = step(state, runner, answer);
    let kept = keeps_entry(state, runner).then(|| state.cloned()).flatten();
    // Where the target gave a version of its own, the envelope may say so or be as it was sent.
    let verbatim = next.as_ref().and_then(|next| {
        let sent = runner.request.get("rotatedEnvelope")?;
        (*next.envelope != *sent).then(|| RepoState {
            envelope: Arc::new(sent.clone()),
            ..next.clone()
        })
    });
    let stays = state
        .zip(next.as_ref())
        .and_then(|(state, next)| epoch_left(runner.operation, state, next));
    let all = next.into_iter().chain(kept).chain(verbatim).chain(stays);
    all.map(Some).collect()
}

/// What a pull saw. It changes nothing, but the state that it shows must be one of the order. A field that was altered is no
/// matter of order.
fn saw(state: &RepoState, answer: &Value) -> bool {
    let manifest = answer.get("manifest").unwrap_or(&Value::Null);
    let envelope = answer.get("envelope").filter(|envelope| envelope.is_object());
    let mut differences = compare::manifest(state, None, manifest, "");
    if let Some(envelope) = envelope {
        differences.extend(compare::envelope(&state.envelope, None, envelope, ""));
    }
    differences.iter().all(|difference| !difference.kind.is_state())
}

/// The state after a request that was done, where it may be done and its answer says what it must. `None` otherwise.
fn step(state: Option<&RepoState>, runner: &Runner<'_>, answer: Option<&Value>) -> Option<RepoState> {
    let mut next = RepoState::after(runner.operation, state, runner.request)?;
    if let (Operation::RemoveMember, Some(state), Some(answer)) = (runner.operation, state, answer) {
        assigned_version(&mut next, state, answer);
    }
    let allowed = match (runner.operation, state) {
        (Operation::CreateRepo, None) => true,
        (Operation::CreateRepo, Some(_)) | (_, None) => false,
        (operation, Some(state)) if state.member(&runner.caller).is_some() => match operation {
            Operation::Push => {
                let expected = runner
                    .request
                    .get("expectedPayloadVersion")
                    .and_then(Value::as_i64);
                // An answer with no version is against the schema, and says nothing about the order.
                let told = answer.and_then(version_of);
                expected == Some(state.version)
                    && next.version > state.version
                    && told.is_none_or(|told| told == next.version)
            }
            Operation::RemoveMember => next.version > state.version && next.epoch > state.epoch,
            _ => true,
        },
        _ => false,
    };
    allowed.then_some(next)
}

/// Whether a granted request adds somebody who is a member: the entry may then stay what it is.
fn keeps_entry(state: Option<&RepoState>, runner: &Runner<'_>) -> bool {
    let (Some(state), Some(added)) = (state, runner.added()) else {
        return false;
    };
    state.member(&runner.caller).is_some() && state.member(added).is_some()
}

/// A server may give an envelope that comes too late a version above the current one, instead of refusing it.
fn assigned_version(next: &mut RepoState, state: &RepoState, answer: &Value) {
    let told = answer.get("payloadVersion").and_then(Value::as_i64).unwrap_or(0);
    if next.version <= state.version && told > state.version {
        next.version = told;
        Arc::make_mut(&mut next.envelope)["payloadVersion"] = told.into();
    }
}

/// Whether a refusal is the right answer in this state; `before` is that at the beginning of the race.
fn refused_rightly(state: Option<&RepoState>, before: Option<&RepoState>, runner: &Runner<'_>) -> bool {
    let status = match runner.answer {
        RaceAnswer::Refused(status) => Some(status),
        _ => None,
    };
    let is_conflict = status.is_none();
    let Some(state) = state else {
        return status == Some(404) && runner.operation != Operation::CreateRepo;
    };
    if runner.operation == Operation::CreateRepo {
        return status == Some(409);
    }
    // Who is removed while the request is under way may have passed the look at the roster, but not that at the version.
    let was_member = before.is_some_and(|before| before.member(&runner.caller).is_some());
    let overtaken = was_member && is_conflict;
    if state.member(&runner.caller).is_none() && !overtaken {
        return matches!(status, Some(403 | 404));
    }
    let next = RepoState::after(runner.operation, Some(state), runner.request);
    let grows = next.as_ref().is_some_and(|next| next.version > state.version);
    match runner.operation {
        Operation::Push if is_conflict => {
            let expected = runner
                .request
                .get("expectedPayloadVersion")
                .and_then(Value::as_i64);
            let told = runner.told();
            expected != Some(state.version) && told.is_none_or(|told| told == state.version)
        }
        Operation::Push => !grows && matches!(status, Some(400)),
        // Somebody who is a member already may be refused, and so may an entry whose key is of an epoch that is over.
        Operation::AddMember => {
            let epoch = runner.request.pointer("/member/keyEpoch").and_then(Value::as_i64);
            let is_member = runner.added().is_some_and(|id| state.member(id).is_some());
            is_member && matches!(status, Some(400..=499))
                || epoch != Some(state.epoch) && matches!(status, Some(400 | 405..=499))
        }
        // A removal that was prepared for an older version may be refused.
        Operation::RemoveMember if is_conflict => !grows,
        Operation::RemoveMember => {
            let target = runner.removed().unwrap_or_default();
            let gone = state.member(target).is_none();
            // A roster that forgets a member, or brings one back, was prepared for another one.
            let outdated = next.as_ref().is_some_and(|next| !is_rest(next, state, target));
            // With whatever status a server refuses what is well-formed and cannot be applied, but as a stranger or as unknown.
            (!grows || outdated) && matches!(status, Some(400 | 405..=499))
                || gone && matches!(status, Some(400 | 404))
        }
        _ => false,
    }
}

/// Whether the roster of a removal holds exactly those who stay.
fn is_rest(next: &RepoState, state: &RepoState, removed: &str) -> bool {
    let staying = state.members.iter().filter_map(|entry| member_id(entry));
    let mut staying: Vec<&str> = staying.filter(|id| *id != removed).collect();
    let mut listed: Vec<&str> = next.members.iter().filter_map(|entry| member_id(entry)).collect();
    staying.sort_unstable();
    listed.sort_unstable();
    staying == listed
}

/// Whether two states are the same but for the order of the roster.
fn same(a: Option<&RepoState>, b: Option<&RepoState>) -> bool {
    let equal = |one: &Arc<Value>, other: &Arc<Value>| Arc::ptr_eq(one, other) || one == other;
    match (a, b) {
        (Some(a), Some(b)) => {
            let holds = |entry: &Arc<Value>| b.members.iter().any(|other| equal(entry, other));
            (a.version, a.epoch, a.members.len()) == (b.version, b.epoch, b.members.len())
                && equal(&a.envelope, &b.envelope)
                && a.members.iter().all(holds)
        }
        (None, None) => true,
        _ => false,
    }
}

/// What of a round no order explains.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contradiction {
    /// The exchange that shows it.
    pub(super) index: usize,
    /// The requirement that it contradicts, where that can be told.
    pub(super) requirement: Option<&'static str>,
    /// Why no order fits, in words.
    pub(super) why: String,
}

/// What of a round contradicts which rule, where there is no order.
pub(super) fn contradiction(before: Option<&RepoState>, runners: &[Runner<'_>]) -> Contradiction {
    let found = strangers(before, runners)
        .or_else(|| twice(runners))
        .or_else(|| misfit(before, runners));
    found.unwrap_or_else(|| Contradiction {
        index: runners.first().map_or(0, |runner| runner.index),
        requirement: None,
        why: "no order of the requests leads to these answers".to_owned(),
    })
}

/// Somebody was granted something who is no member, and whom nobody adds.
fn strangers(before: Option<&RepoState>, runners: &[Runner<'_>]) -> Option<Contradiction> {
    let before = before?;
    let is_added = |id: &str| runners.iter().any(|runner| runner.added() == Some(id));
    let stranger = runners.iter().find(|runner| {
        let id = runner.caller.as_str();
        let is_let_in = matches!(runner.answer, RaceAnswer::Granted(_) | RaceAnswer::Conflict(_));
        is_let_in && before.member(id).is_none() && !is_added(id)
    })?;
    Some(Contradiction {
        index: stranger.index,
        requirement: Some("AVP-6-15"),
        why: format!("{} is no member", stranger.actor),
    })
}

/// Two writes were granted of which there can be one: creates of one id, or two that say the same version.
fn twice(runners: &[Runner<'_>]) -> Option<Contradiction> {
    let granted: Vec<&Runner<'_>> = runners.iter().filter(|runner| runner.is_granted()).collect();
    let creates = || {
        granted
            .iter()
            .filter(|runner| runner.operation == Operation::CreateRepo)
    };
    if let (Some(second), count) = (creates().nth(1), creates().count()) {
        return Some(Contradiction {
            index: second.index,
            requirement: Some("AVP-6-02"),
            why: format!("{count} creates of one id were granted"),
        });
    }
    let writes: Vec<&&Runner<'_>> = granted
        .iter()
        .filter(|runner| matches!(runner.operation, Operation::Push | Operation::RemoveMember))
        .collect();
    let version = |runner: &Runner<'_>| runner.told().or_else(|| asked(runner));
    writes.iter().enumerate().find_map(|(at, runner)| {
        let told = version(runner)?;
        let like: Vec<&&&Runner<'_>> = writes
            .iter()
            .filter(|other| version(other) == Some(told))
            .collect();
        let earlier = writes[..at].iter().any(|other| version(other) == Some(told));
        earlier.then(|| Contradiction {
            index: runner.index,
            requirement: Some("AVP-10-02"),
            why: format!("{} say version {told}", both(&like)),
        })
    })
}

/// The version that a write asks for.
fn asked(runner: &Runner<'_>) -> Option<i64> {
    let envelope = match runner.operation {
        Operation::Push => runner.request.get("envelope"),
        _ => runner.request.get("rotatedEnvelope"),
    };
    envelope?.get("payloadVersion")?.as_i64()
}

/// `both pushes`, `3 pushes`, `the push and the removal`.
fn both(writes: &[&&&Runner<'_>]) -> String {
    let of = |operation| writes.iter().filter(|it| it.operation == operation).count();
    match (of(Operation::Push), of(Operation::RemoveMember)) {
        (2, 0) => "both pushes".to_owned(),
        (0, 2) => "both removals".to_owned(),
        (pushes, 0) => format!("{pushes} pushes"),
        (0, removals) => format!("{removals} removals"),
        (1, 1) => "the push and the removal".to_owned(),
        (pushes, removals) => format!("{pushes} pushes and {removals} removals"),
    }
}

/// The kinds of answers, those first that are the least likely to be right.
fn rank(answer: RaceAnswer<'_>) -> u16 {
    match answer {
        RaceAnswer::Refused(status) => status,
        RaceAnswer::Conflict(_) => 600,
        RaceAnswer::Granted(_) => 700,
        RaceAnswer::Nothing | RaceAnswer::Apart => 800,
    }
}

/// A kind of answer without which there is an order: what it says is then what is wrong.
fn misfit(before: Option<&RepoState>, runners: &[Runner<'_>]) -> Option<Contradiction> {
    let mut kinds: Vec<(u16, bool, Operation)> = runners
        .iter()
        .map(|runner| {
            (
                rank(runner.answer),
                runner.operation != Operation::Pull,
                runner.operation,
            )
        })
        .filter(|(rank, ..)| *rank < 800)
        .collect();
    kinds.sort_by_key(|(rank, writes, _)| (*rank, *writes));
    kinds.dedup();
    kinds.into_iter().find_map(|(kind, _, operation)| {
        let is_kind = |runner: &Runner<'_>| runner.operation == operation && rank(runner.answer) == kind;
        let rest: Vec<Runner<'_>> = runners
            .iter()
            .map(|runner| Runner {
                index: runner.index,
                operation: runner.operation,
                actor: runner.actor,
                caller: runner.caller.clone(),
                request: runner.request,
                answer: if is_kind(runner) {
                    RaceAnswer::Nothing
                } else {
                    runner.answer
                },
            })
            .collect();
        match orders(before, &rest) {
            Orders::Ends(ends) if !ends.is_empty() => {
                // A stranger may be refused rightly among others who are not.
                let stranger = |runner: &&Runner<'_>| {
                    before.is_none_or(|before| before.member(&runner.caller).is_none())
                };
                let of_kind = runners.iter().filter(|runner| is_kind(runner));
                // Of pulls the one that saw the most says the most.
                let seen = |runner: &&Runner<'_>| match runner.operation {
                    Operation::Pull => runner.told(),
                    _ => None,
                };
                let odd = of_kind.min_by_key(|runner| (stranger(runner), Reverse(seen(runner))))?;
                Some(explained(before, runners, odd))
            }
            _ => None,
        }
    })
}

/// Which rule an answer contradicts that fits nowhere, and why.
fn explained(before: Option<&RepoState>, runners: &[Runner<'_>], odd: &Runner<'_>) -> Contradiction {
    let removed = runners
        .iter()
        .any(|runner| runner.is_granted() && runner.removed() == Some(odd.caller.as_str()));
    let rotated = runners.iter().any(|runner| {
        let rotation = runner.request.get("rotatedMembers");
        rotation.is_some_and(|roster| !roster.is_null())
    });
    let with_removal = runners
        .iter()
        .any(|runner| runner.operation == Operation::RemoveMember);
    let current = before.map_or(0, |before| before.version);
    let knows = |id: &str| before.is_some_and(|before| before.member(id).is_some());
    let is_member = knows(&odd.caller) && !removed;
    let mixed = runners.iter().any(|runner| !knows(&runner.caller));
    let mut pushes = runners
        .iter()
        .filter(|runner| runner.operation == Operation::Push);
    let all_refused = pushes.all(|push| matches!(push.answer, RaceAnswer::Refused(_)));
    let (requirement, why) = match (odd.operation, odd.answer) {
        (Operation::CreateRepo, _) => (
            "AVP-6-02",
            "all but the one create that is granted are refused with 409".to_owned(),
        ),
        (Operation::Push, RaceAnswer::Conflict(_)) => (
            "AVP-6-08",
            match odd.told() {
                Some(told) if told <= current => {
                    format!("a conflict says version {told}, at which the push was made")
                }
                Some(told) => format!("a conflict says version {told}, which nobody wrote"),
                None => "a conflict at the current version".to_owned(),
            },
        ),
        (Operation::Push, RaceAnswer::Granted(_)) if removed => (
            "AVP-10-03",
            format!("{} was removed before the push could be applied", odd.actor),
        ),
        (Operation::Push, RaceAnswer::Granted(_)) => (
            "AVP-10-02",
            format!("a push from version {current} was applied after another write"),
        ),
        // Who was a member all along is taken for somebody else.
        (_, RaceAnswer::Refused(403)) if is_member => {
            let rule = match mixed {
                true => "AVP-6-15",
                false => "AVP-6-12",
            };
            (
                rule,
                format!("{} is a member, and is refused as if no one", odd.actor),
            )
        }
        (Operation::Push, RaceAnswer::Refused(status)) if all_refused => (
            "AVP-6-09",
            format!("there is no reason to refuse the push with status {status}"),
        ),
        (Operation::Push, _) => (
            "AVP-6-08",
            "a push that comes second is a conflict, and the first one is applied".to_owned(),
        ),
        (Operation::AddMember, RaceAnswer::Granted(_)) if removed => {
            ("AVP-10-03", format!("{} was removed before", odd.actor))
        }
        (Operation::AddMember, _) => ("AVP-6-11", "there is no reason to refuse the member".to_owned()),
        (Operation::RemoveMember, RaceAnswer::Granted(_)) => (
            "AVP-10-02",
            "a removal was applied after a write that it does not know".to_owned(),
        ),
        (Operation::RemoveMember, _) => ("AVP-6-13", "there is no reason to refuse the removal".to_owned()),
        (_, RaceAnswer::Granted(_)) if removed && odd.told().is_some_and(|told| told > current) => (
            "AVP-10-03",
            format!(
                "{} was removed before, and is served what was written then",
                odd.actor
            ),
        ),
        (_, RaceAnswer::Granted(_)) => {
            let rule = match (with_removal, rotated) {
                (true, _) => "AVP-6-13",
                (_, true) => "AVP-6-10",
                _ => "AVP-6-06",
            };
            (
                rule,
                format!(
                    "{} is served neither the state before a write nor the one after it",
                    odd.actor
                ),
            )
        }
        _ => ("AVP-6-06", "a member is refused a pull".to_owned()),
    };
    Contradiction {
        index: odd.index,
        requirement: Some(requirement),
        why,
    }
}

/// The answers of a round for people: `2 x push granted, version 2; 6 x push status 409`.
pub(super) fn describe(runners: &[Runner<'_>]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for runner in runners {
        let version = runner
            .told()
            .map(|told| format!(", version {told}"))
            .unwrap_or_default();
        let what = match runner.answer {
            RaceAnswer::Granted(_) => format!("{} granted{version}", runner.operation),
            RaceAnswer::Conflict(_) => format!("{} conflict{version}", runner.operation),
            RaceAnswer::Refused(status) => format!("{} status {status}", runner.operation),
            RaceAnswer::Nothing => format!("{} failed", runner.operation),
            RaceAnswer::Apart => format!("{} not executed", runner.operation),
        };
        match counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => counts.push((what, 1)),
        }
    }
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(what, count)| format!("{count} x {what}"))
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state() -> RepoState {
        RepoState::created(&json!({
            "manifest": {"repoId": "r", "schemeId": "s", "keyEpoch": 1, "payloadVersion": 1,
                "members": [{"ed25519PublicKey": "A"}, {"ed25519PublicKey": "B"}]},
            "initialEnvelope": {"payloadVersion": 1, "mark": "first"},
        }))
        .unwrap()
    }

    fn push(mark: &str) -> Value {
        json!({"expectedPayloadVersion": 1, "envelope": {"payloadVersion": 2, "keyEpoch": 1, "mark": mark}})
    }

    fn granted(version: i64) -> AnswerClass {
        AnswerClass::Granted(Arc::new(json!({"accepted": true, "payloadVersion": version})))
    }

    fn conflict(version: i64) -> AnswerClass {
        AnswerClass::Conflict(Arc::new(json!({"conflict": true, "payloadVersion": version})))
    }

    fn runner<'a>(
        caller: &'a str,
        operation: Operation,
        request: &'a Value,
        reading: &'a AnswerClass,
    ) -> Runner<'a> {
        Runner {
            index: 0,
            operation,
            actor: caller,
            caller: caller.to_owned(),
            request,
            answer: RaceAnswer::of(reading),
        }
    }

    fn ends(before: Option<&RepoState>, runners: &[Runner<'_>]) -> Vec<Option<RepoState>> {
        match orders(before, runners) {
            Orders::Ends(ends) => ends,
            Orders::Untold => panic!("a bound was met"),
        }
    }

    fn race(caller_readings: &[(&str, Operation, &Value, &AnswerClass)]) -> usize {
        let runners: Vec<Runner<'_>> = caller_readings
            .iter()
            .map(|(caller, operation, request, reading)| runner(caller, *operation, request, reading))
            .collect();
        ends(Some(&state()), &runners).len()
    }

    #[test]
    fn of_concurrent_pushes_exactly_one_applies() {
        let (one, two) = (push("one"), push("two"));
        let race = |a: &AnswerClass, b: &AnswerClass| {
            race(&[("A", Operation::Push, &one, a), ("B", Operation::Push, &two, b)])
        };
        assert_eq!(race(&granted(2), &conflict(2)), 1);
        assert_eq!(race(&conflict(2), &granted(2)), 1);
        assert_eq!(race(&granted(2), &granted(2)), 0, "a lost update");
        assert_eq!(race(&conflict(1), &conflict(1)), 0, "nobody won");
        assert_eq!(
            race(&granted(2), &conflict(1)),
            0,
            "a conflict with a version that is not current"
        );
        assert_eq!(race(&granted(2), &AnswerClass::Status(429)), 1, "not executed");
        assert_eq!(
            race(&granted(2), &AnswerClass::Status(500)),
            1,
            "the 500 was not applied"
        );
        assert_eq!(
            race(&conflict(2), &AnswerClass::Status(503)),
            1,
            "the 503 was applied"
        );
        assert_eq!(
            race(&granted(2), &AnswerClass::Status(401)),
            1,
            "no matter of order"
        );
    }

    #[test]
    fn a_pull_sees_the_state_before_a_push_or_the_one_after_it() {
        let sealed = |version: i64| json!({"repoId": "r", "payloadVersion": version, "keyEpoch": 1, "iv": version, "ciphertext": version});
        let state = || RepoState {
            envelope: Arc::new(sealed(1)),
            ..state()
        };
        let pushed = json!({"expectedPayloadVersion": 1, "envelope": sealed(2)});
        let pull = json!({"knownPayloadVersion": 0});
        let race = |served: &RepoState| {
            let answer =
                json!({"manifest": served.manifest(), "envelope": *served.envelope, "unchanged": false});
            let answer = AnswerClass::Granted(Arc::new(answer));
            let runners = [
                (Operation::Push, &pushed, granted(2)),
                (Operation::Pull, &pull, answer),
            ];
            let runners: Vec<Runner<'_>> = runners
                .iter()
                .map(|(operation, request, reading)| runner("A", *operation, request, reading))
                .collect();
            ends(Some(&state()), &runners).len()
        };
        let (before, after) = (state(), state().pushed(&pushed).unwrap());
        assert_eq!((race(&before), race(&after)), (1, 1));
        let torn = RepoState {
            envelope: before.envelope.clone(),
            ..after
        };
        assert_eq!(race(&torn), 0);
    }

    #[test]
    fn a_rotation_may_move_the_epoch_or_leave_it() {
        let rotation = json!({
            "expectedPayloadVersion": 1,
            "envelope": {"payloadVersion": 2, "keyEpoch": 2, "mark": "rotated"},
            "rotatedMembers": [{"ed25519PublicKey": "A", "keyEpoch": 2}],
        });
        let reading = granted(2);
        let ends = ends(
            Some(&state()),
            &[runner("A", Operation::Push, &rotation, &reading)],
        );
        let epochs: Vec<i64> = ends.iter().flatten().map(|end| end.epoch).collect();
        assert_eq!(epochs, [2, 1]);
    }

    #[test]
    fn of_two_who_add_one_member_either_entry_stays() {
        let add = |mark: &str| json!({"member": {"ed25519PublicKey": "C", "mark": mark, "keyEpoch": 1}});
        let (one, two) = (add("one"), add("two"));
        let race = |a: &AnswerClass, b: &AnswerClass| {
            race(&[
                ("A", Operation::AddMember, &one, a),
                ("B", Operation::AddMember, &two, b),
            ])
        };
        let manifest = AnswerClass::Granted(Arc::new(json!({})));
        assert_eq!(race(&manifest, &manifest), 2);
        assert_eq!(race(&manifest, &AnswerClass::Status(409)), 1);
        assert_eq!(race(&AnswerClass::Status(409), &AnswerClass::Status(409)), 0);
    }

    #[test]
    fn members_added_at_once_have_one_end_however_many_they_are() {
        let requests: Vec<Value> = (0..12)
            .map(|at| json!({"member": {"ed25519PublicKey": format!("new {at}")}}))
            .collect();
        let granted = AnswerClass::Granted(Arc::new(json!({})));
        let runners: Vec<Runner<'_>> = requests
            .iter()
            .map(|request| runner("A", Operation::AddMember, request, &granted))
            .collect();
        let ends = ends(Some(&state()), &runners);
        assert_eq!(ends.len(), 1);
        assert_eq!(ends[0].as_ref().unwrap().members.len(), 14);
    }

    #[test]
    fn a_removal_and_a_push_of_the_removed_have_an_order() {
        let pushed = push("late");
        let removal = json!({"removedMemberId": "B", "newKeyEpoch": 2, "rotatedEnvelope": {"payloadVersion": 2},
            "rewrappedMembers": [{"ed25519PublicKey": "A"}]});
        let manifest = AnswerClass::Granted(Arc::new(json!({})));
        let race = |a: &AnswerClass, b: &AnswerClass| {
            race(&[
                ("A", Operation::RemoveMember, &removal, a),
                ("B", Operation::Push, &pushed, b),
            ])
        };
        assert_eq!(race(&manifest, &AnswerClass::Status(403)), 1);
        assert_eq!(
            race(&manifest, &conflict(2)),
            1,
            "B was a member when the push came, and its version is stale"
        );
        assert_eq!(race(&manifest, &conflict(1)), 0);
        assert_eq!(
            race(&AnswerClass::Status(400), &granted(2)),
            1,
            "the removal came second, with an old version"
        );
        assert_eq!(race(&manifest, &granted(2)), 0, "both write version 2");
    }

    #[test]
    fn eight_who_add_one_member_have_eight_ends() {
        let add = |at: usize| json!({"member": {"ed25519PublicKey": "C", "mark": at, "keyEpoch": 1}});
        let requests: Vec<Value> = (0..8).map(add).collect();
        let granted = AnswerClass::Granted(Arc::new(json!({})));
        let runners: Vec<Runner<'_>> = requests
            .iter()
            .map(|request| runner("A", Operation::AddMember, request, &granted))
            .collect();
        assert_eq!(ends(Some(&state()), &runners).len(), 8);
    }

    #[test]
    fn too_many_to_try_is_not_the_same_as_none() {
        let (pull, saw) = (json!({}), AnswerClass::Granted(Arc::new(json!({}))));
        let runners: Vec<Runner<'_>> = (0..=BOUNDS.runners)
            .map(|_| runner("A", Operation::Pull, &pull, &saw))
            .collect();
        assert_eq!(orders(Some(&state()), &runners), Orders::Untold);
        // Two pushes of which one can have been applied: three states, met in two steps.
        let (one, two, applied) = (push("one"), push("two"), granted(2));
        let pushes = [&one, &two].map(|request| runner("A", Operation::Push, request, &applied));
        assert_eq!(orders(Some(&state()), &pushes), Orders::Ends(Vec::new()));
        for (states, nodes) in [(2, BOUNDS.nodes), (BOUNDS.states, 1)] {
            let bounds = Bounds {
                states,
                nodes,
                ..BOUNDS
            };
            assert_eq!(orders_within(bounds, Some(&state()), &pushes), Orders::Untold);
        }
    }

    #[test]
    fn an_altered_field_is_no_matter_of_order() {
        let served = |change: fn(&mut Value)| {
            let mut answer =
                json!({"manifest": state().manifest(), "envelope": *state().envelope, "unchanged": false});
            change(&mut answer);
            let (pull, answer) = (json!({}), AnswerClass::Granted(Arc::new(answer)));
            race(&[("A", Operation::Pull, &pull, &answer)])
        };
        assert_eq!(served(|_| {}), 1);
        assert_eq!(
            served(|answer| answer["manifest"]["schemeId"] = json!("another")),
            1
        );
        assert_eq!(
            served(|answer| answer["manifest"]["payloadVersion"] = json!(7)),
            0
        );
    }

    /// What contradicts which rule, and the reason.
    fn blamed(caller_readings: &[(&str, Operation, &Value, &AnswerClass)]) -> (Option<&'static str>, String) {
        let runners: Vec<Runner<'_>> = caller_readings
            .iter()
            .map(|(caller, operation, request, reading)| runner(caller, *operation, request, reading))
            .collect();
        assert_eq!(orders(Some(&state()), &runners), Orders::Ends(Vec::new()));
        let found = contradiction(Some(&state()), &runners);
        (found.requirement, found.why)
    }

    #[test]
    fn one_rule_is_named_and_why() {
        let (one, two) = (push("one"), push("two"));
        let of_two = |a: &AnswerClass, b: &AnswerClass| {
            blamed(&[("A", Operation::Push, &one, a), ("B", Operation::Push, &two, b)])
        };
        let (rule, why) = of_two(&granted(2), &granted(2));
        assert_eq!(
            (rule, why.as_str()),
            (Some("AVP-10-02"), "both pushes say version 2")
        );
        assert_eq!(of_two(&granted(2), &conflict(1)).0, Some("AVP-6-08"));
        assert_eq!(of_two(&granted(2), &AnswerClass::Status(409)).0, Some("AVP-6-08"));
        assert_eq!(of_two(&granted(2), &AnswerClass::Status(403)).0, Some("AVP-6-12"));
        let refused = AnswerClass::Status(403);
        let mixed = [
            ("A", Operation::Push, &one, &refused),
            ("M", Operation::Push, &two, &refused),
        ];
        assert_eq!(
            blamed(&mixed).0,
            Some("AVP-6-15"),
            "M is rightly refused, A in M's place"
        );
        let (rule, why) = blamed(&[
            ("A", Operation::Push, &one, &conflict(2)),
            ("M", Operation::Push, &two, &granted(2)),
        ]);
        assert_eq!((rule, why.as_str()), (Some("AVP-6-15"), "M is no member"));
        let removal = |who: &str, rest: &[&str]| {
            let rest: Vec<Value> = rest.iter().map(|id| json!({"ed25519PublicKey": id})).collect();
            json!({"removedMemberId": who, "newKeyEpoch": 2, "rotatedEnvelope": {"payloadVersion": 2},
                "rewrappedMembers": rest})
        };
        let manifest = AnswerClass::Granted(Arc::new(json!({"payloadVersion": 2})));
        let (gone, pushed) = (removal("B", &["A"]), push("late"));
        let (rule, why) = blamed(&[
            ("A", Operation::RemoveMember, &gone, &manifest),
            ("B", Operation::Push, &pushed, &granted(2)),
        ]);
        assert_eq!(
            (rule, why.as_str()),
            (Some("AVP-10-02"), "the push and the removal say version 2")
        );
        let other = removal("A", &["B"]);
        let (rule, why) = blamed(&[
            ("A", Operation::RemoveMember, &gone, &manifest),
            ("B", Operation::RemoveMember, &other, &manifest),
        ]);
        assert_eq!(
            (rule, why.as_str()),
            (Some("AVP-10-02"), "both removals say version 2")
        );
    }

    /// Every end, found by trying every order.
    fn tried(before: Option<&RepoState>, runners: &[Runner<'_>]) -> Vec<Option<RepoState>> {
        fn go(
            state: Option<&RepoState>,
            before: Option<&RepoState>,
            waiting: &[&Runner<'_>],
            ends: &mut Vec<Option<RepoState>>,
        ) {
            if waiting.is_empty() && !ends.iter().any(|known| same(known.as_ref(), state)) {
                ends.push(state.cloned());
            }
            for (at, runner) in waiting.iter().enumerate() {
                let rest = [&waiting[..at], &waiting[at + 1..]].concat();
                for next in outcomes(state, before, runner) {
                    go(next.as_ref(), before, &rest, ends);
                }
            }
        }
        let mut ends = Vec::new();
        go(before, before, &runners.iter().collect::<Vec<_>>(), &mut ends);
        ends
    }

    /// A request of a small repository, by its number; no two have the same mark.
    fn request(kind: u8, mark: usize) -> (&'static str, Operation, Value) {
        let entry = |id: &str, epoch: i64| json!({"ed25519PublicKey": id, "mark": mark, "keyEpoch": epoch});
        let pushed = |expected: i64, epoch: i64| {
            json!({"expectedPayloadVersion": expected,
                "envelope": {"payloadVersion": expected + 1, "keyEpoch": epoch, "mark": mark}})
        };
        let removal = |who: &str, stays: &[&str], version: i64| {
            let stays: Vec<Value> = stays.iter().map(|id| entry(id, 2)).collect();
            json!({"removedMemberId": who, "newKeyEpoch": version, "rewrappedMembers": stays,
                "rotatedEnvelope": {"payloadVersion": version, "keyEpoch": version, "mark": mark}})
        };
        let created = |owner: &str| {
            json!({"manifest": {"repoId": "r", "schemeId": "s", "keyEpoch": 1, "payloadVersion": 1,
                "members": [entry(owner, 1)]}, "initialEnvelope": {"payloadVersion": 1, "mark": mark}})
        };
        let mut rotation = pushed(1, 2);
        rotation["rotatedMembers"] = json!([entry("A", 2), entry("B", 2)]);
        match kind {
            0 => ("A", Operation::Push, pushed(1, 1)),
            1 => ("B", Operation::Push, pushed(1, 1)),
            2 => ("C", Operation::Push, pushed(2, 1)),
            3 => ("A", Operation::Push, rotation),
            4 => ("A", Operation::AddMember, json!({"member": entry("C", 1)})),
            5 => ("B", Operation::AddMember, json!({"member": entry("D", 1)})),
            6 => ("C", Operation::AddMember, json!({"member": entry("D", 1)})),
            7 => ("A", Operation::RemoveMember, removal("B", &["A"], 2)),
            8 => ("B", Operation::RemoveMember, removal("A", &["B", "C"], 3)),
            9 => ("B", Operation::Pull, json!({"knownPayloadVersion": 0})),
            10 => ("A", Operation::CreateRepo, created("A")),
            _ => ("B", Operation::CreateRepo, created("B")),
        }
    }

    /// Answers that a server may give, right or wrong.
    fn answers(operation: Operation, state: Option<&RepoState>) -> Vec<AnswerClass> {
        let manifest = |version: i64| AnswerClass::Granted(Arc::new(json!({"payloadVersion": version})));
        let seen = state.map(|state| json!({"manifest": state.manifest(), "envelope": *state.envelope}));
        let mut answers = match operation {
            Operation::Push => vec![granted(2), granted(3), conflict(1), conflict(2), conflict(3)],
            Operation::Pull => seen
                .map(|seen| AnswerClass::Granted(Arc::new(seen)))
                .into_iter()
                .collect(),
            _ => vec![manifest(2), manifest(3)],
        };
        answers.extend([400, 401, 403, 404, 409, 500].map(AnswerClass::Status));
        answers
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

        /// The search, which looks at each state once and lets some requests come at once, against every order without either.
        /// They share what one request makes of a state, and nothing else.
        #[test]
        fn the_search_finds_what_trying_every_order_finds(
            is_there in proptest::bool::weighted(0.8),
            kinds in proptest::collection::vec(0_u8..12, 1..=5),
            choices in proptest::collection::vec(0_usize..1000, 5),
            wrong in proptest::option::of((0_usize..5, 0_usize..1000)),
            (states, nodes) in (1_usize..8, 1_usize..40),
        ) {
            let before = is_there.then(state);
            let before = before.as_ref();
            let requests: Vec<_> = kinds.iter().enumerate().map(|(mark, kind)| request(*kind, mark)).collect();
            // The answers of a server that does one thing after the other, each as it may be, and perhaps a wrong one.
            let mut now = before.cloned();
            let mut readings = Vec::new();
            for ((caller, operation, request), choice) in requests.iter().zip(&choices) {
                let after = |reading: &AnswerClass| {
                    outcomes(now.as_ref(), before, &runner(caller, *operation, request, reading))
                };
                let all = answers(*operation, now.as_ref());
                let fitting: Vec<&AnswerClass> = all.iter().filter(|reading| !after(reading).is_empty()).collect();
                let reading = fitting[choice % fitting.len()].clone();
                let next = after(&reading);
                now = next[choice % next.len()].clone();
                readings.push(reading);
            }
            if let Some((at, choice)) = wrong.filter(|(at, _)| *at < requests.len()) {
                let all = answers(requests[at].1, now.as_ref());
                readings[at] = all[choice % all.len()].clone();
            }
            let runners: Vec<Runner<'_>> = requests
                .iter()
                .zip(&readings)
                .map(|((caller, operation, request), reading)| runner(caller, *operation, request, reading))
                .collect();
            let (found, tried) = (ends(before, &runners), tried(before, &runners));
            let all_in = |some: &[Option<RepoState>], others: &[Option<RepoState>]| {
                some.iter().all(|end| others.iter().any(|other| same(end.as_ref(), other.as_ref())))
            };
            proptest::prop_assert!(all_in(&found, &tried) && all_in(&tried, &found), "{found:?}\n{tried:?}");
            proptest::prop_assert!(wrong.is_some() || !found.is_empty());
            // Who may not look so far says so, and never that there is no order, or another one.
            let bounds = Bounds { states, nodes, ..BOUNDS };
            if let Orders::Ends(ends) = orders_within(bounds, before, &runners) {
                proptest::prop_assert_eq!(ends, found);
            }
        }
    }
}
