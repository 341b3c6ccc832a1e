//! Judges a stored run again: the exchanges as they were, the suite as it is now. Nothing is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::http::Endpoint;
use crate::judge::{Context, Transport};
use crate::keys::Seed;
use crate::protocol::{Suite, Transports};
use crate::record::rejudged::{CheckChange, Rejudged};
use crate::record::transcript::Transcript;
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, Over, Record, diff};

/// Judges the exchanges of a record with a suite.
///
/// # Errors
/// The seed or the target of the record cannot be read: a fragment that says which.
pub fn rejudge(record: &Record, suite: &Arc<Suite>) -> Result<Rejudged, String> {
    let suite = &*as_run(record, suite);
    let seed: Seed = record
        .seed
        .parse()
        .map_err(|error| format!("the seed cannot be read: {error}"))?;
    let context = Context {
        spec: record.spec,
        seed: &seed,
        generation: record.generation,
        transport: transport(record)?,
    };
    let (mut old, mut new, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for case in &record.cases {
        match suite
            .cases
            .iter()
            .position(|known| (known.id.as_str(), known.over) == (case.id.as_str(), case.transport))
        {
            Some(found) => {
                // A case of a merged or repeated report, or of a later heat, ran with a generation of its own.
                let generation = case.generation.unwrap_or(record.generation);
                let context = Context {
                    generation,
                    ..context
                };
                new.push(CaseRecord {
                    generation: case.generation,
                    ..suite.meaning().judge(found, Transcript::of(case), &context)
                });
                old.push(case.clone());
            }
            None => unknown.push(case.name().into_owned()),
        }
    }
    let before = summarized(record, suite, old);
    let mut after = summarized(record, suite, new);
    // What follows from other cases is taken back by now, in both.
    let pairs = before.cases.iter().zip(&after.cases);
    let checks = pairs.flat_map(|(old, new)| check_changes(old, new)).collect();
    after.suite.hash.clone_from(&suite.hash);
    after.suite.cases = suite.cases.len();
    Ok(Rejudged {
        diff: diff(&before, &after),
        record: after,
        checks,
        unknown,
    })
}

/// The suite over the transports that a record has cases of.
pub(super) fn as_run(record: &Record, suite: &Arc<Suite>) -> Arc<Suite> {
    let is_over = |over: Over| record.cases.iter().any(|case| case.transport == over);
    suite.over(Transports {
        http: is_over(Over::Http) || is_over(Over::Both),
        grpc: is_over(Over::Grpc) || is_over(Over::Both),
    })
}

fn transport(record: &Record) -> Result<Transport, String> {
    let target = &record.target;
    if target == "embedded" || record.client.is_some() {
        return Ok(Transport::Loopback);
    }
    // Where the run chose the port it stands for any.
    let filled = target.replace("{port}", "1");
    let endpoint = Endpoint::parse(&filled)
        .or_else(|http| Endpoint::parse_grpc(&filled).map_err(|_| http))
        .map_err(|error| format!("the target {target:?} cannot be read: {error}"))?;
    Ok(Transport::of(&endpoint))
}

/// The record with these cases, and what follows from them.
fn summarized(record: &Record, suite: &Suite, cases: Vec<CaseRecord>) -> Record {
    let mut record = Record {
        cases,
        diagnosis: None,
        ..record.clone()
    };
    suite.summarize(&mut record);
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
            case: old.name().into_owned(),
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
