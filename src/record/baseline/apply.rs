//! Marks in a record what a list knows, and finds the entries that do not fit.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::list::{Baseline, Entry};
use super::seen::AnswerWord;
use super::seen::Seen;
use crate::case::{Heads, nearest};
use crate::record::verdict::Verdict;
use crate::record::{
    Baseline as BaselineRecord, CaseRecord, CheckRecord, Known, OutOfDate, Over, Record, RequirementRecord,
    summarize,
};

impl Baseline {
    /// Marks in the record what this list knows, and notes which entries are out of date. The day is that on which the run
    /// began. `heads` tells a case that did not run from one that does not exist.
    pub fn apply(&self, record: &mut Record, heads: &Heads) {
        forget(record);
        let today = day(record);
        let in_force: Vec<&Entry> = self
            .entries
            .iter()
            .filter(|entry| !entry.is_over(today))
            .collect();
        for case in &mut record.cases {
            mark_case(case, &in_force, heads.rules.answer_word);
        }
        for found in record
            .requirements
            .iter_mut()
            .filter(|found| found.cases.is_empty())
        {
            let names =
                |entry: &&&Entry| entry.case.is_none() && entry.checks(&found.id) && entry.takes_unverified();
            if is_wrong(found.verdict) {
                found.known = in_force.iter().find(names).map(|entry| entry.known.clone());
            }
        }
        record.baseline = Some(BaselineRecord {
            file: self.file.clone(),
            verdict: record.verdict,
            out_of_date: self.out_of_date(record, heads),
        });
        compare(record);
    }

    pub(super) fn out_of_date(&self, record: &Record, heads: &Heads) -> Vec<OutOfDate> {
        let today = day(record);
        let stale = |entry: &Entry| {
            let reason = entry.trouble(record, heads, today)?;
            Some(OutOfDate {
                line: entry.line,
                entry: entry.name(),
                reason,
            })
        };
        self.entries.iter().filter_map(stale).collect()
    }
}

/// Adds up what is known, from the checks that are marked: by case, by requirement, and what the run comes to but for it.
pub fn compare(record: &mut Record) {
    let strict = record.strict;
    for case in &mut record.cases {
        compare_case(case, strict);
    }
    for index in 0..record.requirements.len() {
        let found = &record.requirements[index];
        if !found.cases.is_empty() {
            let known = of_requirement(found, &record.cases);
            record.requirements[index].known = known;
        }
    }
    let news: Vec<RequirementRecord> = record
        .requirements
        .iter()
        .filter(|found| found.known.is_none())
        .cloned()
        .collect();
    let verdict = summarize::verdict(record, &news);
    if let Some(baseline) = &mut record.baseline {
        baseline.verdict = verdict;
    }
}

fn forget(record: &mut Record) {
    record.baseline = None;
    record.requirements.iter_mut().for_each(|it| it.known = None);
    for case in &mut record.cases {
        case.known = None;
        case.checks.iter_mut().for_each(|check| check.known = None);
    }
}

/// What a list can know. That the harness could not do its work is no property of the target.
pub(super) fn is_wrong(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Fail | Verdict::Warn | Verdict::Blocked)
}

/// The day on which a run began; the first of all days where the record does not say so.
fn day(record: &Record) -> Date {
    let started: Option<Timestamp> = record.started.parse().ok();
    started.map_or(Date::MIN, |started| started.to_zoned(TimeZone::UTC).date())
}

fn mark_case(case: &mut CaseRecord, entries: &[&Entry], answer_word: AnswerWord) {
    let known = |check: Option<&CheckRecord>| {
        let found = entries.iter().find(|entry| entry.knows(case, check, answer_word));
        found.map(|entry| entry.known.clone())
    };
    let is_bare = is_bare(case);
    let bare = known(None).filter(|_| is_bare);
    let of_checks: Vec<Option<Known>> = case
        .checks
        .iter()
        .map(|check| known(Some(check)).filter(|_| is_wrong(check.verdict)))
        .collect();
    for (check, known) in case.checks.iter_mut().zip(of_checks) {
        check.known = known;
    }
    if is_bare {
        case.known = bare;
    }
}

