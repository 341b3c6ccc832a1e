//! Tells what changed from one stored report to another.

use std::path::Path;

use super::output;
use crate::cli::arguments::DiffArgs;
use crate::cli::error::Error;
use crate::cli::{config, console, exit};
use crate::record;
use crate::report::{Verbosity, diff_text};

pub(super) fn diff(args: &DiffArgs) -> Result<u8, Error> {
    let stdin = Path::new("-");
    if args.old == stdin && args.new == stdin {
        return Err(Error::Usage(
            "only one of the two reports can be standard input".to_owned(),
        ));
    }
    let (old, new) = (config::load_record(&args.old)?, config::load_record(&args.new)?);
    let found = record::diff(&old, &new);
    console::out(&diff_text(&found, &output::terminal(Verbosity::Normal)))?;
    Ok(match found.regressions {
        true => exit::NOT_CONFORMANT,
        false => exit::OK,
    })
}
