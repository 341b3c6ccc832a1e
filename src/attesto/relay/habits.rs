//! What the relay does otherwise than it should, or otherwise than others may: faults and variations, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The deviations of one relay, and how often each took effect. The default is the plain relay.
#[derive(Debug, Clone, Default)]
pub struct Habits {
    names: Vec<&'static str>,
    fired: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Habits {
    /// A relay with deviations of these names.
    pub fn new(names: Vec<&'static str>) -> Habits {
        Habits {
            names,
            fired: Arc::default(),
        }
    }

    /// Whether it deviates in this way, at a place where that makes a difference.
    pub(super) fn has(&self, name: &'static str) -> bool {
        let has = self.is(name);
        if has {
            self.fire(name);
        }
        has
    }

    /// Whether it deviates in this way, whatever comes of it.
    pub(super) fn is(&self, name: &'static str) -> bool {
        debug_assert!(super::faults::is_known(name), "{name} is in no table");
        self.names.contains(&name)
    }

    /// A deviation took effect.
    pub(super) fn fire(&self, name: &'static str) {
        let mut fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        *fired.entry(name).or_default() += 1;
    }

    /// How often a deviation took effect.
    pub fn fired(&self, name: &str) -> u64 {
        let fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        fired.get(name).copied().unwrap_or(0)
    }
}
