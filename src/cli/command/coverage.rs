//! Which cases verify which requirement, and which requirement none verifies.

use std::fmt::Write as _;

use serde_json::json;

use crate::case::selection;
use crate::case::selection::Filter;
use crate::catalogue::{Level, Requirement};
use crate::cli::arguments::ListArgs;
use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::protocol::Suite;

/// How wide the column is that tells what verifies a requirement; and where it tells of gRPC too.
const WIDTH: usize = 26;
const CALLS_WIDTH: usize = 40;

/// A requirement and what verifies it.
pub(super) struct Row<'a> {
    pub(super) requirement: &'a Requirement,
    cases: Vec<&'a str>,
    /// Those of the cases that run over gRPC as well; none where the protocol has no such profile.
    calls: Option<Vec<&'a str>>,
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
        let named = || suite.cases.iter().filter(|case| case.verifies(id));
        let calls = || named().filter(|case| case.runs_over_grpc() && !requirement.http_only);
        let has_grpc = suite.protocol.grpc.is_some();
        Row {
            requirement,
            cases: named().map(|case| case.id.as_str()).collect(),
            calls: has_grpc.then(|| calls().map(|case| case.id.as_str()).collect()),
            standing: requirement.everywhere,
        }
    };
    let catalogue = suite.rules.catalogue;
    catalogue.binding(catalogue.newest()).map(row).collect()
}

pub(super) fn coverage(args: &ListArgs) -> Result<u8, Error> {
    let suite = config::load_suite(args.protocol.get(), &args.cases)?;
    let rows = chosen(&suite, &args.filter)?;
    console::out(&if args.json { json(&rows) } else { text(&rows) })?;
    Ok(if rows.iter().any(Row::is_gap) {
        exit::NOT_CONFORMANT
    } else {
        exit::OK
    })
}

/// The requirements that filters name, and those that the cases verify which they name.
fn chosen<'a>(suite: &'a Suite, filters: &[Filter]) -> Result<Vec<Row<'a>>, Error> {
    let all = rows(suite);
    if filters.is_empty() {
        return Ok(all);
    }
    let names = |filter: &Filter| {
        all.iter()
            .any(|row| filter.names_requirement(&row.requirement.id))
    };
    let others: Vec<Filter> = filters.iter().filter(|filter| !names(filter)).cloned().collect();
    config::check_filters(suite, &others)?;
    let selected = selection::plan(suite, filters, suite.rules.catalogue.newest(), true);
    let cases: Vec<&str> = selected
        .iter()
        .map(|index| suite.cases[*index].id.as_str())
        .collect();
    let is_named = |row: &Row<'_>| {
        let names = |excludes| {
            let id = &row.requirement.id;
            filters
                .iter()
                .any(|it| it.excludes() == excludes && it.names_requirement(id))
        };
        names(false) && !names(true)
    };
    let only = |mut row: Row<'a>| {
        let is_named = is_named(&row);
        row.cases.retain(|id| cases.contains(id));
        row.calls
            .iter_mut()
            .for_each(|calls| calls.retain(|id| cases.contains(id)));
        (is_named || !row.cases.is_empty()).then_some(row)
    };
    let chosen: Vec<Row<'_>> = all.into_iter().filter_map(only).collect();
    match chosen.is_empty() {
        true => Err(Error::NothingSelected("no requirement matches".to_owned())),
        false => Ok(chosen),
    }
}

fn json(rows: &[Row<'_>]) -> String {
    let row = |row: &Row<'_>| {
        let mut shown = json!({
            "id": row.requirement.id,
            "level": row.requirement.level,
            "text": row.requirement.text,
            "cases": row.cases,
            "standing": row.standing,
            "covered": row.is_covered(),
        });
        if let Some(calls) = &row.calls {
            shown["over_grpc"] = json!(calls);
        }
        shown
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
            (true, count) => format!("every exchange, {}", crate::text::count(count, "case")),
            (false, 0) => "UNCOVERED".to_owned(),
            (false, count) => crate::text::count(count, "case"),
        };
        let calls = row.calls.as_ref().filter(|_| !row.cases.is_empty());
        let (how, width) = match calls {
            Some(calls) => (format!("{how}, {} over gRPC", calls.len()), CALLS_WIDTH),
            None if row.calls.is_some() => (how, CALLS_WIDTH),
            None => (how, WIDTH),
        };
        let requirement = row.requirement;
        let _ = writeln!(
            text,
            "{:11} {:6} {how:width$} {}",
            requirement.id, requirement.level, requirement.text
        );
    }
    let gaps = rows.iter().filter(|row| row.is_gap()).count();
    let _ = writeln!(
        text,
        "\n{}, {gaps} must or should without a check",
        crate::text::count(rows.len(), "server requirement")
    );
    text
}
