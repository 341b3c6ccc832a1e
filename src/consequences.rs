//! What follows from something else is not a finding of its own.
//!
//! A race is judged by the rules of the operations that meet in it, and so is a body that is held back while something else
//! happens. Where one of these operations is seen to break its rule all by itself, what comes of it beside others says
//! nothing: that is noted, and counts for nothing. A pure function of what all cases came to.

use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::Operation;
use crate::record::{CaseRecord, CheckRecord};
use crate::verdict::Verdict;
use crate::wire::Role;

/// An operation is broken in itself where it breaks in so many cases without a race.
const CASES: usize = 2;
/// Or in such a part of those that use it: one of so many.
const PART: usize = 8;

/// Takes back what follows from an operation that is broken in itself.
pub fn settle(cases: &mut [CaseRecord]) {
    let known = broken_in_order(cases);
    let broken = broken_operations(cases);
    for case in cases.iter_mut() {
        let together = steps_together(case);
        let mut changed = false;
        for at in 0..case.checks.len() {
            let check = &case.checks[at];
            let follows = is_broken(check)
                && is_of(check, &together)
                && check.requirements.iter().any(|id| !known.contains(id.as_str()));
            let cause = follows
                .then(|| operations(case, check.step))
                .and_then(|used| broken.iter().find(|(operation, _)| used.contains(operation)));
            if let Some((operation, witness)) = cause {
                let check = &mut case.checks[at];
                check.verdict = Verdict::Blocked;
                check.got = format!(
                    "{}; but {operation} is wrong without anything beside it (see {witness}), so that this shows nothing",
                    check.got
                );
                changed = true;
            }
        }
        if changed {
            case.verdict = worst(case);
        }
    }
}

fn is_broken(check: &CheckRecord) -> bool {
    matches!(check.verdict, Verdict::Fail | Verdict::Warn)
}

/// The verdict of a case, by its checks.
fn worst(case: &CaseRecord) -> Verdict {
    let of_checks = case.checks.iter().map(|check| check.verdict).max();
    let stopped = case
        .stopped
        .as_ref()
        .map(|stopped| stopped.verdict)
        .filter(|it| *it != Verdict::NotApplicable);
    let verdict = of_checks.unwrap_or(Verdict::NotApplicable);
    stopped.map_or(verdict, |stopped| verdict.max(stopped))
}

/// The steps in which requests meet: races, and requests whose body comes later.
fn steps_together(case: &CaseRecord) -> BTreeSet<Option<usize>> {
    let mut found: BTreeSet<Option<usize>> = case
        .checks
        .iter()
        .filter(|check| check.name == "race")
        .map(|check| check.step)
        .collect();
    if case.topic == "held" {
        found.extend(case.checks.iter().map(|check| check.step).filter(Option::is_some));
    }
    found
}

/// Whether a check is about what came of requests that met, and not about the form of one answer.
fn is_of(check: &CheckRecord, together: &BTreeSet<Option<usize>>) -> bool {
    check.step.is_some() && together.contains(&check.step)
}

/// The operations that were made in a step, and in the set-up of its case.
fn operations(case: &CaseRecord, step: Option<usize>) -> BTreeSet<Operation> {
    let used = case
        .exchanges
        .iter()
        .filter(|exchange| exchange.role == Role::Setup || exchange.step == step);
    used.filter_map(|exchange| exchange.operation)
        .filter(|operation| operation.needs_token())
        .collect()
}

/// The requirements that are broken without requests that meet.
fn broken_in_order(cases: &[CaseRecord]) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for case in cases {
        let together = steps_together(case);
        let broken = case
            .checks
            .iter()
            .filter(|check| is_broken(check) && !is_of(check, &together));
        known.extend(broken.flat_map(|check| check.requirements.clone()));
    }
    known
}

/// The operations that are broken in themselves, each with a case that shows it.
fn broken_operations(cases: &[CaseRecord]) -> BTreeMap<Operation, String> {
    let mut used: BTreeMap<Operation, usize> = BTreeMap::new();
    let mut broken: BTreeMap<Operation, Vec<&str>> = BTreeMap::new();
    for case in cases.iter().filter(|case| steps_together(case).is_empty()) {
        for operation in all_operations(case) {
            *used.entry(operation).or_default() += 1;
        }
        let wrong = case.checks.iter().filter(|check| is_broken(check));
        let wrong: BTreeSet<Operation> = wrong.filter_map(|check| operation_of(case, check)).collect();
        for operation in wrong {
            broken.entry(operation).or_default().push(&case.id);
        }
    }
    let is_broken = |operation: &Operation, cases: usize| {
        let used = used.get(operation).copied().unwrap_or(0);
        cases >= CASES && cases * PART >= used
    };
    broken
        .into_iter()
        .filter(|(operation, cases)| is_broken(operation, cases.len()))
        .map(|(operation, cases)| (operation, cases[0].to_owned()))
        .collect()
}

fn all_operations(case: &CaseRecord) -> BTreeSet<Operation> {
    let own = case
        .exchanges
        .iter()
        .filter(|exchange| matches!(exchange.role, Role::Setup | Role::Step));
    own.filter_map(|exchange| exchange.operation).collect()
}

/// The operation that a check is about: that of its step, or of the exchange that it looked at.
fn operation_of(case: &CaseRecord, check: &CheckRecord) -> Option<Operation> {
    let of_step = case
        .exchanges
        .iter()
        .find(|exchange| check.step.is_some() && exchange.role == Role::Step && exchange.step == check.step)
        .and_then(|exchange| exchange.operation);
    let looked_at = || {
        let exchange = case.exchanges.get(*check.exchanges.first()?)?;
        exchange.operation
    };
    of_step
        .or_else(looked_at)
        .filter(|operation| operation.needs_token())
}
