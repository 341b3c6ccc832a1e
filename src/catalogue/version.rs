//! Protocol versions and the RFC 2119 levels of requirements.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most numbers that a version has.
const MOST_NUMBERS: usize = 3;

/// A published version of a protocol, one to three numbers: `0`, `0.4`, `0.2.0`. Later versions are greater, and only add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    numbers: [u16; MOST_NUMBERS],
    /// How many of them are written.
    written: usize,
}

impl Version {
    /// The version of these numbers, of which there are one to three.
    pub const fn of(numbers: &[u16]) -> Version {
        let mut all = [0; MOST_NUMBERS];
        let mut at = 0;
        while at < numbers.len() {
            all[at] = numbers[at];
            at += 1;
        }
        Version {
            numbers: all,
            written: numbers.len(),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = self.numbers[..self.written].iter().map(u16::to_string);
        f.pad(&numbers.collect::<Vec<_>>().join("."))
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        let numbers: Option<Vec<u16>> = text.split('.').map(number).collect();
        numbers
            .filter(|numbers| numbers.len() <= MOST_NUMBERS)
            .map(|numbers| Version::of(&numbers))
            .ok_or_else(|| format!("{text:?} is no version: one to three numbers are, such as 0.4"))
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Version {
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[0-9]+(\.[0-9]+){0,2}$",
            "description": "A published version of a protocol, one to three numbers."
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers_and_written_as_they_were_read() {
        let read = |text: &str| text.parse::<Version>();
        let ordered = ["0", "0.2", "0.2.1", "0.4", "0.10", "1"];
        for pair in ordered.windows(2) {
            assert!(read(pair[0]).unwrap() < read(pair[1]).unwrap(), "{pair:?}");
        }
        for text in ordered {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        for wrong in ["", ".", "0.", "v1", "0.1.2.3", "-1", "+1", "65536", "0 .1"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
