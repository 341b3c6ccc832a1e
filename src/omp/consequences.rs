//! What follows from another finding against a server of objects is no finding of its own.

use std::collections::BTreeSet;

use crate::catalogue::OperationName;
use crate::record::consequences::{
    Consequence, Seen, against, operation, status, take_back, take_back_where,
};
use crate::record::{CaseRecord, CheckRecord, Exchange};

const CREATE: &str = "OMP-OBJ-01";
/// A create changes no other object.
const OTHERS: &str = "OMP-OBJ-02";
const READ: &str = "OMP-OBJ-03";
const REPLACED: &str = "OMP-OBJ-04";
const DELETED: &str = "OMP-OBJ-08";
const UNKNOWN: &str = "OMP-OBJ-09";
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

/// In this order: what was taken back has no consequences any more.
const CONSEQUENCES: [Consequence; 12] = [
    Consequence {
        of: against(&[CREATE], is_create),
        follow: against(&["OMP-SIG-09"], is_create),
        why: "a create is answered so whoever signs it",
    },
    Consequence {
        of: against(&[READ], is_lost_alone),
        follow: against(&[OTHERS], is_absent),
        why: "an object that was created is not found either where no other is",
    },
    Consequence {
        of: against(&[OTHERS], is_absent),
        follow: against(&[READ], is_lost),
        why: "a create makes other objects disappear",
    },
    Consequence {
        of: against(&[READ, OTHERS], is_lost),
        follow: against(
            &[
                REPLACED,
                "OMP-OBJ-05",
                DELETED,
                "OMP-OBJ-10",
                "OMP-OBJ-12",
                "OMP-LST-01",
                "OMP-LST-03",
                "OMP-LST-05",
                "OMP-ERR-02",
                "OMP-SIG-02",
                "OMP-SIG-04",
                "OMP-SIG-09",
                "OMP-SIG-14",
            ],
            is_absent,
        ),
        why: "an object that was created is not found either where nothing else is done",
    },
    Consequence {
        of: against(&[UNKNOWN], is_never_there),
        follow: against(&[DELETED], |seen| seen.operation() == "read"),
        why: "an id that there never was is answered so as well",
    },
    Consequence {
        of: against(&[DELETED], is_read),
        follow: against(&[UNKNOWN], is_read),
        why: "a deleted object can still be read",
    },
    Consequence {
        of: against(&["OMP-LST-01"], is_listed),
        follow: against(&["OMP-OBJ-10", "OMP-ERR-02", "OMP-SIG-14"], is_listed),
        why: "lists do not show what there is where nothing else is done",
    },
    Consequence {
        of: against(&[DELETED], is_lost),
        follow: against(&["OMP-LST-01", "OMP-LST-05"], is_listed_after_a_delete),
        why: "a delete makes other objects disappear",
    },
    Consequence {
        of: against(&[UNKNOWN], is_put_there),
        follow: against(&[DELETED], is_read),
        why: "a replace makes an object where there is none",
    },
    Consequence {
        of: against(&[REPLACED, "OMP-OBJ-06"], is_replaced),
        follow: against(&["OMP-LST-01", "OMP-LST-05"], is_replaced),
        why: "a replace does not change the object, whoever looks at it",
    },
    Consequence {
        of: against(&["OMP-SIG-14"], is_lost),
        follow: against(&["OMP-SIG-11", UNSIGNED], is_lost),
        why: "what is refused is done all the same",
    },
    Consequence {
        of: against(&["OMP-SIG-01"], |_| true),
        follow: against(&["OMP-CFG-01"], |_| true),
        why: "a server that is told to be off does not let everything in either",
    },
];

/// Takes back what follows from something else.
pub(super) fn take_back_what_follows(cases: &mut [CaseRecord]) {
    take_back(cases, &CONSEQUENCES);
    take_back_bad_signatures(cases);
}

fn is_create(seen: Seen<'_>) -> bool {
    seen.operation() == "create"
}

/// An object that was created is not found when it is read.
fn is_lost(seen: Seen<'_>) -> bool {
    seen.operation() == "read" && seen.status() == 404
}

/// And no other object was created before.
fn is_lost_alone(seen: Seen<'_>) -> bool {
    let creates = |it: &&Exchange| operation(it) == "create" && matches!(status(it), 200..300);
    is_lost(seen) && seen.earlier().iter().filter(creates).count() == 1
}

/// An object is not found, or does not stand in a list.
fn is_absent(seen: Seen<'_>) -> bool {
    seen.status() == 404 || is_listed(seen)
}

fn is_listed(seen: Seen<'_>) -> bool {
    matches!(seen.operation(), "list" | "search") && seen.status() == 200
}

/// An object was replaced in the case before.
fn is_replaced(seen: Seen<'_>) -> bool {
    let replaces = |it: &Exchange| operation(it) == "replace" && matches!(status(it), 200..300);
    seen.status() == 200 && (seen.operation() == "replace" || seen.earlier().iter().any(replaces))
}

/// A list is answered, in a case that has deleted an object before.
fn is_listed_after_a_delete(seen: Seen<'_>) -> bool {
    let deletes = |it: &Exchange| operation(it) == "delete" && matches!(status(it), 200..300);
    is_listed(seen) && seen.earlier().iter().any(deletes)
}

/// A replace is granted.
fn is_put_there(seen: Seen<'_>) -> bool {
    seen.operation() == "replace" && matches!(seen.status(), 200..300)
}

/// A read is granted.
fn is_read(seen: Seen<'_>) -> bool {
    seen.operation() == "read" && seen.status() == 200
}

/// Nothing was deleted in the case before: the id is made up.
fn is_never_there(seen: Seen<'_>) -> bool {
    let deletes = |it: &Exchange| operation(it) == "delete" && matches!(status(it), 200..300);
    seen.operation() == "read" && !seen.earlier().iter().any(deletes)
}

/// Takes back that a signature was let in which is none, where the same operation needs no signature at all: nobody looks at
/// signatures there.
fn take_back_bad_signatures(cases: &mut [CaseRecord]) {
    let unsigned = |case: &CaseRecord| {
        let of_checks = case
            .checks
            .iter()
            .filter_map(|check| granted(case, check, &[UNSIGNED]));
        of_checks.collect::<Vec<_>>()
    };
    let open: BTreeSet<OperationName> = cases.iter().flat_map(unsigned).collect();
    let why = "a request without a signature is granted as well";
    take_back_where(cases, why, |case, check| {
        granted(case, check, &REFUSED).is_some_and(|operation| open.contains(&operation))
    });
}

/// The operation that a strict server granted, by a finding against some rules alone.
fn granted(case: &CaseRecord, check: &CheckRecord, rules: &[&str]) -> Option<OperationName> {
    let exchange = Seen::of(case, check)?.exchange;
    let is_of = check.requirements.iter().all(|id| rules.contains(&id.as_str()));
    let is_strict = exchange.request.service.as_str() == "strict";
    let is_granted = matches!(status(exchange), 200..300);
    (check.is_broken() && is_of && is_strict && is_granted).then(|| exchange.operation.clone())?
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
