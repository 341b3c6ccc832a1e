//! Findings that no fault explains, put together to causes by what is alike in them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Broken, Group, Like, Sign, Symptom, most_broken, operation};
use crate::record::outline::outline;
use crate::record::{CaseRecord, CheckRecord, Exchange, Role};

/// Where so many operations break one requirement, they have one cause; and so have so many kinds of races in which one operation
/// takes part.
pub(super) const OPERATIONS_ALIKE: usize = 3;

/// Those that show the same are one, and so are those that break the same requirement in the same operation. Races that come out
/// wrong whatever an operation meets are one as well: it does not wait for others.
pub(super) fn alike<'a>(
    rest: &BTreeSet<&Symptom>,
    broken: &BTreeMap<Symptom, Vec<Broken<'a>>>,
) -> Vec<Vec<Broken<'a>>> {
    let mut by_sign: BTreeMap<&Sign, Vec<Broken<'a>>> = BTreeMap::new();
    for symptom in rest {
        by_sign
            .entry(&symptom.sign)
            .or_default()
            .extend(&broken[*symptom]);
    }
    joined(by_sign.into_values())
}

/// How the request deviates on purpose in which a group of findings was first seen, without the place in the body and without values: the
/// first two words. Empty where it does not.
fn deviation(group: &Group<'_, '_>) -> String {
    let first = group.checks.first();
    let exchange = first.and_then(|(case, _, check)| case.exchanges.get(*check.exchanges.first()?));
    let spoiled = exchange.and_then(|exchange| exchange.spoiled.as_deref());
    let outline = outline(spoiled.unwrap_or_default(), &BTreeSet::new());
    let words = outline.split(' ').filter(|word| !word.starts_with('`'));
    words.take(2).collect::<Vec<_>>().join(" ")
}

fn joined<'a>(kinds: impl Iterator<Item = Vec<Broken<'a>>>) -> Vec<Vec<Broken<'a>>> {
    let mut groups: BTreeMap<(Option<String>, &str), Vec<Broken<'a>>> = BTreeMap::new();
    for checks in kinds {
        let operation = checks.first().map_or("", |first| operation(*first));
        let key = (most_broken(&checks, &|_| true), operation);
        groups.entry(key).or_default().extend(checks);
    }
    join_races(groups).into_values().collect()
}

/// Makes one group of those that break one requirement in many operations, but of those that are known for what they are. Where no
/// plain request breaks it, those belong together that deviate in the same way.
pub(super) fn join_operations<'a, 'f>(groups: Vec<Group<'a, 'f>>) -> Vec<Group<'a, 'f>> {
    let (mut joined, others): (Vec<_>, Vec<_>) = groups
        .into_iter()
        .partition(|group| group.like.as_ref().is_some_and(Like::is_it));
    let mut of_requirement: BTreeMap<Option<String>, BTreeMap<String, Vec<Group<'a, 'f>>>> = BTreeMap::new();
    for group in others {
        let alike = of_requirement.entry(group.requirement()).or_default();
        alike.entry(deviation(&group)).or_default().push(group);
    }
    for alike in of_requirement.into_values() {
        let is_plain = alike.contains_key("");
        let alike = alike.into_values();
        let sets: Vec<Vec<Group<'a, 'f>>> = match is_plain {
            true => vec![alike.flatten().collect()],
            false => alike.collect(),
        };
        for groups in sets {
            let first = groups.iter().filter_map(|group| group.checks.first());
            let operations: BTreeSet<&str> = first.map(|first| operation(*first)).collect();
            match operations.len() >= OPERATIONS_ALIKE {
                true => joined.push(Group {
                    checks: groups.into_iter().flat_map(|group| group.checks).collect(),
                    like: None,
                }),
                false => joined.extend(groups),
            }
        }
    }
    joined
}

/// Groups of checks, each with the requirement and the operation that they are about.
type Groups<'a> = BTreeMap<(Option<String>, &'a str), Vec<Broken<'a>>>;

