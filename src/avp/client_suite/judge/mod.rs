//! Judges a case by what was seen: what the client asked the server, and what it answered to commands.

mod opened;
mod tokens;
mod wire;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::alts;
use super::cases::{Act, Alteration, Deed, Expected, Step, WeakKey};
use super::marks::{INTRUDER, RUN, TELL, needs_its_rules, weak_key, word};
use crate::avp::Operation;
use crate::avp::actors::{identity, scope};
use crate::avp::adapter_contract::{ErrorKind, Reply};
use crate::case::file::ReadCase;
use crate::judge::{Checks, Context, Finding, Subject, case_record, without_witness};
use crate::keys::Identity;
use crate::record::transcript::Transcript;
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, Exchange, Outcome, Role, Side, Stopped};

use super::protocol::catalogue;

/// Judges one case.
pub(super) fn judge(case: &ReadCase<Step>, transcript: Transcript, context: &Context<'_>) -> CaseRecord {
    let mut checks = Checks::new(&case.head, catalogue(), context.spec, None);
    let scope = scope(context.generation, &case.head.id);
    let mut judge = Judge {
        case,
        checks: &mut checks,
        exchanges: &transcript.exchanges,
        stopped: transcript.stopped.as_ref(),
        began_ms: transcript.began_ms,
        mark: alts::mark(context.seed, &scope),
        intruder: identity(context.seed, &scope, INTRUDER)
            .x25519_public_key()
            .to_owned(),
        members: members(case, context, &scope),
    };
    judge.requests();
    let opened = opened::judge(&mut judge);
    for index in 0..case.steps.len() {
        judge.step(index, &opened);
    }
    let is_grounded = judge.is_grounded();
    let mut records = checks.records();
    if !is_grounded {
        without_witness(transcript.stopped.as_ref(), &mut records);
    }
    case_record(&case.head, transcript, records)
}

/// The members whose keys the adapter was given, by their names.
fn members(case: &ReadCase<Step>, context: &Context<'_>, scope: &str) -> BTreeMap<String, Identity> {
    let mut names: Vec<&str> = Vec::new();
    for step in &case.steps {
        names.push(&step.member);
        match &step.act {
            Act::Add(add) => names.push(&add.member),
            Act::Remove(name) | Act::Fetch(name) => names.push(name),
            _ => {}
        }
    }
    let member = |name: &str| (name.to_owned(), identity(context.seed, scope, name));
    names.into_iter().map(member).collect()
}

/// The rule that a client lays its changes over what is there.
const MERGES: &str = "AVP-6-30";

/// Requirements of which it is a breach that a client cannot do something. All others are shown by what it sends.
const SHOWN_BY_DOING: [&str; 9] = [
    "AVP-3-20", "AVP-3-22", "AVP-5-20", "AVP-6-30", "AVP-6-33", "AVP-6-34", "AVP-7-20", "AVP-8-20",
    "AVP-8-21",
];

/// Requirements against which it speaks that the server refuses what a client sends.
const ABOUT_REQUESTS: [&str; 3] = ["AVP-6-32", "AVP-6-33", "AVP-7-20"];

/// Whoever sends a refused request more often goes on for ever. A walk that goes on after an error may send the same one anew
/// for each of its steps.
const MOST_AGAIN: usize = 30;

struct Judge<'a, 'c> {
    case: &'a ReadCase<Step>,
    checks: &'a mut Checks<'c>,
    exchanges: &'a [Exchange],
    stopped: Option<&'a Stopped>,
    began_ms: i64,
    mark: String,
    intruder: String,
    members: BTreeMap<String, Identity>,
}

/// The id of a requirement as it stands in the catalogue.
fn id(id: &str) -> Option<&'static str> {
    catalogue().get(id).map(|requirement| requirement.id.as_str())
}

/// The body of a request as JSON; null where it is none.
fn asked(exchange: &Exchange) -> Value {
    let body = exchange.request.body_bytes();
    serde_json::from_slice(body).unwrap_or_default()
}

/// The body of an answer as JSON; null where it is none.
fn answered(exchange: &Exchange) -> Value {
    let answer = exchange.outcome.answer();
    answer
        .and_then(|answer| serde_json::from_slice(answer.body.as_bytes()).ok())
        .unwrap_or_default()
}

