//! What a run needs, everything checked: made from what was typed before anything is sent.

mod environment;
mod file;
mod headers;
mod services;
mod transport;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::case::selection::{Filter, Shard};
use crate::case::{CaseHead, Problem, Source, read_path, render, selection};
use crate::catalogue::Version;
use crate::cli::arguments::RunArgs;
use crate::cli::error::Error;
use crate::http::{ClientOptions, Endpoint, Headers, Over, Proxy, Service, ServiceOptions, TlsOptions};
use crate::keys::{NamedKey, Seed};
use crate::protocol::{Protocol, Suite};
use crate::protocols;
use crate::record::baseline::{Baseline, ListError};
use crate::record::verdict::Verdict;
use crate::record::{self, CaseRecord, Record, findings};
use crate::report::{Destination, Input, Output, Verbosity};
use crate::run::process::{PORT, Start};
use crate::run::{Jobs, RACE_TIME};
use crate::text::visible;

pub use environment::unread;
pub use file::{Completed, complete, schema};
pub use headers::headers;
pub use transport::GrpcAt;

/// The most cases that run at once unless told: by measurement (`cargo bench`) nearly as fast against a target 10 ms away as
/// more of them, and large answers to all of them still fit into 128 MiB.
pub const DEFAULT_JOBS: usize = 32;

/// How long one case may take unless told.
const DEFAULT_CASE_SECONDS: f64 = 120.0;
/// How long a server that we start may take until it answers, unless told.
const DEFAULT_READY_SECONDS: f64 = 30.0;

/// A server to be started.
#[derive(Debug, Clone)]
pub struct Exec {
    /// The shell command, with `{port}` in it.
    pub command: String,
    /// Where it runs; none for the working directory.
    pub directory: Option<PathBuf>,
    /// Each time that it is started: once, or once for each service.
    pub starts: Vec<Start>,
    /// How long it may take until it answers.
    pub ready: Duration,
}

impl Exec {
    /// The address with the port of the server that is to be this service, or of the only one.
    fn fill(&self, service: Option<&str>, url: &str) -> String {
        let own = |start: &&Start| Some(start.service.as_str()) == service;
        let start = self.starts.iter().find(own).or(self.starts.first());
        start.map_or(url.to_owned(), |start| url.replace(PORT, &start.port.to_string()))
    }
}

/// A service that is somewhere else than simply at the target.
#[derive(Debug, Clone)]
pub struct ServiceAt {
    /// Its name.
    pub name: Service,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its address as it was typed: with `{port}` in it where the run starts the server.
    pub shown: String,
}

/// A run, ready to go.
pub struct Config {
    /// The target; none for the server that is built in.
    pub target: Option<Endpoint>,
    /// The target as it was typed, where the run starts it.
    pub target_shown: Option<String>,
    /// Where it is asked over gRPC, if it is.
    pub grpc: Option<GrpcAt>,
    /// The services that are named beside it; where each is a server of its own, all that are known.
    pub services: Vec<ServiceAt>,
    /// The keys that the target was told of beforehand.
    pub keys: Vec<NamedKey>,
    /// Whether they were named for this target: it may not know the others.
    pub keys_given: bool,
    /// The server that the run starts.
    pub exec: Option<Exec>,
    /// Whom to trust, and who to be.
    pub tls: TlsOptions,
    /// Headers for the vault.
    pub vault_headers: Headers,
    /// Headers for the identity provider.
    pub idp_headers: Headers,
    /// At most so many requests a second.
    pub rps: Option<f64>,
    /// How long one case may take.
    pub case_timeout: Duration,
    /// Whether that was given, and is to be kept whatever the latency of the target.
    pub case_timeout_given: bool,
    /// How long the run may take.
    pub budget: Option<Duration>,
    /// The part of the selection.
    pub shard: Option<Shard>,
    /// How often all of it runs.
    pub repeat: u16,
    /// All cases.
    pub suite: Arc<Suite>,
    /// Those that run.
    pub selected: Vec<usize>,
    /// The filters.
    pub filters: Vec<Filter>,
    /// No more cases are begun when so many have failed.
    pub fail_fast: Option<NonZeroUsize>,
    /// The version to judge by.
    pub spec: Version,
    /// Whether warnings count.
    pub strict: bool,
    /// How long one exchange may take.
    pub timeout: Duration,
    /// How many cases run at once.
    pub jobs: Jobs,
    /// How long races may take together.
    pub races: Duration,
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
    /// What a reader of the reports must know of the selection.
    pub notes: Vec<String>,
    /// What target and identity provider are reached through.
    pub proxy: Option<Proxy>,
    /// Reports, ready to be written.
    pub outputs: Vec<Output>,
}

