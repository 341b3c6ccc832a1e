//! Reads case files into a suite.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use toml::Spanned;

use super::lint;
use super::mistakes::{self, Remains};
use super::model::{Case, CaseFile, Step};
use super::words::ExpectedAnswer;
use crate::avp::{Operation, catalogue};
use crate::case::{Problem, Source, embedded, hash};

include!(concat!(env!("OUT_DIR"), "/embedded_avp_cases.rs"));

/// The cases of the gRPC profile alone.
mod grpc {
    include!(concat!(env!("OUT_DIR"), "/embedded_avp_grpc_cases.rs"));
}

/// A case with the place it was read from.
#[derive(Debug, Clone)]
pub struct LoadedCase {
    /// The case.
    pub case: Case,
    /// Its file.
    pub source: Arc<Source>,
    /// The line of its id, from 1.
    pub line: usize,
    /// The line of each of its steps, from 1.
    pub step_lines: Vec<usize>,
    /// Where its id stands, in bytes.
    pub span: Range<usize>,
}

impl LoadedCase {
    /// The case's id.
    pub fn id(&self) -> &str {
        self.case.id.get_ref()
    }

    /// The part of the id before the slash.
    pub fn topic(&self) -> &str {
        self.id().split('/').next().unwrap_or_default()
    }

    /// A step, by its index.
    pub fn step(&self, index: usize) -> &Step {
        self.case.steps[index].get_ref()
    }

    /// The line of a step, from 1; that of the case where there is no such step.
    pub fn step_line(&self, index: Option<usize>) -> usize {
        let line = index.and_then(|index| self.step_lines.get(index));
        line.copied().unwrap_or(self.line)
    }

    /// The requirements that a step verifies only where its answer is as expected.
    pub fn step_shows(&self, index: usize) -> Vec<&str> {
        let shows = &self.step(index).shows;
        shows.iter().map(|id| id.get_ref().as_str()).collect()
    }

    /// The requirements that a step's expectations verify: its own; those of the case, where it decides; or else the rule that
    /// its expected answer is a matter of.
    pub fn step_checks(&self, index: usize) -> Vec<&str> {
        let step = self.step(index);
        let named = match &step.checks {
            Some(own) => own,
            None if self.decides(index) => &self.case.checks,
            None => return rule(step).into_iter().collect(),
        };
        named.iter().map(|id| id.get_ref().as_str()).collect()
    }

    /// Every requirement that a step verifies, in the order of first mention. Advice verifies nothing.
    pub fn requirements(&self) -> Vec<&str> {
        let steps = (0..self.case.steps.len()).filter(|index| self.step(*index).advice.is_none());
        let verified = steps.flat_map(|index| [self.step_checks(index), self.step_shows(index)].concat());
        let mut ids: Vec<&str> = Vec::new();
        for id in verified {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// Whether a step has the requirements of its case.
    pub fn decides(&self, index: usize) -> bool {
        let steps = || self.case.steps.iter().map(Spanned::get_ref);
        let open = |step: &Step| step.checks.is_none();
        let step = self.step(index);
        if !open(step) {
            return false;
        }
        if steps().any(|other| other.decides) {
            return step.decides;
        }
        let shows = |step: &Step| open(step) && is_decisive(step);
        !steps().any(shows) || shows(step)
    }
}

/// Whether a step is such as cases are mostly about: it is to be refused or to conflict, is a race, or looks at how the
/// target is reached.
fn is_decisive(step: &Step) -> bool {
    let is_no = |word: &ExpectedAnswer| word.is_refusal() || *word == ExpectedAnswer::Conflict;
    let answer = step.answer.as_ref().map(Spanned::get_ref);
    let is_refused = answer.is_some_and(|words| !words.is_empty() && words.iter().all(is_no));
    is_refused || step.is_race() || step.transport.is_some()
}

/// The rule that the expected answer of a step is a matter of; none where the step sends nothing.
fn rule(step: &Step) -> Option<&'static str> {
    let operation = step.action().operation();
    let word = step.answer.as_ref().and_then(|answer| answer.get_ref().first());
    Some(match (word?, operation) {
        (ExpectedAnswer::Status(401), Some(Operation::Token)) => "AVP-3-08",
        (ExpectedAnswer::Status(401), _) => "AVP-3-10",
        (ExpectedAnswer::Status(403), _) => "AVP-6-15",
        (ExpectedAnswer::Status(404), _) => "AVP-6-16",
        (ExpectedAnswer::Status(409), _) => "AVP-6-02",
        (ExpectedAnswer::Status(400), _) => "AVP-6-20",
        (ExpectedAnswer::Status(_), _) => "AVP-7-01",
        (ExpectedAnswer::Refused, _) => "AVP-6-21",
        (ExpectedAnswer::Error, _) => "AVP-11-08",
        (ExpectedAnswer::Cancelled, _) => "AVP-11-10",
        (ExpectedAnswer::Conflict, _) => "AVP-6-08",
        (ExpectedAnswer::Unchanged, _) => "AVP-6-04",
        (ExpectedAnswer::Granted | ExpectedAnswer::Changed, operation) => operation?.rule(),
    })
}

/// All cases, in the order of their files' names and their places in them.
#[derive(Debug, Clone, Default)]
pub struct LoadedCases {
    /// The cases.
    pub cases: Vec<LoadedCase>,
    /// SHA-256 over all case files and the catalogue, hexadecimal.
    pub hash: String,
}

impl LoadedCases {
    /// Reads and lints sources; `faults` are the names that `kills` may name. All problems of all files come back, not the
    /// first alone.
    ///
    /// # Errors
    /// All that is wrong with them, each at its place.
    pub fn load(sources: Vec<Source>, faults: &[&str]) -> Result<LoadedCases, Vec<Problem>> {
        let sources: Vec<Arc<Source>> = sources.into_iter().map(Arc::new).collect();
        let mut suite = LoadedCases {
            cases: Vec::new(),
            hash: hash(catalogue(), sources.iter().map(Arc::as_ref)),
        };
        let mut problems = Vec::new();
        let mut damaged = Vec::new();
        for read in read_all(&sources) {
            suite.cases.extend(read.whole);
            damaged.extend(read.damaged);
            problems.extend(read.problems);
        }
        problems.extend(lint::lint(&suite.cases, &damaged, faults));
        if problems.is_empty() {
            return Ok(suite);
        }
        let file = |problem: &Problem| sources.iter().position(|it| Arc::ptr_eq(it, &problem.source));
        problems.sort_by_key(|problem| (file(problem), problem.span.start));
        Err(problems)
    }

