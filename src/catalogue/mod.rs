//! What a protocol demands: requirements under stable ids, their levels, the versions that brought them, the names of its
//! operations.
//!
//! This module knows nobody else in the crate, and decides nothing about a server.

mod name;
mod requirements;
mod version;

pub use name::OperationName;
pub use requirements::{
    Catalogue, CatalogueError, Requirement, SECTIONS, Subject, catalogue, section_title, source,
};
pub use version::{Level, SpecVersion};