impl Config {
    /// Checks what was typed and configured.
    ///
    /// # Errors
    /// Something is wrong with it, or nothing is selected to run.
    pub fn new(completed: &Completed) -> Result<Config, Error> {
        let args = &completed.args;
        let protocol = args.protocol.get();
        let typed = services::typed(protocol, args)?;
        let keys = keys(protocol, args)?;
        let exec = exec(completed, protocol, &typed, &keys)?;
        let grpc = transport::grpc(protocol, args, &typed, exec.as_ref())?;
        let is_embedded = typed.is_empty() && exec.is_none() && grpc.is_none();
        let transports = transport::transports(protocol, args, is_embedded, grpc.as_ref())?;
        let all = Arc::new(load_suite(protocol, &args.cases)?);
        let suite = all.over(transports);
        let spec = version(protocol, args.spec)?;
        let filters = match &args.failed {
            Some(report) => failed_in(report, &suite)?,
            None => args.filter.clone(),
        };
        let mut selected = selection::plan(&suite, &filters, spec, args.slow);
        if selected.is_empty() {
            return Err(match selection::plan(&all, &filters, spec, args.slow).first() {
                Some(index) => lacks_transport(&all.cases[*index]),
                None => nothing_selected(&suite, &filters, spec),
            });
        }
        check_filters(&suite, &filters)?;
        let mut notes = selection::idle(&suite, &filters, &selected);
        if let Some(shard) = args.shard {
            if args.seed.is_none() {
                let advice = "--shard needs --seed: the same for all shards, 64 hexadecimal digits";
                return Err(Error::Usage(advice.to_owned()));
            }
            selected.retain(|index| shard.has(&suite.cases[*index].id));
            if selected.is_empty() {
                notes.push(format!("no case of the selection is in shard {shard}"));
            }
        }
        let services::Places { mut target, services } = services::places(protocol, &typed, exec.as_ref())?;
        if let Some(alone) = grpc.as_ref().filter(|grpc| grpc.options.alone) {
            // Nothing is asked of it over HTTP.
            target = Some(alone.options.endpoint.clone());
        }
        let (vault_headers, idp_headers) = headers::headers(args)?;
        Ok(Config {
            target,
            target_shown: typed.target.clone().filter(|_| exec.is_some()),
            grpc,
            services,
            keys,
            keys_given: !args.sign_with.is_empty() || exec.is_some(),
            exec,
            tls: tls(args)?,
            vault_headers,
            idp_headers,
            rps: args.rps,
            case_timeout: Duration::from_secs_f64(args.case_timeout.unwrap_or(DEFAULT_CASE_SECONDS)),
            case_timeout_given: args.case_timeout.is_some(),
            budget: args.budget.map(Duration::from_secs_f64),
            shard: args.shard,
            repeat: args.repeat.unwrap_or(1),
            selected,
            filters,
            fail_fast: args.fail_fast,
            spec,
            strict: args.strict,
            timeout: Duration::from_secs_f64(args.timeout.unwrap_or(5.0)),
            jobs: args
                .jobs
                .map_or(Jobs::UpTo(DEFAULT_JOBS), |jobs| Jobs::Exactly(jobs.into())),
            races: args.races.map_or(RACE_TIME, Duration::from_secs_f64),
            seed: args.seed.unwrap_or_else(Seed::random),
            seed_given: args.seed.is_some(),
            slow: args.slow,
            show_secrets: args.show_secrets,
            verbosity: Verbosity::of(args.quiet, args.verbose),
            baseline: args.baseline.as_deref().map(read_baseline).transpose()?,
            notes,
            proxy: proxy(args)?,
            outputs: Destination::open_all(&args.report, &inputs(args)?)?,
            suite,
        })
    }

