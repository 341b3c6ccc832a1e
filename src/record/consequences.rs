//! Findings that only follow from others: which, is a table of each protocol.
//!
//! Cases are judged one by one, and some evidence is seen in another light beside what the other cases show: that an old key is
//! served after a restart says nothing of restarts where it is served without one. Such findings are taken back: the check is not
//! verified, and says of what it may follow. A pure function of what the cases came to.

use super::findings::decisive;
use super::{CaseRecord, CheckRecord, Exchange};

/// A finding, and the exchange that it was seen in.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Its case.
    pub case: &'a CaseRecord,
    /// The broken check.
    pub check: &'a CheckRecord,
    /// The first exchange of the check.
    pub exchange: &'a Exchange,
}

impl<'a> Seen<'a> {
    /// What a check was seen in; none where it looked at no exchange.
    pub fn of(case: &'a CaseRecord, check: &'a CheckRecord) -> Option<Seen<'a>> {
        let (_, exchange) = decisive(case, check)?;
        Some(Seen {
            case,
            check,
            exchange,
        })
    }

    /// The status of the answer; 0 where there is none.
    pub fn status(&self) -> u16 {
        status(self.exchange)
    }

    /// What was asked for; empty where it is none of the operations.
    pub fn operation(&self) -> &str {
        operation(self.exchange)
    }

    /// What came in its case before.
    pub fn earlier(&self) -> &[Exchange] {
        let first = self.check.exchanges.first().copied().unwrap_or_default();
        self.case.exchanges.get(..first).unwrap_or_default()
    }
}

/// The status of the answer in an exchange; 0 where there is none.
pub fn status(exchange: &Exchange) -> u16 {
    exchange.outcome.answer().map_or(0, |answer| answer.status)
}

/// What was asked for in an exchange; empty where it is none of the operations.
pub fn operation(exchange: &Exchange) -> &str {
    exchange.operation.as_ref().map_or("", |name| name.as_str())
}

/// Findings: the rules that they stand against, and which of them.
#[derive(Clone, Copy)]
pub struct Findings {
    /// Any of these.
    pub rules: &'static [&'static str],
    /// Whether a finding against one of them is meant.
    pub meant: fn(Seen<'_>) -> bool,
}

/// Findings against any of some rules.
pub const fn against(rules: &'static [&'static str], meant: fn(Seen<'_>) -> bool) -> Findings {
    Findings { rules, meant }
}

/// What findings make of others.
pub struct Consequence {
    /// Where there is one of these,
    pub of: Findings,
    /// all of these follow from it.
    pub follow: Findings,
    /// What is said of them: "the registry breaks down at whatever is not JSON".
    pub why: &'static str,
}

/// Takes back what follows by a table, from its first line to its last: what was taken back has no consequences any more.
pub fn take_back(cases: &mut [CaseRecord], table: &[Consequence]) {
    for Consequence { of, follow, why } in table {
        let is_one = |id: &String| of.rules.contains(&id.as_str());
        let is_cause = |case: &CaseRecord, check: &CheckRecord| {
            check.is_broken()
                && check.requirements.iter().any(is_one)
                && Seen::of(case, check).is_some_and(of.meant)
        };
        let has_cause = |case: &CaseRecord| case.checks.iter().any(|check| is_cause(case, check));
        if cases.iter().any(has_cause) {
            take_back_all(cases, *follow, why);
        }
    }
}

/// Takes back all of these findings, for one reason; not those that stand against another rule as well.
pub fn take_back_all(cases: &mut [CaseRecord], findings: Findings, why: &str) {
    let is_one = |id: &String| findings.rules.contains(&id.as_str());
    take_back_where(cases, why, |case, check| {
        check.requirements.iter().all(is_one) && Seen::of(case, check).is_some_and(findings.meant)
    });
}

/// Takes back the findings that a test picks, for one reason.
pub fn take_back_where(
    cases: &mut [CaseRecord],
    why: &str,
    picked: impl Fn(&CaseRecord, &CheckRecord) -> bool,
) {
    for case in cases {
        for at in 0..case.checks.len() {
            if case.checks[at].is_broken() && picked(case, &case.checks[at]) {
                case.take_back(at, why);
            }
        }
    }
}
