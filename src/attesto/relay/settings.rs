//! What a command is configured with: options first, then variables.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

const PREFIX: &str = "ATTESTO_LOCAL_VAULT_";

/// How long the relay waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long one attempt may take, from the connection to the end of the answer.
    pub attempt: Duration,
    /// How long an item rests after its first failed attempt; twice as long after each further one, up to an hour.
    pub first_delay: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            attempt: Duration::from_secs(10),
            first_delay: Duration::from_secs(2),
        }
    }
}

/// The variables of a command's environment.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// These variables.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
        Environment(variables.into_iter().collect())
    }

    /// The variable of a name, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// What an option says, else its variable.
    ///
    /// # Errors
    /// Neither says anything.
    pub(super) fn value(&self, option: Option<&String>, name: &str) -> Result<String, String> {
        let own = option.map(String::as_str);
        let name = format!("{PREFIX}{name}");
        let value = own.or_else(|| self.get(&name)).map(str::to_owned);
        value.ok_or_else(|| format!("{name} is not set"))
    }

    /// The file that an option names, else its variable.
    ///
    /// # Errors
    /// Neither names one.
    pub(super) fn file(&self, option: Option<&PathBuf>, name: &str) -> Result<PathBuf, String> {
        match option {
            Some(path) => Ok(path.clone()),
            None => self.value(None, name).map(PathBuf::from),
        }
    }

    /// The seed of the signing key.
    ///
    /// # Errors
    /// It is not set, or neither 64 hexadecimal digits nor the base64 of 32 bytes.
    pub(super) fn signing_key(&self) -> Result<[u8; 32], String> {
        let text = self.value(None, "SIGNING_KEY")?;
        let bytes = from_hex(&text).or_else(|| STANDARD.decode(&text).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
            format!("{PREFIX}SIGNING_KEY is neither 64 hexadecimal digits nor base64 of 32 bytes")
        })
    }

    /// The key that payloads are kept under.
    ///
    /// # Errors
    /// It is not set, or not the url-safe base64 of 32 bytes.
    pub(super) fn encryption_key(&self) -> Result<[u8; 32], String> {
        let text = self.value(None, "ENCRYPTION_KEY")?;
        let bytes = URL_SAFE.decode(text).ok();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| format!("{PREFIX}ENCRYPTION_KEY is not the url-safe base64 of 32 bytes"))
    }
}

/// The bytes of 64 hexadecimal digits.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = is_hex.then_some(text)?;
    (0..32)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok())
        .collect()
}
