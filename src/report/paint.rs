//! The colours of a terminal: what a piece of text stands for, and how that looks.

use std::fmt::Display;

use colored::{ColoredString, Colorize as _};

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

    fn style(self, text: &str) -> ColoredString {
        match self {
            Tone::Good => text.green(),
            Tone::Caution => text.yellow(),
            Tone::Bad => text.bold().red(),
            Tone::Unknown => text.magenta(),
            Tone::Dim => text.dimmed(),
            Tone::Strong => text.bold(),
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
        let text = text.to_string();
        if !self.color {
            return text;
        }
        // The library would look at the terminal once more; where it may colour is decided already.
        colored::control::set_override(true);
        tone.style(&text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_coloured_where_it_is_to_be_whatever_the_terminal() {
        let painted = |color: bool, tone: Tone| Paint { color }.tone(tone, "text");
        assert_eq!(painted(true, Tone::Bad), "\x1b[1;31mtext\x1b[0m");
        assert_eq!(painted(true, Tone::Dim), "\x1b[2mtext\x1b[0m");
        assert_eq!(painted(false, Tone::Bad), "text");
    }
}
