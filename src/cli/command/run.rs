//! Runs the suite against a target and reports.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;

use super::output;
use super::progress::Progress;
use super::{client, contact, signals, watch};
use crate::cli::arguments::RunArgs;
use crate::cli::config::{Config, Exec, ServiceAt};
use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::http::{Cancel, Client, ClientOptions, Endpoint, GrpcOptions, Service, Timeouts};
use crate::judge::{Context, Transport};
use crate::protocol::{Met, Protocol, Suite};
use crate::protocols::PROGRAMS;
use crate::record::verdict::RunVerdict;
use crate::record::{EXEC_TARGET, Record};
use crate::report::{self, View};
use crate::run::own_servers::{Commands, References, client_like};
use crate::run::process::{DIR, Process, ProcessError, Start};
use crate::run::{Repeats, Run, RunInfo, RunLimits, Supervisor};
use crate::serve::{Reference, ServeOptions};
use crate::session::{OwnServers, RunContext};
use crate::text::{hide_passwords, visible};
use crate::{run, selftest};

/// The service that has a place of its own in records.
const IDP: &str = "idp";

/// How much of what a server wrote is shown.
const MOST_LINES: usize = 20;

pub(super) fn run(args: &RunArgs) -> Result<u8, Error> {
    heed_environment()?;
    let completed = config::complete(args)?;
    if std::ptr::eq(completed.args.protocol.get(), PROGRAMS) {
        return client::program(&completed);
    }
    if args.program.is_some() {
        let name = completed.args.protocol.get().name;
        return Err(Error::Usage(format!(
            "--program is for programs with sub-commands: {name} asks for servers, --target or --exec"
        )));
    }
    match &args.watch {
        Some(path) => watch::watch(Path::new(path), || once(&completed)),
        None => once(&completed),
    }
}

/// Runs the suite, and writes all reports.
fn once(completed: &config::Completed) -> Result<u8, Error> {
    let stale = |_: &Error| output::tell_stale(&completed.args.report);
    let config = Config::new(completed).inspect_err(stale)?;
    // Whatever ends this program before its time, no report of an earlier run is taken for one of this.
    let files = || config.outputs.iter().filter(|output| output.is_file());
    let plain = View::default();
    output::write(
        &undone(&config, "the run has not come to its end"),
        files(),
        &plain,
    );
    match run_through(&config, true) {
        Ok((record, code)) => {
            let sources = config.suite.sources();
            let written = output::deliver(&record, &config.outputs, config.verbosity, sources);
            output::exit_code(code.unwrap_or(exit::of(&record)), written)
        }
        Err(error) => {
            let failures = output::write(&undone(&config, &error.to_string()), &config.outputs, &plain);
            for failure in failures {
                console::err(&format!("error: {failure}\n"));
            }
            Err(error)
        }
    }
}

/// Warns of variables that look as if they were meant for this program.
///
/// # Errors
/// One is a typing error.
pub(super) fn heed_environment() -> Result<(), Error> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for warning in config::unread(names)? {
        console::err(&format!("warning: {warning}\n"));
    }
    Ok(())
}

/// The record of a run, which is reported nowhere.
pub(super) fn record(args: &RunArgs) -> Result<Record, Error> {
    heed_environment()?;
    let config = Config::new(&config::complete(args)?)?;
    run_through(&config, false).map(|(record, _)| record)
}

/// The record of a run that came to nothing.
fn undone(config: &Config, why: &str) -> Record {
    let context = Context {
        spec: config.spec,
        seed: &config.seed,
        generation: 0,
        transport: Transport::Loopback,
    };
    run::undone(
        &config.suite,
        &config.selected,
        &context,
        &heading(config),
        &hide_passwords(why),
    )
}

/// The record, and an exit code where the run came to its end in another way than by itself.
///
/// # Errors
/// The run came to nothing.
fn run_through(config: &Config, shows: bool) -> Result<(Record, Option<u8>), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| Error::Unreachable(format!("cannot start the run's threads: {error}")))?;
    let mut stage = Stage::set(config)?;
    let mut client = stage.client(config)?;
    if let Some(exec) = &config.exec {
        let data = stage.data.as_ref().map(|data| data.path());
        stage.processes = runtime.block_on(start(exec, data, &client))?;
    }
    let halt = Cancel::default();
    let (mut record, interrupt) = runtime.block_on(async {
        let interrupt = signals::listen(&halt, stage.processes.iter().map(Process::ender).collect())?;
        Ok::<_, Error>((drive(config, &mut stage, &mut client, &halt).await?, interrupt))
    })?;
    if let Some(baseline) = &config.baseline {
        baseline.apply(&mut record, &config.suite);
    }
    config.suite.protocol.diagnose(&mut record);
    if let Some(mut keeper) = stage.keeper.take() {
        if record.verdict != RunVerdict::Conformant && shows {
            show_output(&keeper.output());
        }
        if interrupt.came() {
            keeper.hurry();
        }
        record.notes.extend(runtime.block_on(keeper.end(&client)));
    }
    Ok((record, interrupt.came().then_some(exit::INTERRUPTED)))
}

