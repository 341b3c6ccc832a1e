//! Judges a stored run again: the exchanges as they were, the suite as it is now. Nothing is sent.

use std::collections::BTreeMap;

use crate::case::Suite;
use crate::crypto::Seed;
use crate::judge::{Context, Transport, judge};
use crate::record::{CaseRecord, Record};
use crate::report::{Diff, diff};
use crate::tally;
use crate::transcript::Transcript;
use crate::verdict::Verdict;
use crate::wire::Endpoint;

/// What became of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejudged {
    /// The record with the verdicts of now, of the cases that are still in the suite.
    pub record: Record,
    /// What differs, by case and by requirement.
    pub diff: Diff,
    /// What differs within cases that come to the same.
    pub checks: Vec<CheckChange>,
    /// The ids of cases that are not in the suite any more.
    pub unknown: Vec<String>,
}

/// A check that comes to something else within a case that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckChange {
    /// The id of the case.
    pub case: String,
    /// The step, from 0; none for set-up and standing checks.
    pub step: Option<usize>,
    /// What is expected.
    pub expected: String,
    /// What it came to; none where the check is new.
    pub old: Option<Verdict>,
    /// What it comes to; none where the check is gone.
    pub new: Option<Verdict>,
}

impl Rejudged {
    /// Whether no verdict changed of what could be judged again.
    pub fn is_the_same(&self) -> bool {
        let diff = &self.diff;
        let cases = [
            &diff.newly_failing,
            &diff.fixed,
            &diff.changed,
            &diff.requirements,
        ];
        cases.iter().all(|changes| changes.is_empty())
            && self.checks.is_empty()
            && diff.verdicts.0 == diff.verdicts.1
    }
}

/// Judges the exchanges of a record with a suite. The error is a fragment: what of the record cannot be read.
pub fn rejudge(record: &Record, suite: &Suite) -> Result<Rejudged, String> {
    let seed: Seed = record
        .seed
        .parse()
        .map_err(|error| format!("the seed cannot be read: {error}"))?;
    let context = Context {
        spec: record.spec,
        seed: &seed,
        generation: record.generation,
        transport: transport(&record.target)?,
    };
    let (mut old, mut new, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for case in &record.cases {
        match suite.get(&case.id) {
            Some(found) => {
                // A case of a merged or repeated report, or of a later heat, ran with a generation of its own.
                let generation = case.generation.unwrap_or(record.generation);
                let context = Context {
                    generation,
                    ..context
                };
                new.push(CaseRecord {
                    generation: case.generation,
                    ..judge(found, Transcript::of(case), &context)
                });
                old.push(case.clone());
            }
            None => unknown.push(case.id.clone()),
        }
    }
    let checks = old
        .iter()
        .zip(&new)
        .flat_map(|(old, new)| check_changes(old, new))
        .collect();
    let before = settled(record, suite, old);
    let mut after = settled(record, suite, new);
    after.suite.hash.clone_from(&suite.hash);
    after.suite.cases = suite.cases.len();
    Ok(Rejudged {
        diff: diff(&before, &after),
        record: after,
        checks,
        unknown,
    })
}

fn transport(target: &str) -> Result<Transport, String> {
    if target == "embedded" {
        return Ok(Transport::Loopback);
    }
    // Where the run chose the port it stands for any.
    let endpoint = Endpoint::parse(&target.replace("{port}", "1"))
        .map_err(|error| format!("the target {target:?} cannot be read: {error}"))?;
    Ok(Transport::of(&endpoint))
}

/// The record with these cases, and what follows from them.
fn settled(record: &Record, suite: &Suite, cases: Vec<CaseRecord>) -> Record {
    let mut record = Record {
        cases,
        ..record.clone()
    };
    tally::settle(&mut record, suite);
    record
}

/// The checks that come to something else, where the case as a whole does not.
fn check_changes(old: &CaseRecord, new: &CaseRecord) -> Vec<CheckChange> {
    if old.verdict != new.verdict {
        return Vec::new();
    }
    let (before, after) = (worst(old), worst(new));
    let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let changed = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    changed
        .map(|key| CheckChange {
            case: old.id.clone(),
            step: key.0,
            expected: key.2.to_owned(),
            old: before.get(key).copied(),
            new: after.get(key).copied(),
        })
        .collect()
}

/// What each check of a case came to, by step, name and expectation; the worst where one broke at several places.
fn worst(case: &CaseRecord) -> BTreeMap<(Option<usize>, &str, &str), Verdict> {
    let mut worst = BTreeMap::new();
    for check in &case.checks {
        let key = (check.step, check.name.as_str(), check.expected.as_str());
        let known = worst.entry(key).or_insert(check.verdict);
        *known = check.verdict.max(*known);
    }
    worst
}
