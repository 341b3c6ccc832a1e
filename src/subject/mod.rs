//! Clients under test: they speak first, and are told where.
//!
//! A client is driven in two ways. A walk is a program that runs by itself and ends; an adapter is one that takes commands, a line
//! each, and answers each with a line. Either may be missing.

mod programs;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

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

    /// Lets it walk at a server until it ends, or until the limit is over.
    fn walk<'a>(&'a self, url: &'a str, limit: Duration) -> Task<'a, Walked>;

    /// Starts its adapter. The error is one sentence.
    fn adapter<'a>(&'a self, url: &'a str) -> Task<'a, Result<Box<dyn Adapter>, String>>;
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
