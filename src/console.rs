//! The terminal: the only place that writes to standard output and standard error.

use std::io::{self, IsTerminal, Write};

use crate::error::Error;

/// Writes to standard output. That its reader went away is no error.
///
/// # Errors
/// It takes no more: the disk behind it is full.
pub fn out(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritten(&error)),
        _ => Ok(()),
    }
}

/// What is said where standard output takes no more.
pub fn unwritten(error: &io::Error) -> Error {
    Error::Unwritten(vec![format!("cannot write to standard output: {error}")])
}

/// Writes to standard error.
pub fn err(text: &str) {
    let mut stderr = io::stderr().lock();
    let _gone = stderr.write_all(text.as_bytes());
}

/// Whether standard output is to be coloured: a terminal, and nobody said no (<https://no-color.org>).
pub fn color() -> bool {
    is_colored(io::stdout().is_terminal())
}

/// Whether standard error is to be coloured.
pub fn error_color() -> bool {
    is_colored(io::stderr().is_terminal())
}

fn is_colored(is_terminal: bool) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    !unwanted && (forced || is_terminal && takes_colors())
}

/// Whether the terminal can be told to colour.
fn takes_colors() -> bool {
    #[cfg(windows)]
    return anstyle_query::windows::enable_ansi_colors() == Some(true);
    #[cfg(not(windows))]
    true
}

/// The columns of the terminal; 100 where there is none.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let terminal =
        || terminal_size::terminal_size_of(io::stdout()).map(|(columns, _)| usize::from(columns.0));
    columns
        .or_else(terminal)
        .filter(|columns| *columns >= 40)
        .unwrap_or(100)
}
