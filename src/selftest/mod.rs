//! The harness held against itself: the suite is run against the plain reference server, each of its variations and
//! each of its faults.
//!
//! A conformance suite is worth what it catches. The plain server and every variation must come out conformant under the
//! whole suite: whatever is broken there is a false alarm. Every fault must make a check of its level break, in a case that
//! declares it under `kills`: against a faulty server those cases run, and the others only where they do not catch it. A
//! fault that breaks nothing survived, and one that never took effect is dead code. Nothing counts unless the plain server is green and the canary, a fault
//! that no suite can miss, is caught.
//!
//! `runner` makes the runs, `matrix` is what they came to as plain data, and the renderings are functions of that. The
//! matrix of the whole suite is published in `reports/`; `published` reads it back.

mod diagnosis;
mod markdown;
mod matrix;
mod precision;
mod published;
mod runner;
mod text;

pub use diagnosis::{TRIPLES, Triple, diagnosis, learn, triples};
pub use markdown::render as markdown;
pub use matrix::{
    Caught, FaultRow, Matrix, MutantStatus, Plain, Rate, Report, SelftestOutcome, Stale, Unproven,
    VariationRow,
};
pub use precision::{Precision, blame};
pub use published::{PUBLISHED_JSON, PUBLISHED_MARKDOWN, Paths, json, kill_rate, paths, published};
pub use runner::{CheckId, Observation, Selftest, SelftestError, Settings, observe};
pub use text::render as text;
