//! Owning the process of a server under test, from `--exec`: started, watched, restarted, and ended with all its children.

use std::collections::VecDeque;
use std::io::{self, PipeReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::http::{Client, Failure, FailureKind, Outcome, Request, Service};

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix::{Group, Killer};
#[cfg(windows)]
use windows::{Group, Killer};

/// How much of a server's output is kept.
const KEPT_OUTPUT_BYTES: usize = 64 << 10;
/// How long a server may take to end once it was asked to.
const GRACE_TIME: Duration = Duration::from_secs(1);
/// And how long where somebody is in a hurry.
const HURRIED_GRACE_TIME: Duration = Duration::from_millis(200);
/// How long one attempt to reach a starting server may take.
const ATTEMPT_TIME: Duration = Duration::from_secs(1);
/// The pause between two looks at something that is about to happen.
const POLL_PAUSE: Duration = Duration::from_millis(10);

/// What is said of a server that leaves the processes that this program knows of.
const RUN_IN_FOREGROUND: &str =
    "; a server that puts itself into the background cannot be watched: run it in the foreground";

/// What one server is told when it is started.
#[derive(Debug, Clone)]
pub struct Start {
    /// Which of the protocol's services it is to be: its address is that of this service.
    pub service: Service,
    /// The port that it is to listen at.
    pub port: u16,
    /// Variables of its environment, beside `PORT`: set, or taken away.
    pub environment: Vec<(String, Option<String>)>,
    /// What stands for `{flags}` in the command: words, not quoted yet.
    pub flags: Vec<String>,
    /// What stands for `{dir}` in the command and in the flags: a directory of its own.
    pub data: Option<PathBuf>,
}

/// What stands for the port of a server in its command.
pub const PORT: &str = "{port}";
/// What stands for the words that a case wants in its command.
pub const FLAGS: &str = "{flags}";
/// What stands for a directory of its own in its command.
pub const DIR: &str = "{dir}";

/// A server under test, with everything that it starts. Dropping it ends them all.
#[derive(Debug)]
pub struct Process {
    command: String,
    directory: Option<PathBuf>,
    start: Start,
    running: Running,
    ender: Ender,
}

/// Ends a server at once, for when there is no time to wait for it.
#[derive(Debug, Clone, Default)]
pub struct Ender(Arc<Mutex<Option<Killer>>>);

impl Ender {
    /// Kills the server and all its children.
    pub fn end(&self) {
        if let Some(killer) = self.held().as_ref() {
            killer.kill();
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Killer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no server to test.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// There is nothing to run.
    #[error("cannot start `{command}`: {why}")]
    Start {
        /// The command as it was given.
        command: String,
        /// The system's reason.
        why: io::Error,
    },
    /// It ended before it answered.
    #[error("the server {status} before it answered{}{}", if *detached { RUN_IN_FOREGROUND } else { "" }, said(output))]
    Died {
        /// How it ended: "exited with status 1".
        status: String,
        /// Whether it may live on in the background.
        detached: bool,
        /// The end of what it wrote.
        output: String,
    },
    /// Somebody else is where it should listen.
    #[error("{}", said_of_taken(address, *restart))]
    Taken {
        /// Where.
        address: String,
        /// Whether the server was ended just before.
        restart: bool,
    },
    /// It runs and does not answer.
    #[error("the server did not answer within {} s: {}{}", limit.as_secs_f64(), last.message, said(output))]
    NotReady {
        /// How long was waited.
        limit: Duration,
        /// What came of the last attempt.
        last: Failure,
        /// The end of what it wrote.
        output: String,
    },
}

impl Process {
    /// Runs `command` by the shell (`sh -c`, on Windows `cmd /C`), with `{port}` in it replaced by the port, and `PORT`
    /// set to it, beside the other variables. It runs in `directory`, else in the working directory.
    ///
    /// # Errors
    /// There is no shell, or no such directory.
    pub fn start(command: &str, directory: Option<&Path>, start: Start) -> Result<Process, ProcessError> {
        let running = Running::start(command, directory, &start).map_err(|why| ProcessError::Start {
            command: command.to_owned(),
            why,
        })?;
        let ender = Ender::default();
        *ender.held() = Some(running.group.killer());
        Ok(Process {
            command: command.to_owned(),
            directory: directory.map(Path::to_owned),
            start,
            running,
            ender,
        })
    }

    /// Waits until the server answers anything at all where the client finds its service.
    ///
    /// # Errors
    /// It does not answer within the limit, or ends before it does.
    pub async fn wait_ready(&self, client: &Client, limit: Duration) -> Result<(), ProcessError> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let failure = knock(client, &self.start.service, left.min(ATTEMPT_TIME)).await;
            if let Some(status) = self.died() {
                return Err(ProcessError::Died {
                    detached: failure.is_none() || status.ends_with("status 0"),
                    status,
                    output: self.final_output().await,
                });
            }
            match failure {
                None => return Ok(()),
                Some(last) if Instant::now() >= deadline => {
                    return Err(ProcessError::NotReady {
                        limit,
                        last,
                        output: self.output_tail(),
                    });
                }
                Some(_) => tokio::time::sleep(POLL_PAUSE).await,
            }
        }
    }

    /// How the server ended, if it has by itself: "exited with status 1", "was killed by signal 9".
    pub fn died(&self) -> Option<String> {
        self.running.group.exit()
    }

    /// Makes sure that nobody answers where the server is to listen: whoever does would be judged in its place.
    ///
    /// # Errors
    /// Somebody answers.
    pub async fn wants_nobody(client: &Client, service: &Service) -> Result<(), ProcessError> {
        match knock(client, service, ATTEMPT_TIME).await {
            Some(_) => Ok(()),
            None => Err(taken(client, service, false)),
        }
    }

    /// Ends the server, and waits until nobody answers any more where it did.
    ///
    /// # Errors
    /// Somebody still answers: the server has left its group, or it was never the server that answered.
    pub async fn leave_nobody(&mut self, client: &Client) -> Result<(), ProcessError> {
        self.stop();
        let deadline = Instant::now() + GRACE_TIME;
        while knock(client, &self.start.service, ATTEMPT_TIME).await.is_none() {
            if Instant::now() >= deadline {
                return Err(taken(client, &self.start.service, true));
            }
            tokio::time::sleep(POLL_PAUSE).await;
        }
        Ok(())
    }

    /// Ends what is left of the server and starts it anew. Its output so far is gone.
    ///
    /// # Errors
    /// The command cannot be started.
    pub fn restart(&mut self) -> Result<(), ProcessError> {
        self.stop();
        let mut next = Process::start(&self.command, self.directory.as_deref(), self.start.clone())?;
        *self.ender.held() = next.ender.held().take();
        next.ender = self.ender.clone();
        *self = next;
        Ok(())
    }

    /// What stands for `{flags}` when it is started the next time.
    pub fn set_flags(&mut self, flags: Vec<String>) {
        self.start.flags = flags;
    }

    /// Ends the server and all its children: SIGTERM, and SIGKILL for what is left after a second. Windows knows the
    /// latter alone. Blocks until then.
    pub fn stop(&mut self) {
        self.running.stop();
        // Its number may soon be somebody else's.
        *self.ender.held() = None;
    }

    /// Leaves the server little time to end by itself.
    pub fn hurry(&mut self) {
        self.running.grace = HURRIED_GRACE_TIME;
    }

    /// The end of what the server wrote to its standard output and error.
    pub fn output_tail(&self) -> String {
        self.running.output.text()
    }

    /// The end of what the server wrote, complete where it has ended: what is still in the pipe is waited for, if not
    /// for long.
    pub async fn final_output(&self) -> String {
        let deadline = Instant::now() + GRACE_TIME;
        while self.died().is_some() && !self.running.reader.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.output_tail()
    }

    /// What ends the server at once, from anywhere and after any restart.
    pub fn ender(&self) -> Ender {
        self.ender.clone()
    }

    /// The port that the server was told to listen at.
    pub fn port(&self) -> u16 {
        self.start.port
    }
}

/// A port of 127.0.0.1 that nobody listens at just now. It is none of those that the system gives to outgoing
/// connections, else one of our own might sit on it when the server is restarted.
///
/// # Errors
/// The system has none.
pub fn free_port() -> io::Result<u16> {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    match (0..50).map(|_| rand::random_range(10240..32768)).find(is_free) {
        Some(port) => Ok(port),
        None => Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()),
    }
}

