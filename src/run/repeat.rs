//! Joins the records of one suite that was run several times: each case counts as its worst.

use std::collections::BTreeMap;

use crate::record::{CaseRecord, Record, Summary};
use crate::tally;
use crate::verdict::Verdict;

/// So many cases that differ from run to run are named.
const MOST_NAMED: usize = 20;

/// One record of all. None where there are none.
pub fn join(records: Vec<Record>) -> Option<Record> {
    let times = records.len();
    let mut records = records.into_iter();
    let mut whole = records.next()?;
    if times == 1 {
        return Some(whole);
    }
    let mut seen: Vec<BTreeMap<Verdict, usize>> = whole
        .cases
        .iter()
        .map(|case| [(case.verdict, 1)].into())
        .collect();
    for record in records {
        whole.duration_ms += record.duration_ms;
        whole.throttled_ms += record.throttled_ms;
        for note in record.notes {
            if !whole.notes.contains(&note) {
                whole.notes.push(note);
            }
        }
        for ((known, seen), case) in whole.cases.iter_mut().zip(&mut seen).zip(record.cases) {
            *seen.entry(case.verdict).or_default() += 1;
            if case.verdict > known.verdict {
                let generation = case.generation.or(Some(record.generation));
                *known = CaseRecord { generation, ..case };
            }
        }
    }
    whole.notes.push(format!(
        "the suite was run {times} times; each case counts as its worst"
    ));
    let differing = whole.cases.iter().zip(&seen).filter(|(_, seen)| seen.len() > 1);
    let notes: Vec<String> = differing
        .map(|(case, seen)| difference(case, seen))
        .take(MOST_NAMED)
        .collect();
    whole.notes.extend(notes);
    tally::anew(&mut whole);
    whole.summary = Summary::of(whole.cases.iter().map(|case| case.verdict));
    Some(whole)
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
