//! Clients of AVP as the engine knows them.

use std::sync::LazyLock;

use super::cases::facts;
use super::{builtin, driver, judge};
use crate::case::{Problem, Rules, Source, embedded};
use crate::catalogue::Catalogue;
use crate::protocol::{Meaning, Protocol, ServiceInfo, Suite};

include!(concat!(env!("OUT_DIR"), "/embedded_avp_client_cases.rs"));

/// Clients of the Alt Vault Protocol.
pub static AVP_CLIENT: Protocol = Protocol {
    name: "avp-client",
    services: &[ServiceInfo {
        name: "client",
        about: "nobody: a client asks, and is told where by AVP_SERVER_URL",
    }],
    apart: None,
    rules,
    sources,
    load,
    faults: builtin::faults,
    fingerprints: include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/reports/avp-client.fingerprints.json"
    )),
    variations: builtin::variations,
    start: builtin::start,
    // Nobody is asked: a client asks.
    grpc: None,
    probe: "/",
    // Each case has a server of its own.
    generation: None,
    stranger: None,
    notes: |_| Vec::new(),
    afterwards: None,
    repro: None,
};

/// The requirements of AVP, of which those of clients are judged.
pub(super) fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| crate::avp::catalogue().clone().of_clients());
    &CATALOGUE
}

fn rules() -> Rules {
    Rules {
        catalogue: catalogue(),
        // How long the harness's own server takes is nobody's concern.
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
    Suite::read(&AVP_CLIENT, sources, meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_cases_are_well_formed_and_every_requirement_of_clients_has_one() {
        let suite = load(sources()).unwrap_or_else(|problems| panic!("{problems:?}"));
        let all: Vec<&str> = catalogue()
            .binding(catalogue().newest())
            .map(|it| it.id.as_str())
            .collect();
        assert_eq!(all.len(), 23);
        for id in all {
            assert!(suite.cases.iter().any(|case| case.verifies(id)), "{id}");
        }
    }

    #[test]
    fn every_fault_is_declared_by_a_case() {
        let suite = load(sources()).unwrap_or_else(|problems| panic!("{problems:?}"));
        for fault in builtin::faults() {
            let is_declared = suite
                .cases
                .iter()
                .any(|case| case.kills.iter().any(|kill| kill == fault.name));
            assert!(is_declared, "{}", fault.name);
        }
    }
}
