//! The matrix on a terminal: a line for each fault, and what is amiss at the end, where it is seen.

use std::fmt::Write as _;

use super::matrix::{Caught, FaultRow, Matrix, MutantStatus, Rate, SelftestOutcome};
use crate::catalogue::Level;
use crate::report::paint::{Paint, Tone};
use crate::text::count;

/// So many cases are named in a line.
const MOST_NAMED: usize = 3;

/// The matrix as text.
pub fn render(matrix: &Matrix, paint: Paint) -> String {
    let mut out = String::new();
    table(&mut out, matrix, paint);
    amiss(&mut out, matrix, paint);
    summary(&mut out, matrix, paint);
    out
}

fn table(out: &mut String, matrix: &Matrix, paint: Paint) {
    let width = matrix.faults.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in &matrix.faults {
        let fate = paint.tone(tone(row.fate), format!("{:8}", row.fate.as_str()));
        let level = if row.level == Level::Must { "" } else { " (should)" };
        _ = writeln!(
            out,
            "{fate}  {:width$}  {:10} {}{level}",
            row.name,
            row.breaks.join(" "),
            by(row)
        );
    }
}

fn tone(fate: MutantStatus) -> Tone {
    match fate {
        MutantStatus::Killed => Tone::Good,
        MutantStatus::Noticed => Tone::Caution,
        MutantStatus::Survived | MutantStatus::Dead => Tone::Bad,
    }
}

/// Who caught a fault: those that declare it, or else those that did so unasked.
fn by(row: &FaultRow) -> String {
    let how = match row.caught {
        None => return String::new(),
        Some(Caught::Declared) => return named(&row.declared, row.others.len()),
        Some(Caught::Requirement) => "undeclared: ",
        Some(Caught::Otherwise) => "undeclared, by other requirements: ",
    };
    format!("{how}{}", named(&row.others, 0))
}

fn named(cases: &[String], more: usize) -> String {
    let shown = cases
        .iter()
        .take(MOST_NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match cases.len().saturating_sub(MOST_NAMED) + more {
        0 => shown,
        more => format!("{shown} and {}", count(more, "other")),
    }
}

fn amiss(out: &mut String, matrix: &Matrix, paint: Paint) {
    let list = |out: &mut String, title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            _ = writeln!(out, "\n{} ({})", paint.tone(Tone::Strong, title), lines.len());
            for line in lines {
                _ = writeln!(out, "  {line}");
            }
        }
    };
    let fate = |fate: MutantStatus| {
        let rows = matrix.faults.iter().filter(move |row| row.fate == fate);
        rows.map(|row| format!("{} ({} {})", row.name, row.level, row.breaks.join(" ")))
            .collect::<Vec<_>>()
    };
    list(out, "The plain server is not green", matrix.plain.cases.clone());
    list(out, "Survived", fate(MutantStatus::Survived));
    list(
        out,
        "Noticed only: not conformant, but nothing broke",
        fate(MutantStatus::Noticed),
    );
    list(out, "Dead code: never took effect", fate(MutantStatus::Dead));
    let alarms = matrix
        .false_alarms()
        .map(|row| format!("{}: {}", row.name, named(&row.alarms, 0)));
    list(
        out,
        "False alarms: variations that were not found conformant",
        alarms.collect(),
    );
    let idle = matrix.idle().map(|row| row.name.clone()).collect();
    list(out, "Variations that never took effect", idle);
    let stale = matrix.stale.iter();
    list(
        out,
        "Stale kills: the case does not break under the fault",
        stale
            .map(|stale| format!("{} declares {}", stale.case, stale.fault))
            .collect(),
    );
    let wrong = matrix.faults.iter().filter_map(wrongly);
    list(
        out,
        "Faults for which more is blamed than they break",
        wrong.collect(),
    );
    list(
        out,
        "Unproven requirements: no fault breaks them",
        matrix.unproven.requirements.clone(),
    );
    list(
        out,
        "Unproven cases: no fault breaks them",
        matrix.unproven.cases.clone(),
    );
    list(
        out,
        "Unproven checks of a must: no fault breaks them",
        matrix.unproven.checks.clone(),
    );
}

/// What is blamed for a fault and not broken by it, or that nothing rightly is.
fn wrongly(row: &FaultRow) -> Option<String> {
    let report = row.report.as_ref()?;
    let (rightly, wrongly): (Vec<&String>, Vec<&String>) =
        report.broken.iter().partition(|id| row.breaks.contains(id));
    let missed = if rightly.is_empty() { ", and not that" } else { "" };
    let wrongly = wrongly.into_iter().map(String::as_str).collect::<Vec<_>>();
    (!wrongly.is_empty() || rightly.is_empty()).then(|| {
        format!(
            "{} ({}): {}{missed}",
            row.name,
            row.breaks.join(" "),
            wrongly.join(" ")
        )
    })
}

fn summary(out: &mut String, matrix: &Matrix, paint: Paint) {
    let undeclared = matrix
        .faults
        .iter()
        .filter(|row| matches!(row.caught, Some(Caught::Requirement | Caught::Otherwise)))
        .count();
    let conformant = matrix.variations.iter().filter(|row| row.conformant).count();
    let standing = match matrix.standing {
        SelftestOutcome::Sound => paint.tone(Tone::Good, "sound"),
        SelftestOutcome::Lacking => paint.tone(Tone::Bad, "lacking"),
        SelftestOutcome::Void => paint.tone(
            Tone::Bad,
            "VOID: the plain server is not green or the canary lives",
        ),
    };
    _ = writeln!(
        out,
        "\n{standing}: {} ran against the plain server, {} of {} conformant; killed {} must and {} should faults, \
         {undeclared} of them by no case that declares it",
        count(matrix.cases, "case"),
        conformant,
        count(matrix.variations.len(), "variation"),
        rate(matrix.must),
        rate(matrix.should),
    );
    if let Some(precision) = &matrix.precision {
        _ = writeln!(
            out,
            "blame: {:.3} of what reports call broken is broken, in the mean of {} faults, and all of it under {}; {} in the \
             median and at most {} in nine of ten; the right one first in {:.1} %",
            precision.mean,
            precision.faults,
            precision.exact,
            count(precision.median, "requirement"),
            precision.most,
            precision.first
        );
    }
}

fn rate(rate: Rate) -> String {
    format!("{} of {}", rate.killed, rate.of)
}
