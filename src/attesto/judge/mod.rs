//! Judges a case by what was seen: what the commands answered, and what came to the receivers.

mod deliveries;
mod outputs;
mod steps;
mod witness;

use std::collections::BTreeMap;

use serde_json::Value;

use super::cases::{Act, Enqueue, Step};
use super::driver::RUN;
use super::names::{Kind, Names};
use super::protocol::catalogue;
use crate::case::file::ReadCase;
use crate::judge::{Checks, Context, Finding, Subject, case_record, without_witness};
use crate::record::transcript::{PRIVATE_KEY_MARK, Transcript};
use crate::record::{CaseRecord, Exchange, Role, Side, Stopped};
use deliveries::Delivery;
use outputs::{Output, Witnessed, options};
use witness::Submitted;

/// Judges one case.
pub(super) fn judge(case: &ReadCase<Step>, transcript: Transcript, context: &Context<'_>) -> CaseRecord {
    let mut checks = Checks::new(&case.head, catalogue(), context.spec, None);
    let names = Names::new(context.seed, context.generation, &case.head.id);
    let mut judge = Judge {
        case,
        checks: &mut checks,
        exchanges: &transcript.exchanges,
        stopped: transcript.stopped.as_ref(),
        deliveries: deliveries::deliveries(&transcript.exchanges),
        items: items(case, &names),
        names,
    };
    judge.secrets();
    deliveries::judge(&mut judge);
    witness::judge(&mut judge);
    steps::judge(&mut judge);
    let is_grounded = judge.is_grounded();
    let mut records = checks.records();
    if !is_grounded {
        without_witness(transcript.stopped.as_ref(), &mut records);
    }
    case_record(&case.head, transcript, records)
}

/// The id of a requirement as it stands in the catalogue.
fn requirement(id: &str) -> Option<&'static str> {
    catalogue().get(id).map(|requirement| requirement.id.as_str())
}

struct Judge<'a, 'c> {
    case: &'a ReadCase<Step>,
    checks: &'a mut Checks<'c>,
    exchanges: &'a [Exchange],
    stopped: Option<&'a Stopped>,
    deliveries: Vec<Delivery>,
    /// What was enqueued under a stream and a reference: the item, and its payloads in their order.
    items: BTreeMap<(String, String), (String, Vec<Kind>)>,
    names: Names,
}

/// All that a case enqueues.
fn items(case: &ReadCase<Step>, names: &Names) -> BTreeMap<(String, String), (String, Vec<Kind>)> {
    let mut items: BTreeMap<(String, String), (String, Vec<Kind>)> = BTreeMap::new();
    let mut add = |item: &str, stream: &str, kind: Kind| {
        let place = (names.stream(stream), names.source(item));
        items
            .entry(place)
            .or_insert_with(|| (item.to_owned(), Vec::new()))
            .1
            .push(kind);
    };
    let mut add_all = |all: &[Enqueue]| all.iter().for_each(|it| add(&it.item, &it.stream, it.payload));
    for step in &case.steps {
        match &step.act {
            Act::Enqueue(enqueue) => add_all(std::slice::from_ref(enqueue)),
            Act::Loop(lasting) => add_all(&lasting.meanwhile),
            _ => {}
        }
    }
    for (index, step) in case.steps.iter().enumerate() {
        let rounds = match &step.act {
            Act::Reject(replies) | Act::RejectOverHttps(replies) => replies.len(),
            Act::Endpoints(places) => places.len(),
            _ => 0,
        };
        for round in 0..rounds {
            add(&format!("x{index}-{round}"), "main", Kind::Plain);
        }
    }
    items
}

impl Judge<'_, '_> {
    /// Notes a look that belongs to no step.
    fn note(&mut self, name: &'static str, id: &str, expected: &'static str, at: usize, finding: Finding) {
        let subject = Subject {
            step: None,
            name,
            requirements: requirement(id).into_iter().collect(),
            expected: expected.into(),
        };
        self.checks.note(subject, at, finding);
    }

    /// The item of a stream and a reference.
    fn item(&self, place: &(String, String)) -> Option<&str> {
        self.items.get(place).map(|(item, _)| item.as_str())
    }

    /// The payloads that were enqueued under a stream and a reference.
    fn payloads(&self, place: &(String, String)) -> Vec<Value> {
        let Some((item, kinds)) = self.items.get(place) else {
            return Vec::new();
        };
        kinds.iter().map(|kind| self.names.payload(item, *kind)).collect()
    }

    /// When the item of a delivery was first enqueued: the begin and the end of the command.
    fn enqueued_at(&self, delivery: &Delivery) -> Option<(u64, u64)> {
        let (stream, source) = delivery.place();
        let enqueued = self.exchanges.iter().find(|exchange| {
            let options = options(exchange);
            exchange.request.method == RUN
                && options.get("stream-id") == Some(&stream)
                && options.get("source-ref") == Some(&source)
        });
        enqueued.map(|exchange| (exchange.at_us, exchange.at_us + exchange.took_us))
    }

