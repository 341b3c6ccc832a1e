//! Where a report goes: standard output or a file, made sure of before the run and never left half written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::NamedTempFile;

use super::Format;

/// What standard output is called in messages.
const STDOUT: &str = "standard output";

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
            "-" | "/dev/stdout" => Ok(Destination { format, path: None }),
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
    ///
    /// # Errors
    /// The path is a directory, or cannot be written to.
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

    /// Makes sure that all reports can be written: each to a place of its own that is no file of `inputs`.
    ///
    /// # Errors
    /// Two reports would go to one place, one would overwrite an input, or [`Destination::open`] fails.
    pub fn open_all(destinations: &[Destination], inputs: &[Input]) -> Result<Vec<Output>, OutputError> {
        for (index, one) in destinations.iter().enumerate() {
            if let Some(other) = destinations[..index].iter().find(|other| one.meets(other)) {
                let reason = format!("a {} report goes there as well", other.format);
                return Err(OutputError {
                    path: one.place(),
                    reason,
                });
            }
            let path = one.path.as_deref();
            if let Some(input) = inputs.iter().find(|it| path.is_some_and(|path| it.is(path))) {
                let reason = format!("it is {}, and would be overwritten", input.what);
                return Err(OutputError {
                    path: one.place(),
                    reason,
                });
            }
        }
        destinations.iter().map(Destination::open).collect()
    }

    fn place(&self) -> String {
        match &self.path {
            None => STDOUT.to_owned(),
            Some(path) => path.display().to_string(),
        }
    }

    fn meets(&self, other: &Destination) -> bool {
        match (&self.path, &other.path) {
            (None, None) => true,
            (Some(one), Some(other)) => is_same(one, other),
            _ => false,
        }
    }
}

/// A file that a command reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// What it is: `the baseline`.
    pub what: &'static str,
    /// Where it is.
    pub path: PathBuf,
}

impl Input {
    /// What it is, and where.
    pub fn new(what: &'static str, path: impl Into<PathBuf>) -> Input {
        Input {
            what,
            path: path.into(),
        }
    }

    /// Whether it is the file that is at a path.
    pub fn is(&self, path: &Path) -> bool {
        is_same(path, &self.path)
    }
}

/// Whether two paths lead to one file, over links and hard links too. A device may be written to by many.
fn is_same(one: &Path, other: &Path) -> bool {
    if let (Ok(one), Ok(other)) = (fs::metadata(one), fs::metadata(other)) {
        if is_device(&one) && is_device(&other) {
            return false;
        }
        if is_same_file(&one, &other) {
            return true;
        }
    }
    located(one) == located(other)
}

#[cfg(unix)]
fn is_device(file: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    file.file_type().is_char_device()
}

#[cfg(not(unix))]
fn is_device(_: &fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
fn is_same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same_file(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    false
}

/// The one way to write a path: links resolved, as far as it exists.
fn located(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let resolved = whole.ancestors().find_map(|ancestor| {
        let rest = whole.strip_prefix(ancestor).ok()?;
        let mut place = fs::canonicalize(ancestor).ok()?;
        for part in rest.components() {
            match part {
                Component::ParentDir => _ = place.pop(),
                part => place.push(part),
            }
        }
        Some(place)
    });
    resolved.unwrap_or(whole)
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
    /// A file.
    File(PathBuf),
}

impl Output {
    /// Whether it goes to standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self.sink, Sink::Stdout)
    }

    /// Whether it goes to a file, which can be written more than once.
    pub fn is_file(&self) -> bool {
        matches!(self.sink, Sink::File(_))
    }

    /// Whether its name ends with `.gz`: it is compressed then, whatever the format.
    fn is_packed(&self) -> bool {
        match &self.sink {
            Sink::Stdout => false,
            Sink::File(path) | Sink::Stream(_, path) => path.extension().is_some_and(|ending| ending == "gz"),
        }
    }

    /// Writes the report. A file is replaced as a whole; one that cannot be replaced is written in place, and is empty where
    /// that fails. A reader of standard output that went away is no error.
    ///
    /// # Errors
    /// The system takes no more.
    pub fn write(&self, bytes: &[u8]) -> Result<(), OutputError> {
        let packed;
        let bytes = match self.is_packed() {
            true => {
                packed = gzip(bytes).map_err(|error| OutputError::new(Path::new("a report"), error))?;
                &packed
            }
            false => bytes,
        };
        let (path, written) = match &self.sink {
            Sink::Stdout => (Path::new(STDOUT), to_stdout(bytes)),
            Sink::Stream(file, path) => (path.as_path(), (&*file).write_all(bytes)),
            Sink::File(path) => (path.as_path(), replace(path, bytes)),
        };
        written.map_err(|error| OutputError::new(path, error))
    }
}

/// The bytes as gzip (RFC 1952).
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes)?;
    packer.finish()
}

/// Writes a file, like [`Output::write`].
///
/// # Errors
/// It cannot be written to.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    let destination = Destination {
        format: Format::Text,
        path: Some(path.to_owned()),
    };
    destination.open()?.write(bytes)
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
            Ok(Sink::File(path))
        }
        Ok(_) => Ok(Sink::Stream(OpenOptions::new().write(true).open(&path)?, path)),
        Err(_) => {
            fs::create_dir_all(parent(&path))?;
            // It is gone again at once: whether there can be a file is all that is asked.
            beside(&path)?;
            Ok(Sink::File(path))
        }
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".avp-conform-").suffix(".tmp");
    public(&mut builder);
    builder.tempfile_in(parent(path))
}

/// Puts a new file in the place of the one at the path. Where that cannot be done (the directory takes no file, or the file
/// is a mount of its own), what is there is written over.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = || {
        let mut file = beside(path)?;
        file.write_all(bytes)?;
        file.flush()?;
        file.persist(path).map_err(|error| error.error)
    };
    match written() {
        Ok(_) => Ok(()),
        Err(_) if path.exists() => write_over(path, bytes),
        Err(error) => Err(error),
    }
}

/// Half a report, or that of an earlier run, must not be taken for this one: where the file cannot be written whole, it is
/// left empty.
fn write_over(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.flush());
    if written.is_err() {
        file.set_len(0)?;
    }
    written
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

    #[test]
    fn every_report_has_a_place_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name).display().to_string();
        fs::write(at("list"), "").unwrap();
        fs::hard_link(at("list"), at("link")).unwrap();
        let opened = |texts: &[String]| {
            let destinations: Vec<_> = texts.iter().map(|text| destination(text)).collect();
            let inputs = [Input::new("the baseline", at("list"))];
            let opened = Destination::open_all(&destinations, &inputs);
            opened
                .map(|outputs| outputs.len())
                .map_err(|error| error.to_string())
        };
        let json = |name: &str| format!("json={}", at(name));
        assert_eq!(opened(&[json("a"), json("b"), "text=-".to_owned()]), Ok(3));
        for (texts, part) in [
            (
                [json("new/a"), json("new/../new/a")],
                "a json report goes there as well",
            ),
            (
                ["json=-".to_owned(), "text=/dev/stdout".to_owned()],
                "standard output: a json",
            ),
            (
                [json("a"), json("link")],
                "it is the baseline, and would be overwritten",
            ),
        ] {
            let error = opened(&texts).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(fs::read(at("list")).unwrap(), b"");
    }

    #[cfg(unix)]
    #[test]
    fn where_no_file_can_be_made_the_one_that_is_there_is_written() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("report.txt");
        fs::write(&path, "an old and longer report").unwrap();
        write_over(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let output = destination(&format!("text={}", path.display())).open().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o555)).unwrap();
        output.write(b"newer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
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
