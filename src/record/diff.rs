//! What changed from one run to another.

use std::collections::HashMap;

use super::sentences::{matter, sentence, target};
use super::{CaseRecord, Record, RequirementRecord};
use crate::catalogue::Level;
use crate::record::verdict::{RunVerdict, Verdict};
use crate::text::count;

/// The difference of two records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// Cases that were fine and are not any more.
    pub newly_failing: Vec<Change>,
    /// Cases that were not fine and are now.
    pub fixed: Vec<Change>,
    /// Cases whose verdict changed in another way.
    pub changed: Vec<Change>,
    /// Cases that the old record does not have.
    pub added: Vec<Change>,
    /// Cases that the new record does not have.
    pub gone: Vec<Change>,
    /// Requirements whose verdict changed.
    pub requirements: Vec<Change>,
    /// What the new run judged, as people name it.
    pub target: String,
    /// The verdicts of the runs, old and new.
    pub verdicts: (RunVerdict, RunVerdict),
    /// What else differs and makes the two less comparable: suite, target, protocol version.
    pub notes: Vec<String>,
    /// Whether something that held does not hold or cannot be seen any more.
    pub regressions: bool,
}

/// The verdict of one case or requirement in two records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The id of the case or requirement.
    pub id: String,
    /// Its verdict in the old record; none where it is new.
    pub old: Option<Verdict>,
    /// Its verdict in the new record; none where it is gone.
    pub new: Option<Verdict>,
    /// What is wrong now, one sentence; empty where nothing is.
    pub why: String,
}

/// What changed from `old` to `new`. A case that was fine and is not any more is a regression, and so is a must that held:
/// also where a new case found it. Under the strictness of `new`, a warning is not fine.
pub fn diff(old: &Record, new: &Record) -> Diff {
    let mut diff = Diff {
        newly_failing: Vec::new(),
        fixed: Vec::new(),
        changed: Vec::new(),
        added: Vec::new(),
        gone: Vec::new(),
        requirements: requirements(old, new),
        target: target(new),
        verdicts: (old.verdict, new.verdict),
        notes: notes(old, new),
        regressions: false,
    };
    let before: HashMap<String, Verdict> = verdicts(old).collect();
    for case in &new.cases {
        sort_in(
            &mut diff,
            before.get(case.name().as_ref()).copied(),
            case,
            new.strict,
        );
    }
    let after: HashMap<String, Verdict> = verdicts(new).collect();
    let gone = verdicts(old).filter(|(id, _)| !after.contains_key(id));
    diff.gone = gone
        .map(|(id, old)| Change {
            id,
            old: Some(old),
            new: None,
            why: String::new(),
        })
        .collect();
    diff.regressions = !diff.newly_failing.is_empty() || lost_a_must(&diff.requirements, new);
    diff
}

fn verdicts(record: &Record) -> impl Iterator<Item = (String, Verdict)> {
    record
        .cases
        .iter()
        .map(|case| (case.name().into_owned(), case.verdict))
}

fn sort_in(diff: &mut Diff, old: Option<Verdict>, case: &CaseRecord, strict: bool) {
    let fine = |verdict| is_fine(verdict, strict);
    let why = if fine(case.verdict) {
        String::new()
    } else {
        matter(case)
    };
    let change = Change {
        id: case.name().into_owned(),
        old,
        new: Some(case.verdict),
        why,
    };
    match old {
        None => diff.added.push(change),
        Some(old) if old == case.verdict => {}
        Some(old) if fine(old) && !fine(case.verdict) => diff.newly_failing.push(change),
        Some(old) if !fine(old) && fine(case.verdict) => diff.fixed.push(change),
        Some(_) => diff.changed.push(change),
    }
}

fn is_fine(verdict: Verdict, strict: bool) -> bool {
    match verdict {
        Verdict::Pass | Verdict::NotApplicable => true,
        Verdict::Warn => !strict,
        Verdict::Blocked | Verdict::Error | Verdict::Fail => false,
    }
}

fn requirements(old: &Record, new: &Record) -> Vec<Change> {
    let before: HashMap<_, _> = old
        .requirements
        .iter()
        .map(|found| (&found.id, found.verdict))
        .collect();
    let changed = |found: &&RequirementRecord| {
        before
            .get(&found.id)
            .is_some_and(|verdict| *verdict != found.verdict)
    };
    let change = |found: &RequirementRecord| Change {
        id: found.id.clone(),
        old: before.get(&found.id).copied(),
        new: Some(found.verdict),
        why: found.reason.as_deref().map(sentence).unwrap_or_default(),
    };
    new.requirements.iter().filter(changed).map(change).collect()
}

fn lost_a_must(changes: &[Change], new: &Record) -> bool {
    let is_must = |id: &str| {
        new.requirements
            .iter()
            .any(|found| found.id == id && found.level == Level::Must)
    };
    let lost = |change: &&Change| {
        let fine = |verdict: Option<Verdict>| verdict.is_some_and(|verdict| is_fine(verdict, new.strict));
        fine(change.old) && !fine(change.new)
    };
    changes.iter().filter(lost).any(|change| is_must(&change.id))
}

fn notes(old: &Record, new: &Record) -> Vec<String> {
    let mut notes = Vec::new();
    for (what, one, other) in [
        ("target", &old.target, &new.target),
        ("protocol version", &old.spec.to_string(), &new.spec.to_string()),
        ("suite", &short(&old.suite.hash), &short(&new.suite.hash)),
        ("selection", &old.filters.join(" "), &new.filters.join(" ")),
    ] {
        if one != other {
            let named = |text: &str| {
                if text.is_empty() {
                    "everything".to_owned()
                } else {
                    sentence(text)
                }
            };
            notes.push(format!(
                "the {what} differs: {}, then {}",
                named(one),
                named(other)
            ));
        }
    }
    notes
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

impl Diff {
    /// `2 newly failing, 1 fixed`: the difference in a few words; empty where there is none.
    pub fn summary(&self) -> String {
        let parts = [
            (self.newly_failing.len(), "newly failing"),
            (self.fixed.len(), "fixed"),
            (self.changed.len(), "otherwise changed"),
            (self.added.len(), "new"),
            (self.gone.len(), "gone"),
        ];
        let named = parts.into_iter().filter(|(number, _)| *number > 0);
        named
            .map(|(number, what)| format!("{} {what}", count(number, "case")))
            .collect::<Vec<_>>()
            .join(", ")
    }
}
