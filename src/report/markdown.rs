//! A summary in GitHub's Markdown, for a job page or a pull request.

use std::fmt::Write as _;

use super::facts::{Section, Totals, advice, repair, seconds, sections, verdict_meaning};

use super::ids::by_reason;
use super::text;
use crate::catalogue::Level;
use crate::record::Record;
use crate::record::diagnosis::{Cause, new_causes};
use crate::record::findings::hindrances;
use crate::record::sentences::{known_sentence, protocol, sentence, target};
use crate::record::verdict::{RunVerdict, Verdict};
use crate::text::{count, cut, thousands, visible};

/// No summary is longer, in bytes: a comment on GitHub takes 65,536 characters.
const MOST_BYTES: usize = 65_000;
/// Where details end, so that what follows still fits.
const DETAIL_BYTES: usize = 40_000;
/// How much of a cause stands in the line that unfolds it.
const SHORT_CHARS: usize = 300;
/// How many causes are shown in detail.
const MOST_DETAILED: usize = 20;
/// How many causes are unfolded from the start.
const MOST_OPEN: usize = 3;
/// How many entries any other list has.
const MOST_LISTED: usize = 40;
/// How much of an entry of a list is shown, in characters.
const ENTRY_CHARS: usize = 400;

/// The record as Markdown.
pub(super) fn render(record: &Record) -> String {
    let mut out = String::new();
    heading(&mut out, record);
    wrong(&mut out, record);
    table(&mut out, &sections(record));
    hindered(&mut out, record);
    known(&mut out, record);
    not_verified(&mut out, record);
    advised(&mut out, record);
    notes(&mut out, record);
    within(out)
}

/// What fits into a comment, whole lines alone.
fn within(out: String) -> String {
    if out.len() <= MOST_BYTES {
        return out;
    }
    let mut end = MOST_BYTES;
    while !out.is_char_boundary(end) {
        end -= 1;
    }
    let end = out[..end].rfind('\n').unwrap_or(0);
    format!("{}\n\nCut here: `avp-conform -v` lists all.\n", &out[..end])
}

fn heading(out: &mut String, record: &Record) {
    let baseline = record.baseline.as_ref();
    let is_known = baseline.is_some_and(|it| it.verdict == RunVerdict::Conformant);
    let mark = match record.verdict {
        RunVerdict::Conformant => "✅",
        _ if is_known => "☑️",
        RunVerdict::Nonconformant => "❌",
        RunVerdict::Incomplete => "❔",
    };
    let target = escaped(&target(record));
    _ = writeln!(
        out,
        "## {mark} {}: {} at {target}\n",
        record.verdict,
        escaped(&protocol(record))
    );
    _ = writeln!(
        out,
        "{} {}, {}, {}, {}. Seed {}.\n",
        verdict_meaning(record),
        Totals::of(record).sentence(),
        count(record.cases.len(), "case"),
        count(Totals::of(record).requests, "request"),
        seconds(record.duration_ms),
        escaped(&record.seed),
    );
}

fn table(out: &mut String, sections: &[Section<'_>]) {
    if sections.is_empty() {
        return;
    }
    out.push_str("| section | pass | warn | fail | not verified | n/a |\n|---|--:|--:|--:|--:|--:|\n");
    for section in sections {
        let cell = |verdicts: &[Verdict]| match verdicts.iter().map(|verdict| section.count(*verdict)).sum() {
            0 => String::new(),
            number => thousands(number),
        };
        _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            escaped(&section.name()),
            cell(&[Verdict::Pass]),
            cell(&[Verdict::Warn]),
            cell(&[Verdict::Fail]),
            cell(&[Verdict::Blocked, Verdict::Error]),
            cell(&[Verdict::NotApplicable]),
        );
    }
    out.push('\n');
}

fn wrong(out: &mut String, record: &Record) {
    let new = new_causes(record);
    if new.is_empty() {
        return;
    }
    _ = writeln!(out, "### What is wrong\n");
    let mut shown = 0;
    for cause in new.iter().take(MOST_DETAILED) {
        let entry = details(record, cause, shown < MOST_OPEN);
        if out.len() + entry.len() > DETAIL_BYTES {
            break;
        }
        out.push_str(&entry);
        shown += 1;
    }
    if shown < new.len() {
        _ = writeln!(
            out,
            "\n{} not shown here: `avp-conform -v` lists all.\n",
            count(new.len() - shown, "more cause")
        );
    }
}

