//! What follows from another finding is no finding of its own: what only all cases together can tell.

use std::collections::BTreeSet;

use crate::catalogue::OperationName;
use crate::record::{CaseRecord, CheckRecord, Exchange};

/// strict: a request without signature headers is refused.
const UNSIGNED: &str = "OMP-SIG-05";
/// strict: what sort of signature is refused as well.
const REFUSED: [&str; 12] = [
    "OMP-SIG-06",
    "OMP-SIG-07",
    "OMP-SIG-08",
    "OMP-SIG-11",
    "OMP-SIG-12",
    "OMP-SIG-13",
    "OMP-SIG-15",
    "OMP-SIG-16",
    "OMP-SIG-17",
    "OMP-SIG-18",
    "OMP-SIG-19",
    "OMP-SIG-20",
];

/// Takes back that a signature was let in which is none, where the same operation needs no signature at all: nobody looks at
/// signatures there.
pub(super) fn take_back_what_follows(cases: &mut [CaseRecord]) {
    let open: BTreeSet<OperationName> = granted(cases, &[UNSIGNED])
        .map(|(_, _, operation)| operation)
        .collect();
    let follows: Vec<(usize, usize)> = granted(cases, &REFUSED)
        .filter(|(_, _, operation)| open.contains(operation))
        .map(|(case, check, _)| (case, check))
        .collect();
    for (case, check) in follows {
        cases[case].take_back(check, "a request without a signature is granted as well");
    }
}

/// The findings against some rules that a request was granted: the case, the check, and the operation.
fn granted<'a>(
    cases: &'a [CaseRecord],
    rules: &'a [&str],
) -> impl Iterator<Item = (usize, usize, OperationName)> + 'a {
    let is_of = |check: &CheckRecord| {
        check.is_broken() && check.requirements.iter().all(|id| rules.contains(&id.as_str()))
    };
    cases.iter().enumerate().flat_map(move |(at, case)| {
        let broken = case
            .checks
            .iter()
            .enumerate()
            .filter(move |(_, check)| is_of(check));
        broken.filter_map(move |(index, check)| {
            let exchange = case.exchanges.get(*check.exchanges.first()?)?;
            is_granted(exchange).then(|| Some((at, index, exchange.operation.clone()?)))?
        })
    })
}

fn is_granted(exchange: &Exchange) -> bool {
    let answer = exchange.outcome.answer();
    exchange.request.service.as_str() == "strict"
        && answer.is_some_and(|answer| matches!(answer.status, 200..300))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::samples;
    use crate::record::verdict::Verdict;

    /// A case with one finding.
    fn case(requirement: &str, operation: &'static str, status: u16) -> CaseRecord {
        let made = samples::exchange("strict", OperationName::new(operation), status);
        samples::case("signatures/one", vec![samples::failed(requirement)], vec![made])
    }

    fn verdicts(mut cases: Vec<CaseRecord>) -> Vec<Verdict> {
        take_back_what_follows(&mut cases);
        cases.iter().map(|case| case.verdict).collect()
    }

    #[test]
    fn what_needs_no_signature_says_nothing_of_bad_ones() {
        let cases = vec![
            case("OMP-SIG-08", "read", 200),
            case("OMP-SIG-05", "read", 200),
            case("OMP-SIG-08", "delete", 204),
            case("OMP-SIG-08", "read", 500),
            case("OMP-SIG-14", "read", 200),
        ];
        assert_eq!(
            verdicts(cases),
            [
                Verdict::Blocked,
                Verdict::Fail,
                Verdict::Fail,
                Verdict::Fail,
                Verdict::Fail
            ]
        );
    }

    #[test]
    fn a_bad_signature_that_is_taken_is_a_finding_where_an_unsigned_request_is_refused() {
        let cases = vec![case("OMP-SIG-08", "read", 200), case("OMP-SIG-05", "read", 403)];
        assert_eq!(verdicts(cases), [Verdict::Fail, Verdict::Fail]);
    }
}
