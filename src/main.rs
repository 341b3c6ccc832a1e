//! The command line: parse, execute, exit.

use std::process::ExitCode;

use avp_conform::cli::Cli;
use avp_conform::{command, console};
use clap::Parser as _;

fn main() -> ExitCode {
    match command::execute(Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            console::err(&error.shown());
            ExitCode::from(error.exit_code())
        }
    }
}
