//! Judges what a case is about: step by step, what the command answered and what arrived.

use serde_json::Value;

use super::Judge;
use super::deliveries::{Delivery, cut};
use super::outputs::{Output, Witnessed};
use super::witness::Submitted;
use crate::attesto::cases::{Act, Enqueue, Expected, Place, Retry, Step};
use crate::attesto::driver::LOOK;
use crate::attesto::protocol::catalogue;
use crate::attesto::receipts::Reply;
use crate::attesto::receiver::RECEIVER;
use crate::judge::{Finding, Subject};
use crate::record::verdict::Verdict;
use crate::record::{Exchange, FailureKind, Outcome, Role};
use crate::text::visible_cut;

/// Whoever rests for less has not rested at all, microseconds: so long takes a process to start.
const SHORTEST_REST_US: u64 = 150_000;
/// Whoever sends an item again so soon in one process has not let it rest at all, microseconds.
const NO_REST_US: u64 = 30_000;
/// What a busy machine makes of a delay, microseconds.
const REST_MARGIN_US: u64 = 300_000;
/// Whoever has not tried again by then does not try again, microseconds.
const LONGEST_REST_US: u64 = 20 * 60 * 1_000_000;

/// One look at a step: what is looked at, what is expected, at which exchange, and what came of it.
struct Look {
    name: &'static str,
    expected: String,
    at: usize,
    finding: Finding,
}

/// Judges all steps. Once a step did not come to what it should, what comes after it says nothing.
pub(super) fn judge(judge: &mut Judge<'_, '_>) {
    let mut off: Option<(Verdict, String)> = None;
    for index in 0..judge.case.steps.len() {
        let step = &judge.case.steps[index];
        let requirements = judge
            .case
            .requirements_at(index, step.checks.as_ref(), catalogue());
        let is_apart = matches!(
            step.act,
            Act::Reject(_) | Act::RejectOverHttps(_) | Act::Endpoints(_)
        );
        let mut looks = match reached(judge, index) {
            true => look(judge, index, step),
            false => vec![not_reached(judge)],
        };
        if let (Some((verdict, why)), false) = (&off, is_apart) {
            let at = looks.first().map_or(0, |look| look.at);
            looks = vec![unknown_look(at, why, *verdict)];
        }
        if !is_apart && hashes_otherwise(judge, index) {
            looks.iter_mut().for_each(withdraw);
        }
        if !is_apart {
            let came = looks.iter().find_map(|look| fault(index, &look.finding));
            off = off.or(came);
        }
        for look in looks {
            // What is not applicable is so whatever the step decides.
            let subject = Subject {
                step: Some(index),
                name: look.name,
                requirements: of_look(&requirements, look.name),
                expected: look.expected.into(),
            };
            judge.checks.note(subject, look.at, look.finding);
        }
    }
}

/// Whether the relay says another hash of an envelope than it has: an acknowledgement, which names the right one, tells it nothing
/// then. That is a finding of its own.
fn hashes_otherwise(judge: &Judge<'_, '_>, index: usize) -> bool {
    let mut so_far = judge.deliveries.iter().filter(|it| it.step <= Some(index));
    so_far.any(|delivery| !delivery.says_its_hash())
}

/// What is broken in a look is not known.
fn withdraw(look: &mut Look) {
    if let Finding::Broken { .. } = look.finding {
        let reason = "the relay hashes its envelopes otherwise, and so no acknowledgement can fit";
        look.finding = unknown(reason, Verdict::Blocked);
    }
}

/// What becomes of the steps after one that came to this, and why; nothing where it holds.
fn fault(index: usize, finding: &Finding) -> Option<(Verdict, String)> {
    let (verdict, why) = match finding {
        Finding::Holds => return None,
        Finding::Broken { got, .. } => (Verdict::Blocked, got),
        Finding::Unknown { verdict, reason } => (*verdict, reason),
    };
    let step = index + 1;
    Some((
        verdict,
        format!("step {step} did not come to what this needs: {why}"),
    ))
}

