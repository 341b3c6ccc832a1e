//! What the objects API demands, as plain functions: nothing here knows of storage, or of what else a server may do.

pub(super) mod addresses;
pub(super) mod objects;
pub(super) mod pages;
pub(super) mod signatures;
