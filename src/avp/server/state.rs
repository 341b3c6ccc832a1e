//! Everything the server holds. Each store has one lock of its own; no two are ever held at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use rand::Rng;
use serde_json::Value;

use super::behaviour;
use super::deviation::{Deviation, Hook, Name};
use super::faults::tokens;
use super::nonces::Nonces;
use super::tokens::Tokens;
use super::variations::identity;
use super::vault::Vault;
use crate::serve::{Behaviour, Fault, Variation};

/// How long what is issued lives, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetimes {
    /// Nonces.
    pub(super) nonce: i64,
    /// Tokens.
    pub(super) token: i64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Lifetimes {
            nonce: 120_000,
            token: 3_600_000,
        }
    }
}

/// The state of one server.
#[derive(Debug, Default)]
pub(super) struct State {
    /// How long nonces and tokens live.
    pub(super) lifetimes: Lifetimes,
    /// Whether the server speaks the gRPC profile beside HTTP.
    pub(super) speaks_grpc: bool,
    faults: Vec<Deviation>,
    freedoms: Vec<Deviation>,
    requests: AtomicU64,
    memory: Mutex<HashMap<String, (i64, Value)>>,
    issuer: OnceLock<SigningKey>,
    nonces: Mutex<Nonces>,
    tokens: Mutex<Tokens>,
    vault: Mutex<Vault>,
    /// Held by calls over gRPC where that transport has a lock of its own.
    calls: tokio::sync::Mutex<()>,
}

/// The deviation of a name, which has not taken effect yet.
fn deviation(name: &'static str) -> Option<Deviation> {
    behaviour::hooks(name).map(|hooks| Deviation::new(name, hooks))
}

impl State {
    /// An empty server that behaves so, and has these faults and uses these freedoms beside.
    pub(super) fn new(
        behaviour: Behaviour,
        faults: &[&'static Fault],
        freedoms: &[&'static Variation],
        lifetimes: Lifetimes,
    ) -> State {
        let (fault, variation) = match behaviour {
            Behaviour::Plain => (None, None),
            Behaviour::Faulty(fault) => (Some(fault), None),
            Behaviour::Varied(variation) => (None, Some(variation)),
        };
        let faults = fault.into_iter().chain(faults.iter().copied());
        let freedoms = variation.into_iter().chain(freedoms.iter().copied());
        let mut state = State {
            lifetimes,
            faults: faults.filter_map(|it| deviation(it.name)).collect(),
            freedoms: freedoms.filter_map(|it| deviation(it.name)).collect(),
            ..State::default()
        };
        if state.deviates(identity::SHORT_TOKENS) {
            state.lifetimes.token = 3000;
        }
        if state.is(tokens::OUTLIVES) {
            state.lifetimes.token = 2000;
        }
        if state.is(tokens::SLIDES) {
            state.lifetimes.token = 4000;
        }
        state.nonces().keep_used(!state.is_faultless());
        state
    }

    /// The same server, which speaks gRPC beside HTTP or does not.
    pub(super) fn speaking_grpc(mut self, speaks: bool) -> State {
        self.speaks_grpc = speaks;
        self
    }

    /// Whether the server deviates here in the way of this name. Asked only where that changes what happens, and
    /// counted as such.
    pub(super) fn deviates(&self, name: Name) -> bool {
        let here = self.is(name);
        if here {
            self.count(name);
        }
        here
    }

    /// Whether this is a deviation of the server's. Asked where it is not known yet whether it will change anything.
    pub(super) fn is(&self, name: Name) -> bool {
        self.deviations().any(|deviation| deviation.is(name))
    }

    /// Whether the server does not deviate at all.
    pub(super) fn is_plain(&self) -> bool {
        self.is_faultless() && self.freedoms.is_empty()
    }

    /// Whether the server gets nothing wrong.
    pub(super) fn is_faultless(&self) -> bool {
        self.faults.is_empty()
    }

    /// The server's faults, and the freedoms it uses.
    pub(super) fn deviations(&self) -> impl Iterator<Item = &Deviation> {
        self.faults.iter().chain(&self.freedoms)
    }

    /// Lets each deviation act wherever it takes hold, and counts those that changed anything.
    pub(super) fn deviate(&self, mut act: impl FnMut(Hook) -> bool) {
        for deviation in self.deviations() {
            for hook in deviation.hooks {
                if act(*hook) {
                    deviation.fire();
                }
            }
        }
    }

    /// Counts one effect of the deviation of this name.
    pub(super) fn count(&self, name: Name) {
        if let Some(deviation) = self.deviations().find(|deviation| deviation.is(name)) {
            deviation.fire();
        }
    }

    /// Counts one effect of the fault; of each where there are several.
    pub(super) fn fire(&self) {
        self.faults.iter().for_each(Deviation::fire);
    }

    /// Keeps something for a deviation that serves it later.
    pub(super) fn remember(&self, key: String, value: Value) {
        lock(&self.memory).insert(key, (now(), value));
    }

    /// Notes a key on one occasion, and says on any other whether it was noted.
    pub(super) fn noted(&self, key: String, is_occasion: bool) -> bool {
        if is_occasion {
            self.remember(key, Value::Null);
            return false;
        }
        self.recall(&key).is_some()
    }

    /// What was kept under this key, and when.
    pub(super) fn recall(&self, key: &str) -> Option<(i64, Value)> {
        lock(&self.memory).get(key).cloned()
    }

    /// Forgets what was remembered under a key.
    pub(super) fn forget(&self, key: &str) {
        lock(&self.memory).remove(key);
    }

    /// Puts what was answered before in place of what is right now, if that is not long ago; true where the two differ.
    pub(super) fn answer_from_cache(&self, key: String, lifetime: i64, fresh: &mut Value) -> bool {
        match self.recall(&key) {
            Some((at, old)) if now() - at < lifetime => std::mem::replace(fresh, old.clone()) != old,
            _ => {
                self.remember(key, fresh.clone());
                false
            }
        }
    }

    /// How many requests came before this one.
    pub(super) fn count_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// The key that signs tokens, where tokens are signed.
    pub(super) fn issuer(&self) -> &SigningKey {
        self.issuer.get_or_init(|| {
            let mut secret = [0; 32];
            rand::rng().fill_bytes(&mut secret);
            SigningKey::from_bytes(&secret)
        })
    }

    /// How often the deviation of this name took effect.
    pub(super) fn fired(&self, name: &str) -> u64 {
        let mut tallies = self.deviations().map(Deviation::tally);
        tallies
            .find(|(known, _)| *known == name)
            .map_or(0, |(_, fired)| fired)
    }

    /// The outstanding nonces, locked.
    pub(super) fn nonces(&self) -> MutexGuard<'_, Nonces> {
        lock(&self.nonces)
    }

    /// The tokens, locked.
    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }

    /// The lock that a faulty server has for calls over gRPC alone.
    pub(super) async fn calls(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.calls.lock().await
    }

    /// The repositories, locked. Whoever decides under this lock writes under it too.
    pub(super) fn vault(&self) -> MutexGuard<'_, Vault> {
        lock(&self.vault)
    }
}

/// A panic in another request says nothing about this one: every write is a single assignment of finished values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time, in epoch milliseconds.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