/// The requirements that a look decides: of the files each has its own.
fn of_look(requirements: &[&'static str], name: &str) -> Vec<&'static str> {
    let fits = |id: &&&'static str| match name {
        "files" => **id != "ALV-SEC-03",
        "mode" => **id == "ALV-SEC-03",
        _ => true,
    };
    requirements.iter().filter(fits).copied().collect()
}

fn reached(judge: &Judge<'_, '_>, index: usize) -> bool {
    judge
        .exchanges
        .iter()
        .any(|exchange| exchange.step == Some(index))
}

fn not_reached(judge: &Judge<'_, '_>) -> Look {
    let last = judge.exchanges.len().saturating_sub(1);
    let (reason, verdict) = match judge.stopped {
        Some(stopped) => (stopped.reason.clone(), stopped.verdict),
        None => ("the step was not reached".to_owned(), Verdict::Blocked),
    };
    unknown_look(last, &reason, verdict)
}

fn unknown(reason: impl Into<String>, verdict: Verdict) -> Finding {
    Finding::Unknown {
        reason: reason.into(),
        verdict,
    }
}

fn unknown_look(at: usize, reason: &str, verdict: Verdict) -> Look {
    Look {
        name: "answer",
        expected: "what the step is about".to_owned(),
        at,
        finding: unknown(reason, verdict),
    }
}

fn look(judge: &Judge<'_, '_>, index: usize, step: &Step) -> Vec<Look> {
    // How long a relay waits is its own affair, and whoever has given an attempt up may make the next.
    if matches!(step.act, Act::Overlap { .. }) && gave_up(judge, index) {
        let why = "the relay gave its attempt up before the receiver answered";
        return vec![unknown_look(place(judge, index), why, Verdict::NotApplicable)];
    }
    let mut looks = match &step.act {
        Act::Enqueue(enqueue) => vec![enqueued(judge, index, step, enqueue)],
        Act::Drain(drain) if drain.ends => vec![ends(judge, index)],
        Act::Loop(lasting) if lasting.ends => vec![ends_when_asked(judge, index)],
        Act::Loop(lasting) if lasting.rests => vec![rests_in_the_loop(judge, index)],
        Act::Terminate {} => vec![ends_when_asked(judge, index)],
        Act::Drain(_) | Act::Loop(_) | Act::Kill {} | Act::Overlap { .. } => Vec::new(),
        Act::Retry(retry) => retried(judge, index, retry),
        Act::Reject(replies) | Act::RejectOverHttps(replies) => replies
            .iter()
            .enumerate()
            .map(|(round, reply)| rejected(judge, index, round, *reply, step))
            .collect(),
        Act::Endpoints(places) => places
            .iter()
            .enumerate()
            .filter_map(|(round, place)| endpoint(judge, index, round, *place))
            .collect(),
        Act::Look {} => files(judge, index),
        Act::Witness(_) => vec![witnessed(judge, index, step)],
        Act::WitnessRace(_) => vec![raced(judge, index, step)],
    };
    // Where something is unknown already, the rest would be told twice.
    if looks.iter().all(|look| look.finding == Finding::Holds) {
        looks.extend(sent(judge, index, step));
        looks.extend(delivered(judge, index, step));
        looks.extend(once(judge, index, step));
        looks.extend(payload(judge, index, step));
    }
    looks
}

/// Whether the first drain of a step had ended without success before its delivery was answered, if it was at all.
fn gave_up(judge: &Judge<'_, '_>, index: usize) -> bool {
    let runs = judge.runs(index, 0, Role::Step);
    let Some((at, output)) = runs.iter().min_by_key(|(at, _)| judge.exchanges[*at].at_us) else {
        return false;
    };
    let ended_us = judge.exchanges[*at].at_us + judge.exchanges[*at].took_us;
    let answered = judge.deliveries.iter().find(|it| it.step == Some(index));
    output.sent() == Some(false)
        && !output.is_idle()
        && answered.is_some_and(|delivery| !delivery.is_answered || ended_us < delivery.answered_us)
}

/// Where a step's first command stands.
fn place(judge: &Judge<'_, '_>, index: usize) -> usize {
    judge
        .exchanges
        .iter()
        .position(|exchange| exchange.step == Some(index))
        .unwrap_or(0)
}

fn enqueued(judge: &Judge<'_, '_>, index: usize, step: &Step, enqueue: &Enqueue) -> Look {
    let runs = judge.runs(index, 0, Role::Step);
    let expected = step.expected();
    let enqueues = judge
        .exchanges
        .iter()
        .filter(|exchange| is_enqueue_of(judge, exchange, enqueue));
    let first = enqueues.map(Output::of).find_map(|output| output.event());
    let other = step.unlike.as_ref().and_then(|item| first_event(judge, item));
    let mut finding = Finding::Holds;
    let mut at = place(judge, index);
    if let Some(finding) = turned_all_away(step, runs.iter().map(|(_, output)| output)) {
        return Look {
            name: "answer",
            expected: words(&expected, &enqueue.item),
            at,
            finding,
        };
    }
    // Of several at once some may be turned away, as long as one is taken.
    let is_turned_away = |output: &Output| output.code != Some(0) && output.event().is_none();
    let all_are = runs.iter().all(|(_, output)| is_turned_away(output));
    let counts = |output: &Output| enqueue.at_once == 1 || all_are || !is_turned_away(output);
    for (place, output) in runs.iter().filter(|(_, output)| counts(output)) {
        at = *place;
        finding = match (output.code, output.event()) {
            (None, _) => unknown("the command did not end by itself", Verdict::Blocked),
            (Some(_), event) => enqueue_fits(output, event.as_ref(), &expected),
        };
        let event = output.event().map(|(event, _)| event);
        if finding == Finding::Holds
            && step.same_event
            && event != first.as_ref().map(|(event, _)| event.clone())
        {
            finding = Finding::broken(format!(
                "the event is another than at first: {}",
                event.clone().unwrap_or_default()
            ));
        }
        if finding == Finding::Holds && other.is_some() && event == other {
            finding = Finding::broken(format!(
                "the event is that of the other item: {}",
                event.unwrap_or_default()
            ));
        }
        if finding != Finding::Holds {
            break;
        }
    }
    let same = if step.same_event {
        ", with the event id that it had at first"
    } else {
        ""
    };
    Look {
        name: "answer",
        expected: format!("{}{same}", words(&expected, &enqueue.item)),
        at,
        finding,
    }
}

/// Why a step shows nothing whose commands were held up.
const NOBODY_WAITS: &str = "no command waits until the database is free";

/// What a step shows whose commands were held up, where none of them did what it was asked: nothing.
fn turned_all_away<'a>(step: &Step, mut outputs: impl Iterator<Item = &'a Output>) -> Option<Finding> {
    (step.all_read_first && outputs.all(|output| output.code != Some(0)))
        .then(|| unknown(NOBODY_WAITS, Verdict::NotApplicable))
}

