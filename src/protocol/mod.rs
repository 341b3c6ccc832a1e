//! What a protocol is to the engine: data, and a few functions.
//!
//! The engine turns cases into a record and a record into reports; it knows HTTP, processes, keys, checks and faults, and no
//! protocol. A protocol is one value of type [`Protocol`], and a [`Suite`] is its cases, read.

mod plain_cases;

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::case::{CaseHead, Heads, Problem, Rules, Source};
use crate::catalogue::Catalogue;
use crate::http::{Client, ClientOptions, GrpcCodec, Service};
use crate::judge::Context;
use crate::keys::{NamedKey, Seed};
use crate::record::diagnosis::{Dictionary, Fingerprint, Fingerprints, diagnose};
use crate::record::findings::is_broken_case;
use crate::record::transcript::Transcript;
use crate::record::{CaseRecord, ProtocolInfo, Record, summarize};
use crate::serve::{CANARY, Fault, Reference, ServeOptions, StartError, Variation};
use crate::session::{LiveSecrets, RunContext};
pub use plain_cases::{Drive, Meaning};

/// Work that is waited for.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Asks the target which use of a seed this is.
pub type Generation = for<'a> fn(&'a Client, &'a Seed) -> Task<'a, u32>;

/// Asks the target whether it is one of the protocol.
pub type FirstContact = for<'a> fn(&'a Client, &'a Seed) -> Task<'a, Met>;

/// Who was met at first contact.
#[derive(Debug, PartialEq, Eq)]
pub enum Met {
    /// Perhaps a target of the protocol: the cases tell better.
    Perhaps,
    /// None, by what was answered.
    Stranger(String),
    /// A server of gRPC that has none of the protocol's methods, by what was answered.
    NoMethods(String),
    /// Somebody who answers with what is no HTTP, or closes the connection.
    NoHttp,
}

/// Asks the target once more, with the run's client, its options and its seed.
pub type Afterwards =
    for<'a> fn(&'a Client, &'a ClientOptions, &'a Seed, &'a Record) -> Task<'a, Option<String>>;

/// Writes a script for a case of a record.
pub type Repro = fn(&Record, &CaseRecord, Option<usize>, &Reach) -> Result<String, String>;

/// How the target was reached, as far as it can be told.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Certificates of authorities.
    pub cacert: Option<PathBuf>,
    /// Our own certificate.
    pub client_cert: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<PathBuf>,
    /// Whether certificates were not checked.
    pub insecure: bool,
    /// Whether headers were sent that are not to be told.
    pub has_headers: bool,
    /// The same for the identity provider.
    pub has_idp_headers: bool,
    /// Whether there was a proxy, whose address may hold a password.
    pub has_proxy: bool,
}

/// Asks one address which of the protocol's services it is, with the keys, and whether somebody said that it knows them. The
/// error is a sentence for whoever named the address.
pub type WhichService = for<'a> fn(&'a Client, &'a [NamedKey], bool) -> Task<'a, Result<Service, String>>;

/// The variables with which a server is started that is to be a service, and to know these keys.
pub type Environment = fn(service: &str, keys: &[NamedKey]) -> Vec<(String, String)>;

/// A service that a protocol asks.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInfo {
    /// Its name: `--service NAME=URL`.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
}

/// What the engine needs where each service is a server of its own: the same program, started in another way.
#[derive(Clone, Copy)]
pub struct Apart {
    /// Tells which service a single address is.
    pub which: WhichService,
    /// The variables with which a server is started that is to be this service, and to know these keys.
    pub environment: Environment,
    /// The keys that servers are told of, unless others are named.
    pub keys: fn() -> Vec<NamedKey>,
}

/// One protocol, as the engine knows it.
pub struct Protocol {
    /// What it is called on the command line and in records: `avp`.
    pub name: &'static str,
    /// The services that it asks; the first is the target.
    pub services: &'static [ServiceInfo],
    /// Where each service is a server of its own. None where a service is at the target unless it is named.
    pub apart: Option<Apart>,
    /// What it demands, and the words it has.
    pub rules: fn() -> Rules,
    /// The case files that are built in.
    pub sources: fn() -> Vec<Source>,
    /// Reads and lints case files. The error is all that is wrong with them.
    pub load: fn(Vec<Source>) -> Result<Suite, Vec<Problem>>,
    /// What its reference server can get wrong.
    pub faults: fn() -> &'static [Fault],
    /// The published fingerprints of these faults, as JSON.
    pub fingerprints: &'static str,
    /// The freedoms that its reference server can use.
    pub variations: fn() -> &'static [Variation],
    /// Starts its reference server.
    pub start: fn(ServeOptions) -> Result<Box<dyn Reference>, StartError>,
    /// How calls are read, where it has a gRPC profile.
    pub grpc: Option<GrpcCodec>,
    /// A path that a target answers in some way or other: whether it can be reached is tried with it.
    pub probe: &'static str,
    /// Which use of a seed this is against a target that keeps its data; none where ids cannot clash.
    pub generation: Option<Generation>,
    /// Whether what answers is a target of this protocol at all.
    pub stranger: Option<FirstContact>,
    /// What a reader of the record is to be told beside what was checked. It counts for nothing.
    pub notes: fn(&Record) -> Vec<String>,
    /// What the target is asked when the cases are over, and what a reader is told of it. It counts for nothing.
    pub afterwards: Option<Afterwards>,
    /// A script that makes the requests of a case again, up to a step if one is given. The error is one sentence.
    pub repro: Option<Repro>,
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol({})", self.name)
    }
}

