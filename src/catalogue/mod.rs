//! What a protocol demands: requirements under stable ids, their levels, the versions that brought them, the names of its
//! operations.
//!
//! This module knows nobody else in the crate, and decides nothing about a server.

mod name;
mod operation;
mod requirements;
mod version;

pub use name::OperationName;
pub use operation::OperationInfo;
pub use requirements::{Catalogue, CatalogueError, Harm, Requirement, Section, Subject, split_id};
pub use version::{Level, Version};
