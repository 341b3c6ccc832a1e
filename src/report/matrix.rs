//! Implementations side by side: a column for each report, a row for each requirement.

use std::fmt::Write as _;

use maud::{DOCTYPE, PreEscaped, html};

use super::View;
use super::facts::Totals;
use super::markdown::escaped;
use super::text::Page;
use crate::catalogue::Level;
use crate::record::Record;
use crate::record::sentences::{protocol, sentence, target};
use crate::record::verdict::{RunVerdict, Verdict};
use crate::report::paint::Tone;
use crate::text::{count, cut, visible, visible_cut};

/// How much of a column's name is shown, in characters.
const MOST_NAME_CHARS: usize = 24;

/// One implementation.
#[derive(Debug, Clone)]
pub struct Column {
    /// What it is called.
    pub name: String,
    /// Its run.
    pub record: Record,
}

/// A requirement, and what it came to in each column.
struct Row<'a> {
    id: &'a str,
    level: Level,
    text: &'a str,
    verdicts: Vec<Option<Verdict>>,
}

impl Row<'_> {
    fn is_pass_everywhere(&self) -> bool {
        let fine =
            |verdict: &Option<Verdict>| matches!(verdict, Some(Verdict::Pass | Verdict::NotApplicable));
        self.verdicts.iter().all(fine)
    }
}

/// The requirements of all columns, in the order in which they first come up.
fn rows(columns: &[Column]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        for found in &column.record.requirements {
            let known = rows.iter().position(|row| row.id == found.id);
            let row = known.unwrap_or_else(|| {
                rows.push(Row {
                    id: &found.id,
                    level: found.level,
                    text: &found.text,
                    verdicts: vec![None; columns.len()],
                });
                rows.len() - 1
            });
            rows[row].verdicts[place] = Some(found.verdict);
        }
    }
    rows
}

/// What a verdict looks like in a cell; empty where the requirement was not looked at.
fn cell(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        None => "",
        Some(Verdict::Pass) => "pass",
        Some(Verdict::Warn) => "WARN",
        Some(Verdict::Fail) => "FAIL",
        Some(Verdict::NotApplicable) => "n/a",
        Some(Verdict::Blocked) => "?",
        Some(Verdict::Error) => "error",
    }
}

/// What a reader must know before he compares: columns that were judged by other versions or other suites, or are parts.
fn notes(columns: &[Column]) -> Vec<String> {
    let Some(first) = columns.first().map(|column| &column.record) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    for column in columns {
        let (name, record) = (visible_cut(&column.name, MOST_NAME_CHARS), &column.record);
        if record.spec != first.spec {
            notes.push(format!("{name} was judged by {}", protocol(record)));
        }
        if record.suite.hash != first.suite.hash {
            notes.push(format!("{name} was judged by another suite than the first"));
        }
        if !record.filters.is_empty() || record.shard.is_some() {
            let (some, all) = (record.cases.len(), count(record.suite.cases, "case"));
            notes.push(format!("{name} is a part of the suite, {some} of {all}"));
        }
        if record.verdict == RunVerdict::Incomplete {
            notes.push(format!("the run of {name} is incomplete"));
        }
    }
    notes
}