/// Makes one group of those whose races have an operation in common.
fn join_races(mut groups: Groups<'_>) -> Groups<'_> {
    let mut takes_part: BTreeMap<&str, BTreeSet<(Option<String>, &str)>> = BTreeMap::new();
    for (key, checks) in &groups {
        for operation in in_common(checks) {
            takes_part.entry(operation).or_default().insert(key.clone());
        }
    }
    let most = takes_part.into_iter().rev().max_by_key(|(_, keys)| keys.len());
    let Some((operation, keys)) = most.filter(|(_, keys)| keys.len() >= OPERATIONS_ALIKE) else {
        return groups;
    };
    let together: Vec<Broken<'_>> = keys
        .iter()
        .filter_map(|key| groups.remove(key))
        .flatten()
        .collect();
    let key = (most_broken(&together, &|_| true), operation);
    groups.entry(key).or_default().extend(together);
    groups
}

/// The operation that takes part in all races of which there are checks here, and nothing else; none where some are not of a race,
/// or where all are of races of one kind.
pub(super) fn races_with<'a>(checks: &[Broken<'a>]) -> Option<&'a str> {
    let kinds: BTreeSet<BTreeSet<&str>> = checks
        .iter()
        .map(|(case, _, check)| in_race(case, check))
        .collect();
    let common = in_common(checks).into_iter().next();
    common.filter(|_| kinds.len() > 1)
}

/// The operations that take part in each of the races of which there are checks.
fn in_common<'a>(checks: &[Broken<'a>]) -> BTreeSet<&'a str> {
    let mut races = checks.iter().map(|(case, _, check)| in_race(case, check));
    let first = races.next().unwrap_or_default();
    races.fold(first, |common, race| &common & &race)
}

/// The operations that meet in the race of a check; none where its step is no race: a round of which several requests are made at
/// once.
fn in_race<'a>(case: &'a CaseRecord, check: &CheckRecord) -> BTreeSet<&'a str> {
    let of_step = |exchange: &&Exchange| exchange.role == Role::Step && exchange.step == check.step;
    let made: Vec<&Exchange> = case.exchanges.iter().filter(of_step).collect();
    let rounds: BTreeSet<usize> = made.iter().map(|exchange| exchange.round).collect();
    let names = made.iter().filter_map(|exchange| exchange.operation.as_ref());
    match check.step.is_some() && rounds.len() < made.len() {
        true => names.map(|name| name.as_str()).collect(),
        false => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::OperationName;
    use crate::record::samples;

    /// A case in which these operations meet, with a check that shows this rule broken by the first of them.
    fn case(id: &str, requirement: &str, operations: &[&'static str]) -> CaseRecord {
        let made = operations
            .iter()
            .map(|name| samples::exchange("vault", OperationName::new(name), 200));
        samples::case(id, vec![samples::failed(requirement)], made.collect())
    }

    /// The ids of the cases of each cause.
    fn causes(cases: &[CaseRecord]) -> Vec<String> {
        let kinds = cases.iter().map(|case| vec![(case, 0, &case.checks[0])]);
        let ids = |checks: &Vec<Broken<'_>>| {
            let ids: Vec<&str> = checks.iter().map(|(case, ..)| case.id.as_str()).collect();
            ids.join(" ")
        };
        let groups = joined(kinds)
            .into_iter()
            .map(|checks| Group { checks, like: None });
        let groups = join_operations(groups.collect());
        groups.iter().map(|group| ids(&group.checks)).collect()
    }

    #[test]
    fn a_rule_that_breaks_in_three_operations_has_one_cause() {
        let cases = [
            case("pull", "R-1", &["pull"]),
            case("push", "R-1", &["push"]),
            case("other", "R-2", &["push"]),
            case("add", "R-1", &["add"]),
        ];
        assert_eq!(causes(&cases), ["add pull push", "other"]);
        assert_eq!(causes(&cases[..3]), ["pull", "push", "other"], "two may be two");
    }

    #[test]
    fn races_that_one_operation_spoils_have_one_cause() {
        let cases = [
            case("pulls", "R-1", &["pull", "remove"]),
            case("pushes", "R-2", &["push", "remove", "push"]),
            case("adds", "R-3", &["add", "remove"]),
            case("others", "R-2", &["add", "push"]),
            case("alone", "R-4", &["remove"]),
        ];
        let together = causes(&cases);
        assert!(together.contains(&"pulls pushes adds".to_owned()), "{together:?}");
        assert_eq!(together.len(), 3, "{together:?}");
        let [pulls, pushes, ..] = &cases;
        let checks = [(pulls, 0, &pulls.checks[0]), (pushes, 0, &pushes.checks[0])];
        assert_eq!(races_with(&checks), Some("remove"));
        assert_eq!(races_with(&checks[..1]), None, "one kind of race has no side");
    }
}
