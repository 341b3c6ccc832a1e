//! Brings a list up to date with a record, keeping comments, reasons, dates, order and the form of the file.

use std::collections::{BTreeMap, BTreeSet};

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

use super::apply::{is_bare, is_wrong};
use super::list::{Baseline, Entry};
use super::seen::AnswerWord;
use super::seen::Seen;
use crate::case::Heads;
use crate::record::verdict::{RunVerdict, Verdict};
use crate::record::{CaseRecord, CheckRecord, Known, Over, Record};
use crate::text::count;

/// A look at every exchange that breaks in so many cases is written once, for all cases.
const CASES_OF_ONE_CAUSE: usize = 2;
/// The mark that some editors put at the beginning of a file.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was added: what it names.
    Added(String),
    /// It was taken out: what it named, and why.
    Removed(String, String),
    /// Of what it names some fails no more and was taken out: how much.
    Narrowed(String, String),
    /// It has expired and what it names still fails: it stays as it is, and somebody has to decide.
    Expired(String, String),
}

/// Why a list cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The text is no TOML; a list that [`Baseline::parse`] read is.
    #[error("{0}")]
    Text(#[from] toml_edit::TomlError),
    /// What was not seen can be known by nobody.
    #[error("the report is incomplete: {0}; a list is made from a run that came to its end")]
    Incomplete(String),
}

/// The text of the list after the record was seen, and what changed in it. New entries are given `fresh`.
///
/// # Errors
/// The record is incomplete, or the text is no TOML.
pub fn update(
    list: &Baseline,
    text: &str,
    record: &Record,
    heads: &Heads,
    fresh: &Known,
) -> Result<(String, Vec<Change>), UpdateError> {
    if let Some(why) = incomplete(record) {
        return Err(UpdateError::Incomplete(why));
    }
    let form = Form::of(text);
    let mut document: DocumentMut = form.plain(text).parse()?;
    let mut changes = Vec::new();
    let kept = prune(&mut document, list, record, heads, &mut changes);
    for entry in fresh_entries(&kept, record, heads.rules.answer_word) {
        changes.push(Change::Added(entry.name()));
        add(&mut document, &entry, fresh);
    }
    let is_changed = changes.iter().any(|it| !matches!(it, Change::Expired(..)));
    let text = match is_changed {
        true => form.dress(&document.to_string()),
        false => text.to_owned(),
    };
    Ok((text, changes))
}

fn incomplete(record: &Record) -> Option<String> {
    let undone = record.cases.iter().filter(|case| case.verdict == Verdict::Error);
    match undone.count() {
        0 if !record.missing.is_empty() => Some(format!("shard {} is missing", record.missing.join(", "))),
        0 if record.verdict == RunVerdict::Incomplete => Some("it was interrupted".to_owned()),
        0 => None,
        number => Some(format!("{} in error", count(number, "case"))),
    }
}

/// Line ends, and what stands before the text.
struct Form {
    mark: &'static str,
    carriage_returns: bool,
}

impl Form {
    fn of(text: &str) -> Form {
        let lines = text.matches('\n').count();
        Form {
            mark: if text.starts_with(BYTE_ORDER_MARK) {
                BYTE_ORDER_MARK
            } else {
                ""
            },
            carriage_returns: text.matches("\r\n").count() * 2 > lines,
        }
    }

    fn plain(&self, text: &str) -> String {
        text.strip_prefix(self.mark).unwrap_or(text).replace("\r\n", "\n")
    }

    fn dress(&self, text: &str) -> String {
        let text = match self.carriage_returns {
            true => text.replace('\n', "\r\n"),
            false => text.to_owned(),
        };
        format!("{}{text}", self.mark)
    }
}

/// Takes out what fails no more. What is left takes in what is known, also where it has expired: nothing is added for that.
fn prune(
    document: &mut DocumentMut,
    list: &Baseline,
    record: &Record,
    heads: &Heads,
    changes: &mut Vec<Change>,
) -> Vec<Entry> {
    let stale = list.out_of_date(record, heads);
    let Some(Item::ArrayOfTables(tables)) = document.get_mut("known") else {
        return Vec::new();
    };
    let (mut kept, mut entries) = (ArrayOfTables::new(), Vec::new());
    let mut loose = String::new();
    for (table, entry) in tables.iter().zip(&list.entries) {
        let reason = stale
            .iter()
            .find(|it| it.line == entry.line)
            .map(|it| it.reason.clone());
        let mut table = table.clone();
        let gone = entry.names_nothing(heads).is_some() || entry.holds(record, heads);
        let left = narrow(&mut table, entry, record, heads);
        let gone = match (gone, left) {
            (true, _) => reason.or_else(|| Some("it fails no more".to_owned())),
            (false, Left::Nothing) => Some("what it names is seen no more".to_owned()),
            (false, Left::All) => {
                changes.extend(reason.map(|reason| Change::Expired(entry.name(), reason)));
                None
            }
            (false, Left::Some(less)) => {
                changes.push(Change::Narrowed(entry.name(), count(less, "part")));
                None
            }
        };
        if let Some(reason) = gone {
            changes.push(Change::Removed(entry.name(), reason));
            loose.push_str(&heading(&table));
            continue;
        }
        if !loose.is_empty() {
            let own = prefix(&table);
            table
                .decor_mut()
                .set_prefix(format!("{loose}{}", own.trim_start_matches('\n')));
            loose.clear();
        }
        kept.push(table);
        entries.push(entry.clone());
    }
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
    entries
}