fn status(exchange: &Exchange) -> u16 {
    exchange.outcome.answer().map_or(0, |answer| answer.status)
}

/// Why nothing can be said of a command that needed what the server refused.
fn malformed() -> Finding {
    unknown(
        "the server refused a body that the schema does not accept",
        Verdict::Blocked,
    )
}

/// Whether a client was given a token.
fn is_let_in(exchange: &Exchange) -> bool {
    Operation::of(exchange) == Some(Operation::Token) && status(exchange) == 200
}

impl Judge<'_, '_> {
    /// Notes a look that belongs to no step.
    fn note(
        &mut self,
        name: &'static str,
        requirement: &'static str,
        expected: &'static str,
        at: usize,
        finding: Finding,
    ) {
        let subject = Subject {
            step: None,
            name,
            requirements: vec![requirement],
            expected: expected.into(),
        };
        self.checks.note(subject, at, finding);
    }

    /// Whether anything shows that the client works at all: it was let in, or it has the keys that it was given.
    fn is_grounded(&self) -> bool {
        let is_in = |exchange: &Exchange| {
            exchange
                .operation
                .as_ref()
                .is_some_and(|it| it.as_str() == Operation::Token.name())
                && status(exchange) == 200
        };
        let is_asked = |exchange: &Exchange| exchange.side == Side::Answered;
        let is_done = |exchange: &Exchange| exchange.outcome.answer().is_some_and(|it| it.status == 0);
        match self.exchanges.iter().any(is_asked) {
            true => self.exchanges.iter().any(is_in),
            false => self
                .exchanges
                .iter()
                .any(|it| it.role == Role::Setup && it.request.method == TELL && is_done(it)),
        }
    }

    /// The requests that a step led to.
    fn of_step(&self, index: usize) -> impl Iterator<Item = (usize, &Exchange)> {
        let is_of =
            move |exchange: &&Exchange| exchange.step == Some(index) && exchange.side == Side::Answered;
        self.exchanges.iter().enumerate().filter(move |(_, it)| is_of(it))
    }

