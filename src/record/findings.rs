//! What is wrong, each thing once: broken checks that say the same are one finding, told by the plainest of their cases.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::record::outline::outline;
use crate::record::sentences::reason;
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, CheckRecord, Exchange, Record, Role};

/// One broken check of one case.
type Seen<'a> = (&'a CaseRecord, &'a CheckRecord);

/// What fails or warns alike in some cases.
pub(crate) struct Finding<'a> {
    /// The check that speaks for all of them: that of the plainest case.
    pub(crate) check: &'a CheckRecord,
    /// The plainest case.
    pub(crate) case: &'a CaseRecord,
    /// The other cases, in suite order.
    pub(crate) others: Vec<&'a CaseRecord>,
    /// The requirements that are broken, each with the number of cases that show it: what most of them show comes first.
    pub(crate) requirements: Vec<(&'a str, usize)>,
}

impl<'a> Finding<'a> {
    fn of(seen: &[Seen<'a>]) -> Option<Finding<'a>> {
        let requirements = by_cases(seen);
        let rule = requirements.first().map(|(id, _)| *id);
        let is_of_rule =
            |check: &CheckRecord| rule.is_none_or(|rule| check.requirements.iter().any(|id| id == rule));
        let (case, check) = seen
            .iter()
            .filter(|(_, check)| is_of_rule(check))
            .min_by_key(|(case, check)| plainness(case, check))?;
        let mut others: Vec<&CaseRecord> = seen.iter().map(|(other, _)| *other).collect();
        others.dedup_by_key(|other| &other.id);
        others.retain(|other| other.name() != case.name());
        Some(Finding {
            check,
            case,
            others,
            requirements,
        })
    }

    /// The requirement that it is about.
    pub(crate) fn rule(&self) -> &'a str {
        self.requirements.first().map_or("", |(id, _)| id)
    }
}

/// Requirements with the number of cases that show each broken, the greatest first.
fn by_cases<'a>(seen: &[Seen<'a>]) -> Vec<(&'a str, usize)> {
    let mut found: Vec<(&str, BTreeSet<&str>)> = Vec::new();
    for (case, check) in seen {
        for id in &check.requirements {
            match found.iter_mut().find(|(known, _)| known == id) {
                Some((_, cases)) => _ = cases.insert(&case.id),
                None => found.push((id, BTreeSet::from([case.id.as_str()]))),
            }
        }
    }
    let mut counted: Vec<_> = found.into_iter().map(|(id, cases)| (id, cases.len())).collect();
    counted.sort_by_key(|(_, cases)| Reverse(*cases));
    counted
}

/// How much a reader has to take in before he sees what a check is about; the least is the plainest. Whether it takes a race,
/// whether something is sent that is to be refused, how many steps, how many actors, and how many exchanges there are before the
/// one that decides.
pub(crate) fn plainness(case: &CaseRecord, check: &CheckRecord) -> (bool, bool, usize, usize, usize) {
    let is_race = case.checks.iter().any(|check| check.name == "race");
    let of_steps = case
        .exchanges
        .iter()
        .filter(|exchange| exchange.role == Role::Step);
    let steps = case.checks.iter().filter_map(|check| check.step);
    let steps = steps.chain(of_steps.filter_map(|exchange| exchange.step));
    let actors: BTreeSet<&str> = actors(case).collect();
    (
        is_race,
        is_odd(case),
        steps.max().map_or(0, |last| last + 1),
        actors.len(),
        check.exchanges.first().copied().unwrap_or(case.exchanges.len()),
    )
}

/// Whether a case sends something that is to be refused: what is no valid request, or what was rightly refused.
fn is_odd(case: &CaseRecord) -> bool {
    let is_refused = |exchange: &Exchange| {
        let status = exchange.outcome.answer().map(|answer| answer.status);
        status.is_some_and(|status| !(200..300).contains(&status))
    };
    let mut answers = case
        .checks
        .iter()
        .filter(|check| check.name == "answer" && check.verdict == Verdict::Pass)
        .filter_map(|check| decisive(case, check));
    case.exchanges.iter().any(|exchange| exchange.spoiled.is_some())
        || answers.any(|(_, exchange)| is_refused(exchange))
}

