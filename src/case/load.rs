//! Reads case files into a suite.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use sha2::{Digest, Sha256};

use super::lint;
use super::model::{Case, CaseFile, Step};
use super::snippet::Problem;
use super::words::nearest;
use crate::protocol::catalogue;

include!(concat!(env!("OUT_DIR"), "/embedded_cases.rs"));

/// A case file's text and the name it is shown by.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// `cases/push.toml`, or the path as it was given.
    pub name: String,
    /// The text.
    pub text: String,
}

impl Source {
    /// The line, from 1, in which a byte stands.
    pub fn line_of(&self, byte: usize) -> usize {
        self.text.as_bytes()[..byte.min(self.text.len())]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1
    }

    /// The topic that its cases' ids begin with: the file's name without its ending.
    pub fn topic(&self) -> &str {
        let file = self.name.rsplit('/').next().unwrap_or(&self.name);
        file.strip_suffix(".toml").unwrap_or(file)
    }
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

    /// The requirements that a step's expectations verify.
    pub fn step_checks(&self, index: usize) -> Vec<&str> {
        let own = self.step(index).checks.as_ref();
        own.unwrap_or(&self.case.checks)
            .iter()
            .map(|id| id.get_ref().as_str())
            .collect()
    }
}

/// All cases, in the order of their files' names and their places in them.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// The cases.
    pub cases: Vec<LoadedCase>,
    /// SHA-256 over all case files and the catalogue, hexadecimal.
    pub hash: String,
}

impl Suite {
    /// Reads and lints sources; `faults` are the names that `kills` may name. All problems of all files come back, not the
    /// first alone.
    pub fn load(sources: Vec<Source>, faults: &[&str]) -> Result<Suite, Vec<Problem>> {
        let sources: Vec<Arc<Source>> = sources.into_iter().map(Arc::new).collect();
        let mut suite = Suite {
            cases: Vec::new(),
            hash: hash(&sources),
        };
        let mut problems = Vec::new();
        for read in read_all(&sources) {
            match read {
                Ok(cases) => suite.cases.extend(cases),
                Err(problem) => problems.push(*problem),
            }
        }
        problems.extend(lint::lint(&suite.cases, faults));
        if problems.is_empty() {
            Ok(suite)
        } else {
            Err(problems)
        }
    }

    /// The text of every case file, by its name.
    pub fn sources(&self) -> BTreeMap<String, Cow<'static, str>> {
        let entry = |case: &LoadedCase| (case.source.name.clone(), Cow::Owned(case.source.text.clone()));
        self.cases.iter().map(entry).collect()
    }

    /// The case of an id.
    pub fn get(&self, id: &str) -> Option<&LoadedCase> {
        self.cases.iter().find(|case| case.id() == id)
    }
}

/// The case files that are built in.
pub fn embedded_sources() -> Vec<Source> {
    let source = |(name, text): &(&str, &str)| Source {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    EMBEDDED_CASES.iter().map(source).collect()
}

/// The `*.toml` files of a directory, sorted by name.
pub fn read_directory(directory: &Path) -> io::Result<Vec<Source>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(Source {
            // Windows takes either, and reports name files alike everywhere.
            name: path.display().to_string().replace(std::path::MAIN_SEPARATOR, "/"),
            text,
        })
    };
    paths.iter().map(read).collect()
}

/// The cases of one file.
type Cases = Result<Vec<LoadedCase>, Box<Problem>>;

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
    let file: CaseFile =
        toml::from_str(&source.text).map_err(|error| Box::new(toml_problem(source, &error)))?;
    let breaks: Vec<usize> = source.text.match_indices('\n').map(|(at, _)| at).collect();
    let line_of = |byte: usize| breaks.partition_point(|at| *at < byte) + 1;
    let load = |case: toml::Spanned<Case>| {
        let case = case.into_inner();
        let span = case.id.span();
        LoadedCase {
            line: line_of(span.start),
            step_lines: case.steps.iter().map(|step| line_of(step.span().start)).collect(),
            span,
            case,
            source: source.clone(),
        }
    };
    Ok(file.cases.into_iter().map(load).collect())
}

/// What the reader of TOML says, at its place, with a suggestion where a name is nearly right.
pub(crate) fn toml_problem(source: &Arc<Source>, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let help = spelling(error.message());
    Problem {
        source: source.clone(),
        span,
        message: error.message().to_owned(),
        help,
    }
}

/// For "unknown field `x`, expected one of `a`, `b`": the nearest of those.
fn spelling(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    if !message.starts_with("unknown ") {
        return None;
    }
    let near = nearest(wrong, quoted)?;
    Some(format!("did you mean `{near}`?"))
}

fn hash(sources: &[Arc<Source>]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(catalogue::source());
    for source in sources {
        for part in [&source.name, &source.text] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
    }
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
