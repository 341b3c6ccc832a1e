//! What the engine knows of a case: its id, what it verifies, how it wants to be run. What its steps mean is the protocol's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::source::Source;
use crate::catalogue::{Catalogue, OperationInfo, OperationName, Version};
use crate::http::{Exchange, Over};

/// One case, as the engine knows it.
#[derive(Debug, Clone)]
pub struct CaseHead {
    /// `topic/what-it-shows`
    pub id: String,
    /// Over what it is run.
    pub over: Over,
    /// What it is about that HTTP alone has, where the protocol has another transport.
    pub http_alone: Option<&'static str>,
    /// What a conformant target does, in one sentence.
    pub title: String,
    /// Why it matters and how to mend it.
    pub why: Option<String>,
    /// The protocol version that brought what the case looks at.
    pub since: Version,
    /// Whether it takes minutes.
    pub slow: bool,
    /// The faults of the reference server that it is there to catch.
    pub kills: Vec<String>,
    /// How surely a race finds what it looks for; none where nothing is left to chance.
    pub power: Option<String>,
    /// Every requirement that its steps verify, in the order of first mention. Advice verifies nothing.
    pub requirements: Vec<String>,
    /// Its steps.
    pub steps: Vec<StepHead>,
    /// How it wants to be run.
    pub demands: Demands,
    /// The file that it was read from.
    pub source: Arc<Source>,
    /// The line of its id, from 1.
    pub line: usize,
    /// Where its id stands in the file, in bytes.
    pub span: Range<usize>,
}

/// What the engine knows of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StepHead {
    /// The line in which it begins, from 1.
    pub line: usize,
    /// Whether several do it at the same moment.
    pub is_race: bool,
    /// Whether the requirements of the case are decided by it.
    pub decides: bool,
}

/// How a case wants to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demands {
    /// Nothing else runs beside it.
    pub alone: bool,
    /// It fills the target with what it makes: it runs after the others.
    pub fills_target: bool,
    /// Its part of the time for all races; 0 where it is none.
    pub race_weight: u32,
    /// About how many ordinary requests it is worth.
    pub length: usize,
    /// It uses tokens of a server that is not the target.
    pub foreign_server: bool,
}

impl CaseHead {
    /// Whether it has something to ask over gRPC, where the protocol has that: as it is, or by nature.
    pub fn runs_over_grpc(&self) -> bool {
        self.over != Over::Http || self.http_alone.is_none()
    }

    /// The id, and over what it is run.
    pub fn name(&self) -> String {
        format!("{}{}", self.id, self.over.suffix())
    }

    /// The part of the id before the slash.
    pub fn topic(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// Whether it consists of races alone, and is run again and again while its time lasts.
    pub fn is_race(&self) -> bool {
        self.demands.race_weight > 0
    }

    /// Whether a requirement is verified by one of its steps.
    pub fn verifies(&self, requirement: &str) -> bool {
        self.requirements.iter().any(|id| id == requirement)
    }
}

/// What a protocol says that whoever adds up and compares records must know.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The requirements.
    pub catalogue: &'static Catalogue,
    /// The operations, in the order of the route table.
    pub operations: &'static [OperationInfo],
    /// What an answer says, in the words of case files: `granted`, `conflict`; none where its status says it all.
    pub answer_word: fn(&Exchange) -> Option<&'static str>,
}

/// The heads of all cases of a suite, in the order of their files' names and their places in them.
#[derive(Debug, Clone)]
pub struct Heads {
    /// What they verify.
    pub rules: Rules,
    /// The heads.
    pub cases: Vec<CaseHead>,
    /// SHA-256 over all case files and the catalogue, hexadecimal.
    pub hash: String,
}

impl Heads {
    /// The case of an id.
    pub fn get(&self, id: &str) -> Option<&CaseHead> {
        self.cases.iter().find(|case| case.id == id)
    }

    /// The ids of all cases.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().map(|case| case.id.as_str())
    }

    /// The text of every case file, by its name.
    pub fn sources(&self) -> BTreeMap<String, Cow<'static, str>> {
        let entry = |case: &CaseHead| (case.source.name.clone(), Cow::Owned(case.source.text.clone()));
        self.cases.iter().map(entry).collect()
    }
}

/// Whether the target may have executed twice what is another thing than executing it once: what came of it, and what is
/// seen from then on, says nothing about the target.
pub fn is_doubtful(operations: &[OperationInfo], exchange: &Exchange) -> bool {
    let name = exchange.operation.as_ref().map(OperationName::as_str);
    let known = operations.iter().find(|operation| Some(operation.name) == name);
    let changes = match known {
        Some(operation) => operation.is_spent_by_use,
        None => !["GET", "HEAD"].contains(&exchange.request.method.as_str()),
    };
    exchange.resent && changes
}
