//! How a reader wants to see a record.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The text of case files by the name that the record gives them, for quoting the lines that checks point at.
pub type Sources = BTreeMap<String, Cow<'static, str>>;

/// How a report for people is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whether to colour.
    pub color: bool,
    /// The columns that there are.
    pub width: usize,
    /// How much to say.
    pub verbosity: Verbosity,
    /// The case files; a line that is not in them is not quoted.
    pub sources: Sources,
    /// Scripts that make the requests of a case again, by the id of the case; not every case has one.
    pub scripts: BTreeMap<String, String>,
}

impl Default for View {
    fn default() -> Self {
        View {
            color: false,
            width: 100,
            verbosity: Verbosity::Normal,
            sources: Sources::new(),
            scripts: BTreeMap::new(),
        }
    }
}

/// How much a report for people says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Verbosity {
    /// One line.
    Quiet,
    /// What is wrong, each thing once, and a summary.
    #[default]
    Normal,
    /// Every requirement, every case that is concerned, and the exchanges of failing cases.
    Verbose,
}

impl Verbosity {
    /// What `-q` and `-v` ask for.
    pub fn of(quiet: bool, verbose: bool) -> Verbosity {
        match (quiet, verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}