/// Whether a case is wrong though none of its checks is.
pub(super) fn is_bare(case: &CaseRecord) -> bool {
    is_wrong(case.verdict) && !case.checks.iter().any(|check| is_wrong(check.verdict))
}

fn compare_case(case: &mut CaseRecord, strict: bool) {
    let fails = |check: &&CheckRecord| match check.verdict {
        Verdict::Fail | Verdict::Blocked => true,
        Verdict::Warn => strict || case.verdict == Verdict::Warn,
        _ => false,
    };
    let failing: Vec<&CheckRecord> = case.checks.iter().filter(fails).collect();
    if failing.is_empty() {
        return;
    }
    let all = is_wrong(case.verdict) && failing.iter().all(|check| check.known.is_some());
    let worst = failing.iter().max_by_key(|check| check.verdict);
    case.known = worst.filter(|_| all).and_then(|check| check.known.clone());
}

/// Known, where every check is that speaks against it.
fn of_requirement(found: &RequirementRecord, cases: &[CaseRecord]) -> Option<Known> {
    if !is_wrong(found.verdict) {
        return None;
    }
    let checks = cases.iter().flat_map(|case| &case.checks);
    let against: Vec<&CheckRecord> = checks
        .filter(|check| is_wrong(check.verdict) && check.requirements.contains(&found.id))
        .collect();
    let all = against.iter().all(|check| check.known.is_some());
    against
        .first()
        .filter(|_| all)
        .and_then(|check| check.known.clone())
}

impl Entry {
    pub(super) fn is_over(&self, today: Date) -> bool {
        self.expires.is_some_and(|expires| expires < today)
    }

    /// Whether it names a case, over whatever that is run.
    fn names_id(&self, id: &str) -> bool {
        self.case.as_ref().is_none_or(|glob| glob.is_match(id))
    }

    /// Whether it names what was run over this.
    fn is_over_it(&self, over: Over) -> bool {
        self.over.is_none_or(|wanted| wanted == over)
    }

    /// Whether it names a case as it is run over this.
    pub(super) fn names(&self, id: &str, over: Over) -> bool {
        self.names_id(id) && self.is_over_it(over)
    }

    fn names_case(&self, case: &CaseRecord) -> bool {
        self.names(&case.id, case.transport)
    }

    fn checks(&self, requirement: &str) -> bool {
        self.check.as_ref().is_none_or(|glob| glob.is_match(requirement))
    }

    /// Whether it takes in a wrong check of a case; where there is no check, a case that is wrong as a whole.
    pub(super) fn knows(
        &self,
        case: &CaseRecord,
        check: Option<&CheckRecord>,
        answer_word: AnswerWord,
    ) -> bool {
        self.names_case(case)
            && match check {
                Some(check) => {
                    self.speaks_of(check)
                        && self
                            .seen
                            .as_ref()
                            .is_none_or(|seen| seen.iter().any(|item| item.is(case, check, answer_word)))
                }
                None => self.check.is_none() && self.takes_unverified(),
            }
    }

    /// Whether it names a requirement of a check.
    pub(super) fn speaks_of(&self, check: &CheckRecord) -> bool {
        check.requirements.iter().any(|id| self.checks(id))
    }

    fn takes_unverified(&self) -> bool {
        self.seen
            .as_ref()
            .is_none_or(|seen| seen.iter().any(|item| item.unverified))
    }

    /// Whether every case that it names was run, over what it names.
    pub(super) fn ran_whole(&self, record: &Record, heads: &Heads) -> bool {
        let mut over_it = record
            .cases
            .iter()
            .filter(|case| self.is_over_it(case.transport))
            .peekable();
        if over_it.peek().is_none() {
            return false;
        }
        let ids: HashSet<&str> = over_it.map(|case| case.id.as_str()).collect();
        let mut named = heads.cases.iter().filter(|case| self.names_id(&case.id));
        (record.filters.is_empty() && record.shard.is_none())
            || named.all(|case| ids.contains(case.id.as_str()))
    }

