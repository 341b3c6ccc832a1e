//! What several reports say alike: sections, totals, the verdict line, the command that runs one case again.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::catalogue::Level;
use crate::record::sentences::{got, is_told_by_command, protocol, sentence, split_id, target};
use crate::record::summarize::nothing_was_judged;
use crate::record::verdict::{RunVerdict, Verdict};
use crate::record::{
    ADVICE, Baseline, CaseRecord, FIRST_PROTOCOL, Latency, Over, Record, RequirementRecord, Wire, split_name,
};
use crate::text::{count, hide_passwords, thousands, visible};

/// A section of the specification and its requirements in the record.
pub(super) struct Section<'a> {
    pub(super) number: String,
    pub(super) title: &'a str,
    pub(super) requirements: Vec<&'a RequirementRecord>,
}

impl Section<'_> {
    /// `6 operations`
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.number, self.title).trim_end().to_owned()
    }

    /// How many of its requirements came to `verdict`.
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.requirements
            .iter()
            .filter(|requirement| requirement.verdict == verdict)
            .count()
    }
}

/// The sections in which the record has requirements, in the order of the record.
pub(super) fn sections(record: &Record) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for requirement in &record.requirements {
        let (number, _) = split_id(&requirement.id);
        match sections.iter_mut().find(|section| section.number == number) {
            Some(section) => section.requirements.push(requirement),
            None => sections.push(Section {
                number: number.to_owned(),
                title: title(record, number),
                requirements: vec![requirement],
            }),
        }
    }
    sections
}

/// The title of a section; empty where the record has none.
fn title<'a>(record: &'a Record, number: &str) -> &'a str {
    let mut sections = record.protocol.sections.iter();
    let section = sections.find(|section| section.name == number);
    section.map_or("", |section| &section.title)
}

/// How many requirements came to what, and what it took.
pub(super) struct Totals {
    pub(super) applicable: usize,
    pub(super) verified: usize,
    pub(super) warned: usize,
    pub(super) failed: usize,
    pub(super) not_verified: usize,
    pub(super) requests: usize,
}

impl Totals {
    pub(super) fn of(record: &Record) -> Totals {
        let mut counts = HashMap::new();
        for requirement in &record.requirements {
            *counts.entry(requirement.verdict).or_insert(0) += 1;
        }
        let count = |verdict| counts.get(&verdict).copied().unwrap_or(0);
        Totals {
            applicable: record.requirements.len() - count(Verdict::NotApplicable),
            verified: count(Verdict::Pass),
            warned: count(Verdict::Warn),
            failed: count(Verdict::Fail),
            not_verified: count(Verdict::Blocked) + count(Verdict::Error),
            requests: record
                .requests
                .unwrap_or_else(|| record.cases.iter().map(|case| case.exchanges.len()).sum()),
        }
    }

    /// `71 of 71 applicable requirements verified`, and what became of the others.
    pub(super) fn sentence(&self) -> String {
        let mut parts = Vec::new();
        for (number, what) in [
            (self.failed, "broken"),
            (self.warned, "with a warning"),
            (self.not_verified, "not verified"),
        ] {
            if number > 0 {
                parts.push(format!("{} {what}", thousands(number)));
            }
        }
        parts.insert(
            0,
            format!(
                "{} of {} verified",
                thousands(self.verified),
                count(self.applicable, "applicable requirement")
            ),
        );
        parts.join(", ")
    }
}

/// The last line of a terminal report, and the whole of a quiet one.
pub(super) fn verdict_line(record: &Record) -> String {
    let totals = Totals::of(record);
    format!(
        "{}{}{}: {} · {}, {}, {}, {} ({}, seed {})",
        record.verdict,
        missing_part(record),
        known_part(record),
        target(record),
        totals.sentence(),
        count(record.cases.len(), "case"),
        count(totals.requests, "request"),
        seconds(record.duration_ms),
        protocol(record),
        visible(&record.seed),
    )
}

/// ` without shard 2/3`, where parts are missing.
fn missing_part(record: &Record) -> String {
    match record.missing.as_slice() {
        [] => String::new(),
        [one] => format!(" without shard {}", visible(one)),
        more => format!(" without shards {}", visible(&more.join(", "))),
    }
}

/// What a reader must know of the run, a sentence each.
pub(super) fn notes(record: &Record) -> Vec<String> {
    let missing = record.missing.iter();
    let missing = missing.map(|shard| format!("shard {shard} is missing: merge its report as well"));
    let notes = record.notes.iter().cloned().chain(missing);
    notes.map(|note| sentence(&note)).collect()
}

