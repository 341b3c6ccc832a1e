//! What each sub-command does: from what was typed to an exit code.

mod baseline;
mod claim;
mod client;
mod contact;
mod coverage;
mod diff;
mod explain;
mod init;
mod lint;
mod list;
mod manual;
mod matrix;
mod merge;
mod output;
mod progress;
mod reference_client;
mod reference_relay;
mod rejudge;
mod repro;
mod run;
mod selftest;
mod serve;
mod show;
mod signals;
mod watch;

use crate::cli::arguments::{Cli, Command};
use crate::cli::error::Error;
use crate::cli::{console, exit};
use crate::text::hide_passwords;

/// Says what is wrong with a command line, or what was asked for instead of a command: help, the version. The number is the
/// exit code.
///
/// # Errors
/// Standard output takes no more.
pub fn explain_usage(said: &clap::Error) -> Result<u8, Error> {
    if said.use_stderr() {
        let color = console::error_color();
        let text = said.render();
        let text = if color {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        console::err(&hide_passwords(&text));
        return Ok(exit::USAGE);
    }
    match said.print() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(console::unwritten(&error)),
        _ => Ok(exit::OK),
    }
}

/// Does what was asked for. The number is the exit code.
///
/// # Errors
/// It could not be done: [`Error`] says why, and has the exit code.
pub fn execute(cli: Cli) -> Result<u8, Error> {
    console::choose_color(cli.color);
    match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Serve(args)) => serve::serve(&args),
        Some(Command::Client(args)) => client::client(&args),
        Some(Command::Walk(args)) => reference_client::walk(&args),
        Some(Command::Adapter(args)) => reference_client::adapter(&args),
        Some(Command::Relay(args)) => reference_relay::relay(&args),
        Some(Command::List(args)) => list::list(&args),
        Some(Command::Init(args)) => init::init(&args),
        Some(Command::Explain(args)) => explain::explain(&args),
        Some(Command::Coverage(args)) => coverage::coverage(&args),
        Some(Command::Lint(args)) => lint::lint(&args),
        Some(Command::Merge(args)) => merge::merge(&args),
        Some(Command::Completions(args)) => manual::completions(&args),
        Some(Command::Man) => manual::man(),
        Some(Command::Selftest(args)) => selftest::selftest(&args),
        Some(Command::Show(args)) => show::show(&args),
        Some(Command::Diff(args)) => diff::diff(&args),
        Some(Command::Matrix(args)) => matrix::matrix(&args),
        Some(Command::Rejudge(args)) => rejudge::rejudge(&args),
        Some(Command::Sign(args)) => claim::sign(&args),
        Some(Command::Verify(args)) => claim::verify(&args),
        Some(Command::Baseline(args)) => baseline::baseline(&args),
        Some(Command::Repro(args)) => repro::repro(&args),
    }
}
