//! What a server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::serve::{Behaviour, Fault, LogLine, Tls, Variation};

/// How to start a [`Server`](super::Server). The default is a plain server on a free loopback port.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// How it behaves: plainly, or with one named deviation.
    pub behaviour: Behaviour,
    /// Faults that it has beside that.
    pub faults: Vec<&'static Fault>,
    /// Freedoms that it uses beside that.
    pub freedoms: Vec<&'static Variation>,
    /// The certificate to serve https with; http without.
    pub tls: Option<Tls>,
    /// Whether it speaks the gRPC profile at the same port.
    pub grpc: bool,
    /// The largest request body it takes, in bytes.
    pub body_limit: usize,
    /// How long a nonce lives: two minutes at most, says the protocol.
    pub nonce_lifetime: Duration,
    /// How long a token lives.
    pub token_lifetime: Duration,
    /// Takes a line for each request; none is written without.
    pub log: Option<LogLine>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            behaviour: Behaviour::Plain,
            faults: Vec::new(),
            freedoms: Vec::new(),
            tls: None,
            grpc: true,
            body_limit: 16 * 1024 * 1024,
            nonce_lifetime: Duration::from_secs(120),
            token_lifetime: Duration::from_secs(3600),
            log: None,
        }
    }
}
