//! One self-contained page: the verdict, what is wrong, the requirements, and every case with its exchanges.
//!
//! The page needs no network and no script to be read; the script filters, searches and copies. Nothing of the record
//! gets into it but as escaped text, and its policy lets nothing run but the one script that is in it.

mod cases;
mod causes;
mod exchanges;
mod pretty;
mod sections;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::facts::{self, Totals, advice, repair, seconds, timed, took, verdict_meaning};
use crate::record::Record;
use crate::record::diagnosis::new_causes;
use crate::record::sentences::{protocol, sentence, target};
use crate::record::verdict::{RunVerdict, Verdict};
use crate::report::View;
use crate::text::{count, thousands, visible, visible_cut};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("app.js");

/// How many entries of a list of known failures that is out of date are named.
const MOST_STALE_ENTRIES: usize = 20;

/// The record as a page.
pub(super) fn render(record: &Record, view: &View) -> Vec<u8> {
    let causes = new_causes(record);
    let title = format!(
        "{} · {} · {}",
        verdict_word(record),
        protocol(record),
        target(record)
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (top(record))
                main {
                    (verdict(record))
                    (causes::write(record, &causes, view))
                    (run(record))
                    (sections::write(record))
                    (advised(record))
                    (latency(record))
                    (cases::write(record, &causes))
                }
                footer { "Made by " (visible(&record.tool.name)) " " (visible(&record.tool.version)) "." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string().into_bytes()
}

/// Nothing is loaded, sent or framed; only the style and script of this very page count.
fn policy() -> String {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn top(record: &Record) -> Markup {
    html! {
        header.top {
            span.brand { "avp-conform" }
            span.spec { (protocol_name(record)) " " (record.spec) }
            nav {
                a href="#requirements" { "Requirements" }
                a href="#cases" { "Cases" }
                button #theme type="button" title="Light, dark, or as the system says" { "Theme" }
            }
        }
    }
}

/// The protocol's title; its short name in a record that has no title.
fn protocol_name(record: &Record) -> String {
    match record.protocol.title.as_str() {
        "" => visible(&record.protocol.prefix),
        title => visible(title),
    }
}

fn verdict_word(record: &Record) -> &'static str {
    match record.verdict {
        RunVerdict::Conformant => "Conformant",
        RunVerdict::Nonconformant => "Not conformant",
        RunVerdict::Incomplete => "No verdict",
    }
}

fn verdict(record: &Record) -> Markup {
    html! {
        section.verdict data-verdict=(record.verdict) {
            p.target { (target(record)) }
            h1 { (verdict_word(record)) }
            p.meaning { (verdict_meaning(record)) " " (Totals::of(record).sentence()) "." }
        }
    }
}

/// How the run was made and what it came to in numbers.
fn run(record: &Record) -> Markup {
    html! {
        section.run {
            (bar(record))
            (facts(record))
            @for note in notes(record) { p.note { (note) } }
        }
    }
}

/// The requirements by verdict, as shares of one bar.
fn bar(record: &Record) -> Markup {
    let all = record.requirements.len().max(1);
    let mut start = 0;
    let parts = WORST_FIRST.map(|verdict| {
        let number = record
            .requirements
            .iter()
            .filter(|found| found.verdict == verdict)
            .count();
        let part = (verdict, start, number);
        start += number;
        part
    });
    let percent = |number: usize| format!("{:.3}%", number as f64 * 100.0 / all as f64);
    html! {
        svg.bar width="100%" height="10" role="img" aria-label=(Totals::of(record).sentence()) {
            @for (verdict, start, number) in parts.into_iter().filter(|(_, _, number)| *number > 0) {
                rect.(verdict.as_str()) x=(percent(start)) width=(percent(number)) height="10" {
                    title { (number) " " (verdict) }
                }
            }
        }
    }
}

/// What is wrong comes first.
const WORST_FIRST: [Verdict; 6] = [
    Verdict::Fail,
    Verdict::Error,
    Verdict::Blocked,
    Verdict::Warn,
    Verdict::Pass,
    Verdict::NotApplicable,
];

fn facts(record: &Record) -> Markup {
    let requests = Totals::of(record).requests;
    let fact = |name: &str, value: String| html! { div { dt { (name) } dd { (value) } } };
    html! {
        dl.facts {
            (fact("Cases", thousands(record.cases.len())))
            (fact("Requests", thousands(requests)))
            (fact("Time", seconds(record.duration_ms)))
            (fact("Seed", visible_cut(&record.seed, 80)))
            (fact("Started", visible_cut(&record.started.replace('T', " ").replace('Z', " UTC"), 40)))
            (fact("Suite", visible(&record.suite.hash.chars().take(12).collect::<String>())))
            @if let Some(idp) = &record.idp { (fact("Identity provider", visible_cut(idp, 300))) }
            @if let Some(rate) = record.suite.kill_rate { (fact("Self-test", format!("{rate:.0} % of faults caught"))) }
        }
    }
}

fn notes(record: &Record) -> Vec<String> {
    let mut notes: Vec<String> = facts::notes(record);
    if record.strict {
        notes.push("A strict run: a should that is not kept makes the target nonconformant.".to_owned());
    }
    if let Some(baseline) = record.baseline.as_ref().filter(|it| !it.out_of_date.is_empty()) {
        let entries = baseline
            .out_of_date
            .iter()
            .map(|it| format!("{}: {}", visible(&it.entry), sentence(&it.reason)));
        let more = match baseline.out_of_date.len().saturating_sub(MOST_STALE_ENTRIES) {
            0 => String::new(),
            left => format!("; and {} more", thousands(left)),
        };
        notes.push(format!(
            "{} is out of date: {}{more}. Mend it: {}",
            visible(&baseline.file),
            entries.take(MOST_STALE_ENTRIES).collect::<Vec<_>>().join("; "),
            repair(baseline)
        ));
    }
    if !record.filters.is_empty() {
        let (some, all) = (thousands(record.cases.len()), count(record.suite.cases, "case"));
        notes.push(format!(
            "A part of the suite, {some} of {all}: {}",
            sentence(&record.filters.join(" "))
        ));
    }
    if let Some(shard) = &record.shard {
        notes.push(format!("Shard {} of the suite.", sentence(shard)));
    }
    if record.throttled_ms > 0 {
        notes.push(format!(
            "Waited {} in all because the target asked for it.",
            seconds(record.throttled_ms)
        ));
    }
    notes
}

/// What is advised, and counts for nothing.
fn advised(record: &Record) -> Markup {
    let all = advice(record);
    html! {
        @if !all.is_empty() {
            details.words #advice {
                summary { "Advice (" (all.len()) ")" }
                ul { @for one in &all { li { (one.sentence()) } } }
            }
        }
    }
}

/// How long each operation took to be answered.
fn latency(record: &Record) -> Markup {
    html! {
        @if !record.latency.is_empty() {
            details.words #latency {
                summary { "Latency" }
                table {
                    tr { th { "operation" } th { "answers" } th { "median" } th { "99th percentile" } }
                    @for it in &record.latency {
                        tr {
                            td { (timed(it)) }
                            td { (thousands(it.answers)) }
                            td { (took(it.median_us)) }
                            td { (took(it.p99_us)) }
                        }
                    }
                }
            }
        }
    }
}

/// The sign of a verdict, for eyes that do not tell the colours apart.
fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Warn => "!",
        Verdict::Fail => "✕",
        Verdict::NotApplicable => "–",
        Verdict::Blocked => "?",
        Verdict::Error => "⚡",
    }
}

/// The verdict as a small label.
fn label(verdict: Verdict) -> Markup {
    let name = if verdict == Verdict::NotApplicable {
        "n/a"
    } else {
        verdict.words()
    };
    html! { span.label.(verdict.as_str()) { (sign(verdict)) " " (name) } }
}
