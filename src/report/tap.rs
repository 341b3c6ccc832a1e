//! The Test Anything Protocol, version 14, with what was seen as YAML below each test point.

use std::fmt::{Display, Write as _};

use super::facts::{CaseStatus, again, case_status, verdict_line};
use super::text::exchange_line;
use crate::record::findings::decisive;
use crate::record::sentences::{got, reason, sentence};
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, CheckRecord, Record};
use crate::text::visible;

/// The record as TAP.
pub(super) fn render(record: &Record) -> String {
    let mut out = format!("TAP version 14\n1..{}\n", record.cases.len());
    for (index, case) in record.cases.iter().enumerate() {
        point(&mut out, record, case, index + 1);
    }
    _ = writeln!(out, "# {}", verdict_line(record));
    out
}

fn point(out: &mut String, record: &Record, case: &CaseRecord, number: usize) {
    let case_status = case_status(record, case);
    let ok = if matches!(case_status, CaseStatus::Passed | CaseStatus::Skipped) {
        "ok"
    } else {
        "not ok"
    };
    _ = write!(
        out,
        "{ok} {number} - {}: {}",
        escaped(&case.name()),
        escaped(&sentence(&case.title))
    );
    match case_status {
        CaseStatus::Skipped => _ = write!(out, " # SKIP {}", escaped(&reason(case))),
        CaseStatus::Known => _ = write!(out, " # TODO {}", escaped(&reason(case))),
        _ => {}
    }
    out.push('\n');
    if !matches!(case.verdict, Verdict::Pass | Verdict::NotApplicable) {
        diagnostics(out, record, case);
    }
}

/// Text on the line of a test point, where `#` begins a directive.
fn escaped(text: &str) -> String {
    visible(text).replace('\\', "\\\\").replace('#', "\\#")
}

fn diagnostics(out: &mut String, record: &Record, case: &CaseRecord) {
    out.push_str("  ---\n");
    field(out, 2, "verdict", case.verdict);
    field(out, 2, "at", format!("{}:{}", case.file, case.line));
    field(out, 2, "again", again(record, &case.id));
    if matches!(case.verdict, Verdict::Blocked | Verdict::Error) {
        field(out, 2, "reason", reason(case));
    }
    let broken: Vec<_> = case.checks.iter().filter(|check| check.is_broken()).collect();
    if !broken.is_empty() {
        out.push_str("  checks:\n");
    }
    for check in broken {
        self::check(out, case, check);
    }
    out.push_str("  ...\n");
}

fn check(out: &mut String, case: &CaseRecord, check: &CheckRecord) {
    _ = writeln!(out, "    - name: {}", quoted(&check.name));
    field(out, 6, "verdict", check.verdict);
    let ids: Vec<_> = check.requirements.iter().map(|id| quoted(id)).collect();
    _ = writeln!(out, "      requirements: [{}]", ids.join(", "));
    field(out, 6, "line", check.line);
    field(out, 6, "expected", sentence(&check.expected));
    field(out, 6, "got", got(check));
    if let Some((_, exchange)) = decisive(case, check) {
        field(out, 6, "exchange", exchange_line(exchange));
    }
    if let Some(hint) = &check.hint {
        field(out, 6, "hint", sentence(hint));
    }
}

fn field(out: &mut String, indent: usize, name: &str, value: impl Display) {
    _ = writeln!(out, "{:indent$}{name}: {}", "", quoted(&value.to_string()));
}

/// A YAML scalar on one line: visible text in double quotes, as JSON writes it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(visible(text)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_cannot_become_a_directive() {
        assert_eq!(escaped("a # SKIP \\ b\nok 2"), "a \\# SKIP \\\\ b\\\\nok 2");
        assert_eq!(quoted("a\"b\n"), r#""a\"b\\n""#);
    }
}
