//! One case in detail: the rule, what was expected, what came and where, and how to see it again.

use super::exchange;
use super::page::{INDENT, Page};
use crate::record::findings::{Finding, decisive};
use crate::record::sentences::{got, reason, sentence};
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, CheckRecord, Exchange, Outcome, Over, Record};
use crate::report::excerpt::excerpt;
use crate::report::facts::{again, rule};
use crate::report::paint::Tone;
use crate::report::{Verbosity, View};
use crate::text::{count, cut, visible, visible_cut};

/// How many broken checks of one case are shown.
const MOST_CHECKS: usize = 3;
/// How many rules of one check are quoted.
const MOST_RULES: usize = 2;
/// How many other cases, or the requirements of other cases, are named.
const MOST_OTHER_CASES: usize = 6;

/// Writes the block of a case and the findings for which it stands.
pub(super) fn write(
    page: &mut Page,
    record: &Record,
    case: &CaseRecord,
    found: &[&Finding<'_>],
    view: &View,
) {
    let all = view.verbosity == Verbosity::Verbose;
    heading(
        page,
        case,
        found
            .first()
            .map_or(case.verdict, |finding| finding.check.verdict),
    );
    for (index, finding) in found
        .iter()
        .enumerate()
        .take(if all { usize::MAX } else { MOST_CHECKS })
    {
        if index > 0 {
            page.blank();
        }
        check(page, record, finding, view);
    }
    if !all && found.len() > MOST_CHECKS {
        let left = count(found.len() - MOST_CHECKS, "more finding");
        page.labelled(
            "and",
            &format!("{left} in this case: run it with -v to see all"),
            None,
        );
    }
    if found.is_empty() {
        where_it_is(page, case.file.as_str(), case.line, "", view);
        page.labelled("reason", &reason(case), None);
    } else if let Some(stopped) = &case.stopped {
        page.labelled("stopped", &sentence(&stopped.reason), None);
    }
    page.command("again", &again(record, &case.id));
    if all {
        let first = found.first().and_then(|finding| decisive(case, finding.check));
        exchange::upto(page, case, first.map(|(index, _)| index));
    }
}

fn heading(page: &mut Page, case: &CaseRecord, verdict: Verdict) {
    let id = page.paint.tone(Tone::Strong, visible_cut(&case.name(), 200));
    let label = page.paint.tone(Tone::of(verdict), super::label(verdict));
    page.line(format!("{label} {id}"));
    page.wrapped(2, &sentence(&case.title));
}

fn check(page: &mut Page, record: &Record, finding: &Finding<'_>, view: &View) {
    let check = finding.check;
    let what = match check.step {
        Some(step) => format!(", step {}, {}", step + 1, visible_cut(&check.name, 60)),
        None => format!(", {}", visible_cut(&check.name, 60)),
    };
    where_it_is(page, &finding.case.file, check.line, &what, view);
    broken_rules(page, record, finding, view.verbosity);
    page.labelled("expected", &sentence(&check.expected), Some(Tone::Good));
    page.labelled("got", &got(check), Some(Tone::of(check.verdict)));
    if let Some((_, exchange)) = decisive(finding.case, check) {
        evidence(page, exchange, check);
        beside(page, finding.case, check);
    }
    if let Some(hint) = &check.hint {
        page.labelled("hint", &sentence(hint), None);
    }
    others(page, &finding.others, check.verdict, view.verbosity);
}

/// The requirements that the check breaks, the finding's own first, and those that its other cases break instead.
fn broken_rules(page: &mut Page, record: &Record, finding: &Finding<'_>, verbosity: Verbosity) {
    let (own, others): (Vec<_>, Vec<_>) = finding
        .requirements
        .iter()
        .partition(|(id, _)| finding.check.requirements.iter().any(|own| own == id));
    for (id, _) in own.iter().take(MOST_RULES) {
        let (id, text) = rule(record, id);
        page.labelled("rule", &format!("{id} {}", sentence(text)), None);
    }
    if own.len() > MOST_RULES {
        let ids: Vec<_> = own[MOST_RULES..].iter().map(|(id, _)| visible(id)).collect();
        page.labelled("rules", &ids.join(" "), None);
    }
    let shown = match verbosity {
        Verbosity::Verbose => others.len(),
        _ => others.len().min(MOST_OTHER_CASES),
    };
    if shown > 0 {
        let ids = others.iter().take(shown);
        let ids = ids.map(|(id, cases)| format!("{} ({})", visible(id), count(*cases, "case")));
        let mut text = ids.collect::<Vec<_>>().join(", ");
        if shown < others.len() {
            text.push_str(&format!(", and {} more (-v names all)", others.len() - shown));
        }
        page.labelled("also", &text, None);
    }
}

/// `--> cases/push.toml:12, step 2`, and the line itself where the source is at hand.
fn where_it_is(page: &mut Page, file: &str, line: usize, what: &str, view: &View) {
    let arrow = page.paint.tone(Tone::Dim, format!("{:>10}", "-->"));
    page.line(format!("{arrow} {}:{line}{what}", visible_cut(file, 200)));
    let source = view
        .sources
        .get(file)
        .and_then(|text| text.lines().nth(line.checked_sub(1)?));
    if let Some(source) = source {
        let bar = page.paint.tone(Tone::Dim, format!("{line:>9} |"));
        let room = page.width - INDENT - 1;
        page.line(format!(
            "{bar} {}",
            cut(visible_cut(source.trim_end(), room + 1), room, false)
        ));
    }
}

/// The exchange in one line, and the decisive part of the answer with a mark under the place.
pub(super) fn evidence(page: &mut Page, exchange: &Exchange, check: &CheckRecord) {
    let line = exchange::line(exchange);
    page.labelled("exchange", &line, None);
    let room = page.width - INDENT;
    if let Outcome::Answer(answer) = &exchange.outcome {
        let excerpt = excerpt(&answer.body, check.pointer.as_deref(), room);
        if !excerpt.line.is_empty() {
            page.line(format!("{:INDENT$}{}", "", excerpt.line));
        }
        if let Some((before, length)) = excerpt.mark {
            let indent = INDENT + before;
            let mark = page.paint.tone(Tone::of(check.verdict), "^".repeat(length));
            page.line(format!("{:indent$}{mark}", ""));
        }
    }
}

/// The exchange over the other transport with which the decisive one disagrees, where a check is about both.
pub(super) fn beside(page: &mut Page, case: &CaseRecord, check: &CheckRecord) {
    let mut exchanges = check.exchanges.iter().filter_map(|at| case.exchanges.get(*at));
    let Some(decisive) = exchanges.next().filter(|_| case.transport == Over::Both) else {
        return;
    };
    if let Some(other) = exchanges.find(|other| other.wire != decisive.wire) {
        page.labelled("beside", &exchange::line(other), None);
    }
}

fn others(page: &mut Page, others: &[&CaseRecord], verdict: Verdict, verbosity: Verbosity) {
    if others.is_empty() {
        return;
    }
    let shown = if verbosity == Verbosity::Verbose {
        others.len()
    } else {
        MOST_OTHER_CASES
    };
    let fail = match (verdict, others.len()) {
        (Verdict::Warn, 1) => "warns of",
        (Verdict::Warn, _) => "warn of",
        (_, 1) => "fails",
        _ => "fail",
    };
    let mut text = format!("{} {fail} the same check: ", count(others.len(), "more case"));
    text.push_str(&super::ids(&others[..others.len().min(shown)]));
    if others.len() > shown {
        text.push_str(", … (-v names all)");
    }
    page.labelled("and", &text, None);
}
