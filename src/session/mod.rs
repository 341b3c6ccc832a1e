//! A conversation with a target: what it is driven with, what it must not give away, how long it wants to be left alone.

mod conversation;
pub mod http_steps;
mod own_server;
mod redact;
mod replacer;
mod throttle;

use std::sync::Arc;

use crate::catalogue::{OperationName, Version};
use crate::http::{Client, Exchange, Timeouts};
use crate::keys::{NamedKey, Seed};
use crate::subject::Subject;

pub use conversation::{Came, Conversation, Message};
pub use own_server::{LACKS_SERVER, NoServer, OwnServer, OwnServers, Wish};
pub use redact::{LiveSecrets, Secrets, hide_across};
pub use throttle::{ATTEMPTS_AFTER_429, wait as throttle_wait};

/// What requests outside the route table are called where time limits are kept.
pub const OTHER_REQUESTS: &str = "other requests";

/// What a run drives its cases against.
#[derive(Clone)]
pub struct RunContext {
    /// The client of the target.
    pub client: Client,
    /// A server that is not the target, for tokens that are not the target's. None where no case wants one.
    pub foreign: Option<Client>,
    /// How long each operation is waited for.
    pub patience: Timeouts,
    /// The seed of all keys, ids and ivs.
    pub seed: Seed,
    /// The keys that the target was told of beforehand.
    pub keys: Vec<NamedKey>,
    /// Which use of the seed it is.
    pub generation: u32,
    /// The protocol version that the target speaks: it is sent nothing newer, and judged by that.
    pub spec: Version,
    /// Whether cases may wait for minutes.
    pub slow: bool,
    /// Whether tokens, signatures and keys stay in the transcript.
    pub show_secrets: bool,
    /// The client under test, where it is one that is judged.
    pub subject: Option<Arc<dyn Subject>>,
    /// What starts a server for a single case; none where the run does not start its target.
    pub own_servers: Option<Arc<dyn OwnServers>>,
}

/// What the operation of an exchange is called where time limits are kept.
pub fn operation_key(exchange: &Exchange) -> &str {
    exchange
        .operation
        .as_ref()
        .map_or(OTHER_REQUESTS, OperationName::as_str)
}