fn is_enqueue_of(judge: &Judge<'_, '_>, exchange: &Exchange, enqueue: &Enqueue) -> bool {
    let options = super::outputs::options(exchange);
    options.get("stream-id") == Some(&judge.names.stream(&enqueue.stream))
        && options.get("source-ref") == Some(&judge.names.source(&enqueue.item))
}

/// The event that an item was given when it was first enqueued, in whichever stream.
fn first_event(judge: &Judge<'_, '_>, item: &str) -> Option<String> {
    let source = judge.names.source(item);
    let is_of = |exchange: &&Exchange| super::outputs::options(exchange).get("source-ref") == Some(&source);
    let first = judge.exchanges.iter().find(is_of)?;
    Output::of(first).event().map(|(event, _)| event)
}

fn enqueue_fits(output: &Output, event: Option<&(String, String)>, expected: &[Expected]) -> Finding {
    let is_taken = output.code == Some(0) && event.is_some();
    let state = event.map(|(_, state)| state.as_str()).unwrap_or_default();
    let fits = |expected: &Expected| match expected {
        Expected::Taken => is_taken,
        Expected::NotDelivered => is_taken && state != "delivered",
        Expected::Waiting => is_taken && ["queued", "inflight"].contains(&state),
        Expected::Delivered => is_taken && state == "delivered",
        Expected::Dead => is_taken && state == "dead",
        Expected::Refused => output.code != Some(0) && event.is_none(),
        _ => false,
    };
    match expected.iter().any(fits) {
        true => Finding::Holds,
        false => Finding::broken(match event {
            Some((event, state)) => format!("{}, event {event} with the status {state}", output.how()),
            None => format!("{}, and no line with eventId and status", output.how()),
        }),
    }
}

fn words(expected: &[Expected], item: &str) -> String {
    let words = expected.iter().map(|expected| match expected {
        Expected::Taken => "exit 0, and the event of the item with its status",
        Expected::NotDelivered => "exit 0, and a status that is not delivered",
        Expected::Waiting => "exit 0, and the status queued or inflight",
        Expected::Delivered => "exit 0, and the status delivered",
        Expected::Dead => "exit 0, and the status dead",
        Expected::Refused => "a refusal: an exit other than 0, and no event",
        Expected::Accepted => "a receipt, and no evidence of a fork",
        Expected::Replayed => "a replay with the receipt that was given before",
        Expected::Fork => "evidence of a fork, and no receipt",
        Expected::ForkNamingTheKnown => {
            "evidence of a fork that names the hash which was witnessed at that number"
        }
    });
    let words: Vec<&str> = words.collect();
    format!("for {item}: {}", words.join(", or "))
}

