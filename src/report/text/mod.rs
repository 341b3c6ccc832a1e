//! The terminal report: what is wrong in one line each, then in detail, then the summary and the verdict.

mod block;
mod cause;
mod exchange;
mod page;
mod summary;

use std::collections::{BTreeMap, BTreeSet};

use super::facts::verdict_line;
use super::{Verbosity, View};
use crate::record::diagnosis::{Cause, causes, new_causes};
use crate::record::findings::{Finding, Hindrance, findings, findings_of, hindrances};
use crate::record::sentences::{got, protocol, reason, sentence, target};
use crate::record::verdict::{RunVerdict, Verdict};
use crate::record::{Baseline, CaseRecord, Record};
use crate::report::paint::Tone;
use crate::text::{count, thousands, visible};
pub(super) use cause::{
    breaks_too, is_told_by_fault, looks_like, over_grpc_alone, shown_by as cause_shown_by,
};
pub(super) use exchange::{
    line as exchange_line, place as exchange_place, short_path, status as exchange_status,
};
pub(super) use page::Page;

/// How many causes are shown in detail unless everything is asked for.
const MOST_CAUSES: usize = 5;

/// The record for a terminal of that width.
pub(super) fn render(record: &Record, view: &View) -> String {
    let mut page = Page::new(view);
    if view.verbosity > Verbosity::Quiet {
        headline(&mut page, record);
        causes_of(&mut page, record, view.verbosity);
        if view.verbosity == Verbosity::Verbose {
            let found = findings(record);
            overview(&mut page, &found, &hindrances(record));
            details(&mut page, record, &found, view);
        }
        summary::write(&mut page, record, view.verbosity);
    }
    let is_known = |it: &Baseline| it.verdict == RunVerdict::Conformant && it.out_of_date.is_empty();
    let tone = match record.verdict {
        RunVerdict::Conformant => Tone::Good,
        _ if record.baseline.as_ref().is_some_and(is_known) => Tone::Caution,
        _ => Tone::Bad,
    };
    let line = verdict_line(record);
    let (verdict, rest) = line.split_once(':').unwrap_or((&line, ""));
    page.line(format!("{}:{rest}", page.paint.tone(tone, verdict)));
    page.out
}

/// What is wrong, each thing once, the worst first, and how many cases fail of it.
fn causes_of(page: &mut Page, record: &Record, verbosity: Verbosity) {
    let new = new_causes(record);
    let limit = match verbosity {
        Verbosity::Verbose => usize::MAX,
        _ => MOST_CAUSES,
    };
    for cause in new.iter().take(limit) {
        cause::write(page, record, cause, verbosity);
        page.blank();
    }
    for left in new.iter().skip(limit) {
        let what = format!("{} {}", visible(&left.requirement), sentence(&left.cause));
        page.capped(0, &format!("also: {what}"), 1);
    }
    if !new.is_empty() {
        let causes = match new.len() {
            1 => "one cause".to_owned(),
            several => format!("{} causes", thousands(several)),
        };
        let more = match verbosity {
            Verbosity::Verbose => "",
            _ => ": -v lists every finding",
        };
        let cases = count(cause::failing_cases(record), "failing case");
        page.wrapped(0, &format!("{cases}, {causes}{more}"));
        if verbosity == Verbosity::Verbose {
            page.blank();
        }
    }
}

/// What one case came to, in one sentence.
pub(super) fn case_summary(case: &CaseRecord) -> String {
    let broken = case.checks.iter().filter(|check| check.is_broken());
    match broken.max_by_key(|check| check.verdict) {
        Some(check) => format!("expected: {}; got: {}", sentence(&check.expected), got(check)),
        None => reason(case),
    }
}

/// What one case came to in detail, without colours, for reports that hold text.
pub(super) fn case_details(record: &Record, case: &CaseRecord) -> String {
    let mut page = Page::new(&View::default());
    let found = findings_of(case);
    let found: Vec<_> = found.iter().collect();
    block::write(&mut page, record, case, &found, &View::default());
    page.out
}