impl Protocol {
    /// What it demands.
    pub fn catalogue(&self) -> &'static Catalogue {
        (self.rules)().catalogue
    }

    /// What a record says of it.
    pub fn info(&self) -> ProtocolInfo {
        let catalogue = self.catalogue();
        ProtocolInfo {
            name: self.name.to_owned(),
            title: catalogue.title.clone(),
            prefix: catalogue.prefix.clone(),
            newest: Some(catalogue.newest()),
            sections: catalogue.sections.clone(),
        }
    }

    /// What is known of its faults, and what it does to users where its requirements are broken.
    pub fn dictionary(&self) -> Dictionary {
        let learned: Option<Fingerprints> = serde_json::from_str(self.fingerprints).ok();
        self.dictionary_of(learned.as_ref())
    }

    /// The same with other fingerprints; without any, causes are told by what was seen alone.
    pub fn dictionary_of(&self, learned: Option<&Fingerprints>) -> Dictionary {
        let of = |fault: &Fault, learned: &Fingerprints| Fingerprint {
            fault: fault.name.to_owned(),
            about: fault.about.to_owned(),
            mend: fault.fix.to_owned(),
            breaks: fault.breaks.iter().map(|id| (*id).to_owned()).collect(),
            symptoms: learned.symptoms(fault.name),
        };
        let faults = (self.faults)().iter();
        let requirements = self.catalogue().iter();
        Dictionary {
            fingerprints: faults
                .filter(|fault| fault.name != CANARY)
                .filter_map(|fault| Some(of(fault, learned?)))
                .collect(),
            harms: requirements
                .filter_map(|it| Some((it.id.clone(), it.harm?)))
                .collect(),
        }
    }

    /// Works out the causes of what is broken in a record.
    pub fn diagnose(&self, record: &mut Record) {
        record.diagnosis = Some(match record.cases.iter().any(is_broken_case) {
            true => diagnose(record, &self.dictionary()),
            false => Vec::new(),
        });
    }

    /// The keys that servers are told of, unless others are named.
    pub fn known_keys(&self) -> Vec<NamedKey> {
        self.apart.map(|apart| (apart.keys)()).unwrap_or_default()
    }

    /// The names of its services, that of the target first.
    pub fn service_names(&self) -> impl Iterator<Item = &'static str> {
        self.services.iter().map(|service| service.name)
    }

    /// The fault of a name.
    pub fn find_fault(&self, name: &str) -> Option<&'static Fault> {
        (self.faults)().iter().find(|fault| fault.name == name)
    }

    /// The variation of a name.
    pub fn find_variation(&self, name: &str) -> Option<&'static Variation> {
        (self.variations)()
            .iter()
            .find(|variation| variation.name == name)
    }
}

/// Over what cases are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transports {
    /// HTTP.
    pub http: bool,
    /// gRPC.
    pub grpc: bool,
}

/// What the steps of cases mean. The engine calls cases by their index in the suite.
pub trait Cases: Send + Sync {
    /// Drives a case from set-up to last step. Its races end when their time is over, but not before a few rounds were run.
    /// Beside the transcript stands what of it no other case may be seen to be served.
    fn drive<'a>(
        &'a self,
        case: usize,
        context: &'a RunContext,
        races: Option<Duration>,
    ) -> Task<'a, (Transcript, LiveSecrets)>;

    /// Judges a case by its transcript. No clock, no network: the same transcript is always judged alike.
    fn judge(&self, case: usize, transcript: Transcript, context: &Context<'_>) -> CaseRecord;

    /// The cases that run over these transports, one that runs over each of them twice. None where the protocol has one alone.
    fn over(&self, _wanted: Transports) -> Option<(Vec<CaseHead>, Box<dyn Cases>)> {
        None
    }

    /// Takes back, in the judged cases of a run, what only follows from something else that was found, and adds what all of them
    /// together show. Done again it changes nothing.
    fn take_back_what_follows(&self, _cases: &mut [CaseRecord]) {}
}

/// All cases of a protocol that were read: their heads, and what they mean.
pub struct Suite {
    /// The protocol.
    pub protocol: &'static Protocol,
    heads: Heads,
    meaning: Box<dyn Cases>,
}

impl Suite {
    /// Cases with their heads, in one order.
    pub fn new(protocol: &'static Protocol, heads: Heads, meaning: Box<dyn Cases>) -> Suite {
        Suite {
            protocol,
            heads,
            meaning,
        }
    }

    /// The cases that run over these transports; all as they are, where the protocol has one alone.
    pub fn over(self: &Arc<Self>, wanted: Transports) -> Arc<Suite> {
        match self.meaning.over(wanted) {
            Some((cases, meaning)) => Arc::new(Suite {
                protocol: self.protocol,
                heads: Heads {
                    cases,
                    ..self.heads.clone()
                },
                meaning,
            }),
            None => Arc::clone(self),
        }
    }

    /// What the cases mean.
    pub fn meaning(&self) -> &dyn Cases {
        &*self.meaning
    }

    /// Works out everything of a record that follows from its judged cases.
    pub fn summarize(&self, record: &mut Record) {
        self.meaning.take_back_what_follows(&mut record.cases);
        summarize::summarize(record, &self.heads);
    }
}

impl Deref for Suite {
    type Target = Heads;

    fn deref(&self) -> &Heads {
        &self.heads
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Suite({}, {} cases)",
            self.protocol.name,
            self.heads.cases.len()
        )
    }
}
