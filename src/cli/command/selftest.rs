//! Holds the suite against every fault and variation of the reference server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::output;
use super::progress::Progress;
use crate::case::nearest;
use crate::cli::arguments::SelftestArgs;
use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::protocol::Protocol;
use crate::record::verdict::RunVerdict;
use crate::report::paint::{Paint, Tone};
use crate::report::{self, Destination, Format, Output};
use crate::selftest::{self, Matrix, Observation, Selftest, SelftestError, SelftestOutcome, Settings};
use crate::serve::{Behaviour, CANARY};
use crate::text::count;

pub(super) fn selftest(args: &SelftestArgs) -> Result<u8, Error> {
    let behaviours = behaviours(args.protocol.get(), &args.filter)?;
    let outputs = outputs(args)?;
    let suite = Arc::new(config::load_suite(args.protocol.get(), &args.cases)?);
    let began = Instant::now();
    let bench = Arc::new(Selftest::new(suite, settings(args)).map_err(failed)?);
    let runtime = runtime()?;
    let observations = runtime.block_on(observe(&bench, &behaviours))?;
    let matrix = Matrix::of(
        bench.suite(),
        bench.selected(),
        &observations,
        args.filter.is_empty(),
    );
    let paint = Paint {
        color: console::color(),
    };
    if !outputs.iter().any(Output::is_stdout) {
        if args.verbose {
            console::out(&details(&observations, paint))?;
        }
        console::out(&selftest::text(&matrix, paint))?;
    }
    let mut written = write(&matrix, &outputs, args);
    if args.accept && args.full {
        written = written.and(runtime.block_on(publish(&bench, &observations, args)));
    }
    console::err(&format!(
        "tried {} in {:.1} s\n",
        count(observations.len(), "behaviour"),
        began.elapsed().as_secs_f64()
    ));
    let code = match matrix.standing {
        SelftestOutcome::Sound => exit::OK,
        SelftestOutcome::Lacking | SelftestOutcome::Void => exit::NOT_CONFORMANT,
    };
    output::exit_code(code, written)
}

/// Writes every report, whatever becomes of the others. What is published comes behind those that were asked for.
fn write(matrix: &Matrix, outputs: &[Output], args: &SelftestArgs) -> Result<(), Error> {
    let one = |(index, output): (usize, &Output)| match output.format {
        Format::Json => output.write(selftest::json(matrix).as_bytes()),
        _ if args.full && index >= args.report.len() => output.write(selftest::blame(matrix).as_bytes()),
        _ => output.write(selftest::markdown(matrix).as_bytes()),
    };
    let failed = outputs.iter().enumerate().filter_map(|output| one(output).err());
    let failures: Vec<String> = failed.map(|error| error.to_string()).collect();
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Error::Unwritten(failures)),
    }
}

/// Learns what breaks under each fault, and publishes that and how well reports tell what is wrong.
async fn publish(
    bench: &Arc<Selftest>,
    observations: &[Observation],
    args: &SelftestArgs,
) -> Result<(), Error> {
    let protocol = args.protocol.get();
    let progress = Progress::new(selftest::TRIPLES, "servers with three faults", false);
    let triples = selftest::triples(bench, protocol, || progress.step(""));
    let triples = triples.await.map_err(failed)?;
    let learned = selftest::learn(&bench.suite().hash, observations);
    let paths = selftest::paths(protocol);
    let written = [
        (&paths.fingerprints, learned.json()),
        (
            &paths.diagnosis,
            selftest::diagnosis(protocol, &learned, observations, &triples),
        ),
    ];
    let failures = written.iter().filter_map(|(path, text)| {
        let failed = report::write_whole(Path::new(path), text.as_bytes()).err();
        failed.map(|error| format!("{path}: {error}"))
    });
    match failures.collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        failures => Err(Error::Unwritten(failures)),
    }
}

