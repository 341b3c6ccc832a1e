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
    /// How often each case came to which verdict.
    seen: Vec<BTreeMap<Verdict, usize>>,
}

impl Repeats {
    /// Adds the record of one more time; its cases are those of the first, in the same order.
    pub fn add(&mut self, record: Record) {
        self.times += 1;
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
        let differing = whole
            .cases
            .iter()
            .zip(&self.seen)
            .filter(|(_, seen)| seen.len() > 1);
        let notes: Vec<String> = differing
            .map(|(case, seen)| difference(case, seen))
            .take(MOST_NAMED)
            .collect();
        whole.notes.extend(notes);
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

fn difference(case: &CaseRecord, seen: &BTreeMap<Verdict, usize>) -> String {
    let counts: Vec<String> = seen
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    format!(
        "{} did not come to the same each time: {}",
        case.id,
        counts.join(", ")
    )
}
