//! Turns a stored case into a shell script that makes its requests again with curl and openssl, and its calls over gRPC with
//! grpcurl.
//!
//! A bare request would not do: a fresh nonce must be signed, and repositories are made once. The script makes its own
//! throw-away keys and repository ids and puts them where the run had its own. What the members alone can read
//! (ciphertexts, wrapped keys) stays as it was recorded: the server sees bytes.

mod script;
mod shell;
mod tainted;

use crate::avp::actors;
use crate::http::{Exchange, Role, Wire};
use crate::keys::Seed;
use crate::protocol::Reach;
use crate::record::{CaseRecord, CheckRecord, Record};

/// What a script is made of.
struct Plan<'a> {
    record: &'a Record,
    reach: &'a Reach,
    case: &'a CaseRecord,
    seed: Seed,
    /// The exchange that shows it.
    decisive: usize,
    /// What was found there, if anything.
    check: Option<&'a CheckRecord>,
}

/// The script for a case of a record: the step with that index, else the first that is broken, else the last.
///
/// # Errors
/// The case has no exchange to repeat, or the step does not exist: one sentence.
pub fn script(
    record: &Record,
    case: &CaseRecord,
    step: Option<usize>,
    reach: &Reach,
) -> Result<String, String> {
    let seed = record
        .seed
        .parse()
        .map_err(|error| format!("the seed of the report cannot be read: {error}"))?;
    let (decisive, check) = decisive(case, step)?;
    let plan = Plan {
        record,
        reach,
        case,
        seed,
        decisive,
        check,
    };
    Ok(script::write(&plan))
}

/// The exchange to come to, and what was wrong with it.
fn decisive(case: &CaseRecord, step: Option<usize>) -> Result<(usize, Option<&CheckRecord>), String> {
    let of_step = |check: &&CheckRecord| match step {
        None => true,
        Some(step) => last(check)
            .and_then(|index| case.exchanges.get(index))
            .is_some_and(|exchange| exchange.step == Some(step)),
    };
    let broken = case
        .checks
        .iter()
        .filter(|check| check.is_broken())
        .filter(of_step);
    if let Some(check) = broken.max_by_key(|check| (check.verdict, std::cmp::Reverse(last(check))))
        && let Some(index) = last(check)
    {
        return Ok((index, Some(check)));
    }
    let wanted = |exchange: &Exchange| {
        exchange.role == Role::Step && step.is_none_or(|step| exchange.step == Some(step))
    };
    match (case.exchanges.iter().rposition(wanted), step) {
        (Some(index), _) => Ok((index, None)),
        (None, Some(step)) => Err(format!("{} made no request in step {}", case.id, step + 1)),
        (None, None) => Err(format!("{} made no request", case.id)),
    }
}

/// The last exchange that a check names and that is there.
fn last(check: &CheckRecord) -> Option<usize> {
    check.exchanges.iter().max().copied()
}

impl Plan<'_> {
    fn scope(&self) -> String {
        actors::scope(
            self.case.generation.unwrap_or(self.record.generation),
            &self.case.name(),
        )
    }

    /// Everybody who makes a request, in order.
    fn actors(&self) -> Vec<&str> {
        let mut actors: Vec<&str> = Vec::new();
        for actor in self.case.exchanges.iter().filter_map(|it| it.actor.as_deref()) {
            if !actors.contains(&actor) {
                actors.push(actor);
            }
        }
        actors
    }

    /// The exchanges that lead to the decisive one: of its own step those of its round, and those that changed something.
    fn exchanges(&self) -> Vec<(usize, &Exchange)> {
        let Some(end) = self.case.exchanges.get(self.decisive) else {
            return Vec::new();
        };
        let leads = |(_, exchange): &(usize, &Exchange)| {
            let granted = exchange
                .outcome
                .answer()
                .is_some_and(|answer| answer.status < 300);
            let same = (exchange.step, exchange.round) == (end.step, end.round);
            let earlier = exchange.step != end.step || (granted && exchange.role != Role::Audit);
            !matches!(exchange.role, Role::Throttled | Role::Abandoned)
                && (same || earlier || exchange.role == Role::Setup)
        };
        let all = self.case.exchanges.iter().enumerate();
        all.take(self.last_of_race() + 1).filter(leads).collect()
    }

    /// Whether any of them is a call over gRPC.
    fn calls(&self) -> bool {
        self.exchanges()
            .iter()
            .any(|(_, exchange)| exchange.wire == Wire::Grpc)
    }

    /// The end of the race that the decisive exchange is part of.
    fn last_of_race(&self) -> usize {
        let end = &self.case.exchanges[self.decisive];
        let same = |it: &&Exchange| (it.step, it.round, it.role) == (end.step, end.round, end.role);
        let more = self.case.exchanges[self.decisive + 1..].iter().take_while(same);
        match end.role == Role::Step && self.is_race(end) {
            true => self.decisive + more.count(),
            false => self.decisive,
        }
    }

    /// Whether a request went out together with others: they were noted with one beginning.
    fn is_race(&self, exchange: &Exchange) -> bool {
        let together = |it: &&Exchange| {
            it.role == Role::Step
                && (it.step, it.round, it.at_us) == (exchange.step, exchange.round, exchange.at_us)
        };
        exchange.role == Role::Step && self.case.exchanges.iter().filter(together).count() > 1
    }
}
