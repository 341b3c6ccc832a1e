//! The published matrix: that of the whole suite, as it stands in `reports/`.

use std::sync::LazyLock;

use super::matrix::Matrix;
use crate::protocol::Protocol;
use crate::record::FIRST_PROTOCOL;

/// Where what is published of a protocol stands, from the root of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The matrix as JSON.
    pub json: String,
    /// The matrix for people.
    pub markdown: String,
    /// What reports blame under each fault.
    pub blame: String,
    /// What breaks under each fault.
    pub fingerprints: String,
    /// How well reports tell what is wrong.
    pub diagnosis: String,
}

/// Where what is published of a protocol stands.
pub fn paths(protocol: &Protocol) -> Paths {
    let name = match protocol.name {
        FIRST_PROTOCOL => String::new(),
        other => format!("{other}."),
    };
    let path = |file: &str| format!("reports/{name}{file}");
    Paths {
        json: path("selftest.json"),
        markdown: path("selftest.md"),
        blame: path("blame.md"),
        fingerprints: path("fingerprints.json"),
        diagnosis: path("diagnosis.md"),
    }
}

/// The published matrix, as JSON.
pub const PUBLISHED_JSON: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/reports/selftest.json"));

/// The published matrix, for people.
pub const PUBLISHED_MARKDOWN: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/reports/selftest.md"));

/// The published matrix; none where this program cannot read it.
pub fn published() -> Option<&'static Matrix> {
    static MATRIX: LazyLock<Option<Matrix>> = LazyLock::new(|| serde_json::from_str(PUBLISHED_JSON).ok());
    MATRIX.as_ref()
}

/// The published kill rate of the suite with this hash, percent. None for another suite: nobody has seen what it
/// catches.
pub fn kill_rate(suite: &str) -> Option<f64> {
    published()
        .filter(|matrix| matrix.suite == suite)
        .map(|matrix| matrix.kill_rate)
}

/// A matrix as JSON.
pub fn json(matrix: &Matrix) -> String {
    // Plain data in memory has no way to fail.
    let text = serde_json::to_string_pretty(matrix).unwrap_or_default();
    format!("{text}\n")
}
