//! Where a repository is, and the two messages by which somebody joins it: `avp://` addresses and join tokens.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Habits;
use crate::text::{decode_segment, encode_segment};

const SCHEME: &str = "avp://";

/// `avp://<host[:port]>/<repoId>`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Host, with a port where there is one.
    pub(super) host: String,
    /// The id of the repository, as it is: it is not escaped in an address.
    pub(super) repo_id: String,
}

impl Address {
    /// Reads an address: everything up to the first slash is the host, everything behind it the id. The error says what is
    /// wrong with it.
    pub(super) fn parse(text: &str, habits: &Habits) -> Result<Address, String> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| format!("it does not begin with {SCHEME}"))?;
        let (mut host, mut repo_id) = rest.split_once('/').ok_or("it names no repository")?;
        if let (Some((before, after)), true) =
            (rest.rsplit_once('/'), habits.has("address-cut-at-last-slash"))
        {
            (host, repo_id) = (before, after);
        }
        if habits.has("address-port-lost") {
            host = host.split(':').next().unwrap_or_default();
        }
        if host.starts_with('[') && habits.has("address-ipv6-refused") {
            return Err("its host has more than one colon".to_owned());
        }
        let decoded = decode_segment(repo_id).filter(|decoded| decoded != repo_id);
        if let Some(decoded) = decoded
            .as_deref()
            .filter(|_| habits.has("address-percent-decoded"))
        {
            repo_id = decoded;
        }
        if host.is_empty() || repo_id.is_empty() {
            return Err("its host or its repository is empty".to_owned());
        }
        Ok(Address {
            host: host.to_owned(),
            repo_id: repo_id.to_owned(),
        })
    }

    /// The address as text.
    pub(super) fn write(&self, habits: &Habits) -> String {
        if habits.has("address-with-http") {
            return format!("http://{}/{}", self.host, self.repo_id);
        }
        let escaped = encode_segment(&self.repo_id);
        if escaped != self.repo_id && habits.has("address-id-escaped") {
            return format!("{SCHEME}{}/{escaped}", self.host);
        }
        format!("{SCHEME}{}/{}", self.host, self.repo_id)
    }
}

/// What a joiner gives the inviter: both public keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invite {
    pub(super) v: i64,
    pub(super) ed25519_public_key: String,
    pub(super) x25519_public_key: String,
}

/// What the inviter gives back: where the repository is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Locator {
    pub(super) v: i64,
    pub(super) host: String,
    pub(super) repo_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scheme_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key_epoch: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) issuer_jwks_url: Option<String>,
}

/// A join token: base64url without padding over minified JSON.
pub(super) fn write_token(message: &impl Serialize, habits: &Habits) -> String {
    let json = serde_json::to_vec(message).expect("a message of texts and numbers is JSON");
    if habits.has("join-token-padded") {
        return URL_SAFE.encode(json);
    }
    if habits.has("join-token-standard-alphabet") {
        return STANDARD_NO_PAD.encode(json);
    }
    URL_SAFE_NO_PAD.encode(json)
}

/// Reads a join token: any order of fields, any white space. The error says what is wrong with it.
pub(super) fn read_token<T: DeserializeOwned + Serialize>(token: &str, habits: &Habits) -> Result<T, String> {
    let json = URL_SAFE_NO_PAD
        .decode(token.trim())
        .or_else(|error| own_form(token, habits).ok_or(error))
        .map_err(|error| format!("it is not base64url without padding: {error}"))?;
    let json = match !json.is_ascii() && habits.has("join-token-in-latin-1") {
        true => json.into_iter().map(char::from).collect::<String>().into_bytes(),
        false => json,
    };
    let message: T =
        serde_json::from_slice(&json).map_err(|error| format!("it holds no such message: {error}"))?;
    strict(&message, &json, habits)?;
    Ok(message)
}

/// A client that writes tokens in a form of its own reads it too.
fn own_form(token: &str, habits: &Habits) -> Option<Vec<u8>> {
    if habits.is("join-token-padded") {
        return URL_SAFE.decode(token).ok();
    }
    let is_standard = habits.is("join-token-standard-alphabet");
    is_standard.then(|| STANDARD_NO_PAD.decode(token).ok())?
}

/// Reads tokens more strictly than JSON is.
fn strict(message: &impl Serialize, json: &[u8], habits: &Habits) -> Result<(), String> {
    let text = String::from_utf8_lossy(json);
    let names = |value: &Value| -> Vec<String> {
        let object = value.as_object();
        object.map(|it| it.keys().cloned().collect()).unwrap_or_default()
    };
    let came: Value = serde_json::from_slice(json).unwrap_or_default();
    let own = serde_json::to_value(message).unwrap_or_default();
    if names(&came) != names(&own) && habits.has("join-token-order-strict") {
        return Err("its fields are in another order".to_owned());
    }
    if text.contains([' ', '\n']) && habits.has("join-token-space-strict") {
        return Err("there is white space in it".to_owned());
    }
    let has_null = came.as_object().is_some_and(|it| it.values().any(Value::is_null));
    if has_null && habits.has("join-token-null-refused") {
        return Err("a field of it is null".to_owned());
    }
    let is_short = came.get("host").is_some() && came.get("schemeId").is_none();
    if is_short && habits.has("join-token-needs-all") {
        return Err("schemeId is missing".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were() {
        let plain = Habits::default();
        for (text, host, repo_id) in [
            ("avp://vault.example/r1", "vault.example", "r1"),
            ("avp://localhost:8787/a/b c%2F", "localhost:8787", "a/b c%2F"),
            ("avp://[::1]:8787/r", "[::1]:8787", "r"),
        ] {
            let address = Address::parse(text, &plain).unwrap();
            assert_eq!((address.host.as_str(), address.repo_id.as_str()), (host, repo_id));
            assert_eq!(address.write(&plain), text);
        }
        for text in ["http://x/r", "avp://x", "avp:///r", "avp://x/", "avp:x/r", ""] {
            assert!(Address::parse(text, &plain).is_err(), "{text}");
        }
    }

    #[test]
    fn tokens_are_read_in_any_order_and_written_in_one() {
        let plain = Habits::default();
        let invite = Invite {
            v: 1,
            ed25519_public_key: "e".to_owned(),
            x25519_public_key: "x".to_owned(),
        };
        let token = write_token(&invite, &plain);
        assert_eq!(
            URL_SAFE_NO_PAD.decode(&token).unwrap(),
            br#"{"v":1,"ed25519PublicKey":"e","x25519PublicKey":"x"}"#
        );
        assert_eq!(read_token::<Invite>(&token, &plain), Ok(invite.clone()));
        let other = "{ \"x25519PublicKey\": \"x\",\n \"v\": 1, \"ed25519PublicKey\": \"e\" }";
        assert_eq!(
            read_token::<Invite>(&URL_SAFE_NO_PAD.encode(other), &plain),
            Ok(invite)
        );
        for wrong in ["e30=", "e30", "+/+/", "%%"] {
            assert!(read_token::<Invite>(wrong, &plain).is_err(), "{wrong}");
        }
        let least = URL_SAFE_NO_PAD.encode(r#"{"v":1,"host":"h","repoId":"r"}"#);
        let locator: Locator = read_token(&least, &plain).unwrap();
        assert_eq!((locator.scheme_id.as_ref(), locator.key_epoch), (None, None));
        assert_eq!(write_token(&locator, &plain), least);
    }
}