/// The names of those who ask something in a case.
pub(crate) fn actors(case: &CaseRecord) -> impl Iterator<Item = &str> {
    case.exchanges
        .iter()
        .filter_map(|exchange| exchange.actor.as_deref())
}

/// The findings of a record: failures before warnings, and of each kind those first that most cases show.
pub(crate) fn findings(record: &Record) -> Vec<Finding<'_>> {
    let mut found = gathered(&record.cases, is_news);
    found.sort_by_key(|finding| {
        (
            Reverse(finding.check.verdict),
            Reverse(finding.others.len()),
            plainness(finding.case, finding.check),
        )
    });
    found
}

/// The findings of one case, known ones too, in the order of its checks.
pub(crate) fn findings_of(case: &CaseRecord) -> Vec<Finding<'_>> {
    gathered(std::slice::from_ref(case), CheckRecord::is_broken)
}

/// What checks of cases are about, in the order in which it first comes up.
fn gathered(cases: &[CaseRecord], is_wanted: impl Fn(&CheckRecord) -> bool) -> Vec<Finding<'_>> {
    let actors: BTreeSet<&str> = cases.iter().flat_map(actors).collect();
    let mut alike: Vec<Vec<Seen<'_>>> = Vec::new();
    let mut places = HashMap::new();
    for case in cases {
        for check in case.checks.iter().filter(|check| is_wanted(check)) {
            let place = *places.entry(sameness(check, &actors)).or_insert(alike.len());
            match alike.get_mut(place) {
                None => alike.push(vec![(case, check)]),
                Some(seen) => seen.push((case, check)),
            }
        }
    }
    alike.iter().filter_map(|seen| Finding::of(seen)).collect()
}

/// The requirement of the first finding of a record: what its reader is told first.
pub fn first_broken(record: &Record) -> Option<&str> {
    findings(record).first().map(Finding::rule)
}

/// Whether it says so and nobody knew.
pub(crate) fn is_news(check: &CheckRecord) -> bool {
    check.is_broken() && check.known.is_none()
}

/// Whether a case shows that the target does something wrong.
pub fn is_broken_case(case: &CaseRecord) -> bool {
    case.checks.iter().any(CheckRecord::is_broken)
}

/// What two checks have in common that fail for one reason.
fn sameness<'a>(check: &'a CheckRecord, actors: &BTreeSet<&str>) -> (Verdict, &'a str, String, String) {
    (
        check.verdict,
        &check.name,
        outline(&check.expected, actors),
        outline(&check.got, actors),
    )
}

/// Cases that could not be judged for one reason.
pub(crate) struct Hindrance<'a> {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
    pub(crate) cases: Vec<&'a CaseRecord>,
}

/// Why cases are blocked, in error, or not applicable: errors first, each reason once.
pub(crate) fn hindrances(record: &Record) -> Vec<Hindrance<'_>> {
    let actors: BTreeSet<&str> = record.cases.iter().flat_map(actors).collect();
    let mut found: Vec<Hindrance<'_>> = Vec::new();
    let mut places = HashMap::new();
    for case in record
        .cases
        .iter()
        .filter(|case| is_hindered(case.verdict) && case.known.is_none())
    {
        let reason = reason(case);
        let place = *places
            .entry((case.verdict, outline(&reason, &actors)))
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
    found.sort_by_key(|hindrance| Reverse(hindrance.verdict));
    found
}

fn is_hindered(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Blocked | Verdict::Error | Verdict::NotApplicable
    )
}

/// The exchange that decides a check, with its place in the case: what came is what it was answered with. What else a broken
/// check names is more of the same.
pub(crate) fn decisive<'a>(case: &'a CaseRecord, check: &CheckRecord) -> Option<(usize, &'a Exchange)> {
    let index = *check.exchanges.first()?;
    Some((index, case.exchanges.get(index)?))
}
