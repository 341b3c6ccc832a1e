//! JUnit XML as CI systems read it: a test case per case, at most one failure in each.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::facts::{CaseStatus, case_status};
use super::text;
use crate::record::diagnosis::causes;
use crate::record::sentences::{reason, sentence};
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, Over, Record};
use crate::text::visible;

/// The record as JUnit XML: what the schema allows that Jenkins publishes.
pub(super) fn render(record: &Record) -> Vec<u8> {
    let mut report = Report::new("avp-conform");
    report.set_time(Duration::from_millis(record.duration_ms));
    let mut suites: Vec<TestSuite> = Vec::new();
    for case in &record.cases {
        let name = class(case);
        let place = match suites.iter().position(|suite| suite.name.as_str() == name) {
            Some(place) => place,
            None => {
                suites.push(suite(record, &name));
                suites.len() - 1
            }
        };
        suites[place].add_test_case(test_case(record, case));
    }
    report.add_test_suites(suites);
    // The schema that Jenkins publishes has no such attribute on the outermost element, the first in which it stands.
    let skipped = format!(" skipped=\"{}\"", report.skipped);
    // Writing to memory does not fail; an empty file is refused by every reader, as it should be then.
    report
        .to_string()
        .map(|xml| xml.replacen(&skipped, "", 1).into_bytes())
        .unwrap_or_default()
}

fn class(case: &CaseRecord) -> String {
    let over = match case.transport {
        Over::Http => "",
        Over::Grpc => "grpc.",
        Over::Both => "both.",
    };
    format!("avp.{over}{}", visible(&case.topic))
}

fn suite(record: &Record, name: &str) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite
        .extra
        .insert("timestamp".into(), visible(&record.started).into());
    for (name, value) in [
        ("target", visible(&record.target)),
        ("spec", record.spec.to_string()),
        ("seed", visible(&record.seed)),
        ("verdict", record.verdict.to_string()),
        ("strict", record.strict.to_string()),
    ] {
        suite.add_property(Property::new(name, value));
    }
    for (place, cause) in causes(record).iter().enumerate() {
        let name = format!("cause {}", place + 1);
        let value = format!("{} {}", visible(&cause.requirement), sentence(&cause.cause));
        suite.add_property(Property::new(name, value));
    }
    suite
}

fn test_case(record: &Record, case: &CaseRecord) -> TestCase {
    // The id alone: a title may be reworded, and a test's history hangs on its name.
    let mut test = TestCase::new(visible(&case.name()), status(record, case));
    test.set_classname(class(case));
    test.set_time(Duration::try_from_secs_f64(case.duration_ms / 1000.0).unwrap_or_default());
    if case.verdict == Verdict::Warn && !record.strict && case.known.is_none() {
        test.set_system_out(text::case_details(record, case));
    }
    test
}

fn status(record: &Record, case: &CaseRecord) -> TestCaseStatus {
    let kind = match case_status(record, case) {
        CaseStatus::Passed => return TestCaseStatus::success(),
        CaseStatus::Skipped | CaseStatus::Known => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason(case));
            return status;
        }
        CaseStatus::Failed if case.verdict == Verdict::Blocked => NonSuccessKind::Error,
        CaseStatus::Failed => NonSuccessKind::Failure,
        CaseStatus::Errored => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(case.verdict.words());
    status.set_message(text::case_summary(case));
    let causes = text::causes_of_case(record, case);
    status.set_description(format!("{causes}{}", text::case_details(record, case)));
    status
}
