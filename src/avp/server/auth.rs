//! The identity provider: challenges, and the tokens they are redeemed for (section 4 of the protocol page).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::VerifyingKey;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::deviation::Name;
use super::faults::malformed::BASE64_LENIENT;
use super::faults::tokens::SUBJECT_FOLDED;
use super::faults::{auth as fault, races};
use super::state::{State, now};
use super::variations::identity;
use super::vault::text;
use super::{body_check, keys, nonces, tokens};

/// The bytes of a nonce; none where its text is no base64.
fn nonce_bytes(state: &State, text: &str) -> Vec<u8> {
    if state.is(BASE64_LENIENT) {
        return lenient_bytes(text);
    }
    let strict = STANDARD.decode(text);
    match strict {
        Err(_) if state.is(fault::NONCE_BY_TEXT) => {
            let bare: String = text.chars().filter(|c| !c.is_whitespace() && *c != '=').collect();
            STANDARD_NO_PAD.decode(bare).unwrap_or_default()
        }
        strict => strict.unwrap_or_default(),
    }
}

/// What a decoder makes of a text that reads base64 in any spelling.
fn lenient_bytes(text: &str) -> Vec<u8> {
    STANDARD.decode(body_check::respelt(text)).unwrap_or_default()
}

/// The last second of the year 9999, epoch milliseconds.
const YEAR_9999: i64 = 253_402_300_799_000;

/// challenge: a fresh nonce for the key that asks.
pub(super) fn challenge(state: &State, body: &Value) -> Result<Value, Refusal> {
    let member_id = text(body, "ed25519PublicKey");
    if let Err(reason) = keys::public_key(state, member_id)
        && !state.deviates(identity::BAD_KEY_UNREDEEMABLE)
    {
        return Err(Refusal::bad_request(reason));
    }
    if state.is(fault::KNOWN_KEYS_ONLY) && !state.vault().knows(member_id) {
        state.fire();
        return Err(fault::unknown_key());
    }
    refuse_second(state, fault::CHALLENGE_ONCE, member_id)?;
    if state.is(races::SUBJECT_GLOBAL) {
        state.remember("subject".to_owned(), json!(member_id));
    }
    let nonce = nonces::write(state, member_id);
    let encoded = STANDARD.encode(&nonce);
    let mut nonces = state.nonces();
    if state.is(fault::NONCE_REVIVED) && nonces.revive(member_id) {
        state.fire();
    }
    if state.is(identity::ONE_NONCE_PER_KEY) && nonces.void(member_id) {
        state.count(identity::ONE_NONCE_PER_KEY);
    }
    nonces.issue(nonce, member_id, now() + state.lifetimes.nonce);
    Ok(json!({ "nonce": encoded }))
}

/// token: a bearer token for the member whose key signed the nonce.
pub(super) fn token(state: &State, body: &Value) -> Result<Value, Refusal> {
    let member_id = text(body, "ed25519PublicKey");
    let claim = Claim {
        member_id,
        key: keys::public_key(state, member_id).map_err(|reason| bad_key(state, reason))?,
        nonce_text: text(body, "nonce"),
        nonce: nonce_bytes(state, text(body, "nonce")),
        signature: match state.is(BASE64_LENIENT) {
            true => lenient_bytes(text(body, "signature")),
            false => STANDARD.decode(text(body, "signature")).unwrap_or_default(),
        },
    };
    let asker = state
        .nonces()
        .asker(&claim.nonce)
        .filter(|asker| asker != member_id && state.is(fault::SUBJECT_ASKER));
    redeem(state, &claim)?;
    refuse_second(state, fault::LOGIN_ONCE, member_id)?;
    let subject = match asker {
        Some(asker) => {
            state.fire();
            asker
        }
        None => subject(state, member_id),
    };
    let expires = now() + state.lifetimes.token;
    let token = tokens::write(state, &subject, expires);
    state.tokens().keep(token.clone(), &subject, expires);
    let told = match state.deviates(identity::ENDLESS_TOKENS) {
        true => YEAR_9999,
        false => expires,
    };
    Ok(json!({ "token": token, "expiresAt": told }))
}

/// Refuses who is logged in already, on a server that has that fault.
fn refuse_second(state: &State, fault: Name, member_id: &str) -> Result<(), Refusal> {
    match state.is(fault) && state.tokens().has(member_id) {
        true => {
            state.fire();
            Err(Refusal::failure(409, "this key is logged in already"))
        }
        false => Ok(()),
    }
}

/// What a token request claims: that this key signed this nonce.
struct Claim<'a> {
    member_id: &'a str,
    key: VerifyingKey,
    nonce_text: &'a str,
    nonce: Vec<u8>,
    signature: Vec<u8>,
}

