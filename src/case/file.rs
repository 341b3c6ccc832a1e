//! Case files of a protocol whose cases are heads and lists of steps: read, checked, and told to the engine.
//!
//! What a step says is the protocol's: any type that serde can read. [`Case`] is what all of them share.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::head::{CaseHead, Demands, Heads, Rules, StepHead};
use super::nearest::nearest;
use super::snippet::Problem;
use super::source::{Source, toml_problem};
use crate::catalogue::{Catalogue, Subject, Version};

/// One case file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CaseFile")]
pub struct CaseFile<S> {
    /// What the cases of this file are about, for people.
    pub about: String,
    /// The cases, in the order in which they are listed.
    #[serde(rename = "case", default = "no_cases::<S>")]
    pub cases: Vec<Case<S>>,
}

fn no_cases<S>() -> Vec<Case<S>> {
    Vec::new()
}

/// One case, with steps of type `S`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Case")]
pub struct Case<S> {
    /// `topic/what-it-shows`: lower case, digits and hyphens. The topic is the name of the file.
    #[schemars(with = "String")]
    pub id: Spanned<String>,
    /// What a conformant target does, in one sentence.
    pub title: String,
    /// Why it matters and how to mend it, for the author of a target that fails.
    pub why: Option<String>,
    /// The requirements that the deciding steps verify.
    #[schemars(with = "Vec<String>")]
    pub checks: Vec<Spanned<String>>,
    /// The protocol version that brought what the case looks at; the first unless told.
    pub since: Option<Version>,
    /// Whether the case takes minutes and runs only under `--slow`.
    #[serde(default)]
    pub slow: bool,
    /// Whether nothing may run beside it: it looks at what others may change.
    #[serde(default)]
    pub alone: bool,
    /// Whether it comes after all others: what it sends may spoil the target for them.
    #[serde(default)]
    pub last: bool,
    /// The faults of the reference server that the case is there to catch.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub kills: Vec<Spanned<String>>,
    /// How surely a race finds what it looks for, by measurement: a race is won by chance.
    pub power: Option<String>,
    /// What is done.
    #[serde(rename = "step")]
    #[schemars(with = "Vec<S>")]
    pub steps: Vec<Spanned<S>>,
}

/// What the engine must know of a step.
pub struct StepFacts {
    /// Whether several do it at the same moment.
    pub is_race: bool,
    /// Whether the requirements of the case are decided by it.
    pub decides: bool,
    /// Requirements that it verifies beside them.
    pub requirements: Vec<String>,
    /// About how many ordinary requests it is worth.
    pub length: usize,
}

/// A case that was read, with its head.
pub struct ReadCase<S> {
    /// What the engine knows of it.
    pub head: CaseHead,
    /// The requirements that its deciding steps verify.
    pub checks: Vec<String>,
    /// What its steps say.
    pub steps: Vec<S>,
}

impl<S> ReadCase<S> {
    /// The requirements that a step verifies: its `own` where it names some, else those of the case where the step decides.
    pub fn requirements_at<'a>(
        &self,
        step: usize,
        own: Option<&Vec<String>>,
        catalogue: &'a Catalogue,
    ) -> Vec<&'a str> {
        let decides = self.head.steps.get(step).is_some_and(|step| step.decides);
        let named = own.or(decides.then_some(&self.checks));
        let known = named.into_iter().flatten().filter_map(|id| catalogue.get(id));
        known.map(|requirement| requirement.id.as_str()).collect()
    }
}

/// What the engine knows of cases that were read.
pub fn heads<S>(rules: Rules, hash: String, cases: &[ReadCase<S>]) -> Heads {
    Heads {
        rules,
        cases: cases.iter().map(|case| case.head.clone()).collect(),
        hash,
    }
}

/// Reads and checks all sources.
///
/// # Errors
/// All that is wrong with them, each at its place: a file that is no case file, ids that are malformed, taken or of another
/// topic, requirements and faults that do not exist, requirements of clients, a case without steps.
pub fn read_cases<S: DeserializeOwned + Clone>(
    sources: Vec<Source>,
    rules: &Rules,
    faults: &[&str],
    facts: impl Fn(&Case<S>, &S) -> StepFacts,
) -> Result<Vec<ReadCase<S>>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut read: Vec<ReadCase<S>> = Vec::new();
    for source in sources.into_iter().map(Arc::new) {
        let file: CaseFile<S> = match toml::from_str(&source.text) {
            Ok(file) => file,
            Err(error) => {
                problems.push(toml_problem(&source, &error));
                continue;
            }
        };
        for case in file.cases {
            let mut found = mistakes(&source, &case, rules, faults);
            if read.iter().any(|other| other.head.id == *case.id.get_ref()) {
                found.push(problem(&source, &case.id, "another case has this id", None));
            }
            problems.extend(found);
            let steps: Vec<(usize, StepFacts)> = case
                .steps
                .iter()
                .map(|step| (source.line_of(step.span().start), facts(&case, step.get_ref())))
                .collect();
            read.push(ReadCase {
                head: head(&source, &case, &steps, rules),
                checks: case.checks.iter().map(|id| id.get_ref().clone()).collect(),
                steps: case.steps.into_iter().map(Spanned::into_inner).collect(),
            });
        }
    }
    match problems.is_empty() {
        true => Ok(read),
        false => Err(problems),
    }
}

