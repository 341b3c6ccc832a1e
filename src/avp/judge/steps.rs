//! Walks through the exchanges of a case, keeping the state that the target's answers commit it to.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::actors::Actors;
use super::compare::{self, Difference, Kind};
use super::hitches::{self, Hitches};
use super::parsed::ParsedExchange;
use super::race::Orders;
use super::sent::Sent;
use super::stored::{Audit, Expected};
use super::{answers, blame, race};
use crate::avp::cases::model::{Step, Stored as StoredWords};
use crate::avp::cases::{Action, ExpectedAnswer, LoadedCase};
use crate::avp::outcome::AnswerClass;
use crate::avp::repo_state::{RepoState, member_id};
use crate::avp::{Operation, catalogue, schema};
use crate::judge::{Checks, Context, Finding, Subject, Transport};
use crate::record::verdict::Verdict;
use crate::record::{ADVICE, Role, Stopped};

/// What is said where nobody else is answered while one request's body is still to come.
const HELD_UP: &str = "nobody is answered while one client has sent half of a body and pauses: one stalled upload stops \
     all clients; read bodies before a request takes a worker, or limit the time in which a body has to come";

/// What is asked of every race.
const RACE: &str = "the answers are those of some order of the requests, one after the other";

/// What the judge knows at a point of the walk.
pub(super) struct Walk<'a, 'c> {
    pub(super) case: &'a LoadedCase,
    context: &'a Context<'a>,
    pub(super) cast: &'a Actors<'a>,
    pub(super) checks: &'a mut Checks<'c>,
    /// What each repository holds, by the case's name for it.
    pub(super) repos: BTreeMap<String, RepoState>,
    /// What the audits of the last write must see.
    audit: Option<Audit>,
    /// The repositories in which a request was granted that is no valid message, with the exchange that did it.
    tainted: Tainted,
    /// The exchange at which driving stopped, if it stopped at one.
    stopped_at: Option<usize>,
    /// What of each race was answered with nothing to judge by, by its step.
    hitches: BTreeMap<usize, Hitches>,
    /// The operations that were answered somewhere in the case.
    answered: Vec<Operation>,
    frames: &'a [ParsedExchange<'a>],
    sent: OnceCell<Sent>,
    /// The writes of the set-up that nobody has looked at yet, by repository.
    pending: BTreeMap<String, Vec<Operation>>,
    /// What the create of each repository was answered with.
    told: BTreeMap<String, Value>,
    /// The last manifest that a write was answered with, by repository.
    answered_with: BTreeMap<String, Value>,
    /// What a write was answered with that differs from what was asked for, by repository: either may be stored.
    asked: BTreeMap<String, RepoState>,
    /// Values that were found to be another one than was sent: repository and field. Each is said once.
    told_of: BTreeSet<(String, String)>,
    /// Who was granted something other than a create in a repository.
    served: BTreeSet<(String, String)>,
    /// Who created each repository.
    creators: BTreeMap<String, String>,
    /// Who was granted something in a repository.
    access: BTreeSet<(String, String)>,
    /// What was found out about repositories.
    marks: BTreeSet<(Mark, String)>,
    /// Whether the answer to the step that is looked at is another one than was due.
    is_wrong: bool,
}

/// What was found out about a repository, that what comes after is seen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// Something else is served of it than should be: that is a finding, and what is seen of it afterwards may follow.
    Deviated,
    /// A write was answered with another state than was asked for, and nobody has been served one of the two yet.
    Unsettled,
    /// Others may be members of it than should be.
    DoubtfulRoster,
    /// Its counters, or its id, were never those that the case asked for.
    Rebased,
    /// A request was granted in it that had to be refused.
    Wronged,
    /// Its members are served different rosters at a time.
    Split,
    /// Its pulls answer the version that they are told, whatever the current one is.
    Echoing,
    /// A pull has served its `shareRefreshTokens: true`.
    PolicyServed,
}

/// Repositories that hold what should have been refused: what is served of them from that exchange on may be of the
/// harness's making, and is held against the target as the refusal that is missing, not as bodies of its own.
pub(super) type Tainted = BTreeMap<String, usize>;

/// Judges steps and audits, in order.
pub(super) fn walk<'a>(
    case: &'a LoadedCase,
    frames: &'a [ParsedExchange<'a>],
    context: &'a Context<'a>,
    cast: &'a Actors<'a>,
    checks: &mut Checks<'_>,
    stopped: Option<&Stopped>,
) -> Tainted {
    let of_step = |frame: &&ParsedExchange<'_>| {
        let wanted =
            stopped.is_some_and(|stopped| stopped.step.is_some() && frame.exchange.step == stopped.step);
        wanted && frame.exchange.role == Role::Step
    };
    // Where a set-up came last, driving stopped there: a round of the step wanted a fresh repository, and those before it were done.
    let is_in_set_up = frames
        .iter()
        .rfind(|frame| !matches!(frame.exchange.role, Role::Throttled | Role::Abandoned))
        .is_some_and(|frame| frame.exchange.role == Role::Setup);
    let stopped_at = frames
        .iter()
        .rfind(of_step)
        .filter(|_| !is_in_set_up)
        .map(|frame| frame.index);
    let mut walk = Walk {
        tainted: Tainted::new(),
        stopped_at,
        hitches: BTreeMap::new(),
        answered: frames
            .iter()
            .filter(|frame| frame.answer().is_some())
            .filter_map(|frame| frame.operation)
            .collect(),
        case,
        context,
        cast,
        checks,
        repos: BTreeMap::new(),
        audit: None,
        frames,
        sent: OnceCell::new(),
        pending: BTreeMap::new(),
        told: BTreeMap::new(),
        answered_with: BTreeMap::new(),
        asked: BTreeMap::new(),
        told_of: BTreeSet::new(),
        served: BTreeSet::new(),
        creators: BTreeMap::new(),
        access: BTreeSet::new(),
        marks: BTreeSet::new(),
        is_wrong: false,
    };
    let mut at = 0;
    while at < frames.len() {
        let frame = &frames[at];
        let taken = match frame.exchange.role {
            Role::Throttled | Role::Abandoned => 1,
            Role::Setup => walk.set_up(frame),
            Role::Audit => walk.audit(frame),
            Role::Step => walk.step(&frames[at..], stopped),
        };
        frames[at..at + taken]
            .iter()
            .for_each(|frame| walk.remember(frame));
        at += taken;
    }
    walk.say_hitches(frames);
    walk.not_reached(stopped);
    walk.tainted
}

