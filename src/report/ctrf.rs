//! The Common Test Report Format: JSON that many dashboards read.

use serde_json::{Value, json};

use super::facts::{CaseStatus, Totals, case_status};
use super::{json as layout, text};
use crate::record::diagnosis::causes;
use crate::record::sentences::{reason, target};
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, Record};
use crate::text::visible;

/// The version of the format that this follows.
const SPEC_VERSION: &str = "0.0.0";

/// The record as CTRF.
pub(super) fn render(record: &Record) -> Vec<u8> {
    let start = started(record);
    let tests: Vec<Value> = record.cases.iter().map(|case| test(record, case)).collect();
    layout::write(&json!({
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        "generatedBy": record.tool.name,
        "timestamp": record.started,
        "results": {
            "tool": { "name": record.tool.name, "version": record.tool.version },
            "summary": summary(record, start),
            "tests": tests,
            "environment": { "appName": target(record), "appVersion": record.spec },
            "extra": {
                "target": record.target,
                "spec": record.spec,
                "seed": record.seed,
                "verdict": record.verdict,
                "requirements": Totals::of(record).sentence(),
                "diagnosis": causes(record),
            },
        },
    }))
}

/// When the run began, milliseconds since the epoch; 0 where the record does not say so in a way that can be read.
fn started(record: &Record) -> i64 {
    record
        .started
        .parse::<jiff::Timestamp>()
        .map_or(0, jiff::Timestamp::as_millisecond)
}

fn summary(record: &Record, start: i64) -> Value {
    let count = |status: &str| {
        record
            .cases
            .iter()
            .filter(|case| status_of(record, case) == status)
            .count()
    };
    json!({
        "tests": record.cases.len(),
        "passed": count("passed"),
        "failed": count("failed"),
        "pending": 0,
        "skipped": count("skipped"),
        "other": count("other"),
        "start": start,
        "stop": start.saturating_add_unsigned(record.duration_ms),
        "duration": record.duration_ms,
    })
}

fn test(record: &Record, case: &CaseRecord) -> Value {
    let mut test = json!({
        "name": visible(&case.name()),
        "status": status_of(record, case),
        "duration": case.duration_ms.round() as u64,
        "suite": ["avp", case.topic],
        "rawStatus": case.verdict,
        "type": "conformance",
        "tags": case.requirements,
        "extra": { "title": case.title, "caseFile": case.file, "line": case.line },
    });
    match case.verdict {
        Verdict::Pass => {}
        _ if case.known.is_some() => test["message"] = reason(case).into(),
        Verdict::NotApplicable => test["message"] = reason(case).into(),
        _ => {
            test["message"] = text::case_summary(case).into();
            let causes = text::causes_of_case(record, case);
            test["trace"] = format!("{causes}{}", text::case_details(record, case)).into();
        }
    }
    test
}

fn status_of(record: &Record, case: &CaseRecord) -> &'static str {
    match case_status(record, case) {
        CaseStatus::Passed => "passed",
        CaseStatus::Failed => "failed",
        CaseStatus::Errored => "other",
        CaseStatus::Skipped | CaseStatus::Known => "skipped",
    }
}
