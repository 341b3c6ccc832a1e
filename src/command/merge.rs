//! Joins the reports of shards.

use crate::cli::MergeArgs;
use crate::error::Error;
use crate::report::{self, Format, Output, Sources, Verbosity, View};
use crate::verdict::RunVerdict;
use crate::{console, exit, tally};

pub(super) fn merge(args: &MergeArgs) -> Result<u8, Error> {
    let outputs: Vec<Output> = args
        .report
        .iter()
        .map(|report| report.open())
        .collect::<Result<_, _>>()?;
    let load = |path| report::load(path).map_err(|error| Error::Usage(error.to_string()));
    let records = args
        .records
        .iter()
        .map(|path| load(path.as_path()))
        .collect::<Result<Vec<_>, _>>()?;
    let whole = report::merge(records, tally::anew).map_err(Error::Usage)?;
    let view = View {
        color: console::color(),
        width: console::width(),
        verbosity: match (args.quiet, args.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        },
        sources: Sources::new(),
    };
    if !outputs.iter().any(Output::is_stdout) {
        console::out(&String::from_utf8_lossy(&report::render(
            Format::Text,
            &whole,
            &view,
        )));
    }
    let plain = View { color: false, ..view };
    for output in outputs {
        let bytes = report::render(output.format, &whole, &plain);
        output.write(&bytes)?;
    }
    Ok(match whole.verdict {
        RunVerdict::Conformant => exit::OK,
        RunVerdict::Nonconformant => exit::NOT_CONFORMANT,
        RunVerdict::Incomplete => exit::UNREACHABLE,
    })
}
