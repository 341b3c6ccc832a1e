//! Clients under test: they speak first, and are told where.
//!
//! A client is driven in two ways. A walk is a program that runs by itself and ends; an adapter is one that takes commands, a line
//! each, and answers each with a line. Either may be missing. A program with sub-commands is called instead, once for each of them.

mod programs;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use programs::{Programs, URL};

/// How much of what a client writes is kept.
pub const KEPT_OUTPUT_BYTES: usize = 256 << 10;

/// Work that is waited for.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A client under test.
pub trait Subject: Send + Sync {
    /// What it is called in reports: its commands.
    fn name(&self) -> String;

    /// Whether it can be told to walk.
    fn walks(&self) -> bool;

    /// Whether it takes commands.
    fn obeys(&self) -> bool;

    /// Whether the servers that it is told to ask speak TLS.
    fn wants_tls(&self) -> bool {
        false
    }

    /// Lets it walk at a server until it ends, or until the limit is over.
    fn walk<'a>(&'a self, server: &'a Told, limit: Duration) -> Task<'a, Walked>;

    /// Starts its adapter. The error is one sentence.
    fn adapter<'a>(&'a self, server: &'a Told) -> Task<'a, Result<Box<dyn Adapter>, String>>;

    /// Whether it is a program with sub-commands.
    fn takes_calls(&self) -> bool {
        false
    }

    /// Whether a run of a sub-command can be asked to end (SIGTERM).
    fn can_be_asked_to_end(&self) -> bool {
        true
    }

    /// Runs one of its sub-commands until it ends, is told to, or the limit is over.
    fn call<'a>(&'a self, _call: &'a Call, _ending: Ending, _limit: Duration) -> Task<'a, Ran> {
        Box::pin(async { Ran::none("the client has no sub-commands") })
    }
}

/// What a client is told of the server that it is to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its address.
    pub url: String,
    /// The file with the certificate of the authority that it is certified by, as PEM; none where it does not speak TLS.
    pub authority: Option<PathBuf>,
}

/// A client that is told to ask servers which speak TLS.
pub struct OverTls(pub SharedSubject);

impl Subject for OverTls {
    fn name(&self) -> String {
        self.0.name()
    }

    fn walks(&self) -> bool {
        self.0.walks()
    }

    fn obeys(&self) -> bool {
        self.0.obeys()
    }

    fn wants_tls(&self) -> bool {
        true
    }

    fn walk<'a>(&'a self, server: &'a Told, limit: Duration) -> Task<'a, Walked> {
        self.0.walk(server, limit)
    }

    fn adapter<'a>(&'a self, server: &'a Told) -> Task<'a, Result<Box<dyn Adapter>, String>> {
        self.0.adapter(server)
    }
}

/// One run of a sub-command.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The sub-command with its options.
    pub arguments: Vec<String>,
    /// The variables that are set, and those that are taken away.
    pub environment: Vec<(String, Option<String>)>,
}

/// How a run came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; none where it was ended, by a signal or by us.
    pub code: Option<i32>,
    /// What came of it, in words: "exited with status 1".
    pub how: String,
    /// What it wrote to standard output, the end of it where it was much.
    pub output: Vec<u8>,
    /// What it wrote to standard error, the end of it where it was much.
    pub errors: Vec<u8>,
}

impl Ran {
    /// It did not run.
    pub fn none(how: impl Into<String>) -> Ran {
        Ran {
            code: None,
            how: how.into(),
            output: Vec::new(),
            errors: Vec::new(),
        }
    }
}

/// How a run is told to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By itself, after what it has in hand.
    Terminate,
    /// At once.
    Kill,
}

/// What tells a run to end. Clones tell the same run.
#[derive(Debug, Clone)]
pub struct Ending(Arc<watch::Sender<Option<End>>>);

impl Default for Ending {
    fn default() -> Self {
        Ending(Arc::new(watch::Sender::new(None)))
    }
}

impl Ending {
    /// Asks the program to end (SIGTERM).
    pub fn terminate(&self) {
        self.0.send_replace(Some(End::Terminate));
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&self) {
        self.0.send_replace(Some(End::Kill));
    }

    /// Waits until it is asked to end.
    pub async fn terminated(&self) {
        self.told(End::Terminate).await;
    }

    /// Waits until it is to be ended at once.
    pub async fn killed(&self) {
        self.told(End::Kill).await;
    }

    async fn told(&self, end: End) {
        let mut told = self.0.subscribe();
        // The sender lives as long as this.
        let _told = told.wait_for(|told| *told == Some(end)).await;
    }
}

/// An adapter that runs. Dropping it ends it.
pub trait Adapter: Send {
    /// Writes a line and waits for one.
    fn ask<'a>(&'a mut self, line: &'a str, limit: Duration) -> Task<'a, Result<String, Silence>>;

    /// Ends it: what it wrote beside its answers.
    fn end(self: Box<Self>) -> Task<'static, String>;
}

/// Why a command got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// It ended, or closed its output.
    Ended(String),
    /// No line came in time.
    Late,
    /// A line came that is longer than any answer.
    Flood,
}

/// How a walk came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// Its exit code; none where it was ended, by a signal or by us.
    pub code: Option<i32>,
    /// What came of it, in words: "exited with status 1".
    pub how: String,
    /// What it wrote to standard output and error, the end of it where it was much.
    pub output: Vec<u8>,
}

/// A client that is shared by the cases of a run.
pub type SharedSubject = Arc<dyn Subject>;
