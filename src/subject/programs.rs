//! Clients that are programs: started by the shell, and ended with everything that they started.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::{JoinHandle, JoinSet};

#[cfg(unix)]
use super::unix::{CAN_BE_ASKED, Group, shell, shell_with};
#[cfg(windows)]
use super::windows::{CAN_BE_ASKED, Group, shell, shell_with};
use super::{Adapter, Call, Ending, KEPT_OUTPUT_BYTES, Ran, Silence, Subject, Task, Told, Walked};

/// What stands for the address of the server in a command.
pub const URL: &str = "{url}";
/// The variable that tells the address of the server.
const URL_VARIABLE: &str = "AVP_SERVER_URL";
/// The variables that tell which authority to trust: many libraries heed the first by themselves.
const AUTHORITY_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "AVP_CACERT"];
/// Whoever writes more is ended.
const MOST_OUTPUT_BYTES: usize = 16 << 20;
/// A longer line is no answer.
const LONGEST_LINE_BYTES: u64 = 16 << 20;
/// The exit code of what ended when it was asked to (SIGTERM), as shells tell it.
const TERMINATED: i32 = 143;
/// How long an adapter may take to end once its input is closed, and a pipe until it is read to its end.
const GRACE_TIME: Duration = Duration::from_secs(1);

/// The commands of a client.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// The command that walks.
    pub walk: Option<String>,
    /// The command that is an adapter.
    pub adapter: Option<String>,
    /// The command that takes sub-commands.
    pub program: Option<String>,
    /// Where that one runs; none for the working directory.
    pub directory: Option<PathBuf>,
}

impl Subject for Programs {
    fn name(&self) -> String {
        let named = |what: &str, command: &Option<String>| command.as_ref().map(|it| format!("{what}: {it}"));
        let names = [
            named("walk", &self.walk),
            named("adapter", &self.adapter),
            self.program.clone(),
        ];
        names.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    fn walks(&self) -> bool {
        self.walk.is_some()
    }

    fn obeys(&self) -> bool {
        self.adapter.is_some()
    }

    fn walk<'a>(&'a self, server: &'a Told, limit: Duration) -> Task<'a, Walked> {
        Box::pin(async move { walk(self.walk.as_deref().unwrap_or_default(), server, limit).await })
    }

    fn adapter<'a>(&'a self, server: &'a Told) -> Task<'a, Result<Box<dyn Adapter>, String>> {
        Box::pin(async move {
            let started = Spoken::start(self.adapter.as_deref().unwrap_or_default(), server);
            started.map(|spoken| Box::new(spoken) as Box<dyn Adapter>)
        })
    }

    fn takes_calls(&self) -> bool {
        self.program.is_some()
    }

    fn can_be_asked_to_end(&self) -> bool {
        CAN_BE_ASKED
    }

    fn call<'a>(&'a self, call: &'a Call, ending: Ending, limit: Duration) -> Task<'a, Ran> {
        Box::pin(async move {
            run(
                self.program.as_deref().unwrap_or_default(),
                self.directory.as_deref(),
                call,
                ending,
                limit,
            )
            .await
        })
    }
}

/// Starts a command that is told of a server.
fn start(command: &str, server: &Told, input: Stdio) -> Result<Group, String> {
    let mut line = shell(&command.replace(URL, &server.url));
    line.env(URL_VARIABLE, &server.url);
    if let Some(file) = &server.authority {
        for name in AUTHORITY_VARIABLES {
            line.env(name, file);
        }
    }
    spawn(line, input, command)
}

/// Starts a command with the arguments and variables of a call.
fn start_call(command: &str, directory: Option<&Path>, call: &Call) -> Result<Group, String> {
    let mut line = shell_with(command, &call.arguments);
    if let Some(directory) = directory {
        line.current_dir(directory);
    }
    for (name, value) in &call.environment {
        match value {
            Some(value) => line.env(name, value),
            None => line.env_remove(name),
        };
    }
    spawn(line, Stdio::null(), command)
}

fn spawn(mut line: Command, input: Stdio, command: &str) -> Result<Group, String> {
    line.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    Group::spawn(line).map_err(|error| format!("cannot start `{command}`: {error}"))
}

/// What keeps the output and the errors of a program.
fn readers(group: &mut Group, output: &Output, errors: &Output) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    if let Some(pipe) = group.output() {
        readers.spawn(output.clone().keep(pipe));
    }
    if let Some(pipe) = group.errors() {
        readers.spawn(errors.clone().keep(pipe));
    }
    readers
}

