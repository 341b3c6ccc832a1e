//! The Alt Vault Protocol (AVP): its messages and operations, its cases, how they are driven and judged, a reference server
//! and its cryptography.

pub mod cases;
pub mod consequences;
pub mod crypto;
pub mod driver;
pub mod judge;
mod messages;
mod operation;
pub mod outcome;
pub mod repo_state;
pub mod repro;
pub mod schema;
pub mod server;

pub use messages::*;
pub use operation::{Operation, encode_segment, is_doubtful};
