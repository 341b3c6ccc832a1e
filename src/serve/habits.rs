//! What a reference client or program does otherwise than it should, or otherwise than others may: faults and variations, by name.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Fault, Variation};

/// The tables of what can be got wrong, and of the freedoms that can be used.
pub trait Tables {
    /// Every fault.
    fn faults() -> &'static [Fault];
    /// Every variation.
    fn variations() -> &'static [Variation];
}

/// The deviations of one client or program, and how often each took effect. The default is the plain one.
#[derive(Debug)]
pub struct Habits<T> {
    names: Vec<&'static str>,
    fired: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    tables: PhantomData<fn() -> T>,
}

impl<T> Default for Habits<T> {
    fn default() -> Self {
        Habits::new(Vec::new())
    }
}

impl<T> Clone for Habits<T> {
    fn clone(&self) -> Self {
        Habits {
            names: self.names.clone(),
            fired: Arc::clone(&self.fired),
            tables: PhantomData,
        }
    }
}

impl<T> Habits<T> {
    /// Deviations of these names.
    pub fn new(names: Vec<&'static str>) -> Self {
        Habits {
            names,
            fired: Arc::default(),
            tables: PhantomData,
        }
    }

    /// A deviation took effect.
    pub fn fire(&self, name: &'static str) {
        let mut fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        *fired.entry(name).or_default() += 1;
    }

    /// How often a deviation took effect.
    pub fn fired(&self, name: &str) -> u64 {
        let fired = self.fired.lock().unwrap_or_else(PoisonError::into_inner);
        fired.get(name).copied().unwrap_or(0)
    }
}

impl<T: Tables> Habits<T> {
    /// Whether it deviates in this way, at a place where that makes a difference.
    pub fn has(&self, name: &'static str) -> bool {
        let has = self.is(name);
        if has {
            self.fire(name);
        }
        has
    }

    /// Whether it deviates in this way, whatever comes of it.
    pub fn is(&self, name: &'static str) -> bool {
        debug_assert!(is_known::<T>(name), "{name} is in no table");
        self.names.contains(&name)
    }
}

/// Whether a table has a deviation of that name.
fn is_known<T: Tables>(name: &str) -> bool {
    let faults = T::faults().iter().map(|fault| fault.name);
    let mut names = faults.chain(T::variations().iter().map(|variation| variation.name));
    names.any(|known| known == name)
}
