//! The reference registry: what it does in `operations`, every rule in `rules`, what is stored in `store`, and in `answer`
//! what a request is answered.
//!
//! A rule is asked first, and may then be bent: [`Registry::bends`] says whether this server gets it wrong in that way, and
//! counts that it did. All of that is in `faults`.

mod answer;
mod faults;
mod flags;
mod operations;
mod retention;
mod rules;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::serve::{Asked, Fault, Handler, Listener, Reference, Reply, ServeOptions, StartError, Variation};
use answer::Answer;
use flags::Flags;
use rules::Publication;
use store::{Bundle, Store};

/// What the registry can be told to get wrong.
pub fn faults() -> &'static [Fault] {
    faults::FAULTS
}

/// The freedoms that the registry can use.
pub fn variations() -> &'static [Variation] {
    faults::VARIATIONS
}

/// Starts the registry.
///
/// # Errors
/// The address cannot be listened on, or the database cannot be opened.
pub fn start(options: ServeOptions) -> Result<Box<dyn Reference>, StartError> {
    let registry = Arc::new(Registry::new(&options)?);
    let task = retention::begin(&registry, options.second);
    let listener = Listener::start(&options, registry)?;
    Ok(Box::new(Running {
        listener,
        _task: task,
    }))
}

/// A registry that listens, and its background task.
struct Running {
    listener: Listener,
    _task: retention::Task,
}

impl Reference for Running {
    fn url(&self) -> String {
        self.listener.url()
    }

    fn fired(&self, name: &str) -> u64 {
        self.listener.fired(name)
    }
}

/// One registry.
struct Registry {
    flags: Flags,
    deviations: Vec<&'static str>,
    fired: Mutex<BTreeMap<&'static str, u64>>,
    store: Mutex<Store>,
    cache: Mutex<BTreeMap<String, (i64, Bundle)>>,
    /// Devices that were asked for in vain, and until when that is believed, epoch milliseconds.
    absent: Mutex<BTreeMap<String, i64>>,
    /// Publications that were taken.
    verified: Mutex<Vec<Publication>>,
    /// How often something was refused in the name of a device.
    refused: Mutex<BTreeMap<String, usize>>,
    /// Whether the background task has run.
    pruned: AtomicBool,
    /// Held while a bundle is stored, by a server that fails then.
    writing: Mutex<()>,
    /// The requests so far.
    requests: AtomicU64,
    /// What the time is, epoch milliseconds.
    clock: fn() -> i64,
}

impl Registry {
    fn new(options: &ServeOptions) -> Result<Registry, StartError> {
        let deviations = options.deviations();
        let flags = Flags::read(&options.flags).map_err(|error| StartError(error.into()))?;
        let db = flags.db.clone().or_else(|| options.db.clone());
        let store = Store::open(db.as_deref()).map_err(|error| StartError(Box::new(error)))?;
        let registry = Registry {
            flags,
            deviations,
            fired: Mutex::default(),
            store: Mutex::new(store),
            cache: Mutex::default(),
            absent: Mutex::default(),
            verified: Mutex::default(),
            refused: Mutex::default(),
            pruned: AtomicBool::new(false),
            writing: Mutex::default(),
            requests: AtomicU64::new(0),
            clock: now_ms,
        };
        registry.opened()?;
        Ok(registry)
    }

    /// Whether this server deviates in that way, which then takes effect.
    fn bends(&self, name: &'static str) -> bool {
        let deviates = self.has(name);
        if deviates {
            self.fire(name);
        }
        deviates
    }

    /// Whether this server deviates in that way. Asked where it is not known yet whether that will change anything.
    fn has(&self, name: &'static str) -> bool {
        self.deviations.contains(&name)
    }

    /// Counts one effect.
    fn fire(&self, name: &'static str) {
        *lock(&self.fired).entry(name).or_default() += 1;
    }

    /// Works with the database.
    fn stored<T>(&self, work: impl FnOnce(&Store) -> rusqlite::Result<T>) -> Result<T, Answer> {
        work(&lock(&self.store)).map_err(|error| Answer::refused(500, &error.to_string()))
    }
}

impl Handler for Registry {
    fn answer(&self, asked: &Asked) -> Reply {
        if let Some(refused) = self.too_many() {
            let mut reply = self.written(asked, refused);
            reply.headers.push(("retry-after", "1".to_owned()));
            return reply;
        }
        self.written(asked, operations::answer(self, asked))
    }

    fn fired(&self, name: &str) -> u64 {
        lock(&self.fired).get(name).copied().unwrap_or_default()
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
