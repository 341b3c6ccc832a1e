//! Requirement ids in few words, and requirements by the reason for their verdict.

use crate::record::sentences::{sentence, split_id};
use crate::record::verdict::Verdict;
use crate::record::{Record, RequirementRecord};
use crate::text::visible;

/// The requirements of one kind: their ids, and the reason that they share.
pub(super) fn by_reason(record: &Record, wanted: impl Fn(Verdict) -> bool) -> Vec<(String, String)> {
    let mut groups: Vec<(String, Vec<&RequirementRecord>)> = Vec::new();
    for found in record
        .requirements
        .iter()
        .filter(|found| wanted(found.verdict) && found.known.is_none())
    {
        let reason = reason(found);
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, members)) => members.push(found),
            None => groups.push((reason, vec![found])),
        }
    }
    groups
        .into_iter()
        .map(|(reason, members)| (id_ranges(&members), reason))
        .collect()
}

/// Why a requirement is neither verified nor broken.
pub(super) fn reason(found: &RequirementRecord) -> String {
    found
        .reason
        .as_deref()
        .map_or_else(|| no_reason(found.verdict), sentence)
}

fn no_reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::NotApplicable => "the target does not offer it".to_owned(),
        _ => "no check verified it".to_owned(),
    }
}

/// `AVP-2-01 03–05, AVP-6-01–22`
fn id_ranges(members: &[&RequirementRecord]) -> String {
    let of_section = |group: &[&RequirementRecord]| {
        let (section, numbers) = (
            split_id(&group[0].id).0,
            group.iter().map(|found| split_id(&found.id).1),
        );
        let prefix = group[0].id.split('-').next().unwrap_or_default();
        format!("{}-{}-{}", visible(prefix), visible(section), ranges(numbers))
    };
    let groups = members.chunk_by(|one, other| split_id(&one.id).0 == split_id(&other.id).0);
    groups.map(of_section).collect::<Vec<_>>().join(", ")
}

/// `01–04 06`
pub(super) fn ranges<'a>(numbers: impl Iterator<Item = &'a str>) -> String {
    let mut runs: Vec<(&str, &str)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if follows(last, number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let shown = runs.into_iter().map(|(first, last)| match (first, last) {
        _ if first == last => visible(first),
        _ if follows(first, last) => format!("{} {}", visible(first), visible(last)),
        _ => format!("{}–{}", visible(first), visible(last)),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn follows(last: &str, next: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().ok();
    number(last)
        .zip(number(next))
        .is_some_and(|(last, next)| last.checked_add(1) == Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_joined() {
        assert_eq!(
            ranges(["01", "02", "03", "05", "07", "08"].into_iter()),
            "01–03 05 07 08"
        );
        assert_eq!(ranges([].into_iter()), "");
        assert_eq!(ranges(["x", "02"].into_iter()), "x 02");
    }
}
