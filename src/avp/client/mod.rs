//! The reference client: a member's side of the protocol, whole, for authors of clients to read as a model.
//!
//! It is an independent witness. It shares no code with the driver and the judge, which hold servers to the rules; what it has
//! in common with them are the primitives of `keys`. It is built on `reqwest`, as an ordinary client would be.
//!
//! - `crypto` is section 5 of the protocol: envelopes, wrapped keys, key bindings.
//! - `http` is one request: tokens that stay with their origin, no redirects, bounds on time, size and tries.
//! - `vault` are the operations, and what a client must check of their answers before it believes them.
//! - `payload` is the plaintext, and what of it is not shared.
//! - `address` are `avp://` addresses and join tokens.
//! - `walk` is one lifecycle, a line a step; `adapter` takes commands from somebody else.
//!
//! `faults` holds what the client can be told to do otherwise: it serves to try the suite that judges clients.

pub mod adapter;
mod address;
mod crypto;
mod error;
mod faults;
mod http;
mod messages;
mod payload;
mod vault;
pub mod walk;

pub use faults::{ClientTables, FAULTS, VARIATIONS};
pub use vault::Log;

/// What one client does otherwise.
pub type Habits = crate::serve::Habits<ClientTables>;
