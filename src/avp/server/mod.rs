//! The reference server: a plain AVP server, held in memory, exact, and all of the protocol.
//!
//! It is what the suite is tried against, and somebody could point a client at it. It is also an independent
//! witness: it knows the protocol's page and nothing of the judge, so that the two agree only where both are right.
//!
//! A request becomes plain data (`request`), the core answers it with plain data (`core`), and the transport
//! edge (`connection`) turns that into bytes. Everything between the two edges is synchronous, touches no socket,
//! and takes one lock per store.
//!
//! To write a server of your own, read `operations`, a file for each: they ask the plain functions of `rules` one after
//! the other, and write. What `faults` and `variations` make of a decision stands beside their tables.
//!
//! It speaks both profiles at one port: HTTP/JSON over HTTP/1.1, and gRPC over HTTP/2 (`grpc`), where the same operations
//! answer.
//!
//! What it does not do: it keeps nothing on disk, and has no accounts.

mod access;
mod answer;
mod behaviour;
mod body_check;
mod connection;
mod core;
mod decision;
mod deviation;
mod faults;
mod grpc;
mod inside;
mod json;
mod limits;
mod listen;
mod message_access;
mod message_shapes;
mod nonces;
mod operations;
mod options;
mod raw_response;
mod request;
mod response;
mod route;
mod rules;
mod state;
mod tokens;
mod variations;
mod vault;

pub use behaviour::{faults, find_fault, find_variation, variations};
pub use inside::{Answered, Inside};
pub use listen::{Server, StartError};
pub use options::Options;
pub use response::Pieces;

use crate::serve::{Reference, ServeOptions};

/// Starts the reference server.
///
/// # Errors
/// The address cannot be listened on, or the certificate cannot be served.
pub fn start(options: ServeOptions) -> Result<Box<dyn Reference>, crate::serve::StartError> {
    options.without_flags()?;
    if options.db.is_some() {
        let why = "the reference server of AVP keeps everything in memory: leave --db out";
        return Err(crate::serve::StartError(why.into()));
    }
    match Server::start(Options::from(options)) {
        Ok(server) => Ok(Box::new(server)),
        Err(error) => Err(crate::serve::StartError(Box::new(error))),
    }
}

impl Reference for Server {
    fn url(&self) -> String {
        Server::url(self)
    }

    fn grpc(&self) -> Option<String> {
        Server::grpc(self)
    }

    fn fired(&self, name: &str) -> u64 {
        Server::fired(self, name)
    }
}

impl From<ServeOptions> for Options {
    fn from(options: ServeOptions) -> Options {
        Options {
            bind: options.bind,
            behaviour: options.behaviour,
            faults: options.faults,
            freedoms: options.freedoms,
            tls: options.tls,
            grpc: !options.no_grpc,
            log: options.log,
            ..Options::default()
        }
    }
}
