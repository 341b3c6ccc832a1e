//! The reference relay and witness: a program at the customer's site, with the published sub-commands and variables.
//!
//! `rules` decides, `operations` does, `spool` and `register` keep, `delivery` speaks to the receiver; what it can be told to get
//! wrong is in `faults`. It shares nothing with its judge that decides a rule: its canonical form and its signatures are its own.

mod arguments;
mod builtin;
mod delivery;
mod envelope;
mod faults;
mod operations;
mod register;
mod rules;
mod sealed;
mod settings;
mod spool;

use std::sync::Arc;

pub use arguments::RelayCommand;
pub(super) use builtin::start;
pub use faults::{FAULTS, RelayTables, VARIATIONS};
pub use operations::Finish;
pub use settings::{Environment, Timing};

/// What one relay does otherwise.
pub type Habits = crate::serve::Habits<RelayTables>;

/// Where a command writes: a line to standard output or to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// What takes the lines that a command writes.
pub type Lines = Arc<dyn Fn(Stream, &str) + Send + Sync>;

/// Runs one command of the relay: its arguments without the program's name. The number is the exit code.
pub async fn run(
    arguments: &[String],
    environment: &Environment,
    timing: Timing,
    habits: &Habits,
    finish: &Finish,
    lines: &Lines,
) -> u8 {
    let command = match arguments::parse(arguments) {
        Ok(command) => command,
        Err(usage) => {
            lines(Stream::Error, &usage);
            return USAGE;
        }
    };
    execute(&command, environment, timing, habits, finish, lines).await
}

/// Runs one command of the relay that was read. The number is the exit code.
pub async fn execute(
    command: &RelayCommand,
    environment: &Environment,
    timing: Timing,
    habits: &Habits,
    finish: &Finish,
    lines: &Lines,
) -> u8 {
    match operations::run(command, environment, timing, habits, finish, lines).await {
        Ok(()) => 0,
        Err(refusal) => {
            lines(Stream::Error, &format!("error: {refusal}"));
            REFUSED
        }
    }
}

/// The exit code of a command that was refused.
const REFUSED: u8 = 1;
/// The exit code of a command line that is none.
const USAGE: u8 = 2;