/// Whether a drain ended by itself.
fn ends(judge: &Judge<'_, '_>, index: usize) -> Look {
    let runs = judge.runs(index, 0, Role::Step);
    let at = runs.first().map_or(place(judge, index), |(at, _)| *at);
    let exchange = &judge.exchanges[at];
    let finding = match &exchange.outcome {
        Outcome::Failure(failure) if failure.kind == FailureKind::Timeout => Finding::broken(format!(
            "it still waited after {:.0} s",
            seconds(exchange.took_us)
        )),
        _ if judge.requests(index, 0).is_empty() => {
            unknown("the relay sent nothing in this step", Verdict::Blocked)
        }
        _ => Finding::Holds,
    };
    Look {
        name: "end",
        expected: "the attempt is given up within a minute".to_owned(),
        at,
        finding,
    }
}

/// Whether a loop ended when it was asked to.
fn ends_when_asked(judge: &Judge<'_, '_>, index: usize) -> Look {
    let runs = judge.runs(index, 0, Role::Step);
    // What is enqueued meanwhile has ended by itself.
    let is_loop = |(at, _): &&(usize, Output)| {
        let options = super::outputs::options(&judge.exchanges[*at]);
        options.get("").is_some_and(|command| command == "drain-loop")
    };
    let at = runs
        .iter()
        .find(is_loop)
        .map_or(place(judge, index), |(at, _)| *at);
    let exchange = &judge.exchanges[at];
    let finding = match &exchange.outcome {
        _ if judge.requests(index, 0).is_empty() => unknown("the loop sent nothing", Verdict::Blocked),
        Outcome::Answer(_) => Finding::Holds,
        Outcome::Failure(failure) if failure.kind == FailureKind::Timeout => Finding::broken(format!(
            "it was asked to end (SIGTERM), and still ran {:.0} s after its start",
            seconds(exchange.took_us)
        )),
        Outcome::Failure(failure) => unknown(failure.message.clone(), Verdict::Blocked),
    };
    Look {
        name: "end",
        expected: "the loop ends when it is asked to (SIGTERM)".to_owned(),
        at,
        finding,
    }
}

fn seconds(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64()
}

/// Whether something arrived at last, and how long it had rested before.
fn retried(judge: &Judge<'_, '_>, index: usize, retry: &Retry) -> Vec<Look> {
    let at = place(judge, index);
    let expected = "the item is tried again".to_owned();
    let own: Vec<&Delivery> = judge
        .deliveries
        .iter()
        .filter(|it| it.step == Some(index))
        .collect();
    if retry.until_dead {
        return vec![dies(judge, index)];
    }
    if let Some(item) = &retry.until {
        return vec![goes_on(judge, index, item)];
    }
    let Some(delivery) = own.first() else {
        let began = judge.deliveries.last().map_or(0, |before| before.answered_us);
        let ended = judge
            .exchanges
            .iter()
            .filter(|it| it.step == Some(index))
            .map(|it| it.at_us)
            .max()
            .unwrap_or(0);
        let waited = ended.saturating_sub(began);
        let finding = match (retry.may_be_late, waited > LONGEST_REST_US) {
            (_, true) => Finding::broken(format!("nothing was sent for {:.0} s", seconds(waited))),
            (may_be_late, false) => unknown(
                format!(
                    "the relay sent nothing for {:.0} s, which it may; --slow waits longer",
                    seconds(waited)
                ),
                // Where nothing else shows it, the run was too short, and that is not the relay's fault.
                if may_be_late {
                    Verdict::NotApplicable
                } else {
                    Verdict::Error
                },
            ),
        };
        return vec![Look {
            name: "retry",
            expected,
            at,
            finding,
        }];
    };
    if !retry.rests {
        return vec![Look {
            name: "retry",
            expected,
            at: delivery.at,
            finding: Finding::Holds,
        }];
    }
    vec![Look {
        name: "rest",
        expected: "the item rests before it is tried again, and not for less than before".to_owned(),
        at: delivery.at,
        finding: rested(judge, index, delivery),
    }]
}

/// Whether an item arrived that was due, whatever became of others.
fn goes_on(judge: &Judge<'_, '_>, index: usize, item: &str) -> Look {
    let of_step = || judge.exchanges.iter().filter(|it| it.step == Some(index));
    let own = judge.deliveries.iter().filter(|it| it.step == Some(index));
    let found = own.clone().find(|it| judge.item(&it.place()) == Some(item));
    let waited = of_step().map(|it| it.at_us + it.took_us).max().unwrap_or(0)
        - of_step().map(|it| it.at_us).min().unwrap_or(0);
    let finding = match found {
        Some(_) => Finding::Holds,
        None => Finding::broken(format!(
            "it did not arrive within {:.1} s, in which others were tried {} times",
            seconds(waited),
            own.count()
        )),
    };
    Look {
        name: "retry",
        expected: format!("{item} arrives, which is due"),
        at: found.map_or(place(judge, index), |delivery| delivery.at),
        finding,
    }
}

