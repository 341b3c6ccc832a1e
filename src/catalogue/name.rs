//! Names of a protocol as they stand in records: plain text, so that a stored report is read by whoever does not know the
//! protocol any more.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of an operation: `createRepo`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct OperationName(Cow<'static, str>);

impl OperationName {
    /// A name that is known when the program is built.
    pub const fn new(name: &'static str) -> OperationName {
        OperationName(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
