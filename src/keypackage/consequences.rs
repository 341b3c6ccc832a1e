//! What follows from another finding against a registry is no finding of its own.

use super::cases::Form;
use crate::record::consequences::{Consequence, Seen, against, operation, status, take_back, take_back_all};
use crate::record::{CaseRecord, Exchange};

const STORED: &str = "KPR-PUB-01";
const ANY_PAYLOAD: &str = "KPR-PUB-10";
const OFTEN: &str = "KPR-PUB-11";
const NEWEST: &str = "KPR-FET-03";
const AT_ONCE: &str = "KPR-FET-05";
const YOUNG: &str = "KPR-RET-02";
const CAP: &str = "KPR-RET-03";
const CAP_BY_DEVICE: &str = "KPR-RET-04";
const RESTART: &str = "KPR-RET-07";

/// In this order: what was taken back has no consequences any more.
const CONSEQUENCES: [Consequence; 12] = [
    Consequence {
        of: against(&["KPR-PUB-05"], is_any_signature),
        follow: against(&["KPR-PUB-06", "KPR-PUB-12", "KPR-PUB-13"], is_granted),
        why: "other signatures that do not verify are taken as well",
    },
    Consequence {
        of: against(&["KPR-PUB-03"], is_granted),
        follow: against(&["KPR-PUB-15"], is_granted),
        why: "what is no base64 at all is taken as well",
    },
    Consequence {
        of: against(&["KPR-PUB-07"], is_breakdown),
        follow: against(&["KPR-PUB-14"], is_breakdown),
        why: "the registry breaks down at whatever is not JSON",
    },
    // Nothing that is refused shows which kind is: publications fail where others are made at the same moment.
    Consequence {
        of: against(&[OFTEN], is_breakdown),
        follow: against(&[STORED, ANY_PAYLOAD], is_breakdown),
        why: "publications fail where others are made beside them",
    },
    Consequence {
        of: against(&[ANY_PAYLOAD], is_first_refusal),
        follow: against(&[STORED, OFTEN], is_refusal),
        why: "payloads are refused for what is in them",
    },
    Consequence {
        of: against(&[OFTEN], is_refusal),
        follow: against(&[ANY_PAYLOAD], is_refusal),
        why: "what a device publishes later is refused whatever it is",
    },
    Consequence {
        of: against(&["KPR-FET-02"], |_| true),
        follow: against(&["KPR-RET-01"], |seen| seen.status() != 404),
        why: "a device that never published is not answered 404 either",
    },
    Consequence {
        of: against(&[NEWEST], is_served),
        follow: against(&[AT_ONCE, "KPR-FET-06", CAP, CAP_BY_DEVICE, RESTART], is_served),
        why: "the newest bundle is not served either where nothing else is done",
    },
    Consequence {
        of: against(&[AT_ONCE], is_served),
        follow: against(&["KPR-FET-06", CAP, CAP_BY_DEVICE, RESTART], is_served),
        why: "a bundle that was served before is served on where nothing else is done",
    },
    // Of bundles that are gone, or dropped before their time.
    Consequence {
        of: against(&[STORED], is_gone),
        follow: against(
            &["KPR-PUB-09", YOUNG, CAP, CAP_BY_DEVICE, RESTART],
            is_never_found,
        ),
        why: "bundles are not found either where nothing else is done",
    },
    Consequence {
        of: against(&[YOUNG], is_gone),
        follow: against(&["KPR-PUB-09", CAP, CAP_BY_DEVICE], is_gone),
        why: "bundles within the retention are dropped where nothing else is done",
    },
    Consequence {
        of: against(&[CAP], is_served),
        follow: against(&[CAP_BY_DEVICE], is_served),
        why: "of one device alone the newest is dropped as well",
    },
];

/// Takes back what follows from something else.
pub(super) fn take_back_what_follows(cases: &mut [CaseRecord]) {
    let mut all = cases.iter().flat_map(|case| &case.exchanges);
    if !all.any(is_sound_and_granted) {
        let refusals = against(&[ANY_PAYLOAD, OFTEN], is_refusal);
        take_back_all(cases, refusals, "no publication is granted");
    }
    take_back(cases, &CONSEQUENCES);
}

fn is_publication(exchange: &Exchange) -> bool {
    operation(exchange) == "publish"
}

fn is_sound_and_granted(exchange: &Exchange) -> bool {
    is_publication(exchange) && exchange.spoiled.is_none() && matches!(status(exchange), 200..300)
}

fn is_granted(seen: Seen<'_>) -> bool {
    is_publication(seen.exchange) && matches!(seen.status(), 200..300)
}

/// A signature was taken that is one of some other bytes, or by somebody else: not merely zeros.
fn is_any_signature(seen: Seen<'_>) -> bool {
    let forms = [
        Form::SignatureAltered,
        Form::SignedByAnother,
        Form::SignedOtherPayload,
    ];
    let spoiled = seen.exchange.spoiled.as_deref();
    is_granted(seen) && forms.iter().any(|form| spoiled == Some(form.about()))
}

