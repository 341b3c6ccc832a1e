//! The reference server of the objects API: what it does in `operations`, who is let in in `admission`, every rule in `rules`,
//! what is stored in `store`, and in `answer` what a request is answered.
//!
//! A rule is asked first, and may then be bent: [`Server::bends`] says whether this server gets it wrong in that way, and
//! counts that it did. All of that is in `faults`, and in `variations` what a server is free to do otherwise.

mod admission;
mod answer;
mod faults;
mod operations;
mod rules;
mod settings;
mod store;
mod variations;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{MODES, SERVICE_MODE};
use crate::http::Service;
use crate::serve::{Asked, Fault, Handler, Listener, Reference, Reply, ServeOptions, StartError, Variation};
use faults::Memory;
use settings::{KEY_VARIABLE, Settings};
use store::Store;

/// What the server can be told to get wrong.
pub fn faults() -> &'static [Fault] {
    &faults::FAULTS
}

/// The freedoms that the server can use.
pub fn variations() -> &'static [Variation] {
    variations::VARIATIONS
}

/// Starts the server: in the mode that its environment names, else one server for each mode, at ports one after the other,
/// unless a single one is wanted.
///
/// # Errors
/// An address cannot be listened on.
pub fn start(options: ServeOptions) -> Result<Box<dyn Reference>, StartError> {
    options.without_flags()?;
    let mut said = options.environment.clone();
    // What is said first counts.
    let keys = options
        .keys
        .iter()
        .map(|(id, key)| (format!("{KEY_VARIABLE}{id}"), key.clone()));
    said.splice(0..0, keys);
    said.splice(
        0..0,
        options
            .mode
            .iter()
            .map(|mode| (SERVICE_MODE.to_owned(), mode.clone())),
    );
    let is_named = options.single || said.iter().any(|(name, _)| name == SERVICE_MODE);
    let modes: Vec<&'static str> = match is_named {
        true => vec![""],
        false => MODES.to_vec(),
    };
    let mut servers = Vec::new();
    for (mode, more) in modes.into_iter().zip(0..) {
        let mut environment = match is_named {
            true => Vec::new(),
            false => super::environment(mode, &super::keys()),
        };
        environment.extend(said.iter().cloned());
        let port = match options.bind.port() {
            0 => 0,
            port => port + more,
        };
        let at = ServeOptions {
            bind: SocketAddr::new(options.bind.ip(), port),
            ..options.clone()
        };
        let server = Server::new(&options, &environment);
        servers.push((mode, Listener::start(&at, Arc::new(server))?));
    }
    Ok(Box::new(Servers(servers)))
}

/// A server for each mode that runs.
struct Servers(Vec<(&'static str, Listener)>);

impl Reference for Servers {
    fn url(&self) -> String {
        self.0
            .first()
            .map_or_else(String::new, |(_, server)| server.url())
    }

    fn services(&self) -> Vec<(Service, String)> {
        let named = self.0.iter().filter(|(mode, _)| !mode.is_empty());
        named
            .map(|(mode, server)| (Service::new(mode), server.url()))
            .collect()
    }

    fn fired(&self, name: &str) -> u64 {
        self.0.iter().map(|(_, server)| server.fired(name)).sum()
    }
}

/// One server.
struct Server {
    deviations: Vec<&'static str>,
    fired: Mutex<BTreeMap<&'static str, u64>>,
    settings: Settings,
    store: Mutex<Store>,
    /// What faults go by.
    memory: Mutex<Memory>,
    scheme: &'static str,
    /// The requests so far.
    requests: AtomicU64,
}

impl Server {
    fn new(options: &ServeOptions, environment: &[(String, String)]) -> Server {
        let settings = Settings::read(environment);
        let mut server = Server {
            deviations: options.deviations(),
            fired: Mutex::default(),
            settings: settings.clone(),
            store: Mutex::default(),
            memory: Mutex::default(),
            scheme: if options.tls.is_some() { "https" } else { "http" },
            requests: AtomicU64::new(0),
        };
        server.settings = server.reads_settings(environment, settings);
        server
    }

    /// Whether this server deviates in that way, which then takes effect.
    fn bends(&self, name: &'static str) -> bool {
        let deviates = self.has(name);
        if deviates {
            *lock(&self.fired).entry(name).or_default() += 1;
        }
        deviates
    }

    /// Whether this server deviates in that way. Asked where it is not known yet whether that will change anything.
    fn has(&self, name: &'static str) -> bool {
        self.deviations.contains(&name)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }
}

impl Handler for Server {
    fn answer(&self, asked: &Asked) -> Reply {
        let refused = self.too_many();
        self.written(refused.unwrap_or_else(|| operations::answer(self, asked)))
    }

    fn fired(&self, name: &str) -> u64 {
        lock(&self.fired).get(name).copied().unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
