//! Judging, as far as it is the same for every protocol.

mod check;

use crate::catalogue::Version;
use crate::http::Endpoint;
use crate::keys::Seed;
pub use check::{Checks, Finding, Subject};

/// What judging needs to know beside the transcript.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The protocol version that the target is judged by.
    pub spec: Version,
    /// The seed of the run: the members' keys come from it.
    pub seed: &'a Seed,
    /// Which use of the seed it was.
    pub generation: u32,
    /// How the target is reached.
    pub transport: Transport,
}

/// How the target is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Over TLS.
    Tls,
    /// In the clear, over loopback.
    Loopback,
    /// In the clear, over a network.
    Clear,
}

impl Transport {
    /// How an endpoint is reached.
    pub fn of(endpoint: &Endpoint) -> Transport {
        match (endpoint.is_tls(), endpoint.is_loopback()) {
            (true, _) => Transport::Tls,
            (false, true) => Transport::Loopback,
            (false, false) => Transport::Clear,
        }
    }
}
