//! What only all cases together show of a server, though none of them shows it by itself.

use std::collections::HashMap;

use serde_json::Value;

use super::Operation;
use super::judge::every_exchange::nonces::FRESHNESS;
use crate::record::verdict::Verdict;
use crate::record::{CaseRecord, CheckRecord, Exchange};

/// A nonce that was issued in one case and in another is a finding of the later one: a run has thousands of challenges, and of
/// a small store of nonces some come again. The first is enough. Finds nothing that was found before.
pub(super) fn find_nonces_issued_again(cases: &mut [CaseRecord]) {
    let Some((at, index, first)) = issued_again(cases) else {
        return;
    };
    let is_known = |check: &CheckRecord| check.name == FRESHNESS.name && check.is_broken();
    if cases[at].checks.iter().any(is_known) {
        return;
    }
    let case = &mut cases[at];
    case.checks.push(CheckRecord {
        name: FRESHNESS.name.to_owned(),
        requirements: vec![FRESHNESS.requirement.to_owned()],
        verdict: Verdict::Fail,
        step: None,
        line: case.line,
        exchanges: vec![index],
        pointer: Some("/nonce".to_owned()),
        expected: FRESHNESS.expected.to_owned(),
        got: format!("a nonce that was issued in {first} as well"),
        hint: None,
        known: None,
    });
    if !case.requirements.iter().any(|id| id == FRESHNESS.requirement) {
        case.requirements.push(FRESHNESS.requirement.to_owned());
    }
    case.verdict = CaseRecord::worst(&case.checks, case.stopped.as_ref());
}

/// Where a nonce came first that another case had before: the case, the exchange, and the id of the other case.
fn issued_again(cases: &[CaseRecord]) -> Option<(usize, usize, String)> {
    let mut issued: HashMap<String, usize> = HashMap::new();
    for (at, case) in cases.iter().enumerate() {
        for (index, exchange) in case.exchanges.iter().enumerate() {
            let Some(nonce) = nonce_of(exchange) else { continue };
            let first = *issued.entry(nonce).or_insert(at);
            if first != at {
                return Some((at, index, cases[first].id.clone()));
            }
        }
    }
    None
}

/// The nonce of an answer to a challenge.
fn nonce_of(exchange: &Exchange) -> Option<String> {
    let answer = exchange.outcome.answer()?;
    let is_issued = Operation::of(exchange) == Some(Operation::Challenge) && answer.status == 200;
    let body: Value = serde_json::from_slice(is_issued.then(|| answer.body.as_bytes())?).ok()?;
    body.get("nonce")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Answer, Outcome, samples};

    fn case(id: &str, nonces: &[&str]) -> CaseRecord {
        let challenge = |nonce: &&str| {
            let answer = Answer {
                status: 200,
                headers: Vec::new(),
                body: format!("{{\"nonce\":\"{nonce}\"}}").as_str().into(),
            };
            Exchange {
                outcome: Outcome::Answer(answer),
                ..samples::exchange("idp", Operation::Challenge.into(), 200)
            }
        };
        samples::case(id, Vec::new(), nonces.iter().map(challenge).collect())
    }

    #[test]
    fn a_nonce_that_two_cases_have_is_a_finding_of_the_later_one() {
        let mut cases = [case("a/one", &["x", "y"]), case("a/two", &["z", "y", "x"])];
        find_nonces_issued_again(&mut cases);
        let again = cases.clone();
        find_nonces_issued_again(&mut cases);
        assert_eq!(cases, again, "what was found is not found twice");
        assert_eq!(cases[0].checks, []);
        let [check] = cases[1].checks.as_slice() else {
            panic!("one finding")
        };
        assert_eq!(
            (check.exchanges.as_slice(), cases[1].verdict),
            (&[1][..], Verdict::Fail)
        );
        assert_eq!(check.got, "a nonce that was issued in a/one as well");
    }

    #[test]
    fn nonces_that_differ_are_none() {
        let mut cases = [case("a/one", &["x", "x"]), case("a/two", &["y"])];
        let before = cases.clone();
        find_nonces_issued_again(&mut cases);
        assert_eq!(cases, before, "what one case has twice is for its own judge");
    }
}
