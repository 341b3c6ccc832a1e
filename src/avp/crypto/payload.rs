//! The plaintext of a payload, with secrets planted in it that must never be seen outside.

use serde_json::{Map, Value, json};

use crate::keys::Seed;
use crate::keys::encoding::hex;

/// The accounts of a repository's payloads, and what must not leak of them.
#[derive(Clone, PartialEq, Eq)]
pub struct PlantedAccounts {
    /// The accounts as JSON.
    alts: String,
    /// Twelve hexadecimal digits that every secret of an account has in it, and nothing else in the run: seeing them
    /// outside the plaintext proves a leak.
    pub mark: String,
}

impl PlantedAccounts {
    /// The plaintext `VaultPayload` of a version: minified JSON, UTF-8.
    pub fn payload(&self, version: i64) -> Vec<u8> {
        let alts = &self.alts;
        format!("{{\"alts\":{alts},\"payloadVersion\":{version}}}").into_bytes()
    }
}

/// The accounts of a repository, one of each type: each field that says something about an account is derived from the
/// seed and the labels.
///
/// `refreshToken` and `expiresAt` are in it only where the repository shares refresh tokens. Optional fields are
/// present, null or absent in turn. The same arguments give the same accounts.
pub fn plant_accounts(seed: &Seed, labels: &[&str], share_refresh_tokens: bool) -> PlantedAccounts {
    let labels: Vec<_> = labels.iter().copied().chain(["payload"]).collect();
    let mut mark = hex(&seed.derive(&labels));
    mark.truncate(12);
    let kinds = ["MICROSOFT", "COOKIE", "SESSION", "OFFLINE"].iter().enumerate();
    let alts: Vec<Value> = kinds
        .map(|(at, kind)| alt(&mark, at, kind, share_refresh_tokens))
        .collect();
    PlantedAccounts {
        alts: Value::from(alts).to_string(),
        mark,
    }
}

/// Any time will do: 2025-01-01T00:00:00Z, epoch milliseconds.
const SOME_TIME: i64 = 1_735_689_600_000;

fn alt(mark: &str, at: usize, kind: &str, share_refresh_tokens: bool) -> Value {
    let secret = |field: &str| format!("planted-{field}-{mark}-{at}");
    let mut alt = Map::new();
    alt.insert("uuid".into(), format!("{at:08}-0000-4000-8000-{mark}").into());
    alt.insert("username".into(), format!("Alt{mark}{at}").into());
    alt.insert("accessToken".into(), secret("accessToken").into());
    alt.insert("type".into(), kind.into());
    alt.insert("lastUsed".into(), SOME_TIME.into());
    if share_refresh_tokens {
        alt.insert("refreshToken".into(), secret("refreshToken").into());
        alt.insert("expiresAt".into(), (SOME_TIME + 86_400_000).into());
    }
    match at % 3 {
        0 => {
            alt.insert("lastUsedBy".into(), secret("lastUsedBy").into());
            alt.insert("bans".into(), bans());
        }
        1 => {
            alt.insert("lastUsedBy".into(), Value::Null);
            alt.insert("bans".into(), Value::Null);
        }
        _ => {}
    }
    Value::Object(alt)
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
    use crate::avp::schema::violations;

    fn planted(labels: &[&str], share: bool) -> PlantedAccounts {
        plant_accounts(&Seed::from_bytes([1; 32]), labels, share)
    }

    #[test]
    fn the_plaintext_is_a_vault_payload_whose_every_secret_has_the_mark() {
        for share in [false, true] {
            let planted = planted(&["repo"], share);
            let value: Value = serde_json::from_slice(&planted.payload(7)).unwrap();
            assert_eq!(violations("VaultPayload", &value), []);
            assert_eq!(value["payloadVersion"], 7);
            let mut secrets = HashSet::new();
            for alt in value["alts"].as_array().unwrap() {
                for field in ["uuid", "username", "accessToken", "refreshToken", "lastUsedBy"] {
                    if let Some(secret) = alt.get(field).and_then(Value::as_str) {
                        assert!(secret.contains(&planted.mark), "{secret}");
                        assert!(secrets.insert(secret), "{secret} stands twice");
                    }
                }
            }
            assert_eq!(secrets.len(), if share { 18 } else { 14 });
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
    fn every_repository_has_a_mark_of_its_own() {
        assert_ne!(planted(&["repo"], true).mark, planted(&["other"], true).mark);
        assert_eq!(
            planted(&["repo"], true).payload(1),
            planted(&["repo"], true).payload(1)
        );
    }
}