fn rested(judge: &Judge<'_, '_>, index: usize, delivery: &Delivery) -> Finding {
    let same = |other: &&Delivery| other.place() == delivery.place() && other.came_us < delivery.came_us;
    let before: Vec<&Delivery> = judge.deliveries.iter().filter(same).collect();
    let Some(last) = before.last() else {
        return unknown("there was no attempt before", Verdict::Blocked);
    };
    let rest = delivery.came_us.saturating_sub(last.answered_us);
    let was_idle = judge
        .runs(index, 0, Role::Step)
        .iter()
        .any(|(_, output)| output.is_idle());
    if !was_idle && rest < SHORTEST_REST_US {
        return Finding::broken(format!(
            "the next drain sent it again, {:.3} s after it had failed",
            seconds(rest)
        ));
    }
    if let [.., one, two] = before.as_slice() {
        let earlier = rested_at_least(judge, one, two);
        if rest + earlier / 4 + REST_MARGIN_US < earlier {
            return Finding::broken(format!(
                "it had rested for {:.1} s or longer, and then for {:.1} s",
                seconds(earlier),
                seconds(rest)
            ));
        }
    }
    Finding::Holds
}

/// How long an item rested between two attempts, microseconds: until the last drain began that found nothing due. What came
/// after that may have been the program's own start, or the machine's load.
fn rested_at_least(judge: &Judge<'_, '_>, one: &Delivery, two: &Delivery) -> u64 {
    let between = judge
        .exchanges
        .iter()
        .filter(|it| it.at_us > one.answered_us && it.at_us < two.came_us);
    let idle = between.filter(|it| Output::of(it).is_idle());
    idle.map(|it| it.at_us - one.answered_us).max().unwrap_or(0)
}

/// Whether a loop lets an item rest whose attempt failed: it need not start anew for the next one.
fn rests_in_the_loop(judge: &Judge<'_, '_>, index: usize) -> Look {
    let own: Vec<&Delivery> = judge
        .deliveries
        .iter()
        .filter(|it| it.step == Some(index))
        .collect();
    let restless = own.windows(2).find(|pair| {
        let rest = pair[1].came_us.saturating_sub(pair[0].answered_us);
        pair[0].place() == pair[1].place() && rest < NO_REST_US
    });
    let finding = match (restless, own.is_empty()) {
        (_, true) => unknown("the loop sent nothing", Verdict::Blocked),
        (Some(pair), _) => Finding::broken(format!(
            "the loop sent it again {:.3} s after it had failed",
            seconds(pair[1].came_us.saturating_sub(pair[0].answered_us))
        )),
        (None, _) => Finding::Holds,
    };
    Look {
        name: "rest",
        expected: "the item rests before it is tried again".to_owned(),
        at: restless.map_or(place(judge, index), |pair| pair[1].at),
        finding,
    }
}

/// Whether the item was dead at last.
fn dies(judge: &Judge<'_, '_>, index: usize) -> Look {
    let runs = judge.runs(index, 0, Role::Step);
    let last = runs
        .iter()
        .rev()
        .find_map(|(at, output)| Some((*at, output.event()?.1)));
    let at = last.as_ref().map_or(place(judge, index), |(at, _)| *at);
    let finding = match last {
        Some((_, state)) if state == "dead" => Finding::Holds,
        Some((_, state)) => {
            let attempts = judge.requests(index, 0).len();
            let count = crate::text::count(attempts, "further attempt");
            let reason = format!("after {count} the item was still {state}; the relay may try for longer");
            unknown(reason, Verdict::NotApplicable)
        }
        None => unknown("the relay does not tell the state of the item", Verdict::Blocked),
    };
    Look {
        name: "death",
        expected: "the item is dead at last".to_owned(),
        at,
        finding,
    }
}

