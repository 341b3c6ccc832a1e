//! Shows a stored report in any form.

use super::{claim, output};
use crate::cli::arguments::ShowArgs;
use crate::cli::error::Error;
use crate::cli::{config, exit};
use crate::report::{Destination, Input, Sources, Verbosity};

pub(super) fn show(args: &ShowArgs) -> Result<u8, Error> {
    let mut inputs = config::case_files(&args.cases)?;
    inputs.push(Input::new("the report to be shown", &args.record));
    let outputs = Destination::open_all(&args.report, &inputs)?;
    let mut record = claim::load(&args.record, &args.signed_by, &args.cases)?;
    let protocol = config::protocol_of(&record)?;
    let suite = config::load_suite(protocol, &args.cases)?;
    if record.diagnosis.is_none() {
        protocol.diagnose(&mut record);
    }
    // Lines of another suite's files would be quoted wrongly.
    let sources = match suite.hash == record.suite.hash {
        true => suite.sources(),
        false => Sources::new(),
    };
    let verbosity = Verbosity::of(args.quiet, args.verbose);
    output::deliver(&record, &outputs, verbosity, sources)?;
    Ok(exit::OK)
}
