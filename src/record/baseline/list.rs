//! The file: TOML with a `[[known]]` table for each entry.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use globset::{Glob, GlobMatcher};
use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use super::seen::Seen;
use crate::case::{Problem, Source, toml_problem};
use crate::record::{Known, Over};
use crate::text::hide_passwords;

/// A list of known failures.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// The file, as it was given.
    pub(super) file: String,
    pub(super) entries: Vec<Entry>,
}

/// One entry, checked.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The cases it speaks of; all where none is given.
    pub(super) case: Option<GlobMatcher>,
    /// Over what its cases were run; over anything where it is not given.
    pub(super) over: Option<Over>,
    /// The requirements it speaks of; all where none is given.
    pub(super) check: Option<GlobMatcher>,
    /// What is known; whatever fails where nothing is named.
    pub(super) seen: Option<Vec<Seen>>,
    pub(super) known: Known,
    /// The last day on which it counts.
    pub(super) expires: Option<Date>,
    /// The line of its `[[known]]`, from 1.
    pub(super) line: usize,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    known: Vec<Spanned<WrittenEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    /// A glob over case ids.
    case: Option<Spanned<String>>,
    /// Over what the cases were run: http, grpc, or both of them at once.
    over: Option<Over>,
    /// A glob over requirement ids.
    check: Option<Spanned<String>>,
    /// What is known of it: each an item; whatever fails, where it is left out.
    seen: Option<Vec<Spanned<Seen>>>,
    /// Why it fails.
    reason: Spanned<String>,
    /// Where it is followed up.
    issue: Option<String>,
    /// The last day on which the entry counts, `YYYY-MM-DD`.
    expires: Option<Spanned<String>>,
}

/// Why a list cannot be used.
#[derive(Debug)]
pub enum ListError {
    /// The file cannot be read: a sentence.
    Unreadable(String),
    /// All that is wrong in it, each at its place.
    Wrong(Vec<Problem>),
}

impl Baseline {
    /// Reads a list.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is wrong.
    pub fn load(path: &Path) -> Result<Baseline, ListError> {
        let text = fs::read_to_string(path).map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let help = match missing {
                true => "; `avp-conform baseline update` makes one from a report",
                false => "",
            };
            ListError::Unreadable(format!("cannot read {}: {error}{help}", path.display()))
        })?;
        Baseline::parse(path.display().to_string(), text).map_err(ListError::Wrong)
    }

    /// A list that knows nothing yet.
    pub fn empty(path: &Path) -> Baseline {
        Baseline {
            file: path.display().to_string(),
            entries: Vec::new(),
        }
    }

    /// Reads the text of a list.
    ///
    /// # Errors
    /// All that is wrong, each at its place.
    pub fn parse(file: String, text: String) -> Result<Baseline, Vec<Problem>> {
        let source = Arc::new(Source {
            name: file.clone(),
            text,
        });
        // Editors of Windows begin a file with a byte order mark; spaces in its stead keep all places as they are.
        let written: Written = toml::from_str(&source.text.replacen('\u{feff}', "   ", 1))
            .map_err(|error| vec![toml_problem(&source, &error)])?;
        let mut problems = Vec::new();
        let entries = written
            .known
            .iter()
            .filter_map(|entry| read(&source, entry, &mut problems));
        let entries = entries.collect();
        match problems.is_empty() {
            true => Ok(Baseline { file, entries }),
            false => Err(problems),
        }
    }
}

impl Entry {
    /// What it names, as it stands in the file.
    pub(super) fn name(&self) -> String {
        let named = [("case", &self.case), ("check", &self.check)].map(|(key, glob)| {
            glob.as_ref()
                .map(|glob| format!("{key} = {:?}", glob.glob().glob()))
        });
        let over = self.over.map(|over| format!("over = {:?}", over.word()));
        let named = named.into_iter().flatten().chain(over);
        named.collect::<Vec<_>>().join(", ")
    }
}

