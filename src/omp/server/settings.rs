//! How a server treats signatures, and whose: told by its environment.

use std::collections::BTreeMap;

use super::rules::signatures::public_key;
use crate::omp::SERVICE_MODE;

/// What the variables begin with that name public keys.
pub(super) const KEY_VARIABLE: &str = "OMP_SIG_PUB_";
pub(super) const HEX_VARIABLE: &str = "OMP_SIG_PUB_HEX_";
/// The two variables that name a single key.
pub(super) const PAIR_ID: &str = "OMP_SIG_KEYID";
pub(super) const PAIR_KEY: &str = "OMP_SIG_ED25519_PUB";

/// How a server treats signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Strict,
    Permissive,
    Off,
}

/// The mode and the keys of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) mode: Mode,
    /// Public keys, by their ids.
    pub(super) keys: BTreeMap<String, [u8; 32]>,
}

impl Settings {
    /// What variables say. A mode that there is none of is taken for the strictest; of a variable that is named twice, what
    /// is said first counts.
    pub(super) fn read(environment: &[(String, String)]) -> Settings {
        let value = |name: &str| {
            environment
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        let mode = match value(SERVICE_MODE).unwrap_or("off") {
            "off" => Mode::Off,
            "permissive" => Mode::Permissive,
            _ => Mode::Strict,
        };
        let named = environment.iter().rev().filter_map(|(name, key)| {
            let id = name
                .strip_prefix(HEX_VARIABLE)
                .or_else(|| name.strip_prefix(KEY_VARIABLE))?;
            Some((id.to_owned(), public_key(key)?))
        });
        let pair = value(PAIR_ID).zip(value(PAIR_KEY));
        let pair = pair.and_then(|(id, key)| Some((id.to_owned(), public_key(key)?)));
        Settings {
            mode,
            keys: pair.into_iter().chain(named).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(environment: &[(&str, &str)]) -> Settings {
        let owned = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::read(&owned.collect::<Vec<_>>())
    }

    #[test]
    fn an_unknown_mode_is_strict_and_none_is_off() {
        for (said, mode) in [
            ("off", Mode::Off),
            ("permissive", Mode::Permissive),
            ("strict", Mode::Strict),
            ("stirct", Mode::Strict),
        ] {
            assert_eq!(read(&[(SERVICE_MODE, said)]).mode, mode, "{said}");
        }
        assert_eq!(read(&[]).mode, Mode::Off);
    }

    #[test]
    fn keys_are_told_under_three_names() {
        let hex = "ab".repeat(32);
        let told = read(&[
            ("OMP_SIG_PUB_a", &hex),
            ("OMP_SIG_PUB_HEX_b", &hex),
            (PAIR_ID, "c"),
            (PAIR_KEY, &hex),
            ("OMP_SIG_PUB_d", "no key"),
        ]);
        let ids: Vec<&String> = told.keys.keys().collect();
        assert_eq!(ids, ["a", "b", "c"]);
        assert!(read(&[(PAIR_ID, "c")]).keys.is_empty());
    }
}