fn sent(judge: &Judge<'_, '_>, index: usize, step: &Step) -> Option<Look> {
    let wanted = step.sent?;
    let runs = judge.runs(index, 0, Role::Step);
    let said: Vec<(usize, bool)> = runs
        .iter()
        .filter_map(|(at, output)| Some((*at, output.sent()?)))
        .collect();
    let at = said.first().map_or(place(judge, index), |(at, _)| *at);
    let finding = match said.iter().any(|(_, sent)| *sent) {
        _ if said.is_empty() => unknown(
            "the drain does not say whether it sent something",
            Verdict::Blocked,
        ),
        any if any == wanted => Finding::Holds,
        true => Finding::broken("it says that it sent something"),
        false => Finding::broken(errors(&runs)),
    };
    let expected = if wanted {
        "the drain says sent: true"
    } else {
        "the drain says sent: false"
    };
    Some(Look {
        name: "sent",
        expected: expected.to_owned(),
        at,
        finding,
    })
}

/// What drains say went wrong.
fn errors(runs: &[(usize, Output)]) -> String {
    let error = runs.iter().find_map(|(_, output)| {
        output
            .with("error")?
            .get("error")
            .filter(|it| !it.is_null())
            .map(cut)
    });
    match error {
        Some(error) => format!("it says sent: false, with the error {error}"),
        None => "it says sent: false".to_owned(),
    }
}

fn delivered(judge: &Judge<'_, '_>, index: usize, step: &Step) -> Option<Look> {
    let mut wanted = step.delivers.clone()?;
    let own = judge
        .deliveries
        .iter()
        .filter(|delivery| delivery.step == Some(index));
    let name = |delivery: &Delivery| {
        judge
            .item(&delivery.place())
            .unwrap_or("something else")
            .to_owned()
    };
    let mut got: Vec<String> = own.clone().map(name).collect();
    let at = own
        .clone()
        .next_back()
        .map_or(place(judge, index), |delivery| delivery.at);
    wanted.sort();
    got.sort();
    let list = |items: &[String]| {
        if items.is_empty() {
            "nothing".to_owned()
        } else {
            items.join(", ")
        }
    };
    let finding = match wanted == got {
        true => Finding::Holds,
        false => Finding::broken(format!("{} arrived", list(&got))),
    };
    let expected = format!("{} arrives at the receiver", list(&wanted));
    Some(Look {
        name: "delivery",
        expected,
        at,
        finding,
    })
}

/// Whether no item arrived twice.
fn once(judge: &Judge<'_, '_>, index: usize, step: &Step) -> Option<Look> {
    let own: Vec<&Delivery> = judge
        .deliveries
        .iter()
        .filter(|it| step.once && it.step == Some(index))
        .collect();
    let Some(last) = own.last() else {
        // Who was held up and gave up sent nothing twice, and shows nothing.
        let unread = || unknown_look(place(judge, index), NOBODY_WAITS, Verdict::NotApplicable);
        return step.all_read_first.then(unread);
    };
    let twice = own
        .iter()
        .enumerate()
        .find(|(at, it)| own[..*at].iter().any(|other| other.place() == it.place()));
    let finding = match twice {
        None => Finding::Holds,
        Some((_, delivery)) => {
            let item = judge.item(&delivery.place()).unwrap_or("an item").to_owned();
            Finding::broken(format!("{item} arrived more than once"))
        }
    };
    Some(Look {
        name: "delivery",
        expected: "no item arrives twice".to_owned(),
        at: twice.map_or(last.at, |(_, delivery)| delivery.at),
        finding,
    })
}

fn payload(judge: &Judge<'_, '_>, index: usize, step: &Step) -> Option<Look> {
    let kind = step.payload?;
    let last = judge
        .deliveries
        .iter()
        .rfind(|delivery| delivery.step == Some(index))?;
    let item = judge.item(&last.place())?;
    let finding = match crate::json::equal(&judge.names.payload(item, kind), &last.payload) {
        true => Finding::Holds,
        false => Finding::broken(format!("the payload is {}", cut(&last.payload))),
    };
    Some(Look {
        name: "payload",
        expected: "the payload that was enqueued first".to_owned(),
        at: last.at,
        finding,
    })
}

