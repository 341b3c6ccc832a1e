//! What follows from another finding is no finding of its own: what only all cases together can tell.

use super::cases::Form;
use crate::record::{CaseRecord, CheckRecord, Exchange};

const STORED: &str = "KPR-PUB-01";
const VERIFIED: &str = "KPR-PUB-05";
const BASE64: &str = "KPR-PUB-03";
const JSON: &str = "KPR-PUB-07";
const ANY_PAYLOAD: &str = "KPR-PUB-10";
const OFTEN: &str = "KPR-PUB-11";
const NOBODY: &str = "KPR-FET-02";
const NEWEST: &str = "KPR-FET-03";
const AT_ONCE: &str = "KPR-FET-05";
const YOUNG: &str = "KPR-RET-02";

/// A finding and what it was seen in.
#[derive(Clone, Copy)]
struct Seen<'a> {
    case: &'a CaseRecord,
    check: &'a CheckRecord,
    exchange: &'a Exchange,
}

/// What a finding against a rule makes of findings against others.
struct Consequence {
    /// The rule, and which findings against it count.
    of: (&'static str, fn(Seen<'_>) -> bool),
    /// The rules of what follows, and which findings against them.
    follow: (&'static [&'static str], fn(Seen<'_>) -> bool),
    why: &'static str,
}

/// In this order: what was taken back has no consequences any more.
const CONSEQUENCES: [Consequence; 9] = [
    Consequence {
        of: (VERIFIED, is_any_signature),
        follow: (&["KPR-PUB-06", "KPR-PUB-12", "KPR-PUB-13"], is_granted),
        why: "other signatures that do not verify are taken as well",
    },
    Consequence {
        of: (BASE64, is_granted),
        follow: (&["KPR-PUB-15"], is_granted),
        why: "what is no base64 at all is taken as well",
    },
    Consequence {
        of: (JSON, is_breakdown),
        follow: (&["KPR-PUB-14"], is_breakdown),
        why: "the registry breaks down at whatever is not JSON",
    },
    // Nothing that is refused shows which kind is: publications fail where others are made at the same moment.
    Consequence {
        of: (OFTEN, is_breakdown),
        follow: (&[STORED, ANY_PAYLOAD], is_breakdown),
        why: "publications fail where others are made beside them",
    },
    Consequence {
        of: (ANY_PAYLOAD, is_first_refusal),
        follow: (&[STORED, OFTEN], is_refusal),
        why: "payloads are refused for what is in them",
    },
    Consequence {
        of: (OFTEN, is_refusal),
        follow: (&[ANY_PAYLOAD], is_refusal),
        why: "what a device publishes later is refused whatever it is",
    },
    Consequence {
        of: (NOBODY, |_| true),
        follow: (&["KPR-RET-01"], |seen| status(seen.exchange) != 404),
        why: "a device that never published is not answered 404 either",
    },
    Consequence {
        of: (NEWEST, is_served),
        follow: (
            &[AT_ONCE, "KPR-FET-06", "KPR-RET-03", "KPR-RET-04", "KPR-RET-07"],
            is_served,
        ),
        why: "the newest bundle is not served either where nothing else is done",
    },
    Consequence {
        of: (AT_ONCE, is_served),
        follow: (
            &["KPR-FET-06", "KPR-RET-03", "KPR-RET-04", "KPR-RET-07"],
            is_served,
        ),
        why: "a bundle that was served before is served on where nothing else is done",
    },
];

/// Of bundles that are gone, or dropped before their time.
const GONE: [Consequence; 3] = [
    Consequence {
        of: (STORED, is_gone),
        follow: (
            &["KPR-PUB-09", YOUNG, "KPR-RET-03", "KPR-RET-04", "KPR-RET-07"],
            is_never_found,
        ),
        why: "bundles are not found either where nothing else is done",
    },
    Consequence {
        of: (YOUNG, is_gone),
        follow: (&["KPR-PUB-09", "KPR-RET-03", "KPR-RET-04"], is_gone),
        why: "bundles within the retention are dropped where nothing else is done",
    },
    Consequence {
        of: ("KPR-RET-03", is_served),
        follow: (&["KPR-RET-04"], is_served),
        why: "of one device alone the newest is dropped as well",
    },
];