fn is_breakdown(seen: Seen<'_>) -> bool {
    is_publication(seen.exchange) && seen.status() >= 500
}

/// A sound publication was refused.
fn is_refusal(seen: Seen<'_>) -> bool {
    is_publication(seen.exchange) && seen.exchange.spoiled.is_none() && !matches!(seen.status(), 0 | 200..300)
}

/// And nothing was published in its case before.
fn is_first_refusal(seen: Seen<'_>) -> bool {
    is_refusal(seen) && !seen.earlier().iter().any(is_sound_and_granted)
}

/// A bundle was served, and another than was to be.
fn is_served(seen: Seen<'_>) -> bool {
    !is_publication(seen.exchange) && seen.status() == 200
}

/// No bundle was found, then or before.
fn is_never_found(seen: Seen<'_>) -> bool {
    let path = &seen.exchange.request.path;
    let found = |it: &Exchange| it.request.path == *path && status(it) == 200;
    is_gone(seen) && !seen.earlier().iter().any(found)
}

/// No bundle was found.
fn is_gone(seen: Seen<'_>) -> bool {
    !is_publication(seen.exchange) && seen.status() == 404
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::OperationName;
    use crate::record::verdict::Verdict;
    use crate::record::{CheckRecord, samples};

    fn exchange(operation: &'static str, status: u16, spoiled: Option<Form>) -> Exchange {
        Exchange {
            spoiled: spoiled.map(|form| form.about().to_owned()),
            ..samples::exchange("registry", OperationName::new(operation), status)
        }
    }

    /// A case with one finding, in the last of its exchanges.
    fn case(requirement: &str, exchanges: Vec<Exchange>) -> CaseRecord {
        let check = CheckRecord {
            exchanges: vec![exchanges.len() - 1],
            ..samples::failed(requirement)
        };
        samples::case("publish/one", vec![check], exchanges)
    }

    fn publish(requirement: &str, status: u16, spoiled: Option<Form>) -> CaseRecord {
        let first = exchange("publish", 204, None);
        case(requirement, vec![first, exchange("publish", status, spoiled)])
    }

    fn fetch(requirement: &str, status: u16) -> CaseRecord {
        let first = exchange("publish", 204, None);
        case(requirement, vec![first, exchange("fetch", status, None)])
    }

    /// The rules that stay broken.
    fn broken(mut cases: Vec<CaseRecord>) -> Vec<String> {
        take_back_what_follows(&mut cases);
        let stay = cases.iter().filter(|case| case.verdict == Verdict::Fail);
        stay.map(|case| case.requirements[0].clone()).collect()
    }

    #[test]
    fn a_lax_signature_is_no_finding_where_any_is_taken() {
        let taken = |form| {
            vec![
                publish("KPR-PUB-05", 204, Some(form)),
                publish("KPR-PUB-12", 204, Some(Form::SignatureMalleable)),
                publish("KPR-PUB-13", 500, Some(Form::NoPoint)),
            ]
        };
        assert_eq!(
            broken(taken(Form::SignatureAltered)),
            ["KPR-PUB-05", "KPR-PUB-13"]
        );
        assert_eq!(
            broken(taken(Form::SignatureZero)),
            ["KPR-PUB-05", "KPR-PUB-12", "KPR-PUB-13"]
        );
    }

    #[test]
    fn of_refused_publications_one_rule_is_broken() {
        let first = || case("KPR-PUB-10", vec![exchange("publish", 400, None)]);
        let later = |rule, status| publish(rule, status, None);
        assert_eq!(broken(vec![first(), later("KPR-PUB-11", 400)]), ["KPR-PUB-10"]);
        assert_eq!(
            broken(vec![later("KPR-PUB-10", 409), later("KPR-PUB-11", 409)]),
            ["KPR-PUB-11"]
        );
        assert_eq!(
            broken(vec![later("KPR-PUB-01", 500), later("KPR-PUB-11", 500)]),
            ["KPR-PUB-11"]
        );
        let none = |rule| case(rule, vec![exchange("publish", 500, None)]);
        assert_eq!(
            broken(vec![none("KPR-PUB-01"), none("KPR-PUB-10"), none("KPR-PUB-11")]),
            ["KPR-PUB-01"]
        );
    }

    #[test]
    fn retention_is_not_blamed_for_what_is_wrong_without_it() {
        assert_eq!(
            broken(vec![fetch("KPR-PUB-01", 404), fetch("KPR-RET-07", 404)]),
            ["KPR-PUB-01"]
        );
        assert_eq!(
            broken(vec![fetch("KPR-FET-03", 200), fetch("KPR-RET-07", 200)]),
            ["KPR-FET-03"]
        );
        assert_eq!(
            broken(vec![fetch("KPR-FET-03", 200), fetch("KPR-RET-07", 404)]),
            ["KPR-FET-03", "KPR-RET-07"]
        );
    }
}
