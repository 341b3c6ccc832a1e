//! Clients of AVP under test: their cases, the server that the harness plays for them, and how what they do is judged.
//!
//! The harness's server is the reference server behind a listener that writes every request down and answers some of them
//! otherwise, as the case says. A walk is started and looked on. An adapter is told what to do; with the keys that it was given,
//! what it wrote is opened, and what it reads is forged.

mod alts;
mod builtin;
pub mod cases;
mod driver;
mod forge;
mod host;
mod judge;
mod marks;
mod protocol;

pub use protocol::AVP_CLIENT;