/// Takes back what follows from something else.
pub(super) fn take_back_what_follows(cases: &mut [CaseRecord]) {
    if !cases
        .iter()
        .flat_map(|case| &case.exchanges)
        .any(is_sound_and_granted)
    {
        take_back(
            cases,
            (&[ANY_PAYLOAD, OFTEN], is_refusal),
            "no publication is granted",
        );
    }
    for consequence in CONSEQUENCES.iter().chain(&GONE) {
        let (rule, is_meant) = consequence.of;
        if !picked(cases, &[rule], is_meant).is_empty() {
            take_back(cases, consequence.follow, consequence.why);
        }
    }
}

fn take_back(cases: &mut [CaseRecord], follow: (&[&str], fn(Seen<'_>) -> bool), why: &str) {
    for (case, check) in picked(cases, follow.0, follow.1) {
        cases[case].take_back(check, why);
    }
}

/// The findings against any of some rules that a test picks: the case and the check.
fn picked(cases: &[CaseRecord], rules: &[&str], is_meant: fn(Seen<'_>) -> bool) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        for (index, check) in case.checks.iter().enumerate() {
            let is_of = check.requirements.iter().any(|id| rules.contains(&id.as_str()));
            let exchange = check
                .exchanges
                .first()
                .and_then(|first| case.exchanges.get(*first));
            if let Some(exchange) = exchange
                && check.is_broken()
                && is_of
                && is_meant(Seen {
                    case,
                    check,
                    exchange,
                })
            {
                found.push((at, index));
            }
        }
    }
    found
}

/// The status of an answer; 0 where there is none.
fn status(exchange: &Exchange) -> u16 {
    exchange.outcome.answer().map_or(0, |answer| answer.status)
}

fn is_publication(exchange: &Exchange) -> bool {
    exchange
        .operation
        .as_ref()
        .is_some_and(|name| name.as_str() == "publish")
}

fn is_sound_and_granted(exchange: &Exchange) -> bool {
    is_publication(exchange) && exchange.spoiled.is_none() && matches!(status(exchange), 200..300)
}

fn is_granted(seen: Seen<'_>) -> bool {
    is_publication(seen.exchange) && matches!(status(seen.exchange), 200..300)
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
    is_publication(seen.exchange) && status(seen.exchange) >= 500
}

/// A sound publication was refused.
fn is_refusal(seen: Seen<'_>) -> bool {
    is_publication(seen.exchange)
        && seen.exchange.spoiled.is_none()
        && !matches!(status(seen.exchange), 0 | 200..300)
}

/// And nothing was published in its case before.
fn is_first_refusal(seen: Seen<'_>) -> bool {
    let first = seen.check.exchanges.first().copied().unwrap_or_default();
    is_refusal(seen) && !seen.case.exchanges[..first].iter().any(is_sound_and_granted)
}

/// A bundle was served, and another than was to be.
fn is_served(seen: Seen<'_>) -> bool {
    !is_publication(seen.exchange) && status(seen.exchange) == 200
}

/// No bundle was found, then or before.
fn is_never_found(seen: Seen<'_>) -> bool {
    let first = seen.check.exchanges.first().copied().unwrap_or_default();
    let path = &seen.exchange.request.path;
    let found = |it: &Exchange| it.request.path == *path && status(it) == 200;
    is_gone(seen) && !seen.case.exchanges[..first].iter().any(found)
}

/// No bundle was found.
fn is_gone(seen: Seen<'_>) -> bool {
    !is_publication(seen.exchange) && status(seen.exchange) == 404
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::OperationName;
    use crate::record::samples;
    use crate::record::verdict::Verdict;

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
