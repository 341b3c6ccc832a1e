//! What became of a run that was judged again.

use super::View;
use super::diff::list;
use super::text::Page;
use crate::record::rejudged::{CheckChange, Rejudged};
use crate::record::sentences::sentence;
use crate::record::verdict::Verdict;
use crate::report::paint::Tone;
use crate::text::{count, visible};

/// What changed, for a terminal.
pub fn rejudged_text(again: &Rejudged, view: &View) -> String {
    let mut page = Page::new(view);
    for note in &again.diff.notes {
        page.wrapped(0, &format!("note: {note}"));
    }
    for id in &again.unknown {
        page.wrapped(0, &format!("note: {} is not in the suite any more", visible(id)));
    }
    let diff = &again.diff;
    for (title, changes) in [
        ("would fail", &diff.newly_failing),
        ("would be fine", &diff.fixed),
        ("would change", &diff.changed),
        ("requirements", &diff.requirements),
    ] {
        list(&mut page, title, changes);
    }
    if !again.checks.is_empty() {
        page.line(format!(
            "checks of cases that stay as they are: {}",
            again.checks.len()
        ));
        again.checks.iter().for_each(|change| check(&mut page, change));
        page.blank();
    }
    let judged = count(again.record.cases.len(), "case");
    let (old, new) = diff.verdicts;
    let target = &diff.target;
    page.line(match (again.is_the_same(), old == new) {
        (true, _) => format!(
            "{}: {judged} judged again, still {new}: {target}",
            page.paint.tone(Tone::Good, "no change")
        ),
        (false, true) => format!(
            "{}: {judged} judged again, still {new}: {target}",
            page.paint.tone(Tone::Bad, "changed")
        ),
        (false, false) => format!(
            "{}: {judged} judged again, {old}, now {new}: {target}",
            page.paint.tone(Tone::Bad, "changed")
        ),
    });
    page.out
}

fn check(page: &mut Page, change: &CheckChange) {
    let verdict = change.new.or(change.old).unwrap_or(Verdict::NotApplicable);
    let was = match (change.old, change.new) {
        (Some(old), Some(_)) => format!("was {old}"),
        (Some(_), None) => "not checked any more".to_owned(),
        (None, _) => "new".to_owned(),
    };
    let step = change
        .step
        .map(|step| format!(" step {}", step + 1))
        .unwrap_or_default();
    page.verdict(
        verdict,
        &format!("{}{step}", visible(&change.case)),
        &format!("{was}; {}", sentence(&change.expected)),
    );
}
