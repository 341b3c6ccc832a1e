//! Adds up what cases came to: a verdict per requirement, and one for the run.

use std::collections::HashMap;

use crate::case::{CaseHead, Heads, Rules};
use crate::catalogue::{Catalogue, Level, OperationInfo, OperationName, Requirement, Version};
use crate::record::verdict::{RunVerdict, Verdict};
use crate::record::{
    ADVICE, CaseRecord, CheckRecord, Latency, Over, Record, RequirementRecord, Summary, Wire,
};

/// Why a requirement was not looked at that only cases concern which take minutes.
const NEEDS_SLOW: &str = "it takes minutes to see: run with --slow";

/// Works out everything of a record that follows from its cases: requirements, verdict, summary, latency.
///
/// A record of the whole suite concerns every requirement in force, named by a case or not; what only cases verify that take
/// minutes and did not run is not applicable. A filtered one, or a shard, concerns what its cases name.
pub fn summarize(record: &mut Record, heads: &Heads) {
    let ran = |case: &&CaseHead| {
        record
            .cases
            .iter()
            .any(|other| other.id == case.id && other.transport == case.over)
    };
    let named = |case: &'_ CaseHead| case.requirements.clone();
    let selected: Vec<String> = heads.cases.iter().filter(ran).flat_map(named).collect();
    let mut slow: Vec<String> = Vec::new();
    if record.filters.is_empty() {
        let left_out = heads.cases.iter().filter(|case| case.slow && !ran(case));
        slow = left_out.flat_map(named).collect();
    }
    add_up(record, &heads.rules, selected, &slow);
    record.summary = Summary::of(record.cases.iter().map(|case| case.verdict));
}

/// What is selected stands for every requirement in force where the whole suite ran, but for those that are in `slow`.
fn add_up(record: &mut Record, rules: &Rules, mut selected: Vec<String>, slow: &[String]) {
    if record.filters.is_empty() && record.shard.is_none() {
        let all = rules.catalogue.binding(record.spec);
        let all = all.map(|requirement| requirement.id.clone());
        selected.extend(all.filter(|id| !slow.contains(id)));
    }
    record.requirements = requirements(&record.cases, rules.catalogue, &selected, slow, record.spec);
    record.verdict = verdict(record, &record.requirements);
    record.latency = latency(&record.cases, rules.operations);
}

/// A verdict for each requirement in force that `selected` names or a check concerns, in catalogue order. What only cases
/// verify that were left out because they take minutes is in `slow`.
fn requirements(
    cases: &[CaseRecord],
    catalogue: &Catalogue,
    selected: &[String],
    slow: &[String],
    spec: Version,
) -> Vec<RequirementRecord> {
    let concerned = |requirement: &&Requirement| {
        let id = &requirement.id;
        let is_checked = || cases.iter().any(|case| case.requirements.contains(id));
        selected.contains(id) || slow.contains(id) || is_checked()
    };
    catalogue
        .binding(spec)
        .filter(concerned)
        .map(|requirement| one(requirement, cases, slow))
        .collect()
}

fn one(requirement: &Requirement, cases: &[CaseRecord], slow: &[String]) -> RequirementRecord {
    let id = requirement.id.as_str();
    let mut verdict = None;
    let mut reason = None;
    let mut concerned = Vec::new();
    for case in cases {
        let checks = case
            .checks
            .iter()
            .filter(|check| check.requirements.iter().any(|other| other == id));
        // What is advised beside a check is no reason for what the check came to.
        let worst = checks
            .map(|check| (of_check(check, requirement.level), check))
            .max_by_key(|(verdict, check)| (rank(*verdict), check.name != ADVICE));
        let Some((worst, check)) = worst else { continue };
        concerned.push(case.name().into_owned());
        if verdict.is_none_or(|known| rank(worst) > rank(known)) {
            verdict = Some(worst);
            let got = Some(check.got.clone()).filter(|got| !got.is_empty());
            reason = match worst {
                Verdict::Blocked | Verdict::Error => got.map(|got| format!("{}: {got}", place(case, check))),
                _ => got,
            };
        }
    }
    let (verdict, reason) = match verdict {
        Some(verdict) => (verdict, reason),
        None => {
            let (verdict, why) = match requirement.http_only && is_of_calls(cases) {
                true => (Verdict::NotApplicable, HTTP_ALONE),
                false => unseen(requirement, slow),
            };
            (verdict, Some(why.to_owned()))
        }
    };
    RequirementRecord {
        id: id.to_owned(),
        level: requirement.level,
        text: requirement.text.clone(),
        verdict,
        reason,
        known: None,
        cases: concerned,
    }
}

