//! Nonces: how they are written, and which are outstanding.

use std::collections::{HashMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::faults::auth as fault;
use super::state::{State, now};
use super::tokens::random;
use super::variations::identity;

/// How many nonces may be outstanding; beyond that the oldest go.
const MOST_NONCES: usize = 100_000;

/// How long a used nonce is honoured where clients are forgiven a retry.
const USED_NONCE_GRACE_MS: i64 = 2000;

/// The nonces that are issued and neither redeemed nor expired.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    issued: HashMap<Vec<u8>, Issued>,
    order: VecDeque<Vec<u8>>,
    /// What was redeemed, by whom and when: kept by servers that deviate, and by no other.
    used: HashMap<Vec<u8>, (String, i64)>,
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
    pub(super) fn take(&mut self, state: &State, nonce: &[u8], member_id: &str) -> bool {
        if !state.is_faultless() {
            self.used.insert(nonce.to_vec(), (member_id.to_owned(), now()));
        }
        self.issued.remove(nonce).is_some()
    }

    /// Whether a server that deviates honours a nonce that is not open.
    pub(super) fn is_excused(&self, state: &State, nonce: &[u8], member_id: &str) -> bool {
        let used = self
            .used
            .get(nonce)
            .filter(|(by, _)| by == member_id)
            .map(|(_, at)| *at);
        let by_another = self.used.get(nonce).is_some_and(|(by, _)| by != member_id);
        if by_another && state.deviates(fault::NONCE_PER_KEY) {
            return true;
        }
        match used {
            Some(_) if state.deviates(fault::NONCE_REUSABLE) => true,
            Some(at) if now() - at < USED_NONCE_GRACE_MS && state.deviates(fault::NONCE_GRACE) => true,
            Some(_) => false,
            None if is_stamped(nonce) && state.deviates(fault::NONCE_BY_AGE) => true,
            None => !nonce.is_empty() && state.deviates(fault::NONCE_UNISSUED),
        }
    }

    /// Puts back a nonce that this member has redeemed; false where there is none such.
    pub(super) fn restore(&mut self, nonce: &[u8], member_id: &str) -> bool {
        let used = self.used.get(nonce).is_some_and(|(by, _)| by == member_id);
        if used {
            self.issue(nonce.to_vec(), member_id, now() + USED_NONCE_GRACE_MS);
        }
        used
    }

    /// Whether a nonce was redeemed by somebody.
    pub(super) fn was_used(&self, nonce: &[u8]) -> bool {
        self.used.contains_key(nonce)
    }

    /// Makes the nonces good again that a member has redeemed; false where there are none.
    pub(super) fn revive(&mut self, member_id: &str) -> bool {
        let used = self.used.iter().filter(|(_, (by, _))| by == member_id);
        let used: Vec<Vec<u8>> = used.map(|(nonce, _)| nonce.clone()).collect();
        used.iter()
            .for_each(|nonce| self.issue(nonce.clone(), member_id, now() + USED_NONCE_GRACE_MS));
        !used.is_empty()
    }

    /// An outstanding nonce of a member.
    fn outstanding(&self, member_id: &str) -> Option<Vec<u8>> {
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

/// Writes a nonce for a key: 32 random bytes.
pub(super) fn write(state: &State, member_id: &str) -> Vec<u8> {
    match () {
        () if state.is_plain() => random(32),
        () if state.is(fault::SIGNATURE_HEAD) || state.deviates(identity::LONG_NONCES) => random(64),
        () if state.deviates(fault::NONCE_SHORT) => random(16),
        () if state.deviates(fault::NONCE_31) => random(31),
        () if state.deviates(fault::NONCE_HEX) => hex_text(&random(16)),
        () if state.deviates(fault::NONCE_FIXED) => vec![0x5a; 32],
        () if state.deviates(fault::NONCE_OF_KEY) => Sha256::digest(member_id).to_vec(),
        () if state.deviates(fault::NONCE_OF_TIME) => Sha256::digest((now() / 1000).to_be_bytes()).to_vec(),
        () if state.deviates(fault::NONCE_COUNTER) => counted(state.count_request()),
        () if state.is(fault::NONCE_BY_AGE) => stamped(),
        () if state.is(fault::NONCE_KEPT) => kept(state, member_id),
        () => random(32),
    }
}

/// Hexadecimal digits, taken for base64.
fn hex_text(bytes: &[u8]) -> Vec<u8> {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    STANDARD.decode(text).unwrap_or_default()
}

fn counted(count: u64) -> Vec<u8> {
    [&[0; 24][..], &count.to_be_bytes()].concat()
}

fn stamped() -> Vec<u8> {
    [&random(24)[..], &now().to_be_bytes()].concat()
}

fn is_stamped(nonce: &[u8]) -> bool {
    let stamp = nonce
        .get(24..32)
        .and_then(|bytes| bytes.try_into().ok())
        .map(i64::from_be_bytes);
    stamp.is_some_and(|stamp| (0..120_000).contains(&now().saturating_sub(stamp)))
}

fn kept(state: &State, member_id: &str) -> Vec<u8> {
    let outstanding = state.nonces().outstanding(member_id);
    match outstanding {
        Some(nonce) if state.deviates(fault::NONCE_KEPT) => nonce,
        _ => random(32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_taken_once_and_only_by_its_key() {
        let (state, mut nonces) = (State::default(), Nonces::default());
        nonces.issue(vec![1], "alice", now() + 1000);
        assert!(nonces.is_open(&[1], "alice"));
        assert!(!nonces.is_open(&[1], "bob"));
        assert!(nonces.take(&state, &[1], "alice"));
        assert!(!nonces.take(&state, &[1], "alice"));
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
