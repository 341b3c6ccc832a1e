//! The operations of the protocol, a file for each or for a pair that belong together. Each asks the plain rules of
//! `rules` one after the other, and writes: nothing here knows of faults.

pub(super) mod auth;
pub(super) mod create;
pub(super) mod discovery;
pub(super) mod members;
pub(super) mod pull;
pub(super) mod push;
pub(super) mod removal;