    /// The options of the client of a target.
    pub fn client(&self, target: Endpoint) -> ClientOptions {
        self.client_of(target, &self.services)
    }

    /// The options of the client of a target whose services are these.
    pub fn client_of(&self, target: Endpoint, services: &[ServiceAt]) -> ClientOptions {
        let is_apart = self.suite.protocol.apart.is_some();
        let of = |service: &ServiceAt| ServiceOptions {
            // A server that is the target itself, in another way, is spoken to as the target is.
            headers: match is_apart {
                true => self.vault_headers.clone(),
                false => self.idp_headers.clone(),
            },
            ..ServiceOptions::new(service.name.clone(), service.endpoint.clone())
        };
        let mut services: Vec<ServiceOptions> = services.iter().map(of).collect();
        if services.is_empty() && !self.idp_headers.is_empty() {
            services.push(ServiceOptions {
                headers: self.idp_headers.clone(),
                ..ServiceOptions::new(services::IDP, target.clone())
            });
        }
        ClientOptions {
            services,
            proxy: self.proxy.clone(),
            timeout: self.timeout,
            connect_timeout: self.timeout,
            tls: self.tls.clone(),
            headers: self.vault_headers.clone(),
            rps: self.rps,
            grpc: self.grpc.as_ref().map(|grpc| grpc.options.clone()),
            ..ClientOptions::new(target)
        }
    }
}

/// Filters for the cases that failed, or could not be judged, in a report.
///
/// # Errors
/// It cannot be read, or no such case is in it, or none that the suite has.
fn failed_in(report: &Path, suite: &Suite) -> Result<Vec<Filter>, Error> {
    let record = load_record(report)?;
    let is_wrong = |case: &&CaseRecord| {
        let open = matches!(case.verdict, Verdict::Blocked | Verdict::Error);
        (open || findings::is_broken_case(case)) && case.known.is_none()
    };
    let ids = record.cases.iter().filter(is_wrong).map(|case| case.id.as_str());
    let known = ids.filter(|id| suite.get(id).is_some());
    let filters: Vec<Filter> = known
        .map(Filter::parse)
        .collect::<Result<_, _>>()
        .map_err(Error::Usage)?;
    match filters.is_empty() {
        true => Err(Error::NothingSelected(format!(
            "no case failed in {}",
            report.display()
        ))),
        false => Ok(filters),
    }
}

/// The keys that the target knows: those that are named, else those that servers of the protocol are told of.
fn keys(protocol: &Protocol, args: &RunArgs) -> Result<Vec<NamedKey>, Error> {
    let named = args.sign_with.iter().map(|key| key.reveal().parse::<NamedKey>());
    let named: Result<Vec<NamedKey>, String> = named.collect();
    match named {
        Ok(named) if named.is_empty() => Ok(protocol.known_keys()),
        Ok(_) if protocol.apart.is_none() => Err(Error::Usage(format!(
            "--sign-with: {} knows no keys beforehand",
            protocol.catalogue().prefix
        ))),
        named => named.map_err(|error| Error::Usage(format!("--sign-with: {error}"))),
    }
}

/// Every file that a run reads.
fn inputs(args: &RunArgs) -> Result<Vec<Input>, Error> {
    let mut inputs = case_files(&args.cases)?;
    for (what, path) in [
        ("the configuration file", &args.config),
        ("the baseline", &args.baseline),
        ("the file of headers", &args.header_file),
        ("the report whose failures are run", &args.failed),
        ("a certificate", &args.cacert),
        ("a certificate", &args.client_cert),
        ("a private key", &args.client_key),
    ] {
        inputs.extend(path.as_ref().map(|path| Input::new(what, path)));
    }
    Ok(inputs)
}

/// The case files that are named, and those of directories.
///
/// # Errors
/// One cannot be read.
pub fn case_files(paths: &[PathBuf]) -> Result<Vec<Input>, Error> {
    let files = paths.iter().map(|path| read_cases(path));
    let files: Vec<Vec<Source>> = files.collect::<Result<_, _>>()?;
    let input = |source: Source| Input::new("a case file", source.name);
    Ok(files.into_iter().flatten().map(input).collect())
}

