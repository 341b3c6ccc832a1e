//! Servers that belong to one case alone: started as the case asks for, killed and started again, and ended with the case.

use std::time::Duration;

use crate::http::Client;
use crate::subject::Task;

/// What the reasons of cases begin with that lack a server of their own.
pub const LACKS_SERVER: &str = "the case needs a server of its own";

/// Starts servers for single cases, where the run starts its target at all.
pub trait OwnServers: Send + Sync {
    /// Starts one, and waits until it answers.
    fn start(&self, wish: Wish) -> Task<'_, Result<Box<dyn OwnServer>, NoServer>>;
}

/// How a case wants its server started.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// What is added to its command line; `{dir}` stands for a fresh directory.
    pub flags: Vec<String>,
    /// What is added as well, where its command does not say by `{dir}` where it keeps its data.
    pub place: Vec<String>,
    /// Variables of its environment: set, or taken away.
    pub environment: Vec<(String, Option<String>)>,
}

/// Why there is no such server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoServer {
    /// It cannot be started in that way, which is nobody's fault: a sentence.
    Impossible(String),
    /// It ended, or did not answer: a sentence with what it wrote.
    Refused(String),
    /// The harness could not do its work: a sentence.
    Failed(String),
}

/// A server that runs. Dropping it ends it.
pub trait OwnServer: Send {
    /// The client that reaches it.
    fn client(&self) -> &Client;

    /// Kills it, and starts it again with the same data and these flags.
    fn restart(&mut self, flags: Vec<String>) -> Task<'_, Result<(), NoServer>>;

    /// How long a second lasts for it: the reference server can be quicker than the clock.
    fn second(&self) -> Duration;

    /// How it ended, if it has by itself: "exited with status 1".
    fn died(&self) -> Option<String>;
}
