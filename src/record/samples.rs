//! Judged cases, checks and exchanges for tests: plain ones, of which a test changes what it is about.

use std::time::Duration;

use super::verdict::Verdict;
use super::{Answer, CaseRecord, CheckRecord, Exchange, Outcome, Over};
use crate::catalogue::OperationName;
use crate::http::{Request, Service};

/// An answer with this status to a request for an operation of a service.
pub(crate) fn exchange(service: &'static str, operation: OperationName, status: u16) -> Exchange {
    let request = Request {
        service: Service::new(service),
        method: "POST".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
        body: None,
    };
    let answer = Answer {
        status,
        headers: Vec::new(),
        body: "{}".into(),
    };
    Exchange {
        step: Some(0),
        operation: Some(operation),
        ..Exchange::new(
            request,
            Outcome::Answer(answer),
            Duration::ZERO,
            Duration::from_micros(1),
        )
    }
}

/// A check of the answer to the first step that failed against a requirement.
pub(crate) fn failed(requirement: &str) -> CheckRecord {
    CheckRecord {
        name: "answer".to_owned(),
        requirements: vec![requirement.to_owned()],
        verdict: Verdict::Fail,
        step: Some(0),
        line: 1,
        exchanges: vec![0],
        pointer: None,
        expected: "x".to_owned(),
        got: "y".to_owned(),
        hint: None,
        known: None,
    }
}

/// A case with these checks, whose verdict is the worst of theirs.
pub(crate) fn case(id: &str, checks: Vec<CheckRecord>, exchanges: Vec<Exchange>) -> CaseRecord {
    let named = checks.iter().flat_map(|check| check.requirements.clone());
    CaseRecord {
        id: id.to_owned(),
        transport: Over::Http,
        title: String::new(),
        topic: id.split('/').next().unwrap_or_default().to_owned(),
        file: String::new(),
        line: 1,
        generation: None,
        verdict: CaseRecord::worst(&checks, None),
        requirements: named.collect(),
        reason: None,
        known: None,
        duration_ms: 0.0,
        began_ms: 0,
        throttled_ms: 0,
        stopped: None,
        checks,
        exchanges,
    }
}
