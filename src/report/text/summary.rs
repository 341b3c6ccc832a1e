//! The end of a terminal report: requirements by section, what is not verified and why, and the counts.

use super::page::{INDENT, Page};
use crate::record::{Record, RequirementRecord};
use crate::report::Verbosity;
use crate::report::facts::{Section, seconds, sections, sentence, split_id};
use crate::style::{Tone, count, thousands, visible, wrap};
use crate::verdict::Verdict;

/// Where the verdicts of a section begin.
const COLUMN: usize = 34;
/// Verdicts in the order in which a section names them: what is wrong comes first.
const ORDER: [Verdict; 6] = [
    Verdict::Fail,
    Verdict::Error,
    Verdict::Blocked,
    Verdict::Warn,
    Verdict::Pass,
    Verdict::NotApplicable,
];

/// Writes the summary, but for the verdict line.
pub(super) fn write(page: &mut Page, record: &Record, verbosity: Verbosity) {
    for section in sections(record) {
        match verbosity {
            Verbosity::Verbose => every(page, &section),
            _ => compact(page, &section),
        }
    }
    if !record.requirements.is_empty() {
        page.blank();
    }
    open(page, record, "not verified", |verdict| {
        matches!(verdict, Verdict::Blocked | Verdict::Error)
    });
    open(page, record, "not applicable", |verdict| {
        verdict == Verdict::NotApplicable
    });
    notes(page, record);
    page.line(counts(page, record));
}

/// `6 operations    1 fail 08 · 21 pass 01–07 09–22`
fn compact(page: &mut Page, section: &Section<'_>) {
    let present = ORDER.into_iter().filter(|verdict| section.count(*verdict) > 0);
    let parts: Vec<_> = present.map(|verdict| (verdict, part(section, verdict))).collect();
    let (number, title) = (&section.number, section.title);
    let mut line = format!("{:<COLUMN$}", format!("{number:>4} {title}"));
    let mut length = COLUMN;
    for (index, (verdict, text)) in parts.iter().enumerate() {
        for (row, piece) in wrap(text, page.width - COLUMN).iter().enumerate() {
            let more = piece.chars().count() + if index > 0 { 3 } else { 0 };
            if row > 0 || (length > COLUMN && length + more > page.width) {
                page.line(std::mem::replace(&mut line, " ".repeat(COLUMN)));
                length = COLUMN;
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
        Verdict::Blocked => "not verified",
        Verdict::NotApplicable => "n/a",
        _ => verdict.as_str(),
    };
    let numbers = section
        .requirements
        .iter()
        .filter(|found| found.verdict == verdict)
        .map(|found| split_id(&found.id).1);
    format!("{} {name} {}", section.count(verdict), ranges(numbers))
}

/// `01–04 06`
fn ranges<'a>(numbers: impl Iterator<Item = &'a str>) -> String {
    let mut runs: Vec<(&str, &str)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if follows(last, number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let shown = runs.into_iter().map(|(first, last)| match (first, last) {
        _ if first == last => visible(first),
        _ if follows(first, last) => format!("{} {}", visible(first), visible(last)),
        _ => format!("{}–{}", visible(first), visible(last)),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn follows(last: &str, next: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().ok();
    number(last)
        .zip(number(next))
        .is_some_and(|(last, next)| last.checked_add(1) == Some(next))
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
        for line in wrap(&format!("{what}{cases}"), page.width - INDENT) {
            page.line(format!("{label} {line}"));
            label = " ".repeat(INDENT - 1);
        }
    }
}

/// Requirements of one kind with the reason, equal reasons together.
fn open(page: &mut Page, record: &Record, title: &str, wanted: impl Fn(Verdict) -> bool) {
    let mut groups: Vec<(String, Vec<&RequirementRecord>)> = Vec::new();
    for found in record.requirements.iter().filter(|found| wanted(found.verdict)) {
        let reason = found
            .reason
            .as_deref()
            .map_or_else(|| no_reason(found.verdict), sentence);
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, members)) => members.push(found),
            None => groups.push((reason, vec![found])),
        }
    }
    if groups.is_empty() {
        return;
    }
    page.line(format!("{title}:"));
    for (reason, members) in groups {
        page.wrapped(2, &format!("{}: {reason}", id_ranges(&members)));
    }
    page.blank();
}

/// `AVP-2-01 03–05, AVP-6-01–22`
fn id_ranges(members: &[&RequirementRecord]) -> String {
    let of_section = |group: &[&RequirementRecord]| {
        let (section, numbers) = (
            split_id(&group[0].id).0,
            group.iter().map(|found| split_id(&found.id).1),
        );
        format!("AVP-{}-{}", visible(section), ranges(numbers))
    };
    let groups = members.chunk_by(|one, other| split_id(&one.id).0 == split_id(&other.id).0);
    groups.map(of_section).collect::<Vec<_>>().join(", ")
}

fn no_reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::NotApplicable => "the target does not offer it".to_owned(),
        _ => "no check verified it".to_owned(),
    }
}

fn notes(page: &mut Page, record: &Record) {
    for note in &record.notes {
        page.wrapped(0, &format!("note: {}", sentence(note)));
    }
    if record.throttled_ms > 0 {
        let waited = seconds(record.throttled_ms);
        page.wrapped(
            0,
            &format!("note: waited {waited}, summed over cases, because the target asked for it"),
        );
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_joined() {
        assert_eq!(
            ranges(["01", "02", "03", "05", "07", "08"].into_iter()),
            "01–03 05 07 08"
        );
        assert_eq!(ranges([].into_iter()), "");
        assert_eq!(ranges(["x", "02"].into_iter()), "x 02");
    }
}
