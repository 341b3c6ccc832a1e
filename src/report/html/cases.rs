//! The cases of the page: filter and search, then a fold for each case.

use maud::{Markup, html};

use super::exchanges::{self, Budget};
use super::{WORST_FIRST, label, sign};
use crate::record::diagnosis::Cause;
use crate::record::findings::decisive;
use crate::record::sentences::{got, known_sentence, matter, reason, sentence};
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, CheckRecord, Record};
use crate::report::facts::{again, rule};
use crate::text::{count, thousands, visible_cut};

/// How many rules of one broken check are told in words.
const MOST_RULES: usize = 4;

/// The cases.
pub(super) fn write(record: &Record, causes: &[Cause]) -> Markup {
    let bodies = bodies(record);
    html! {
        section #cases {
            div.title-row {
                h2 { "Cases" }
                p.keys { kbd { "/" } " search " kbd { "j" } " " kbd { "k" } " move " kbd { "Enter" } " open "
                    kbd { "Esc" } " clear" }
            }
            (tools(record))
            @for (heading, members) in groups(record, causes) {
                section.topic {
                    h3 { (visible_cut(&heading, 160)) " " span.quiet { (count(members.len(), "case")) } }
                    @for index in members { (case(record, &record.cases[index], &bodies[index], causes)) }
                }
            }
            p #none hidden { "No case is like that. " button type="button" data-clear { "Show all cases" } }
        }
    }
}

/// The insides of all cases. Cases that did not pass are served first while there is room for exchanges.
fn bodies(record: &Record) -> Vec<Markup> {
    let mut budget = Budget::default();
    let mut order: Vec<usize> = (0..record.cases.len()).collect();
    order.sort_by_key(|index| !needs_exchanges(&record.cases[*index]));
    let mut made: Vec<(usize, Markup)> = order
        .into_iter()
        .map(|index| (index, inside(record, &record.cases[index], &mut budget)))
        .collect();
    made.sort_by_key(|(index, _)| *index);
    made.into_iter().map(|(_, inside)| inside).collect()
}

/// Whether people will want to see what travelled.
fn needs_exchanges(case: &CaseRecord) -> bool {
    !matches!(case.verdict, Verdict::Pass | Verdict::NotApplicable)
}

/// The cases of each cause under its sentence, then the others by topic, in suite order, as indices.
fn groups(record: &Record, causes: &[Cause]) -> Vec<(String, Vec<usize>)> {
    let heading = |cause: &Cause| (format!("{} {}", cause.requirement, cause.cause), Vec::new());
    let mut of_causes: Vec<(String, Vec<usize>)> = causes.iter().map(heading).collect();
    let mut topics: Vec<(String, Vec<usize>)> = Vec::new();
    for (index, case) in record.cases.iter().enumerate() {
        let cause = causes
            .iter()
            .position(|cause| cause.cases.iter().any(|name| *name == case.name()));
        match (cause, topics.iter_mut().find(|(topic, _)| *topic == case.topic)) {
            (Some(place), _) => of_causes[place].1.push(index),
            (None, Some((_, members))) => members.push(index),
            (None, None) => topics.push((case.topic.clone(), vec![index])),
        }
    }
    // Cases of two causes stand under the first.
    of_causes.retain(|(_, members)| !members.is_empty());
    [of_causes, topics].concat()
}

fn tools(record: &Record) -> Markup {
    let news = |verdict: Verdict| {
        let cases = record.cases.iter();
        cases
            .filter(|case| case.verdict == verdict && case.known.is_none())
            .count()
    };
    let known = record.cases.iter().filter(|case| case.known.is_some()).count();
    let present = WORST_FIRST.into_iter().filter(|verdict| news(*verdict) > 0);
    html! {
        div.tools role="search" {
            input #search type="search" placeholder="Search cases, rules, files" aria-label="Search cases"
                autocomplete="off" spellcheck="false";
            div.chips role="group" aria-label="Verdicts" {
                @for verdict in present {
                    button.chip.(verdict.as_str()) type="button" data-chip=(verdict.as_str()) aria-pressed="false" {
                        (sign(verdict)) " " (verdict) " " b { (thousands(news(verdict))) }
                    }
                }
                @if known > 0 {
                    button.chip.known type="button" data-chip="known" aria-pressed="false" {
                        "≈ known " b { (thousands(known)) }
                    }
                }
            }
            p #count role="status" { (count(record.cases.len(), "case")) }
        }
    }
}