/// The plain server and the canary, and what the filters select of the rest.
fn behaviours(protocol: &Protocol, filters: &[String]) -> Result<Vec<Behaviour>, Error> {
    let all = globs(filters)?;
    let wanted = |name: &str| filters.is_empty() || all.is_match(name);
    let variations = (protocol.variations)()
        .iter()
        .filter(|variation| wanted(variation.name));
    let faults = (protocol.faults)()
        .iter()
        .filter(|fault| fault.name == CANARY || wanted(fault.name));
    let behaviours: Vec<Behaviour> = std::iter::once(Behaviour::Plain)
        .chain(variations.map(Behaviour::Varied))
        .chain(faults.map(Behaviour::Faulty))
        .collect();
    let names = || {
        let variations = (protocol.variations)().iter().map(|variation| variation.name);
        variations.chain((protocol.faults)().iter().map(|fault| fault.name))
    };
    let near = |filter: &String| {
        let near = nearest(filter, names()).map(|near| format!("; did you mean '{near}'?"));
        near.unwrap_or_default()
    };
    for filter in filters.iter().filter(|_| filters.len() > 1) {
        let glob = globs(std::slice::from_ref(filter))?;
        if !names().any(|name| glob.is_match(name)) {
            return Err(Error::Usage(format!(
                "no fault or variation matches --filter '{filter}'{}",
                near(filter)
            )));
        }
    }
    match behaviours.iter().any(|it| it.name().is_some_and(wanted)) {
        true => Ok(behaviours),
        false => Err(Error::NothingSelected(format!(
            "no fault or variation is called {}{}",
            filters.join(" or "),
            filters.first().map(near).unwrap_or_default()
        ))),
    }
}

fn globs(filters: &[String]) -> Result<GlobSet, Error> {
    let wrong = |error: globset::Error| Error::Usage(format!("--filter: {error}"));
    let mut builder = GlobSetBuilder::new();
    for filter in filters {
        builder.add(Glob::new(filter).map_err(wrong)?);
    }
    builder.build().map_err(wrong)
}

fn outputs(args: &SelftestArgs) -> Result<Vec<Output>, Error> {
    let mut destinations = args.report.clone();
    if let Some(other) = destinations
        .iter()
        .find(|it| !matches!(it.format, Format::Json | Format::Markdown))
    {
        return Err(Error::Usage(format!(
            "a self-test is reported as json or markdown, not as {}",
            other.format
        )));
    }
    if args.accept {
        let paths = selftest::paths(args.protocol.get());
        let published = match args.full {
            true => vec![(Format::Markdown, paths.blame)],
            false => vec![(Format::Json, paths.json), (Format::Markdown, paths.markdown)],
        };
        destinations.extend(published.into_iter().map(|(format, path)| Destination {
            format,
            path: Some(PathBuf::from(path)),
        }));
    }
    Ok(Destination::open_all(
        &destinations,
        &config::case_files(&args.cases)?,
    )?)
}

fn settings(args: &SelftestArgs) -> Settings {
    let settings = Settings::default();
    Settings {
        servers: args.servers.map_or(settings.servers, usize::from),
        full: args.full,
        timeout: args.timeout.map_or(settings.timeout, Duration::from_secs_f64),
        ..settings
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Unreachable(format!("cannot start the self-test's threads: {error}")))
}

async fn observe(bench: &Arc<Selftest>, behaviours: &[Behaviour]) -> Result<Vec<Observation>, Error> {
    let progress = Progress::new(behaviours.len(), "servers", false);
    let finished = |observation: &Observation| progress.step(name(observation));
    selftest::observe(Arc::clone(bench), behaviours, finished)
        .await
        .map_err(failed)
}

fn failed(error: SelftestError) -> Error {
    Error::Unreachable(error.to_string())
}

fn name(observation: &Observation) -> &'static str {
    observation.behaviour.name().unwrap_or("the plain server")
}

/// Every check that broke or was blocked, by server. Of a faulty server that is its purpose; of others it is a finding.
fn details(observations: &[Observation], paint: Paint) -> String {
    let mut out = String::new();
    for observation in observations {
        if observation.details.is_empty() && observation.verdict == RunVerdict::Conformant {
            continue;
        }
        let heading = format!(
            "{}: {}, took effect {}",
            name(observation),
            observation.verdict,
            count(usize::try_from(observation.fired).unwrap_or(usize::MAX), "time")
        );
        out.push_str(&format!("{}\n", paint.tone(Tone::Strong, heading)));
        for detail in &observation.details {
            out.push_str(&format!("  {detail}\n"));
        }
    }
    out
}