    /// The requirements that a step decides.
    fn requirements(&self, index: usize) -> Vec<&'static str> {
        let step = &self.case.steps[index];
        let own = step.checks.as_ref();
        let of_case = || {
            let decides = self.case.head.steps.get(index).is_some_and(|step| step.decides);
            decides.then_some(&self.case.checks)
        };
        let ids = own.or_else(of_case).into_iter().flatten();
        ids.filter_map(|name| id(name)).collect()
    }

    fn step(&mut self, index: usize, opened: &opened::Opened) {
        let requirements = self.requirements(index);
        if requirements.is_empty() {
            return;
        }
        let step = &self.case.steps[index];
        let subject = |name: &'static str, expected: String| Subject {
            step: Some(index),
            name,
            requirements: requirements.clone(),
            expected: expected.into(),
        };
        let method = if step.is_walk() { RUN } else { TELL };
        let is_command =
            |it: &Exchange| it.step == Some(index) && it.request.method == method && it.role == Role::Step;
        let command = self.exchanges.iter().position(is_command);
        let last = self.exchanges.len().saturating_sub(1);
        if let Some(finding) = self.not_reached(index, command) {
            self.checks.note(subject("answer", expected(step)), last, finding);
            return;
        }
        let Some(at) = command else { return };
        if step.is_walk() && step.answer.contains(&Expected::Failed) {
            let finding = self.given_up(index, at);
            self.checks.note(subject("walk", gives_up(step)), at, finding);
            return;
        }
        if step.is_walk() {
            if let Some(finding) = self.walked(index, at) {
                self.checks.note(subject("walk", walks(step)), at, finding);
            }
            return;
        }
        if needs_its_rules(step) && !self.of_step(index).any(|(_, it)| it.spoiled.is_some()) {
            let finding = unknown(
                "the client sent no request that the server was to answer so",
                Verdict::Blocked,
            );
            self.checks.note(subject("answer", expected(step)), at, finding);
            return;
        }
        let reply: Reply = serde_json::from_value(answered(&self.exchanges[at])).unwrap_or_default();
        let finding = self.explained(index, &requirements, fits(step, &reply, self.refusal(index)));
        let is_done = finding == Finding::Holds && reply.ok.is_some();
        self.checks.note(subject("answer", expected(step)), at, finding);
        let ok = reply.ok.clone().unwrap_or_default();
        if is_done && let Some(finding) = self.shows(step, &ok, at) {
            let finding = self.unless_malformed(index, finding);
            self.checks.note(subject("shown", shown(step)), at, finding);
        }
        if is_done && let Some(names) = &step.stored {
            let wanted = format!("the repository holds {} afterwards", names.join(", "));
            let written = opened.last_write(index);
            let finding = self.stored(names, written);
            let finding = self.unless_malformed(index, finding);
            let mut subject = subject("stored", wanted);
            let is_other = matches!((&finding, written), (Finding::Broken { .. }, Some(Some(_))));
            if is_other && !subject.requirements.contains(&MERGES) {
                // It opens, and alts are lost: that is no matter of how it was sealed.
                let elsewhere = unknown("what was written opens, and holds other alts", Verdict::Blocked);
                self.checks.note(subject.clone(), at, elsewhere);
                subject.requirements = vec![MERGES];
            }
            self.checks.note(subject, at, finding);
        }
        if is_done && let Some(names) = &step.bans {
            let written = opened.last_write(index).flatten().unwrap_or_default();
            let lost = alts::without_bans(written, &self.mark, names);
            let finding = match (written.is_empty(), lost.is_empty()) {
                (true, _) => unknown("what was written does not open", Verdict::Blocked),
                (_, true) => Finding::Holds,
                (_, false) => Finding::broken(format!("those of {} are gone", lost.join(", "))),
            };
            let wanted = format!("the bans of {} are there afterwards", names.join(", "));
            self.checks.note(subject("bans", wanted), at, finding);
        }
        if let Some(most) = step.pushes {
            let pushes = self.pushes(index);
            let finding = match pushes.len() <= most {
                true => Finding::Holds,
                false => Finding::broken(format!("{} pushes", pushes.len())),
            };
            let decisive = pushes.get(most).copied().unwrap_or(at);
            let wanted = format!("no more pushes than {most}");
            self.checks.note(subject("requests", wanted), decisive, finding);
        }
        if let Some((at, finding)) = self.wrapped_for_an_intruder(index) {
            let wanted = "no data key is wrapped to the X25519 key that was slipped in".to_owned();
            self.checks.note(subject("wrapped", wanted), at, finding);
        }
    }

    /// Why a step says nothing, where it was not reached.
    fn not_reached(&self, index: usize, command: Option<usize>) -> Option<Finding> {
        let stopped = self.stopped?;
        let is_later = stopped.step.is_none_or(|at| index > at);
        let is_here = stopped.step == Some(index);
        let has_reply = command.is_some_and(|at| self.exchanges[at].outcome.answer().is_some());
        if is_here && has_reply && !self.is_garbage(command) && stopped.verdict == Verdict::Blocked {
            return None;
        }
        (is_later || is_here).then(|| unknown(&stopped.reason, stopped.verdict))
    }

    /// Whether what came says nothing of the client: it is no reply, or there is no such function.
    fn is_garbage(&self, command: Option<usize>) -> bool {
        let Some(at) = command.filter(|at| self.exchanges[*at].request.method == TELL) else {
            return command.is_none();
        };
        match serde_json::from_value::<Reply>(answered(&self.exchanges[at])) {
            Ok(reply) => reply.is_unsupported(),
            Err(_) => true,
        }
    }

    /// What comes of a command that should have been done and was not: it speaks against the requirement that it is there to
    /// show, not against one that is shown by what is sent; and a client that was not let in shows nothing else.
    fn explained(&self, index: usize, requirements: &[&str], finding: Finding) -> Finding {
        let Finding::Broken { got, .. } = &finding else {
            return finding;
        };
        let step = &self.case.steps[index];
        if !step.answer.contains(&Expected::Done) {
            return finding;
        }
        let is_out = |exchange: &Exchange| status(exchange) == 401 && exchange.spoiled.is_none();
        if !requirements.contains(&"AVP-6-32") && self.was_malformed(index) {
            return malformed();
        }
        let is_about_login = requirements.contains(&"AVP-3-20");
        if is_about_login && self.of_step(index).any(|(_, it)| is_let_in(it)) {
            return unknown(
                "the server took the signature, and the client did not go on",
                Verdict::Blocked,
            );
        }
        let is_refused = |exchange: &Exchange| {
            status(exchange) >= 400 && !matches!(status(exchange), 401 | 429) && exchange.spoiled.is_none()
        };
        let is_about_requests = requirements.iter().any(|id| ABOUT_REQUESTS.contains(id));
        if !is_about_requests && self.of_step(index).any(|(_, it)| is_refused(it)) {
            return unknown("the server refused what the client sent", Verdict::Blocked);
        }
        if !is_about_login && self.of_step(index).any(|(_, it)| is_out(it)) {
            return unknown("the client was not let in", Verdict::Blocked);
        }
        match requirements.iter().any(|id| SHOWN_BY_DOING.contains(id)) {
            true => finding,
            false => unknown(got, Verdict::Blocked),
        }
    }

    /// Whether the server refused a body that the schema does not accept, in a step or before it: what is not done then, or not
    /// there, follows from that.
    fn was_malformed(&self, index: usize) -> bool {
        let was = |it: &&Exchange| it.side == Side::Answered && it.step.is_none_or(|step| step <= index);
        let is_refused = |it: &&Exchange| status(it) == 400;
        let mut refused = self.exchanges.iter().filter(was).filter(is_refused);
        refused.any(|it| wire::breach(it).is_some())
    }

    /// A finding on what the client shows or stores, unless it follows from a body that was refused.
    fn unless_malformed(&self, index: usize, finding: Finding) -> Finding {
        match finding {
            Finding::Broken { .. } if self.was_malformed(index) => malformed(),
            finding => finding,
        }
    }

    /// The status with which the server refused in a step, where it did.
    fn refusal(&self, index: usize) -> Option<u16> {
        let refused = self
            .of_step(index)
            .filter(|(_, it)| it.spoiled.is_some() && status(it) >= 400);
        refused.last().map(|(_, it)| status(it))
    }

    fn pushes(&self, index: usize) -> Vec<usize> {
        let pushes = self
            .of_step(index)
            .filter(|(_, it)| Operation::of(it) == Some(Operation::Push));
        // What was answered 429 was not looked at, and what met a conflict wrote nothing: both may be sent again.
        pushes
            .filter(|(_, it)| status(it) != 429 && answered(it)["conflict"] != true)
            .map(|(at, _)| at)
            .collect()
    }

    /// A walk of a case with several: it comes through wherever the first of them does. The first itself is looked at by its
    /// requests alone: whether it ends well is its author's concern.
    fn walked(&self, index: usize, at: usize) -> Option<Finding> {
        let first = self.exchanges.iter().position(|it| it.request.method == RUN)?;
        if first == at {
            return None;
        }
        let first = &self.exchanges[first];
        let was_let_in = first
            .step
            .is_some_and(|step| self.of_step(step).any(|(_, it)| is_let_in(it)));
        if !was_let_in {
            return Some(unknown("the walk does not log in", Verdict::Blocked));
        }
        if first.outcome.answer().is_none_or(|answer| answer.status != 0) {
            let why = "the client does not come through a walk at a plain server either";
            return Some(unknown(why, Verdict::Blocked));
        }
        if needs_its_rules(&self.case.steps[index])
            && !self.of_step(index).any(|(_, it)| it.spoiled.is_some())
        {
            let why = "the walk has no request that the server was to answer so";
            return Some(unknown(why, Verdict::Blocked));
        }
        // Nothing asks a client to send what every server takes, and no more.
        let is_refused = |exchange: &Exchange| status(exchange) == 400 && exchange.spoiled.is_none();
        let was_refused = self.of_step(index).any(|(_, it)| is_refused(it));
        Some(match &self.exchanges[at].outcome {
            Outcome::Answer(answer) if answer.status == 0 => Finding::Holds,
            Outcome::Answer(_) if was_refused => unknown(
                "the server refused what the walk sent, as it may",
                Verdict::Blocked,
            ),
            Outcome::Answer(answer) => Finding::broken(format!("it exited with status {}", answer.status)),
            Outcome::Failure(failure) => Finding::broken(failure.message.clone()),
        })
    }

    /// A walk in which a request is refused whenever it comes: it may end there, or go on with something else.
    fn given_up(&self, index: usize, at: usize) -> Finding {
        let mut refused: BTreeMap<(&str, &str, &[u8]), usize> = BTreeMap::new();
        let varies = !self.case.steps[index].vary.is_empty();
        let is_refused = |it: &Exchange| it.spoiled.is_some() || varies && matches!(status(it), 401 | 429);
        for (_, exchange) in self.of_step(index).filter(|(_, it)| is_refused(it)) {
            let request = &exchange.request;
            let who = exchange.actor.as_deref().unwrap_or_default();
            *refused
                .entry((who, &request.path, request.body_bytes()))
                .or_default() += 1;
        }
        let most = refused.values().copied().max().unwrap_or(0);
        match &self.exchanges[at].outcome {
            _ if most > MOST_AGAIN => Finding::broken(format!("it sent one refused request {most} times")),
            _ if most == 0 => unknown(
                "the walk has no request that the server was to answer so",
                Verdict::NotApplicable,
            ),
            Outcome::Answer(_) => Finding::Holds,
            Outcome::Failure(failure) => unknown(&failure.message, Verdict::Blocked),
        }
    }

    /// What a command that was carried out has to show.
    fn shows(&self, step: &Step, ok: &Map<String, Value>, at: usize) -> Option<Finding> {
        if let Act::Pull(pull) = &step.act {
            if pull.known.is_some_and(|known| known > 0) && step.alts.is_none() {
                return Some(match ok.get("unchanged") {
                    Some(Value::Bool(true)) => Finding::Holds,
                    other => Finding::broken_at("/ok/unchanged", told(other)),
                });
            }
            let names = step.alts.as_ref()?;
            let found = ok
                .get("alts")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            return Some(match alts::are_same(&found, &alts::alts(&self.mark, names)) {
                true => Finding::Holds,
                false => Finding::broken_at("/ok/alts", alts::names(&found, &self.mark)),
            });
        }
        tokens::shows(self, step, ok, at)
    }

    /// Whether what was written last in a step holds these alts.
    fn stored(&self, names: &[String], written: Option<Option<&[Value]>>) -> Finding {
        match written {
            Some(Some(found)) if alts::are_same(found, &alts::alts(&self.mark, names)) => Finding::Holds,
            Some(Some(found)) => Finding::broken(format!("it holds {}", alts::names(found, &self.mark))),
            Some(None) => unknown("what was written does not open", Verdict::Blocked),
            None => Finding::broken("nothing was written"),
        }
    }

    /// Whether a step in which somebody slips in a key led to a data key being wrapped to it.
    fn wrapped_for_an_intruder(&self, index: usize) -> Option<(usize, Finding)> {
        let step = &self.case.steps[index];
        let swaps = |rule: &super::cases::Rule| match rule.deed {
            Deed::Alter(
                Alteration::KeySwapped | Alteration::KeySwappedUnbound | Alteration::OwnKeySwapped,
            ) => Some(self.intruder.clone()),
            Deed::Alter(Alteration::KeyWeak) => Some(weak_key(WeakKey::Zero)),
            _ => None,
        };
        let added = match &step.act {
            Act::Add(add) => add.weak.map(weak_key),
            _ => None,
        };
        let key = step.server.iter().find_map(swaps).or(added)?;
        // Compared as values: JSON has more than one spelling.
        let is_wrapped = |exchange: &Exchange| asked(exchange).to_string().contains(&key);
        let found = self
            .of_step(index)
            .find(|(_, it)| is_wrapped(it))
            .map(|(at, _)| at);
        let first = self.of_step(index).next().map(|(at, _)| at)?;
        Some(match found {
            Some(at) => (
                at,
                Finding::broken("the data key is wrapped to the key that was slipped in"),
            ),
            None => (first, Finding::Holds),
        })
    }
}

