//! Joins the reports of shards.

use super::output;
use crate::cli::MergeArgs;
use crate::error::Error;
use crate::report::{self, Output, Sources, Verbosity};
use crate::{exit, tally};

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
    let verbosity = Verbosity::of(args.quiet, args.verbose);
    output::deliver(&whole, outputs, verbosity, Sources::new())?;
    Ok(exit::of(&whole))
}
