//! Holds a stored report against what its own exchanges show: what a reader may believe of a claim.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::rejudge::{as_run, rejudge};
use crate::case::selection::{Filter, plan};
use crate::protocol::Suite;
use crate::record::Record;
use crate::record::rejudged::Rejudged;
use crate::text::count;

/// How many objections of a kind are told one by one.
const MOST_NAMED: usize = 3;

/// What speaks against a report, a sentence without a full stop each: verdicts that its exchanges do not bear, cases that are
/// missing, cases that this suite does not have. None where the report bears what it says.
///
/// # Errors
/// The seed, the target or a filter of the report cannot be read: a fragment that says which.
pub fn objections(record: &Record, suite: &Arc<Suite>) -> Result<Vec<String>, String> {
    let again = rejudge(record, suite)?;
    let mut objections = Vec::new();
    if record.suite.hash != suite.hash {
        objections.push(
            "it was made with another suite than this program's: use the version that made it, and --cases for cases of \
             its own"
                .to_owned(),
        );
    }
    if !again.unknown.is_empty() {
        objections.push(named("not in this suite", "case", &again.unknown));
    }
    let missing = missing(record, &as_run(record, suite))?;
    if !missing.is_empty() {
        objections.push(named("missing", "case", &missing));
    }
    objections.extend(contradictions(record, &again));
    Ok(objections)
}

/// Where the report says something else than its exchanges show.
fn contradictions(record: &Record, again: &Rejudged) -> Vec<String> {
    let mut found = Vec::new();
    if record.verdict != again.record.verdict {
        found.push(format!(
            "it says {}, and its exchanges show {}",
            record.verdict, again.record.verdict
        ));
    }
    let verdicts = |record: &Record| -> BTreeSet<(String, String)> {
        let all = record.requirements.iter();
        all.map(|it| (it.id.clone(), it.verdict.to_string())).collect()
    };
    let (said, shown) = (verdicts(record), verdicts(&again.record));
    let requirements: BTreeSet<&String> = said.symmetric_difference(&shown).map(|(id, _)| id).collect();
    if !requirements.is_empty() {
        let ids: Vec<String> = requirements.into_iter().cloned().collect();
        found.push(named("otherwise than its exchanges show", "requirement", &ids));
    }
    let mut cases: BTreeSet<String> = again.checks.iter().map(|change| change.case.clone()).collect();
    for old in &record.cases {
        let new = again.record.cases.iter().find(|new| new.name() == old.name());
        if new.is_some_and(|new| new.verdict != old.verdict) {
            cases.insert(old.name().into_owned());
        }
    }
    if !cases.is_empty() {
        let ids: Vec<String> = cases.into_iter().collect();
        found.push(named("judged otherwise by this program", "case", &ids));
    }
    found
}

/// The cases that a run with these filters has, and the report does not. Those that take minutes are not asked for.
fn missing(record: &Record, suite: &Suite) -> Result<Vec<String>, String> {
    let filters: Result<Vec<Filter>, String> =
        record.filters.iter().map(|text| Filter::parse(text)).collect();
    let has: BTreeSet<_> = record.cases.iter().map(|case| case.name()).collect();
    let planned = plan(suite, &filters?, record.spec, false);
    let ids = planned.into_iter().map(|index| suite.cases[index].name());
    Ok(ids.filter(|id| !has.contains(id.as_str())).collect())
}

/// `3 cases are missing: a, b, c`
fn named(what: &str, noun: &str, ids: &[String]) -> String {
    let first = ids
        .iter()
        .take(MOST_NAMED)
        .map(|id| crate::text::visible_cut(id, 100));
    let first = first.collect::<Vec<_>>().join(", ");
    let more = match ids.len() > MOST_NAMED {
        true => ", ...",
        false => "",
    };
    let are = match ids.len() {
        1 => "is",
        _ => "are",
    };
    format!("{} {are} {what}: {first}{more}", count(ids.len(), noun))
}