/// The end of what a process wrote, and how much it was.
#[derive(Debug, Clone, Default)]
struct Output(Arc<Mutex<(Vec<u8>, usize)>>);

impl Output {
    /// Keeps what comes, until there is no more or too much.
    async fn keep(self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 8192];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if self.push(&buffer[..count]) > MOST_OUTPUT_BYTES {
                break;
            }
        }
    }

    fn push(&self, bytes: &[u8]) -> usize {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.1 += bytes.len();
        held.0.extend_from_slice(bytes);
        let excess = held.0.len().saturating_sub(KEPT_OUTPUT_BYTES);
        held.0.drain(..excess);
        held.1
    }

    fn take(&self) -> Vec<u8> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut held.0)
    }
}

async fn walk(command: &str, server: &Told, limit: Duration) -> Walked {
    let mut group = match start(command, server, Stdio::null()) {
        Ok(group) => group,
        Err(how) => {
            return Walked {
                code: None,
                how,
                output: Vec::new(),
            };
        }
    };
    let output = Output::default();
    let mut open = readers(&mut group, &output, &output);
    let waited = tokio::time::timeout(limit, group.wait()).await;
    // What it left behind would hold the pipes open, and go on asking.
    group.kill();
    let _open = tokio::time::timeout(GRACE_TIME, all_of(&mut open)).await;
    let (code, how) = match waited {
        Ok(Ok(status)) => (status.code(), said(status)),
        Ok(Err(error)) => (None, format!("cannot be waited for: {error}")),
        Err(_) => (
            None,
            format!("did not end within {:.0} s, and was ended", limit.as_secs_f64()),
        ),
    };
    Walked {
        code,
        how,
        output: output.take(),
    }
}

async fn run(command: &str, directory: Option<&Path>, call: &Call, ending: Ending, limit: Duration) -> Ran {
    let mut group = match start_call(command, directory, call) {
        Ok(group) => group,
        Err(how) => return Ran::none(how),
    };
    let (output, errors) = (Output::default(), Output::default());
    let mut open = readers(&mut group, &output, &errors);
    let late = tokio::time::sleep(limit);
    tokio::pin!(late);
    let mut is_asked = false;
    let too_long = || {
        let how = format!("did not end within {:.0} s, and was ended", limit.as_secs_f64());
        (None, how)
    };
    let (mut code, mut how) = loop {
        tokio::select! {
            waited = group.wait() => break match waited {
                // A shell that was asked to end tells so of what it ran: its own end is no other.
                Ok(status) if is_asked => (Some(status.code().unwrap_or(TERMINATED)), said(status)),
                Ok(status) => (status.code(), said(status)),
                Err(error) => (None, format!("cannot be waited for: {error}")),
            },
            () = ending.killed() => break (None, "was killed by the harness".to_owned()),
            () = ending.terminated(), if !is_asked => {
                is_asked = true;
                group.terminate();
            }
            () = &mut late => break too_long(),
        }
    };
    // A shell that is asked to end does so at once: what it ran has an attempt in hand, and writes until that is over.
    if is_asked && code.is_some() {
        tokio::select! {
            () = all_of(&mut open) => {}
            () = ending.killed() => {}
            () = &mut late => (code, how) = too_long(),
        }
    }
    // What it left behind would hold the pipes open, and go on asking.
    group.kill();
    // What still writes after that is not waited for.
    let _open = tokio::time::timeout(GRACE_TIME, all_of(&mut open)).await;
    Ran {
        code,
        how,
        output: output.take(),
        errors: errors.take(),
    }
}