/// A case file, or those of a directory.
///
/// # Errors
/// One cannot be read, or there is none.
pub fn read_cases(path: &Path) -> Result<Vec<Source>, Error> {
    let cannot = |error| Error::Usage(format!("cannot read cases from {}: {error}", path.display()));
    let sources = read_path(path).map_err(cannot)?;
    match sources.is_empty() {
        true => Err(Error::Usage(format!("there is no *.toml in {}", path.display()))),
        false => Ok(sources),
    }
}

/// The built-in cases and those of more files and directories, read and linted.
///
/// # Errors
/// A file cannot be read, or something in one is wrong.
pub fn load_suite(protocol: &Protocol, paths: &[PathBuf]) -> Result<Suite, Error> {
    let mut sources = (protocol.sources)();
    for path in paths {
        sources.extend(read_cases(path)?);
    }
    (protocol.load)(sources).map_err(|problems| Error::Cases(counted(&problems, "the case files")))
}

/// The protocol of a stored report.
///
/// # Errors
/// The program does not know it.
pub fn protocol_of(record: &Record) -> Result<&'static Protocol, Error> {
    let name = &record.protocol.name;
    protocols::find(name).ok_or_else(|| {
        Error::Usage(format!(
            "the report is of the protocol {:?}, which this program does not know",
            visible(name)
        ))
    })
}

/// A stored report; what one that was written before there were several protocols leaves out is added.
///
/// # Errors
/// It cannot be read, or is no report.
pub fn load_record(path: &Path) -> Result<Record, Error> {
    let mut record = record::load(path)?;
    if let Some(protocol) = protocols::find(&record.protocol.name)
        && record.protocol.sections.is_empty()
    {
        record.protocol = protocol.info();
    }
    Ok(record)
}

/// The version to judge by.
fn version(protocol: &Protocol, given: Option<Version>) -> Result<Version, Error> {
    let catalogue = protocol.catalogue();
    let Some(given) = given else {
        return Ok(catalogue.newest());
    };
    if catalogue.versions.contains(&given) {
        return Ok(given);
    }
    let known: Vec<String> = catalogue.versions.iter().map(Version::to_string).collect();
    Err(Error::Usage(format!(
        "--spec: {given} is no published version of {}: {}",
        catalogue.title,
        known.join(", ")
    )))
}

/// A list of known failures.
///
/// # Errors
/// It cannot be read, or something in it is wrong.
pub fn read_baseline(path: &Path) -> Result<Baseline, Error> {
    Baseline::load(path).map_err(|error| match error {
        ListError::Unreadable(why) => Error::Usage(why),
        ListError::Wrong(problems) => Error::Cases(show(&problems)),
    })
}

/// Problems of files at their places.
fn show(problems: &[Problem]) -> String {
    let color = crate::cli::console::color();
    let shown: Vec<String> = problems.iter().map(|problem| render(problem, color)).collect();
    shown.join("\n")
}

/// Problems of files at their places, and how many they are.
pub fn counted(problems: &[Problem], place: &str) -> String {
    let count = crate::text::count(problems.len(), "problem");
    format!("{}\n{count} in {place}", show(problems))
}