impl Walk<'_, '_> {
    fn set_up(&mut self, frame: &ParsedExchange<'_>) -> usize {
        let Some(operation) = frame.operation.filter(|operation| operation.writes()) else {
            return 1;
        };
        self.token_refused(frame, None);
        let before = self.stored(frame).cloned();
        if let (AnswerClass::Granted(_), Some(request)) = (&frame.reading, &frame.request) {
            if let Some(repo) = &frame.exchange.repo {
                let pending = self.pending.entry(repo.clone()).or_default();
                if operation == Operation::CreateRepo {
                    pending.clear();
                }
                pending.push(operation);
            }
            let after = RepoState::after(operation, before.as_ref(), request);
            let expected = Expected::exactly(after.clone());
            let requirements = [operation.rule()];
            answers::granted(self, frame, None, &requirements, before.as_ref(), &expected);
            let other = self.answered_other(frame, after.as_ref());
            self.store(frame, other.or(after));
        }
        1
    }

    /// The state that a granted answer says is stored, where that is another one than was asked for. From then on either
    /// is expected: that they differ is said once, of the answer.
    fn answered_other(&mut self, frame: &ParsedExchange<'_>, asked: Option<&RepoState>) -> Option<RepoState> {
        let (asked, body) = (asked?, frame.reading.granted()?);
        if !answers_manifest(frame) {
            return None;
        }
        let differences = self.stale_or_altered(frame, compare::manifest(asked, None, body, ""), body);
        if !differences.iter().any(|it| it.kind.is_state()) {
            return None;
        }
        let other = asked.observed(&serde_json::json!({ "manifest": body }))?;
        self.mark(frame, Mark::Rebased);
        self.asked.insert(frame.exchange.repo.clone()?, asked.clone());
        Some(other)
    }

    /// A step's request, or all requests of one round of a race. Says how many exchanges it took.
    fn step(&mut self, frames: &[ParsedExchange<'_>], stopped: Option<&Stopped>) -> usize {
        let frame = &frames[0];
        let Some(index) = frame
            .exchange
            .step
            .filter(|index| *index < self.case.case.steps.len())
        else {
            return 1;
        };
        let step = self.case.step(index);
        if !step.is_race() {
            self.single(frame, index, step, stopped);
            return 1;
        }
        let exchange = frame.exchange;
        // Among them may be some that came too late with their tokens, and are no part of it.
        let same = |other: &&ParsedExchange<'_>| {
            (other.exchange.step, other.exchange.round) == (exchange.step, exchange.round)
                && matches!(
                    other.exchange.role,
                    Role::Step | Role::Throttled | Role::Abandoned
                )
        };
        let length = frames.iter().take_while(same).count();
        // Driving that stopped in the middle of a round has nothing after it.
        let stopped = stopped.filter(|_| length == frames.len());
        self.round(&frames[..length], index, stopped);
        length
    }

    fn single(&mut self, frame: &ParsedExchange<'_>, index: usize, step: &Step, stopped: Option<&Stopped>) {
        let mut requirements = self.requirements(index);
        let subject = self.subject(index, "answer", answer_sentence(step, frame));
        if let Some(stopped) = stopped.filter(|_| self.stopped_at == Some(frame.index)) {
            let finding = Finding::Unknown {
                reason: stopped.reason.clone(),
                verdict: stopped.verdict,
            };
            return self.checks.note(subject, frame.index, finding);
        }
        let words = step.words();
        let holds = words.iter().any(|word| frame.reading.is(*word));
        self.is_wrong = !holds;
        self.shows(frame, index, holds);
        if let (true, AnswerClass::Failed(failure)) = (step.meanwhile.is_some(), &frame.reading) {
            // Nobody has to wait for a body: what was written tells.
            let finding = Finding::Unknown {
                reason: format!(
                    "the target did not wait for the rest of the body: {}",
                    failure.message
                ),
                verdict: Verdict::NotApplicable,
            };
            self.checks.note(subject, frame.index, finding);
            let before = self.stored(frame).cloned();
            let expected = Expected::exactly(before.clone());
            return self.expect_stored(frame, Some(index), requirements, before, expected);
        }
        match (&step.advice, holds) {
            (None, true) => self.checks.note(subject, frame.index, Finding::Holds),
            // Advice can break nothing, so it verifies nothing either.
            (Some(_), true) => {}
            (Some(advice), false) => self.advise(frame, subject, advice),
            (None, false)
                if !words.iter().all(|word| word.is_refusal()) && self.token_refused(frame, Some(index)) => {}
            (None, false) => {
                let broken = self.wrong_answer(frame, step, &requirements, subject);
                if frame.reading.granted().is_some() {
                    requirements = broken;
                }
            }
        }
        if !matches!(frame.reading, AnswerClass::Failed(_)) {
            answers::pointers(self, frame, index, step);
        }
        let before = self.stored(frame).cloned();
        self.notice_spoilt(frame);
        if frame.reading.granted().is_some() && step.is_to_be_refused() {
            return self.wrongly_granted(frame, index, requirements, before);
        }
        let mut expected = self.expected(frame, step, before.as_ref());
        let may_be_either = match &frame.reading {
            AnswerClass::Conflict(_) => !holds,
            AnswerClass::Granted(_) => words.first() == Some(&ExpectedAnswer::Conflict) && !holds,
            AnswerClass::Unreadable(_) => true,
            _ => false,
        };
        if !may_be_either {
            answers::granted(
                self,
                frame,
                Some(index),
                &requirements,
                before.as_ref(),
                &expected,
            );
        } else if let Some(request) = &frame.request {
            // It was to be granted, and says that it was not, or nothing: what is stored may be either.
            let operation = frame.operation.unwrap_or(Operation::Push);
            expected
                .states
                .push(RepoState::after(operation, before.as_ref(), request));
            expected.states.push(before.clone());
        }
        let asked = expected.states.first().cloned().flatten();
        if let Some(other) = self.answered_other(frame, asked.as_ref()) {
            expected.states.push(Some(other));
        }
        self.expect_stored(frame, Some(index), requirements, before, expected);
    }