/// What is left of the items of an entry.
enum Left {
    All,
    /// So many were taken out.
    Some(usize),
    Nothing,
}

/// Takes out of an entry's `seen` what is to be seen no more, if all was run that could show it.
fn narrow(table: &mut Table, entry: &Entry, record: &Record, heads: &Heads) -> Left {
    let (Some(items), Some(array)) = (&entry.seen, table.get_mut("seen").and_then(Item::as_array_mut)) else {
        return Left::All;
    };
    if !entry.ran_whole(record, heads) {
        return Left::All;
    }
    let gone = |(_, item): &(usize, &Seen)| !entry.occurs(item, record, heads.rules.answer_word);
    let gone: Vec<usize> = items.iter().enumerate().filter(gone).map(|(at, _)| at).collect();
    for at in gone.iter().rev() {
        array.remove(*at);
    }
    match gone.len() {
        0 => Left::All,
        number if number == items.len() => Left::Nothing,
        number => Left::Some(number),
    }
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

/// An entry to be added.
struct Fresh {
    case: Option<String>,
    /// Over what the case was run, where the record has cases that ran over several.
    over: Option<Over>,
    check: Option<String>,
    seen: BTreeSet<Seen>,
}

impl Fresh {
    fn name(&self) -> String {
        let named = [("case", &self.case), ("check", &self.check)];
        let named = named
            .into_iter()
            .filter_map(|(key, id)| Some(format!("{key} = {:?}", id.as_ref()?)));
        let over = self.over.map(|over| format!("over = {:?}", over.word()));
        named.chain(over).collect::<Vec<_>>().join(", ")
    }
}

/// What fails the run and is in no entry: looks at every exchange by requirement, where more than one case breaks one, and
/// all else by case.
fn fresh_entries(entries: &[Entry], record: &Record, answer_word: AnswerWord) -> Vec<Fresh> {
    let fails = |verdict: Verdict| is_wrong(verdict) && (record.strict || verdict != Verdict::Warn);
    let is_known = |case: &CaseRecord, check: Option<&CheckRecord>| {
        entries.iter().any(|entry| entry.knows(case, check, answer_word))
    };
    let mut everywhere: BTreeMap<(&str, Seen), BTreeSet<&str>> = BTreeMap::new();
    let mut by_case: Vec<(&CaseRecord, Vec<&CheckRecord>)> = Vec::new();
    for case in &record.cases {
        let news = case
            .checks
            .iter()
            .filter(|check| fails(check.verdict) && !is_known(case, Some(check)));
        let news: Vec<&CheckRecord> = news.collect();
        for check in news.iter().filter(|check| is_standing(check)) {
            let key = (first_requirement(check), Seen::of(case, check, answer_word));
            everywhere.entry(key).or_default().insert(&case.id);
        }
        if !news.is_empty() || is_bare(case) && fails(case.verdict) && !is_known(case, None) {
            by_case.push((case, news));
        }
    }
    everywhere.retain(|_, cases| cases.len() >= CASES_OF_ONE_CAUSE);
    let mut by_requirement: BTreeMap<&str, BTreeSet<Seen>> = BTreeMap::new();
    for (id, seen) in everywhere.keys() {
        by_requirement.entry(id).or_default().insert(seen.clone());
    }
    let first = record.cases.first().map(|case| case.transport);
    let is_mixed = record.cases.iter().any(|case| Some(case.transport) != first);
    let of_case = |(case, news): &(&CaseRecord, Vec<&CheckRecord>)| {
        let own = news.iter().filter(|check| {
            !is_standing(check)
                || !everywhere.contains_key(&(first_requirement(check), Seen::of(case, check, answer_word)))
        });
        let mut seen: BTreeSet<Seen> = own.map(|check| Seen::of(case, check, answer_word)).collect();
        if news.is_empty() {
            seen.insert(Seen::unverified());
        }
        Fresh {
            case: Some(case.id.clone()),
            over: is_mixed.then_some(case.transport),
            check: None,
            seen,
        }
    };
    let of_requirement = |(id, seen): (&str, BTreeSet<Seen>)| Fresh {
        case: None,
        over: None,
        check: Some(id.to_owned()),
        seen,
    };
    let cases: Vec<Fresh> = by_case
        .iter()
        .map(of_case)
        .filter(|it| !it.seen.is_empty())
        .collect();
    by_requirement
        .into_iter()
        .map(of_requirement)
        .chain(cases)
        .collect()
}

/// Whether a check is one of those that every exchange of every case gets, and breaks.
fn is_standing(check: &CheckRecord) -> bool {
    check.step.is_none() && check.verdict != Verdict::Blocked
}

fn first_requirement(check: &CheckRecord) -> &str {
    check.requirements.first().map_or("", String::as_str)
}

fn add(document: &mut DocumentMut, entry: &Fresh, fresh: &Known) {
    let mut table = Table::new();
    for (key, id) in [("case", &entry.case), ("check", &entry.check)] {
        if let Some(id) = id {
            table.insert(key, value(id));
        }
    }
    if let Some(over) = entry.over {
        table.insert("over", value(over.word()));
    }
    table.insert("seen", value(written(&entry.seen)));
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

/// The items, a line each where there are several.
fn written(seen: &BTreeSet<Seen>) -> Array {
    let mut array = Array::new();
    for item in seen {
        let mut item = Value::from(item.written());
        if seen.len() > 1 {
            item.decor_mut().set_prefix("\n  ");
        }
        array.push_formatted(item);
    }
    if seen.len() > 1 {
        array.set_trailing("\n");
        array.set_trailing_comma(true);
    }
    array
}
