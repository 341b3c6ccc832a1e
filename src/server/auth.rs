//! The identity provider: challenges, and the tokens they are redeemed for (section 4 of the protocol page).

use std::collections::{HashMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::state::{State, now};
use super::tokens::random;
use super::variations::identity;
use super::vault::text;
use super::{keys, tokens};

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

    /// Forgets the outstanding nonces of a member; true where there were some.
    fn void(&mut self, member_id: &str) -> bool {
        let count = self.issued.len();
        self.issued.retain(|_, issued| issued.member_id != member_id);
        self.issued.len() < count
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
    if let Err(reason) = keys::public_key(state, member_id)
        && !state.deviates(identity::BAD_KEY_UNREDEEMABLE)
    {
        return Err(Refusal::bad_request(reason));
    }
    let nonce = random(if state.deviates(identity::LONG_NONCES) {
        64
    } else {
        32
    });
    let encoded = STANDARD.encode(&nonce);
    let mut nonces = state.nonces();
    if state.is(identity::ONE_NONCE_PER_KEY) && nonces.void(member_id) {
        state.fire();
    }
    nonces.issue(nonce, member_id, now() + state.lifetimes.nonce);
    Ok(json!({ "nonce": encoded }))
}

/// token: a bearer token for the member whose key signed the nonce.
pub(super) fn token(state: &State, body: &Value) -> Result<Value, Refusal> {
    let member_id = text(body, "ed25519PublicKey");
    let key = keys::public_key(state, member_id).map_err(|reason| bad_key(state, reason))?;
    let nonce = STANDARD.decode(text(body, "nonce")).unwrap_or_default();
    let signature = STANDARD.decode(text(body, "signature")).unwrap_or_default();
    redeem(state, &nonce, member_id, || {
        keys::verifies(state, &key, &nonce, &signature)
    })?;
    let expires = now() + state.lifetimes.token;
    let token = tokens::write(state, member_id, expires);
    state.tokens().keep(token.clone(), member_id, expires);
    Ok(json!({ "token": token, "expiresAt": expires }))
}

/// Takes a nonce for a member, if the signature over it holds.
///
/// The signature is checked before the nonce is taken, so that nobody can burn another's nonce; taking it is the one
/// step that decides between redemptions at the same time.
fn redeem(state: &State, nonce: &[u8], member_id: &str, holds: impl Fn() -> bool) -> Result<(), Refusal> {
    if !state.nonces().is_open(nonce, member_id) {
        return Err(Refusal::unauthorized("the nonce is unknown, used or expired"));
    }
    if !holds() {
        if state.deviates(identity::BURNT_NONCES) {
            state.nonces().take(nonce);
        }
        return Err(Refusal::unauthorized(
            "the signature does not hold for this nonce and key",
        ));
    }
    if !state.nonces().take(nonce) {
        return Err(Refusal::unauthorized("the nonce is used"));
    }
    Ok(())
}

fn bad_key(state: &State, reason: &str) -> Refusal {
    let refusal = Refusal::bad_request(reason);
    let as_401 = state.is(identity::BAD_KEY_UNREDEEMABLE) || state.deviates(identity::BAD_TOKEN_KEY_401);
    if as_401 {
        refusal.under(401, "unauthorized")
    } else {
        refusal
    }
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
