//! The program as it is started from a command line.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use avp_conform::catalogue::Level;
use avp_conform::record::verdict::{RunVerdict, Verdict};
use avp_conform::record::{CaseRecord, Record, load};

/// No run of the tests takes as long.
const LIMIT: Duration = Duration::from_secs(120);

/// Variables that would change what the program does or shows, beside all that begin with `AVP_`.
const VARIABLES: [&str; 7] = [
    "PORT",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "TERM",
    "COLUMNS",
];

/// The program in an environment of its own, for who talks to it while it runs.
pub(crate) fn program() -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_avp-conform"));
    let ours = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in ours.filter(|name| name.starts_with("AVP_")) {
        command.env_remove(name);
    }
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

/// The program in an environment of its own, for who waits until it has ended.
pub(crate) fn command() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::from_std(program());
    command.timeout(LIMIT);
    command
}

/// The exit code, standard output and standard error.
pub(crate) fn ran(arguments: &[&str]) -> (i32, String, String) {
    said(&command().args(arguments).output().unwrap())
}

pub(crate) fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// What a run left behind.
pub(crate) struct Done {
    pub(crate) code: i32,
    /// Standard output, and standard error behind it.
    pub(crate) out: String,
    pub(crate) record: Record,
    pub(crate) took: Duration,
}

impl Done {
    /// What a run said and reported.
    pub(crate) fn of(output: &Output, report: &Path, took: Duration) -> Done {
        let (code, out, err) = said(output);
        let out = out + &err;
        Done {
            code,
            record: load(report).unwrap_or_else(|error| panic!("{error}: {out}")),
            out,
            took,
        }
    }

    pub(crate) fn case(&self, id: &str) -> &CaseRecord {
        self.record.cases.iter().find(|case| case.id == id).unwrap()
    }

    /// The ids of the musts that are verified.
    pub(crate) fn verified_musts(&self) -> Vec<&str> {
        let all = self.record.requirements.iter();
        let verified = all.filter(|it| it.level == Level::Must && it.verdict == Verdict::Pass);
        verified.map(|it| it.id.as_str()).collect()
    }

    /// The ids of the requirements that are not kept: musts and shoulds.
    pub(crate) fn broken(&self) -> Vec<&str> {
        let all = self.record.requirements.iter();
        let broken = all.filter(|it| matches!(it.verdict, Verdict::Fail | Verdict::Warn));
        broken.map(|it| it.id.as_str()).collect()
    }

    /// It is conformant, and keeps every should.
    pub(crate) fn conforms(&self) {
        let ended = (self.code, self.record.verdict);
        assert_eq!(ended, (0, RunVerdict::Conformant), "{}", self.out);
        assert_eq!(self.broken(), Vec::<&str>::new(), "{}", self.out);
    }

    pub(crate) fn notes(&self) -> String {
        self.record.notes.join("\n")
    }
}

/// A run in a directory of its own, with its report.
pub(crate) fn reported(options: &[&str]) -> Done {
    reported_by(command().args(options))
}

/// The same, of a command that is to run longer, say.
pub(crate) fn reported_by(command: &mut assert_cmd::Command) -> Done {
    let home = tempfile::tempdir().unwrap();
    let report = home.path().join("report.json");
    let started = Instant::now();
    let output = command
        .arg("--report")
        .arg(format!("json={}", report.display()))
        .current_dir(home.path())
        .output()
        .unwrap();
    Done::of(&output, &report, started.elapsed())
}
