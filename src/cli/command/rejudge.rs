//! Judges the exchanges of a stored report again and tells which verdicts would change.

use std::sync::Arc;

use super::output;
use crate::cli::arguments::RejudgeArgs;
use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::report::{self, Verbosity};

pub(super) fn rejudge(args: &RejudgeArgs) -> Result<u8, Error> {
    let record = config::load_record(&args.record)?;
    let suite = config::load_suite(config::protocol_of(&record)?, &args.cases)?;
    let again = crate::run::rejudge::rejudge(&record, &Arc::new(suite))
        .map_err(|why| Error::Usage(format!("{}: {why}", args.record.display())))?;
    if again.record.cases.is_empty() && !record.cases.is_empty() {
        return Err(Error::NothingSelected(
            "no case of the report is in this suite; --cases adds those that the run had".to_owned(),
        ));
    }
    console::out(&report::rejudged_text(
        &again,
        &output::terminal(Verbosity::Normal),
    ))?;
    Ok(match again.is_the_same() {
        true => exit::OK,
        false => exit::NOT_CONFORMANT,
    })
}
