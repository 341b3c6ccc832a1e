//! Decides which cases run: filters, protocol version, and what the run is willing to wait for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use globset::{Glob, GlobMatcher};
use sha2::{Digest as _, Sha256};

use crate::avp::cases::model::{FieldMutation, Step};
use crate::avp::cases::{Action, LoadedCase, Suite};
use crate::avp::schema::Field;
use crate::avp::{Operation, schema};
use crate::case::nearest;
use crate::catalogue::{SpecVersion, catalogue};

/// One `--filter`: a glob over case ids, topics and requirement ids; prefixed with `!` it excludes.
#[derive(Debug, Clone)]
pub struct Filter {
    text: String,
    glob: GlobMatcher,
    excludes: bool,
}

impl Filter {
    /// Reads a filter. The error is one sentence.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let (pattern, excludes) = match text.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        if pattern.is_empty() {
            return Err("an empty filter selects nothing; `*` selects all".to_owned());
        }
        let glob = Glob::new(pattern).map_err(|error| format!("{text:?} is no glob: {}", error.kind()))?;
        Ok(Filter {
            text: text.to_owned(),
            glob: glob.compile_matcher(),
            excludes,
        })
    }

    /// Whether there is a case that it matches, whether that runs or not.
    pub fn names_any(&self, suite: &Suite) -> bool {
        suite.cases.iter().any(|case| self.matches(case))
    }

    /// Whether it takes away what it matches.
    pub fn excludes(&self) -> bool {
        self.excludes
    }

    /// Whether it matches the id of a requirement.
    pub fn names_requirement(&self, id: &str) -> bool {
        self.glob.is_match(id)
    }

    fn matches(&self, case: &LoadedCase) -> bool {
        self.glob.is_match(case.id())
            || self.glob.is_match(case.topic())
            || requirements(case).into_iter().any(|id| self.glob.is_match(id))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// More parts than that are of no use to anybody.
const MOST_SHARDS: u64 = 10_000;

/// One part of the cases: which, from 1, and of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u64,
    of: u64,
}

impl Shard {
    /// How many parts there are.
    pub fn parts(self) -> u64 {
        self.of
    }

    /// All parts, itself among them.
    pub fn siblings(self) -> impl Iterator<Item = Shard> {
        (1..=self.of).map(move |number| Shard { number, of: self.of })
    }

