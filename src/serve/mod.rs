//! Reference servers, as the engine knows them: what they can be told to get wrong, how they are started, and how often a
//! deviation took effect.

mod authority;
mod habits;
mod listen;
mod log;
mod tls;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::catalogue::Level;
use crate::http::Service;
use crate::subject::Subject;
pub use authority::{Authority, Certificate};
pub use habits::{Habits, Tables};
pub use listen::{Asked, Handler, Listener, Reply};
pub use log::{Log, LogLine};
pub use tls::{Tls, TlsError};

/// How a server behaves.
#[derive(Debug, Clone, Copy, Default)]
pub enum Behaviour {
    /// By the protocol, without any deviation.
    #[default]
    Plain,
    /// Wrongly in one named way.
    Faulty(&'static Fault),
    /// Rightly, but in one named way other than the plain server.
    Varied(&'static Variation),
}

impl Behaviour {
    /// The name of the deviation; `None` for the plain server.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Behaviour::Plain => None,
            Behaviour::Faulty(fault) => Some(fault.name),
            Behaviour::Varied(variation) => Some(variation.name),
        }
    }
}

/// The fault of every protocol that no suite can miss. It resembles nothing that people write.
pub const CANARY: &str = "canary";

/// One way to get a protocol wrong.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What part of the server it lives in: `auth`, `push`.
    pub area: &'static str,
    /// What the server does wrong, in one sentence.
    pub about: &'static str,
    /// The ids of the requirements it breaks: one, or the few that what it does contradicts alike.
    pub breaks: &'static [&'static str],
    /// How binding the first of them is.
    pub level: Level,
    /// What a user of the server would notice.
    pub notice: &'static str,
    /// How the author of a server mends it.
    pub fix: &'static str,
}

/// A fault, as a row of a table says it.
pub const fn fault(
    name: &'static str,
    area: &'static str,
    breaks: &'static [&'static str],
    level: Level,
    about: &'static str,
    notice: &'static str,
    fix: &'static str,
) -> Fault {
    Fault {
        name,
        area,
        about,
        breaks,
        level,
        notice,
        fix,
    }
}

/// One freedom that conformant servers use.
#[derive(Debug, Clone, Copy)]
pub struct Variation {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What part of the server it lives in: `form`, `limits`.
    pub area: &'static str,
    /// What the server does, in one sentence.
    pub about: &'static str,
}

/// A variation, as a row of a table says it.
pub const fn variation(name: &'static str, area: &'static str, about: &'static str) -> Variation {
    Variation { name, area, about }
}

/// How to start a reference server. The default is a plain server on a free loopback port.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
    /// How it behaves: plainly, or with one named deviation.
    pub behaviour: Behaviour,
    /// Faults that it has beside that.
    pub faults: Vec<&'static Fault>,
    /// Freedoms that it uses beside that.
    pub freedoms: Vec<&'static Variation>,
    /// The certificate to serve https with; http without.
    pub tls: Option<Tls>,
    /// Whether it speaks HTTP alone, where the protocol has a gRPC profile.
    pub no_grpc: bool,
    /// Which of the protocol's services it is, where each is a server of its own; as its environment says, else all of them,
    /// unless told.
    pub mode: Option<String>,
    /// The ids and public keys of signers that it knows, as text.
    pub keys: Vec<(String, String)>,
    /// Variables that it heeds.
    pub environment: Vec<(String, String)>,
    /// Whether it is one server, as its environment says, also where each service would be one.
    pub single: bool,
    /// The file that holds what is stored, where the server keeps one; in memory without.
    pub db: Option<PathBuf>,
    /// What stands on its command line beside that, as the protocol's page names it.
    pub flags: Vec<String>,
    /// How long a second of its background tasks lasts: less, where nobody is to wait for them.
    pub second: Duration,
    /// Takes a line for each request; none is written without.
    pub log: Option<LogLine>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            behaviour: Behaviour::Plain,
            faults: Vec::new(),
            freedoms: Vec::new(),
            tls: None,
            no_grpc: false,
            mode: None,
            keys: Vec::new(),
            environment: Vec::new(),
            single: false,
            db: None,
            flags: Vec::new(),
            second: Duration::from_secs(1),
            log: None,
        }
    }
}

impl ServeOptions {
    /// The log that it is to write, if any.
    pub fn log(&self) -> Option<Log> {
        self.log.map(|write| Log::new(write, &self.deviations()))
    }

    /// Makes sure that a server that has no flags of its own is given none.
    ///
    /// # Errors
    /// It is given one.
    pub fn without_flags(&self) -> Result<(), StartError> {
        match self.flags.first() {
            Some(flag) => Err(StartError(format!("this server has no flag {flag}").into())),
            None => Ok(()),
        }
    }

    /// The names of all its deviations.
    pub fn deviations(&self) -> Vec<&'static str> {
        let faults = self.faults.iter().map(|fault| fault.name);
        let freedoms = self.freedoms.iter().map(|variation| variation.name);
        self.behaviour
            .name()
            .into_iter()
            .chain(faults)
            .chain(freedoms)
            .collect()
    }
}

/// Why a reference server did not start: one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub Box<dyn Error + Send + Sync>);

/// A running reference server. Dropping it ends it.
pub trait Reference: Send + Sync {
    /// Where it is: `http://127.0.0.1:4711`.
    fn url(&self) -> String;

    /// Where it speaks gRPC, if it does: `grpc://127.0.0.1:4711`.
    fn grpc(&self) -> Option<String> {
        None
    }

    /// Where each service is, where each is a server of its own; the first is at `url`.
    fn services(&self) -> Vec<(Service, String)> {
        Vec::new()
    }

    /// How often a deviation took effect.
    fn fired(&self, name: &str) -> u64;

    /// The client that it is, where it is none that is asked but one that asks.
    fn subject(&self) -> Option<Arc<dyn Subject>> {
        None
    }
}