/// For a terminal: rows in which all is well are counted unless everything is asked for.
pub fn matrix_text(columns: &[Column], view: &View) -> String {
    let all = view.verbosity == super::Verbosity::Verbose;
    let rows = rows(columns);
    let mut page = Page::new(view);
    let first = rows
        .iter()
        .map(|row| row.id.chars().count() + 9)
        .max()
        .unwrap_or(0)
        .max(22);
    let names: Vec<String> = columns
        .iter()
        .map(|column| visible_cut(&column.name, MOST_NAME_CHARS))
        .collect();
    let widths: Vec<usize> = names
        .iter()
        .map(|name| name.chars().count().max(14) + 2)
        .collect();
    let line = |page: &mut Page, head: &str, cells: &[(String, Option<Tone>)]| {
        let mut text = format!("{head:<first$}");
        for ((cell, tone), width) in cells.iter().zip(&widths) {
            let padded = format!("{cell:<width$}");
            text.push_str(&tone.map_or_else(|| padded.clone(), |tone| page.paint.tone(tone, &padded)));
        }
        page.line(text);
    };
    let plain = |text: String| (text, None);
    line(
        &mut page,
        "",
        &names.iter().cloned().map(plain).collect::<Vec<_>>(),
    );
    let verdicts = columns
        .iter()
        .map(|column| plain(column.record.verdict.to_string()));
    line(&mut page, "verdict", &verdicts.collect::<Vec<_>>());
    let verified = columns.iter().map(|column| {
        let totals = Totals::of(&column.record);
        plain(format!("{} of {}", totals.verified, totals.applicable))
    });
    line(&mut page, "verified", &verified.collect::<Vec<_>>());
    page.blank();
    let shown = rows.iter().filter(|row| all || !row.is_pass_everywhere());
    for row in shown {
        let cells = row
            .verdicts
            .iter()
            .map(|verdict| (cell(*verdict).to_owned(), verdict.map(Tone::of)));
        line(
            &mut page,
            &format!("{} {}", visible(row.id), row.level),
            &cells.collect::<Vec<_>>(),
        );
    }
    let fine = rows.iter().filter(|row| row.is_pass_everywhere()).count();
    if !all && fine > 0 {
        page.line(format!(
            "{} that nobody breaks: -v shows them",
            count(fine, "more requirement")
        ));
    }
    for note in notes(columns) {
        page.wrapped(0, &format!("note: {note}"));
    }
    page.out
}

/// As a table in GitHub's Markdown.
pub fn matrix_markdown(columns: &[Column]) -> String {
    let mut out = String::from("| requirement |");
    for column in columns {
        _ = write!(
            out,
            " {} |",
            escaped(&cut(column.name.clone(), MOST_NAME_CHARS, false))
        );
    }
    _ = write!(out, "\n|---|{}\n| **verdict** |", "---|".repeat(columns.len()));
    for column in columns {
        _ = write!(out, " {} |", column.record.verdict);
    }
    out.push('\n');
    for row in rows(columns) {
        _ = write!(
            out,
            "| {} ({}) {} |",
            escaped(row.id),
            row.level,
            escaped(&sentence(row.text))
        );
        for verdict in row.verdicts {
            let mark = match verdict {
                Some(Verdict::Pass) => "✅",
                Some(Verdict::Fail) => "❌",
                Some(Verdict::Warn) => "🟡",
                other => cell(other),
            };
            _ = write!(out, " {mark} |");
        }
        out.push('\n');
    }
    for note in notes(columns) {
        _ = write!(out, "\n> {}\n", escaped(&note));
    }
    out
}

/// As a page that stands by itself.
pub fn matrix_html(columns: &[Column]) -> Vec<u8> {
    let title = columns
        .first()
        .map_or_else(String::new, |column| protocol(&column.record));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Implementations of " (title) }
                style { (PreEscaped(include_str!("matrix.css"))) }
            }
            body {
                main {
                    h1 { "Implementations of " (title) }
                    table {
                        thead {
                            tr { th scope="col" { "Requirement" } @for column in columns {
                                th scope="col" { (visible_cut(&column.name, MOST_NAME_CHARS)) br; small { (target(&column.record)) } } } }
                            tr { th scope="row" { "Verdict" } @for column in columns {
                                td.verdict { (column.record.verdict) } } }
                        }
                        tbody {
                            @for row in rows(columns) {
                                tr {
                                    th scope="row" { b { (visible(row.id)) } " (" (row.level) ") " span { (sentence(row.text)) } }
                                    @for verdict in &row.verdicts {
                                        @match verdict {
                                            Some(verdict) => td.(verdict.as_str()) { (cell(Some(*verdict))) },
                                            None => td {},
                                        }
                                    }
                                }
                            }
                        }
                    }
                    @for note in notes(columns) { p { (note) } }
                }
            }
        }
    };
    page.into_string().into_bytes()
}