/// What a run stands on: the servers that are its own.
struct Stage {
    embedded: Option<Box<dyn Reference>>,
    foreign: Option<Box<dyn Reference>>,
    processes: Vec<Process>,
    keeper: Option<Supervisor>,
    /// Where the process of the target keeps its data, if its command asks for a place; removed afterwards.
    data: Option<TempDir>,
}

impl Stage {
    fn set(config: &Config) -> Result<Stage, Error> {
        let server = || {
            let started = (config.suite.protocol.start)(ServeOptions::default());
            started.map_err(|error| Error::Unreachable(error.to_string()))
        };
        Ok(Stage {
            embedded: config.target.is_none().then(server).transpose()?,
            foreign: wants_foreign(&config.suite, &config.selected)
                .then(server)
                .transpose()?,
            processes: Vec::new(),
            keeper: None,
            data: config
                .exec
                .as_ref()
                .filter(|exec| exec.command.contains(DIR))
                .map(|_| tempfile::tempdir())
                .transpose()
                .map_err(|error| Error::Unreachable(format!("cannot make a directory: {error}")))?,
        })
    }

    /// The client of the target and of its services.
    fn client(&self, config: &Config) -> Result<Client, Error> {
        let options = match (&config.target, &self.embedded) {
            (Some(target), _) => config.client(target.clone()),
            (None, Some(server)) if config.suite.protocol.apart.is_some() => {
                config.client_of(address(&server.url())?, &services(&**server)?)
            }
            (None, Some(server)) => ClientOptions {
                grpc: grpc_of(config, &**server)?,
                ..config.client(address(&server.url())?)
            },
            (None, None) => return Err(Error::Usage("there is no target".to_owned())),
        };
        client(options)
    }
}

/// What starts a server for a single case, where the run starts its target.
fn own_servers(config: &Config, client: &Client) -> Option<Arc<dyn OwnServers>> {
    let client_of = client_like(config.client(client.target().clone()));
    match (&config.exec, &config.target) {
        (Some(exec), _) => Some(Arc::new(Commands {
            command: exec.command.clone(),
            directory: exec.directory.clone(),
            service: exec.starts.first()?.service.clone(),
            ready: exec.ready,
            client_of,
        })),
        (None, None) => Some(Arc::new(References::new(
            config.suite.protocol.start,
            ServeOptions::default(),
            client_of,
        ))),
        (None, Some(_)) => None,
    }
}

/// Where a server of our own speaks gRPC.
fn grpc_of(config: &Config, server: &dyn Reference) -> Result<Option<GrpcOptions>, Error> {
    let (Some(url), Some(codec)) = (server.grpc(), config.suite.protocol.grpc) else {
        return Ok(None);
    };
    let endpoint = Endpoint::parse_grpc(&url).map_err(|error| Error::Usage(error.to_string()))?;
    Ok(Some(GrpcOptions {
        endpoint,
        codec,
        alone: false,
    }))
}

/// Where the services of a server of our own are.
fn services(server: &dyn Reference) -> Result<Vec<ServiceAt>, Error> {
    let at = |(name, url): (Service, String)| {
        Ok(ServiceAt {
            name,
            endpoint: address(&url)?,
            shown: url,
        })
    };
    server.services().into_iter().map(at).collect()
}

/// Starts the server under test, as often as it is to be started, where nobody else is.
async fn start(exec: &Exec, data: Option<&Path>, client: &Client) -> Result<Vec<Process>, Error> {
    let unreachable = |error: ProcessError| Error::Unreachable(error.to_string());
    let mut processes = Vec::new();
    for start in &exec.starts {
        Process::wants_nobody(client, &start.service)
            .await
            .map_err(unreachable)?;
        let start = Start {
            data: data.map(Path::to_owned),
            ..start.clone()
        };
        let process = Process::start(&exec.command, exec.directory.as_deref(), start);
        processes.push(process.map_err(unreachable)?);
    }
    Ok(processes)
}