async fn all_of(readers: &mut JoinSet<()>) {
    while readers.join_next().await.is_some() {}
}

fn said(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exited with status {code}"),
        None => "was killed by a signal".to_owned(),
    }
}

/// An adapter as a process.
struct Spoken {
    group: Group,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
    beside: Output,
    reader: JoinHandle<()>,
}

impl Spoken {
    fn start(command: &str, server: &Told) -> Result<Spoken, String> {
        let mut group = start(command, server, Stdio::piped())?;
        let no_pipe = || format!("cannot speak to `{command}`");
        let input = group.input().ok_or_else(no_pipe)?;
        let output = group.output().ok_or_else(no_pipe)?;
        let errors = group.errors().ok_or_else(no_pipe)?;
        let beside = Output::default();
        Ok(Spoken {
            reader: tokio::spawn(beside.clone().keep(errors)),
            group,
            input: Some(input),
            lines: BufReader::new(output),
            beside,
        })
    }

    async fn line(&mut self, line: &str) -> Result<String, Silence> {
        let gone = |error: std::io::Error| Silence::Ended(format!("it takes no more commands: {error}"));
        let input = self
            .input
            .as_mut()
            .ok_or_else(|| Silence::Ended("it was ended".to_owned()))?;
        input.write_all(line.as_bytes()).await.map_err(gone)?;
        input.write_all(b"\n").await.map_err(gone)?;
        input.flush().await.map_err(gone)?;
        let mut answer = Vec::new();
        let mut bounded = (&mut self.lines).take(LONGEST_LINE_BYTES);
        match bounded.read_until(b'\n', &mut answer).await {
            Ok(0) => Err(Silence::Ended(self.status().await)),
            Ok(_) if answer.len() as u64 >= LONGEST_LINE_BYTES => Err(Silence::Flood),
            Ok(_) => Ok(String::from_utf8_lossy(&answer).trim().to_owned()),
            Err(error) => Err(Silence::Ended(error.to_string())),
        }
    }

    /// How it ended that has closed its output.
    async fn status(&mut self) -> String {
        match tokio::time::timeout(GRACE_TIME, self.group.wait()).await {
            Ok(Ok(status)) => format!("the adapter {}", said(status)),
            _ => "the adapter closed its output".to_owned(),
        }
    }
}

impl Adapter for Spoken {
    fn ask<'a>(&'a mut self, line: &'a str, limit: Duration) -> Task<'a, Result<String, Silence>> {
        Box::pin(async move {
            match tokio::time::timeout(limit, self.line(line)).await {
                Ok(answer) => answer,
                Err(_) => Err(Silence::Late),
            }
        })
    }

