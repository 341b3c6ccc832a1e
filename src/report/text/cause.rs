//! One cause: what is wrong, which rule that breaks, what was expected, what came, how to mend it, and how to see it again.

use std::collections::BTreeMap;

use super::block::{beside, evidence};
use super::page::Page;
use crate::record::diagnosis::{Cause, Fit};
use crate::record::findings::{decisive, is_news};
use crate::record::sentences::{got, sentence};
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, CheckRecord, Over, Record};
use crate::report::Verbosity;
use crate::report::facts::{again, rule};
use crate::report::paint::Tone;
use crate::text::{count, thousands, visible, visible_cut};

/// How many lines a text of a cause takes, but where everything is asked for.
const MOST_LINES: usize = 2;

/// Writes a cause.
pub(super) fn write(page: &mut Page, record: &Record, cause: &Cause, verbosity: Verbosity) {
    let lines = match verbosity {
        Verbosity::Verbose => usize::MAX,
        _ => MOST_LINES,
    };
    let shown = shown_by(record, cause);
    let verdict = shown.map_or(Verdict::of_broken(cause.level), |(_, check)| check.verdict);
    let (id, text) = rule(record, &cause.requirement);
    let label = page.paint.tone(Tone::of(verdict), super::label(verdict));
    let id = page.paint.tone(Tone::Strong, id);
    page.line(format!("{label} {id}"));
    match is_told_by_fault(cause) {
        true => {
            page.capped(2, &sentence(&cause.cause), lines);
            page.labelled_within("rule", &sentence(text), None, lines);
        }
        false => page.capped(2, &sentence(text), lines),
    }
    if let Some((case, check)) = shown {
        page.labelled_within("expected", &sentence(&check.expected), Some(Tone::Good), lines);
        page.labelled_within("got", &got(check), Some(Tone::of(verdict)), lines);
        if let Some((_, exchange)) = decisive(case, check) {
            evidence(page, exchange, check);
            beside(page, case, check);
        }
        page.labelled_within("seen in", &seen_in(record, cause, case, check), None, lines);
    }
    if let Some(also) = breaks_too(cause) {
        page.labelled_within("also", &also, None, lines);
    }
    if let Some(like) = looks_like(cause) {
        page.labelled_within("resembles", &like, None, lines);
    }
    // Without a hint there is no more to say than the rule, which stands above.
    if !cause.mend.ends_with(text) {
        page.labelled_within("mend", &sentence(&cause.mend), None, lines);
    }
    page.command("again", &again(record, &cause.shown_by));
}

/// Whether the sentence of a cause is that of a fault that fits, and not what was expected and what came.
pub(in crate::report) fn is_told_by_fault(cause: &Cause) -> bool {
    cause.fits == Fit::Exact && cause.like.is_some()
}

/// The case and the check that show a cause.
pub(in crate::report) fn shown_by<'a>(
    record: &'a Record,
    cause: &Cause,
) -> Option<(&'a CaseRecord, &'a CheckRecord)> {
    let case = record.cases.iter().find(|case| case.name() == cause.shown_by)?;
    Some((case, case.checks.get(cause.check)?))
}

/// `push/stale-is-a-conflict, step 2 (cases/avp/push.toml:12), and 13 more cases`
fn seen_in(record: &Record, cause: &Cause, case: &CaseRecord, check: &CheckRecord) -> String {
    let step = check
        .step
        .map_or(String::new(), |step| format!(", step {}", step + 1));
    let place = format!(
        "{}{step} ({}:{})",
        visible(&case.name()),
        visible_cut(&case.file, 200),
        check.line
    );
    let failing = failing_cases(record);
    let aside = over_grpc_alone(record, cause).unwrap_or_default();
    match cause.cases.len() {
        all if all == failing && all > 1 => {
            format!("{place}; explains all {} failing cases{aside}", thousands(all))
        }
        0 | 1 => format!("{place}{aside}"),
        several => format!("{place} and {}{aside}", count(several - 1, "more case")),
    }
}

/// What to say of a cause that is seen over gRPC alone: that the same cases pass over HTTP. None where some do not, or none ran.
pub(in crate::report) fn over_grpc_alone(record: &Record, cause: &Cause) -> Option<&'static str> {
    let is_of_it = |case: &&CaseRecord| cause.cases.iter().any(|name| *name == case.name());
    let over_http: BTreeMap<&str, Verdict> = record
        .cases
        .iter()
        .filter(|case| case.transport == Over::Http)
        .map(|case| (case.id.as_str(), case.verdict))
        .collect();
    let mut twins = 0;
    for case in record.cases.iter().filter(is_of_it) {
        let twin = over_http.get(case.id.as_str());
        match case.transport {
            Over::Grpc if twin.is_none_or(|verdict| *verdict == Verdict::Pass) => {
                twins += usize::from(twin.is_some());
            }
            // Those over both speak of one of the two at least.
            Over::Both => {}
            _ => return None,
        }
    }
    (twins > 0).then_some("; over HTTP the same cases pass")
}

/// What else a cause breaks: `breaks AVP-6-09, AVP-9-01`. None where there is nothing.
pub(in crate::report) fn breaks_too(cause: &Cause) -> Option<String> {
    let ids: Vec<String> = cause.also.iter().map(|id| visible(id)).collect();
    (!ids.is_empty()).then(|| format!("breaks {}", ids.join(", ")))
}

/// The fault of a built-in party that a cause resembles, where it is not told by that already.
pub(in crate::report) fn looks_like(cause: &Cause) -> Option<String> {
    let like = cause.like.as_ref().filter(|_| !is_told_by_fault(cause))?;
    Some(format!("the built-in fault `{}`", visible(like)))
}

/// How many cases have a broken check that nobody knew.
pub(in crate::report) fn failing_cases(record: &Record) -> usize {
    let failing = record.cases.iter().filter(|case| case.checks.iter().any(is_news));
    failing.count()
}
