//! Bearer tokens: opaque, random, known to this server alone.

use std::collections::{HashMap, VecDeque};

use rand::Rng;

use super::state::now;

/// How long a token is kept when it is over, before it is forgotten.
const EXPIRED_TOKEN_KEPT_MS: i64 = 60_000;

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
    pub(super) fn member(&self, token: &str) -> Option<String> {
        let holder = self.issued.get(token).filter(|holder| holder.expires > now())?;
        Some(holder.member_id.clone())
    }

    /// The member for whom a token was issued, though it may be over.
    pub(super) fn holder(&self, token: &str) -> Option<String> {
        self.find(|known, _| known == token)
    }

    /// The member of the token that was issued last.
    pub(super) fn last(&self) -> Option<String> {
        let holder = self.issued.get(self.order.back()?)?;
        Some(holder.member_id.clone())
    }

    /// The member of a token that is like this, in its text and its member.
    pub(super) fn find(&self, is_like: impl Fn(&str, &str) -> bool) -> Option<String> {
        let mut issued = self.issued.iter();
        let found = issued.find(|(token, holder)| is_like(token, &holder.member_id));
        found.map(|(_, holder)| holder.member_id.clone())
    }

    /// Forgets a token; true where there was one.
    pub(super) fn forget(&mut self, token: &str) -> bool {
        self.issued.remove(token).is_some()
    }

    /// Whether a member holds a token.
    pub(super) fn has(&self, member_id: &str) -> bool {
        let mut holders = self.issued.values();
        holders.any(|holder| holder.member_id == member_id && holder.expires > now())
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

/// Fresh random bytes.
pub(super) fn random(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_member_until_it_is_over() {
        let mut tokens = Tokens::default();
        let good = "abcdef".to_owned();
        tokens.keep(good.clone(), "alice", now() + 1000);
        assert_eq!(tokens.member(&good).as_deref(), Some("alice"));
        assert_eq!(tokens.member(&good[1..]), None);
        assert_eq!(tokens.member(&format!("{good}A")), None);
        tokens.keep("over".to_owned(), "alice", now() - 1);
        assert_eq!(tokens.member("over"), None);
    }
}
