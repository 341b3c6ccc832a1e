//! How rightly the suite blames: of each fault alone, the requirements that a report calls broken, against those it breaks.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::matrix::{FaultRow, Matrix};

/// How rightly the whole suite blames, over all faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precision {
    /// How many faults were looked at.
    pub faults: usize,
    /// Of the requirements that a report calls broken, the share that the fault does break: the mean over all faults.
    pub mean: f64,
    /// How many requirements are called broken: the median.
    pub median: usize,
    /// So many at most in nine reports of ten.
    pub most: usize,
    /// The share of reports whose first finding names a requirement that the fault breaks, percent.
    pub first: f64,
    /// How many reports blame nothing but what the fault breaks.
    pub exact: usize,
}

impl Precision {
    /// Adds up; none where there is no fault, or not all cases ran against each.
    pub fn of(rows: &[FaultRow]) -> Option<Precision> {
        let reports: Option<Vec<_>> = rows.iter().map(|row| Some((row, row.report.as_ref()?))).collect();
        let reports = reports.filter(|reports| !reports.is_empty())?;
        let counts: Vec<usize> = reports.iter().map(|(_, report)| report.broken.len()).collect();
        let shares: Vec<f64> = rows.iter().filter_map(share).collect();
        let first = reports.iter().filter(|(row, report)| {
            let first = report.first.as_ref();
            first.is_some_and(|first| row.breaks.contains(first))
        });
        Some(Precision {
            faults: reports.len(),
            mean: rounded(shares.iter().sum::<f64>() / shares.len() as f64, 1000.0),
            median: within(counts.clone(), 50)?,
            most: within(counts, 90)?,
            first: rounded(first.count() as f64 * 100.0 / reports.len() as f64, 10.0),
            exact: shares.iter().filter(|share| **share >= 1.0).count(),
        })
    }
}

/// What so many in a hundred do not exceed; none where there are no numbers.
pub(super) fn within(mut numbers: Vec<usize>, percent: usize) -> Option<usize> {
    numbers.sort_unstable();
    let place = (numbers.len() * percent).div_ceil(100).checked_sub(1)?;
    numbers.get(place).copied()
}

/// Of the requirements that are called broken under a fault, the share that it breaks; nothing where none is.
pub(super) fn share(row: &FaultRow) -> Option<f64> {
    let broken = &row.report.as_ref()?.broken;
    let rightly = broken.iter().filter(|id| row.breaks.contains(id)).count();
    Some(rightly as f64 / broken.len().max(1) as f64)
}

/// Cut to so many parts of one, never up.
fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).floor() / parts
}

/// What reports of the whole suite blame under each fault, as Markdown; empty but for the heading where not all cases ran.
pub fn blame(matrix: &Matrix) -> String {
    let mut out = String::from(
        "# What a report blames\n\n\
         Made by `avp-conform selftest --full --accept`; not to be edited. Every case runs against the reference server with each \
         of its faults, one at a time. What the report calls broken is held against what the fault breaks.\n\n",
    );
    let Some(precision) = &matrix.precision else {
        return out;
    };
    _ = write!(
        out,
        "| | |\n|---|---|\n\
         | faults | {} |\n\
         | of what is called broken, is broken (mean) | {:.3} |\n\
         | nothing but what the fault breaks | {} |\n\
         | requirements called broken, median | {} |\n\
         | in nine reports of ten at most | {} |\n\
         | the first finding names what the fault breaks | {:.1} % |\n\n\
         | fault | breaks | called broken | first |\n|---|---|---|---|\n",
        precision.faults, precision.mean, precision.exact, precision.median, precision.most, precision.first
    );
    for row in &matrix.faults {
        let Some(report) = &row.report else { continue };
        let told = |id: &String| match row.breaks.contains(id) {
            true => id.clone(),
            false => format!("*{id}*"),
        };
        let broken: Vec<String> = report.broken.iter().map(told).collect();
        let first = report.first.as_ref().map(told).unwrap_or_default();
        _ = writeln!(
            out,
            "| `{}` | {} | {} | {first} |",
            row.name,
            row.breaks.join(", "),
            broken.join(", ")
        );
    }
    out
}
