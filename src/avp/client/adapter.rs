//! The reference client, spoken to by commands: the model of an adapter, as an author of another client writes one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Habits;
use super::address::{Address, Invite, Locator, read_token, write_token};
use super::error::ClientError;
use super::http::{Server, Watch};
use super::vault::{Log, Member, Pulled};
use crate::avp::adapter_contract::{Act, Command, ErrorKind, Reply, ReplyError};
use crate::keys::Identity;
use crate::keys::encoding::decode_array;

/// The version of join tokens.
const TOKEN_VERSION: i64 = 1;

/// The members that one adapter plays.
pub struct Adapter {
    habits: Habits,
    authority: Option<PathBuf>,
    log: Log,
    members: BTreeMap<String, Member>,
}

impl Adapter {
    /// An adapter that plays nobody yet. It trusts the authorities of a file besides the system's, if one is named; what the client logs goes to `log`.
    pub fn new(habits: Habits, authority: Option<PathBuf>, log: Log) -> Adapter {
        Adapter {
            habits,
            authority,
            log,
            members: BTreeMap::new(),
        }
    }

    /// Answers one line.
    pub async fn answer(&mut self, line: &str) -> String {
        let reply = match serde_json::from_str::<Command>(line) {
            Ok(command) => {
                let done = self.act(&command.member, command.act).await;
                reply(command.id, done)
            }
            Err(error) => {
                let id = serde_json::from_str::<Value>(line).ok();
                let id = id.and_then(|value| value["id"].as_u64()).unwrap_or(0);
                reply(
                    id,
                    Err(ClientError::Usage(format!("this is no command: {error}"))),
                )
            }
        };
        serde_json::to_string(&reply).expect("a reply is JSON")
    }

    async fn act(&mut self, name: &str, act: Act) -> Result<Value, ClientError> {
        let habits = self.habits.clone();
        if let Act::Identity {
            ed25519_secret,
            x25519_secret,
            server,
            issuer,
        } = &act
        {
            return self.identity(name, (ed25519_secret, x25519_secret), server, issuer.as_deref());
        }
        let member = self
            .members
            .get_mut(name)
            .ok_or_else(|| ClientError::Usage(format!("nobody is called {name:?} yet")))?;
        let usage = ClientError::Usage;
        Ok(match act {
            Act::Identity { .. } => json!({}),
            Act::Login {} => member.login().await.map(|_| json!({}))?,
            Act::Create {
                repo,
                alts,
                share_refresh_tokens,
            } => member
                .create(&repo, &alts, share_refresh_tokens)
                .await
                .map(|_| json!({}))?,
            Act::Pull { repo, known } => match member.pull(&repo, known.unwrap_or(0)).await? {
                Pulled::Unchanged(manifest) => json!({
                    "payloadVersion": manifest.payload_version,
                    "keyEpoch": manifest.key_epoch,
                    "unchanged": true,
                }),
                Pulled::Changed(read) => json!({
                    "payloadVersion": read.manifest.payload_version,
                    "keyEpoch": read.manifest.key_epoch,
                    "unchanged": false,
                    "alts": read.alts,
                }),
            },
            Act::Save { repo, alts } => {
                let saved = member.save(&repo, &alts).await?;
                json!({ "payloadVersion": saved.payload_version })
            }
            Act::Add {
                repo,
                ed25519_public_key,
                x25519_public_key,
                key_binding_sig,
            } => {
                let added = member.add(&repo, &ed25519_public_key, &x25519_public_key, key_binding_sig);
                added.await.map(|_| json!({}))?
            }
            Act::Remove { repo, member_id } => {
                let manifest = member.remove(&repo, &member_id).await?;
                json!({ "keyEpoch": manifest.key_epoch })
            }
            Act::Fetch { repo, member_id } => {
                let entry = member.fetch(&repo, &member_id).await?;
                json!({ "x25519PublicKey": entry.x25519_public_key })
            }
            Act::WriteInvite {} => json!({ "token": write_token(&invite(member), &habits) }),
            Act::ReadInvite { token } => {
                let invite: Invite = read_token(&token, &habits).map_err(usage)?;
                json!({
                    "ed25519PublicKey": invite.ed25519_public_key,
                    "x25519PublicKey": invite.x25519_public_key,
                })
            }
            Act::WriteLocator { host, repo } => {
                json!({ "token": write_token(&locator(host, repo), &habits) })
            }
            Act::ReadLocator { token } => {
                let locator: Locator = read_token(&token, &habits).map_err(usage)?;
                json!({ "host": locator.host, "repo": locator.repo_id })
            }
            Act::WriteAddress { host, repo } => {
                json!({ "address": Address { host, repo_id: repo }.write(&habits) })
            }
            Act::ReadAddress { address } => {
                let address = Address::parse(&address, &habits).map_err(usage)?;
                json!({ "host": address.host, "repo": address.repo_id })
            }
        })
    }

    fn identity(
        &mut self,
        name: &str,
        (ed25519, x25519): (&str, &str),
        server: &str,
        issuer: Option<&str>,
    ) -> Result<Value, ClientError> {
        let key = |what: &'static str, text: &str| {
            decode_array::<32>(what, text).map_err(|error| ClientError::Usage(error.to_string()))
        };
        let server = Server::parse(server)?;
        let keys = Identity::from_secrets(key("ed25519Secret", ed25519)?, key("x25519Secret", x25519)?);
        let issuer = issuer.map(|text| key("issuer", text)).transpose()?;
        let is_known = self
            .members
            .get(name)
            .is_some_and(|member| member.id() == keys.member_id());
        if !is_known {
            let silent: Watch = Arc::new(|_| {});
            let member = Member::new(
                keys,
                server.clone(),
                self.habits.clone(),
                self.authority.as_deref(),
                silent,
                Arc::clone(&self.log),
            )?;
            self.members.insert(name.to_owned(), member);
        }
        let member = self
            .members
            .get_mut(name)
            .ok_or_else(|| ClientError::Usage("nobody is there".to_owned()))?;
        member.server = server;
        member.issuer = issuer;
        Ok(json!({ "memberId": member.id(), "x25519PublicKey": member.x25519() }))
    }
}

/// What a member gives whoever is to invite them.
pub(super) fn invite(member: &Member) -> Invite {
    Invite {
        v: TOKEN_VERSION,
        ed25519_public_key: member.id().to_owned(),
        x25519_public_key: member.x25519().to_owned(),
    }
}

/// What a member gives whom they have added.
pub(super) fn locator(host: String, repo_id: String) -> Locator {
    Locator {
        v: TOKEN_VERSION,
        host,
        repo_id,
        scheme_id: Some(super::crypto::SCHEME.to_owned()),
        key_epoch: None,
        issuer_jwks_url: None,
    }
}

fn reply(id: u64, done: Result<Value, ClientError>) -> Reply {
    match done {
        Ok(value) => Reply {
            id,
            ok: Some(value.as_object().cloned().unwrap_or_default()),
            error: None,
        },
        Err(error) => Reply {
            id,
            ok: None,
            error: Some(ReplyError {
                kind: kind(&error),
                status: error.status(),
                message: error.to_string(),
            }),
        },
    }
}

fn kind(error: &ClientError) -> ErrorKind {
    match error {
        ClientError::Unreachable { .. } => ErrorKind::Unreachable,
        ClientError::Refused { .. } => ErrorKind::Refused,
        ClientError::Invalid { .. } => ErrorKind::Invalid,
        ClientError::Untrusted(_) => ErrorKind::Untrusted,
        ClientError::Conflict(_) => ErrorKind::Conflict,
        ClientError::Usage(_) => ErrorKind::Usage,
    }
}
