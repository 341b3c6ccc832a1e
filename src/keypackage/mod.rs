//! The key-package registry (KPR): devices publish signed bundles, anybody fetches them, nobody logs in.

pub mod cases;
mod consequences;
mod devices;
mod driver;
mod judge;
mod protocol;
pub mod repro;
pub mod server;

pub use protocol::KEYPACKAGE;