    /// What an operation breaks that nobody was answered by anywhere in the case: its own rule, whatever the step asked.
    fn silenced(&self, frame: &ParsedExchange<'_>) -> Option<Vec<&'static str>> {
        let operation = frame.operation.filter(|operation| operation.needs_token())?;
        let failed = matches!(frame.reading, AnswerClass::Failed(_)) && !blame::is_no_http(&frame.reading);
        (failed && !self.answered.contains(&operation) && !blame::is_limit(self, frame, operation))
            .then(|| vec![operation.rule()])
    }

    /// Notes an answer that is not as expected under what it breaks, or why it breaks nothing.
    /// Says which it is, none where it breaks nothing.
    fn wrong_answer(
        &mut self,
        frame: &ParsedExchange<'_>,
        step: &Step,
        own: &[&'static str],
        subject: Subject,
    ) -> Vec<&'static str> {
        let next = self.frames.get(frame.index + 1);
        let next = next.filter(|next| next.exchange.role == Role::Audit);
        let broken = self
            .silenced(frame)
            .map_or_else(|| blame::answer(self, frame, step, own, next), Ok);
        let (requirements, finding) = match &broken {
            Ok(broken) => (broken.clone(), Finding::broken(frame.reading.describe())),
            Err(reason) => {
                let (reason, verdict) = (reason.clone(), Verdict::Blocked);
                (own.to_vec(), Finding::Unknown { reason, verdict })
            }
        };
        let subject = Subject {
            requirements,
            ..subject
        };
        self.checks.note(subject, frame.index, finding);
        broken.unwrap_or_default()
    }

    /// What an exchange says beside what it was made for: who created what, and who is let in.
    fn remember(&mut self, frame: &ParsedExchange<'_>) {
        let (Some(repo), Some(body)) = (&frame.exchange.repo, frame.reading.granted()) else {
            return;
        };
        if frame.operation == Some(Operation::CreateRepo) {
            self.creators.insert(repo.clone(), frame.actor().to_owned());
            self.told.insert(repo.clone(), body.clone());
        }
        if answers_manifest(frame) {
            self.answered_with.insert(repo.clone(), body.clone());
        }
        if body
            .pointer("/manifest/shareRefreshTokens")
            .and_then(Value::as_bool)
            == Some(true)
        {
            self.mark(frame, Mark::PolicyServed);
        }
        if frame.operation != Some(Operation::CreateRepo) {
            self.served.insert((repo.clone(), frame.actor().to_owned()));
        }
        self.access.insert((repo.clone(), frame.actor().to_owned()));
    }

    /// A write that is no valid message was granted: what is served of the repository from then on may be of our making.
    fn notice_spoilt(&mut self, frame: &ParsedExchange<'_>) {
        let operation = frame.operation.filter(|operation| operation.writes());
        let Some(message) = operation.and_then(Operation::request_message) else {
            return;
        };
        let valid = frame.request.as_ref().is_some_and(|request| {
            schema::violations(message, request).is_empty()
                && schema::base64_violations(message, request).is_empty()
        });
        if let (false, Some(_), Some(repo)) = (valid, frame.reading.granted(), &frame.exchange.repo) {
            self.tainted.entry(repo.clone()).or_insert(frame.index);
        }
    }

    /// A request that had to be refused was granted: nothing of it may be stored, and if it is, that is one fault, not many.
    fn wrongly_granted(
        &mut self,
        frame: &ParsedExchange<'_>,
        index: usize,
        requirements: Vec<&'static str>,
        before: Option<RepoState>,
    ) {
        let Some(operation) = frame.operation.filter(|operation| operation.writes()) else {
            return;
        };
        for mark in [Mark::Wronged, Mark::Deviated, Mark::DoubtfulRoster] {
            self.mark(frame, mark);
        }
        let expected = Expected::exactly(before.clone());
        let (step, granted) = (Some(index), false);
        self.audit = Some(Audit {
            step,
            requirements,
            granted,
            before,
            tainted: true,
            altered: true,
            told: frame.reading.granted().cloned(),
            ..Audit::new(frame, operation, expected)
        });
    }

    /// What the expected answer verifies besides; another answer says nothing about it.
    fn shows(&mut self, frame: &ParsedExchange<'_>, index: usize, holds: bool) {
        let requirements = interned(self.case.step_shows(index));
        let finding = match holds {
            true => Finding::Holds,
            false => Finding::Unknown {
                reason: format!("{} says nothing about it", frame.reading.describe()),
                verdict: Verdict::NotApplicable,
            },
        };
        let subject = Subject {
            requirements,
            ..self.subject(index, "shows", answer_sentence(self.case.step(index), frame))
        };
        self.checks.note(subject, frame.index, finding);
    }

    /// Advice is given and counts for nothing. Each way of asking for it is one of its own.
    fn advise(&mut self, frame: &ParsedExchange<'_>, subject: Subject, advice: &str) {
        let how = frame.exchange.spoiled.as_deref().unwrap_or("asked as usual");
        let finding = Finding::Unknown {
            reason: format!("{}: {advice}", frame.reading.describe()),
            verdict: Verdict::NotApplicable,
        };
        let subject = Subject {
            name: ADVICE,
            expected: format!("{} ({how})", subject.expected).into(),
            ..subject
        };
        self.checks.note(subject, frame.index, finding);
    }

    /// What is stored after an answer, and what audits must therefore see.
    fn expect_stored(
        &mut self,
        frame: &ParsedExchange<'_>,
        step: Option<usize>,
        requirements: Vec<&'static str>,
        before: Option<RepoState>,
        expected: Expected,
    ) {
        let Some(operation) = frame.operation.filter(|operation| operation.writes()) else {
            return;
        };
        let granted = frame.reading.granted().is_some();
        let id = self.member_id(frame.actor());
        let is_member = before.as_ref().is_some_and(|before| before.member(&id).is_some());
        let is_of_member = is_member && frame.exchange.spoiled.is_none();
        if granted && let Some(after) = expected.states.first() {
            self.store(frame, after.clone());
        }
        self.audit = Some(Audit {
            step,
            requirements,
            granted,
            before,
            altered: frame.exchange.spoiled.is_some(),
            is_again: self.is_again(frame),
            is_first: !self.is(frame, Mark::Deviated),
            is_conflict: matches!(frame.reading, AnswerClass::Conflict(_)),
            refusal: frame.reading.status(),
            is_of_member,
            told: frame.reading.granted().cloned(),
            ..Audit::new(frame, operation, expected)
        });
    }

    /// What may be stored after a call that was given up: all of it, or nothing.
    fn whole_or_not_at_all(
        &self,
        frame: &ParsedExchange<'_>,
        operation: Operation,
        before: Option<&RepoState>,
    ) -> Expected {
        let request = frame.request.as_ref();
        let after = request.and_then(|request| RepoState::after(operation, before, request));
        Expected {
            states: [after, before.cloned()].to_vec(),
            above: None,
            anything: false,
        }
    }

    /// What must be stored after a request of a step.
    fn expected(&self, frame: &ParsedExchange<'_>, step: &Step, before: Option<&RepoState>) -> Expected {
        let Some(operation) = frame.operation else {
            return Expected::exactly(before.cloned());
        };
        let AnswerClass::Granted(_) = &frame.reading else {
            // Whether it was executed, nobody knows where no answer came. What was to be refused must not have been.
            if !step.stored.is_empty() && frame.reading.is(ExpectedAnswer::Cancelled) {
                return self.whole_or_not_at_all(frame, operation, before);
            }
            let may_apply = !step.words().iter().all(|word| word.is_refusal());
            return Expected {
                anything: may_apply && matches!(frame.reading, AnswerClass::Failed(_)),
                ..Expected::exactly(before.cloned())
            };
        };
        if !operation.writes() {
            return Expected::exactly(before.cloned());
        }
        let request = frame.request.as_ref();
        let after = request.and_then(|request| RepoState::after(operation, before, request));
        let words = if step.stored.is_empty() {
            &[StoredWords::Applied][..]
        } else {
            &step.stored.0
        };
        let mut expected = Expected {
            states: Vec::new(),
            above: None,
            anything: false,
        };
        for word in words {
            match word {
                StoredWords::Applied => expected.states.extend(applied(operation, before, after.clone())),
                StoredWords::Unchanged => expected.states.push(before.cloned()),
                StoredWords::Grown => expected.above = Some(before.map_or(0, |before| before.version)),
                StoredWords::Any => expected.anything = true,
            }
        }
        expected
    }

    fn round(&mut self, frames: &[ParsedExchange<'_>], index: usize, stopped: Option<&Stopped>) {
        let requirements = self.requirements(index);
        let first = &frames[0];
        let ended = |_: &&Stopped| frames.iter().any(|frame| self.stopped_at == Some(frame.index));
        if let Some(stopped) = stopped.filter(ended) {
            let subject = self.subject(index, "race", RACE);
            let finding = Finding::Unknown {
                reason: stopped.reason.clone(),
                verdict: stopped.verdict,
            };
            return self.checks.note(subject, first.index, finding);
        }
        if first.operation == Some(Operation::Token) {
            return self.redemptions(frames, index);
        }
        let before = self.stored(first).cloned();
        let runners: Vec<race::Runner<'_>> = frames
            .iter()
            // One that was given up may have been done all the same.
            .filter(|frame| matches!(frame.exchange.role, Role::Step | Role::Abandoned))
            .filter_map(|frame| race::runner(frame, self.member_id(frame.actor())))
            .collect();
        for frame in frames {
            self.token_refused(frame, Some(index));
        }
        let alone = frames.iter().find_map(|frame| blame::alone(self, frame));
        self.hitches.entry(index).or_default().count(frames);
        let throttled = frames.iter().any(|frame| frame.reading.status() == Some(429));
        let ends = match race::orders(before.as_ref(), &runners) {
            // Who was let through is for the limit to say, and not for the race.
            _ if throttled => {
                let reason = format!(
                    "round {}: the target's rate limit was reached",
                    first.exchange.round + 1
                );
                let verdict = Verdict::NotApplicable;
                let subject = self.subject(index, "race", RACE);
                self.checks
                    .note(subject, first.index, Finding::Unknown { reason, verdict });
                Vec::new()
            }
            Orders::Ends(ends) => {
                self.ordered(
                    before.as_ref(),
                    &runners,
                    (index, first.exchange.round),
                    !ends.is_empty(),
                    alone,
                );
                ends
            }
            Orders::Untold => {
                let reason = "there are too many orders of its requests to try".to_owned();
                let verdict = Verdict::Blocked;
                let subject = self.subject(index, "race", RACE);
                self.checks
                    .note(subject, first.index, Finding::Unknown { reason, verdict });
                Vec::new()
            }
        };
        let anything = ends.is_empty();
        if let Some(after) = ends.first() {
            self.store(first, after.clone());
        } else {
            self.store_any_granted(frames);
        }
        let expected = Expected {
            states: ends,
            above: None,
            anything,
        };
        // What is stored in the end is the first rule's of the case; the others are about the answers.
        let requirements = requirements.into_iter().take(1).collect();
        let operation = first.operation.unwrap_or(Operation::Push);
        self.audit = Some(Audit {
            step: Some(index),
            requirements,
            granted: true,
            before,
            is_race: true,
            ..Audit::new(first, operation, expected)
        });
    }

    /// Whether some order explains the answers of a round, and which rule they contradict if none does.
    fn ordered(
        &mut self,
        before: Option<&RepoState>,
        runners: &[race::Runner<'_>],
        (step, round): (usize, usize),
        explained: bool,
        alone: Option<(&'static str, usize, String)>,
    ) {
        let mut subject = self.subject(step, "race", RACE);
        if explained {
            let index = runners.first().map_or(0, |runner| runner.index);
            return self.checks.note(subject, index, Finding::Holds);
        }
        // One answer that is wrong by itself, whatever the others are.
        if let Some((rule, exchange, got)) = alone {
            subject.requirements = vec![rule];
            let got = format!("round {}: {got}", round + 1);
            return self.checks.note(subject, exchange, Finding::broken(got));
        }
        let found = race::contradiction(before, runners);
        let requirements = match found.requirement {
            Some(requirement) => vec![requirement],
            None => subject.requirements[..1].to_vec(),
        };
        let got = format!(
            "round {}: {}; no order fits: {}",
            round + 1,
            race::describe(runners),
            found.why
        );
        let subject = Subject {
            requirements,
            ..subject
        };
        self.checks.note(subject, found.index, Finding::broken(got));
    }

    /// Whether a token was refused that the target issued in this case, and that was good for a while yet. That is the
    /// fault then, whatever the request was about.
    pub(super) fn token_refused(&mut self, frame: &ParsedExchange<'_>, step: Option<usize>) -> bool {
        let exchange = frame.exchange;
        let own = exchange.spoiled.is_none() && Operation::of(exchange).is_some_and(Operation::needs_token);
        let refused = own && frame.reading.status() == Some(401) && exchange.role != Role::Throttled;
        if refused {
            let subject = Subject {
                step,
                name: "token",
                requirements: vec!["AVP-3-09"],
                expected: "a token that was just issued opens the vault routes".into(),
            };
            let got = format!("the token that {} was issued is refused with 401", frame.actor());
            self.checks.note(subject, frame.index, Finding::broken(got));
        }
        refused
    }

    /// Says once of each race how often it was answered with nothing to judge by.
    fn say_hitches(&mut self, frames: &[ParsedExchange<'_>]) {
        let is_lone =
            |frame: &ParsedExchange<'_>| frame.exchange.role != Role::Step && hitches::is_hitch(frame);
        let flaky = frames.iter().any(is_lone);
        for (index, hitches) in std::mem::take(&mut self.hitches) {
            let Some((frame, finding)) = hitches.finding(flaky) else {
                continue;
            };
            let subject = match (&finding, hitches.requirement()) {
                (Finding::Broken { .. }, Some(requirement)) => Subject {
                    requirements: vec![requirement],
                    ..self.subject(index, "race", RACE)
                },
                (Finding::Unknown { verdict, .. }, _) if *verdict == Verdict::Blocked => {
                    self.subject(index, "race", RACE)
                }
                _ => self.subject(
                    index,
                    "advice",
                    "requests that meet are answered, and none of them fails",
                ),
            };
            self.checks.note(subject, frame, finding);
        }
    }

    /// Where no order explains the answers, the audits begin from what one of the granted requests asked for.
    fn store_any_granted(&mut self, frames: &[ParsedExchange<'_>]) {
        for frame in frames {
            if let (Some(operation), Some(request), Some(_)) =
                (frame.operation, &frame.request, frame.reading.granted())
            {
                let after = RepoState::after(operation, self.stored(frame), request);
                self.store(frame, after);
            }
        }
    }

    fn redemptions(&mut self, frames: &[ParsedExchange<'_>], index: usize) {
        self.hitches.entry(index).or_default().count(frames);
        let granted = || frames.iter().filter(|frame| blame::yields_token(frame));
        let subject = self.subject(
            index,
            "race",
            "one nonce is redeemed at most once, the others are refused",
        );
        let (second, finding) = match granted().nth(1) {
            Some(second) => {
                let (round, count) = (second.exchange.round + 1, granted().count());
                let got = format!(
                    "round {round}: {count} tokens for one nonce, of {} requests",
                    frames.len()
                );
                (second, Finding::broken(got))
            }
            None => (&frames[0], Finding::Holds),
        };
        self.checks.note(subject, second.index, finding);
    }

    fn audit(&mut self, frame: &ParsedExchange<'_>) -> usize {
        let audit = match frame.exchange.step {
            // What was looked at after the set-up is over with the first step.
            Some(step) => self.audit.take().filter(|audit| audit.step == Some(step)),
            None => {
                let going_on = |audit: &Audit| audit.repo == frame.exchange.repo;
                self.of_set_up(frame)
                    .or_else(|| self.audit.take().filter(going_on))
            }
        };
        if let Some(mut audit) = audit {
            audit.is_split = audit.is_split || self.is_split(frame);
            if audit.is_split {
                self.mark(frame, Mark::Split);
            }
            audit.judge(self, frame);
            if let Some(seen) = &audit.seen {
                self.store(frame, Some(seen.clone()));
            }
            self.audit = Some(audit);
        }
        1
    }

    /// The looks of one time, from this one on: each member has one.
    fn audits_of_one_time(&self, frame: &ParsedExchange<'_>) -> impl Iterator<Item = &ParsedExchange<'_>> {
        let time = |frame: &ParsedExchange<'_>| {
            let exchange = frame.exchange;
            (
                exchange.step,
                exchange.round,
                exchange.role,
                exchange.repo.clone(),
            )
        };
        let this = time(frame);
        self.frames[frame.index..]
            .iter()
            .take_while(move |other| time(other) == this)
    }

    /// Whether the members who look from here on are served different rosters.
    fn is_split(&self, frame: &ParsedExchange<'_>) -> bool {
        let roster = |other: &ParsedExchange<'_>| -> Option<BTreeSet<String>> {
            let entries = other
                .reading
                .granted()?
                .pointer("/manifest/members")?
                .as_array()?;
            Some(entries.iter().filter_map(member_id).map(str::to_owned).collect())
        };
        let mut rosters = self.audits_of_one_time(frame).filter_map(roster);
        let first = rosters.next();
        rosters.any(|other| Some(other) != first)
    }

    /// The first look after the set-up: what is served is the state from then on.
    fn of_set_up(&mut self, frame: &ParsedExchange<'_>) -> Option<Audit> {
        let expected = self.stored(frame).cloned()?;
        let made_by = self.pending(frame)?;
        let repo = frame.exchange.repo.as_ref()?;
        self.pending.remove(repo);
        let mut either = Expected::exactly(Some(expected));
        either.states.extend(self.asked.remove(repo).map(Some));
        let operation = Operation::CreateRepo;
        Some(Audit {
            step: None,
            requirements: vec![operation.rule()],
            granted: true,
            before: None,
            made_by: Some(made_by),
            told: self.told(frame),
            ..Audit::new(frame, operation, either)
        })
    }

    /// What differs because something is altered, and what because it is old or somebody else's: that was sent for its place
    /// as well. What is but spelt otherwise is the business of base64.
    pub(super) fn stale_or_altered(
        &self,
        frame: &ParsedExchange<'_>,
        differences: Vec<Difference>,
        body: &Value,
    ) -> Vec<Difference> {
        let repo = frame.exchange.repo.as_deref().unwrap_or_default();
        let is_fetch = frame.operation == Some(Operation::FetchMemberKey);
        let sort = |mut difference: Difference| {
            let seen = body.pointer(&difference.pointer).and_then(Value::as_str);
            let of_bytes = matches!(
                difference.kind,
                Kind::Verbatim | Kind::Envelope | Kind::Entry | Kind::Binding
            );
            let (true, Some(seen)) = (of_bytes, seen) else {
                return Some(difference);
            };
            let sent = self.sent.get_or_init(|| Sent::of(self.frames));
            let at = frame.index;
            if sent.is_respelt(at, seen) {
                return None;
            }
            let (place, field) = difference.pointer.rsplit_once('/').unwrap_or_default();
            let holder = body.pointer(place).unwrap_or(&Value::Null);
            let entry = |at: &str| body.pointer(at).and_then(member_id).unwrap_or_default();
            let (kind, is_old) = match (field, place.strip_suffix("/wrappedDataKey")) {
                ("iv" | "ciphertext", None) => (Kind::Envelope, sent.has_envelope(at, holder)),
                // An entry of somebody else, or of another repository, is another entry, where one is asked for.
                ("x25519PublicKey" | "ephemeralPublicKey" | "iv" | "ciphertext", _)
                    if is_fetch && sent.has(at, seen) =>
                {
                    (Kind::Entry, true)
                }
                (_, Some(of)) => (Kind::Entry, sent.has_wrapped(at, repo, entry(of), holder)),
                ("x25519PublicKey", None) => (Kind::Entry, sent.has_key(at, repo, entry(place), holder)),
                ("repoId", None) if difference.kind == Kind::Envelope => (Kind::Envelope, sent.has(at, seen)),
                _ => return Some(difference),
            };
            difference.kind = if is_old { kind } else { Kind::Verbatim };
            Some(difference)
        };
        let mut sorted: Vec<Difference> = differences.into_iter().filter_map(sort).collect();
        // The signature of an entry that is another one is that of the other.
        let is_other = |it: &Difference| it.kind == Kind::Entry;
        let others: Vec<Option<String>> = sorted
            .iter()
            .filter(|it| is_other(it))
            .map(|it| it.member.clone())
            .collect();
        sorted.retain(|it| it.kind != Kind::Binding || !others.contains(&it.member));
        sorted
    }

    /// Whether the same request was made before in this case.
    pub(super) fn is_again(&self, frame: &ParsedExchange<'_>) -> bool {
        let is_same = |other: &&ParsedExchange<'_>| {
            other.operation == frame.operation && other.request == frame.request
        };
        frame.request.is_some() && self.frames[..frame.index].iter().any(|other| is_same(&other))
    }

    /// The writes of the set-up that a repository has had and nobody has looked at.
    pub(super) fn pending(&self, frame: &ParsedExchange<'_>) -> Option<Vec<Operation>> {
        self.pending.get(frame.exchange.repo.as_deref()?).cloned()
    }

    /// What the create of a repository was answered with.
    pub(super) fn told(&self, frame: &ParsedExchange<'_>) -> Option<Value> {
        self.told.get(frame.exchange.repo.as_deref()?).cloned()
    }

    /// Takes what a pull serves for the state from then on.
    pub(super) fn adopt(&mut self, frame: &ParsedExchange<'_>, before: &RepoState, body: &Value) {
        let Some(repo) = frame.exchange.repo.as_deref() else {
            return;
        };
        self.pending.remove(repo);
        self.store(frame, before.observed(body));
    }

    /// Whether who asks is a member, by what was served last.
    pub(super) fn is_member(&self, frame: &ParsedExchange<'_>) -> bool {
        let id = self.member_id(frame.actor());
        self.stored(frame)
            .is_some_and(|stored| stored.member(&id).is_some())
    }

    /// Whether who asks created the repository.
    pub(super) fn is_creator(&self, frame: &ParsedExchange<'_>) -> bool {
        let repo = frame.exchange.repo.as_deref().unwrap_or_default();
        self.creators
            .get(repo)
            .is_some_and(|creator| creator == frame.actor())
    }

    /// Whether this was found out about the repository of an exchange.
    pub(super) fn is(&self, frame: &ParsedExchange<'_>, mark: Mark) -> bool {
        let repo = frame.exchange.repo.as_ref();
        repo.is_some_and(|repo| self.marks.contains(&(mark, repo.clone())))
    }

    /// Notes what was found out about the repository of an exchange.
    pub(super) fn mark(&mut self, frame: &ParsedExchange<'_>, mark: Mark) {
        self.marks
            .extend(frame.exchange.repo.clone().map(|repo| (mark, repo)));
    }

    /// Notes that members are served the state that is expected.
    pub(super) fn mark_as_served(&mut self, frame: &ParsedExchange<'_>) {
        if let Some(repo) = frame.exchange.repo.clone() {
            self.marks.remove(&(Mark::Unsettled, repo));
        }
    }

    /// Whether something else was served of the repository than should be, or may be stored.
    pub(super) fn is_deviated(&self, frame: &ParsedExchange<'_>) -> bool {
        self.is(frame, Mark::Deviated) || self.is(frame, Mark::Unsettled)
    }

    /// Whether a repository is another one than the case speaks of: something else was served or answered of it.
    pub(super) fn is_another(&self, frame: &ParsedExchange<'_>) -> bool {
        self.is_deviated(frame) || self.is(frame, Mark::Rebased)
    }

    /// Whether the answer to the step that is looked at is another one than was due.
    pub(super) fn is_wrong(&self) -> bool {
        self.is_wrong
    }

    /// Whether somebody is removed in the round of a race.
    pub(super) fn removes_in_round(&self, frame: &ParsedExchange<'_>) -> bool {
        let of_round = |other: &&ParsedExchange<'_>| {
            (other.exchange.step, other.exchange.round) == (frame.exchange.step, frame.exchange.round)
        };
        let mut others = self.frames.iter().filter(of_round);
        others.any(|other| other.operation == Some(Operation::RemoveMember))
    }

    /// Whether anybody was granted anything in this repository but its creation.
    pub(super) fn was_served(&self, frame: &ParsedExchange<'_>) -> bool {
        let repo = frame.exchange.repo.as_deref().unwrap_or_default();
        self.served.iter().any(|(served, _)| served == repo)
    }

    /// Whether who asks was granted something in this repository other than its creation.
    pub(super) fn was_served_to(&self, frame: &ParsedExchange<'_>) -> bool {
        let repo = frame.exchange.repo.clone().unwrap_or_default();
        self.served.contains(&(repo, frame.actor().to_owned()))
    }

    /// Whether a text was sent anywhere in the case before an exchange.
    pub(super) fn was_sent(&self, before: usize, text: &str) -> bool {
        self.sent.get_or_init(|| Sent::of(self.frames)).has(before, text)
    }

    /// Notes that a repository holds something of the harness's making that is no valid message.
    pub(super) fn taint(&mut self, frame: &ParsedExchange<'_>) {
        if let Some(repo) = &frame.exchange.repo {
            self.tainted.entry(repo.clone()).or_insert(frame.index);
        }
    }

    /// Whether something of the repository was found to be served otherwise than it was sent.
    pub(super) fn is_altered(&self, frame: &ParsedExchange<'_>) -> bool {
        let repo = frame.exchange.repo.as_deref().unwrap_or_default();
        self.told_of.iter().any(|(told, _)| told == repo)
    }

    /// Whether another member is let in, as far as he asks at the same time: the roster says who is.
    pub(super) fn is_let_in(&self, frame: &ParsedExchange<'_>, member: &str) -> bool {
        self.audits_of_one_time(frame)
            .any(|look| look.reading.granted().is_some() && self.member_id(look.actor()) == member)
    }

    /// Whether a removal was granted somewhere in the case before an exchange.
    pub(super) fn removed_anywhere(&self, before: usize) -> bool {
        let is_removal = |frame: &ParsedExchange<'_>| {
            frame.operation == Some(Operation::RemoveMember) && frame.reading.granted().is_some()
        };
        self.frames[..before].iter().any(is_removal)
    }

    /// Whether this is the first time that a value of a repository is found to be another one than was sent.
    pub(super) fn is_new(&mut self, frame: &ParsedExchange<'_>, difference: &Difference) -> bool {
        let repo = frame.exchange.repo.clone().unwrap_or_default();
        let field = difference.pointer.rsplit('/').next().unwrap_or_default();
        let field = match difference.kind {
            Kind::Policy => "shareRefreshTokens",
            _ => field,
        };
        let place = format!("{} {field}", difference.member.as_deref().unwrap_or_default());
        self.told_of.insert((repo, place))
    }

    /// Whether the last write of the repository was answered with a manifest whose policy is true, and no pull ever was:
    /// then it is the pull that leaves it out.
    pub(super) fn pull_drops_policy(&self, frame: &ParsedExchange<'_>) -> bool {
        let repo = frame.exchange.repo.as_deref().unwrap_or_default();
        let answered = self
            .answered_with
            .get(repo)
            .and_then(|body| body.get("shareRefreshTokens"));
        frame.operation == Some(Operation::Pull)
            && answered.and_then(Value::as_bool) == Some(true)
            && !self.is(frame, Mark::PolicyServed)
    }

    /// The frames of the case.
    pub(super) fn frames(&self) -> &[ParsedExchange<'_>] {
        self.frames
    }

    /// Whether a requirement is in force in the version that the target claims.
    pub(super) fn in_force(&self, id: &str) -> bool {
        let found = catalogue().get(id);
        found.is_some_and(|requirement| requirement.in_force(self.context.spec))
    }

    /// Whether who asks was granted something in this repository before.
    pub(super) fn had_access(&self, frame: &ParsedExchange<'_>) -> bool {
        let repo = frame.exchange.repo.clone().unwrap_or_default();
        self.access.contains(&(repo, frame.actor().to_owned()))
    }

    /// Whether a valid request of this operation was granted before in the case.
    pub(super) fn was_granted(&self, operation: Operation, before: usize) -> bool {
        let granted = |frame: &ParsedExchange<'_>| {
            frame.operation == Some(operation)
                && frame.exchange.spoiled.is_none()
                && frame.reading.granted().is_some()
        };
        self.frames[..before].iter().any(granted)
    }

    /// Steps that driving never came to, and steps that send nothing.
    fn not_reached(&mut self, stopped: Option<&Stopped>) {
        for index in 0..self.case.case.steps.len() {
            let step = self.case.step(index);
            if let Action::Transport(_) = step.action() {
                self.transport(index);
            }
            let Some(stopped) = stopped.filter(|stopped| stopped.step.is_none_or(|at| index >= at)) else {
                continue;
            };
            if matches!(step.action(), Action::Wait(_) | Action::Transport(_)) {
                continue;
            }
            let subject = self.subject(index, "answer", planned_sentence(step));
            let finding = Finding::Unknown {
                reason: stopped.reason.clone(),
                verdict: stopped.verdict_at(index),
            };
            self.checks.note(subject, 0, finding);
        }
        if let Some(Stopped {
            held_up: true,
            step: Some(index),
            ..
        }) = stopped
        {
            self.advise_against_held_uploads(*index);
        }
    }

    /// No rule says that one upload that stalls must not stop everybody else. Whoever runs the server wants to know it.
    fn advise_against_held_uploads(&mut self, index: usize) {
        let expected = "others are answered while the body of one request is still to come";
        let subject = self.subject(index, ADVICE, expected);
        let finding = Finding::Unknown {
            reason: HELD_UP.to_owned(),
            verdict: Verdict::NotApplicable,
        };
        self.checks
            .note(subject, self.frames.len().saturating_sub(1), finding);
    }

    fn transport(&mut self, index: usize) {
        let subject = self.subject(index, "transport", "the target is reached over TLS");
        let finding = match self.context.transport {
            Transport::Tls => Finding::Holds,
            Transport::Loopback => Finding::Unknown {
                reason: "a loopback target is exempt".to_owned(),
                verdict: Verdict::NotApplicable,
            },
            Transport::Clear => Finding::broken("plain http over a network"),
        };
        self.checks.note(subject, 0, finding);
    }

    /// Whether the target took something that it should have refused, in the repository of an exchange.
    pub(super) fn is_spoilt(&self, frame: &ParsedExchange<'_>) -> bool {
        let repo = frame.exchange.repo.as_ref();
        repo.is_some_and(|repo| self.tainted.contains_key(repo))
    }

    pub(super) fn requirements(&self, index: usize) -> Vec<&'static str> {
        interned(self.case.step_checks(index))
    }

    pub(super) fn subject(
        &self,
        index: usize,
        name: &'static str,
        expected: impl Into<Cow<'static, str>>,
    ) -> Subject {
        Subject {
            step: Some(index),
            name,
            requirements: self.requirements(index),
            expected: expected.into(),
        }
    }

    pub(super) fn stored(&self, frame: &ParsedExchange<'_>) -> Option<&RepoState> {
        self.repos.get(frame.exchange.repo.as_deref()?)
    }

    fn store(&mut self, frame: &ParsedExchange<'_>, state: Option<RepoState>) {
        if let (Some(repo), Some(state)) = (&frame.exchange.repo, state) {
            self.repos.insert(repo.clone(), state);
        }
    }

    pub(super) fn member_id(&self, actor: &str) -> String {
        self.cast.identity(actor).member_id().to_owned()
    }
}

/// Requirements by the ids of the catalogue, which outlive any case.
fn interned(ids: Vec<&str>) -> Vec<&'static str> {
    let known = ids.into_iter().filter_map(|id| catalogue().get(id));
    known.map(|requirement| requirement.id.as_str()).collect()
}

