//! What is wrong, each thing once, the worst first, with the case that shows it most plainly.

use maud::{Markup, html};

use super::label;
use crate::record::diagnosis::Cause;
use crate::record::findings::decisive;
use crate::record::sentences::{got, sentence};
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, Record};
use crate::report::View;
use crate::report::facts::{again, rule};
use crate::report::text::{
    breaks_too, cause_shown_by, exchange_line, is_told_by_fault, looks_like, over_grpc_alone,
};
use crate::text::{count, visible_cut};

/// How many causes are told.
const MOST_CAUSES: usize = 30;
/// How many of the other cases of a cause are named.
const MOST_OTHER_CASES: usize = 6;

/// The causes.
pub(super) fn write(record: &Record, causes: &[Cause], view: &View) -> Markup {
    html! {
        @if !causes.is_empty() {
            section #causes {
                h2 { "What is wrong" }
                @for (number, cause) in causes.iter().take(MOST_CAUSES).enumerate() {
                    (one(record, cause, number + 1, view))
                }
                @if causes.len() > MOST_CAUSES {
                    p.quiet { (count(causes.len() - MOST_CAUSES, "more cause")) " not shown here: "
                        code { "avp-conform show -v" } " lists all of a JSON report." }
                }
            }
        }
    }
}

fn one(record: &Record, cause: &Cause, number: usize, view: &View) -> Markup {
    let shown = cause_shown_by(record, cause);
    let verdict = shown.map_or(Verdict::of_broken(cause.level), |(_, check)| check.verdict);
    let (id, text) = rule(record, &cause.requirement);
    let told = is_told_by_fault(cause);
    html! {
        article.cause.(verdict.as_str()) #{ "cause-" (number) } {
            h3 { (label(verdict)) " " (if told { sentence(&cause.cause) } else { sentence(text) }) }
            p.rule { b { (id) } @if told { " " (sentence(text)) } }
            @if let Some((case, check)) = shown {
                dl.diff {
                    dt { @if let Some(pointer) = &check.pointer { code { (visible_cut(pointer, 200)) } } @else { "Answer" } }
                    dd.expected { span.sign aria-hidden="true" { "−" } span { span.hidden { "Expected: " } (sentence(&check.expected)) } }
                    dd.got { span.sign aria-hidden="true" { "+" } span { span.hidden { "Got: " } (got(check)) } }
                }
                dl.seen {
                    @if let Some((_, exchange)) = decisive(case, check) { dt { "Exchange" } dd { (exchange_line(exchange)) } }
                    dt { "Seen in" } dd { (link(case)) @if let Some(step) = check.step { ", step " (step + 1) } (others(record, cause)) (over_grpc_alone(record, cause).unwrap_or_default()) }
                    @if let Some(also) = breaks_too(cause) { dt { "Also" } dd { (also) } }
                    @if let Some(like) = looks_like(cause) { dt { "Looks like" } dd { (like) } }
                    dt { "How to mend" } dd { (sentence(&cause.mend)) }
                }
            }
            div.command {
                code { (again(record, &cause.shown_by)) }
                button type="button" data-copy { "Copy" }
                @if let Some(script) = view.scripts.get(&cause.shown_by) {
                    button type="button" data-copy="script" { "Copy as script" }
                    code.script hidden { (script) }
                }
            }
        }
    }
}

/// Links to the other cases of a cause, as many as are named.
fn others(record: &Record, cause: &Cause) -> Markup {
    let is_other = |case: &&CaseRecord| {
        case.name() != cause.shown_by && cause.cases.iter().any(|name| *name == case.name())
    };
    let others: Vec<&CaseRecord> = record.cases.iter().filter(is_other).collect();
    html! {
        @for case in others.iter().take(MOST_OTHER_CASES) { ", " (link(case)) }
        @if others.len() > MOST_OTHER_CASES { " and " (count(others.len() - MOST_OTHER_CASES, "more case")) }
    }
}

/// A link that opens a case below.
fn link(case: &CaseRecord) -> Markup {
    html! {
        a href=(format!("#case={}", crate::text::encode_segment(&case.name()))) { (visible_cut(&case.name(), 200)) }
    }
}
