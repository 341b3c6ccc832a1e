//! Decides which cases run: filters, protocol version, and what the run is willing to wait for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use globset::{Glob, GlobMatcher};
use sha2::{Digest as _, Sha256};

use super::{CaseHead, Heads, nearest};
use crate::catalogue::Version;

/// One `--filter`: a glob over case ids, topics and requirement ids; prefixed with `!` it excludes.
#[derive(Debug, Clone)]
pub struct Filter {
    text: String,
    glob: GlobMatcher,
    excludes: bool,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// It is empty, or no glob: one sentence.
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
    pub fn names_any(&self, heads: &Heads) -> bool {
        heads.cases.iter().any(|case| self.matches(case))
    }

    /// Whether it takes away what it matches.
    pub fn excludes(&self) -> bool {
        self.excludes
    }

    /// Whether it matches the id of a requirement.
    pub fn names_requirement(&self, id: &str) -> bool {
        self.glob.is_match(id)
    }

    fn matches(&self, case: &CaseHead) -> bool {
        self.glob.is_match(&case.id)
            || self.glob.is_match(case.topic())
            || case.requirements.iter().any(|id| self.glob.is_match(id))
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

/// The cases that run, as indices into the suite, in its order.
pub fn plan(heads: &Heads, filters: &[Filter], spec: Version, slow: bool) -> Vec<usize> {
    let includes: Vec<&Filter> = filters.iter().filter(|filter| !filter.excludes).collect();
    let selected = |case: &CaseHead| {
        let wanted = includes.is_empty() || includes.iter().any(|filter| filter.matches(case));
        let unwanted = filters
            .iter()
            .any(|filter| filter.excludes && filter.matches(case));
        let in_force = case.since <= spec
            && case
                .requirements
                .iter()
                .any(|id| heads.rules.catalogue.is_in_force(id, spec));
        wanted && !unwanted && in_force && (slow || !case.slow)
    };
    (0..heads.cases.len())
        .filter(|index| selected(&heads.cases[*index]))
        .collect()
}

/// The cases that run beside each other, and those that run when nothing else does, races among them: those last that fill
/// the target with repositories.
pub fn apart(heads: &Heads, selected: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let alone = |index: &usize| heads.cases[*index].demands.alone;
    let (mut lone, others): (Vec<usize>, Vec<usize>) = selected.iter().copied().partition(alone);
    lone.sort_by_key(|index| heads.cases[*index].demands.fills_target);
    (others, lone)
}

/// The part of the time for all selected races that one of them has.
pub fn race_time(heads: &Heads, selected: &[usize], index: usize, whole: Duration) -> Duration {
    let weight = |index: usize| f64::from(heads.cases[index].demands.race_weight);
    let all: f64 = selected.iter().map(|index| weight(*index)).sum();
    match all > 0.0 {
        true => whole.mul_f64(weight(index) / all),
        false => whole,
    }
}

/// The same cases with the longest first: one that is begun last keeps everybody waiting.
pub fn longest_first(heads: &Heads, selected: &[usize]) -> Vec<usize> {
    let mut order = selected.to_vec();
    order.sort_by_cached_key(|index| std::cmp::Reverse(heads.cases[*index].demands.length));
    order
}

/// A sentence for each filter that selects cases none of which runs.
pub fn idle(heads: &Heads, filters: &[Filter], selected: &[usize]) -> Vec<String> {
    let runs = |filter: &Filter| selected.iter().any(|index| filter.matches(&heads.cases[*index]));
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
pub fn suggestion(heads: &Heads, filter: &Filter) -> Option<String> {
    let typed = filter.glob.glob().glob();
    let known: Vec<&str> = names(heads).collect();
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
    let matches = Filter::parse(&near).is_ok_and(|near| near.names_any(heads));
    matches.then_some(near)
}

/// All that a filter can be about. That no case is about a requirement does not matter here.
fn names(heads: &Heads) -> impl Iterator<Item = &str> {
    let cases = heads
        .cases
        .iter()
        .flat_map(|case| [case.id.as_str(), case.topic()]);
    cases.chain(
        heads
            .rules
            .catalogue
            .iter()
            .map(|requirement| requirement.id.as_str()),
    )
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
    use std::sync::{Arc, LazyLock};

    use super::super::{Demands, Rules, Source, StepHead};
    use super::*;
    use crate::catalogue::Catalogue;

    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        let text = r#"
            title = "Demo"
            prefix = "AVP"
            versions = ["0.2", "0.4"]
            sections = [{ name = "6", title = "six" }, { name = "5.1", title = "five" }]
            requirement = [
              { id = "AVP-6-04", level = "must", subject = "server", since = "0.2", text = "x" },
              { id = "AVP-6-06", level = "must", subject = "server", since = "0.2", text = "x" },
              { id = "AVP-6-07", level = "must", subject = "server", since = "0.2", text = "x" },
              { id = "AVP-6-08", level = "must", subject = "server", since = "0.2", text = "x" },
              { id = "AVP-5.1-01", level = "must", subject = "server", since = "0.4", text = "x" },
            ]"#;
        Catalogue::parse(text).unwrap()
    });

    const V0_2: Version = Version::of(&[0, 2]);
    const V0_4: Version = Version::of(&[0, 4]);

    fn heads(cases: Vec<CaseHead>) -> Heads {
        Heads {
            rules: Rules {
                catalogue: &CATALOGUE,
                operations: &[],
                answer_word: |_| None,
            },
            cases,
            hash: String::new(),
        }
    }

    fn case(id: &str, since: Version, check: &str, demands: Demands) -> CaseHead {
        CaseHead {
            http_alone: None,
            id: format!("demo/{id}"),
            over: crate::http::Over::Http,
            title: "x".to_owned(),
            why: None,
            since,
            slow: false,
            kills: Vec::new(),
            power: None,
            requirements: vec![check.to_owned()],
            steps: vec![StepHead::default()],
            demands,
            source: Arc::new(Source {
                name: "demo.toml".to_owned(),
                text: String::new(),
            }),
            line: 1,
            span: 0..0,
        }
    }

    fn suite() -> Heads {
        heads(vec![
            case("one", V0_2, "AVP-6-04", Demands::default()),
            case("two", V0_4, "AVP-5.1-01", Demands::default()),
            case("three", V0_2, "AVP-6-06", Demands::default()),
        ])
    }

    fn demo(demands: &[Demands]) -> Heads {
        let numbered = demands.iter().enumerate();
        heads(
            numbered
                .map(|(number, demands)| case(&number.to_string(), V0_2, "AVP-6-04", *demands))
                .collect(),
        )
    }

    fn ids(filters: &[&str], spec: Version) -> Vec<usize> {
        let filters: Vec<Filter> = filters.iter().map(|text| Filter::parse(text).unwrap()).collect();
        plan(&suite(), &filters, spec, false)
    }

    #[test]
    fn filters_are_globs_over_ids_topics_and_requirements() {
        assert_eq!(ids(&[], V0_4), [0, 1, 2]);
        assert_eq!(ids(&["demo/t*"], V0_4), [1, 2]);
        assert_eq!(ids(&["demo"], V0_4), [0, 1, 2]);
        assert_eq!(ids(&["AVP-6-*"], V0_4), [0, 2]);
        assert_eq!(ids(&["!*/two"], V0_4), [0, 2]);
        assert_eq!(ids(&["demo", "!AVP-6-04"], V0_4), [1, 2]);
    }

    #[test]
    fn some_cases_run_alone_and_races_share_their_time_by_what_they_are_worth() {
        let race = |race_weight| Demands {
            alone: true,
            race_weight,
            ..Demands::default()
        };
        let filling = Demands {
            fills_target: true,
            ..race(0)
        };
        let suite = demo(&[filling, race(20), Demands::default(), race(60)]);
        assert_eq!(apart(&suite, &[0, 1, 2, 3]), (vec![2], vec![1, 3, 0]));
        let time = |index| race_time(&suite, &[1, 2, 3], index, Duration::from_secs(8));
        assert_eq!(
            (time(1), time(3)),
            (Duration::from_secs(2), Duration::from_secs(6))
        );
    }

    #[test]
    fn the_longest_come_first() {
        let long = |length| Demands {
            length,
            ..Demands::default()
        };
        let suite = demo(&[long(1), long(20), long(40)]);
        assert_eq!(longest_first(&suite, &[0, 1, 2]), [2, 1, 0]);
    }

    #[test]
    fn a_version_takes_away_what_it_did_not_have() {
        assert_eq!(ids(&[], V0_2), [0, 2]);
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
