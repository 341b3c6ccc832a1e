//! What is wrong, each thing once: equal broken checks of many cases are one finding.

use std::collections::{BTreeSet, HashMap};

use super::excerpt::cut;
use super::facts::{got, reason};
use crate::record::{CaseRecord, CheckRecord, Record};
use crate::verdict::Verdict;
use crate::wire::Exchange;

/// A check that fails or warns, with the first case in which it does, the others, and the requirements of all.
pub(super) struct Finding<'a> {
    pub(super) check: &'a CheckRecord,
    pub(super) case: &'a CaseRecord,
    pub(super) others: Vec<&'a CaseRecord>,
    pub(super) requirements: BTreeSet<&'a str>,
}

impl<'a> Finding<'a> {
    pub(super) fn new(case: &'a CaseRecord, check: &'a CheckRecord) -> Finding<'a> {
        let requirements = check.requirements.iter().map(String::as_str).collect();
        Finding {
            check,
            case,
            others: Vec::new(),
            requirements,
        }
    }

    fn add(&mut self, case: &'a CaseRecord, check: &'a CheckRecord) {
        self.requirements
            .extend(check.requirements.iter().map(String::as_str));
        let known = self.others.last().copied().unwrap_or(self.case);
        if known.id != case.id {
            self.others.push(case);
        }
    }
}

/// The findings of a record: failures before warnings, each kind in suite order.
pub(super) fn findings(record: &Record) -> Vec<Finding<'_>> {
    let mut found: Vec<Finding<'_>> = Vec::new();
    let mut places = HashMap::new();
    for case in &record.cases {
        for check in case.checks.iter().filter(|check| is_news(check)) {
            let place = *places.entry(sameness(check)).or_insert(found.len());
            match found.get_mut(place) {
                None => found.push(Finding::new(case, check)),
                Some(finding) => finding.add(case, check),
            }
        }
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.check.verdict));
    found
}

/// The requirement of the first finding of a record: what its reader is told first.
pub fn first_broken(record: &Record) -> Option<&str> {
    let first = findings(record).first()?.check;
    first.requirements.first().map(String::as_str)
}

/// Whether a check says that the target does something wrong.
pub(super) fn is_broken(check: &CheckRecord) -> bool {
    matches!(check.verdict, Verdict::Fail | Verdict::Warn)
}

/// Whether it says so and nobody knew.
fn is_news(check: &CheckRecord) -> bool {
    is_broken(check) && check.known.is_none()
}

/// Whether a case shows that the target does something wrong.
pub fn is_broken_case(case: &CaseRecord) -> bool {
    case.checks.iter().any(is_broken)
}

/// What is the matter with a case, in a few words.
pub(super) fn matter(case: &CaseRecord) -> String {
    let broken = case
        .checks
        .iter()
        .filter(|check| is_broken(check))
        .max_by_key(|check| check.verdict);
    let text = broken.map_or_else(|| reason(case), got);
    cut(text, 160, false)
}

/// What two checks have in common that fail for one reason.
fn sameness(check: &CheckRecord) -> (Verdict, &str, String, String) {
    (
        check.verdict,
        &check.name,
        outline(&check.expected),
        outline(&check.got),
    )
}

/// A sentence without its numbers and ids, which differ from case to case.
fn outline(text: &str) -> String {
    let word = |piece: &str| match piece {
        _ if piece.len() >= 16 && !piece.contains('-') => "*".to_owned(),
        _ => piece.replace(|character: char| character.is_ascii_digit(), "#"),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Cases that could not be judged for one reason.
pub(super) struct Hindrance<'a> {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) cases: Vec<&'a CaseRecord>,
}

/// Why cases are blocked, in error, or not applicable: errors first, each reason once.
pub(super) fn hindrances(record: &Record) -> Vec<Hindrance<'_>> {
    let mut found: Vec<Hindrance<'_>> = Vec::new();
    let mut places = HashMap::new();
    for case in record
        .cases
        .iter()
        .filter(|case| is_hindered(case.verdict) && case.known.is_none())
    {
        let reason = reason(case);
        let place = *places
            .entry((case.verdict, outline(&reason)))
            .or_insert(found.len());
        match found.get_mut(place) {
            None => found.push(Hindrance {
                verdict: case.verdict,
                reason,
                cases: vec![case],
            }),
            Some(hindrance) => hindrance.cases.push(case),
        }
    }
    found.sort_by_key(|hindrance| std::cmp::Reverse(hindrance.verdict));
    found
}

fn is_hindered(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Blocked | Verdict::Error | Verdict::NotApplicable
    )
}

/// The exchange that decides a check: the last in whose answer the check's place is, else the last it names.
pub(super) fn decisive<'a>(case: &'a CaseRecord, check: &CheckRecord) -> Option<&'a Exchange> {
    let named = || {
        check
            .exchanges
            .iter()
            .rev()
            .filter_map(|index| case.exchanges.get(*index))
    };
    let pointer = check.pointer.as_deref();
    let has_place = |exchange: &&Exchange| {
        let body = exchange.outcome.answer().and_then(|answer| answer.body.as_text());
        body.zip(pointer)
            .is_some_and(|(text, pointer)| super::locate::locate(text, pointer).is_some())
    };
    named().find(has_place).or_else(|| named().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_do_not_tell_sentences_apart() {
        assert_eq!(
            outline("version 12 of Zm9vYmFyYmF6cXV4Cg=="),
            outline("version 47 of AAAAYmFyYmF6cXV4Cg==")
        );
        assert_ne!(outline("accepted is true"), outline("accepted is false"));
    }
}
