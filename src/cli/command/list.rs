//! Lists cases.

use serde_json::json;

use crate::case::{CaseHead, selection};
use crate::cli::arguments::ListArgs;
use crate::cli::error::Error;
use crate::cli::{config, console, exit};

pub(super) fn list(args: &ListArgs) -> Result<u8, Error> {
    let suite = config::load_suite(args.protocol.get(), &args.cases)?;
    let newest = suite.rules.catalogue.newest();
    let selected = selection::plan(&suite, &args.filter, newest, true);
    if selected.is_empty() {
        return Err(config::nothing_selected(&suite, &args.filter, newest));
    }
    config::check_filters(&suite, &args.filter)?;
    let cases: Vec<&CaseHead> = selected.iter().map(|index| &suite.cases[*index]).collect();
    match args.json {
        true => {
            let rows: Vec<serde_json::Value> = cases.iter().map(|case| row(case)).collect();
            console::out(&format!("{:#}\n", serde_json::Value::from(rows)))?;
        }
        false => {
            let width = cases.iter().map(|case| case.id.len()).max().unwrap_or(0);
            let line = |case: &&CaseHead| format!("{:width$}  {}\n", case.id, case.title);
            console::out(&cases.iter().map(line).collect::<String>())?;
        }
    }
    Ok(exit::OK)
}

fn row(case: &CaseHead) -> serde_json::Value {
    json!({
        "id": case.id,
        "title": case.title,
        "topic": case.topic(),
        "requirements": case.requirements,
        "since": case.since,
        "slow": case.slow,
        "file": case.source.name,
        "line": case.line,
    })
}
