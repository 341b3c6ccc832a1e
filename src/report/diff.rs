//! What changed from one run to another.

use super::View;
use super::text::Page;
use crate::record::verdict::Verdict;
use crate::record::{Change, Diff};
use crate::report::paint::Tone;
use crate::text::visible;

/// The difference of two records, for a terminal.
pub fn diff_text(diff: &Diff, view: &View) -> String {
    let mut page = Page::new(view);
    for note in &diff.notes {
        page.wrapped(0, &format!("note: {note}"));
    }
    for (title, changes) in [
        ("newly failing", &diff.newly_failing),
        ("fixed", &diff.fixed),
        ("changed", &diff.changed),
        ("new cases", &diff.added),
        ("gone cases", &diff.gone),
        ("requirements", &diff.requirements),
    ] {
        list(&mut page, title, changes);
    }
    page.line(conclusion(diff, &page));
    page.out
}

fn conclusion(diff: &Diff, page: &Page) -> String {
    let (old, new) = diff.verdicts;
    let run = if old == new {
        format!("still {new}: {}", diff.target)
    } else {
        format!("{old}, now {new}: {}", diff.target)
    };
    match diff.regressions {
        true => format!("{}: {run}", page.paint.tone(Tone::Bad, "worse")),
        false => format!("{}: {run}", page.paint.tone(Tone::Good, "no regressions")),
    }
}

pub(super) fn list(page: &mut Page, title: &str, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    page.line(format!("{title}: {}", changes.len()));
    for change in changes {
        let verdict = change.new.or(change.old).unwrap_or(Verdict::NotApplicable);
        let was = match (change.old, change.new) {
            (Some(old), Some(_)) => format!("was {old}"),
            (Some(_), None) => "not run any more".to_owned(),
            _ => String::new(),
        };
        let more = [was, change.why.clone()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        page.verdict(verdict, &visible(&change.id), &more);
    }
    page.blank();
}
