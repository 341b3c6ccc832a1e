//! Cases that may have suffered from the load that others put on the target: what went wrong in them for which load may be
//! the reason, and what is known to go wrong without any.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::case::{CaseHead, Heads, is_doubtful};
use crate::http::{Exchange, FailureKind, Outcome, Role, Side, Wire, is_of_gateway, micros};
use crate::record::CaseRecord;
use crate::record::verdict::Verdict;
use crate::session::operation_key;

/// Cases in which something went wrong that costs little time are driven again even where the same is known to go wrong
/// alone, until it did so often.
const PROVEN_TIMES: usize = 8;

/// A program under test waits for us as long as it likes. No sensible one gives up sooner than this.
const SLOW_TIME: Duration = Duration::from_secs(1);

/// What went wrong with an exchange.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trouble {
    kind: Kind,
    /// The operation, as patience calls it.
    pub(super) key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// No answer in time.
    Timeout,
    /// No connection.
    Connect,
    /// The connection ended before the answer was whole.
    Closed,
    /// A gateway had nobody to ask.
    Gateway,
    /// It was sent twice.
    Doubt,
    /// It was 429 for as long as it was tried.
    Throttled,
    /// A program ran so long that a time-out of its own may have been passed.
    Slow,
}

impl Trouble {
    fn of(suite: &Heads, case: &CaseHead, exchange: &Exchange) -> Option<Trouble> {
        // Where we are the server, what we answer or leave unanswered is as the case says, and no trouble.
        if exchange.role == Role::Abandoned || exchange.side == Side::Answered {
            return None;
        }
        let kind = match &exchange.outcome {
            _ if is_doubtful(suite.rules.operations, exchange) => Kind::Doubt,
            Outcome::Failure(failure) => match failure.kind {
                FailureKind::Timeout => Kind::Timeout,
                FailureKind::Connect => Kind::Connect,
                FailureKind::Closed | FailureKind::Reset => Kind::Closed,
                _ => return None,
            },
            Outcome::Answer(answer) if is_of_gateway(answer.status) => Kind::Gateway,
            Outcome::Answer(_) if exchange.wire == Wire::Command && exchange.took_us >= micros(SLOW_TIME) => {
                Kind::Slow
            }
            Outcome::Answer(_) => return None,
        };
        let step = exchange.step.and_then(|step| case.steps.get(step));
        let races = exchange.role == Role::Step && step.is_some_and(|step| step.is_race);
        let operation = operation_key(exchange);
        let key = match races {
            true => format!("concurrent {operation}"),
            false => operation.to_owned(),
        };
        Some(Trouble { kind, key })
    }

    pub(super) fn is_timeout(&self) -> bool {
        self.kind == Kind::Timeout
    }

    /// Whether it happens to programs that are in order too, and is no reason to drive a case a third time.
    pub(super) fn is_slow(&self) -> bool {
        self.kind == Kind::Slow
    }
}

/// What went wrong in a case that did not come out well. Empty where load cannot be the reason.
pub(super) fn troubles(suite: &Heads, case: &CaseHead, record: &CaseRecord) -> Vec<Trouble> {
    if matches!(record.verdict, Verdict::Pass | Verdict::NotApplicable) {
        return Vec::new();
    }
    let mut troubles: Vec<Trouble> = record
        .exchanges
        .iter()
        .filter_map(|exchange| Trouble::of(suite, case, exchange))
        .collect();
    // It waited for others to let it through, until it gave up.
    let last = record.exchanges.last();
    if let Some(last) = last.filter(|last| last.role == Role::Throttled)
        && last.outcome.answer().is_some_and(|answer| answer.status == 429)
    {
        troubles.push(Trouble {
            kind: Kind::Throttled,
            key: operation_key(last).to_owned(),
        });
    }
    troubles.sort();
    troubles.dedup();
    troubles
}

/// What is known to go wrong with nothing beside it, and in how many cases it did.
#[derive(Debug, Default)]
pub(super) struct Proven(BTreeMap<Trouble, usize>);

impl Proven {
    /// What went wrong in both attempts alone.
    pub(super) fn add(&mut self, first: &[Trouble], second: Vec<Trouble>) -> Vec<Trouble> {
        let both: Vec<Trouble> = second
            .into_iter()
            .filter(|trouble| first.contains(trouble))
            .collect();
        for trouble in &both {
            *self.0.entry(trouble.clone()).or_default() += 1;
        }
        both
    }

    /// Whether all of it is known, so that nothing is to be learned from driving the case again.
    pub(super) fn explains(&self, troubles: &[Trouble]) -> bool {
        let enough = |trouble: &Trouble| match trouble.kind {
            Kind::Timeout | Kind::Connect | Kind::Throttled => 1,
            Kind::Closed | Kind::Gateway | Kind::Doubt | Kind::Slow => PROVEN_TIMES,
        };
        let known = |trouble: &Trouble| self.0.get(trouble).is_some_and(|times| *times >= enough(trouble));
        troubles.iter().all(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attesto::ATTESTO;
    use crate::avp::Operation;
    use crate::record::samples;

    fn ran(wire: Wire, took: Duration) -> Exchange {
        Exchange {
            wire,
            took_us: micros(took),
            ..samples::exchange("program", Operation::Pull.into(), 200)
        }
    }

    #[test]
    fn a_program_that_took_long_may_have_passed_its_own_time_out_and_a_server_waits_for_nobody() {
        let suite = (ATTESTO.load)((ATTESTO.sources)()).unwrap_or_else(|problems| panic!("{problems:?}"));
        let trouble = |wire, took| Trouble::of(&suite, &suite.cases[0], &ran(wire, took));
        assert!(trouble(Wire::Command, SLOW_TIME).is_some_and(|it| it.is_slow()));
        assert_eq!(trouble(Wire::Command, SLOW_TIME - Duration::from_millis(1)), None);
        assert_eq!(trouble(Wire::Http, SLOW_TIME), None);
    }
}