/// Whether an answer that is no acknowledgement was taken for none.
fn rejected(judge: &Judge<'_, '_>, index: usize, round: usize, reply: Reply, step: &Step) -> Look {
    let waits = step.answer.contains(&Expected::Waiting);
    let expected = match waits {
        true => "the attempt failed, and the item waits for another",
        false => "the attempt failed, and the item is not delivered",
    };
    let requests = judge.requests(index, round);
    let drains = judge.runs(index, round, Role::Step);
    let audits = judge.runs(index, round, Role::Audit);
    let at = drains.first().map_or(place(judge, index), |(at, _)| *at);
    let elsewhere = requests
        .iter()
        .find(|at| judge.exchanges[**at].request.service != RECEIVER);
    let says_sent = drains.iter().any(|(_, output)| output.sent() == Some(true));
    let state = audits
        .iter()
        .find_map(|(_, output)| output.event())
        .map(|(_, state)| state);
    let is_delivered = state.as_deref() == Some("delivered");
    let tells = drains
        .iter()
        .any(|(_, output)| output.sent().is_some() || output.code.is_some());
    let finding = match (elsewhere, says_sent, is_delivered) {
        (Some(at), ..) => {
            let other = &judge.exchanges[*at].request;
            Finding::broken(format!(
                "after {} it sent {} {} to another address",
                reply.about(),
                visible_cut(&other.method, 12),
                visible_cut(&other.path, 60)
            ))
        }
        _ if requests.is_empty() && is_over_https(judge, index) && !trusts(judge, index) => unknown(
            "nothing arrived over https: the program may trust other authorities alone",
            Verdict::NotApplicable,
        ),
        _ if requests.is_empty() => unknown(
            format!("the relay sent nothing that {} could answer", reply.about()),
            Verdict::Blocked,
        ),
        (None, true, true) => Finding::broken(format!(
            "with {} it says sent: true, and the item is delivered",
            reply.about()
        )),
        (None, true, false) => Finding::broken(format!("with {} it says sent: true", reply.about())),
        (None, false, true) => Finding::broken(format!("with {} the item is delivered", reply.about())),
        (None, false, false) if state.is_none() && !tells => unknown(
            format!(
                "with {} neither the drain nor the item's state says anything",
                reply.about()
            ),
            Verdict::Blocked,
        ),
        (None, false, false) if waits && state.as_deref() == Some("dead") => {
            Finding::broken(format!("after {} the item is dead", reply.about()))
        }
        (None, false, false) => Finding::Holds,
    };
    Look {
        name: "answer",
        expected: expected.to_owned(),
        at: elsewhere.copied().unwrap_or(at),
        finding,
    }
}

/// Whether an endpoint got what it may get, and nothing else did. None where this system cannot have it.
fn endpoint(judge: &Judge<'_, '_>, index: usize, round: usize, place: Place) -> Option<Look> {
    let drains = judge.runs(index, round, Role::Step);
    let at = drains.first()?.0;
    let requests = judge.requests(index, round);
    let says_sent = drains.iter().any(|(_, output)| output.sent() == Some(true));
    if place.is_registered() {
        let finding = match requests.is_empty() {
            true => unknown(
                "nothing arrived over https: the program may trust other authorities alone",
                Verdict::NotApplicable,
            ),
            false => Finding::Holds,
        };
        return Some(Look {
            name: "endpoint",
            expected: "the item arrives over https".to_owned(),
            at,
            finding,
        });
    }
    let finding = match requests.first() {
        Some(at) => {
            let request = &judge.exchanges[*at].request;
            Finding::broken(format!(
                "{} got {} {}",
                place.about(),
                request.method,
                visible_cut(&request.path, 60)
            ))
        }
        None if says_sent => Finding::broken(format!("it says sent: true for {}", place.about())),
        None if needs_trust(place) && !trusts(judge, index) => unknown(
            "nothing arrived over https: the program may trust other authorities alone",
            Verdict::NotApplicable,
        ),
        None => Finding::Holds,
    };
    let expected = match place {
        Place::Nobody => "the attempt failed",
        _ => "nothing is sent to such an endpoint",
    };
    Some(Look {
        name: "endpoint",
        expected: expected.to_owned(),
        at: requests.first().copied().unwrap_or(at),
        finding,
    })
}

fn is_over_https(judge: &Judge<'_, '_>, index: usize) -> bool {
    matches!(judge.case.steps[index].act, Act::RejectOverHttps(_))
}

fn needs_trust(place: Place) -> bool {
    matches!(place, Place::Expired | Place::WrongHost)
}

/// Whether the program was seen to trust the authority of the run before a step.
fn trusts(judge: &Judge<'_, '_>, index: usize) -> bool {
    let steps = judge.case.steps[..index].iter().enumerate();
    let https = steps.filter_map(|(at, step)| match &step.act {
        Act::Endpoints(places) => Some((at, places.iter().position(|place| *place == Place::Https)?)),
        _ => None,
    });
    let mut https = https;
    https.any(|(step, round)| !judge.requests(step, round).is_empty())
}

