//! Cases whose steps are driven and judged as they were read: of every protocol that needs no more than its steps.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{Cases, Protocol, Suite, Task};
use crate::case::file::{Case, ReadCase, StepFacts, heads, read_cases};
use crate::case::{Problem, Source, hash};
use crate::judge::Context;
use crate::record::CaseRecord;
use crate::record::transcript::Transcript;
use crate::session::{LiveSecrets, RunContext};

/// Drives a case from its first step to its last.
pub type Drive<S> = for<'a> fn(&'a ReadCase<S>, &'a RunContext) -> Task<'a, (Transcript, LiveSecrets)>;

/// What steps of type `S` mean.
pub struct Meaning<S: 'static> {
    /// What the engine is told of a step.
    pub facts: fn(&Case<S>, &S) -> StepFacts,
    /// What is wrong with the steps of cases, beside what the engine finds.
    pub mistakes: fn(&[ReadCase<S>]) -> Vec<Problem>,
    /// What drives a case: see [`Cases::drive`].
    pub drive: Drive<S>,
    /// What judges a case: see [`Cases::judge`].
    pub judge: fn(&ReadCase<S>, Transcript, &Context<'_>) -> CaseRecord,
    /// What takes back what only follows from something else: see [`Cases::take_back_what_follows`]. None where nothing does.
    pub take_back_what_follows: Option<fn(&mut [CaseRecord])>,
}

struct PlainCases<S: 'static> {
    cases: Vec<ReadCase<S>>,
    meaning: Meaning<S>,
}

impl<S: Send + Sync> Cases for PlainCases<S> {
    fn drive<'a>(
        &'a self,
        case: usize,
        context: &'a RunContext,
        _races: Option<Duration>,
    ) -> Task<'a, (Transcript, LiveSecrets)> {
        (self.meaning.drive)(&self.cases[case], context)
    }

    fn judge(&self, case: usize, transcript: Transcript, context: &Context<'_>) -> CaseRecord {
        (self.meaning.judge)(&self.cases[case], transcript, context)
    }

    fn take_back_what_follows(&self, cases: &mut [CaseRecord]) {
        if let Some(take_back) = self.meaning.take_back_what_follows {
            take_back(cases);
        }
    }
}

impl Suite {
    /// Reads the cases of a protocol whose steps mean this.
    ///
    /// # Errors
    /// All that is wrong with them, each at its place.
    pub fn read<S>(
        protocol: &'static Protocol,
        sources: Vec<Source>,
        meaning: Meaning<S>,
    ) -> Result<Suite, Vec<Problem>>
    where
        S: DeserializeOwned + Clone + Send + Sync,
    {
        let rules = (protocol.rules)();
        let faults: Vec<&str> = (protocol.faults)().iter().map(|fault| fault.name).collect();
        let hash = hash(rules.catalogue, &sources);
        let cases = read_cases(sources, &rules, &faults, meaning.facts)?;
        let problems = (meaning.mistakes)(&cases);
        if !problems.is_empty() {
            return Err(problems);
        }
        let heads = heads(rules, hash, &cases);
        Ok(Suite::new(
            protocol,
            heads,
            Box::new(PlainCases { cases, meaning }),
        ))
    }
}