fn taken(client: &Client, service: &Service, restart: bool) -> ProcessError {
    ProcessError::Taken {
        address: client.endpoint(service).to_string(),
        restart,
    }
}

/// Sees whether anybody answers; whatever can be told from silence is a sign of life.
async fn knock(client: &Client, service: &Service, limit: Duration) -> Option<Failure> {
    let request = Request {
        service: service.clone(),
        method: "GET".to_owned(),
        path: "/.well-known/avp".to_owned(),
        headers: Vec::new(),
        body: None,
    };
    match client.lane().send(&request, limit).await.outcome {
        Outcome::Answer(_) => None,
        Outcome::Failure(failure) => {
            use FailureKind::{Closed, Connect, Timeout};
            matches!(failure.kind, Connect | Timeout | Closed).then_some(failure)
        }
    }
}

fn said_of_taken(address: &str, restart: bool) -> String {
    match restart {
        false => format!(
            "something answers at {address} before the server is started, and would be judged in its place; end it, or \
             choose another port ({{port}} in the command is a free one)"
        ),
        true => format!("something answers at {address} though the server was ended{RUN_IN_FOREGROUND}"),
    }
}

fn said(output: &str) -> String {
    match output.trim_end() {
        "" => "; it wrote nothing".to_owned(),
        text => format!("; it wrote:\n{text}"),
    }
}