/// Takes a nonce for a member, if the signature over it holds.
///
/// The signature is checked before the nonce is taken, so that nobody can burn another's nonce; taking it is the one
/// step that decides between redemptions at the same time.
fn redeem(state: &State, claim: &Claim<'_>) -> Result<(), Refusal> {
    let (nonce, member_id) = (&claim.nonce, claim.member_id);
    let open = state.nonces().is_open(nonce, member_id);
    if !open && !is_excused(state, claim) {
        if state.is(fault::NONCE_RESTORED) && state.nonces().restore(nonce, member_id) {
            state.fire();
        }
        return Err(Refusal::unauthorized("the nonce is unknown, used or expired"));
    }
    if !holds(state, claim) {
        if state.deviates(identity::BURNT_NONCES) {
            state.nonces().take(state, nonce, member_id);
        }
        return Err(Refusal::unauthorized(
            "the signature does not hold for this nonce and key",
        ));
    }
    if state.is(races::NONCE_WIDE) {
        races::Window::Wide.pass();
    }
    if state.is(races::NONCE_AWAITED) {
        races::sleep(Duration::from_micros(200));
    }
    let taken = state.nonces().take(state, nonce, member_id);
    let races = [races::NONCE_WIDE, races::NONCE_NARROW, races::NONCE_AWAITED];
    if !taken && open && !races.into_iter().any(|name| state.deviates(name)) {
        return Err(Refusal::unauthorized("the nonce is used"));
    }
    Ok(())
}

fn is_excused(state: &State, claim: &Claim<'_>) -> bool {
    if state.is_faultless() {
        return false;
    }
    if respelt(state, claim) {
        return true;
    }
    let nonces = state.nonces();
    let is_lent = state.is(fault::SIGNATURE_ASKERS_KEY) || state.is(fault::SUBJECT_ASKER);
    let lent = is_lent && nonces.asker(&claim.nonce).is_some();
    lent || nonces.is_excused(state, &claim.nonce, claim.member_id)
}

/// Whether a nonce comes in a text that it was not redeemed in, on a server that remembers texts.
fn respelt(state: &State, claim: &Claim<'_>) -> bool {
    let canonical = STANDARD.encode(&claim.nonce);
    state.is(fault::NONCE_BY_TEXT)
        && canonical != claim.nonce_text
        && state.nonces().was_used(&claim.nonce)
        && state.deviates(fault::NONCE_BY_TEXT)
}

/// Whether the signature is one over the decoded nonce under the presented key.
fn holds(state: &State, claim: &Claim<'_>) -> bool {
    let holds = |message: &[u8], signature: &[u8]| keys::verifies(state, &claim.key, message, signature);
    let good = holds(&claim.nonce, &claim.signature);
    if state.is_faultless() {
        return good;
    }
    let over_text = holds(claim.nonce_text.as_bytes(), &claim.signature);
    if good != over_text && state.deviates(fault::SIGNATURE_TEXT_ONLY) {
        return over_text;
    }
    good && remember(state, claim) || !good && is_forgiven(state, claim, over_text)
}

/// Notes who has logged in, for servers that ask but once.
fn remember(state: &State, claim: &Claim<'_>) -> bool {
    if state.is(fault::SIGNATURE_CHECKED_ONCE) {
        state.remember(format!("seen {}", claim.member_id), Value::Null);
    }
    true
}

/// Whether a server that deviates takes a signature that does not hold.
fn is_forgiven(state: &State, claim: &Claim<'_>, over_text: bool) -> bool {
    let under_askers_key = || {
        let asker = state.nonces().asker(&claim.nonce)?;
        let key = keys::public_key(state, &asker).ok()?;
        Some(keys::verifies(state, &key, &claim.nonce, &claim.signature))
    };
    let head = claim.signature.get(..64).unwrap_or_default();
    let over_head = |nonce: &[u8]| keys::verifies(state, &claim.key, nonce, &claim.signature);
    let reduced = keys::reduce(&claim.signature);
    let seen = state.recall(&format!("seen {}", claim.member_id)).is_some();
    let verifies = |signature: &[u8]| keys::verifies(state, &claim.key, &claim.nonce, signature);
    state.deviates(fault::SIGNATURE_UNCHECKED)
        || seen && state.deviates(fault::SIGNATURE_CHECKED_ONCE)
        || over_text && state.deviates(fault::SIGNATURE_TEXT_TOO)
        || claim.nonce.get(..32).is_some_and(over_head) && state.deviates(fault::SIGNATURE_HEAD)
        || claim.signature.is_empty() && state.deviates(fault::SIGNATURE_EMPTY)
        || verifies(head) && state.deviates(fault::SIGNATURE_LONGER)
        || reduced.is_some_and(|signature| verifies(&signature)) && state.deviates(fault::SIGNATURE_MALLEABLE)
        || state.is(fault::SIGNATURE_ASKERS_KEY)
            && under_askers_key() == Some(true)
            && state.deviates(fault::SIGNATURE_ASKERS_KEY)
}

/// The member that a token is for.
fn subject(state: &State, member_id: &str) -> String {
    if state.deviates(SUBJECT_FOLDED) {
        return member_id.to_lowercase();
    }
    if !state.is(races::SUBJECT_GLOBAL) {
        return member_id.to_owned();
    }
    let subject = state
        .recall("subject")
        .and_then(|(_, subject)| Some(subject.as_str()?.to_owned()));
    let subject = subject.unwrap_or_default();
    if subject != member_id {
        state.fire();
    }
    subject
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