/// The server's own words, for whoever looks for the reason of a failure.
fn show_output(output: &str) {
    if output.trim_end().is_empty() {
        return;
    }
    let lines: Vec<&str> = output.trim_end().lines().collect();
    let from = lines.len().saturating_sub(MOST_LINES);
    let shown: Vec<String> = lines[from..]
        .iter()
        .map(|line| format!("  {}\n", visible(&hide_passwords(line))))
        .collect();
    console::err(&format!("the end of what the server wrote:\n{}", shown.concat()));
}

async fn drive(
    config: &Config,
    stage: &mut Stage,
    client: &mut Client,
    halt: &Cancel,
) -> Result<Record, Error> {
    if let Some(exec) = &config.exec {
        for process in &stage.processes {
            let ready = or_halt(halt, process.wait_ready(client, exec.ready)).await?;
            ready.map_err(|error| Error::Unreachable(error.to_string()))?;
        }
        stage.keeper = Some(Supervisor::new(std::mem::take(&mut stage.processes), exec.ready));
    }
    or_halt(halt, contact::reach(client, config.suite.protocol.probe)).await??;
    meet(config, client, halt).await?;
    let found = find_out(config, client, halt).await?;
    let client = &*client;
    let foreign = stage
        .foreign
        .as_ref()
        .map(|server| client_of_server(config, &**server))
        .transpose()?;
    let deadline = config.budget.map(|budget| (Instant::now() + budget, budget));
    let own_servers = own_servers(config, client);
    let cases = config.selected.len() * usize::from(config.repeat);
    let progress = Progress::new(cases, "cases", config.verbosity == report::Verbosity::Quiet);
    let mut repeats = Repeats::default();
    for pass in 0..u32::from(config.repeat) {
        let generation = match config.suite.protocol.generation.filter(|_| config.seed_given) {
            Some(generation) => or_halt(halt, generation(client, &config.seed)).await,
            None => Ok(pass),
        };
        let generation = match generation {
            Err(_) if pass > 0 => break,
            generation => generation?,
        };
        let patience = Timeouts::new(config.timeout)
            .with_case_limit(Some(config.case_timeout))
            .stretching(!config.case_timeout_given)
            .with_halt(halt.clone());
        let target = RunContext {
            client: client.clone(),
            foreign: foreign.clone(),
            patience,
            seed: config.seed,
            keys: config.keys.clone(),
            generation,
            spec: config.spec,
            slow: config.slow,
            show_secrets: config.show_secrets,
            subject: None,
            own_servers: own_servers.clone(),
        };
        let run = Run {
            suite: Arc::clone(&config.suite),
            selected: config.selected.clone(),
            target: Arc::new(target),
            transport: Transport::of(client.target()),
            jobs: config.jobs,
            races: config.races,
            fail_fast: config.fail_fast,
            heading: RunInfo {
                services: found.clone().unwrap_or_else(|| services_shown(config)),
                ..heading(config)
            },
        };
        let watch = progress.watch(&run.target.patience);
        let keeper = stage.keeper.as_mut();
        let record = run::run_on(&run, RunLimits { deadline, keeper }, |event| {
            progress.note(&event)
        })
        .await;
        watch.abort();
        repeats.add(record);
        if halt.reason().is_some() {
            break;
        }
    }
    let record = repeats
        .finish(&config.suite.rules)
        .ok_or_else(|| Error::Usage("nothing was run".to_owned()))?;
    Ok(conclude(record, client, config, halt).await)
}

/// Says at once, and in few words, that what answers is no server of the protocol: all cases would fail, and say less.
///
/// # Errors
/// It is none.
async fn meet(config: &Config, client: &Client, halt: &Cancel) -> Result<(), Error> {
    let protocol = config.suite.protocol;
    let is_ours = config.target.is_none() && config.grpc.is_none();
    let Some(stranger) = protocol.stranger.filter(|_| !is_ours) else {
        return Ok(());
    };
    let said = match or_halt(halt, stranger(client, &config.seed)).await? {
        Met::Perhaps => return Ok(()),
        Met::NoHttp => return contact::no_other_port(client).await,
        Met::NoMethods(said) => {
            let calls = client.grpc().map_or_else(String::new, Endpoint::grpc_url);
            return Err(no_server(protocol, &calls, &said));
        }
        Met::Stranger(said) => said,
    };
    contact::no_other_port(client).await?;
    let said = format!("{said}\nIs the path of --target right?");
    Err(no_server(protocol, &client.target().to_string(), &said))
}

fn no_server(protocol: &Protocol, place: &str, said: &str) -> Error {
    Error::NotTheProtocol(format!(
        "this is no server of the {}: {place}\n{said} Nothing else was asked.",
        protocol.catalogue().title,
    ))
}