    fn end(mut self: Box<Self>) -> Task<'static, String> {
        Box::pin(async move {
            self.input = None;
            let _late = tokio::time::timeout(GRACE_TIME, self.group.wait()).await;
            self.group.kill();
            let _late = tokio::time::timeout(GRACE_TIME, &mut self.reader).await;
            String::from_utf8_lossy(&self.beside.take()).into_owned()
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn told(url: &str) -> Told {
        Told {
            url: url.to_owned(),
            authority: None,
        }
    }

    async fn walked(command: &str, limit: Duration) -> Walked {
        walk(command, &told("http://h:1"), limit).await
    }

    #[tokio::test]
    async fn the_address_is_told_twice_and_the_output_is_kept() {
        let done = walked("echo {url} $AVP_SERVER_URL; echo oops >&2; exit 7", LONG).await;
        assert_eq!((done.code, done.how.as_str()), (Some(7), "exited with status 7"));
        let text = String::from_utf8(done.output).unwrap();
        assert!(
            text.contains("http://h:1 http://h:1\n") && text.contains("oops"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn the_authority_is_told_where_the_server_speaks_tls() {
        let server = Told {
            authority: Some("ca.pem".into()),
            ..told("https://h:1")
        };
        let done = walk("echo $SSL_CERT_FILE $AVP_CACERT", &server, LONG).await;
        assert_eq!(String::from_utf8(done.output).unwrap(), "ca.pem ca.pem\n");
    }

    #[tokio::test]
    async fn what_does_not_end_is_ended_with_all_that_it_started() {
        let done = walked("sleep 300 & sleep 300", Duration::from_millis(50)).await;
        assert_eq!(done.code, None);
        assert!(done.how.contains("did not end"), "{}", done.how);
        let left = walked("sleep 300 & echo $!", LONG).await;
        assert_eq!(left.code, Some(0));
        let id = String::from_utf8(left.output).unwrap();
        let stat = format!("/proc/{}/stat", id.trim());
        // Nobody may have waited for it yet: what is left of it is a zombie then.
        let is_up = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z"));
        let ends = async {
            while is_up() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, ends).await.unwrap();
    }

    async fn called(command: &str, arguments: &[&str], ending: &Ending) -> Ran {
        let call = Call {
            arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
            environment: vec![
                ("TOLD".to_owned(), Some("yes".to_owned())),
                ("HOME".to_owned(), None),
            ],
        };
        run(command, None, &call, ending.clone(), LONG).await
    }

    #[tokio::test]
    async fn a_call_is_given_its_arguments_as_they_are_and_its_output_is_kept_apart() {
        let script = "f() { echo \"$1|$2|$TOLD|$HOME\"; echo oops >&2; exit 3; }; f";
        let done = called(script, &["a b", "$(x)'\""], &Ending::default()).await;
        assert_eq!(
            (done.code, done.errors.as_slice()),
            (Some(3), b"oops\n".as_slice())
        );
        assert_eq!(String::from_utf8(done.output).unwrap(), "a b|$(x)'\"|yes|\n");
    }

    #[tokio::test]
    async fn a_call_ends_when_it_is_asked_to_and_when_it_is_killed() {
        let (ending, script) = (
            Ending::default(),
            "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done #",
        );
        ending.terminate();
        let done = called(script, &[], &ending).await;
        assert!(matches!(done.code, Some(0 | 143)), "{done:?}");
        ending.kill();
        let done = called("sleep 300 #", &[], &ending).await;
        assert_eq!(
            (done.code, done.how.as_str()),
            (None, "was killed by the harness")
        );
    }

    /// The shell ends at once where it is asked to, and what it started has something in hand.
    #[tokio::test]
    async fn what_a_shell_runs_is_left_to_end_by_itself() {
        let home = tempfile::tempdir().unwrap();
        let up = home.path().join("up");
        let script = format!(
            "(trap 'sleep 0.2; echo bye; exit 0' TERM; : > '{}'; while :; do sleep 0.05; done) & wait #",
            up.display()
        );
        let ending = Ending::default();
        let asking = async {
            let is_up = async {
                while !up.exists() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(LONG, is_up).await.unwrap();
            ending.terminate();
        };
        let (done, ()) = tokio::join!(called(&script, &[], &ending), asking);
        assert!(done.code.is_some() && done.output == b"bye\n", "{done:?}");
    }

    #[tokio::test]
    async fn a_flood_is_cut_short() {
        let done = walked("yes 2>/dev/null", LONG).await;
        assert!(done.output.len() <= KEPT_OUTPUT_BYTES);
    }

    #[tokio::test]
    async fn an_adapter_answers_line_by_line() {
        let mut adapter = Spoken::start(
            "echo beside >&2; while read l; do echo \"<$l>\"; done",
            &told("u"),
        )
        .unwrap();
        assert_eq!(adapter.line("one").await, Ok("<one>".to_owned()));
        assert_eq!(adapter.line("two").await, Ok("<two>".to_owned()));
        assert_eq!(Box::new(adapter).end().await, "beside\n");
        let mut silent: Box<dyn Adapter> = Box::new(Spoken::start("sleep 300", &told("u")).unwrap());
        assert_eq!(
            silent.ask("x", Duration::from_millis(50)).await,
            Err(Silence::Late)
        );
        let mut gone: Box<dyn Adapter> = Box::new(Spoken::start("exit 3", &told("u")).unwrap());
        assert!(matches!(gone.ask("x", LONG).await, Err(Silence::Ended(_))));
    }
}