/// The server to be started, once, or once for each service that is a server of its own. It gets a free port, unless its
/// address names one.
fn exec(
    completed: &Completed,
    protocol: &Protocol,
    typed: &services::Typed,
    keys: &[NamedKey],
) -> Result<Option<Exec>, Error> {
    let args = &completed.args;
    let Some(command) = args.exec.clone() else {
        return Ok(None);
    };
    let names: Vec<&'static str> = match protocol.apart {
        Some(_) => protocol.service_names().collect(),
        None => protocol.service_names().take(1).collect(),
    };
    if protocol.apart.is_some() && typed.target.is_some() {
        return Err(Error::Usage(format!(
            "--exec starts the server once for each of {}: name their addresses with --service, not with --target",
            names.join(", ")
        )));
    }
    let start = |name: &'static str| {
        let url = match protocol.apart {
            Some(_) => typed.of(name),
            None => typed.target.as_deref(),
        };
        let fixed = url.filter(|url| !url.contains(PORT));
        let port = match endpoint("--target", fixed)? {
            Some(place) => place.port(),
            None => crate::run::process::free_port()
                .map_err(|error| Error::Unreachable(format!("there is no free port: {error}")))?,
        };
        Ok(Start {
            service: Service::new(name),
            port,
            environment: protocol
                .apart
                .map_or_else(Vec::new, |apart| (apart.environment)(name, keys))
                .into_iter()
                .map(|(name, value)| (name, Some(value)))
                .collect(),
            flags: Vec::new(),
            data: None,
        })
    };
    Ok(Some(Exec {
        command,
        directory: completed.command_directory.clone(),
        starts: names.into_iter().map(start).collect::<Result<_, Error>>()?,
        ready: Duration::from_secs_f64(args.ready_timeout.unwrap_or(DEFAULT_READY_SECONDS)),
    }))
}

fn tls(args: &RunArgs) -> Result<TlsOptions, Error> {
    let client_cert = match (&args.client_cert, &args.client_key) {
        (Some(cert), key) => Some((cert.clone(), key.clone().unwrap_or_else(|| cert.clone()))),
        (None, None) => None,
        (None, Some(_)) => return Err(Error::Usage("--client-key needs --client-cert".to_owned())),
    };
    Ok(TlsOptions {
        cacert: args.cacert.clone(),
        client_cert,
        insecure: args.insecure,
    })
}

/// A proxy leads to a server that is elsewhere: the one that is built in, and the one that --exec starts, are here.
fn proxy(args: &RunArgs) -> Result<Option<Proxy>, Error> {
    let Some(url) = &args.proxy else {
        return Ok(None);
    };
    if args.target.is_none() && args.service.is_empty() || args.exec.is_some() {
        let why = "--proxy needs --target, the address of a server elsewhere";
        return Err(Error::Usage(why.to_owned()));
    }
    let parsed = Proxy::parse(url).map_err(|error| Error::Usage(format!("--proxy: {error}")))?;
    Ok(Some(parsed))
}

fn endpoint(option: &str, url: Option<&str>) -> Result<Option<Endpoint>, Error> {
    let parse = |url: &str| Endpoint::parse(url).map_err(|error| Error::Usage(format!("{option}: {error}")));
    url.map(parse).transpose()
}

/// What is said where the only cases that filters select are run over what the target was given no address for.
fn lacks_transport(case: &CaseHead) -> Error {
    let lacks = match case.over {
        Over::Both => "over HTTP and gRPC: name both, with --target and --grpc",
        Over::Http | Over::Grpc => "over gRPC: name where that is spoken, with --grpc grpc://HOST:PORT",
    };
    Error::NothingSelected(format!("{} is run {lacks}", case.id))
}

/// What is said where filters select no case at all.
pub fn nothing_selected(suite: &Suite, filters: &[Filter], spec: Version) -> Error {
    let shown: Vec<String> = filters.iter().map(|filter| format!("'{filter}'")).collect();
    let near = filters
        .iter()
        .find_map(|filter| selection::suggestion(suite, filter));
    Error::NothingSelected(format!(
        "no case of {} {spec} matches {}{}",
        suite.rules.catalogue.prefix,
        shown.join(" or "),
        did_you_mean(near)
    ))
}

/// Each filter must name something: one that does not is a typing error, or names what is called otherwise now.
///
/// # Errors
/// A filter matches no case at all, whatever the others select.
pub fn check_filters(suite: &Suite, filters: &[Filter]) -> Result<(), Error> {
    let Some(filter) = filters.iter().find(|filter| !filter.names_any(suite)) else {
        return Ok(());
    };
    Err(Error::Usage(format!(
        "no case matches --filter '{filter}'{}",
        did_you_mean(selection::suggestion(suite, filter))
    )))
}

fn did_you_mean(near: Option<String>) -> String {
    near.map(|near| format!("; did you mean '{near}'?"))
        .unwrap_or_default()
}
