//! Protocol versions and the RFC 2119 levels of requirements.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A published version of the protocol. Later versions only add.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub enum SpecVersion {
    /// The first published version.
    #[serde(rename = "0.2")]
    V0_2,
    /// Adds the error object, limits and retries.
    #[serde(rename = "0.3")]
    V0_3,
    /// Adds `shareRefreshTokens` and bans per server.
    #[default]
    #[serde(rename = "0.4")]
    V0_4,
}

impl SpecVersion {
    /// All versions, oldest first.
    pub const ALL: [SpecVersion; 3] = [SpecVersion::V0_2, SpecVersion::V0_3, SpecVersion::V0_4];

    /// The version as it is written: `0.2`.
    pub fn as_str(self) -> &'static str {
        match self {
            SpecVersion::V0_2 => "0.2",
            SpecVersion::V0_3 => "0.3",
            SpecVersion::V0_4 => "0.4",
        }
    }
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SpecVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        SpecVersion::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no published version: 0.2, 0.3 and 0.4 are"))
    }
}

/// How binding a requirement is (RFC 2119). Ordered from weakest to strongest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Truly optional: reported, never judged.
    May,
    /// A server that does not keep it is conformant with a warning.
    Should,
    /// A server that does not keep it is not conformant.
    Must,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::May => "may",
            Level::Should => "should",
            Level::Must => "must",
        })
    }
}
