//! Collects what was looked at: a check that holds everywhere is one record, one that breaks names each place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::case::CaseHead;
use crate::catalogue::{Catalogue, Version};
use crate::record::CheckRecord;
use crate::record::verdict::Verdict;

/// So many places of one broken check are written out; the others are counted.
const MOST_PLACES: usize = 4;
/// So many exchanges are named as proof of a check that holds.
const MOST_PROOFS: usize = 4;

/// What one look at one exchange came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It holds.
    Holds,
    /// It does not: where in the answer's body, and what came.
    Broken {
        /// A JSON pointer into the answer's body.
        pointer: Option<String>,
        /// What came.
        got: String,
    },
    /// It could not be looked at.
    Unknown {
        /// Why not.
        reason: String,
        /// Blocked, not-applicable or error.
        verdict: Verdict,
    },
}

impl Finding {
    /// Broken, at no particular place of the body.
    pub fn broken(got: impl Into<String>) -> Finding {
        Finding::Broken {
            pointer: None,
            got: got.into(),
        }
    }

    /// Broken at a JSON pointer of the answer's body.
    pub fn broken_at(pointer: impl Into<String>, got: impl Into<String>) -> Finding {
        Finding::Broken {
            pointer: Some(pointer.into()),
            got: got.into(),
        }
    }
}

/// What a check is about. Looks with the same subject are one check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The step; none for set-up and standing checks. Steps come first in a report.
    pub step: Option<usize>,
    /// What is looked at: `answer`, `body`.
    pub name: &'static str,
    /// What is verified by it.
    pub requirements: Vec<&'static str>,
    /// What a conformant target does, one sentence.
    pub expected: Cow<'static, str>,
}

/// The checks of one case.
pub struct Checks<'a> {
    case: &'a CaseHead,
    catalogue: &'static Catalogue,
    spec: Version,
    subjects: Vec<Subject>,
    index: BTreeMap<Subject, usize>,
    /// The first exchange that the target may have executed twice.
    doubt: Option<usize>,
    looks: Vec<Vec<(usize, Finding)>>,
}

