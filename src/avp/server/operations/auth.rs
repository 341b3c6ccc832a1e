//! The identity provider: challenges, and the tokens they are redeemed for (AVP 0.4, identity and authentication).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::avp::server::decision::{Asked, Grant, Rule, Stop};
use crate::avp::server::rules::login::{self, Claim};
use crate::avp::server::state::now;
use crate::avp::server::tokens::random;
use crate::avp::server::vault::text;

/// How many random bytes a nonce and a token have.
const RANDOM_BYTES: usize = 32;

/// challenge: a fresh nonce for the key that asks.
///
/// # Errors
/// The key is none.
pub(in crate::avp::server) fn challenge(asked: &Asked<'_>) -> Result<Value, Stop> {
    let key = text(asked.body, "ed25519PublicKey");
    asked.decide(Rule::PublicKey(key), login::is_public_key(key))?;
    let nonce = asked.nonce(key, random(RANDOM_BYTES));
    let encoded = STANDARD.encode(&nonce);
    asked
        .state
        .nonces()
        .issue(nonce, key, now() + asked.state.lifetimes.nonce);
    Ok(json!({ "nonce": encoded }))
}

/// token: a bearer token for the member whose key signed the nonce.
///
/// The signature is checked before the nonce is taken, so that nobody can burn another's nonce; taking it is the one
/// step that decides between redemptions at the same time.
///
/// # Errors
/// The key is none, the nonce is not open for it, or the signature does not hold.
pub(in crate::avp::server) fn token(asked: &Asked<'_>) -> Result<Value, Stop> {
    let claim = asked.claim(Claim::read(asked.body));
    asked.decide(
        Rule::PublicKey(&claim.member_id),
        login::is_public_key(&claim.member_id),
    )?;
    asked.decide(
        Rule::NonceIsOpen(&claim),
        login::nonce_is_open(asked.state, &claim),
    )?;
    asked.decide(Rule::Signature(&claim), login::is_signed(&claim))?;
    asked.decide(Rule::NonceIsTaken, login::take_nonce(asked.state, &claim))?;
    let expires = now() + asked.state.lifetimes.token;
    let grant = asked.grant(
        &claim,
        Grant {
            token: URL_SAFE_NO_PAD.encode(random(RANDOM_BYTES)),
            member_id: claim.member_id.clone(),
            expires,
            expires_told: expires,
        },
    );
    let answer = json!({ "token": grant.token, "expiresAt": grant.expires_told });
    asked
        .state
        .tokens()
        .keep(grant.token, &grant.member_id, grant.expires);
    Ok(answer)
}
