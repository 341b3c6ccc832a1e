//! Bearer tokens: opaque, random, known to this server alone.

use std::collections::{HashMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer;
use rand::Rng;
use serde_json::{Value, json};

use super::faults::{jwts, tokens as fault};
use super::state::{State, now};
use super::variations::identity;

/// How long a token is kept when it is over, before it is forgotten.
const EXPIRED_TOKEN_KEPT_MS: i64 = 60_000;

/// How many bytes a token has where tokens are long.
const LONG_TOKEN_BYTES: usize = 2100;

/// How many tokens are kept; beyond that the oldest go.
const MOST_TOKENS: usize = 1_000_000;

/// The tokens that are issued and not expired.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: HashMap<String, Holder>,
    order: VecDeque<String>,
}

#[derive(Debug, Clone)]
struct Holder {
    member_id: String,
    expires: i64,
}

impl Tokens {
    /// The member a token stands for; `None` for a token that is unknown or over.
    pub(super) fn member(&mut self, state: &State, token: &str) -> Option<String> {
        let Some(holder) = self.issued.get(token) else {
            return self.nearly(state, token);
        };
        if holder.expires <= now() && !state.deviates(fault::OUTLIVES) {
            return None;
        }
        let member_id = holder.member_id.clone();
        if state.deviates(fault::ONCE) {
            self.issued.remove(token);
        }
        Some(member_id)
    }

    /// Whether a member holds a token.
    pub(super) fn has(&self, member_id: &str) -> bool {
        let mut holders = self.issued.values();
        holders.any(|holder| holder.member_id == member_id && holder.expires > now())
    }

    /// What a server that deviates takes an unknown token for.
    fn nearly(&self, state: &State, token: &str) -> Option<String> {
        if state.is_faultless() {
            return None;
        }
        let last = || self.order.back().and_then(|token| self.issued.get(token));
        let like = |same: &dyn Fn(&str) -> bool| self.issued.iter().find(|(known, _)| same(known));
        let found = match () {
            () if token.is_empty() => {
                last().filter(|_| state.is(fault::EMPTY) || state.is(fault::LAST_SESSION))
            }
            () if state.is(fault::LAST_SESSION) => last(),
            () if state.is(fault::PREFIX) => like(&|known| same_head(known, token)).map(|(_, holder)| holder),
            () if state.is(fault::FOLDED) => {
                like(&|known| known.eq_ignore_ascii_case(token)).map(|(_, holder)| holder)
            }
            () if state.is(fault::TAIL) => {
                like(&|known| same_but_tail(known, token)).map(|(_, holder)| holder)
            }
            () => None,
        };
        let claimed = || {
            state
                .is(fault::JWT_UNCHECKED)
                .then(|| claimed_subject(token))
                .flatten()
        };
        let forged = || self.forged(state, token);
        let member_id = found
            .map(|holder| holder.member_id.clone())
            .or_else(claimed)
            .or_else(forged)?;
        state.fire();
        Some(member_id)
    }

    /// Who somebody says to be in a token that nobody issued, on a server that believes it.
    fn forged(&self, state: &State, token: &str) -> Option<String> {
        if state.is(fault::MEMBER_ID) {
            let known = self.issued.values().any(|holder| holder.member_id == token);
            return known.then(|| token.to_owned());
        }
        if state.is(fault::TRAILED) {
            let first = token.split(' ').next()?;
            return self.issued.get(first).map(|holder| holder.member_id.clone());
        }
        if jwts::is_believed(state, token) {
            return claimed_subject(token);
        }
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
        let header: Value = serde_json::from_slice(&header).ok()?;
        let unsigned = state.is(fault::JWT_NONE) && header["alg"] == "none";
        unsigned.then(|| claimed_subject(token)).flatten()
    }

    /// Records a token whose subject is this member.
    pub(super) fn keep(&mut self, token: String, member_id: &str, expires: i64) {
        self.prune();
        self.order.push_back(token.clone());
        self.issued.insert(
            token,
            Holder {
                member_id: member_id.to_owned(),
                expires,
            },
        );
    }

    /// Tokens all live equally long, so those that are over stand in front.
    fn prune(&mut self) {
        while let Some(oldest) = self.order.front() {
            let over = self
                .issued
                .get(oldest)
                .is_none_or(|holder| holder.expires + EXPIRED_TOKEN_KEPT_MS <= now());
            if !over && self.order.len() < MOST_TOKENS {
                return;
            }
            self.issued.remove(oldest);
            self.order.pop_front();
        }
    }
}

/// Writes a token for this member: 32 random bytes, unless the server has another form of tokens.
pub(super) fn write(state: &State, member_id: &str, expires: i64) -> String {
    if state.deviates(identity::JWT_TOKENS) || state.is(fault::JWT_UNCHECKED) || jwts::are_issued(state) {
        return jwt(state, member_id, expires);
    }
    let size = if state.deviates(identity::LONG_TOKENS) {
        LONG_TOKEN_BYTES
    } else {
        32
    };
    URL_SAFE_NO_PAD.encode(random(size))
}

fn same_head(one: &str, other: &str) -> bool {
    other.len() >= 16 && one.get(..16) == other.get(..16)
}

fn same_but_tail(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.get(..one.len() - 1) == other.get(..other.len() - 1)
}

/// The subject that a JWT claims, verified by nobody.
fn claimed_subject(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims["sub"].as_str()?.strip_prefix("key:")?.to_owned())
}

/// A token in the reference form: a JWT that names the member and nothing else about them.
fn jwt(state: &State, member_id: &str, expires: i64) -> String {
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "1" });
    let claims = json!({
        "iss": "avp-reference",
        "sub": format!("key:{member_id}"),
        "kind": "keypair",
        "iat": now() / 1000,
        "exp": expires / 1000,
        "jti": URL_SAFE_NO_PAD.encode(random(12)),
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = state.issuer().sign(signed.as_bytes()).to_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Fresh random bytes.
pub(super) fn random(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// The token of an `Authorization` header. The scheme is compared without regard to case (RFC 9110).
pub(super) fn bearer<'a>(state: &State, header: &'a str) -> Option<&'a str> {
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    let exact = scheme == "Bearer";
    let any_case = !state.deviates(identity::BEARER_EXACT_CASE);
    let close = any_case && scheme.eq_ignore_ascii_case("Bearer");
    (exact || close).then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_member_until_it_is_over() {
        let (state, mut tokens) = (State::default(), Tokens::default());
        let good = "abcdef".to_owned();
        tokens.keep(good.clone(), "alice", now() + 1000);
        assert_eq!(tokens.member(&state, &good).as_deref(), Some("alice"));
        assert_eq!(tokens.member(&state, &good[1..]), None);
        assert_eq!(tokens.member(&state, &format!("{good}A")), None);
        tokens.keep("over".to_owned(), "alice", now() - 1);
        assert_eq!(tokens.member(&state, "over"), None);
    }

    #[test]
    fn the_scheme_is_compared_without_regard_to_case() {
        assert_eq!(bearer(&State::default(), "Bearer x"), Some("x"));
        assert_eq!(bearer(&State::default(), "bEARER x"), Some("x"));
        assert_eq!(bearer(&State::default(), "Basic x"), None);
        assert_eq!(bearer(&State::default(), "Bearer"), Some(""));
    }
}
