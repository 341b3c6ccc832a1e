//! Shows a stored report in any form.

use super::output;
use crate::cli::ShowArgs;
use crate::error::Error;
use crate::report::{self, Sources, Verbosity};
use crate::{config, exit};

pub(super) fn show(args: &ShowArgs) -> Result<u8, Error> {
    let record = report::load(&args.record)?;
    let outputs: Result<Vec<_>, _> = args.report.iter().map(|report| report.open()).collect();
    let suite = config::load_suite(&args.cases)?;
    // Lines of another suite's files would be quoted wrongly.
    let sources = match suite.hash == record.suite.hash {
        true => suite.sources(),
        false => Sources::new(),
    };
    let verbosity = Verbosity::of(args.quiet, args.verbose);
    output::deliver(&record, outputs?, verbosity, sources)?;
    Ok(exit::OK)
}
