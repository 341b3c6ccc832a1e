//! Judging, as far as it is the same for every protocol.

mod check;
pub mod http_steps;
mod request_target;

use crate::case::CaseHead;
use crate::catalogue::Version;
use crate::http::Endpoint;
use crate::keys::Seed;
use crate::record::transcript::Transcript;
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, CheckRecord, Stopped};
pub use check::{Checks, Finding, Subject};
pub use request_target::reaches_the_server;

/// What judging needs to know beside the transcript.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The protocol version that the target is judged by.
    pub spec: Version,
    /// The seed of the run: the members' keys come from it.
    pub seed: &'a Seed,
    /// Which use of the seed it was.
    pub generation: u32,
    /// How the target is reached.
    pub transport: Transport,
}

/// How the target is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Over TLS.
    Tls,
    /// In the clear, over loopback.
    Loopback,
    /// In the clear, over a network.
    Clear,
}

impl Transport {
    /// How an endpoint is reached.
    pub fn of(endpoint: &Endpoint) -> Transport {
        match (endpoint.is_tls(), endpoint.is_loopback()) {
            (true, _) => Transport::Tls,
            (false, true) => Transport::Loopback,
            (false, false) => Transport::Clear,
        }
    }
}

/// Why a case came to what it did, where its checks do not say it themselves.
fn reason(verdict: Verdict, stopped: Option<&Stopped>, records: &[CheckRecord]) -> Option<String> {
    if !matches!(
        verdict,
        Verdict::NotApplicable | Verdict::Blocked | Verdict::Error
    ) {
        return None;
    }
    let of_checks = || {
        records
            .iter()
            .find(|record| record.verdict == verdict)
            .map(|record| record.got.clone())
    };
    stopped.map(|stopped| stopped.reason.clone()).or_else(of_checks)
}

/// The record of a judged case: what was written down becomes a part of it.
pub fn case_record(head: &CaseHead, transcript: Transcript, checks: Vec<CheckRecord>) -> CaseRecord {
    let verdict = CaseRecord::worst(&checks, transcript.stopped.as_ref());
    let mut requirements: Vec<String> = checks
        .iter()
        .flat_map(|check| check.requirements.clone())
        .collect();
    requirements.sort();
    requirements.dedup();
    CaseRecord {
        id: head.id.clone(),
        transport: head.over,
        title: head.title.clone(),
        topic: head.topic().to_owned(),
        file: head.source.name.clone(),
        line: head.line,
        generation: None,
        verdict,
        requirements,
        reason: reason(verdict, transcript.stopped.as_ref(), &checks),
        known: None,
        duration_ms: transcript.took.as_secs_f64() * 1000.0,
        began_ms: transcript.began_ms,
        throttled_ms: u64::try_from(transcript.throttled.as_millis()).unwrap_or(u64::MAX),
        stopped: transcript.stopped,
        checks,
        exchanges: transcript.exchanges,
    }
}

/// Turns passes that nothing proves into what could not be verified; into not applicable, where a limit of the target's ended
/// the case before anything could.
pub fn without_witness(stopped: Option<&Stopped>, records: &mut [CheckRecord]) {
    let unproven_is = match stopped.map(|stopped| stopped.verdict) {
        Some(Verdict::NotApplicable) => Verdict::NotApplicable,
        _ => Verdict::Blocked,
    };
    for record in records
        .iter_mut()
        .filter(|record| record.verdict == Verdict::Pass)
    {
        record.verdict = unproven_is;
        record.got = NO_WITNESS.to_owned();
    }
}

/// What is said where nothing in a case shows that the target works at all.
pub const NO_WITNESS: &str = "no request in this case succeeded, so that it cannot verify this rule";
