//! What a server gets wrong of its environment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{HEX_VARIABLE, KEY_VARIABLE, Mode, Server, Settings};
use crate::omp::SERVICE_MODE;

impl Server {
    /// The settings as this server reads them from these variables.
    pub(super) fn configured(&self, environment: &[(String, String)]) -> Settings {
        let mut settings = self.settings.clone();
        let mode = environment.iter().find(|(name, _)| name == SERVICE_MODE);
        match mode.map(|(_, mode)| mode.as_str()) {
            None if self.bends("strict-unless-told") => settings.mode = Mode::Strict,
            None if self.bends("permissive-unless-told") => settings.mode = Mode::Permissive,
            Some("off" | "permissive" | "strict") | None => {}
            Some(_) if self.bends("unknown-mode-is-off") => settings.mode = Mode::Off,
            Some(_) => {}
        }
        let is_unread = |name: &str, key: &str| match name {
            "OMP_SIG_KEYID" => self.bends("pair-unread"),
            "OMP_SIG_ED25519_PUB" => {
                key.contains(['+', '/', '=']) && self.bends("pair-in-base64url-alone")
                    || key.len() == 64 && self.bends("pair-in-base64url-alone")
            }
            name if name.starts_with(HEX_VARIABLE) => self.bends("keys-in-hex-unread"),
            name if name.starts_with(KEY_VARIABLE) => {
                STANDARD.decode(key).is_err() && self.bends("keys-in-base64-alone")
            }
            _ => false,
        };
        let unread = environment.iter().any(|(name, key)| is_unread(name, key));
        if unread {
            let left: Vec<(String, String)> = environment
                .iter()
                .filter(|(name, key)| !is_unread(name, key))
                .cloned()
                .collect();
            settings.keys = Settings::read(&left).keys;
        }
        settings
    }
}
