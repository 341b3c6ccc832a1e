//! Files that people write: their text, and places in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::nearest::nearest;
use super::snippet::Problem;
use crate::catalogue::Catalogue;
use crate::keys::encoding::hex;
use crate::text;

/// A case file's text and the name it is shown by.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// `cases/push.toml`, or the path as it was given.
    pub name: String,
    /// The text.
    pub text: String,
}

impl Source {
    /// The line, from 1, in which a byte stands.
    pub fn line_of(&self, byte: usize) -> usize {
        self.text.as_bytes()[..byte.min(self.text.len())]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1
    }

    /// The column of a byte, in characters from 1.
    pub fn column_of(&self, byte: usize) -> usize {
        let before = &self.text.as_bytes()[..byte.min(self.text.len())];
        let line = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        String::from_utf8_lossy(&before[line..]).chars().count() + 1
    }

    /// The topic that its cases' ids begin with: the file's name without its ending.
    pub fn topic(&self) -> &str {
        let file = self.name.rsplit('/').next().unwrap_or(&self.name);
        file.strip_suffix(".toml").unwrap_or(file)
    }
}

/// The case files that are built in, from a table of names and texts.
pub fn embedded(table: &[(&str, &str)]) -> Vec<Source> {
    let source = |(name, text): &(&str, &str)| Source {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    table.iter().map(source).collect()
}

/// SHA-256 over all case files and the catalogue whose requirements they verify, hexadecimal.
pub fn hash<'a>(catalogue: &Catalogue, sources: impl IntoIterator<Item = &'a Source>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(&catalogue.source);
    for part in sources
        .into_iter()
        .flat_map(|source| [&source.name, &source.text])
    {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

/// A case file, or the `*.toml` files of a directory, sorted by name. Hidden ones are what editors and systems leave behind.
///
/// # Errors
/// Something cannot be read; the error names it.
pub fn read_path(path: &Path) -> io::Result<Vec<Source>> {
    if !path.is_dir() {
        return Ok(vec![read_file(path)?]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        if !is_hidden && path.extension().is_some_and(|ending| ending == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &PathBuf| {
        read_file(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    };
    paths.iter().map(read).collect()
}

fn read_file(path: &Path) -> io::Result<Source> {
    Ok(Source {
        // Windows takes either, and reports name files alike everywhere.
        name: path.display().to_string().replace(std::path::MAIN_SEPARATOR, "/"),
        text: text::read_file(path)?,
    })
}

/// What the reader of TOML says, at its place, with a suggestion where a name is nearly right.
pub(crate) fn toml_problem(source: &Arc<Source>, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let help = spelling(error.message());
    Problem {
        source: source.clone(),
        span,
        message: error.message().to_owned(),
        help,
    }
}

/// For "unknown field `x`, expected one of `a`, `b`": the nearest of those.
fn spelling(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    if !message.starts_with("unknown ") {
        return None;
    }
    let near = nearest(wrong, quoted)?;
    Some(format!("did you mean `{near}`?"))
}