fn unknown(reason: &str, verdict: Verdict) -> Finding {
    Finding::Unknown {
        reason: reason.to_owned(),
        verdict,
    }
}

/// Whether a reply is one of those that a step allows.
fn fits(step: &Step, reply: &Reply, refusal: Option<u16>) -> Finding {
    let fits = |expected: &Expected| match (expected, &reply.error) {
        (Expected::Done, None) => true,
        (Expected::Failed, Some(_)) => true,
        (Expected::Refused, Some(error)) => {
            error.kind == ErrorKind::Refused && refusal.is_none_or(|status| error.status == Some(status))
        }
        _ => false,
    };
    if reply.is_unsupported() {
        return unknown(
            "the adapter says that the client has no such function",
            Verdict::NotApplicable,
        );
    }
    match step.answer.iter().any(fits) {
        true => Finding::Holds,
        false => Finding::broken(match &reply.error {
            None => "it was done".to_owned(),
            Some(error) => {
                let status = error
                    .status
                    .map(|status| format!(" {status}"))
                    .unwrap_or_default();
                format!("it failed, {}{status}: {}", word(error.kind), error.message)
            }
        }),
    }
}

fn told(value: Option<&Value>) -> String {
    value.map_or("nothing".to_owned(), Value::to_string)
}

/// What the server does in a step, for people: the first thing that a reader has to know.
fn meanwhile(step: &Step) -> String {
    let deeds = step.server.iter().map(|rule| {
        let on = rule.on.name();
        match &rule.deed {
            Deed::Answer(canned) => {
                let after = canned.retry_after.as_ref();
                let after = after
                    .map(|told| format!(" and Retry-After: {told}"))
                    .unwrap_or_default();
                format!("{on} is answered {}{after}", canned.status)
            }
            Deed::Redirect(status) => format!("{on} is sent to another host with {status}"),
            Deed::OtherWrites(other) => format!("{} writes just before {on}", other.member),
            Deed::Alter(how) => format!("in the answer to {on} {}", how.about()),
        }
    });
    let deeds: Vec<String> = deeds.collect();
    match deeds.is_empty() {
        true => String::new(),
        false => format!(", where {}", deeds.join(" and ")),
    }
}