/// ` with 3 known failures and nothing new`, where there is a list of them.
fn known_part(record: &Record) -> String {
    let Some(baseline) = &record.baseline else {
        return String::new();
    };
    let known = record.cases.iter().filter(|case| case.known.is_some()).count();
    let news = match baseline.verdict {
        RunVerdict::Conformant => " and nothing new",
        _ => "",
    };
    let stale = match baseline.out_of_date.len() {
        0 => String::new(),
        1 => ", 1 list entry out of date".to_owned(),
        number => format!(", {} list entries out of date", thousands(number)),
    };
    format!(" with {}{news}{stale}", count(known, "known failure"))
}

/// How a list that is out of date is mended.
pub(super) fn repair(baseline: &Baseline) -> String {
    format!(
        "avp-conform baseline update --baseline {} REPORT.json",
        quoted(&baseline.file)
    )
}

/// What the verdict of the run means for who reads it first.
pub(super) fn verdict_meaning(record: &Record) -> &'static str {
    let is_known = record
        .baseline
        .as_ref()
        .is_some_and(|baseline| baseline.verdict == RunVerdict::Conformant);
    match record.verdict {
        RunVerdict::Nonconformant if is_known => "All that is broken or not verified is known.",
        RunVerdict::Conformant if record.filters.is_empty() => {
            "Every applicable must is verified and none is broken."
        }
        RunVerdict::Conformant => "Every applicable must that was selected is verified and none is broken.",
        RunVerdict::Nonconformant if record.strict => {
            "A must is broken or not verified, or a should is not kept."
        }
        RunVerdict::Nonconformant => "A must is broken or not verified.",
        RunVerdict::Incomplete if !record.missing.is_empty() => {
            "Parts of the run are missing, so there is no verdict on the whole."
        }
        RunVerdict::Incomplete if nothing_was_judged(record).is_some() => {
            "No case of the selection is applicable, so there is no verdict."
        }
        RunVerdict::Incomplete => "The harness could not finish its work, so there is no verdict.",
    }
}

/// The command that runs one case again under the same conditions; the case by its name in the record.
pub(super) fn again(record: &Record, case: &str) -> String {
    let (case, over) = split_name(case);
    let mut command = vec!["avp-conform".to_owned()];
    let program = record.client.as_ref().and_then(|client| client.program.as_ref());
    if let Some(program) = program {
        command.push(format!("--protocol {}", quoted(&record.protocol.name)));
        command.push(format!("--program {}", quoted(&hide_passwords(program))));
    } else if let Some(client) = &record.client {
        command.push("client".to_owned());
        for (option, typed) in [("--walk", &client.walk), ("--adapter", &client.adapter)] {
            command.extend(
                typed
                    .iter()
                    .map(|typed| format!("{option} {}", quoted(&hide_passwords(typed)))),
            );
        }
        if client.tls {
            command.push("--tls".to_owned());
        }
    } else if record.protocol.name != FIRST_PROTOCOL {
        command.push(format!("--protocol {}", quoted(&record.protocol.name)));
    }
    if let Some(exec) = &record.exec {
        command.push(format!("--exec {}", quoted(&hide_passwords(exec))));
    }
    let is_told = is_told_by_command(record) || record.client.is_some();
    let is_grpc_alone = record.grpc.as_ref() == Some(&record.target);
    if record.target != "embedded" && !is_grpc_alone && record.services.is_empty() && !is_told {
        command.push(format!("--target {}", quoted(&record.target)));
    }
    if !is_told_by_command(record) {
        let named = record.services.iter();
        command.extend(named.map(|(name, url)| format!("--service {}", quoted(&format!("{name}={url}")))));
    }
    if let Some(idp) = &record.idp {
        command.push(format!("--idp {}", quoted(idp)));
    }
    if let Some(grpc) = &record.grpc {
        command.push(format!("--grpc {}", quoted(grpc)));
    }
    if over == Over::Grpc {
        command.push("--transport grpc".to_owned());
    }
    if record.protocol.newest.is_some_and(|newest| record.spec != newest) {
        command.push(format!("--spec {}", record.spec));
    }
    command.push(format!(
        "--filter {} --seed {}",
        quoted(case),
        quoted(&record.seed)
    ));
    command.join(" ")
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let word = visible(word);
    // What is visible has no zero byte, the one thing that no shell can be given.
    shlex::try_quote(&word).map_or_else(|_| word.clone(), Cow::into_owned)
}

/// One piece of advice and the cases that led to it. It breaks no requirement, and counts for nothing.
pub(super) struct Advice<'a> {
    /// What came, and what a server gives away by it.
    pub(super) text: String,
    /// The ids of the cases.
    pub(super) cases: Vec<&'a str>,
}

