//! The terminal: the only place that writes to standard output and standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use crate::cli::arguments::Color;
use crate::cli::error::Error;

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

/// What `--color` says. Chosen once, before anything is written.
static COLOR: OnceLock<Color> = OnceLock::new();

/// Says when to colour, for the rest of the program's time; the first to say so decides.
pub fn choose_color(color: Color) {
    COLOR.get_or_init(|| color);
}

/// Whether standard output is to be coloured.
pub fn color() -> bool {
    is_colored(io::stdout().is_terminal())
}

/// Whether standard error is to be coloured.
pub fn error_color() -> bool {
    is_colored(io::stderr().is_terminal())
}

fn is_colored(is_terminal: bool) -> bool {
    let asked = COLOR.get().copied().unwrap_or_default();
    let variable = |name: &str| std::env::var(name).ok();
    decide(asked, variable, || is_terminal && takes_colors())
}

/// What was typed decides; then whoever says no to all programs (<https://no-color.org>), whoever wants colours everywhere
/// (<https://force-color.org>), and what the terminal is.
fn decide(
    asked: Color,
    variable: impl Fn(&str) -> Option<String>,
    is_colored_terminal: impl Fn() -> bool,
) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let is_no = |value: &String| value == "0" || value == "false";
    let forced = [set("FORCE_COLOR"), set("CLICOLOR_FORCE")];
    match asked {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR").is_some() => false,
        Color::Auto if forced.iter().flatten().any(|value| !is_no(value)) => true,
        Color::Auto if set("FORCE_COLOR").is_some() => false,
        Color::Auto if set("CLICOLOR").is_some_and(|value| is_no(&value)) => false,
        Color::Auto if variable("TERM").is_some_and(|value| value == "dumb") => false,
        Color::Auto => is_colored_terminal(),
    }
}

/// Whether the terminal can be told to colour.
fn takes_colors() -> bool {
    #[cfg(windows)]
    return colored::control::set_virtual_terminal(true).is_ok();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_where_they_are_wanted() {
        for (asked, variables, terminal, colored) in [
            (Color::Auto, &[] as &[(&str, &str)], true, true),
            (Color::Auto, &[], false, false),
            (Color::Always, &[("NO_COLOR", "1"), ("TERM", "dumb")], false, true),
            (Color::Never, &[("FORCE_COLOR", "1")], true, false),
            (
                Color::Auto,
                &[("NO_COLOR", "1"), ("FORCE_COLOR", "1")],
                true,
                false,
            ),
            (Color::Auto, &[("NO_COLOR", "")], true, true),
            (
                Color::Auto,
                &[("FORCE_COLOR", "1"), ("TERM", "dumb")],
                false,
                true,
            ),
            (Color::Auto, &[("FORCE_COLOR", "true")], false, true),
            (Color::Auto, &[("FORCE_COLOR", "0")], true, false),
            (Color::Auto, &[("FORCE_COLOR", "")], false, false),
            (
                Color::Auto,
                &[("CLICOLOR_FORCE", "1"), ("CLICOLOR", "0")],
                false,
                true,
            ),
            (Color::Auto, &[("CLICOLOR_FORCE", "0")], true, true),
            (Color::Auto, &[("CLICOLOR", "0")], true, false),
            (Color::Auto, &[("CLICOLOR", "1")], false, false),
            (Color::Auto, &[("TERM", "dumb")], true, false),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(
                decide(asked, variable, || terminal),
                colored,
                "{asked:?} {variables:?} {terminal}"
            );
        }
    }
}