impl<'a> Checks<'a> {
    /// No checks yet. From the exchange `doubt` on nothing counts against the target: it may have executed that twice.
    pub fn new(
        case: &'a CaseHead,
        catalogue: &'static Catalogue,
        spec: Version,
        doubt: Option<usize>,
    ) -> Checks<'a> {
        Checks {
            case,
            catalogue,
            spec,
            subjects: Vec::new(),
            index: BTreeMap::new(),
            doubt,
            looks: Vec::new(),
        }
    }

    /// Notes a look at an exchange. Requirements that are not in force are left out; a check of none is no check.
    ///
    /// From an exchange on that the target may have executed twice, nothing counts against it.
    pub fn note(&mut self, mut subject: Subject, exchange: usize, mut finding: Finding) {
        if let (Some(doubt), Finding::Broken { got, .. }) = (self.doubt, &finding)
            && exchange >= doubt
        {
            let reason = format!(
                "exchange {} was sent twice, as the target closed the connection: {got}, which may come of that",
                doubt + 1
            );
            finding = Finding::Unknown {
                reason,
                verdict: Verdict::Blocked,
            };
        }
        subject
            .requirements
            .retain(|id| self.catalogue.is_in_force(id, self.spec));
        subject.requirements.sort();
        subject.requirements.dedup();
        if subject.requirements.is_empty() {
            return;
        }
        let look = (exchange, finding);
        match self.index.get(&subject) {
            Some(at) => self.looks[*at].push(look),
            None => {
                self.index.insert(subject.clone(), self.subjects.len());
                self.subjects.push(subject);
                self.looks.push(vec![look]);
            }
        }
    }

    /// The records: in the order of the steps, standing checks last.
    pub fn records(self) -> Vec<CheckRecord> {
        let mut order: Vec<usize> = (0..self.subjects.len()).collect();
        order.sort_by_key(|at| (self.subjects[*at].step.is_none(), self.subjects[*at].step));
        order.into_iter().flat_map(|at| self.record(at)).collect()
    }

    fn record(&self, at: usize) -> Vec<CheckRecord> {
        let looks = &self.looks[at];
        let broken: Vec<&(usize, Finding)> = looks
            .iter()
            .filter(|(_, finding)| matches!(finding, Finding::Broken { .. }))
            .collect();
        if broken.is_empty() {
            return vec![self.whole(at)];
        }
        let mut records: Vec<CheckRecord> = broken
            .iter()
            .take(MOST_PLACES)
            .map(|(exchange, finding)| self.place(at, *exchange, finding))
            .collect();
        if let (Some(last), true) = (records.last_mut(), broken.len() > MOST_PLACES) {
            last.got.push_str(&format!(
                " (and {} more like it in this step)",
                broken.len() - MOST_PLACES
            ));
            last.exchanges.extend(
                broken[MOST_PLACES..]
                    .iter()
                    .take(MOST_PROOFS)
                    .map(|(exchange, _)| *exchange),
            );
        }
        records
    }

    /// The record of a check that nothing broke.
    fn whole(&self, at: usize) -> CheckRecord {
        let looks = &self.looks[at];
        let mut unknown = looks.iter().filter_map(|(_, finding)| match finding {
            Finding::Unknown { reason, verdict } => Some((*verdict, reason.clone())),
            _ => None,
        });
        let exchanges: Vec<usize> = looks
            .iter()
            .filter(|(_, finding)| *finding == Finding::Holds)
            .map(|(exchange, _)| *exchange)
            .take(MOST_PROOFS)
            .collect();
        // What was seen to hold once outweighs what did not apply elsewhere, but not what could not be looked at.
        let held = !exchanges.is_empty();
        let unknown = unknown.find(|(verdict, _)| !(held && *verdict == Verdict::NotApplicable));
        let (verdict, got) = unknown.unwrap_or((Verdict::Pass, String::new()));
        CheckRecord {
            verdict,
            got,
            exchanges,
            ..self.blank(at)
        }
    }

    fn place(&self, at: usize, exchange: usize, finding: &Finding) -> CheckRecord {
        let Finding::Broken { pointer, got } = finding else {
            return self.blank(at);
        };
        let verdict = Verdict::of_broken(self.catalogue.strongest(&self.subjects[at].requirements));
        let record = self.blank(at);
        CheckRecord {
            verdict,
            pointer: pointer.clone(),
            got: got.clone(),
            exchanges: vec![exchange],
            hint: self
                .case
                .why
                .clone()
                .filter(|_| self.is_what_the_case_is_about(at)),
            ..record
        }
    }

    /// The line of a step; that of the case where there is no such step.
    fn line(&self, step: Option<usize>) -> usize {
        let step = step.and_then(|step| self.case.steps.get(step));
        step.map_or(self.case.line, |step| step.line)
    }

    /// Whether the case is decided by the step that a check is about.
    fn decides(&self, at: usize) -> bool {
        let step = self.subjects[at].step.and_then(|step| self.case.steps.get(step));
        step.is_some_and(|step| step.decides)
    }

    /// Whether a check verifies a requirement of the case, at the step that decides it or wherever it is broken: what the case says of
    /// it belongs there alone.
    fn is_what_the_case_is_about(&self, at: usize) -> bool {
        let own = |id: &&str| self.case.requirements.iter().any(|known| known == id);
        let is_standing = self.subjects[at].step.is_none();
        (is_standing || self.decides(at)) && self.subjects[at].requirements.iter().any(own)
    }

    fn blank(&self, at: usize) -> CheckRecord {
        let subject = &self.subjects[at];
        CheckRecord {
            name: subject.name.to_owned(),
            requirements: subject.requirements.iter().map(|id| (*id).to_owned()).collect(),
            verdict: Verdict::Pass,
            step: subject.step,
            line: self.line(subject.step),
            exchanges: Vec::new(),
            pointer: None,
            expected: subject.expected.to_string(),
            got: String::new(),
            hint: None,
            known: None,
        }
    }
}