fn head<S>(source: &Arc<Source>, case: &Case<S>, steps: &[(usize, StepFacts)], rules: &Rules) -> CaseHead {
    let decides = steps.iter().any(|(_, facts)| facts.decides);
    let own = case
        .checks
        .iter()
        .filter(|_| decides)
        .map(|id| id.get_ref().clone());
    let mut requirements: Vec<String> = own.collect();
    for id in steps.iter().flat_map(|(_, facts)| &facts.requirements) {
        if !requirements.contains(id) {
            requirements.push(id.clone());
        }
    }
    let is_race = steps.iter().any(|(_, facts)| facts.is_race);
    let length: usize = steps.iter().map(|(_, facts)| facts.length).sum();
    let weight = if is_race {
        u32::try_from(length).unwrap_or(u32::MAX)
    } else {
        0
    };
    CaseHead {
        http_alone: None,
        id: case.id.get_ref().clone(),
        over: crate::http::Over::Http,
        title: case.title.clone(),
        why: case.why.clone(),
        since: case.since.unwrap_or(rules.catalogue.versions[0]),
        slow: case.slow,
        kills: case.kills.iter().map(|kill| kill.get_ref().clone()).collect(),
        power: case.power.clone(),
        requirements,
        steps: steps
            .iter()
            .map(|(line, facts)| StepHead {
                line: *line,
                is_race: facts.is_race,
                decides: facts.decides,
            })
            .collect(),
        demands: Demands {
            alone: is_race || case.alone || case.last,
            fills_target: case.last,
            race_weight: weight,
            length,
            ..Demands::default()
        },
        source: Arc::clone(source),
        line: source.line_of(case.id.span().start),
        span: case.id.span(),
    }
}

fn problem(source: &Arc<Source>, at: &Spanned<String>, message: &str, help: Option<String>) -> Problem {
    Problem {
        source: Arc::clone(source),
        span: at.span(),
        message: message.to_owned(),
        help,
    }
}

fn mistakes<S>(source: &Arc<Source>, case: &Case<S>, rules: &Rules, faults: &[&str]) -> Vec<Problem> {
    let mut found = Vec::new();
    let id = case.id.get_ref();
    let is_word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    match id.split_once('/') {
        Some((topic, name)) if is_word(topic) && is_word(name) => {
            if topic != source.topic() {
                let help = format!("the file is called {}: {}/{name}", source.name, source.topic());
                found.push(problem(
                    source,
                    &case.id,
                    "the id is of another topic than the file",
                    Some(help),
                ));
            }
        }
        _ => {
            let help = "topic/what-it-shows, in lower case, digits and hyphens".to_owned();
            found.push(problem(source, &case.id, "this is no id", Some(help)));
        }
    }
    if case.checks.is_empty() {
        found.push(problem(
            source,
            &case.id,
            "the case verifies no requirement",
            None,
        ));
    }
    if case.steps.is_empty() {
        found.push(problem(source, &case.id, "the case has no step", None));
    }
    let did_you_mean = |near: Option<&str>| near.map(|near| format!("did you mean `{near}`?"));
    for named in &case.checks {
        match rules.catalogue.get(named.get_ref()) {
            Some(requirement) if requirement.subject == rules.catalogue.subject => {}
            Some(requirement) => {
                let message = match requirement.subject {
                    Subject::Client => "this requirement binds clients: no server can keep or break it",
                    Subject::Server => "this requirement binds servers: no client can keep or break it",
                };
                found.push(problem(source, named, message, None));
            }
            None => {
                let known = rules.catalogue.iter().map(|requirement| requirement.id.as_str());
                let help = did_you_mean(nearest(named.get_ref(), known));
                found.push(problem(source, named, "there is no such requirement", help));
            }
        }
    }
    for kill in &case.kills {
        if !faults.contains(&kill.get_ref().as_str()) {
            let help = did_you_mean(nearest(kill.get_ref(), faults.iter().copied()));
            found.push(problem(
                source,
                kill,
                "the reference server has no such fault",
                help,
            ));
        }
    }
    found
}