fn case(record: &Record, case: &CaseRecord, inside: &Markup, causes: &[Cause]) -> Markup {
    let shows = causes.iter().any(|cause| cause.shown_by == case.name());
    let requirements: Vec<_> = case
        .requirements
        .iter()
        .take(40)
        .map(|id| visible_cut(id, 40))
        .collect();
    let case_status = match &case.known {
        Some(_) => "known",
        None => case.verdict.as_str(),
    };
    html! {
        details.case data-shows[shows] data-verdict=(case_status) data-id=(visible_cut(&case.name(), 200))
            data-rules=(requirements.join(" ")) data-file=(visible_cut(&case.file, 200)) {
            summary {
                span.labels {
                    (label(case.verdict))
                    @if case.known.is_some() { " " span.label.known { "≈ known" } }
                }
                span.what {
                    span.id { (visible_cut(&case.name(), 200)) }
                    span.title { (visible_cut(&case.title, 300)) }
                    @if case.verdict != Verdict::Pass { span.short { (matter(case)) } }
                }
                span.time { (format!("{:.1} ms", case.duration_ms)) }
            }
            div.inside {
                (inside)
                div.again {
                    h4 { "Run it again" }
                    div.command {
                        code { (again(record, &case.id)) }
                        button type="button" data-copy { "Copy" }
                    }
                    p.quiet { (visible_cut(&case.file, 200)) ":" (case.line) " · " (requirements.join(" ")) }
                }
            }
        }
    }
}

fn inside(record: &Record, case: &CaseRecord, budget: &mut Budget) -> Markup {
    let (broken, others): (Vec<_>, Vec<_>) = case.checks.iter().partition(|check| check.is_broken());
    html! {
        @if let Some(known) = &case.known { p.reason { "Known failure: " (known_sentence(known)) } }
        @else if broken.is_empty() && case.verdict != Verdict::Pass { p.reason { (reason(case)) } }
        (broken_checks(record, case, &broken, budget))
        @if let Some(stopped) = &case.stopped {
            p.reason { "Driving stopped" @if let Some(step) = stopped.step { " at step " (step + 1) } ": "
                (sentence(&stopped.reason)) }
        }
        (exchanges::write(case, needs_exchanges(case), budget))
        @if !others.is_empty() { @if let Some(others) = budget.brief(other_checks(case, &others)) { (others) } }
    }
}

/// The first broken check in any event, the others as far as there is room.
fn broken_checks(record: &Record, case: &CaseRecord, checks: &[&CheckRecord], budget: &mut Budget) -> Markup {
    let first = checks.first().map(|check| broken_check(record, case, check));
    let more = checks
        .iter()
        .skip(1)
        .take(20)
        .map_while(|check| budget.full(broken_check(record, case, check)));
    let shown: Vec<Markup> = first.into_iter().chain(more).collect();
    html! {
        @for check in &shown { (check) }
        @if shown.len() < checks.len() {
            p.quiet { (count(checks.len() - shown.len(), "more broken check")) " in this case." }
        }
    }
}

fn broken_check(record: &Record, case: &CaseRecord, check: &CheckRecord) -> Markup {
    html! {
        div.check.(check.verdict.as_str()) {
            p.where {
                (visible_cut(&check.name, 80))
                @if let Some(step) = check.step { " · step " (step + 1) }
                " · " (visible_cut(&case.file, 200)) ":" (check.line)
            }
            @for (id, text) in check.requirements.iter().take(MOST_RULES).map(|id| rule(record, id)) {
                p.rule { b { (id) } " " (sentence(text)) }
            }
            @if check.requirements.len() > MOST_RULES {
                p.rule { "and " b { (check.requirements[MOST_RULES..].iter().map(|id| visible_cut(id, 40)).collect::<Vec<_>>().join(" ")) } }
            }
            dl.seen {
                dt { "Expected" } dd { (sentence(&check.expected)) }
                dt { "Got" } dd.got { (got(check)) }
                @if let Some((at, _)) = decisive(case, check) { dt { "In" } dd { "exchange " (at + 1) } }
                @if let Some(pointer) = &check.pointer { dt { "At" } dd { code { (visible_cut(pointer, 200)) } } }
                @if let Some(hint) = &check.hint { dt { "What to do" } dd { (sentence(hint)) } }
            }
        }
    }
}

/// The checks that are not broken, a line each.
fn other_checks(case: &CaseRecord, checks: &[&CheckRecord]) -> Markup {
    const SHOWN: usize = 30;
    html! {
        details.others {
            summary { (count(checks.len(), if case.verdict == Verdict::Pass { "check" } else { "other check" })) }
            ul {
                @for check in checks.iter().take(SHOWN) {
                    li { (label(check.verdict)) span {
                        @if let Some(step) = check.step { "Step " (step + 1) ": " }
                        (visible_cut(&check.expected, 200))
                    } }
                }
                @if checks.len() > SHOWN { li { "… and " (checks.len() - SHOWN) " more" } }
            }
        }
    }
}