    /// Whether a case belongs to it. What is added to the suite moves no other case.
    pub fn has(self, case: &str) -> bool {
        let digest = Sha256::digest(case);
        let head = digest
            .iter()
            .take(8)
            .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        head % self.of == self.number - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('/').and_then(|(number, of)| {
            let (number, of) = (number.parse().ok()?, of.parse().ok()?);
            ((1..=of).contains(&number) && of <= MOST_SHARDS).then_some(Shard { number, of })
        });
        numbers.ok_or_else(|| {
            format!("a shard is written K/N, with K from 1 to N: 1/4; there are at most {MOST_SHARDS}")
        })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// Every requirement that a step of a case verifies, in the order of first mention. Advice verifies nothing.
pub fn requirements(case: &LoadedCase) -> Vec<&str> {
    let steps = (0..case.case.steps.len()).filter(|index| case.step(*index).advice.is_none());
    let verified = steps.flat_map(|index| [case.step_checks(index), case.step_shows(index)].concat());
    let mut ids: Vec<&str> = Vec::new();
    for id in verified {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The cases that run, as indices into the suite, in suite order.
pub fn plan(suite: &Suite, filters: &[Filter], spec: SpecVersion, slow: bool) -> Vec<usize> {
    let includes: Vec<&Filter> = filters.iter().filter(|filter| !filter.excludes).collect();
    let selected = |case: &LoadedCase| {
        let wanted = includes.is_empty() || includes.iter().any(|filter| filter.matches(case));
        let unwanted = filters
            .iter()
            .any(|filter| filter.excludes && filter.matches(case));
        let in_force = case.case.since <= spec && requirements(case).iter().any(|id| is_in_force(id, spec));
        wanted && !unwanted && in_force && (slow || !case.case.slow)
    };
    (0..suite.cases.len())
        .filter(|index| selected(&suite.cases[*index]))
        .collect()
}

/// The cases that run beside each other, and those that run when nothing else does, races among them: those last that fill
/// the target with repositories.
pub fn apart(suite: &Suite, selected: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let alone = |index: &usize| suite.cases[*index].case.runs_alone();
    let (mut lone, others): (Vec<usize>, Vec<usize>) = selected.iter().copied().partition(alone);
    lone.sort_by_key(|index| {
        let mut steps = suite.cases[*index].case.steps.iter();
        steps.any(|step| step.get_ref().is_race() && step.get_ref().create.is_some())
    });
    (others, lone)
}

/// The part of the time for all selected races that one of them has.
pub fn race_time(suite: &Suite, selected: &[usize], index: usize, whole: Duration) -> Duration {
    let weight = |index: usize| f64::from(suite.cases[index].case.race_weight());
    let all: f64 = selected.iter().map(|index| weight(*index)).sum();
    match all > 0.0 {
        true => whole.mul_f64(weight(index) / all),
        false => whole,
    }
}

/// The same cases with the longest first: one that is begun last keeps everybody waiting.
pub fn longest_first(suite: &Suite, selected: &[usize]) -> Vec<usize> {
    let mut order = selected.to_vec();
    order.sort_by_cached_key(|index| std::cmp::Reverse(length(&suite.cases[*index])));
    order
}

/// About how many ordinary requests a case is worth.
fn length(case: &LoadedCase) -> usize {
    let steps = case.case.steps.iter().map(|step| step.get_ref());
    let length = |step: &Step| {
        let rivals = step.against.as_ref().map_or(0, |rival| rival.actors.len());
        let actors = step.actor_names().len() + rivals;
        let variants = step.with.as_ref().map_or(1, |with| {
            let fields = || fields(step).filter(|field| with.concerns(&field.pointer)).count();
            let fields = with.each_field.iter().map(|spoil| match spoil {
                FieldMutation::Mistyped => 4 * fields(),
                _ => fields(),
            });
            fields.sum::<usize>() + with.form.len() + with.token.len() + with.member.len()
        });
        let forms = step.redeem.as_ref().map_or(1, |redeem| redeem.sign.len().max(1));
        // A large payload travels, and is held in memory, several times.
        let large = match step.action() {
            Action::Push(push) => push.ciphertext,
            Action::Create(create) => create.ciphertext,
            _ => None,
        };
        (actors + 1) * step.count_rounds() * variants.max(1) * forms + large.unwrap_or(0) / 4096
    };
    steps.map(length).sum()
}

/// The fields of a step's request.
fn fields(step: &Step) -> impl Iterator<Item = Field> {
    let message = step.action().operation().and_then(Operation::request_message);
    message.map(schema::fields).into_iter().flatten()
}

fn is_in_force(id: &str, spec: SpecVersion) -> bool {
    catalogue()
        .get(id)
        .is_some_and(|requirement| requirement.in_force(spec))
}

/// A sentence for each filter that selects cases none of which runs.
pub fn idle(suite: &Suite, filters: &[Filter], selected: &[usize]) -> Vec<String> {
    let runs = |filter: &Filter| selected.iter().any(|index| filter.matches(&suite.cases[*index]));
    filters
        .iter()
        .filter(|filter| !filter.excludes && !runs(filter))
        .map(|filter| {
            format!(
                "no case that --filter '{filter}' matches was run: they take minutes (--slow), are not of this version, \
                 or are taken away by another filter"
            )
        })
        .collect()
}

/// What somebody may have meant whose filter matches nothing: a filter that matches something.
pub fn suggestion(suite: &Suite, filter: &Filter) -> Option<String> {
    let typed = filter.glob.glob().glob();
    let known: Vec<&str> = names(suite).collect();
    let near = match nearest(typed, known.iter().copied()) {
        // Of many that begin so, none is nearer than the others.
        Some(near) if near.contains(['/', '-']) && near.starts_with(typed) => {
            let many = known.iter().filter(|name| name.starts_with(typed)).count() > 3;
            Some(if many {
                format!("{typed}*")
            } else {
                near.to_owned()
            })
        }
        near => near.map(str::to_owned),
    };
    let near = near
        .or_else(|| with_its_beginning_mended(typed, &known))
        .or_else(|| with_more_around_it(typed, &known))?;
    let mark = if filter.excludes { "!" } else { "" };
    let near = format!("{mark}{near}");
    let matches = Filter::parse(&near).is_ok_and(|near| near.names_any(suite));
    matches.then_some(near)
}

/// All that a filter can be about. That no case is about a requirement does not matter here.
fn names(suite: &Suite) -> impl Iterator<Item = &str> {
    let cases = suite.cases.iter().flat_map(|case| [case.id(), case.topic()]);
    cases.chain(catalogue().iter().map(|requirement| requirement.id.as_str()))
}

/// For `pushs/*`: `push/*`.
fn with_its_beginning_mended(typed: &str, known: &[&str]) -> Option<String> {
    let (beginning, rest) = typed.split_at(typed.find(['*', '?', '[', '{'])?);
    let ends = |name: &'_ str| -> Vec<usize> {
        let ends = name.match_indices(['/', '-']).map(|(at, _)| at + 1);
        ends.collect()
    };
    let beginnings = known
        .iter()
        .flat_map(|name| ends(name).into_iter().map(|end| &name[..end]));
    Some(format!("{}{rest}", nearest(beginning, beginnings)?))
}

/// For `is-a-conflict`: `*is-a-conflict*`.
fn with_more_around_it(typed: &str, known: &[&str]) -> Option<String> {
    let is_within = typed.len() >= 4 && known.iter().any(|name| name.contains(typed));
    is_within.then(|| format!("*{typed}*"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Source;

    fn suite() -> Suite {
        let case = |id: &str, since: &str, check: &str| {
            format!(
                "[[case]]\nid = 'demo/{id}'\ntitle = 'x'\nsince = '{since}'\nchecks = ['{check}']\nrepo = {{}}\n\
                 [[case.step]]\npull = {{}}\nanswer = 'granted'\n"
            )
        };
        let cases = [
            case("one", "0.2", "AVP-6-04"),
            case("two", "0.4", "AVP-5.1-01"),
            case("three", "0.2", "AVP-6-06"),
        ];
        let text = format!("about = 'x'\n{}", cases.join("\n"));
        Suite::load(
            vec![Source {
                name: "demo.toml".to_owned(),
                text,
            }],
            &[],
        )
        .unwrap()
    }

    fn ids(filters: &[&str], spec: SpecVersion) -> Vec<usize> {
        let filters: Vec<Filter> = filters.iter().map(|text| Filter::parse(text).unwrap()).collect();
        plan(&suite(), &filters, spec, false)
    }

    #[test]
    fn filters_are_globs_over_ids_topics_and_requirements() {
        assert_eq!(ids(&[], SpecVersion::V0_4), [0, 1, 2]);
        assert_eq!(ids(&["demo/t*"], SpecVersion::V0_4), [1, 2]);
        assert_eq!(ids(&["demo"], SpecVersion::V0_4), [0, 1, 2]);
        assert_eq!(ids(&["AVP-6-*"], SpecVersion::V0_4), [0, 2]);
        assert_eq!(ids(&["!*/two"], SpecVersion::V0_4), [0, 2]);
        assert_eq!(ids(&["demo", "!AVP-6-04"], SpecVersion::V0_4), [1, 2]);
    }

    #[test]
    fn some_cases_run_alone_and_races_share_their_time_by_what_they_are_worth() {
        let steps = [
            "as = ['bob', 'carol']\nrounds = 10\npush = {}",
            "pull = {}\nanswer = 'unchanged'",
            "as = ['bob', 'carol', 'bob']\nrounds = 20\npush = {}",
            "push = {}\nanswer = 'refused'\nmeanwhile = { as = 'bob', push = {} }",
        ];
        let suite = demo(&steps);
        assert_eq!(apart(&suite, &[0, 1, 2, 3]), (vec![1], vec![0, 2, 3]));
        let time = |index| race_time(&suite, &[0, 1, 2], index, Duration::from_secs(8));
        assert_eq!(
            (time(0), time(2)),
            (Duration::from_secs(2), Duration::from_secs(6))
        );
    }

    fn demo(steps: &[&str]) -> Suite {
        let cases = steps.iter().enumerate().map(|(index, step)| {
            format!(
                "[[case]]\nid = 'demo/{index}'\ntitle = 'x'\nchecks = ['AVP-6-04']\n\
                 repo = {{ members = ['bob', 'carol'] }}\n[[case.step]]\n{step}\n"
            )
        });
        let text = format!("about = 'x'\n{}", cases.collect::<Vec<_>>().join("\n"));
        let name = "demo.toml".to_owned();
        Suite::load(vec![Source { name, text }], &[]).unwrap()
    }

    #[test]
    fn sweeps_and_races_come_first() {
        let steps = [
            "pull = {}\nanswer = 'unchanged'",
            "as = ['bob', 'carol']\nrounds = 10\npush = {}",
            "push = {}\nanswer = 'granted'\n[[case.step]]\npush = {}\nwith = { each-field = 'mistyped' }\nanswer = 'refused'",
        ];
        let suite = demo(&steps);
        assert_eq!(longest_first(&suite, &[0, 1, 2]), [2, 1, 0]);
    }

    #[test]
    fn a_version_takes_away_what_it_did_not_have() {
        assert_eq!(ids(&[], SpecVersion::V0_2), [0, 2]);
    }

    #[test]
    fn every_case_is_in_one_shard() {
        let shards: Vec<Shard> = (1..=3)
            .map(|number| format!("{number}/3").parse().unwrap())
            .collect();
        for id in ["push/one", "push/two", "a", ""] {
            assert_eq!(shards.iter().filter(|shard| shard.has(id)).count(), 1, "{id}");
        }
        for wrong in ["0/3", "4/3", "1", "1/0", "a/b", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_filter_that_matches_nothing_is_answered_with_one_that_does() {
        let suite = suite();
        for (typed, meant) in [
            ("demo/on", Some("demo/one")),
            ("demo/t", Some("demo/two")),
            ("!demo/t", Some("!demo/two")),
            ("AVP-6-", Some("AVP-6-*")),
            ("dem", Some("demo")),
            ("demos/*", Some("demo/*")),
            ("demo/twos*", Some("demo/two")),
            ("hree", Some("*hree*")),
            ("AVP-6-4", Some("AVP-6-04")),
            ("AVP-66-*", Some("AVP-6-*")),
            ("avp-6-04", Some("AVP-6-04")),
            ("nonsense", None),
        ] {
            let filter = Filter::parse(typed).unwrap();
            assert!(!filter.names_any(&suite), "{typed} is to match nothing");
            assert_eq!(suggestion(&suite, &filter).as_deref(), meant, "{typed}");
        }
    }

    #[test]
    fn bad_globs_are_refused() {
        assert!(Filter::parse("a[").is_err());
        assert!(Filter::parse("!").is_err());
    }
}
