//! What the server can be told to get wrong: a file for each thing that is bent, with the tables of the faults that bend it.
//!
//! An operation asks a plain rule, and hands the answer through a method of the server that is named after what was decided.
//! Those methods are here. Where a server may also do otherwise and be right, they ask those of `variations`.

mod admission;
mod answers;
mod bodies;
mod configuration;
mod create;
mod delete;
mod fidelity;
mod pages;
mod read;
mod replace;
mod routes;
mod search;
mod shapes;
mod signatures;
mod surrogates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;

use super::answer::Answer;
use super::store::Object;
use crate::serve::Fault;

/// Every fault, in the order in which reports show them. Servers with several faults at once are picked by it.
pub(super) static FAULTS: LazyLock<Vec<Fault>> = LazyLock::new(|| {
    [
        create::CREATED,
        fidelity::FAULTS,
        replace::REPLACED,
        delete::FAULTS,
        read::FAULTS,
        replace::UNKNOWN,
        shapes::MISSHAPEN,
        create::DATED,
        surrogates::FAULTS,
        pages::PAGES,
        search::FAULTS,
        routes::SEARCH,
        answers::ERRORS,
        bodies::UNREADABLE,
        routes::IDS,
        bodies::DEEP,
        routes::ESCAPES,
        pages::PARAMETERS,
        shapes::NULLS,
        answers::WORDS,
        bodies::LENIENT,
        routes::CAPABILITIES,
        admission::MODES,
        signatures::UNVERIFIED,
        admission::LABELS,
        signatures::UNBOUND,
        admission::EXECUTED,
        admission::UNUSABLE,
        signatures::PARAMETERS,
        configuration::FAULTS,
    ]
    .concat()
});

/// What a faulty server remembers beside what is stored.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Objects that were deleted.
    ghosts: Vec<Object>,
    /// Ids that a search does not find.
    unfound: BTreeSet<String>,
    /// Ids that are drawn and not yet stored, by namespace: of a server that draws them twice.
    drawn: BTreeMap<String, String>,
    /// The bodies of creations, by namespace and key.
    said: BTreeMap<(String, Option<String>), Value>,
    /// The metadata of objects as a list showed it first, by id.
    listed: BTreeMap<String, Value>,
    /// The Host of the first request that was signed.
    host: Option<String>,
    /// The line that is verified, where all requests have theirs.
    address: String,
    /// How often objects were replaced, by id.
    replaced: BTreeMap<String, u32>,
    /// Objects as reads found them, by id.
    read: BTreeMap<String, Object>,
    /// Pages, by what is said to have been asked for.
    pages: BTreeMap<String, Answer>,
    /// Key ids under which a signature has verified.
    verified: BTreeSet<String>,
}