    /// The case of an id.
    pub fn get(&self, id: &str) -> Option<&LoadedCase> {
        self.cases.iter().find(|case| case.id() == id)
    }
}

/// The case files that are built in.
pub fn embedded_sources() -> Vec<Source> {
    embedded(EMBEDDED_CASES)
        .into_iter()
        .chain(embedded(grpc::EMBEDDED_CASES))
        .collect()
}

/// The cases of one file: those that can be read, those that can be read in part, and what is wrong with these.
struct Cases {
    whole: Vec<LoadedCase>,
    damaged: Vec<LoadedCase>,
    problems: Vec<Problem>,
}

/// Reads all files, on as many cores as there are: it is most of what a run does before its first request.
fn read_all(sources: &[Arc<Source>]) -> Vec<Cases> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let shares = sources.chunks(sources.len().div_ceil(cores).max(1));
    thread::scope(|scope| {
        let read_share = |share: &[Arc<Source>]| share.iter().map(read).collect::<Vec<_>>();
        let readers: Vec<_> = shares
            .map(|share| scope.spawn(move || read_share(share)))
            .collect();
        let joined = readers.into_iter().map(|reader| reader.join());
        joined
            .flat_map(|share| share.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

fn read(source: &Arc<Source>) -> Cases {
    let remains = match toml::from_str::<CaseFile>(&source.text) {
        Ok(file) => Remains {
            whole: file.cases.into_iter().map(Spanned::into_inner).collect(),
            ..Remains::default()
        },
        Err(_) => mistakes::all(source),
    };
    let breaks: Vec<usize> = source.text.match_indices('\n').map(|(at, _)| at).collect();
    let line_of = |byte: usize| breaks.partition_point(|at| *at < byte) + 1;
    let load = |case: Case| {
        let span = case.id.span();
        LoadedCase {
            line: line_of(span.start),
            step_lines: case.steps.iter().map(|step| line_of(step.span().start)).collect(),
            span,
            case,
            source: source.clone(),
        }
    };
    Cases {
        whole: remains.whole.into_iter().map(load).collect(),
        damaged: remains.damaged.into_iter().map(load).collect(),
        problems: remains.problems,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(steps: &str) -> Vec<Vec<String>> {
        let text = format!(
            "about = 'x'\n[[case]]\nid = 'demo/a'\ntitle = 'x'\nchecks = ['AVP-10-03']\nkills = ['x']\nrepo = {{}}\nstep = [{steps}]"
        );
        let name = "cases/demo.toml".to_owned();
        let suite = LoadedCases::load(vec![Source { name, text }], &["x"])
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        let case = &suite.cases[0];
        let owned = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect();
        (0..case.case.steps.len())
            .map(|index| owned(case.step_checks(index)))
            .collect()
    }

    #[test]
    fn what_is_to_be_refused_decides_and_the_rest_has_the_rule_of_its_operation() {
        let shown = checks("{ push = {}, answer = 'granted' }, { as = 'bob', push = {}, answer = 403 }");
        assert_eq!(shown, [["AVP-6-09"], ["AVP-10-03"]]);
        let own = "{ pull = {}, answer = 'unchanged' }, { as = 'bob', pull = {}, answer = 403, checks = ['AVP-6-15'] }";
        assert_eq!(
            checks(own),
            [["AVP-10-03"], ["AVP-6-15"]],
            "a step with its own rule decides nothing"
        );
    }

    #[test]
    fn a_step_that_says_so_decides_alone() {
        let shown = checks(
            "{ push = {}, answer = 'granted', decides = true }, { as = 'bob', push = {}, answer = 403 }, \
             { pull = {}, answer = 'unchanged' }",
        );
        assert_eq!(shown, [["AVP-10-03"], ["AVP-6-15"], ["AVP-6-04"]]);
    }

    #[test]
    fn where_nothing_is_refused_all_decide() {
        let shown = checks("{ push = {}, answer = 'granted' }, { pull = {}, answer = 'unchanged' }");
        assert_eq!(shown, [["AVP-10-03"], ["AVP-10-03"]]);
    }
}
