//! What became of a record that was judged again.

use super::verdict::Verdict;
use super::{Diff, Record};

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