fn files(judge: &Judge<'_, '_>, index: usize) -> Vec<Look> {
    let is_look = |exchange: &Exchange| exchange.step == Some(index) && exchange.request.method == LOOK;
    let Some(at) = judge.exchanges.iter().position(is_look) else {
        return Vec::new();
    };
    let answer = judge.exchanges[at].outcome.answer();
    let seen: Value = answer
        .and_then(|it| serde_json::from_slice(it.body.as_bytes()).ok())
        .unwrap_or_default();
    let all = seen["files"].as_array().cloned().unwrap_or_default();
    let readable = all.iter().find(|file| {
        file["payloadReadableAs"]
            .as_array()
            .is_some_and(|forms| !forms.is_empty())
    });
    let kept = match readable {
        _ if all.is_empty() => unknown("there is no spool file where the variable says", Verdict::Blocked),
        Some(file) => Finding::broken(format!(
            "the payload stands in {} as {}",
            cut(&file["name"]),
            cut(&file["payloadReadableAs"])
        )),
        None => Finding::Holds,
    };
    let spool = all.iter().find(|file| file["spool"] == true);
    let mode = match spool.map(|file| &file["othersMayRead"]) {
        None => unknown("there is no spool file where the variable says", Verdict::Blocked),
        Some(Value::Bool(true)) => Finding::broken("others than the owner may read the spool file"),
        Some(Value::Bool(false)) => Finding::Holds,
        Some(_) => unknown("this system has no such thing", Verdict::NotApplicable),
    };
    let look = |name, expected: &str, finding| Look {
        name,
        expected: expected.to_owned(),
        at,
        finding,
    };
    vec![
        look(
            "files",
            "no file holds the payload in a form that can be read",
            kept,
        ),
        look("mode", "the owner alone may read the spool file", mode),
    ]
}

fn witnessed(judge: &Judge<'_, '_>, index: usize, step: &Step) -> Look {
    let runs = judge.runs(index, 0, Role::Step);
    let expected = step.expected();
    let Some((at, output)) = runs.first() else {
        return unknown_look(place(judge, index), "the command was not run", Verdict::Blocked);
    };
    let said = Witnessed::of(output);
    let finding = match output.code {
        None => unknown("the command did not end by itself", Verdict::Blocked),
        Some(_)
            if expected
                .iter()
                .any(|expected| witness_fits(judge, *at, &said, *expected)) =>
        {
            Finding::Holds
        }
        Some(_) => Finding::broken(format!("{}, with {}", said.about(), output.how())),
    };
    Look {
        name: "answer",
        expected: words(&expected, "the checkpoint"),
        at: *at,
        finding,
    }
}

fn witness_fits(judge: &Judge<'_, '_>, at: usize, said: &Witnessed, expected: Expected) -> bool {
    let submitted = Submitted::of(&judge.exchanges[at]);
    match (expected, said) {
        (Expected::Accepted, Witnessed::Accepted { is_replay: false, .. })
        | (Expected::Fork, Witnessed::Fork { .. }) => true,
        (Expected::Refused, Witnessed::Nothing) => true,
        (Expected::Replayed, Witnessed::Accepted { receipt, is_replay }) => {
            *is_replay && judge.first_receipt_of(receipt).is_some_and(|first| first < at)
        }
        (Expected::ForkNamingTheKnown, Witnessed::Fork { evidence }) => {
            let known = submitted.and_then(|submitted| {
                let accepted = judge.accepted_before(at, &submitted);
                accepted
                    .into_iter()
                    .find(|other| other.number == submitted.number)
            });
            let members = evidence["evidence"].as_object();
            known.is_some_and(|known| {
                members.is_some_and(|members| members.values().any(|value| *value == known.hash))
            })
        }
        _ => false,
    }
}

/// Whether one checkpoint of a number was accepted and no other.
fn raced(judge: &Judge<'_, '_>, index: usize, step: &Step) -> Look {
    let runs = judge.runs(index, 0, Role::Step);
    let said: Vec<(usize, Witnessed)> = runs
        .iter()
        .map(|(at, output)| (*at, Witnessed::of(output)))
        .collect();
    let won = said
        .iter()
        .filter(|(_, said)| matches!(said, Witnessed::Accepted { .. }));
    let at = won.clone().next_back().map_or(place(judge, index), |(at, _)| *at);
    let finding = match won.count() {
        1 => Finding::Holds,
        0 => turned_all_away(step, runs.iter().map(|(_, output)| output))
            .unwrap_or_else(|| unknown("no checkpoint of the race was accepted", Verdict::Blocked)),
        many => Finding::broken(format!("{many} checkpoints of one number have a receipt")),
    };
    Look {
        name: "race",
        expected: "one checkpoint of the number has a receipt".to_owned(),
        at,
        finding,
    }
}
