//! A summary in GitHub's Markdown, for a job page or a pull request.

use std::fmt::Write as _;

use super::facts::{Section, Totals, advice, repair, seconds, sections, verdict_meaning};
use super::findings::{Finding, findings, hindrances};
use super::ids::by_reason;
use super::text;
use crate::record::Record;
use crate::record::sentences::{got, known_sentence, protocol, sentence, target};
use crate::record::verdict::{RunVerdict, Verdict};
use crate::text::{count, cut, thousands, visible};

/// No summary is longer, in bytes: GitHub takes 1 MiB.
const MOST_BYTES: usize = 1 << 20;
/// Where details end, so that what follows still fits.
const DETAIL_BYTES: usize = MOST_BYTES - (128 << 10);
/// How much of what was expected, and of what came, stands in the line that unfolds a finding.
const SHORT_CHARS: usize = 120;
/// How many findings are shown in detail.
const MOST_DETAILED: usize = 50;
/// How many entries any other list has.
const MOST_LISTED: usize = 100;

/// The record as Markdown.
pub(super) fn render(record: &Record) -> String {
    let mut out = String::new();
    heading(&mut out, record);
    table(&mut out, &sections(record));
    broken(&mut out, record);
    hindered(&mut out, record);
    known(&mut out, record);
    not_verified(&mut out, record);
    advised(&mut out, record);
    notes(&mut out, record);
    out
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

fn broken(out: &mut String, record: &Record) {
    let found = findings(record);
    if found.is_empty() {
        return;
    }
    _ = writeln!(out, "### What is wrong\n");
    let mut shown = 0;
    for finding in found.iter().take(MOST_DETAILED) {
        let entry = details(record, finding);
        if out.len() + entry.len() > DETAIL_BYTES {
            break;
        }
        out.push_str(&entry);
        shown += 1;
    }
    if shown < found.len() {
        _ = writeln!(
            out,
            "\n{} not shown here: `avp-conform -v` lists all.\n",
            count(found.len() - shown, "more finding")
        );
    }
}

fn details(record: &Record, finding: &Finding<'_>) -> String {
    let mark = if finding.check.verdict == Verdict::Fail {
        "❌"
    } else {
        "🟡"
    };
    let others = match finding.others.len() {
        0 => String::new(),
        number => format!(" and {}", count(number, "more case")),
    };
    let rule = finding.rule();
    let check = finding.check;
    let short = |text: &str| html(&cut(sentence(text), SHORT_CHARS, false));
    format!(
        "<details><summary>{mark} <code>{}</code>{others}: {}: expected <code>{}</code>, got <code>{}</code></summary>\n\n<pre>\n{}</pre>\n\n</details>\n\n",
        html(&visible(&finding.case.id)),
        html(&visible(rule)),
        short(&check.expected),
        short(&got(check)),
        html(&text::finding_details(record, finding)),
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
            .map(|case| escaped(&case.id))
            .collect();
        let more = if hindrance.cases.len() > ids.len() {
            ", …"
        } else {
            ""
        };
        let (cases, reason) = (count(hindrance.cases.len(), "case"), escaped(&hindrance.reason));
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
                escaped(&case.id),
                escaped(&known_sentence(known)),
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
            escaped(&stale.entry),
            escaped(&stale.reason)
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
        _ = writeln!(out, "- {}: {}", escaped(ids), escaped(reason));
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
        _ = writeln!(out, "- {}", escaped(&one.sentence()));
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

/// What GitHub shows as it stands: no markup, link, mention or reference.
fn escaped(text: &str) -> String {
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