/// Whether an exchange is of an operation that is answered with the manifest.
fn answers_manifest(frame: &ParsedExchange<'_>) -> bool {
    let operation = frame.operation;
    operation.is_some_and(|operation| operation.answer_message() == "VaultManifest")
}

/// What a granted write may leave behind.
fn applied(
    operation: Operation,
    before: Option<&RepoState>,
    after: Option<RepoState>,
) -> Vec<Option<RepoState>> {
    let Some(after) = after else {
        return vec![before.cloned()];
    };
    let stays = before.and_then(|before| epoch_left(operation, before, &after));
    [Some(after), stays].into_iter().flatten().map(Some).collect()
}

/// The state after a push whose envelope is of another epoch, where the repository's epoch stays what it was. Whether such a
/// push moves it is left open by the protocol: both are right.
pub(super) fn epoch_left(operation: Operation, before: &RepoState, after: &RepoState) -> Option<RepoState> {
    (operation == Operation::Push && before.epoch != after.epoch).then(|| RepoState {
        epoch: before.epoch,
        ..after.clone()
    })
}

fn answer_sentence(step: &Step, frame: &ParsedExchange<'_>) -> String {
    let what = frame
        .operation
        .map_or_else(|| frame.exchange.request.method.clone(), |op| op.to_string());
    format!("{what} by {} is {}", frame.actor(), alternatives(step.words()))
}

fn planned_sentence(step: &Step) -> String {
    let what = step.action().operation().map_or("the request", Operation::name);
    match step.is_race() {
        true => format!("concurrent {what} requests are answered as if one came after the other"),
        false => format!(
            "{what} by {} is {}",
            step.actor_names()[0],
            alternatives(step.words())
        ),
    }
}

fn alternatives(words: &[ExpectedAnswer]) -> String {
    let words: Vec<String> = words.iter().map(ExpectedAnswer::to_string).collect();
    words.join(" or ")
}
