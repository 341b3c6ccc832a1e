//! Verdicts: what a check, a case, a requirement and a run come to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalogue::Level;

/// What one check, case or requirement came to. Ordered from best to worst, so that the worst is the maximum.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The target does not offer what is optional, or its own limit refused the request first.
    NotApplicable,
    /// Seen to hold.
    Pass,
    /// A should is not kept.
    Warn,
    /// Not verified: an earlier step did not deliver what the check needs, or nothing showed it.
    Blocked,
    /// The harness could not do its work.
    Error,
    /// A must is not kept.
    Fail,
}

impl Verdict {
    /// All verdicts, in the order in which summaries name them.
    pub const ALL: [Verdict; 6] = [
        Verdict::Pass,
        Verdict::Warn,
        Verdict::Fail,
        Verdict::NotApplicable,
        Verdict::Blocked,
        Verdict::Error,
    ];

    /// The verdict as the JSON report writes it: `not-applicable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::NotApplicable => "not-applicable",
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Blocked => "blocked",
            Verdict::Error => "error",
            Verdict::Fail => "fail",
        }
    }

    /// The verdict as people read it: `not applicable`.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::NotApplicable => "not applicable",
            Verdict::Blocked => "not verified",
            other => other.as_str(),
        }
    }

    /// What a broken requirement of this level comes to: a must fails, a should warns, a may is not offered.
    pub fn of_broken(level: Level) -> Verdict {
        match level {
            Level::Must => Verdict::Fail,
            Level::Should => Verdict::Warn,
            Level::May => Verdict::NotApplicable,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

/// What a whole run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunVerdict {
    /// Every applicable must that was selected is verified and none fails.
    Conformant,
    /// A must fails or is not verified (under `--strict`: or a should is not kept).
    Nonconformant,
    /// The harness could not finish its work.
    Incomplete,
}

impl fmt::Display for RunVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RunVerdict::Conformant => "conformant",
            RunVerdict::Nonconformant => "nonconformant",
            RunVerdict::Incomplete => "incomplete",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_is_the_maximum() {
        let worst = Verdict::ALL.into_iter().max();
        assert_eq!(worst, Some(Verdict::Fail));
        assert!(
            Verdict::Blocked > Verdict::Warn,
            "a must that is not verified outweighs a warning"
        );
        assert!(
            Verdict::Pass > Verdict::NotApplicable,
            "what was seen once outweighs a limit elsewhere"
        );
    }
}
