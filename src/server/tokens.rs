//! Bearer tokens: opaque, random, known to this server alone.

use std::collections::{HashMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;

use super::state::now;

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
    /// Issues a token whose subject is this member.
    pub(super) fn issue(&mut self, member_id: &str, expires: i64) -> String {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        let token = URL_SAFE_NO_PAD.encode(bytes);
        self.keep(token.clone(), member_id, expires);
        token
    }

    /// The member a token stands for; `None` for a token that is unknown or over.
    pub(super) fn member(&self, token: &str) -> Option<String> {
        let holder = self.issued.get(token)?;
        (holder.expires > now()).then(|| holder.member_id.clone())
    }

    fn keep(&mut self, token: String, member_id: &str, expires: i64) {
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
                .is_none_or(|holder| holder.expires <= now());
            if !over && self.order.len() < MOST_TOKENS {
                return;
            }
            self.issued.remove(oldest);
            self.order.pop_front();
        }
    }
}

/// The token of an `Authorization` header. The scheme is compared without regard to case (RFC 9110).
pub(super) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_member_until_it_is_over() {
        let mut tokens = Tokens::default();
        let good = tokens.issue("alice", now() + 1000);
        assert_eq!(tokens.member(&good).as_deref(), Some("alice"));
        assert_eq!(tokens.member(&good[1..]), None);
        assert_eq!(tokens.member(&format!("{good}A")), None);
        let over = tokens.issue("alice", now() - 1);
        assert_eq!(tokens.member(&over), None);
    }

    #[test]
    fn the_scheme_is_compared_without_regard_to_case() {
        assert_eq!(bearer("Bearer x"), Some("x"));
        assert_eq!(bearer("bEARER x"), Some("x"));
        assert_eq!(bearer("Basic x"), None);
        assert_eq!(bearer("Bearer"), None);
    }
}
