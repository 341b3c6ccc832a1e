//! AVP as the engine knows it.

use std::time::Duration;

use super::cases::{LoadedCase, LoadedCases, embedded_sources, rules};
use super::judge::jwt_claims;
use super::{
    across_cases, consequences, driver, generation, grpc, issuer_keys, judge, recognise, repro, server,
};
use crate::case::{CaseHead, Problem, Source};
use crate::http::Over;
use crate::judge::Context;
use crate::protocol::{Cases, Protocol, ServiceInfo, Suite, Task, Transports};
use crate::record::CaseRecord;
use crate::record::transcript::Transcript;
use crate::session::{LiveSecrets, RunContext};

/// The Alt Vault Protocol.
pub static AVP: Protocol = Protocol {
    name: "avp",
    services: &[
        ServiceInfo {
            name: "vault",
            about: "the vault server",
        },
        ServiceInfo {
            name: "idp",
            about: "the identity provider",
        },
    ],
    apart: None,
    rules,
    sources: embedded_sources,
    load,
    faults: server::faults,
    fingerprints: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/reports/fingerprints.json")),
    variations: server::variations,
    start: server::start,
    grpc: Some(grpc::CODEC),
    probe: "/.well-known/avp",
    generation: Some(|client, seed| Box::pin(generation::of(client, seed))),
    stranger: Some(|client, seed| Box::pin(recognise::stranger(client, seed))),
    notes: jwt_claims::tokens,
    afterwards: Some(|client, options, seed, record| {
        Box::pin(issuer_keys::advice(client, options, seed, record))
    }),
    repro: Some(repro::script),
};

fn load(sources: Vec<Source>) -> Result<Suite, Vec<Problem>> {
    let faults: Vec<&str> = server::faults().iter().map(|fault| fault.name).collect();
    let loaded = LoadedCases::load(sources, &faults)?;
    let heads = loaded.heads();
    let cases = loaded.cases.into_iter().zip(heads.cases.clone());
    Ok(Suite::new(&AVP, heads, Box::new(AvpCases(cases.collect()))))
}

/// The cases of AVP.
struct AvpCases(Vec<(LoadedCase, CaseHead)>);

impl Cases for AvpCases {
    fn drive<'a>(
        &'a self,
        case: usize,
        context: &'a RunContext,
        races: Option<Duration>,
    ) -> Task<'a, (Transcript, LiveSecrets)> {
        Box::pin(driver::drive_within(
            &self.0[case].0,
            self.0[case].1.over,
            context,
            races,
        ))
    }

    fn judge(&self, case: usize, transcript: Transcript, context: &Context<'_>) -> CaseRecord {
        let (case, head) = &self.0[case];
        judge::judge(case, head, transcript, context)
    }

    fn over(&self, wanted: Transports) -> Option<(Vec<CaseHead>, Box<dyn Cases>)> {
        let as_it_is = |(case, head): &(LoadedCase, CaseHead)| (case.clone(), head.clone());
        let is_wanted = |(_, head): &&(LoadedCase, CaseHead)| match head.over {
            Over::Http => wanted.http,
            Over::Grpc => wanted.grpc,
            Over::Both => wanted.http && wanted.grpc,
        };
        let mut cases: Vec<_> = self.0.iter().filter(is_wanted).map(as_it_is).collect();
        if wanted.grpc {
            let ordinary = self.0.iter().filter(|(_, head)| head.over == Over::Http);
            cases.extend(ordinary.map(|(case, head)| {
                let over = Over::Grpc;
                (case.clone(), CaseHead { over, ..head.clone() })
            }));
        }
        // As reports are merged: what ran over HTTP first.
        cases.sort_by_cached_key(|(_, head)| (head.over, head.source.name.clone(), head.line));
        let heads = cases.iter().map(|(_, head)| head.clone()).collect();
        Some((heads, Box::new(AvpCases(cases))))
    }

    fn take_back_what_follows(&self, cases: &mut [CaseRecord]) {
        across_cases::find_nonces_issued_again(cases);
        consequences::take_back_what_follows(cases);
    }
}
