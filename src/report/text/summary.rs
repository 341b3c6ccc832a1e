//! The end of a terminal report: requirements by section, what is not verified and why, and the counts.

use super::page::{INDENT, Page};
use crate::record::Record;
use crate::record::diagnosis::new_causes;
use crate::record::sentences::{known_sentence, sentence, split_id};
use crate::record::verdict::Verdict;
use crate::report::facts::{Section, advice, latency, repair, seconds, sections};
use crate::report::ids::{by_reason, ranges};
use crate::report::paint::Tone;
use crate::report::{Verbosity, facts};
use crate::text::{count, thousands, visible, wrap};

/// Where the verdicts of a section begin.
const TITLE_COLUMN: usize = 34;
/// How many reasons why requirements are not verified are told unless everything is asked for.
const MOST_OPEN: usize = 3;
/// Verdicts in the order in which a section names them: what is wrong comes first.
const WORST_FIRST: [Verdict; 6] = [
    Verdict::Fail,
    Verdict::Error,
    Verdict::Blocked,
    Verdict::Warn,
    Verdict::Pass,
    Verdict::NotApplicable,
];

/// Writes the summary, but for the verdict line: after causes in few lines, for what is wrong is to stay on the screen.
pub(super) fn write(page: &mut Page, record: &Record, verbosity: Verbosity) {
    let all = verbosity == Verbosity::Verbose;
    let is_short = !all && !new_causes(record).is_empty();
    if !is_short {
        for section in sections(record) {
            match all {
                true => every(page, &section),
                false => compact(page, &section),
            }
        }
        if !record.requirements.is_empty() {
            page.blank();
        }
    }
    not_verified(page, record, all);
    if all {
        open(page, record, "not applicable", |verdict| {
            verdict == Verdict::NotApplicable
        });
    }
    known(page, record);
    match is_short {
        true => advice_left_out(page, record),
        false => advised(page, record),
    }
    notes(page, record, all);
    page.line(counts(page, record));
}

/// What is not verified and why.
fn not_verified(page: &mut Page, record: &Record, all: bool) {
    let is_open = |verdict| matches!(verdict, Verdict::Blocked | Verdict::Error);
    if all {
        return open(page, record, "not verified", is_open);
    }
    let groups = by_reason(record, is_open);
    for (ids, reason) in groups.iter().take(MOST_OPEN) {
        page.capped(0, &format!("not verified: {ids}: {reason}"), 2);
    }
    if groups.len() > MOST_OPEN {
        let left = count(groups.len() - MOST_OPEN, "more reason");
        page.line(format!("not verified: {left}: -v lists them"));
    }
}

/// `6 operations    1 fail 08 · 21 pass 01–07 09–22`
fn compact(page: &mut Page, section: &Section<'_>) {
    let present = WORST_FIRST
        .into_iter()
        .filter(|verdict| section.count(*verdict) > 0);
    let parts: Vec<_> = present.map(|verdict| (verdict, part(section, verdict))).collect();
    let (number, title) = (&section.number, section.title);
    let mut line = format!("{:<TITLE_COLUMN$}", format!("{number:>4} {title}"));
    let mut length = TITLE_COLUMN;
    for (index, (verdict, text)) in parts.iter().enumerate() {
        for (row, piece) in wrap(text, page.width - TITLE_COLUMN).iter().enumerate() {
            let more = piece.chars().count() + if index > 0 { 3 } else { 0 };
            if row > 0 || (length > TITLE_COLUMN && length + more > page.width) {
                page.line(std::mem::replace(&mut line, " ".repeat(TITLE_COLUMN)));
                length = TITLE_COLUMN;
            } else if index > 0 {
                line.push_str(" · ");
            }
            line.push_str(&page.paint.tone(Tone::of(*verdict), piece));
            length += more;
        }
    }
    page.line(line);
}

fn part(section: &Section<'_>, verdict: Verdict) -> String {
    let name = match verdict {
        Verdict::NotApplicable => "n/a",
        _ => verdict.words(),
    };
    let numbers = section
        .requirements
        .iter()
        .filter(|found| found.verdict == verdict)
        .map(|found| split_id(&found.id).1);
    format!("{} {name} {}", section.count(verdict), ranges(numbers))
}

