//! The key-package registry as the engine knows it.

use std::sync::LazyLock;
use std::time::Duration;

use super::cases::{Step, facts};
use super::{driver, judge, server};
use crate::case::file::{ReadCase, heads, read_cases};
use crate::case::{Problem, Rules, Source, embedded, hash};
use crate::catalogue::{Catalogue, OperationInfo};
use crate::judge::Context;
use crate::protocol::{Cases, Protocol, ServiceInfo, Suite, Task};
use crate::record::CaseRecord;
use crate::record::transcript::Transcript;
use crate::session::{LiveSecrets, RunContext};

include!(concat!(env!("OUT_DIR"), "/embedded_keypackage_cases.rs"));

/// The registry of signed key packages.
pub static KEYPACKAGE: Protocol = Protocol {
    name: "keypackage",
    services: &[ServiceInfo {
        name: "registry",
        about: "the registry",
    }],
    apart: None,
    rules,
    sources,
    load,
    faults: server::faults,
    fingerprints: include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/reports/keypackage.fingerprints.json"
    )),
    variations: server::variations,
    start: server::start,
    grpc: None,
    probe: "/v0/keypackage/0000000000000000000000000000000000000000000000000000000000000000",
    // Devices are made from the seed and the generation; what an earlier run left behind under the same seed is met again.
    generation: None,
    stranger: None,
    notes: |_| Vec::new(),
    afterwards: None,
    repro: None,
};

/// The operations of the route table.
pub(super) const OPERATIONS: [OperationInfo; 2] = [
    OperationInfo {
        name: "publish",
        method: "POST",
        path: "/v0/keypackage",
        is_spent_by_use: true,
    },
    OperationInfo {
        name: "fetch",
        method: "GET",
        path: "/v0/keypackage/{device_id}",
        is_spent_by_use: false,
    },
];

/// The requirements of the registry.
pub(super) fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/schema/keypackage.requirements.toml"
        ));
        Catalogue::parse(text).expect("a test parses the embedded catalogue")
    });
    &CATALOGUE
}

fn rules() -> Rules {
    Rules {
        catalogue: catalogue(),
        operations: &OPERATIONS,
        answer_word: |_| None,
    }
}

fn sources() -> Vec<Source> {
    embedded(EMBEDDED_CASES)
}

fn load(sources: Vec<Source>) -> Result<Suite, Vec<Problem>> {
    let faults: Vec<&str> = server::faults().iter().map(|fault| fault.name).collect();
    let hash = hash(catalogue(), &sources);
    let cases: Vec<ReadCase<Step>> = read_cases(sources, &rules(), &faults, facts)?;
    Ok(Suite::new(
        &KEYPACKAGE,
        heads(rules(), hash, &cases),
        Box::new(Meaning(cases)),
    ))
}

struct Meaning(Vec<ReadCase<Step>>);

impl Cases for Meaning {
    fn drive<'a>(
        &'a self,
        case: usize,
        context: &'a RunContext,
        _races: Option<Duration>,
    ) -> Task<'a, (Transcript, LiveSecrets)> {
        let case = &self.0[case];
        // Nothing of it is secret: whoever asks is served every bundle.
        Box::pin(async move {
            let transcript = driver::drive(&case.head.id, &case.steps, context).await;
            (transcript, LiveSecrets::default())
        })
    }

    fn judge(&self, case: usize, transcript: Transcript, context: &Context<'_>) -> CaseRecord {
        judge::judge(&self.0[case], transcript, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_and_cases_are_well_formed() {
        assert_eq!(
            catalogue().iter().count(),
            catalogue().source.matches("{ id = ").count()
        );
        assert!(
            load(sources())
                .unwrap_or_else(|problems| panic!("{problems:?}"))
                .cases
                .len()
                > 20
        );
    }

    #[test]
    fn faults_break_requirements_of_servers_at_their_level() {
        for fault in server::faults() {
            for id in fault.breaks {
                let requirement = catalogue().get(id).expect(fault.name);
                assert!(
                    requirement.level == fault.level || *id != fault.breaks[0],
                    "{}",
                    fault.name
                );
            }
        }
    }
}
