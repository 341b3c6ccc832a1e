//! The colours of a terminal: what a piece of text stands for, and how that looks.

use std::fmt::Display;

use crate::record::verdict::Verdict;

/// What a piece of text stands for; the terminal decides how that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Holds.
    Good,
    /// Holds, but.
    Caution,
    /// Does not hold.
    Bad,
    /// Could not be seen.
    Unknown,
    /// Worth less attention than the rest.
    Dim,
    /// Worth more attention than the rest.
    Strong,
}

impl Tone {
    /// The tone of a verdict.
    pub fn of(verdict: Verdict) -> Tone {
        match verdict {
            Verdict::Pass => Tone::Good,
            Verdict::Warn => Tone::Caution,
            Verdict::Fail | Verdict::Error => Tone::Bad,
            Verdict::Blocked => Tone::Unknown,
            Verdict::NotApplicable => Tone::Dim,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Tone::Good => "32",
            Tone::Caution => "33",
            Tone::Bad => "1;31",
            Tone::Unknown => "35",
            Tone::Dim => "2",
            Tone::Strong => "1",
        }
    }
}

/// Colours text, or leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paint {
    /// Whether to colour at all.
    pub color: bool,
}

impl Paint {
    /// `text` in that tone.
    pub fn tone(self, tone: Tone, text: impl Display) -> String {
        if self.color {
            format!("\x1b[{}m{text}\x1b[0m", tone.code())
        } else {
            text.to_string()
        }
    }
}