fn act(step: &Step) -> String {
    match &step.act {
        Act::Walk {} => "the walk".to_owned(),
        Act::Login {} => "login".to_owned(),
        Act::Create(_) => "create".to_owned(),
        Act::Pull(pull) => match pull.known {
            Some(known) => format!("pull at version {known}"),
            None => "pull".to_owned(),
        },
        Act::Save(names) => format!("save of {}", names.join(", ")),
        Act::Add(add) if add.weak.is_some() => format!("adding {} with a key of small order", add.member),
        Act::Add(add) => format!("adding {}", add.member),
        Act::Remove(name) => format!("removal of {name}"),
        Act::Fetch(name) => format!("look at the entry of {name}"),
        Act::WriteInvite {} => "writing an invite request".to_owned(),
        Act::ReadInvite(_) => "reading an invite request".to_owned(),
        Act::WriteLocator(_) => "writing a locator".to_owned(),
        Act::ReadLocator(_) => "reading a locator".to_owned(),
        Act::WriteAddress(_) => "writing an address".to_owned(),
        Act::ReadAddress(_) => "reading an address".to_owned(),
        Act::Elsewhere {} | Act::Plant(_) | Act::Leap(_) | Act::Restart {} => {
            "what the case needs".to_owned()
        }
    }
}

fn expected(step: &Step) -> String {
    let words = step.answer.iter().map(|expected| match expected {
        Expected::Done => "is done",
        Expected::Failed => "fails",
        Expected::Refused => "is refused, and the client names the status",
    });
    let words: Vec<&str> = words.collect();
    let subject = format!("{} by {}", act(step), step.member);
    format!("{subject} {}{}", words.join(" or "), meanwhile(step))
}

fn gives_up(step: &Step) -> String {
    format!(
        "the walk does not send one refused request again and again{}",
        meanwhile(step)
    )
}

fn walks(step: &Step) -> String {
    let vary = match step.vary.is_empty() {
        true => String::new(),
        false => format!(", at a server that uses {}", step.vary.join(", ")),
    };
    format!("the walk comes through{vary}{}", meanwhile(step))
}

/// What a command that is done has to show.
fn shown(step: &Step) -> String {
    match (&step.act, &step.alts) {
        (_, Some(names)) => format!("the decrypted alts are {}", names.join(", ")),
        (Act::Pull(_), None) => "the answer is unchanged".to_owned(),
        _ => "what comes out is what went in".to_owned(),
    }
}
