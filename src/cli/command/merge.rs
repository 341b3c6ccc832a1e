//! Joins the reports of shards.

use super::output;
use crate::cli::arguments::MergeArgs;
use crate::cli::error::Error;
use crate::cli::{config, exit};
use crate::record::{self, summarize};
use crate::report::{Destination, Input, Output, Sources, Verbosity};

pub(super) fn merge(args: &MergeArgs) -> Result<u8, Error> {
    let inputs: Vec<Input> = args
        .records
        .iter()
        .map(|path| Input::new("a report to be merged", path))
        .collect();
    let outputs = Destination::open_all(&args.report, &inputs)?;
    joined(args, &outputs).inspect_err(|_| output::tell_stale(&args.report))
}

fn joined(args: &MergeArgs, outputs: &[Output]) -> Result<u8, Error> {
    let records = args
        .records
        .iter()
        .map(|path| config::load_record(path))
        .collect::<Result<Vec<_>, _>>()?;
    let whole = record::merge(records, |whole| {
        if let Ok(protocol) = config::protocol_of(whole) {
            summarize::anew(whole, &(protocol.rules)());
            protocol.diagnose(whole);
        }
    })
    .map_err(Error::Usage)?;
    let verbosity = Verbosity::of(args.quiet, args.verbose);
    let written = output::deliver(&whole, outputs, verbosity, Sources::new());
    output::exit_code(exit::of(&whole), written)
}