fn details(record: &Record, cause: &Cause, open: bool) -> String {
    let mark = match cause.level {
        Level::Must => "❌",
        _ => "🟡",
    };
    format!(
        "<details{}><summary>{mark} <b>{}</b> {} ({})</summary>\n\n<pre>\n{}</pre>\n\n</details>\n\n",
        if open { " open" } else { "" },
        html(&visible(&cause.requirement)),
        html(&cut(sentence(&cause.cause), SHORT_CHARS, false)),
        count(cause.cases.len(), "case"),
        html(&text::cause_details(record, cause)),
    )
}

fn hindered(out: &mut String, record: &Record) {
    let found = hindrances(record);
    if found.is_empty() {
        return;
    }
    _ = writeln!(out, "\n### What could not be judged\n");
    for hindrance in found.iter().take(MOST_LISTED) {
        let ids: Vec<_> = hindrance
            .cases
            .iter()
            .take(5)
            .map(|case| escaped(&case.name()))
            .collect();
        let more = if hindrance.cases.len() > ids.len() {
            ", …"
        } else {
            ""
        };
        let (cases, reason) = (count(hindrance.cases.len(), "case"), entry(&hindrance.reason));
        _ = writeln!(
            out,
            "- **{}**, {cases}: {reason} ({}{more})",
            hindrance.verdict,
            ids.join(", ")
        );
    }
    left_out(out, found.len());
}

fn known(out: &mut String, record: &Record) {
    let known: Vec<_> = record
        .cases
        .iter()
        .filter_map(|case| Some((case, case.known.as_ref()?)))
        .collect();
    if !known.is_empty() {
        _ = writeln!(out, "\n### Known failures\n");
        for (case, known) in known.iter().take(MOST_LISTED) {
            _ = writeln!(
                out,
                "- {}: {} ({})",
                escaped(&case.name()),
                entry(&known_sentence(known)),
                case.verdict
            );
        }
        left_out(out, known.len());
    }
    let Some(baseline) = record.baseline.as_ref().filter(|it| !it.out_of_date.is_empty()) else {
        return;
    };
    _ = writeln!(out, "\n### Known failures that are out of date\n");
    for stale in baseline.out_of_date.iter().take(MOST_LISTED) {
        _ = writeln!(
            out,
            "- {}:{}: {}: {}",
            escaped(&baseline.file),
            stale.line,
            entry(&stale.entry),
            entry(&stale.reason)
        );
    }
    left_out(out, baseline.out_of_date.len());
    _ = writeln!(out, "\nMend the list: <code>{}</code>", html(&repair(baseline)));
}

fn not_verified(out: &mut String, record: &Record) {
    let groups = by_reason(record, |verdict| {
        matches!(verdict, Verdict::Blocked | Verdict::Error)
    });
    if groups.is_empty() {
        return;
    }
    _ = writeln!(out, "\n### Requirements not verified\n");
    for (ids, reason) in groups.iter().take(MOST_LISTED) {
        _ = writeln!(out, "- {}: {}", entry(ids), entry(reason));
    }
    left_out(out, groups.len());
}

fn advised(out: &mut String, record: &Record) {
    let all = advice(record);
    if all.is_empty() {
        return;
    }
    _ = writeln!(out, "\n### Advice\n");
    for one in all.iter().take(MOST_LISTED) {
        _ = writeln!(out, "- {}", entry(&one.sentence()));
    }
    left_out(out, all.len());
}

fn left_out(out: &mut String, length: usize) {
    if let Some(left @ 1..) = length.checked_sub(MOST_LISTED) {
        _ = writeln!(out, "- and {} more: `avp-conform -v` lists all", thousands(left));
    }
}

fn notes(out: &mut String, record: &Record) {
    for note in super::facts::notes(record).iter().take(MOST_LISTED) {
        _ = writeln!(out, "\n> {}", escaped(note));
    }
}

/// An entry of a list, not too long.
fn entry(text: &str) -> String {
    escaped(&cut(text.to_owned(), ENTRY_CHARS, false))
}

/// What GitHub shows as it stands: no markup, link, mention or reference.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '@' | '#' => _ = write!(out, "&#{};", u32::from(character)),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '!' => _ = write!(out, "\\{character}"),
            _ => out.push(character),
        }
    }
    out
}

/// What HTML shows as it stands.
fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_shown_and_not_obeyed() {
        assert_eq!(escaped("a|b<i>*c*\n@d"), "a&#124;b&lt;i&gt;\\*c\\*\\\\n&#64;d");
    }
}