/// The command with the port, the flags and the directory in it.
fn filled(command: &str, start: &Start) -> String {
    let data = start.data.as_ref().map(|data| data.display().to_string());
    let with_data = |text: &str| match &data {
        Some(data) => text.replace(DIR, data),
        None => text.to_owned(),
    };
    let flags: Vec<String> = start.flags.iter().map(|word| quoted(&with_data(word))).collect();
    with_data(command)
        .replace(PORT, &start.port.to_string())
        .replace(FLAGS, &flags.join(" "))
}

/// A word as the shell takes it for one.
fn quoted(word: &str) -> String {
    match cfg!(windows) {
        true if word.contains(' ') => format!("\"{word}\""),
        true => word.to_owned(),
        // A word with a zero byte is none of any shell's.
        false => shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned),
    }
}

/// One life of the server.
#[derive(Debug)]
struct Running {
    group: Group,
    output: Output,
    reader: JoinHandle<()>,
    stopped: bool,
    grace: Duration,
}

impl Running {
    fn start(command: &str, directory: Option<&Path>, start: &Start) -> io::Result<Running> {
        let (reader, writer) = io::pipe()?;
        let port = start.port.to_string();
        let told = start
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()));
        let environment: Vec<(&str, Option<&str>)> = told.chain([("PORT", Some(port.as_str()))]).collect();
        let group = Group::start(&filled(command, start), directory, &environment, writer)?;
        let output = Output::default();
        let sink = output.clone();
        let reader = std::thread::spawn(move || sink.fill(reader));
        Ok(Running {
            group,
            output,
            reader,
            stopped: false,
            grace: GRACE_TIME,
        })
    }

    fn stop(&mut self) {
        if self.stopped {
            return;
        }
        if self.group.ask() {
            let deadline = Instant::now() + self.grace;
            while !self.is_over() && Instant::now() < deadline {
                std::thread::sleep(POLL_PAUSE);
            }
        }
        self.group.end();
        self.stopped = true;
    }

    /// Whether the shell has ended and nobody holds its output open.
    fn is_over(&self) -> bool {
        self.reader.is_finished() && self.group.exit().is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The end of an output stream.
#[derive(Debug, Clone, Default)]
struct Output(Arc<Mutex<VecDeque<u8>>>);

impl Output {
    /// Keeps the end of what can be read, until there is no more.
    fn fill(&self, mut reader: PipeReader) {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            self.push(&buffer[..count]);
        }
    }

    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let excess = kept.len().saturating_sub(KEPT_OUTPUT_BYTES);
        kept.drain(..excess);
    }

    fn text(&self) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{ClientOptions, Endpoint};

    const SERVER: Service = Service::new("server");

    fn at(port: u16) -> Start {
        Start {
            service: SERVER,
            port,
            environment: vec![
                ("MODE".to_owned(), Some("strict".to_owned())),
                ("HOME".to_owned(), None),
            ],
            flags: vec!["--own".to_owned(), "a b".to_owned()],
            data: Some(PathBuf::from("here")),
        }
    }

    fn run(command: &str) -> Process {
        Process::start(command, None, at(1)).unwrap()
    }

    fn until(what: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !what() {
            assert!(Instant::now() < deadline, "it never happened");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn client(port: u16) -> Client {
        let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        Client::new(ClientOptions::new(endpoint)).unwrap()
    }

    /// What stays until it is ended.
    const STAYS: &str = if cfg!(windows) {
        "ping -n 300 127.0.0.1 >nul"
    } else {
        "exec sleep 300"
    };

    #[test]
    fn the_port_is_told_twice_and_the_environment_once() {
        let tells = if cfg!(windows) {
            "echo {port} %PORT% %MODE% {dir} {flags}& exit 7"
        } else {
            "echo {port} $PORT $MODE$HOME {dir} {flags}; exit 7"
        };
        let process = Process::start(tells, None, at(4711)).unwrap();
        until(|| process.died().is_some());
        assert_eq!(process.died().unwrap(), "exited with status 7");
        let said = match cfg!(windows) {
            true => "4711 4711 strict here --own \"a b\"",
            false => "4711 4711 strict here --own a b",
        };
        until(|| process.output_tail().trim_end() == said);
    }

    #[test]
    fn the_whole_group_ends() {
        let family = if cfg!(windows) {
            "echo up& start /b ping -n 300 127.0.0.1 & ping -n 300 127.0.0.1 >nul"
        } else {
            "sleep 300 & (sleep 300; true) & echo up; wait"
        };
        let mut process = run(family);
        until(|| process.output_tail().starts_with("up"));
        assert_eq!(process.died(), None);
        process.stop();
        until(|| process.running.reader.is_finished());
    }

    #[test]
    fn who_is_in_a_hurry_ends_it_from_anywhere_after_a_restart_too() {
        let mut process = run(STAYS);
        let ender = process.ender();
        process.restart().unwrap();
        assert_eq!(process.died(), None);
        ender.end();
        until(|| process.died().is_some());
        process.stop();
        assert!(ender.held().is_none(), "what has ended is not ended again");
    }

    #[cfg(unix)]
    #[test]
    fn a_server_may_end_in_its_own_way() {
        let mut process = run("trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.01; done");
        until(|| process.output_tail() == "up\n");
        process.stop();
        until(|| process.running.reader.is_finished());
        assert!(
            process.output_tail().ends_with("bye\n"),
            "{}",
            process.output_tail()
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_server_that_will_not_end_is_killed() {
        let mut process = run("trap '' TERM; echo up; while :; do sleep 0.01; done");
        until(|| process.output_tail() == "up\n");
        let started = Instant::now();
        process.stop();
        assert!(started.elapsed() >= GRACE_TIME);
        until(|| process.running.reader.is_finished());
    }

    #[test]
    fn only_the_end_of_the_output_is_kept() {
        let chatters = if cfg!(windows) {
            "(for /L %i in (1,1,8000) do @echo 0123456789) & echo end"
        } else {
            "yes | head -c 300000; echo end"
        };
        let process = run(chatters);
        until(|| process.output_tail().trim_end().ends_with("end"));
        assert_eq!(process.output_tail().len(), KEPT_OUTPUT_BYTES);
    }

    #[cfg(unix)]
    #[test]
    fn a_restart_begins_anew() {
        let mut process = run("echo $$; sleep 300");
        until(|| process.output_tail().ends_with('\n'));
        let first = process.output_tail();
        process.restart().unwrap();
        until(|| process.output_tail().ends_with('\n'));
        assert_ne!(process.output_tail(), first);
    }

    #[tokio::test]
    async fn a_server_that_dies_is_not_waited_for() {
        let process = run(if cfg!(windows) {
            "echo no database>&2& exit 3"
        } else {
            "echo no database >&2; exit 3"
        });
        let error = process.wait_ready(&client(1), Duration::from_secs(60)).await;
        let expected = "the server exited with status 3 before it answered; it wrote:\nno database";
        assert_eq!(error.unwrap_err().to_string(), expected);
    }

    /// Answers as long as the test runs.
    fn stranger() -> u16 {
        use std::io::Write;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            }
        });
        port
    }

    #[tokio::test]
    async fn somebody_else_at_the_port_is_told_before_the_start_and_after_the_end() {
        let client = client(stranger());
        let error = Process::wants_nobody(&client, &SERVER)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("before the server is started"), "{error}");
        let error = run(STAYS).leave_nobody(&client).await.unwrap_err().to_string();
        assert!(error.contains("run it in the foreground"), "{error}");
    }

    #[tokio::test]
    async fn a_port_at_which_nobody_answers_is_fine() {
        let client = client(free_port().unwrap());
        Process::wants_nobody(&client, &SERVER).await.unwrap();
        run(STAYS).leave_nobody(&client).await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_leaves_its_command_is_to_stay_in_the_foreground() {
        let process = run("exit 0");
        while process.died().is_none() {
            tokio::task::yield_now().await;
        }
        let error = process
            .wait_ready(&client(stranger()), Duration::from_secs(60))
            .await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("run it in the foreground"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_stays_silent_is_given_up() {
        let process = run(STAYS);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = client(listener.local_addr().unwrap().port());
        let error = process
            .wait_ready(&client, Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(matches!(error, ProcessError::NotReady { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_server_is_ready_once_it_answers() {
        let process = run(STAYS);
        let port = free_port().unwrap();
        let waiting = tokio::spawn(async move {
            let done = process.wait_ready(&client(port), Duration::from_secs(20)).await;
            done.map_err(|error| error.to_string())
        });
        tokio::task::spawn_blocking(move || {
            use std::io::Write;
            let (mut stream, _) = TcpListener::bind(("127.0.0.1", port)).unwrap().accept().unwrap();
            stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
            let _ = stream.read(&mut [0; 1024]);
        });
        waiting.await.unwrap().unwrap();
    }
}
