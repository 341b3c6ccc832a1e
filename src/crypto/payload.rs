//! The plaintext of a payload, with secrets planted in it that must never be seen outside.

use serde_json::{Map, Value, json};

use super::encoding::hex;
use super::seed::Seed;

/// The accounts of a repository's payloads, and what must not leak of them.
#[derive(Clone, PartialEq, Eq)]
pub struct PlantedAccounts {
    accounts: Vec<Value>,
    /// Every planted secret.
    pub secrets: Vec<PlantedSecret>,
}

impl PlantedAccounts {
    /// The plaintext `VaultPayload` of a version: minified JSON, UTF-8.
    pub fn payload(&self, version: i64) -> Vec<u8> {
        let payload = json!({ "alts": self.accounts, "payloadVersion": version });
        payload.to_string().into_bytes()
    }
}

/// A value that is found in one plaintext only, so that seeing it elsewhere proves a leak.
#[derive(Clone, PartialEq, Eq)]
pub struct PlantedSecret {
    /// A JSON pointer to it in the plaintext: `/alts/0/accessToken`.
    pub pointer: String,
    /// The value; ASCII, at least 15 characters.
    pub value: String,
}

/// The accounts of a repository, one of each type: each field that says something about an account is derived from the
/// seed and the labels.
///
/// `refreshToken` and `expiresAt` are in it only where the repository shares refresh tokens. Optional fields are
/// present, null or absent in turn. The same arguments give the same accounts.
pub fn plant_accounts(seed: &Seed, labels: &[&str], share_refresh_tokens: bool) -> PlantedAccounts {
    let planter = Planter { seed, labels };
    let mut secrets = Vec::new();
    let accounts = ["MICROSOFT", "COOKIE", "SESSION", "OFFLINE"]
        .iter()
        .enumerate()
        .map(|(at, kind)| planter.alt(at, kind, share_refresh_tokens, &mut secrets))
        .collect();
    PlantedAccounts { accounts, secrets }
}

/// Any time will do: 2025-01-01T00:00:00Z, epoch milliseconds.
const SOME_TIME: i64 = 1_735_689_600_000;

/// The fields that hold a secret wherever they are found.
const SECRET_FIELDS: [&str; 5] = ["uuid", "username", "accessToken", "refreshToken", "lastUsedBy"];

/// Derives values for the fields of accounts.
struct Planter<'a> {
    seed: &'a Seed,
    labels: &'a [&'a str],
}

impl Planter<'_> {
    /// One account; its secrets are added to the list.
    fn alt(&self, at: usize, kind: &str, share: bool, secrets: &mut Vec<PlantedSecret>) -> Value {
        let mut alt = Map::new();
        alt.insert("uuid".into(), self.uuid(at).into());
        alt.insert(
            "username".into(),
            format!("Alt{}", self.token(at, "username", 12)).into(),
        );
        alt.insert("accessToken".into(), self.secret(at, "accessToken").into());
        alt.insert("type".into(), kind.into());
        alt.insert("lastUsed".into(), SOME_TIME.into());
        if share {
            alt.insert("refreshToken".into(), self.secret(at, "refreshToken").into());
            alt.insert("expiresAt".into(), (SOME_TIME + 86_400_000).into());
        }
        match at % 3 {
            0 => {
                alt.insert("lastUsedBy".into(), self.secret(at, "lastUsedBy").into());
                alt.insert("bans".into(), bans());
            }
            1 => {
                alt.insert("lastUsedBy".into(), Value::Null);
                alt.insert("bans".into(), Value::Null);
            }
            _ => {}
        }
        for field in SECRET_FIELDS {
            if let Some(value) = alt.get(field).and_then(Value::as_str) {
                secrets.push(PlantedSecret {
                    pointer: format!("/alts/{at}/{field}"),
                    value: value.to_owned(),
                });
            }
        }
        Value::Object(alt)
    }

    fn secret(&self, at: usize, field: &str) -> String {
        format!("planted-{field}-{}", self.token(at, field, 40))
    }

    /// So many hexadecimal digits, at most 64.
    fn token(&self, at: usize, field: &str, digits: usize) -> String {
        let at = at.to_string();
        let own = ["payload", at.as_str(), field];
        let labels: Vec<_> = self.labels.iter().copied().chain(own).collect();
        let mut token = hex(&self.seed.derive(&labels));
        token.truncate(digits);
        token
    }

    fn uuid(&self, at: usize) -> String {
        let digits = self.token(at, "uuid", 32);
        let parts = [
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..],
        ];
        parts.join("-")
    }
}

fn bans() -> Value {
    json!({
        "mc.example.test": {
            "banned": true,
            "observedAt": SOME_TIME,
            "source": "disconnect",
            "detail": "You are banned from this server.",
            "observedBy": null,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::protocol::schema::violations;

    fn planted(labels: &[&str], share: bool) -> PlantedAccounts {
        plant_accounts(&Seed::from_bytes([1; 32]), labels, share)
    }

    #[test]
    fn the_plaintext_is_a_vault_payload_that_holds_every_secret() {
        for share in [false, true] {
            let planted = planted(&["repo"], share);
            let value: Value = serde_json::from_slice(&planted.payload(7)).unwrap();
            assert_eq!(violations("VaultPayload", &value), []);
            assert_eq!(value["payloadVersion"], 7);
            for secret in &planted.secrets {
                assert_eq!(value.pointer(&secret.pointer).unwrap(), secret.value.as_str());
                assert!(
                    secret.value.is_ascii() && secret.value.len() >= 15,
                    "{}",
                    secret.value
                );
            }
        }
    }

    #[test]
    fn refresh_tokens_are_in_it_only_where_they_are_shared() {
        let has = |share, name: &str| {
            String::from_utf8(planted(&["repo"], share).payload(1))
                .unwrap()
                .contains(name)
        };
        for name in ["refreshToken", "expiresAt"] {
            assert!(has(true, name));
            assert!(!has(false, name));
        }
    }

    #[test]
    fn no_secret_is_planted_twice() {
        let all = [planted(&["repo"], true), planted(&["other"], true)]
            .map(|planted| planted.secrets)
            .concat();
        let values: HashSet<_> = all.iter().map(|secret| &secret.value).collect();
        assert_eq!(values.len(), all.len());
        assert_eq!(
            planted(&["repo"], true).payload(1),
            planted(&["repo"], true).payload(1)
        );
    }
}
