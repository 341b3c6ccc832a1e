//! What a deviation is made of: a name that rules ask for, or a function at one of three edges.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::answer::Answer;
use super::core::Call;
use super::json;
use super::request::Request;
use super::vault::Repo;
use crate::avp::Operation;

/// The name of a deviation, as rules ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name(pub(super) &'static str);

/// Where a deviation takes hold. Each function says whether it changed anything: only then has it taken effect.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hook {
    /// A rule asks for it by name, at the place where the rule would otherwise hold.
    Rule,
    /// A repository that an operation has just changed: as it was, and as it is.
    Write(fn(&Call, &Repo, &mut Repo) -> bool),
    /// A repository that a refused or conflicting request was about, and the request's body.
    Refusal(fn(&Call, &Value, &mut Repo) -> bool),
    /// The finished answer.
    Answer(fn(&AnswerContext<'_>, &mut Answer) -> bool),
}

/// A deviation of a server, and how often it took effect.
#[derive(Debug)]
pub(super) struct Deviation {
    name: &'static str,
    /// Where it takes hold.
    pub(super) edge: Hook,
    fired: AtomicU64,
}

impl Deviation {
    /// One that has not taken effect yet.
    pub(super) fn new(name: &'static str, edge: Hook) -> Deviation {
        Deviation {
            name,
            edge,
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

/// Declares a table of faults, and a name for each that a rule asks for.
macro_rules! faults {
    ($area:literal; $($edge:ident($how:ident) $name:literal, $level:ident $($breaks:literal)and+,
        $about:literal, $notice:literal, $fix:literal;)*) => {
        $($crate::avp::server::deviation::named!($edge $how $name);)*

        /// The faults of this area.
        pub(super) static ALL: &[($crate::serve::Fault, $crate::avp::server::deviation::Hook)] = &[$(($crate::serve::Fault {
            name: $name,
            area: $area,
            about: $about,
            breaks: &[$($breaks),+],
            level: $crate::catalogue::Level::$level,
            notice: $notice,
            fix: $fix,
        }, $crate::avp::server::deviation::edge!($edge $how))),*];
    };
}

/// Declares a table of variations, and a name for each that a rule asks for.
macro_rules! variations {
    ($area:literal; $($edge:ident($how:ident) $name:literal, $about:literal;)*) => {
        $($crate::avp::server::deviation::named!($edge $how $name);)*

        /// The variations of this area.
        pub(super) static ALL: &[($crate::serve::Variation, $crate::avp::server::deviation::Hook)] = &[$(($crate::serve::Variation {
            name: $name,
            area: $area,
            about: $about,
        }, $crate::avp::server::deviation::edge!($edge $how))),*];
    };
}

/// The name of a deviation, where a rule asks for it.
macro_rules! named {
    (Rule $how:ident $name:literal) => {
        pub(in crate::avp::server) const $how: $crate::avp::server::deviation::Name =
            $crate::avp::server::deviation::Name($name);
    };
    ($edge:ident $how:ident $name:literal) => {};
}

/// The edge of a deviation.
macro_rules! edge {
    (Rule $how:ident) => {
        $crate::avp::server::deviation::Hook::Rule
    };
    ($edge:ident $how:ident) => {
        $crate::avp::server::deviation::Hook::$edge($how)
    };
}

pub(super) use {edge, faults, named, variations};