    /// Whether an item of its `seen` is to be seen in a record.
    pub(super) fn occurs(&self, item: &Seen, record: &Record, answer_word: AnswerWord) -> bool {
        let cases = record.cases.iter().filter(|case| self.names_case(case));
        let mut wrong = cases.flat_map(|case| {
            let wrong = case.checks.iter().filter(|check| is_wrong(check.verdict));
            wrong.map(move |check| (case, check))
        });
        let is_unverified = |case: &CaseRecord| item.unverified && is_bare(case);
        wrong.any(|(case, check)| self.speaks_of(check) && item.is(case, check, answer_word))
            || record
                .cases
                .iter()
                .any(|case| self.names_case(case) && is_unverified(case))
    }

    /// The first item of its `seen` that was looked at and held, wherever it was looked at.
    fn mended(&self, record: &Record) -> Option<&Seen> {
        let held = |item: &&Seen| {
            let cases = record.cases.iter().filter(|case| self.names_case(case));
            let checks = cases.flat_map(|case| &case.checks);
            let mut about = checks
                .filter(|check| self.speaks_of(check) && item.is_about(check))
                .peekable();
            !item.unverified && about.peek().is_some() && about.all(|check| check.verdict == Verdict::Pass)
        };
        self.seen.iter().flatten().find(held)
    }

    /// Why it must be mended, if it must.
    fn trouble(&self, record: &Record, heads: &Heads, today: Date) -> Option<String> {
        if let Some(nothing) = self.names_nothing(heads) {
            return Some(nothing);
        }
        if let Some(expires) = self.expires.filter(|_| self.is_over(today)) {
            return Some(format!("it expired on {expires}"));
        }
        // A race that is won once is no proof: `update` takes the entry out when somebody says so.
        if self.is_of_races(heads) {
            return None;
        }
        if self.holds(record, heads) {
            return Some("it fails no more".to_owned());
        }
        let mended = self.mended(record).filter(|_| self.ran_whole(record, heads))?;
        Some(format!("a part of it fails no more: {mended}"))
    }

    /// Whether all cases that it names find what they look for by chance.
    fn is_of_races(&self, heads: &Heads) -> bool {
        let mut named = heads.cases.iter().filter(|case| self.names_id(&case.id));
        named.all(|case| case.power.is_some())
    }

    pub(super) fn names_nothing(&self, heads: &Heads) -> Option<String> {
        let did_you_mean = |near: Option<&str>| {
            near.map(|near| format!("; did you mean {near:?}?"))
                .unwrap_or_default()
        };
        if let Some(glob) = &self.case
            && !heads.cases.iter().any(|case| glob.is_match(&case.id))
        {
            let near = nearest(glob.glob().glob(), heads.ids());
            return Some(format!("no case is called that{}", did_you_mean(near)));
        }
        let ids = || {
            heads
                .rules
                .catalogue
                .iter()
                .map(|requirement| requirement.id.as_str())
        };
        if let Some(glob) = &self.check
            && !ids().any(|id| glob.is_match(id))
        {
            let near = nearest(glob.glob().glob(), ids());
            return Some(format!("no requirement is called that{}", did_you_mean(near)));
        }
        None
    }

    /// Whether all it names was looked at, and held.
    pub(super) fn holds(&self, record: &Record, heads: &Heads) -> bool {
        let cases = || record.cases.iter().filter(|case| self.names_case(case));
        let checks = || {
            let of = |case: &'_ CaseRecord| case.checks.clone();
            cases()
                .flat_map(of)
                .filter(|check| check.requirements.iter().any(|id| self.checks(id)))
        };
        let bare = || self.check.is_none() && cases().any(is_bare);
        let unverified = || {
            let mut found = record.requirements.iter();
            self.case.is_none() && found.any(|it| self.checks(&it.id) && is_wrong(it.verdict))
        };
        let open = |verdict| is_wrong(verdict) || verdict == Verdict::Error;
        self.ran_whole(record, heads)
            && checks().any(|check| check.verdict == Verdict::Pass)
            && !checks().any(|check| open(check.verdict))
            && !bare()
            && !unverified()
    }
}
