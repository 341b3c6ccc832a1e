//! The key-package registry as the engine knows it.

use std::sync::LazyLock;

use super::cases::facts;
use super::{consequences, driver, judge, repro, server};
use crate::case::{Problem, Rules, Source, embedded};
use crate::catalogue::{Catalogue, OperationInfo};
use crate::protocol::{Meaning, Protocol, ServiceInfo, Suite};
use crate::session::LiveSecrets;

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
    repro: Some(repro::script),
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
    let meaning = Meaning {
        facts,
        mistakes: |_| Vec::new(),
        // Nothing of it is secret: whoever asks is served every bundle.
        drive: |case, context| {
            Box::pin(async {
                let transcript = driver::drive(&case.head.id, &case.steps, context).await;
                (transcript, LiveSecrets::default())
            })
        },
        judge: judge::judge,
        take_back_what_follows: Some(consequences::take_back_what_follows),
    };
    Suite::read(&KEYPACKAGE, sources, meaning)
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