/// What is said of a rule that only HTTP can keep or break, where nothing was asked over it.
const HTTP_ALONE: &str = "HTTP alone has it, and all was asked over gRPC";

/// Whether no case was run over HTTP.
fn is_of_calls(cases: &[CaseRecord]) -> bool {
    !cases.is_empty() && cases.iter().all(|case| case.transport == Over::Grpc)
}

/// Where something was to be shown: `push/applied, step 2`.
fn place(case: &CaseRecord, check: &CheckRecord) -> String {
    match check.step {
        Some(step) => format!("{}, step {}", case.name(), step + 1),
        None => case.name().into_owned(),
    }
}

/// What becomes of a requirement that no check looked at.
fn unseen<'a>(requirement: &'a Requirement, slow: &[String]) -> (Verdict, &'a str) {
    if let Some(why) = &requirement.applies_only_if {
        return (Verdict::NotApplicable, why);
    }
    if let Some(why) = &requirement.unobservable {
        return (Verdict::NotApplicable, why);
    }
    if requirement.level == Level::May {
        return (Verdict::NotApplicable, "a may is not judged");
    }
    match slow.contains(&requirement.id) {
        true => (Verdict::NotApplicable, NEEDS_SLOW),
        false => (Verdict::Blocked, "no check of the cases that ran verified it"),
    }
}

/// What counts most of a requirement: that it was seen broken; then that it was seen to hold, whatever could not be looked at
/// elsewhere; then why nothing showed it.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 5,
        Verdict::Warn => 4,
        Verdict::Pass => 3,
        Verdict::Error => 2,
        Verdict::Blocked => 1,
        Verdict::NotApplicable => 0,
    }
}

/// What a check means for one of its requirements: a check that breaks a must and a should warns of the latter.
fn of_check(check: &CheckRecord, level: Level) -> Verdict {
    match check.verdict {
        Verdict::Fail | Verdict::Warn => Verdict::of_broken(level),
        other => other,
    }
}

/// Adds up a record anew after its cases have changed.
pub fn anew(record: &mut Record, rules: &Rules) {
    let known = std::mem::take(&mut record.requirements);
    let ids = |found: Vec<RequirementRecord>| found.into_iter().map(|found| found.id).collect::<Vec<_>>();
    let (slow, selected): (Vec<_>, Vec<_>) = known
        .into_iter()
        .partition(|found| found.reason.as_deref() == Some(NEEDS_SLOW));
    let (slow, selected) = (ids(slow), ids(selected));
    add_up(record, rules, selected, &slow);
}

/// How long each operation took to be answered, in the order of the protocol's route table and for each transport by itself.
fn latency(cases: &[CaseRecord], operations: &[OperationInfo]) -> Vec<Latency> {
    let mut times: HashMap<(&OperationName, Wire), Vec<u64>> = HashMap::new();
    for exchange in cases.iter().flat_map(|case| &case.exchanges) {
        let timed = exchange
            .outcome
            .answer()
            .is_some_and(|answer| answer.status != 429);
        if let (true, Some(operation)) = (timed, &exchange.operation) {
            let key = (operation, exchange.wire);
            times.entry(key).or_default().push(exchange.took_us);
        }
    }
    let names: Vec<OperationName> = operations
        .iter()
        .map(|operation| OperationName::new(operation.name))
        .collect();
    let wires = [Wire::Http, Wire::Grpc, Wire::Command];
    let keys = names.iter().flat_map(|name| wires.map(|wire| (name, wire)));
    let known = keys.filter_map(|key| times.remove_entry(&key));
    known
        .map(|((operation, wire), mut times)| {
            times.sort_unstable();
            let within = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
            Latency {
                operation: operation.clone(),
                wire,
                answers: times.len(),
                median_us: within(50),
                p99_us: within(99),
            }
        })
        .collect()
}

/// What a run comes to by these of its requirements. A must that is seen broken outweighs work that could not be done.
pub fn verdict(record: &Record, requirements: &[RequirementRecord]) -> RunVerdict {
    let is_undone = record.cases.iter().any(|case| case.verdict == Verdict::Error);
    sum(
        requirements,
        is_undone || !record.missing.is_empty() || nothing_was_judged(record).is_some(),
        record.strict,
    )
}

/// Why no case of a whole selection could be judged, where none could: that of the first. A part of a selection may be empty.
pub fn nothing_was_judged(record: &Record) -> Option<&str> {
    let is_open = |case: &CaseRecord| case.verdict == Verdict::NotApplicable;
    let first = record.cases.first()?;
    let is_part = record.shard.is_some();
    (!is_part && record.cases.iter().all(is_open)).then(|| first.reason.as_deref().unwrap_or_default())
}

