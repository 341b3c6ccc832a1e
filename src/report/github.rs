//! Annotations as GitHub's workflow commands: one a cause. They name no file but the user's own list of known failures: case files
//! are built into the program, and a repository that has them not would show nothing.

use std::fmt::Write as _;

use super::facts::{CaseStatus, again, case_status, repair, verdict_line};
use super::text;
use crate::catalogue::Level;
use crate::record::diagnosis::{Cause, new_causes};
use crate::record::findings::{Hindrance, hindrances};
use crate::record::sentences::{reason, sentence};
use crate::record::verdict::RunVerdict;
use crate::record::{Baseline, Record};
use crate::text::{count, visible};

/// How many annotations of a kind GitHub shows for a step.
const MOST_OF_A_KIND: usize = 10;

/// How many lines of a list one annotation has.
const MOST_LINES: usize = 30;

/// One annotation.
struct Annotation {
    title: String,
    message: String,
}

/// The record as workflow commands.
pub(super) fn render(record: &Record) -> String {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for cause in &new_causes(record) {
        let fails = cause.level == Level::Must || record.strict;
        let kind = if fails { &mut errors } else { &mut warnings };
        kind.push(of_cause(record, cause));
    }
    for hindrance in hindrances(record) {
        let matters = hindrance
            .cases
            .iter()
            .any(|case| case_status(record, case) != CaseStatus::Skipped);
        if matters {
            errors.push(of_hindrance(record, &hindrance));
        }
    }
    let mut out = String::new();
    write_kind(&mut out, "error", &errors);
    write_kind(&mut out, "warning", &warnings);
    if let Some(baseline) = &record.baseline {
        of_baseline(&mut out, record, baseline);
    }
    let baseline = record.baseline.as_ref();
    let kind = match baseline.map_or(record.verdict, |baseline| baseline.verdict) {
        RunVerdict::Conformant => "notice",
        _ => "error",
    };
    _ = writeln!(out, "::{kind} title=avp-conform::{}", data(&verdict_line(record)));
    out
}

/// What is known in one annotation, and what of the list does not fit in another.
fn of_baseline(out: &mut String, record: &Record, baseline: &Baseline) {
    let known: Vec<_> = record.cases.iter().filter(|case| case.known.is_some()).collect();
    if !known.is_empty() {
        let lines = known
            .iter()
            .map(|case| format!("{}: {}", visible(&case.name()), reason(case)));
        let lines = some(lines.collect());
        let title = count(known.len(), "known failure");
        _ = writeln!(out, "::notice title={title}::{}", data(&lines.join("\n")));
    }
    if let Some(first) = baseline.out_of_date.first() {
        let stale = baseline.out_of_date.iter();
        let lines = stale.map(|it| format!("{}: {}", visible(&it.entry), sentence(&it.reason)));
        let mut lines = some(lines.collect());
        lines.push(repair(baseline));
        _ = writeln!(
            out,
            "::error file={},line={},title=known failures out of date::{}",
            property(&visible(&baseline.file)),
            first.line,
            data(&lines.join("\n")),
        );
    }
}

/// At most [`MOST_LINES`] lines; what is left out is counted in the last.
fn some(mut lines: Vec<String>) -> Vec<String> {
    if let Some(left @ 1..) = lines.len().checked_sub(MOST_LINES) {
        lines.truncate(MOST_LINES);
        lines.push(format!("and {left} more: avp-conform -v lists all"));
    }
    lines
}

fn of_cause(record: &Record, cause: &Cause) -> Annotation {
    let cases = count(cause.cases.len(), "case");
    Annotation {
        title: format!("{} ({cases})", visible(&cause.requirement)),
        message: text::cause_details(record, cause),
    }
}

fn of_hindrance(record: &Record, hindrance: &Hindrance<'_>) -> Annotation {
    let first = hindrance.cases.first();
    let id = first.map(|case| visible(&case.name())).unwrap_or_default();
    let cases = count(hindrance.cases.len(), "case");
    Annotation {
        title: format!("{cases} {}", hindrance.verdict),
        message: format!("{id}: {}\n{}", hindrance.reason, again(record, &id)),
    }
}

/// At most [`MOST_OF_A_KIND`] lines, the verdict's included; what is left out is counted in the last.
fn write_kind(out: &mut String, kind: &str, annotations: &[Annotation]) {
    let room = MOST_OF_A_KIND - 1;
    let shown = if annotations.len() > room {
        room - 1
    } else {
        annotations.len()
    };
    for annotation in &annotations[..shown] {
        _ = writeln!(
            out,
            "::{kind} title={}::{}",
            property(&annotation.title),
            data(&annotation.message),
        );
    }
    if annotations.len() > shown {
        let left: Vec<_> = annotations[shown..]
            .iter()
            .map(|annotation| annotation.title.as_str())
            .collect();
        let title = count(left.len(), "more cause");
        _ = writeln!(out, "::{kind} title={title}::{}", data(&left.join("\n")));
    }
}

/// Text of a workflow command.
pub(crate) fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property of one.
pub(crate) fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_escaped() {
        assert_eq!(property("a:b,c%\n"), "a%3Ab%2Cc%25%0A");
        assert_eq!(data("a:b,c%\r\n"), "a:b,c%25%0D%0A");
    }
}
