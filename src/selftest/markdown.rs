//! The matrix for people, as it is published.

use std::fmt::Write as _;

use super::matrix::{Caught, FaultRow, Matrix, Rate, SelftestOutcome};
use crate::text::count;

/// So many cases are named in a cell.
const MOST_NAMED: usize = 4;

/// The matrix as Markdown.
pub fn render(matrix: &Matrix) -> String {
    let mut out = String::new();
    heading(&mut out, matrix);
    faults(&mut out, matrix);
    variations(&mut out, matrix);
    list(
        &mut out,
        "Stale declarations",
        matrix
            .stale
            .iter()
            .map(|it| format!("`{}` declares `{}`", it.case, it.fault)),
    );
    list(
        &mut out,
        "Requirements that no fault breaks",
        quoted(&matrix.unproven.requirements),
    );
    list(
        &mut out,
        "Cases that no fault breaks",
        quoted(&matrix.unproven.cases),
    );
    list(
        &mut out,
        "Checks that no fault breaks",
        matrix.unproven.checks.iter().cloned(),
    );
    out
}

fn heading(out: &mut String, matrix: &Matrix) {
    let standing = match matrix.standing {
        SelftestOutcome::Sound => "sound",
        SelftestOutcome::Lacking => "lacking",
        SelftestOutcome::Void => "void",
    };
    let alarms = matrix.false_alarms().count();
    _ = write!(
        out,
        "# The harness held against itself\n\n\
         Made by `avp-conform selftest --accept`; not to be edited. Every case runs against the plain reference server and \
         against each variation that the protocol leaves open, which must come out conformant. Against each fault the \
         cases run that declare it, and one of them must break.\n\n\
         | | |\n|---|---|\n\
         | result | {standing} |\n\
         | must faults killed | {} |\n\
         | should faults killed | {} |\n\
         | variations | {}, {} |\n\
         | cases | {} |\n\
         | suite | `{}` |\n",
        rate(matrix.must),
        rate(matrix.should),
        matrix.variations.len(),
        count(alarms, "false alarm"),
        matrix.cases,
        matrix.suite,
    );
}

fn rate(rate: Rate) -> String {
    format!("{} of {}", rate.killed, rate.of)
}

fn faults(out: &mut String, matrix: &Matrix) {
    out.push_str(
        "\n## Faults\n\nCaught by: the cases that declare the fault; in italics, where none does, cases that caught it \
         unasked.\n",
    );
    let mut area = "";
    for row in &matrix.faults {
        if row.area != area {
            area = &row.area;
            _ = write!(
                out,
                "\n### {area}\n\n| fault | breaks | level | | caught by |\n|---|---|---|---|---|\n"
            );
        }
        _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            row.name,
            row.breaks.join(", "),
            row.level,
            row.fate.as_str(),
            by(row)
        );
    }
}

fn by(row: &FaultRow) -> String {
    match row.caught {
        None => String::new(),
        Some(Caught::Declared) => named(&row.declared),
        Some(_) => format!("*{}*", named(&row.others)),
    }
}

fn named(cases: &[String]) -> String {
    let shown = cases
        .iter()
        .take(MOST_NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match cases.len().saturating_sub(MOST_NAMED) {
        0 => shown,
        more => format!("{shown} and {}", count(more, "other")),
    }
}

fn variations(out: &mut String, matrix: &Matrix) {
    out.push_str("\n## Variations\n\n| variation | | warned of |\n|---|---|---|\n");
    for row in &matrix.variations {
        let standing = match (row.conformant, row.fired) {
            (false, _) => format!("FALSE ALARM: {}", named(&row.alarms)),
            (true, false) => "never took effect".to_owned(),
            (true, true) => "conformant".to_owned(),
        };
        _ = writeln!(out, "| `{}` | {standing} | {} |", row.name, row.warned.join(", "));
    }
}

fn quoted(names: &[String]) -> impl Iterator<Item = String> {
    names.iter().map(|name| format!("`{name}`"))
}

fn list(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.map(|line| format!("- {line}\n")).collect();
    if !lines.is_empty() {
        _ = write!(out, "\n## {title}\n\n{}", lines.concat());
    }
}
