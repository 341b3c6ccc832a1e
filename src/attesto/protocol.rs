//! The Attesto relay and witness as the engine knows them.

use std::sync::LazyLock;

use super::cases::facts;
use super::{driver, judge, relay};
use crate::case::{Problem, Rules, Source, embedded};
use crate::catalogue::Catalogue;
use crate::protocol::{Meaning, Protocol, ServiceInfo, Suite};
use crate::serve::{Fault, Variation};

include!(concat!(env!("OUT_DIR"), "/embedded_attesto_cases.rs"));

/// Relays and witnesses of the Attesto Local Vault.
pub static ATTESTO: Protocol = Protocol {
    name: "attesto",
    services: &[ServiceInfo {
        name: "receiver",
        about: "nobody: the program under test asks, and is told where by its variables",
    }],
    apart: None,
    rules,
    sources,
    load,
    faults,
    fingerprints: include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/reports/attesto.fingerprints.json"
    )),
    variations,
    start: relay::start,
    // Nobody is asked: the program asks.
    grpc: None,
    probe: "/",
    // Each case has keys and files of its own.
    generation: None,
    stranger: None,
    notes: |_| Vec::new(),
    afterwards: None,
    repro: None,
};

/// The requirements, of which those of the program are judged.
pub(super) fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/schema/attesto.requirements.toml"
        ));
        Catalogue::parse(text)
            .expect("a test parses the embedded catalogue")
            .of_clients()
    });
    &CATALOGUE
}

fn faults() -> &'static [Fault] {
    relay::FAULTS
}

fn variations() -> &'static [Variation] {
    relay::VARIATIONS
}

fn rules() -> Rules {
    Rules {
        catalogue: catalogue(),
        // How long the harness's own receiver takes is nobody's concern.
        operations: &[],
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
        drive: |case, context| Box::pin(driver::drive(&case.head.id, &case.steps, context)),
        judge: judge::judge,
        take_back_what_follows: None,
    };
    Suite::read(&ATTESTO, sources, meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_cases_are_well_formed_and_every_requirement_has_one() {
        let suite = load(sources()).unwrap_or_else(|problems| panic!("{problems:?}"));
        for requirement in catalogue().binding(catalogue().newest()) {
            let is_verified = suite.cases.iter().any(|case| case.verifies(&requirement.id));
            assert!(is_verified || requirement.everywhere, "{}", requirement.id);
        }
    }

    #[test]
    fn every_fault_breaks_a_requirement_at_its_level_and_is_declared_by_a_case() {
        let suite = load(sources()).unwrap_or_else(|problems| panic!("{problems:?}"));
        for fault in relay::FAULTS {
            for id in fault.breaks {
                assert!(catalogue().get(id).is_some(), "{}: {id}", fault.name);
            }
            let first = catalogue().get(fault.breaks[0]).unwrap();
            assert_eq!(first.level, fault.level, "{}", fault.name);
            let is_declared = suite
                .cases
                .iter()
                .any(|case| case.kills.iter().any(|kill| kill == fault.name));
            assert!(is_declared, "{}", fault.name);
        }
    }
}