fn sum(requirements: &[RequirementRecord], is_undone: bool, strict: bool) -> RunVerdict {
    let must = |verdict: Verdict| {
        requirements
            .iter()
            .any(|it| it.level == Level::Must && it.verdict == verdict)
    };
    if must(Verdict::Fail) {
        return RunVerdict::Nonconformant;
    }
    if is_undone {
        return RunVerdict::Incomplete;
    }
    let warned = requirements.iter().any(|it| it.verdict == Verdict::Warn);
    if must(Verdict::Blocked) || (strict && warned) {
        return RunVerdict::Nonconformant;
    }
    RunVerdict::Conformant
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avp::{V0_4, catalogue};
    use crate::record::samples;

    fn check(requirements: &[&str], verdict: Verdict) -> CheckRecord {
        CheckRecord {
            requirements: requirements.iter().map(|id| (*id).to_owned()).collect(),
            verdict,
            step: None,
            exchanges: Vec::new(),
            ..samples::failed("")
        }
    }

    fn tally(checks: Vec<CheckRecord>, selected: &[&str], strict: bool) -> (Vec<Verdict>, RunVerdict) {
        let cases = [samples::case("demo/case", checks, Vec::new())];
        let selected: Vec<String> = selected.iter().map(|id| (*id).to_owned()).collect();
        let slow = ["AVP-3-04".to_owned()];
        let requirements = requirements(&cases, catalogue(), &selected, &slow, V0_4);
        let is_undone = cases.iter().any(|case| case.verdict == Verdict::Error);
        let run = sum(&requirements, is_undone, strict);
        let verdicts = requirements
            .iter()
            .filter(|it| it.id != "AVP-3-04")
            .map(|it| it.verdict)
            .collect();
        assert!(
            requirements
                .iter()
                .any(|it| it.id == "AVP-3-04" && it.verdict == Verdict::NotApplicable)
        );
        (verdicts, run)
    }

    #[test]
    fn the_level_of_each_requirement_decides_what_a_broken_check_means() {
        let checks = vec![check(&["AVP-2-05", "AVP-6-04"], Verdict::Fail)];
        assert_eq!(
            tally(checks, &[], false),
            (vec![Verdict::Warn, Verdict::Fail], RunVerdict::Nonconformant)
        );
    }

    #[test]
    fn a_must_that_nothing_verified_is_not_met() {
        let checks = vec![check(&["AVP-6-04"], Verdict::Pass)];
        assert_eq!(tally(checks.clone(), &[], false).1, RunVerdict::Conformant);
        let unverified = tally(checks, &["AVP-6-06"], false);
        assert_eq!(
            unverified,
            (vec![Verdict::Pass, Verdict::Blocked], RunVerdict::Nonconformant)
        );
    }

    #[test]
    fn what_was_seen_broken_outweighs_what_was_not_reached() {
        let checks = vec![
            check(&["AVP-2-05"], Verdict::Warn),
            check(&["AVP-2-05"], Verdict::Blocked),
        ];
        assert_eq!(
            tally(checks, &[], false),
            (vec![Verdict::Warn], RunVerdict::Conformant)
        );
    }

    #[test]
    fn what_was_seen_to_hold_is_verified_whatever_was_not_reached_elsewhere() {
        let checks = vec![
            check(&["AVP-6-04"], Verdict::Blocked),
            check(&["AVP-6-04"], Verdict::Pass),
            check(&["AVP-6-06"], Verdict::Blocked),
        ];
        let cases = [samples::case("demo/case", checks, Vec::new())];
        let found = requirements(&cases, catalogue(), &[], &[], V0_4);
        let found: Vec<(Verdict, Option<&str>)> = found
            .iter()
            .map(|it| (it.verdict, it.reason.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                (Verdict::Pass, Some("y")),
                (Verdict::Blocked, Some("demo/case: y"))
            ]
        );
    }

    #[test]
    fn warnings_count_under_strict_alone() {
        let checks = vec![check(&["AVP-2-05"], Verdict::Warn)];
        assert_eq!(tally(checks.clone(), &[], false).1, RunVerdict::Conformant);
        assert_eq!(tally(checks, &[], true).1, RunVerdict::Nonconformant);
    }

    #[test]
    fn work_that_could_not_be_done_makes_a_run_incomplete() {
        let checks = vec![check(&["AVP-6-04"], Verdict::Error)];
        assert_eq!(tally(checks, &[], false).1, RunVerdict::Incomplete);
    }

    #[test]
    fn what_never_came_up_is_not_applicable() {
        let checks = vec![check(&["AVP-6-04"], Verdict::Pass)];
        assert_eq!(
            tally(checks, &["AVP-7-02"], false),
            (
                vec![Verdict::Pass, Verdict::NotApplicable],
                RunVerdict::Conformant
            )
        );
    }
}
