//! Puts a record where it was asked for: the terminal and files.

use std::collections::BTreeMap;

use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::protocol::Reach;
use crate::record::{CaseRecord, Record};
use crate::report::{self, Destination, Format, Output, Sources, Verbosity, View};

/// Writes every report. The terminal has its own unless one of them goes to standard output. What cannot be written does
/// not keep the others from it.
///
/// # Errors
/// Something could not be written; where that is standard output, the verdict has gone to standard error.
pub(super) fn deliver(
    record: &Record,
    outputs: &[Output],
    verbosity: Verbosity,
    sources: Sources,
) -> Result<(), Error> {
    let view = View {
        sources,
        scripts: scripts(record, outputs),
        ..terminal(verbosity)
    };
    let mut failures = Vec::new();
    if !outputs.iter().any(Output::is_stdout) {
        let text = report::render(Format::Text, record, &view);
        if let Err(Error::Unwritten(more)) = console::out(&String::from_utf8_lossy(&text)) {
            failures.extend(more);
        }
    }
    let is_deaf = !failures.is_empty();
    failures.extend(write(record, outputs, &View { color: false, ..view }));
    if is_deaf || outputs.iter().any(Output::is_stdout) && !failures.is_empty() {
        let line = View {
            verbosity: Verbosity::Quiet,
            ..View::default()
        };
        let line = report::render(Format::Text, record, &line);
        console::err(&String::from_utf8_lossy(&line));
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Error::Unwritten(failures)),
    }
}

/// The scripts of the cases that show causes, where a page is wanted that offers them.
fn scripts(record: &Record, outputs: &[Output]) -> BTreeMap<String, String> {
    let protocol = config::protocol_of(record).ok();
    let repro = protocol.and_then(|protocol| protocol.repro);
    let (Some(repro), true) = (repro, outputs.iter().any(|output| output.format == Format::Html)) else {
        return BTreeMap::new();
    };
    let causes = record.diagnosis.iter().flatten();
    let cases = causes.filter_map(|cause| record.cases.iter().find(|case| case.name() == cause.shown_by));
    let script = |case: &CaseRecord| repro(record, case, None, &Reach::default()).ok();
    cases
        .filter_map(|case| Some((case.name().into_owned(), script(case)?)))
        .collect()
}

/// Writes every report. What could not be written is told in a sentence each.
pub(super) fn write<'a>(
    record: &Record,
    outputs: impl IntoIterator<Item = &'a Output>,
    view: &View,
) -> Vec<String> {
    let one = |output: &Output| output.write(&report::render(output.format, record, view));
    let failed = outputs.into_iter().filter_map(|output| one(output).err());
    failed.map(|error| error.to_string()).collect()
}

/// An exit code that a failure to write changes only where it would say that all is well.
pub(super) fn exit_code(code: u8, written: Result<(), Error>) -> Result<u8, Error> {
    match written {
        Err(error) if code != exit::OK => {
            console::err(&error.shown());
            Ok(code)
        }
        written => written.map(|()| code),
    }
}

/// Tells of the files of earlier runs that stand where a run that did not come about would have put its reports.
pub(super) fn tell_stale(destinations: &[Destination]) {
    let paths = destinations.iter().filter_map(|it| it.path.as_deref());
    for path in paths.filter(|path| path.is_file()) {
        console::err(&format!(
            "note: nothing was run, and {} is not of this run\n",
            path.display()
        ));
    }
}

/// The view of this terminal, without case files.
pub(super) fn terminal(verbosity: Verbosity) -> View {
    View {
        color: console::color(),
        width: console::width(),
        verbosity,
        sources: Sources::new(),
        scripts: BTreeMap::new(),
    }
}
