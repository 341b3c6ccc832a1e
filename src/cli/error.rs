//! Why the harness itself cannot go on. A check that fails is no error: it is data.

use crate::cli::exit;
use crate::text::hide_passwords;

/// An error with its exit code. Messages are whole sentences for people, without a full stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Case files or other lists are wrong; the text shows each problem at its place.
    #[error("{0}")]
    Cases(String),
    /// The target or a service of the harness's own cannot be reached or started.
    #[error("{0}")]
    Unreachable(String),
    /// What answers at the target speaks something else.
    #[error("{0}")]
    NotTheProtocol(String),
    /// Not everything could be written that was to be: each a sentence.
    #[error("{}", .0.join("\nerror: "))]
    Unwritten(Vec<String>),
    /// A report does not bear what it claims.
    #[error("{0}")]
    Unverified(String),
    /// Somebody ended the program before it had anything to report.
    #[error("interrupted")]
    Interrupted,
    /// Nothing was selected.
    #[error("{0}")]
    NothingSelected(String),
}

impl Error {
    /// What is said of it, as whole lines: problems of files come with their own headings. Passwords of addresses are hidden.
    pub fn shown(&self) -> String {
        hide_passwords(&match self {
            Error::Cases(problems) => format!("{}\n", problems.trim_end()),
            other => format!("error: {other}\n"),
        })
    }

    /// The exit code that says so.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::Cases(_) => exit::USAGE,
            Error::Unreachable(_) | Error::Unwritten(_) => exit::UNREACHABLE,
            Error::NotTheProtocol(_) | Error::Unverified(_) => exit::NOT_CONFORMANT,
            Error::Interrupted => exit::INTERRUPTED,
            Error::NothingSelected(_) => exit::NOTHING_SELECTED,
        }
    }
}

impl From<crate::report::OutputError> for Error {
    fn from(error: crate::report::OutputError) -> Self {
        Error::Usage(error.to_string())
    }
}

impl From<crate::record::LoadError> for Error {
    fn from(error: crate::record::LoadError) -> Self {
        Error::Usage(error.to_string())
    }
}
