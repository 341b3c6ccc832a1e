//! Judges a client: the harness is the server, and the client is started for each case.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::progress::Progress;
use super::{output, run as server_run, signals};
use crate::cli::arguments::{ClientArgs, ProtocolArg, ProtocolName, RunArgs};
use crate::cli::config::{self, Config};
use crate::cli::error::Error;
use crate::cli::exit;
use crate::http::{Cancel, Client, ClientOptions, Endpoint, Timeouts};
use crate::judge::{Context, Transport};
use crate::protocol::Protocol;
use crate::protocols::{CLIENTS, PROGRAMS};
use crate::record::verdict::RunVerdict;
use crate::record::{ClientCommands, Record};
use crate::report::{self, View};
use crate::run::{Jobs, Repeats, Run, RunInfo, RunLimits};
use crate::serve::ServeOptions;
use crate::session::RunContext;
use crate::subject::{OverTls, Programs, SharedSubject};
use crate::text::hide_passwords;
use crate::{run, selftest};

/// So many cases run at once unless told: each starts a process, and most wait for it.
const JOBS: usize = 8;
/// What a target is called that is built in.
const EMBEDDED: &str = "embedded";
/// Nobody is asked there: a client asks.
const NOWHERE: &str = "http://127.0.0.1:9";

pub(super) fn client(args: &ClientArgs) -> Result<u8, Error> {
    server_run::heed_environment()?;
    let run_args = checked(args)?;
    let completed = config::complete(&run_args)?;
    let plain = subject(args)?;
    let subject: SharedSubject = match args.tls {
        true => Arc::new(OverTls(plain)),
        false => plain,
    };
    let commands = ClientCommands {
        walk: args.walk.clone(),
        adapter: args.adapter.clone(),
        program: None,
        tls: args.tls,
    };
    judged(&completed, &subject.name(), &subject, Some(&commands))
}

/// Judges a program with sub-commands: the one that is named, or the one that is built in.
pub(super) fn program(completed: &config::Completed) -> Result<u8, Error> {
    let args = &completed.args;
    let given = [
        ("--target", args.target.is_some() && args.program.is_some()),
        ("--service", !args.service.is_empty()),
        ("--watch", args.watch.is_some()),
    ];
    refuse(args, &given, "a program is told by its variables where to go")?;
    let Some(command) = &args.program else {
        let subject = builtin(PROGRAMS)?;
        return judged(completed, EMBEDDED, &subject, None);
    };
    if command.trim().is_empty() {
        return Err(Error::Usage(
            "--program is empty: there is no command to run".to_owned(),
        ));
    }
    let commands = ClientCommands {
        program: Some(command.clone()),
        ..ClientCommands::default()
    };
    let subject: SharedSubject = Arc::new(Programs {
        program: Some(command.clone()),
        directory: completed.command_directory.clone(),
        ..Programs::default()
    });
    judged(completed, &subject.name(), &subject, Some(&commands))
}

/// Runs the cases with a subject, and writes all reports.
fn judged(
    completed: &config::Completed,
    name: &str,
    subject: &SharedSubject,
    commands: Option<&ClientCommands>,
) -> Result<u8, Error> {
    let stale = |_: &Error| output::tell_stale(&completed.args.report);
    let config = Config::new(completed).inspect_err(stale)?;
    let plain = View::default();
    let files = || config.outputs.iter().filter(|output| output.is_file());
    output::write(&undone(&config, name, commands), files(), &plain);
    let (record, code) = run_through(&config, name, subject, commands)?;
    let sources = config.suite.sources();
    let written = output::deliver(&record, &config.outputs, config.verbosity, sources);
    output::exit_code(code.unwrap_or(exit::of(&record)), written)
}

/// The options of a run, of those that mean something for a client.
fn checked(args: &ClientArgs) -> Result<RunArgs, Error> {
    let run = &args.run;
    let given = [
        ("--grpc", run.grpc.is_some() || run.transport.is_some()),
        ("--watch", run.watch.is_some()),
        ("--program", run.program.is_some()),
    ];
    refuse(run, &given, "a client is told by AVP_SERVER_URL where to go")?;
    if let Some(named) = run.protocol.protocol
        && !["avp", CLIENTS.name].contains(&named.0.name)
    {
        return Err(Error::Usage(format!(
            "there are no cases for clients of {}",
            named.0.name
        )));
    }
    for (name, command) in [("--walk", &args.walk), ("--adapter", &args.adapter)] {
        if command.as_ref().is_some_and(|command| command.trim().is_empty()) {
            return Err(Error::Usage(format!(
                "{name} is empty: there is no command to run"
            )));
        }
    }
    Ok(RunArgs {
        protocol: ProtocolArg {
            protocol: Some(ProtocolName(CLIENTS)),
        },
        // A target of the environment is one of servers under test.
        target: None,
        ..run.clone()
    })
}

/// Refuses options that mean nothing where nobody is asked.
fn refuse(run: &RunArgs, more: &[(&str, bool)], why: &str) -> Result<(), Error> {
    let has_headers = !run.header.is_empty() || !run.idp_header.is_empty() || run.header_file.is_some();
    let odd = [
        ("--idp", run.idp.is_some()),
        ("--exec", run.exec.is_some()),
        ("--header", has_headers),
        ("--proxy", run.proxy.is_some()),
        ("--rps", run.rps.is_some()),
    ];
    match odd.iter().chain(more).find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(Error::Usage(format!("{name} is for servers under test: {why}"))),
        None => Ok(()),
    }
}

