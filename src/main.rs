//! The command line: parse, execute, exit.

use std::process::ExitCode;

use avp_conform::cli::Cli;
use avp_conform::{command, console};
use clap::Parser as _;

fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => command::execute(cli),
        Err(other) => command::explain_usage(&other),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            console::err(&error.shown());
            ExitCode::from(error.exit_code())
        }
    }
}
