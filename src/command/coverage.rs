//! Which cases verify which requirement, and which requirement none verifies.

use std::fmt::Write as _;

use serde_json::json;

use crate::case::{LoadedCase, Suite};
use crate::cli::ListArgs;
use crate::error::Error;
use crate::protocol::{Level, Requirement, SpecVersion, catalogue};
use crate::{config, console, exit, judge, plan};

/// A requirement and what verifies it.
pub(super) struct Row<'a> {
    pub(super) requirement: &'a Requirement,
    cases: Vec<&'a str>,
    standing: bool,
}

impl Row<'_> {
    pub(super) fn is_covered(&self) -> bool {
        self.standing || !self.cases.is_empty()
    }

    /// Whether something is amiss: a must or should that nothing verifies, though it could be seen.
    pub(super) fn is_gap(&self) -> bool {
        !self.is_covered() && self.requirement.level > Level::May && self.requirement.unobservable.is_none()
    }
}

/// Every server requirement.
pub(super) fn rows(suite: &Suite) -> Vec<Row<'_>> {
    let row = |requirement: &'static Requirement| {
        let id = requirement.id.as_str();
        let named = suite
            .cases
            .iter()
            .filter(|case| plan::requirements(case).contains(&id));
        Row {
            requirement,
            cases: named.map(LoadedCase::id).collect(),
            standing: judge::STANDING_REQUIREMENTS.contains(&id),
        }
    };
    catalogue().server(SpecVersion::default()).map(row).collect()
}

pub(super) fn coverage(args: &ListArgs) -> Result<u8, Error> {
    let suite = config::load_suite(&args.cases)?;
    let rows = rows(&suite);
    console::out(&if args.json { json(&rows) } else { text(&rows) })?;
    Ok(if rows.iter().any(Row::is_gap) {
        exit::NOT_CONFORMANT
    } else {
        exit::OK
    })
}

fn json(rows: &[Row<'_>]) -> String {
    let row = |row: &Row<'_>| {
        json!({
            "id": row.requirement.id,
            "level": row.requirement.level,
            "text": row.requirement.text,
            "cases": row.cases,
            "standing": row.standing,
            "covered": row.is_covered(),
        })
    };
    format!(
        "{:#}\n",
        serde_json::Value::from(rows.iter().map(row).collect::<Vec<_>>())
    )
}

fn text(rows: &[Row<'_>]) -> String {
    let mut text = String::new();
    for row in rows {
        let how = match (row.standing, row.cases.len()) {
            (true, 0) => "every exchange".to_owned(),
            (true, count) => format!("every exchange, {}", crate::style::count(count, "case")),
            (false, 0) => "UNCOVERED".to_owned(),
            (false, count) => crate::style::count(count, "case"),
        };
        let requirement = row.requirement;
        let _ = writeln!(
            text,
            "{:11} {:6} {how:26} {}",
            requirement.id, requirement.level, requirement.text
        );
    }
    let gaps = rows.iter().filter(|row| row.is_gap()).count();
    let _ = writeln!(
        text,
        "\n{} server requirements, {gaps} must or should without a check",
        rows.len()
    );
    text
}
