//! The flags of the registry, with the defaults of the page.

use std::path::PathBuf;

const MS_PER_DAY: i64 = 86_400_000;

/// What the registry was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flags {
    /// `--db`: the file that holds what is stored.
    pub(super) db: Option<PathBuf>,
    /// `--max-per-identity`: so many bundles of a device are kept.
    pub(super) max_per_identity: usize,
    /// `--retention-days`, as milliseconds: how old a bundle gets.
    pub(super) retention_ms: i64,
    /// `--prune-interval-secs`: how long the background task rests.
    pub(super) prune_interval_secs: u32,
}

impl Default for Flags {
    fn default() -> Self {
        Flags {
            db: None,
            max_per_identity: 5,
            retention_ms: 30 * MS_PER_DAY,
            prune_interval_secs: 3600,
        }
    }
}

impl Flags {
    /// Reads a command line: `--name value` or `--name=value`.
    ///
    /// # Errors
    /// A flag is not known, or its value is none: one sentence.
    pub(super) fn read(words: &[String]) -> Result<Flags, String> {
        let mut flags = Flags::default();
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, words.next()),
            };
            let value = value.ok_or_else(|| format!("{name} has no value"))?;
            let unreadable = |_| format!("{name}: {value:?} is no number");
            match name {
                "--db" => flags.db = Some(value.into()),
                "--max-per-identity" => flags.max_per_identity = value.parse().map_err(unreadable)?,
                "--retention-days" => {
                    let days: i64 = value.parse().map_err(unreadable)?;
                    flags.retention_ms = days.saturating_mul(MS_PER_DAY);
                }
                "--prune-interval-secs" => flags.prune_interval_secs = value.parse().map_err(unreadable)?,
                _ => {
                    return Err(format!(
                        "there is no flag {name}, only --db, --max-per-identity, --retention-days and --prune-interval-secs"
                    ));
                }
            }
        }
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_in_both_spellings() {
        let read = |text: &str| Flags::read(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(Flags::read(&[]), Ok(Flags::default()));
        let flags =
            read("--max-per-identity 1 --retention-days=2 --prune-interval-secs 3 --db x.db").unwrap();
        assert_eq!(
            (
                flags.max_per_identity,
                flags.retention_ms,
                flags.prune_interval_secs
            ),
            (1, 172_800_000, 3)
        );
        assert_eq!(flags.db, Some("x.db".into()));
        for wrong in ["--max-per-identity", "--retention-days x", "--other 1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
