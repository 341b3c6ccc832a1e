//! The terminal: the only place that writes to standard output and standard error.

use std::io::{self, IsTerminal, Write};

/// Writes to standard output. A reader that went away is not told.
pub fn out(text: &str) {
    let mut stdout = io::stdout().lock();
    let _gone = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes to standard error.
pub fn err(text: &str) {
    let mut stderr = io::stderr().lock();
    let _gone = stderr.write_all(text.as_bytes());
}

/// Whether standard output is to be coloured: a terminal, and nobody said no (<https://no-color.org>).
pub fn color() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    !unwanted && (forced || io::stdout().is_terminal() && takes_colors())
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