    /// The witness that a command was told to be.
    fn witness_at(&self, at: usize) -> String {
        let step = self.exchanges[at].step.and_then(|step| self.case.steps.get(step));
        match step.map(|step| &step.act) {
            Some(Act::Witness(checkpoint)) => self.names.witness(&checkpoint.witness),
            _ => self.names.installation(),
        }
    }

    /// The first command that was answered with this receipt.
    fn first_receipt_of(&self, receipt: &Value) -> Option<usize> {
        let has = |exchange: &Exchange| {
            Submitted::of(exchange).is_some()
                && matches!(Witnessed::of(&Output::of(exchange)), Witnessed::Accepted { receipt: other, .. } if other == *receipt)
        };
        self.exchanges.iter().position(has)
    }

    /// What was accepted in the scope of a submission before a command: the numbers and the checkpoints, in their order. Nothing
    /// of a race, since its order is not known.
    fn accepted_before(&self, at: usize, submitted: &Submitted) -> Vec<Submitted> {
        let (own_step, witness) = (self.exchanges[at].step, self.witness_at(at));
        let mut accepted = Vec::new();
        for (before, exchange) in self.exchanges.iter().enumerate() {
            if exchange.step >= own_step || self.witness_at(before) != witness {
                continue;
            }
            let Some(other) = Submitted::of(exchange) else {
                continue;
            };
            let is_progress = matches!(
                Witnessed::of(&Output::of(exchange)),
                Witnessed::Accepted { is_replay: false, .. }
            );
            if is_progress && other.tenant == submitted.tenant && other.stream == submitted.stream {
                accepted.push(other);
            }
        }
        accepted
    }

    /// The last checkpoint that was accepted in the scope of a submission before a command; none where that is not known.
    fn last_accepted_before(&self, at: usize, submitted: &Submitted) -> Option<Submitted> {
        let step = self.exchanges[at].step.and_then(|step| self.case.steps.get(step));
        let is_race = step.is_some_and(|step| matches!(step.act, Act::WitnessRace(_)));
        self.accepted_before(at, submitted).pop().filter(|_| !is_race)
    }

    /// Looks for keys in all that the program sent and wrote.
    fn secrets(&mut self) {
        for at in 0..self.exchanges.len() {
            let exchange = &self.exchanges[at];
            let is_marked = |text: &str| text.contains(PRIVATE_KEY_MARK);
            let (said, id) = match exchange.side {
                Side::Answered => {
                    let request = &exchange.request;
                    let body = request.body.as_ref().map(|body| body.to_text().into_owned());
                    let in_headers = request.headers.iter().any(|(_, value)| is_marked(value));
                    (
                        in_headers || is_marked(&request.path) || body.is_some_and(|body| is_marked(&body)),
                        "ALV-SEC-01",
                    )
                }
                Side::Asked if exchange.request.method == RUN => {
                    let answer = exchange.outcome.answer();
                    let said = answer.is_some_and(|answer| {
                        is_marked(&answer.body.to_text())
                            || answer.headers.iter().any(|(_, value)| is_marked(value))
                    });
                    let id = if Submitted::of(exchange).is_some() {
                        "ALV-WIT-08"
                    } else {
                        "ALV-SEC-01"
                    };
                    (said, id)
                }
                Side::Asked => continue,
            };
            let finding = match said {
                true => Finding::broken("a private key or the encryption key stands in it"),
                false => Finding::Holds,
            };
            self.note(
                "keys",
                id,
                "no private key, and no encryption key, in any encoding",
                at,
                finding,
            );
        }
    }

    /// Whether anything shows that the program works at all: an acknowledged delivery that it says was sent, or a receipt.
    fn is_grounded(&self) -> bool {
        let is_delivered = |delivery: &Delivery| {
            let of_step = self
                .exchanges
                .iter()
                .filter(|it| it.step == delivery.step && it.round == delivery.round);
            let mut outputs = of_step.map(Output::of);
            delivery.is_acknowledged
                && outputs.any(|output| {
                    output.sent() == Some(true)
                        || output.event().is_some_and(|(_, state)| state == "delivered")
                })
        };
        let is_accepted = |exchange: &Exchange| {
            Submitted::of(exchange).is_some()
                && matches!(Witnessed::of(&Output::of(exchange)), Witnessed::Accepted { .. })
        };
        self.deliveries.iter().any(is_delivered) || self.exchanges.iter().any(is_accepted)
    }

    /// The commands of a step and a round, with what they wrote.
    fn runs(&self, step: usize, round: usize, role: Role) -> Vec<(usize, Output)> {
        let is_of = |exchange: &Exchange| {
            exchange.step == Some(step)
                && exchange.round == round
                && exchange.role == role
                && exchange.side == Side::Asked
                && exchange.request.method == RUN
        };
        let own = self.exchanges.iter().enumerate().filter(|(_, it)| is_of(it));
        own.map(|(at, exchange)| (at, Output::of(exchange))).collect()
    }

    /// The requests that came to any receiver in a step and a round.
    fn requests(&self, step: usize, round: usize) -> Vec<usize> {
        let is_of = |it: &Exchange| it.step == Some(step) && it.round == round && it.side == Side::Answered;
        let own = self.exchanges.iter().enumerate().filter(|(_, it)| is_of(it));
        own.map(|(at, _)| at).collect()
    }
}