/// Every requirement of a section on a line of its own.
fn every(page: &mut Page, section: &Section<'_>) {
    let name = page.paint.tone(Tone::Strong, section.name());
    page.line(name);
    for found in &section.requirements {
        let what = format!(
            "{} ({}) {}",
            visible(&found.id),
            found.level,
            sentence(&found.text)
        );
        let cases = format!("  [{}]", count(found.cases.len(), "case"));
        let mut label = page.paint.tone(
            Tone::of(found.verdict),
            format!("  {:<8}", super::label(found.verdict)),
        );
        let indent = INDENT.max(super::label(found.verdict).len() + 3);
        for line in wrap(&format!("{what}{cases}"), page.width - indent) {
            page.line(format!("{label} {line}"));
            label = " ".repeat(indent - 1);
        }
    }
}

/// Requirements of one kind with the reason, equal reasons together.
fn open(page: &mut Page, record: &Record, title: &str, wanted: impl Fn(Verdict) -> bool) {
    let groups = by_reason(record, wanted);
    if groups.is_empty() {
        return;
    }
    page.line(format!("{title}:"));
    for (ids, reason) in groups {
        page.wrapped(2, &format!("{ids}: {reason}"));
    }
    page.blank();
}

/// What fails and is known, and what of the list does not fit any more.
fn known(page: &mut Page, record: &Record) {
    let known: Vec<_> = record
        .cases
        .iter()
        .filter_map(|case| Some((case, case.known.as_ref()?)))
        .collect();
    if !known.is_empty() {
        page.line("known failures:");
        for (case, known) in known {
            page.wrapped(
                2,
                &format!(
                    "{} {}: {}",
                    case.verdict,
                    visible(&case.name()),
                    known_sentence(known)
                ),
            );
        }
        page.blank();
    }
    let Some(baseline) = record.baseline.as_ref().filter(|it| !it.out_of_date.is_empty()) else {
        return;
    };
    let title = page.paint.tone(Tone::Bad, "known failures that are out of date:");
    page.line(title);
    for stale in &baseline.out_of_date {
        let place = format!("{}:{}", visible(&baseline.file), stale.line);
        page.wrapped(
            2,
            &format!("{place} {}: {}", visible(&stale.entry), sentence(&stale.reason)),
        );
    }
    page.command("mend it", &repair(baseline));
    page.blank();
}

/// What is advised, and counts for nothing.
fn advised(page: &mut Page, record: &Record) {
    let all = advice(record);
    if all.is_empty() {
        return;
    }
    page.line("advice:");
    for one in all {
        page.wrapped(2, &one.sentence());
    }
    page.blank();
}

/// How much advice there is.
fn advice_left_out(page: &mut Page, record: &Record) {
    let all = advice(record).len();
    if all > 0 {
        let pieces = match all {
            1 => "one piece".to_owned(),
            several => format!("{} pieces", thousands(several)),
        };
        page.line(format!("advice: {pieces}: -v shows what"));
    }
}

fn notes(page: &mut Page, record: &Record, all: bool) {
    for note in facts::notes(record) {
        page.wrapped(0, &format!("note: {note}"));
    }
    if record.throttled_ms > 0 {
        let waited = seconds(record.throttled_ms);
        page.wrapped(
            0,
            &format!("note: waited {waited}, summed over cases, because the target asked for it"),
        );
    }
    if let Some(latency) = latency(record).filter(|_| all) {
        page.wrapped(0, &latency);
    }
    if let Some(shard) = &record.shard {
        page.wrapped(0, &format!("note: shard {} of the suite", sentence(shard)));
    }
    if !record.filters.is_empty() {
        let filters: Vec<_> = record.filters.iter().map(|filter| sentence(filter)).collect();
        let (some, all) = (thousands(record.cases.len()), count(record.suite.cases, "case"));
        page.wrapped(
            0,
            &format!(
                "note: a part of the suite, {some} of {all}: --filter {}",
                filters.join(" --filter ")
            ),
        );
    }
}

/// `cases: 210 pass, 1 warn, 3 fail`
fn counts(page: &Page, record: &Record) -> String {
    let present = Verdict::ALL
        .into_iter()
        .filter(|verdict| record.summary.count(*verdict) > 0);
    let parts = present.map(|verdict| {
        let number = thousands(record.summary.count(verdict));
        page.paint.tone(Tone::of(verdict), format!("{number} {verdict}"))
    });
    format!("cases: {}", parts.collect::<Vec<_>>().join(", "))
}
