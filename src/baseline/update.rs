//! Brings a list up to date with a record, keeping comments, reasons and order.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::apply::is_wrong;
use super::list::Baseline;
use crate::case::Suite;
use crate::record::{Known, Record};
use crate::verdict::Verdict;

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was added: what it names.
    Added(String),
    /// It was taken out: what it named, and why.
    Removed(String, String),
    /// It had expired and what it names still fails: it stays without a date.
    Renewed(String),
}

/// The text of the list after the record was seen, and what changed in it. New entries are given `fresh`.
///
/// # Errors
/// The text is no TOML; a list that [`Baseline::parse`] read is.
pub fn update(
    list: &Baseline,
    text: &str,
    record: &Record,
    suite: &Suite,
    fresh: &Known,
) -> Result<(String, Vec<Change>), toml_edit::TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let mut changes = Vec::new();
    let mut list = list.clone();
    prune(&mut document, &mut list, record, suite, &mut changes);
    let mut marked = record.clone();
    list.apply(&mut marked, suite);
    for id in unknown(&marked) {
        changes.push(Change::Added(format!("case = {id:?}")));
        add(&mut document, &id, fresh);
    }
    Ok((document.to_string(), changes))
}

/// Takes out what does not fit, and the dates of what has expired but still fails.
fn prune(
    document: &mut DocumentMut,
    list: &mut Baseline,
    record: &Record,
    suite: &Suite,
    changes: &mut Vec<Change>,
) {
    let stale = list.out_of_date(record, suite);
    let Some(Item::ArrayOfTables(tables)) = document.get_mut("known") else {
        return;
    };
    let mut kept = ArrayOfTables::new();
    let mut loose = String::new();
    for (table, entry) in tables.iter_mut().zip(&mut list.entries) {
        let reason = stale
            .iter()
            .find(|it| it.line == entry.line)
            .map(|it| it.reason.clone());
        let gone = entry.names_nothing(suite).is_some() || entry.holds(record, suite);
        match reason {
            Some(_) if !gone => {
                table.remove("expires");
                entry.expires = None;
                changes.push(Change::Renewed(entry.name()));
            }
            Some(reason) => {
                changes.push(Change::Removed(entry.name(), reason));
                loose.push_str(&heading(table));
                continue;
            }
            None => {}
        }
        let mut table = table.clone();
        if !loose.is_empty() {
            let own = prefix(&table);
            table
                .decor_mut()
                .set_prefix(format!("{loose}{}", own.trim_start_matches('\n')));
            loose.clear();
        }
        kept.push(table);
    }
    let lines: Vec<usize> = stale.iter().map(|it| it.line).collect();
    list.entries
        .retain(|entry| !lines.contains(&entry.line) || !gone(entry, record, suite));
    match kept.is_empty() {
        true => {
            document.remove("known");
            let rest = document.trailing().as_str().unwrap_or_default().to_owned();
            document.set_trailing(format!("{loose}{rest}"));
        }
        false => {
            document.insert("known", Item::ArrayOfTables(kept));
        }
    }
}

fn gone(entry: &super::list::Entry, record: &Record, suite: &Suite) -> bool {
    entry.names_nothing(suite).is_some() || entry.holds(record, suite)
}

/// What stands before a table.
fn prefix(table: &Table) -> String {
    let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str());
    prefix.unwrap_or_default().to_owned()
}

/// The comments before a table that are not about it: those that an empty line sets off.
fn heading(table: &Table) -> String {
    let prefix = prefix(table);
    match prefix.trim_end_matches(' ').rfind("\n\n") {
        Some(end) if prefix[..end].contains('#') => format!("{}\n\n", &prefix[..end]),
        _ => String::new(),
    }
}

/// The cases that fail the run and are not in the list.
fn unknown(record: &Record) -> Vec<String> {
    let fails = |verdict: Verdict| is_wrong(verdict) && (record.strict || verdict != Verdict::Warn);
    record
        .cases
        .iter()
        .filter(|case| {
            let news = case
                .checks
                .iter()
                .any(|check| fails(check.verdict) && check.known.is_none());
            let bare = fails(case.verdict) && !case.checks.iter().any(|check| is_wrong(check.verdict));
            news || (bare && case.known.is_none())
        })
        .map(|case| case.id.clone())
        .collect()
}

fn add(document: &mut DocumentMut, id: &str, fresh: &Known) {
    let mut table = Table::new();
    table.insert("case", value(id));
    table.insert("reason", value(&fresh.reason));
    if let Some(issue) = &fresh.issue {
        table.insert("issue", value(issue));
    }
    // What stands in a list without entries is its heading.
    let before = document.get("known").is_none().then(|| {
        let heading = document.trailing().as_str().unwrap_or_default().to_owned();
        document.set_trailing("");
        heading
    });
    let known = document
        .entry("known")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if let Some(tables) = known.as_array_of_tables_mut() {
        table.decor_mut().set_prefix(before.as_deref().unwrap_or("\n"));
        tables.push(table);
    }
}