/// The client: its commands, or the reference client.
fn subject(args: &ClientArgs) -> Result<SharedSubject, Error> {
    if args.walk.is_some() || args.adapter.is_some() {
        return Ok(Arc::new(Programs {
            walk: args.walk.clone(),
            adapter: args.adapter.clone(),
            ..Programs::default()
        }));
    }
    builtin(CLIENTS)
}

/// The subject of a protocol that is built in.
fn builtin(protocol: &Protocol) -> Result<SharedSubject, Error> {
    let builtin =
        (protocol.start)(ServeOptions::default()).map_err(|error| Error::Unreachable(error.to_string()))?;
    builtin
        .subject()
        .ok_or_else(|| Error::Usage("there is no client to judge".to_owned()))
}

fn heading(config: &Config, name: &str, commands: Option<&ClientCommands>) -> RunInfo {
    let mut notes = config.notes.clone();
    match commands.map_or((None, None), |commands| {
        (commands.walk.as_ref(), commands.adapter.as_ref())
    }) {
        (Some(_), None) => notes.push("no --adapter: what a walk cannot show is not applicable".to_owned()),
        (None, Some(_)) => {
            notes.push("no --walk: the cases in which a client walks are not applicable".to_owned())
        }
        _ => {}
    }
    RunInfo {
        target: hide_passwords(name),
        idp: None,
        grpc: None,
        services: BTreeMap::new(),
        exec: None,
        client: commands.cloned(),
        strict: config.strict,
        filters: config.filters.iter().map(ToString::to_string).collect(),
        shard: config.shard.map(|shard| shard.to_string()),
        notes,
        kill_rate: selftest::kill_rate(&config.suite.hash),
    }
}

/// The record of a run that has not come to its end.
fn undone(config: &Config, name: &str, commands: Option<&ClientCommands>) -> Record {
    let context = Context {
        spec: config.spec,
        seed: &config.seed,
        generation: 0,
        transport: Transport::Loopback,
    };
    let heading = heading(config, name, commands);
    run::undone(
        &config.suite,
        &config.selected,
        &context,
        &heading,
        "the run has not come to its end",
    )
}

fn run_through(
    config: &Config,
    name: &str,
    subject: &SharedSubject,
    commands: Option<&ClientCommands>,
) -> Result<(Record, Option<u8>), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| Error::Unreachable(format!("cannot start the run's threads: {error}")))?;
    let halt = Cancel::default();
    let (mut record, interrupt) = runtime.block_on(async {
        let interrupt = signals::listen(&halt, Vec::new())?;
        Ok::<_, Error>((drive(config, name, subject, commands, &halt).await?, interrupt))
    })?;
    if halt.reason().as_deref() == Some(signals::INTERRUPTED) {
        record.verdict = RunVerdict::Incomplete;
    }
    if let Some(baseline) = &config.baseline {
        baseline.apply(&mut record, &config.suite);
    }
    config.suite.protocol.diagnose(&mut record);
    Ok((record, interrupt.came().then_some(exit::INTERRUPTED)))
}

async fn drive(
    config: &Config,
    name: &str,
    subject: &SharedSubject,
    commands: Option<&ClientCommands>,
    halt: &Cancel,
) -> Result<Record, Error> {
    let nowhere = Endpoint::parse(NOWHERE).map_err(|error| Error::Usage(error.to_string()))?;
    let client = Client::new(ClientOptions::new(nowhere)).map_err(|error| Error::Usage(error.to_string()))?;
    let deadline = config.budget.map(|budget| (Instant::now() + budget, budget));
    let cases = config.selected.len() * usize::from(config.repeat);
    let progress = Progress::new(cases, "cases", config.verbosity == report::Verbosity::Quiet);
    let mut repeats = Repeats::default();
    for generation in 0..u32::from(config.repeat) {
        let target = RunContext {
            client: client.clone(),
            foreign: None,
            patience: Timeouts::new(config.timeout)
                .with_case_limit(Some(config.case_timeout))
                .with_halt(halt.clone()),
            seed: config.seed,
            generation,
            spec: config.spec,
            slow: config.slow,
            show_secrets: config.show_secrets,
            keys: Vec::new(),
            subject: Some(Arc::clone(subject)),
            own_servers: None,
        };
        let run = Run {
            suite: Arc::clone(&config.suite),
            selected: config.selected.clone(),
            target: Arc::new(target),
            transport: Transport::Loopback,
            jobs: match config.jobs {
                Jobs::UpTo(most) => Jobs::Exactly(most.min(JOBS)),
                given => given,
            },
            races: config.races,
            fail_fast: config.fail_fast,
            heading: heading(config, name, commands),
        };
        let limits = RunLimits {
            deadline,
            keeper: None,
        };
        repeats.add(run::run_on(&run, limits, |event| progress.note(&event)).await);
        if halt.reason().is_some() {
            break;
        }
    }
    repeats
        .finish(&config.suite.rules)
        .ok_or_else(|| Error::Usage("nothing was run".to_owned()))
}