impl Advice<'_> {
    /// The advice with the first of its cases.
    pub(super) fn sentence(&self) -> String {
        let others = match self.cases.len() {
            0 | 1 => String::new(),
            many => format!(" and {}", count(many - 1, "other")),
        };
        let first = self.cases.first().copied().unwrap_or_default();
        format!("{} ({}{others})", self.text, visible(first))
    }
}

/// What a run advises, each thing once.
pub(super) fn advice(record: &Record) -> Vec<Advice<'_>> {
    let mut all: Vec<Advice<'_>> = Vec::new();
    for case in &record.cases {
        for check in case.checks.iter().filter(|check| check.name == ADVICE) {
            let text = got(check);
            match all.iter_mut().find(|known| known.text == text) {
                Some(known) if known.cases.last() == Some(&case.id.as_str()) => {}
                Some(known) => known.cases.push(&case.id),
                None => all.push(Advice {
                    text,
                    cases: vec![&case.id],
                }),
            }
        }
    }
    all
}

/// What a case counts as, for formats that know four outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CaseStatus {
    Passed,
    Failed,
    Errored,
    Skipped,
    /// Fails, and that is known.
    Known,
}

/// What a case counts as: a warning fails a strict run alone, and what is not verified fails where that is a must.
pub(super) fn case_status(record: &Record, case: &CaseRecord) -> CaseStatus {
    match case.verdict {
        _ if case.known.is_some() => CaseStatus::Known,
        Verdict::Pass => CaseStatus::Passed,
        Verdict::Warn if record.strict => CaseStatus::Failed,
        Verdict::Warn => CaseStatus::Passed,
        Verdict::Fail => CaseStatus::Failed,
        Verdict::NotApplicable => CaseStatus::Skipped,
        Verdict::Error => CaseStatus::Errored,
        Verdict::Blocked if leaves_must_open(record, case) => CaseStatus::Failed,
        Verdict::Blocked => CaseStatus::Skipped,
    }
}

fn leaves_must_open(record: &Record, case: &CaseRecord) -> bool {
    let blocked = case
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Blocked);
    let mut ids = blocked.flat_map(|check| &check.requirements).peekable();
    let is_must = |id: &String| requirement(record, id).is_none_or(|found| found.level == Level::Must);
    match ids.peek() {
        Some(_) => ids.any(is_must),
        None => case.requirements.iter().any(is_must),
    }
}

/// The requirement of that id.
pub(super) fn requirement<'a>(record: &'a Record, id: &str) -> Option<&'a RequirementRecord> {
    record
        .requirements
        .iter()
        .find(|requirement| requirement.id == id)
}

/// `AVP-6-07 (must)` and what conforms, as far as the record knows the requirement.
pub(super) fn rule<'a>(record: &'a Record, id: &str) -> (String, &'a str) {
    match requirement(record, id) {
        Some(found) => (format!("{} ({})", visible(id), found.level), found.text.as_str()),
        None => (visible(id), ""),
    }
}

/// A duration as people read it.
pub(super) fn seconds(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1000),
    }
}

/// The duration of an exchange.
pub(super) fn took(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100),
        _ => seconds(microseconds / 1000),
    }
}

/// The operation that was timed, and over what, where that is not plain HTTP.
pub(super) fn timed(latency: &Latency) -> String {
    let over = match latency.wire {
        Wire::Grpc => Over::Grpc.suffix(),
        _ => Over::Http.suffix(),
    };
    format!("{}{over}", latency.operation)
}

/// `latency, median / 99th percentile: push 1.2 / 3.4 ms, ...`
pub(super) fn latency(record: &Record) -> Option<String> {
    let one = |it: &Latency| format!("{} {} / {}", timed(it), took(it.median_us), took(it.p99_us));
    let all: Vec<_> = record.latency.iter().map(one).collect();
    (!all.is_empty()).then(|| format!("latency, median / 99th percentile: {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_in_the_id() {
        assert_eq!(split_id("AVP-5.1-01"), ("5.1", "01"));
        assert_eq!(split_id("other"), ("", "other"));
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(
            [999, 1000, 1999, 61_000].map(seconds),
            ["999 ms", "1.0 s", "1.9 s", "1 min 1 s"]
        );
        assert_eq!([1234, 10_000].map(took), ["1.2 ms", "10 ms"]);
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("push/stale"), "push/stale");
        let odd = quoted("it's $(x)\x1b");
        assert_eq!(
            shlex::split(&odd),
            Some(vec!["it's $(x)\\u{1b}".to_owned()]),
            "{odd}"
        );
        assert_eq!(quoted(""), "''");
    }
}
