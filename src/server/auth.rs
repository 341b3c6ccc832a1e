//! The identity provider: challenges, and the tokens they are redeemed for (section 4 of the protocol page).

use std::collections::{HashMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::Rng;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::keys;
use super::state::{State, now};
use super::vault::text;

/// How many nonces may be outstanding; beyond that the oldest go.
const MOST_NONCES: usize = 100_000;

/// The nonces that are issued and neither redeemed nor expired.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    issued: HashMap<Vec<u8>, Issued>,
    order: VecDeque<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Issued {
    member_id: String,
    expires: i64,
}

impl Nonces {
    /// Records a nonce for the key that asked.
    fn issue(&mut self, nonce: Vec<u8>, member_id: &str, expires: i64) {
        self.prune();
        self.order.push_back(nonce.clone());
        self.issued.insert(
            nonce,
            Issued {
                member_id: member_id.to_owned(),
                expires,
            },
        );
    }

    /// Whether this nonce may be redeemed by this member.
    fn is_open(&self, nonce: &[u8], member_id: &str) -> bool {
        self.issued
            .get(nonce)
            .is_some_and(|issued| issued.member_id == member_id && issued.expires > now())
    }

    /// Takes a nonce out. Only one of several who try gets true.
    fn take(&mut self, nonce: &[u8]) -> bool {
        self.issued.remove(nonce).is_some()
    }

    /// Nonces all live equally long, so those that are over stand in front.
    fn prune(&mut self) {
        while let Some(oldest) = self.order.front() {
            let over = self
                .issued
                .get(oldest)
                .is_none_or(|issued| issued.expires <= now());
            if !over && self.order.len() < MOST_NONCES {
                return;
            }
            self.issued.remove(oldest);
            self.order.pop_front();
        }
    }
}

/// challenge: a fresh nonce for the key that asks.
pub(super) fn challenge(state: &State, body: &Value) -> Result<Value, Refusal> {
    let member_id = text(body, "ed25519PublicKey");
    keys::public_key(member_id).map_err(Refusal::bad_request)?;
    let mut nonce = vec![0; 32];
    rand::rng().fill_bytes(&mut nonce);
    let encoded = STANDARD.encode(&nonce);
    let expires = now() + state.lifetimes.nonce;
    state.nonces().issue(nonce, member_id, expires);
    Ok(json!({ "nonce": encoded }))
}

/// token: a bearer token for the member whose key signed the nonce.
///
/// The signature is checked before the nonce is taken, so that nobody can burn another's nonce; taking it is the one
/// step that decides between redemptions at the same time.
pub(super) fn token(state: &State, body: &Value) -> Result<Value, Refusal> {
    let member_id = text(body, "ed25519PublicKey");
    let key = keys::public_key(member_id).map_err(Refusal::bad_request)?;
    let nonce = STANDARD.decode(text(body, "nonce")).unwrap_or_default();
    let signature = STANDARD.decode(text(body, "signature")).unwrap_or_default();
    if !state.nonces().is_open(&nonce, member_id) {
        return Err(Refusal::unauthorized("the nonce is unknown, used or expired"));
    }
    if !keys::verifies(&key, &nonce, &signature) {
        return Err(Refusal::unauthorized(
            "the signature does not hold for this nonce and key",
        ));
    }
    if !state.nonces().take(&nonce) {
        return Err(Refusal::unauthorized("the nonce is used"));
    }
    let expires = now() + state.lifetimes.token;
    let token = state.tokens().issue(member_id, expires);
    Ok(json!({ "token": token, "expiresAt": expires }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_taken_once_and_only_by_its_key() {
        let mut nonces = Nonces::default();
        nonces.issue(vec![1], "alice", now() + 1000);
        assert!(nonces.is_open(&[1], "alice"));
        assert!(!nonces.is_open(&[1], "bob"));
        assert!(nonces.take(&[1]));
        assert!(!nonces.take(&[1]));
    }

    #[test]
    fn expired_nonces_are_closed_and_forgotten() {
        let mut nonces = Nonces::default();
        nonces.issue(vec![1], "alice", now() - 1);
        assert!(!nonces.is_open(&[1], "alice"));
        nonces.issue(vec![2], "alice", now() + 1000);
        assert_eq!((nonces.issued.len(), nonces.order.len()), (1, 1));
    }
}
