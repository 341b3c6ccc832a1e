//! The Alt Vault Protocol (AVP): its messages and operations, its cases, how they are driven and judged, a reference server
//! and its cryptography.

mod across_cases;
pub mod actors;
pub mod adapter_contract;
pub mod cases;
mod catalogue;
pub mod client;
pub mod client_suite;
pub mod consequences;
pub mod crypto;
pub mod driver;
pub mod generation;
pub mod grpc;
mod issuer_keys;
pub mod judge;
mod messages;
mod operation;
pub mod outcome;
mod protocol;
mod recognise;
pub mod repo_state;
pub mod repro;
pub mod schema;
pub mod server;

pub use catalogue::{V0_2, V0_3, V0_4, catalogue};
pub use messages::*;
pub use operation::{IDP, Operation, VAULT};
pub use protocol::AVP;
