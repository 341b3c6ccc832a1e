//! Nonces: which are outstanding.

use std::collections::{HashMap, VecDeque};

use super::state::now;

/// How many nonces may be outstanding; beyond that the oldest go.
const MOST_NONCES: usize = 100_000;

/// How long a used nonce lives that a fault makes good again, milliseconds.
const RESTORED_NONCE_MS: i64 = 2000;

/// The nonces that are issued and neither redeemed nor expired.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    issued: HashMap<Vec<u8>, Issued>,
    order: VecDeque<Vec<u8>>,
    /// What was redeemed: kept by servers that get something wrong, and by no other.
    used: HashMap<Vec<u8>, Used>,
    keeps_used: bool,
}

/// A nonce that was redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Used {
    /// By whom.
    pub(super) by: String,
    /// Who had asked for it; nobody where it was not issued.
    pub(super) asker: Option<String>,
    /// When, epoch milliseconds.
    pub(super) at: i64,
}

#[derive(Debug, Clone)]
struct Issued {
    member_id: String,
    expires: i64,
}

impl Nonces {
    /// Records a nonce for the key that asked.
    pub(super) fn issue(&mut self, nonce: Vec<u8>, member_id: &str, expires: i64) {
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
    pub(super) fn is_open(&self, nonce: &[u8], member_id: &str) -> bool {
        self.issued
            .get(nonce)
            .is_some_and(|issued| issued.member_id == member_id && issued.expires > now())
    }

    /// Who asked for a nonce.
    pub(super) fn asker(&self, nonce: &[u8]) -> Option<String> {
        self.issued.get(nonce).map(|issued| issued.member_id.clone())
    }

    /// Takes a nonce out. Only one of several who try gets true.
    pub(super) fn take(&mut self, nonce: &[u8], member_id: &str) -> bool {
        let taken = self.issued.remove(nonce);
        if self.keeps_used {
            let used = Used {
                by: member_id.to_owned(),
                asker: taken.as_ref().map(|issued| issued.member_id.clone()),
                at: now(),
            };
            self.used.insert(nonce.to_vec(), used);
        }
        taken.is_some()
    }

    /// Whether used nonces are kept.
    pub(super) fn keep_used(&mut self, keeps: bool) {
        self.keeps_used = keeps;
    }

    /// What is known of a nonce that was redeemed.
    pub(super) fn used(&self, nonce: &[u8]) -> Option<&Used> {
        self.used.get(nonce)
    }

    /// Puts back a nonce that this member has redeemed; false where there is none such.
    pub(super) fn restore(&mut self, nonce: &[u8], member_id: &str) -> bool {
        let used = self.used.get(nonce).is_some_and(|used| used.by == member_id);
        if used {
            self.issue(nonce.to_vec(), member_id, now() + RESTORED_NONCE_MS);
        }
        used
    }

    /// Makes the nonces good again that a member has redeemed; false where there are none.
    pub(super) fn revive(&mut self, member_id: &str) -> bool {
        let used = self.used.iter().filter(|(_, used)| used.by == member_id);
        let used: Vec<Vec<u8>> = used.map(|(nonce, _)| nonce.clone()).collect();
        used.iter()
            .for_each(|nonce| self.issue(nonce.clone(), member_id, now() + RESTORED_NONCE_MS));
        !used.is_empty()
    }

    /// An outstanding nonce of a member.
    pub(super) fn outstanding(&self, member_id: &str) -> Option<Vec<u8>> {
        let open = self.issued.keys().find(|nonce| self.is_open(nonce, member_id));
        open.cloned()
    }

    /// Forgets the outstanding nonces of a member; true where there were some.
    pub(super) fn void(&mut self, member_id: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_taken_once_and_only_by_its_key() {
        let mut nonces = Nonces::default();
        nonces.issue(vec![1], "alice", now() + 1000);
        assert!(nonces.is_open(&[1], "alice"));
        assert!(!nonces.is_open(&[1], "bob"));
        assert!(nonces.take(&[1], "alice"));
        assert!(!nonces.take(&[1], "alice"));
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
