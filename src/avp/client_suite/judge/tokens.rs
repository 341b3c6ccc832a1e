//! What the answers to commands must hold that need no server: join tokens and addresses.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::super::cases::{Act, Step};
use super::{Judge, asked, told};
use crate::judge::Finding;

/// Whether what came out is what went in; none where nothing has to be shown.
pub(super) fn shows(
    judge: &Judge<'_, '_>,
    step: &Step,
    ok: &Map<String, Value>,
    at: usize,
) -> Option<Finding> {
    let command = asked(&judge.exchanges[at]);
    let argument = |pointer: &str| command.pointer(pointer).cloned().unwrap_or_default();
    let member = judge.members.get(&step.member);
    let keys = member.map(|member| (member.member_id(), member.x25519_public_key()));
    match &step.act {
        Act::ReadInvite(_) => {
            let (ed25519, x25519) = keys?;
            Some(same(
                ok,
                &[
                    ("ed25519PublicKey", ed25519.into()),
                    ("x25519PublicKey", x25519.into()),
                ],
            ))
        }
        Act::WriteInvite {} => {
            let (ed25519, x25519) = keys?;
            let wanted = [
                ("v", json!(1)),
                ("ed25519PublicKey", ed25519.into()),
                ("x25519PublicKey", x25519.into()),
            ];
            Some(written(ok, &wanted))
        }
        Act::WriteLocator(place) => {
            let (host, repo) = (place.host.as_str(), place.repo.as_str());
            Some(written(
                ok,
                &[("v", json!(1)), ("host", host.into()), ("repoId", repo.into())],
            ))
        }
        Act::ReadLocator(_) => {
            let token = argument("/do/read-locator/token");
            let wanted = decoded(token.as_str()?).ok()?;
            let wanted = [
                ("host", wanted["host"].clone()),
                ("repo", wanted["repoId"].clone()),
            ];
            Some(same(ok, &wanted))
        }
        Act::ReadAddress(place) => {
            let wanted = [
                ("host", place.host.as_str().into()),
                ("repo", place.repo.as_str().into()),
            ];
            Some(same(ok, &wanted))
        }
        Act::WriteAddress(place) => {
            let wanted = format!("avp://{}/{}", place.host, place.repo);
            Some(same(ok, &[("address", wanted.into())]))
        }
        Act::Fetch(name) => {
            let key = judge.members.get(name)?.x25519_public_key();
            Some(same(ok, &[("x25519PublicKey", key.into())]))
        }
        _ => None,
    }
}

fn same(ok: &Map<String, Value>, wanted: &[(&str, Value)]) -> Finding {
    let other = wanted.iter().find(|(name, value)| ok.get(*name) != Some(value));
    match other {
        None => Finding::Holds,
        Some((name, _)) => Finding::broken_at(format!("/ok/{name}"), told(ok.get(*name))),
    }
}

/// Whether a token is one, and says what it has to say.
fn written(ok: &Map<String, Value>, wanted: &[(&str, Value)]) -> Finding {
    let Some(token) = ok.get("token").and_then(Value::as_str) else {
        return Finding::broken_at("/ok/token", told(ok.get("token")));
    };
    let message = match decoded(token) {
        Ok(message) => message,
        Err(why) => return Finding::broken_at("/ok/token", why),
    };
    let other = wanted
        .iter()
        .find(|(name, value)| message.get(*name) != Some(value));
    match other {
        None => Finding::Holds,
        Some((name, _)) => Finding::broken_at("/ok/token", format!("{name} is {}", told(message.get(*name)))),
    }
}

fn decoded(token: &str) -> Result<Value, String> {
    let json = URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|error| format!("no base64url without padding: {error}"))?;
    serde_json::from_slice(&json).map_err(|error| format!("no JSON: {error}"))
}
