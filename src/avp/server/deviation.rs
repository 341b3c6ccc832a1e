//! What a deviation is made of: functions at the places where it takes hold, and a name where it is asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::answer::{Answer, Refusal};
use super::core::Call;
use super::decision::{Asked, Decision, Grant, Reply, Rule};
use super::json;
use super::request::Request;
use super::rules::login::Claim;
use super::state::State;
use super::vault::{Repo, Vault};
use crate::avp::Operation;

/// The name of a deviation, as the transport and other deviations ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name(pub(super) &'static str);

/// Where a deviation takes hold. Each function says whether it changed anything: only then has it taken effect.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hook {
    /// It is asked for by name, where no rule of the protocol decides: in the transport, in limits, and in how a faulty
    /// server gets at its repositories.
    Named,
    /// What a rule decided.
    Rule(fn(&Asked<'_>, Rule<'_>, &mut Decision) -> bool),
    /// Who a request with or without a token is taken for.
    Caller(fn(&State, &Request, &mut Result<String, Refusal>) -> bool),
    /// What was read of the body of a token request.
    Claim(fn(&Value, &mut Claim) -> bool),
    /// A nonce that is about to be issued to a key.
    Nonce(fn(&State, &str, &mut Vec<u8>) -> bool),
    /// A token that is about to be granted for a claim.
    Grant(fn(&State, &Claim, &mut Grant) -> bool),
    /// The body of a request about a repository, before any rule of its operation looks at it.
    Body(fn(&Call, &Repo, &mut Value) -> bool),
    /// A repository that an operation has just changed: as it was, and as it is.
    Write(fn(&Call, &Repo, &mut Repo) -> bool),
    /// A repository that a granted request was about and did not change, and the request's body.
    Unchanged(fn(&Call, &Value, &mut Repo) -> bool),
    /// A repository that a refused or conflicting request was about, and the request's body.
    Refusal(fn(&Call, &Value, &mut Repo) -> bool),
    /// What an operation on a repository replies.
    Reply(fn(&Asked<'_>, &Repo, &mut Result<Reply, Refusal>) -> bool),
    /// All repositories, once a request about one of them was granted: its body, and the id of that one.
    Across(fn(&Call, &Value, &mut Vault, &str) -> bool),
    /// The finished answer.
    Answer(fn(&AnswerContext<'_>, &mut Answer) -> bool),
}

/// A deviation of a server, and how often it took effect.
#[derive(Debug)]
pub(super) struct Deviation {
    name: &'static str,
    /// Where it takes hold.
    pub(super) hooks: &'static [Hook],
    fired: AtomicU64,
}

impl Deviation {
    /// One that has not taken effect yet.
    pub(super) fn new(name: &'static str, hooks: &'static [Hook]) -> Deviation {
        Deviation {
            name,
            hooks,
            fired: AtomicU64::new(0),
        }
    }

    /// Whether this is its name.
    pub(super) fn is(&self, name: Name) -> bool {
        self.name == name.0
    }

    /// Counts one effect.
    pub(super) fn fire(&self) {
        self.fired.fetch_add(1, Ordering::Relaxed);
    }

    /// Its name, and how often it took effect.
    pub(super) fn tally(&self) -> (&'static str, u64) {
        (self.name, self.fired.load(Ordering::Relaxed))
    }
}

/// The occasion of an answer.
pub(super) struct AnswerContext<'a> {
    /// The server.
    pub(super) state: &'a State,
    /// The request.
    pub(super) request: &'a Request,
    /// What it was about; `None` where it was refused before that was known.
    pub(super) place: Option<&'a Call>,
}

impl AnswerContext<'_> {
    /// Whether it is an answer to this operation.
    pub(super) fn on(&self, operation: Operation) -> bool {
        self.place.is_some_and(|place| place.operation == operation)
    }

    /// The request's body, as far as it is JSON.
    pub(super) fn sent(&self) -> Value {
        let bytes = self.request.bytes().unwrap_or_default();
        json::parse_leniently(bytes).unwrap_or_default()
    }
}

/// Declares a table of faults: where each takes hold, and a name for those that are asked for.
macro_rules! faults {
    ($area:literal; $($($edge:ident($how:ident))and+ $name:literal, $level:ident $($breaks:literal)and+,
        $about:literal, $notice:literal, $fix:literal;)*) => {
        $($($crate::avp::server::deviation::named!($edge $how $name);)+)*

        /// The faults of this area.
        pub(super) static ALL: &[($crate::serve::Fault, &[$crate::avp::server::deviation::Hook])] =
            &[$(($crate::serve::Fault {
                name: $name,
                area: $area,
                about: $about,
                breaks: &[$($breaks),+],
                level: $crate::catalogue::Level::$level,
                notice: $notice,
                fix: $fix,
            }, &[$($crate::avp::server::deviation::edge!($edge $how)),+])),*];
    };
}

/// Declares a table of variations: where each takes hold, and a name for those that are asked for.
macro_rules! variations {
    ($area:literal; $($($edge:ident($how:ident))and+ $name:literal, $about:literal;)*) => {
        $($($crate::avp::server::deviation::named!($edge $how $name);)+)*

        /// The variations of this area.
        pub(super) static ALL: &[($crate::serve::Variation, &[$crate::avp::server::deviation::Hook])] =
            &[$(($crate::serve::Variation {
                name: $name,
                area: $area,
                about: $about,
            }, &[$($crate::avp::server::deviation::edge!($edge $how)),+])),*];
    };
}

/// The name of a deviation, where it is asked for.
macro_rules! named {
    (Named $how:ident $name:literal) => {
        pub(in crate::avp::server) const $how: $crate::avp::server::deviation::Name =
            $crate::avp::server::deviation::Name($name);
    };
    ($edge:ident $how:ident $name:literal) => {};
}

/// One place where a deviation takes hold.
macro_rules! edge {
    (Named $how:ident) => {
        $crate::avp::server::deviation::Hook::Named
    };
    ($edge:ident $how:ident) => {
        $crate::avp::server::deviation::Hook::$edge($how)
    };
}

pub(super) use {edge, faults, named, variations};
