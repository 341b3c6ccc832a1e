//! Joins the records of one suite that was run several times: each case counts as its worst.

use std::collections::BTreeMap;

use crate::case::Rules;
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, Record, Summary, summarize};

/// So many cases that differ from run to run are named.
const MOST_NAMED: usize = 20;

/// The record of a suite that is run again and again. Of each case it keeps one run, so that it does not grow.
#[derive(Default)]
pub struct Repeats {
    whole: Option<Record>,
    times: usize,
    requests: usize,
    /// How often each case came to which verdict.
    seen: Vec<BTreeMap<Verdict, usize>>,
}

impl Repeats {
    /// Adds the record of one more time; its cases are those of the first, in the same order.
    pub fn add(&mut self, record: Record) {
        self.times += 1;
        self.requests += record
            .cases
            .iter()
            .map(|case| case.exchanges.len())
            .sum::<usize>();
        self.seen.resize_with(record.cases.len(), BTreeMap::new);
        for (seen, case) in self.seen.iter_mut().zip(&record.cases) {
            *seen.entry(case.verdict).or_default() += 1;
        }
        match &mut self.whole {
            None => self.whole = Some(record),
            Some(whole) => join(whole, record),
        }
    }

    /// One record of all. None where there are none.
    pub fn finish(self, rules: &Rules) -> Option<Record> {
        let mut whole = self.whole?;
        if self.times == 1 {
            return Some(whole);
        }
        whole.notes.push(format!(
            "the suite was run {} times; each case counts as its worst",
            self.times
        ));
        whole.requests = Some(self.requests);
        let differing = || {
            whole
                .cases
                .iter()
                .zip(&self.seen)
                .filter(|(_, seen)| seen.len() > 1)
        };
        let notes: Vec<String> = differing()
            .map(|(case, seen)| difference(case, seen))
            .take(MOST_NAMED)
            .collect();
        whole.notes.extend(notes);
        for (case, seen) in whole.cases.iter_mut().zip(&self.seen) {
            say_how_often(case, seen, self.times);
        }
        summarize::anew(&mut whole, rules);
        whole.summary = Summary::of(whole.cases.iter().map(|case| case.verdict));
        Some(whole)
    }
}

/// Takes from one more record what is worse than what is known.
fn join(whole: &mut Record, record: Record) {
    whole.duration_ms += record.duration_ms;
    whole.throttled_ms += record.throttled_ms;
    for note in record.notes {
        if !whole.notes.contains(&note) {
            whole.notes.push(note);
        }
    }
    for (known, case) in whole.cases.iter_mut().zip(record.cases) {
        if case.verdict > known.verdict {
            let generation = case.generation.or(Some(record.generation));
            *known = CaseRecord { generation, ..case };
        }
    }
}

/// Says of what is broken in how many of the rounds it was, where that is not all of them.
fn say_how_often(case: &mut CaseRecord, seen: &BTreeMap<Verdict, usize>, rounds: usize) {
    let here = seen.get(&case.verdict).copied().unwrap_or_default();
    if here == rounds {
        return;
    }
    for check in case.checks.iter_mut().filter(|check| check.is_broken()) {
        check.got = format!("{} (in {here} of {rounds} rounds)", check.got);
    }
}

fn difference(case: &CaseRecord, seen: &BTreeMap<Verdict, usize>) -> String {
    let counts: Vec<String> = seen
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    format!(
        "{} did not come to the same each time: {}",
        case.name(),
        counts.join(", ")
    )
}
