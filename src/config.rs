//! What a run needs, everything checked: made from what was typed before anything is sent.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::baseline::Baseline;
use crate::case::{Problem, Source, Suite, embedded_sources, read_directory, render};
use crate::cli::RunArgs;
use crate::crypto::Seed;
use crate::error::Error;
use crate::plan::{self, Filter};
use crate::protocol::SpecVersion;
use crate::report::{Output, Verbosity};
use crate::server;
use crate::wire::{ClientOptions, Endpoint};

/// How many cases run at once unless told: enough to hide the latency of a target some way off.
pub const DEFAULT_JOBS: usize = 24;

/// A run, ready to go.
pub struct Config {
    /// The target; none for the server that is built in.
    pub target: Option<Endpoint>,
    /// The identity provider, if apart.
    pub idp: Option<Endpoint>,
    /// All cases.
    pub suite: Arc<Suite>,
    /// Those that run.
    pub selected: Vec<usize>,
    /// The filters.
    pub filters: Vec<Filter>,
    /// The version to judge by.
    pub spec: SpecVersion,
    /// Whether warnings count.
    pub strict: bool,
    /// How long one exchange may take.
    pub timeout: Duration,
    /// How many cases run at once.
    pub jobs: usize,
    /// The seed.
    pub seed: Seed,
    /// Whether the seed was given: it may then have been used against the target before.
    pub seed_given: bool,
    /// Whether long cases run.
    pub slow: bool,
    /// Whether secrets are shown.
    pub show_secrets: bool,
    /// How much the terminal report says.
    pub verbosity: Verbosity,
    /// The failures that are known.
    pub baseline: Option<Baseline>,
    /// Reports, ready to be written.
    pub outputs: Vec<Output>,
}

impl Config {
    /// Checks what was typed.
    pub fn new(args: &RunArgs) -> Result<Config, Error> {
        let suite = load_suite(&args.cases)?;
        let spec = args.spec.unwrap_or_default();
        let selected = plan::plan(&suite, &args.filter, spec, args.slow);
        if selected.is_empty() {
            return Err(nothing_selected(&suite, &args.filter, spec));
        }
        Ok(Config {
            target: endpoint("--target", args.target.as_deref())?,
            idp: endpoint("--idp", args.idp.as_deref())?,
            selected,
            filters: args.filter.clone(),
            spec,
            strict: args.strict,
            timeout: Duration::from_secs_f64(args.timeout.unwrap_or(5.0)),
            jobs: args.jobs.map_or(DEFAULT_JOBS, usize::from),
            seed: args.seed.unwrap_or_else(Seed::random),
            seed_given: args.seed.is_some(),
            slow: args.slow,
            show_secrets: args.show_secrets,
            verbosity: Verbosity::of(args.quiet, args.verbose),
            baseline: args.baseline.as_deref().map(Baseline::load).transpose()?,
            outputs: args
                .report
                .iter()
                .map(|report| report.open())
                .collect::<Result<_, _>>()?,
            suite: Arc::new(suite),
        })
    }

    /// The options of the client of a target.
    pub fn client(&self, vault: Endpoint) -> ClientOptions {
        ClientOptions {
            idp: self.idp.clone(),
            timeout: self.timeout,
            connect_timeout: self.timeout,
            ..ClientOptions::new(vault)
        }
    }
}

/// The built-in cases and those of more directories, read and linted.
pub fn load_suite(directories: &[PathBuf]) -> Result<Suite, Error> {
    let mut sources = embedded_sources();
    for directory in directories {
        let read = read_directory(directory);
        let more = read.map_err(|error| {
            Error::Usage(format!("cannot read cases from {}: {error}", directory.display()))
        })?;
        if more.is_empty() {
            return Err(Error::Usage(format!(
                "there is no *.toml in {}",
                directory.display()
            )));
        }
        sources.extend(more);
    }
    load(sources)
}

/// Reads and lints sources.
pub fn load(sources: Vec<Source>) -> Result<Suite, Error> {
    let faults: Vec<&str> = server::faults().iter().map(|fault| fault.name).collect();
    Suite::load(sources, &faults).map_err(|problems| Error::Cases(in_cases(&problems)))
}

/// Problems of files at their places.
pub fn show(problems: &[Problem]) -> String {
    let color = crate::console::color();
    let shown: Vec<String> = problems.iter().map(|problem| render(problem, color)).collect();
    shown.join("\n")
}

fn in_cases(problems: &[Problem]) -> String {
    let count = crate::style::count(problems.len(), "problem");
    format!("{}\n{count} in the case files", show(problems))
}

fn endpoint(option: &str, url: Option<&str>) -> Result<Option<Endpoint>, Error> {
    let parse =
        |url: &str| Endpoint::parse(url).map_err(|error| Error::Usage(format!("{option} {url:?}: {error}")));
    url.map(parse).transpose()
}

fn nothing_selected(suite: &Suite, filters: &[Filter], spec: SpecVersion) -> Error {
    let shown: Vec<String> = filters.iter().map(|filter| format!("'{filter}'")).collect();
    let near = plan::suggestion(suite, filters);
    let near = near
        .map(|near| format!("; did you mean '{near}'?"))
        .unwrap_or_default();
    Error::NothingSelected(format!(
        "no case of AVP {spec} matches {}{near}",
        shown.join(" or ")
    ))
}
