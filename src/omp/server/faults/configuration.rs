//! What a server gets wrong of its environment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::catalogue::Level::{Must, Should};
use crate::omp::SERVICE_MODE;
use crate::omp::server::Server;
use crate::omp::server::settings::{HEX_VARIABLE, KEY_VARIABLE, Mode, PAIR_ID, PAIR_KEY, Settings};
use crate::serve::{Fault, fault};

/// What is read of the environment.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "permissive-unless-told",
        "configuration",
        &["OMP-CFG-01"],
        Must,
        "Without OMP_SIG_MODE the mode is permissive.",
        "A client whose headers are malformed is refused by a server that should not look at them.",
        "Take off where the variable is not set.",
    ),
    fault(
        "strict-unless-told",
        "configuration",
        &["OMP-CFG-01"],
        Must,
        "Without OMP_SIG_MODE the mode is strict.",
        "A server that was started as it is refuses every client.",
        "Take off where the variable is not set.",
    ),
    fault(
        "keys-in-hex-unread",
        "configuration",
        &["OMP-CFG-02"],
        Must,
        "OMP_SIG_PUB_HEX_<keyid> is not looked at.",
        "Signatures of a key that the server was told of are refused.",
        "Look for the key under both names, and decode this one as hex.",
    ),
    fault(
        "keys-in-base64-alone",
        "configuration",
        &["OMP-CFG-02", "OMP-SIG-09"],
        Must,
        "The key of OMP_SIG_PUB_<keyid> is decoded as padded standard base64 alone.",
        "Signatures of a key that the server was told of are refused.",
        "Decode base64url without padding.",
    ),
    fault(
        "pair-unread",
        "configuration",
        &["OMP-CFG-02"],
        Must,
        "OMP_SIG_KEYID and OMP_SIG_ED25519_PUB are not looked at.",
        "Signatures of a key that the server was told of are refused.",
        "Add the pair to the keys of the other variables.",
    ),
    fault(
        "pair-in-base64url-alone",
        "configuration",
        &["OMP-CFG-02"],
        Must,
        "OMP_SIG_ED25519_PUB is decoded as base64url alone.",
        "Signatures of a key that the server was told of are refused.",
        "Take base64url, base64 and hex.",
    ),
    fault(
        "unknown-mode-is-off",
        "configuration",
        &["OMP-CFG-03"],
        Should,
        "An unknown OMP_SIG_MODE is taken for off.",
        "A typing mistake opens all routes.",
        "Refuse to start, or take strict.",
    ),
    fault(
        "the-pair-counts-alone",
        "configuration",
        &["OMP-CFG-02"],
        Must,
        "Where the pair is set, the keys of the other variables are not looked at.",
        "Signatures of a key that the server was told of are refused.",
        "Add the pair to the keys of the other variables.",
    ),
    fault(
        "key-ids-are-words",
        "configuration",
        &["OMP-CFG-02"],
        Must,
        "A key whose id has a dash, a dot or a capital in it is dropped.",
        "Signatures of a key that the server was told of are refused.",
        "Take any id.",
    ),
];

impl Server {
    /// The settings as this server reads them from variables, given what these say.
    pub(in crate::omp::server) fn reads_settings(
        &self,
        environment: &[(String, String)],
        mut settings: Settings,
    ) -> Settings {
        let mode = environment.iter().find(|(name, _)| name == SERVICE_MODE);
        match mode.map(|(_, mode)| mode.as_str()) {
            None if self.bends("strict-unless-told") => settings.mode = Mode::Strict,
            None if self.bends("permissive-unless-told") => settings.mode = Mode::Permissive,
            Some("off" | "permissive" | "strict") | None => {}
            Some(_) if self.bends("unknown-mode-is-off") => settings.mode = Mode::Off,
            Some(_) => {}
        }
        let (unread, left): (Vec<_>, Vec<_>) = environment
            .iter()
            .cloned()
            .partition(|(name, key)| self.is_unread(environment, name, key));
        if !unread.is_empty() {
            settings.keys = Settings::read(&left).keys;
        }
        settings
    }

    /// Whether a variable is not looked at.
    fn is_unread(&self, environment: &[(String, String)], name: &str, key: &str) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        match name {
            PAIR_ID => {
                self.bends("pair-unread") || !key.bytes().all(is_plain) && self.bends("key-ids-are-words")
            }
            PAIR_KEY => {
                (key.contains(['+', '/', '=']) || key.len() == 64) && self.bends("pair-in-base64url-alone")
            }
            name if name.starts_with(KEY_VARIABLE)
                && environment.iter().any(|(other, _)| other == PAIR_ID)
                && self.bends("the-pair-counts-alone") =>
            {
                true
            }
            name if name.starts_with(HEX_VARIABLE) => self.bends("keys-in-hex-unread"),
            name if name.starts_with(KEY_VARIABLE) => {
                STANDARD.decode(key).is_err() && self.bends("keys-in-base64-alone")
            }
            _ => false,
        }
    }
}
