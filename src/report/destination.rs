//! Where a report goes: standard output or a file, made sure of before the run and written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tempfile::NamedTempFile;

use super::Format;

/// One `--report FORMAT=PATH` as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The form of the report.
    pub format: Format,
    /// The file; none for standard output, written `-`.
    pub path: Option<PathBuf>,
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((format, path)) = text.split_once('=') else {
            return Err(without_path(text));
        };
        let format: Format = format.parse()?;
        match path {
            "" => Err(format!(
                "no path after `{format}=`; give a file, or - for standard output"
            )),
            "-" => Ok(Destination { format, path: None }),
            _ => Ok(Destination {
                format,
                path: Some(path.into()),
            }),
        }
    }
}

fn without_path(text: &str) -> String {
    match text.parse::<Format>() {
        Ok(format) => format!("say where the report goes: {format}=PATH, or {format}=- for standard output"),
        Err(_) => "a report is given as FORMAT=PATH, for example json=report.json".to_owned(),
    }
}

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write report {path}: {reason}")]
pub struct OutputError {
    /// The file, or `standard output`.
    pub path: String,
    /// What is in the way.
    pub reason: String,
}

impl OutputError {
    fn new(path: &Path, reason: impl ToString) -> OutputError {
        OutputError {
            path: path.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

impl Destination {
    /// Makes sure that the report can be written, creating parent directories. What is at the path stays as it is until
    /// [`Output::write`].
    pub fn open(&self) -> Result<Output, OutputError> {
        let sink = match &self.path {
            None => Sink::Stdout,
            Some(path) => open(path).map_err(|error| OutputError::new(path, error))?,
        };
        Ok(Output {
            format: self.format,
            sink,
        })
    }
}

/// A destination that is ready to be written.
#[derive(Debug)]
pub struct Output {
    /// The form of the report.
    pub format: Format,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Stdout,
    /// A device or pipe, which cannot be replaced.
    Stream(File, PathBuf),
    /// A file that takes the place of the one at the path once it is whole.
    File(NamedTempFile, PathBuf),
}

impl Output {
    /// Whether it goes to standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self.sink, Sink::Stdout)
    }

    /// Writes the report: a file is complete or untouched. A reader of standard output that went away is no error.
    pub fn write(self, bytes: &[u8]) -> Result<(), OutputError> {
        match self.sink {
            Sink::Stdout => {
                to_stdout(bytes).map_err(|error| OutputError::new(Path::new("standard output"), error))
            }
            Sink::Stream(mut file, path) => file
                .write_all(bytes)
                .map_err(|error| OutputError::new(&path, error)),
            Sink::File(mut file, path) => {
                let written = file.write_all(bytes).and_then(|()| file.flush());
                written.map_err(|error| OutputError::new(&path, error))?;
                file.persist(&path)
                    .map(drop)
                    .map_err(|error| OutputError::new(&path, error.error))
            }
        }
    }
}

/// Writes a file whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let output = Output {
        format: Format::Text,
        sink: open(path).map_err(|error| OutputError::new(path, error))?,
    };
    output.write(bytes)
}

fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn open(path: &Path) -> io::Result<Sink> {
    // A link is followed, so that the file it names is replaced and not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => Err(io::Error::other("it is a directory")),
        Ok(found) if found.is_file() => {
            OpenOptions::new().append(true).open(&path)?;
            beside(path)
        }
        Ok(_) => Ok(Sink::Stream(OpenOptions::new().write(true).open(&path)?, path)),
        Err(_) => beside(path),
    }
}

fn beside(path: PathBuf) -> io::Result<Sink> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".avp-conform-").suffix(".tmp");
    public(&mut builder);
    Ok(Sink::File(builder.tempfile_in(parent)?, path))
}

/// Temporary files are private unless told; a report is as public as any new file.
#[cfg(unix)]
fn public(builder: &mut tempfile::Builder<'_, '_>) {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(fs::Permissions::from_mode(0o666));
}

#[cfg(not(unix))]
fn public(_: &mut tempfile::Builder<'_, '_>) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(text: &str) -> Destination {
        text.parse().unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn what_is_typed_is_understood_or_explained() {
        assert_eq!(destination("json=a=b").path.as_deref(), Some(Path::new("a=b")));
        assert_eq!(destination("text=-").path, None);
        for (typed, part) in [
            ("json", "json=PATH"),
            ("json=", "no path after `json=`"),
            ("jsn=a", "did you mean \"json\"?"),
            ("report.json", "json=report.json"),
        ] {
            let error = typed.parse::<Destination>().unwrap_err();
            assert!(error.contains(part), "{typed}: {error}");
        }
    }

    #[test]
    fn directories_are_made_and_the_file_appears_whole() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/report.json");
        let output = destination(&format!("json={}", path.display())).open().unwrap();
        assert!(!path.exists(), "nothing at the path before the run ends");
        output.write(b"{}").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{}");
        assert_eq!(names(path.parent().unwrap()), ["report.json"]);
    }

    #[test]
    fn an_output_that_is_dropped_leaves_the_old_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("report.txt");
        fs::write(&path, "old").unwrap();
        drop(destination(&format!("text={}", path.display())).open().unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(home.path()), ["report.txt"]);
    }

    #[test]
    fn a_bad_path_is_found_at_once() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        let at = |name: &str| destination(&format!("json={}", home.path().join(name).display())).open();
        assert!(at("").unwrap_err().to_string().contains("it is a directory"));
        assert!(
            at("file/below")
                .unwrap_err()
                .to_string()
                .starts_with("cannot write report ")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_in_place_and_a_link_stays_a_link() {
        destination("json=/dev/null")
            .open()
            .unwrap()
            .write(b"{}")
            .unwrap();
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (home.path().join("real"), home.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        destination(&format!("json={}", link.display()))
            .open()
            .unwrap()
            .write(b"new")
            .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
    }
}
