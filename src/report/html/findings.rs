//! What is wrong, each thing once, with the case that shows it most plainly.

use maud::{Markup, html};

use super::label;
use crate::record::sentences::{got, sentence};
use crate::record::{CaseRecord, Record};
use crate::report::facts::rule;
use crate::report::findings::{Finding, decisive, findings};
use crate::report::text::exchange_line;
use crate::text::{count, visible_cut};

/// How many findings are told.
const MOST_FINDINGS: usize = 30;
/// How many rules of a finding are told in words.
const MOST_RULES: usize = 2;
/// How many of the other cases of a finding are named.
const MOST_OTHER_CASES: usize = 6;

/// The findings.
pub(super) fn write(record: &Record) -> Markup {
    let found = findings(record);
    html! {
        @if !found.is_empty() {
            section #findings {
                h2 { "What is wrong" }
                @for finding in found.iter().take(MOST_FINDINGS) { (one(record, finding)) }
                @if found.len() > MOST_FINDINGS {
                    p.quiet { (count(found.len() - MOST_FINDINGS, "more finding")) " not shown here: "
                        code { "avp-conform show -v" } " lists all of a JSON report." }
                }
            }
        }
    }
}

fn one(record: &Record, finding: &Finding<'_>) -> Markup {
    let (case, check) = (finding.case, finding.check);
    html! {
        div.check.(check.verdict.as_str()) {
            p.where {
                (label(check.verdict)) " " (link(case))
                @if !finding.others.is_empty() { " and " (count(finding.others.len(), "other")) }
            }
            @for (id, text) in finding.requirements.iter().take(MOST_RULES).map(|(id, _)| rule(record, id)) {
                p.rule { b { (id) } " " (sentence(text)) }
            }
            @if finding.requirements.len() > MOST_RULES {
                p.rule { "and " (count(finding.requirements.len() - MOST_RULES, "more rule")) }
            }
            dl.seen {
                dt { "Expected" } dd { (sentence(&check.expected)) }
                dt { "Got" } dd.got { (got(check)) }
                @if let Some(pointer) = &check.pointer { dt { "At" } dd { code { (visible_cut(pointer, 200)) } } }
                @if let Some((_, exchange)) = decisive(case, check) { dt { "Exchange" } dd { (exchange_line(exchange)) } }
                @if let Some(hint) = &check.hint { dt { "What to do" } dd { (sentence(hint)) } }
                @if !finding.others.is_empty() { dt { "Also in" } dd { (others(&finding.others)) } }
            }
        }
    }
}

/// Links to cases, as many as are named.
fn others(cases: &[&CaseRecord]) -> Markup {
    html! {
        @for (index, case) in cases.iter().take(MOST_OTHER_CASES).enumerate() {
            @if index > 0 { ", " }
            (link(case))
        }
        @if cases.len() > MOST_OTHER_CASES { " and " (count(cases.len() - MOST_OTHER_CASES, "more case")) }
    }
}

/// A link that opens a case below.
fn link(case: &CaseRecord) -> Markup {
    html! {
        a href=(format!("#case={}", crate::text::encode_segment(&case.id))) { (visible_cut(&case.id, 200)) }
    }
}
