//! The Alt Vault Protocol as data: operations, messages, requirements, schema.
//!
//! This module knows nobody else in the crate. It states what the protocol says and decides nothing about a server:
//! the reference server and the judge both read it, and neither reads the other.

pub mod catalogue;
mod messages;
mod name;
mod operation;
pub mod schema;
mod version;

pub use catalogue::{Catalogue, CatalogueError, Requirement, Subject, catalogue, section_title};
pub use messages::*;
pub use name::OperationName;
pub use operation::{Operation, encode_segment, is_doubtful};
pub use version::{Level, SpecVersion};
