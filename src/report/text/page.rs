//! A page of text of a certain width that grows line by line.

use super::label;
use crate::record::verdict::Verdict;
use crate::report::View;
use crate::report::paint::{Paint, Tone};
use crate::text::wrap;

/// Where the text behind a label begins.
pub(super) const INDENT: usize = 11;

/// How wide the words in front of lines are, but for the longest.
const LABELS: usize = 8;

/// The narrowest page; what is narrower is not kept.
const NARROWEST: usize = 40;

/// Text that is being written.
pub(in crate::report) struct Page {
    pub(in crate::report) out: String,
    pub(in crate::report) paint: Paint,
    pub(in crate::report) width: usize,
    /// How wide the words in front of lines are.
    pub(super) labels: usize,
}

impl Page {
    pub(in crate::report) fn new(view: &View) -> Page {
        Page {
            out: String::new(),
            paint: Paint { color: view.color },
            width: view.width.max(NARROWEST),
            labels: LABELS,
        }
    }

    /// One line as it is.
    pub(in crate::report) fn line(&mut self, text: impl AsRef<str>) {
        self.out.push_str(text.as_ref().trim_end_matches(' '));
        self.out.push('\n');
    }

    pub(in crate::report) fn blank(&mut self) {
        self.out.push('\n');
    }

    /// Text without colours, indented and broken between words.
    pub(in crate::report) fn wrapped(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.width.saturating_sub(indent)) {
            self.line(format!("{:indent$}{line}", ""));
        }
    }

    /// `expected: text`, the text in a column of its own.
    pub(super) fn labelled(&mut self, label: &str, text: &str, tone: Option<Tone>) {
        let mut label = self.paint.tone(Tone::Dim, format!("{label:>9}: "));
        for line in wrap(text, self.width - INDENT) {
            let line = tone.map_or_else(|| line.clone(), |tone| self.paint.tone(tone, &line));
            self.line(format!("{label}{line}"));
            label = " ".repeat(INDENT);
        }
    }

    /// The same in so many lines at most; what is left out is marked with `…`.
    pub(super) fn labelled_within(&mut self, label: &str, text: &str, tone: Option<Tone>, lines: usize) {
        let text = within(text, self.width - INDENT, lines);
        self.labelled(label, &text, tone);
    }

    /// Text like [`Page::wrapped`], in so many lines at most.
    pub(super) fn capped(&mut self, indent: usize, text: &str, lines: usize) {
        let text = within(text, self.width.saturating_sub(indent), lines);
        self.wrapped(indent, &text);
    }

    /// `again: command`, in one piece however long, so that it can be copied.
    pub(super) fn command(&mut self, label: &str, command: &str) {
        let label = self.paint.tone(Tone::Dim, format!("{label:>9}: "));
        self.line(format!("{label}{command}"));
    }

    /// `FAIL     case: what`, on more lines where one is too short.
    pub(in crate::report) fn verdict(&mut self, verdict: Verdict, what: &str, more: &str) {
        let label = self
            .paint
            .tone(Tone::of(verdict), format!("{:<1$}", label(verdict), self.labels));
        let before = self.labels + 1;
        let short = before + what.chars().count() + 2 + more.chars().count() <= self.width;
        let padded = format!("{what:<44}  {more}");
        if before + padded.chars().count() <= self.width {
            self.line(format!("{label} {padded}"));
        } else if short {
            self.line(format!("{label} {what}  {more}"));
        } else {
            self.line(format!("{label} {what}"));
            self.wrapped(INDENT, more);
        }
    }
}

/// As much of a text as fits into so many lines of this width.
fn within(text: &str, width: usize, lines: usize) -> String {
    let wrapped = wrap(text, width);
    match wrapped.len() <= lines {
        true => text.to_owned(),
        false => {
            let kept = wrapped[..lines].join(" ");
            let room = (width * lines).saturating_sub(1).min(kept.chars().count());
            // One word less, so that the mark does not take a line of its own.
            let kept: String = kept.chars().take(room).collect();
            let kept = kept.rsplit_once(' ').map_or(kept.as_str(), |(before, _)| before);
            format!("{kept} …")
        }
    }
}