/// What one cause is in detail, without colours.
pub(super) fn cause_details(record: &Record, cause: &Cause) -> String {
    let mut page = Page::new(&View::default());
    cause::write(&mut page, record, cause, Verbosity::Normal);
    page.out
}

/// The causes of what is broken in a case, a line each.
pub(super) fn causes_of_case(record: &Record, case: &CaseRecord) -> String {
    let all = causes(record);
    let own = all
        .iter()
        .filter(|cause| cause.cases.iter().any(|name| *name == case.name()));
    own.map(|cause| {
        let (id, what) = (visible(&cause.requirement), sentence(&cause.cause));
        format!("cause: {id} {what} ({})\n", count(cause.cases.len(), "case"))
    })
    .collect()
}

fn headline(page: &mut Page, record: &Record) {
    let mut parts = vec![
        format!("{} {}", visible(&record.tool.name), visible(&record.tool.version)),
        protocol(record),
        target(record),
    ];
    if let Some(idp) = &record.idp {
        parts.push(format!("identity provider {}", visible(idp)));
    }
    page.wrapped(0, &parts.join(" · "));
    page.blank();
}

/// Every finding in a line.
fn overview(page: &mut Page, found: &[Finding<'_>], hindered: &[Hindrance<'_>]) {
    let found_verdicts = found.iter().map(|finding| finding.check.verdict);
    let verdicts = found_verdicts.chain(hindered.iter().map(|hindrance| hindrance.verdict));
    page.labels = verdicts
        .map(|verdict| label(verdict).len())
        .fold(page.labels, usize::max);
    // Two findings of a case may look alike until their details are told.
    let mut said = BTreeSet::new();
    for finding in found {
        let what = format!(
            "{}: {}",
            visible(&finding.check.name),
            some_ids(&finding.requirements)
        );
        let heading = heading(&finding.case.name(), finding.others.len());
        if said.insert((heading.clone(), what.clone())) {
            page.verdict(finding.check.verdict, &heading, &what);
        }
    }
    for hindrance in hindered {
        let first = hindrance.cases.first().map_or("", |case| &case.id);
        page.verdict(
            hindrance.verdict,
            &heading(first, hindrance.cases.len() - 1),
            &hindrance.reason,
        );
        if hindrance.cases.len() > 1 {
            page.wrapped(page.labels + 1, &ids(&hindrance.cases));
        }
    }
    if !found.is_empty() || !hindered.is_empty() {
        page.blank();
    }
}

/// The first requirements of a finding.
fn some_ids(ids: &[(&str, usize)]) -> String {
    let mut shown: Vec<_> = ids.iter().take(3).map(|(id, _)| visible(id)).collect();
    if ids.len() > 3 {
        shown.push(format!("and {} more", ids.len() - 3));
    }
    shown.join(" ")
}

fn heading(id: &str, others: usize) -> String {
    match others {
        0 => visible(id),
        _ => format!("{} and {}", visible(id), count(others, "other")),
    }
}

/// The ids of cases, as a list in a sentence.
fn ids(cases: &[&CaseRecord]) -> String {
    cases
        .iter()
        .map(|case| visible(&case.name()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Every finding in detail.
fn details(page: &mut Page, record: &Record, found: &[Finding<'_>], view: &View) {
    for block in by_case(found) {
        if let Some(first) = block.first() {
            block::write(page, record, first.case, &block, view);
            page.blank();
        }
    }
}

/// Findings by the case that stands for them, in the order of the findings.
fn by_case<'a, 'b>(found: &'b [Finding<'a>]) -> Vec<Vec<&'b Finding<'a>>> {
    let mut places = BTreeMap::new();
    let mut blocks: Vec<Vec<&Finding<'_>>> = Vec::new();
    for finding in found {
        let place = *places.entry(finding.case.name()).or_insert(blocks.len());
        match blocks.get_mut(place) {
            Some(block) => block.push(finding),
            None => blocks.push(vec![finding]),
        }
    }
    blocks
}

/// The word in front of a line.
fn label(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Warn => "WARN",
        Verdict::Fail => "FAIL",
        Verdict::NotApplicable => "N/A",
        Verdict::Blocked => "NOT VERIFIED",
        Verdict::Error => "ERROR",
    }
}
