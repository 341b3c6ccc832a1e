//! Requests of a race that failed: a gateway that had no server, a server that fell over, a connection that broke.
//!
//! Such an answer does not say whether the request was executed, and so is part of many orders. One now and then says nothing
//! about a rule. A status of the server's own that comes in round after round is what it answers to requests that meet, and
//! that the protocol says otherwise.

use std::collections::BTreeMap;

use super::parsed::ParsedExchange;
use crate::avp::Operation;
use crate::avp::outcome::AnswerClass;
use crate::judge::Finding;
use crate::record::verdict::Verdict;
use crate::record::{Role, is_of_gateway};

/// In so many rounds it must have been seen before it counts, and in one of so many.
const LEAST_ROUNDS_AND_ONE_IN: (usize, usize) = (3, 4);

/// What failed in the rounds of one race.
#[derive(Default)]
pub(super) struct Hitches {
    rounds: usize,
    requests: usize,
    /// In how many rounds something failed: with a status of the server's own, and with no answer.
    with_status: usize,
    without_answer: usize,
    /// How often, by what came.
    kinds: BTreeMap<String, usize>,
    /// The first such exchange, and what it asked for.
    first: Option<(usize, Option<Operation>)>,
}

/// Whether an answer says nothing about whether the request was executed.
pub(super) fn is_hitch(frame: &ParsedExchange<'_>) -> bool {
    match &frame.reading {
        AnswerClass::Status(status) => *status >= 500,
        AnswerClass::Failed(_) => true,
        _ => false,
    }
}

impl Hitches {
    /// Counts those of one round.
    pub(super) fn count(&mut self, frames: &[ParsedExchange<'_>]) {
        let frames = || frames.iter().filter(|frame| frame.exchange.role == Role::Step);
        let failed: Vec<&ParsedExchange<'_>> = frames().filter(|frame| is_hitch(frame)).collect();
        let own = |frame: &&&ParsedExchange<'_>| matches!(frame.reading, AnswerClass::Status(status) if !is_of_gateway(status));
        let mute = |frame: &&&ParsedExchange<'_>| matches!(frame.reading, AnswerClass::Failed(_));
        self.rounds += 1;
        self.requests += frames().count();
        self.with_status += usize::from(failed.iter().any(|frame| own(&frame)));
        self.without_answer += usize::from(failed.iter().any(|frame| mute(&frame)));
        for frame in &failed {
            *self.kinds.entry(frame.reading.describe()).or_default() += 1;
        }
        if let Some(first) = failed.iter().find(|frame| own(frame)).or(failed.first()) {
            self.first.get_or_insert((first.index, first.operation));
        }
    }

    /// What is said of them, and at which exchange; nothing where there are none. `flaky` says that requests that met
    /// nobody failed as well.
    pub(super) fn finding(&self, flaky: bool) -> Option<(usize, Finding)> {
        let (index, _) = self.first?;
        let often = |rounds: usize| {
            rounds >= LEAST_ROUNDS_AND_ONE_IN.0 && rounds * LEAST_ROUNDS_AND_ONE_IN.1 >= self.rounds
        };
        let kinds = self.kinds.iter().map(|(kind, count)| format!("{count} x {kind}"));
        let got = format!(
            "of {} requests in {} rounds: {}",
            self.requests,
            self.rounds,
            kinds.collect::<Vec<_>>().join("; ")
        );
        let finding = if often(self.with_status) && !flaky && self.requirement().is_some() {
            Finding::broken(got)
        } else {
            let verdict = match often(self.without_answer) {
                true => Verdict::Blocked,
                false => Verdict::NotApplicable,
            };
            Finding::Unknown { reason: got, verdict }
        };
        Some((index, finding))
    }

    /// The rule that says what the request is answered that meets another.
    pub(super) fn requirement(&self) -> Option<&'static str> {
        match self.first?.1? {
            Operation::CreateRepo => Some("AVP-6-02"),
            Operation::Push => Some("AVP-6-08"),
            Operation::AddMember => Some("AVP-6-11"),
            Operation::RemoveMember => Some("AVP-6-13"),
            Operation::Pull => Some("AVP-6-06"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::avp::VAULT;
    use crate::avp::judge::parsed::ParsedExchange;
    use crate::record::{Answer, Exchange, Failure, FailureKind, Outcome, Request};

    fn exchange(outcome: Outcome) -> Exchange {
        Exchange {
            step: Some(0),
            operation: Some(Operation::Push.into()),
            ..Exchange::new(
                Request {
                    service: VAULT,
                    method: "POST".to_owned(),
                    path: "/".to_owned(),
                    headers: Vec::new(),
                    body: None,
                },
                outcome,
                Duration::ZERO,
                Duration::ZERO,
            )
        }
    }

    /// What is said of eight rounds of two requests, in the first of which one came to this.
    fn said(rounds: usize, outcome: &Outcome, flaky: bool) -> Option<Finding> {
        let answered = |status| {
            Outcome::Answer(Answer {
                status,
                headers: Vec::new(),
                body: "{}".into(),
            })
        };
        let mut hitches = Hitches::default();
        for round in 0..8 {
            let odd = if round < rounds {
                outcome.clone()
            } else {
                answered(200)
            };
            let exchanges = [exchange(answered(200)), exchange(odd)];
            let frames: Vec<ParsedExchange<'_>> = exchanges
                .iter()
                .enumerate()
                .map(|(index, exchange)| ParsedExchange {
                    index,
                    exchange,
                    operation: Operation::of(exchange),
                    reading: AnswerClass::of(Operation::of(exchange), &exchange.outcome),
                    body: None,
                    request: None,
                })
                .collect();
            hitches.count(&frames);
        }
        hitches.finding(flaky).map(|(_, finding)| finding)
    }

    fn status(status: u16) -> Outcome {
        Outcome::Answer(Answer {
            status,
            headers: Vec::new(),
            body: "{}".into(),
        })
    }

    fn verdict(finding: Option<Finding>) -> Option<Verdict> {
        match finding? {
            Finding::Unknown { verdict, .. } => Some(verdict),
            Finding::Broken { .. } => Some(Verdict::Fail),
            Finding::Holds => Some(Verdict::Pass),
        }
    }

    #[test]
    fn a_status_counts_that_comes_round_after_round_to_requests_that_meet() {
        assert_eq!(verdict(said(0, &status(500), false)), None);
        let says = |rounds, status_code, flaky| verdict(said(rounds, &status(status_code), flaky));
        assert_eq!(says(2, 500, false), Some(Verdict::NotApplicable), "now and then");
        assert_eq!(says(3, 500, false), Some(Verdict::Fail));
        assert_eq!(
            says(3, 500, true),
            Some(Verdict::NotApplicable),
            "others fail as well"
        );
        assert_eq!(says(8, 503, false), Some(Verdict::NotApplicable), "a gateway's");
        let Some(Finding::Broken { got, .. }) = said(3, &status(500), false) else {
            panic!("nothing is broken");
        };
        assert_eq!(got, "of 16 requests in 8 rounds: 3 x status 500");
    }

    #[test]
    fn where_answers_stay_away_again_and_again_nothing_is_verified() {
        let silence = Outcome::Failure(Failure {
            kind: FailureKind::Timeout,
            message: "no answer within 5 s".to_owned(),
            begun: false,
        });
        assert_eq!(verdict(said(1, &silence, false)), Some(Verdict::NotApplicable));
        assert_eq!(verdict(said(4, &silence, false)), Some(Verdict::Blocked));
    }
}
