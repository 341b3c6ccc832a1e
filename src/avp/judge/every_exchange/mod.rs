//! The checks that every exchange gets, whatever its case is about: a file for each rule or two that belong together, with the
//! requirement that each verifies.

mod base64;
mod content_type;
mod errors;
mod fresh_ids;
mod grpc_status;
mod leaks;
pub(in crate::avp) mod nonces;
mod own_request;
mod retry_after;
mod schema;
mod status;
mod stored;
mod tokens;

use std::borrow::Cow;

use super::parsed::ParsedExchange;
use super::steps::Tainted;
use crate::avp::cases::LoadedCase;
use crate::judge::{Checks, Subject, Transport};
use crate::record::Role;

/// A rule that is looked at in every exchange.
pub(in crate::avp) struct Rule {
    /// What is looked at: `status`.
    pub(in crate::avp) name: &'static str,
    /// The requirement that it verifies.
    pub(in crate::avp) requirement: &'static str,
    /// What a conformant target does, one sentence.
    pub(in crate::avp) expected: &'static str,
}

impl Rule {
    /// The subject of a check of this rule.
    fn subject(&self) -> Subject {
        self.expecting(self.expected)
    }

    /// The same, with a sentence that says more of this exchange.
    fn expecting(&self, expected: impl Into<Cow<'static, str>>) -> Subject {
        Subject {
            step: None,
            name: self.name,
            requirements: vec![self.requirement],
            expected: expected.into(),
        }
    }
}

/// Looks at every exchange of a case.
pub(super) fn check(
    checks: &mut Checks<'_>,
    case: &LoadedCase,
    frames: &[ParsedExchange<'_>],
    tainted: &Tainted,
    began_ms: i64,
    transport: Transport,
) {
    for frame in frames {
        if frame.exchange.role == Role::Abandoned {
            continue;
        }
        own_request::check(checks, frame);
        retry_after::check(checks, frame);
        if frame.exchange.role == Role::Throttled && frame.answer().is_none() {
            continue;
        }
        status::check(checks, frame);
        grpc_status::check(checks, frame);
        match serves_tainted(frame, tainted) {
            true => stored::check(checks, frame),
            // What was to be refused has no body that could be of the wrong form.
            false if is_success(frame) && was_to_be_refused(case, frame) => {}
            false => body(checks, frames, frame),
        }
        content_type::check(checks, frame);
        leaks::check(checks, frame);
        tokens::check_times(checks, frame, began_ms, transport);
        tokens::check_claims(checks, frame);
    }
    nonces::check(checks, frames);
    fresh_ids::check(checks, frames);
}

fn is_success(frame: &ParsedExchange<'_>) -> bool {
    let status = frame.answer().map(|answer| answer.status);
    status.is_some_and(|status| (200..300).contains(&status)) && !frame.is_refusal_in_disguise()
}

/// Whether the case's step allows nothing but refusals.
fn was_to_be_refused(case: &LoadedCase, frame: &ParsedExchange<'_>) -> bool {
    let step = frame.exchange.step.filter(|_| frame.exchange.role == Role::Step);
    let step = step.and_then(|step| case.case.steps.get(step));
    step.is_some_and(|step| step.get_ref().is_to_be_refused())
}

/// Whether an answer holds what the harness itself sent wrongly and the target should have refused.
fn serves_tainted(frame: &ParsedExchange<'_>, tainted: &Tainted) -> bool {
    let repo = frame.exchange.repo.as_ref();
    frame.reading.granted().is_some()
        && repo
            .and_then(|repo| tainted.get(repo))
            .is_some_and(|since| frame.index >= *since)
}

fn body(checks: &mut Checks<'_>, frames: &[ParsedExchange<'_>], frame: &ParsedExchange<'_>) {
    let Some(answer) = frame.answer() else { return };
    match frame.operation {
        Some(_) if frame.is_refusal_in_disguise() => errors::check_disguise(checks, frame, answer.status),
        Some(operation) if (200..300).contains(&answer.status) => {
            schema::check(checks, frames, frame, operation);
        }
        _ if answer.status < 300 => {}
        operation => errors::check(checks, frame, operation, answer.status),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every rule of these files.
    const RULES: [&Rule; 19] = [
        &base64::RULE,
        &content_type::RULE,
        &errors::ERROR_OBJECT,
        &errors::NO_ERROR_IN_SUCCESS,
        &errors::ERROR_CODE,
        &fresh_ids::RULE,
        &grpc_status::RULE,
        &leaks::RULE,
        &nonces::LENGTH,
        &nonces::FRESHNESS,
        &own_request::RULE,
        &retry_after::RULE,
        &schema::RULE,
        &schema::DISCOVERY,
        &status::RULE,
        &stored::RULE,
        &tokens::TIME,
        &tokens::LIFETIME,
        &tokens::CLAIMS,
    ];

    #[test]
    fn the_catalogue_says_what_is_looked_at_in_every_exchange() {
        // That a pull leaves the envelope out is looked at together with what it answers.
        let elsewhere = ["AVP-6-05"];
        // Not every target offers discovery, what should have been refused is served in few cases, and what is created is looked
        // at there where a case is about it.
        let seldom = ["AVP-8-01", "AVP-6-21", "AVP-6-03"];
        let catalogue = crate::avp::catalogue();
        let everywhere = catalogue.iter().filter(|it| it.everywhere);
        let said: BTreeSet<&str> = everywhere.map(|it| it.id.as_str()).collect();
        let here = RULES.iter().map(|rule| rule.requirement);
        let looked_at: BTreeSet<&str> = here.filter(|id| !seldom.contains(id)).chain(elsewhere).collect();
        assert_eq!(looked_at, said);
    }
}
