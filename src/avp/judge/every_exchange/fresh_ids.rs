//! Ids that nobody has used: what a case prepares has ids of its own.

use std::collections::BTreeSet;

use super::Rule;
use crate::avp::Operation;
use crate::avp::judge::parsed::ParsedExchange;
use crate::judge::{Checks, Finding};
use crate::record::Role;

/// A new repository is no duplicate, whatever the target takes its id for.
pub(super) const RULE: Rule = Rule {
    name: "fresh-id",
    requirement: "AVP-6-03",
    expected: "a repository is created under an id that nobody has used",
};

/// Looks at the repositories that a case prepares: a 409 says that there is one already.
pub(super) fn check(checks: &mut Checks<'_>, frames: &[ParsedExchange<'_>]) {
    let creates = frames
        .iter()
        .filter(|frame| frame.operation == Some(Operation::CreateRepo));
    let mut used = BTreeSet::new();
    for frame in creates {
        let is_new = id(frame).is_some_and(|id| used.insert(id));
        let is_duplicate = frame.answer().is_some_and(|answer| answer.status == 409);
        // What was sent twice may have met itself.
        if is_new && is_duplicate && frame.exchange.role == Role::Setup && !frame.exchange.resent {
            let got = "status 409, as if it were there already";
            checks.note(RULE.subject(), frame.index, Finding::broken(got.to_owned()));
        }
    }
}

/// The id that a creation asks for.
fn id<'a>(frame: &'a ParsedExchange<'_>) -> Option<&'a str> {
    frame.request.as_ref()?.pointer("/manifest/repoId")?.as_str()
}