fn read(source: &Arc<Source>, entry: &Spanned<WrittenEntry>, problems: &mut Vec<Problem>) -> Option<Entry> {
    let before = problems.len();
    let written = entry.get_ref();
    let mut problem = |span: std::ops::Range<usize>, message: String, help: Option<&str>| {
        problems.push(Problem {
            source: Arc::clone(source),
            span,
            message,
            help: help.map(str::to_owned),
        });
    };
    if written.case.is_none() && written.check.is_none() {
        let help = "`case` is a glob over case ids, `check` one over requirement ids; both narrow it to both";
        problem(
            entry.span(),
            "an entry names a `case` or a `check`".to_owned(),
            Some(help),
        );
    }
    if written.reason.get_ref().trim().is_empty() {
        problem(
            written.reason.span(),
            "a reason says why it fails".to_owned(),
            None,
        );
    }
    let mut glob = |text: &Option<Spanned<String>>| {
        let text = text.as_ref()?;
        match Glob::new(text.get_ref()) {
            Ok(glob) => Some(glob.compile_matcher()),
            Err(error) => {
                problem(
                    text.span(),
                    format!("{:?} is no glob: {}", text.get_ref(), error.kind()),
                    None,
                );
                None
            }
        }
    };
    let (case, check) = (glob(&written.case), glob(&written.check));
    let expires = written.expires.as_ref().and_then(|text| {
        let date = text.get_ref().parse::<Date>().ok();
        if date.is_none() {
            let message = format!("{:?} is no date", text.get_ref());
            problem(text.span(), message, Some("write it as \"2026-12-31\""));
        }
        date
    });
    for item in written.seen.iter().flatten() {
        if item.get_ref().is_empty() {
            let help =
                "for example { step = 2, look = \"answer\", got = \"409\" }; `baseline update` writes them";
            problem(
                item.span(),
                "an item of `seen` says what was seen".to_owned(),
                Some(help),
            );
        }
    }
    (problems.len() == before).then(|| Entry {
        case,
        over: written.over,
        check,
        seen: written
            .seen
            .as_ref()
            .map(|items| items.iter().map(|item| item.get_ref().clone()).collect()),
        known: Known {
            reason: hide_passwords(written.reason.get_ref().trim()),
            issue: written.issue.as_deref().map(hide_passwords),
        },
        expires,
        line: source.line_of(entry.span().start),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::render;

    fn said(text: &str) -> String {
        let problems = Baseline::parse("known.toml".to_owned(), text.to_owned()).unwrap_err();
        problems.iter().map(|problem| render(problem, false)).collect()
    }

    #[test]
    fn a_whole_entry_is_read() {
        let text = "# known\n\n[[known]]\ncase = 'push/*'\ncheck = 'AVP-6-*'\nreason = 'soon'\nissue = 'x#1'\n\
                    expires = '2026-12-31'\n";
        let list = Baseline::parse("known.toml".to_owned(), text.to_owned()).unwrap();
        let entry = &list.entries[0];
        assert_eq!(entry.name(), r#"case = "push/*", check = "AVP-6-*""#);
        assert_eq!(entry.line, 3);
        assert_eq!(entry.expires, Some(jiff::civil::date(2026, 12, 31)));
        assert!(
            Baseline::parse("known.toml".to_owned(), String::new())
                .unwrap()
                .entries
                .is_empty()
        );
    }

    #[test]
    fn an_entry_may_be_of_one_transport() {
        let text = "[[known]]\ncase = 'push/x'\nover = 'grpc'\nreason = 'soon'\n";
        let list = Baseline::parse("known.toml".to_owned(), text.to_owned()).unwrap();
        let entry = &list.entries[0];
        assert_eq!(entry.name(), r#"case = "push/x", over = "grpc""#);
        let is_named = |over| entry.names("push/x", over);
        assert!(is_named(Over::Grpc) && !is_named(Over::Http) && !is_named(Over::Both));
        assert!(said(&text.replace("grpc", "smtp")).contains("unknown variant `smtp`"));
    }

    #[test]
    fn what_is_wrong_is_shown_at_its_place() {
        insta::assert_snapshot!(
            [
                said("[[known]]\nreason = 'x'\n"),
                said("[[known]]\ncase = 'a['\nreason = ' '\nexpires = 'soon'\n"),
                said("[[known]]\ncase = 'a'\nreasn = 'x'\n"),
                said("[[known]]\ncase = 'a'\n"),
                said("[[known]]\ncase = 'a'\nreason = 'x'\nseen = [{}]\n"),
                said("[[known]]\ncase = 'a'\nreason = 'x'\nseen = [{ lok = 'answer' }]\n"),
                said("[[know]]\ncase = 'a'\n"),
            ]
            .join("\n")
        );
    }
}