/// Where each service is a server of its own, and one alone was named without its name: asks it which it is, and names it to
/// the client.
///
/// # Errors
/// It cannot be told.
async fn find_out(
    config: &Config,
    client: &mut Client,
    halt: &Cancel,
) -> Result<Option<BTreeMap<String, String>>, Error> {
    let (Some(apart), Some(target), true) = (
        config.suite.protocol.apart,
        &config.target,
        config.services.is_empty(),
    ) else {
        return Ok(None);
    };
    let name = or_halt(halt, (apart.which)(client, &config.keys, config.keys_given)).await?;
    let found = ServiceAt {
        name: name.map_err(Error::Usage)?,
        endpoint: target.clone(),
        shown: target.to_string(),
    };
    let shown = BTreeMap::from([(found.name.to_string(), found.shown.clone())]);
    *client = self::client(config.client_of(target.clone(), &[found]))?;
    Ok(Some(shown))
}

/// Whether no HTTP address of the target is known.
fn is_grpc_alone(config: &Config) -> bool {
    config.grpc.as_ref().is_some_and(|grpc| grpc.options.alone)
}

/// The addresses of services that a record names.
fn services_shown(config: &Config) -> BTreeMap<String, String> {
    let others = config
        .services
        .iter()
        .filter(|service| service.name.as_str() != IDP);
    others
        .map(|service| (service.name.to_string(), service.shown.clone()))
        .collect()
}

/// Adds advice, and takes back a verdict to which somebody did not want to wait.
async fn conclude(mut record: Record, client: &Client, config: &Config, halt: &Cancel) -> Record {
    record.notes.extend((config.suite.protocol.notes)(&record));
    match (halt.reason(), config.suite.protocol.afterwards) {
        (Some(reason), _) if reason == signals::INTERRUPTED => record.verdict = RunVerdict::Incomplete,
        (None, Some(afterwards)) => {
            let options = config.client(client.target().clone());
            let asked = afterwards(client, &options, &config.seed, &record);
            let advice = or_halt(halt, asked).await.ok().flatten();
            record.notes.extend(advice);
        }
        _ => {}
    }
    record
}

/// Something that leaves no record: it ends at once when the run is to end.
async fn or_halt<T>(halt: &Cancel, work: impl Future<Output = T>) -> Result<T, Error> {
    tokio::select! {
        done = work => Ok(done),
        _ = halt.called() => Err(Error::Interrupted),
    }
}

fn heading(config: &Config) -> RunInfo {
    let mut notes = config.notes.clone();
    if config.tls.insecure {
        notes.push("certificates were not checked (--insecure)".to_owned());
    }
    if let Some(proxy) = &config.proxy {
        notes.push(format!("the target was reached through the proxy {proxy}"));
    }
    let url = |target: &Endpoint| match (&config.exec, &config.target_shown) {
        _ if is_grpc_alone(config) => config
            .grpc
            .as_ref()
            .map_or(String::new(), |grpc| grpc.shown.clone()),
        (Some(_), Some(typed)) => typed.clone(),
        (Some(_), None) => EXEC_TARGET.to_owned(),
        (None, _) => target.to_string(),
    };
    RunInfo {
        target: config.target.as_ref().map_or("embedded".to_owned(), url),
        idp: config
            .services
            .iter()
            .find(|service| service.name.as_str() == IDP)
            .map(|service| service.shown.clone()),
        grpc: config.grpc.as_ref().map(|grpc| grpc.shown.clone()),
        services: services_shown(config),
        exec: config.exec.as_ref().map(|exec| hide_passwords(&exec.command)),
        client: None,
        strict: config.strict,
        filters: config.filters.iter().map(ToString::to_string).collect(),
        shard: config.shard.map(|shard| shard.to_string()),
        notes,
        kill_rate: selftest::kill_rate(&config.suite.hash),
    }
}

fn address(url: &str) -> Result<Endpoint, Error> {
    Endpoint::parse(url).map_err(|error| Error::Usage(format!("{url:?}: {error}")))
}

fn client(options: ClientOptions) -> Result<Client, Error> {
    Client::new(options).map_err(|error| Error::Usage(error.to_string()))
}

fn client_of_server(config: &Config, server: &dyn Reference) -> Result<Client, Error> {
    let options = config.client_of(address(&server.url())?, &services(server)?);
    client(ClientOptions {
        proxy: None,
        grpc: None,
        ..options
    })
}

fn wants_foreign(suite: &Suite, selected: &[usize]) -> bool {
    selected
        .iter()
        .any(|index| suite.cases[*index].demands.foreign_server)
}
