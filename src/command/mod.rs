//! What each sub-command does: from what was typed to an exit code.

mod baseline;
mod contact;
mod coverage;
mod diff;
mod explain;
mod keys;
mod lint;
mod list;
mod manual;
mod merge;
mod output;
mod progress;
mod rejudge;
mod repro;
mod run;
mod selftest;
mod serve;
mod show;
mod signals;

use crate::cli::{Cli, Command};
use crate::error::Error;

/// Does what was asked for. The number is the exit code.
pub fn execute(cli: Cli) -> Result<u8, Error> {
    match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Serve(args)) => serve::serve(&args),
        Some(Command::List(args)) => list::list(&args),
        Some(Command::Explain(args)) => explain::explain(&args),
        Some(Command::Coverage(args)) => coverage::coverage(&args),
        Some(Command::Lint(args)) => lint::lint(&args),
        Some(Command::Merge(args)) => merge::merge(&args),
        Some(Command::Completions(args)) => manual::completions(&args),
        Some(Command::Man) => manual::man(),
        Some(Command::Selftest(args)) => selftest::selftest(&args),
        Some(Command::Show(args)) => show::show(&args),
        Some(Command::Diff(args)) => diff::diff(&args),
        Some(Command::Rejudge(args)) => rejudge::rejudge(&args),
        Some(Command::Baseline(args)) => baseline::baseline(&args),
        Some(Command::Repro(args)) => repro::repro(&args),
    }
}
