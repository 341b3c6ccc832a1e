//! The command line: parse, execute, exit.

use std::process::ExitCode;

use avp_conform::cli::arguments::{Cli, Color};
use avp_conform::cli::{command, console};
use clap::Parser as _;

fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => command::execute(cli),
        Err(other) => {
            console::choose_color(Color::of_arguments(
                std::env::args_os().filter_map(|it| it.into_string().ok()),
            ));
            command::explain_usage(&other)
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            console::err(&error.shown());
            ExitCode::from(error.exit_code())
        }
    }
}
