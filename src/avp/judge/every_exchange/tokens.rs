//! Token answers: when a token ends, and what it claims.

use serde_json::Value;

use super::Rule;
use crate::avp::Operation;
use crate::avp::judge::jwt_claims;
use crate::avp::judge::parsed::ParsedExchange;
use crate::judge::{Checks, Finding, Transport};
use crate::record::Answer;
use crate::record::verdict::Verdict;

/// A time is in the unit of the protocol.
pub(super) const TIME: Rule = Rule {
    name: "time",
    requirement: "AVP-2-03",
    expected: "times are epoch milliseconds",
};

/// A token that is granted is of use.
pub(super) const LIFETIME: Rule = Rule {
    name: "token lifetime",
    requirement: "AVP-3-12",
    expected: "expiresAt lies in the future when the token is issued",
};

/// A token tells nobody more than it has to.
pub(super) const CLAIMS: Rule = Rule {
    name: "token claims",
    requirement: "AVP-3-15",
    expected: "a JWT names the member by its key, and tells nothing else of it",
};

/// Ten years, milliseconds. A time that is so near to now when read in another unit is in that unit.
const TEN_YEARS_MS: i64 = 10 * 366 * 86_400_000;
/// A day, milliseconds.
const DAY_MS: i64 = 86_400_000;
/// By so much, milliseconds, clocks may differ where nothing tells what time it is at the target.
const CLOCK_SKEW_MS: i64 = 300_000;

/// Looks at the time in a token answer.
pub(super) fn check_times(
    checks: &mut Checks<'_>,
    frame: &ParsedExchange<'_>,
    began_ms: i64,
    transport: Transport,
) {
    if frame.operation != Some(Operation::Token) {
        return;
    }
    let Some(expires) = frame
        .reading
        .granted()
        .and_then(|body| body.get("expiresAt"))
        .and_then(Value::as_i64)
    else {
        return;
    };
    let elapsed = i64::try_from((frame.exchange.at_us + frame.exchange.took_us) / 1000).unwrap_or(0);
    // Clocks differ: the server's own Date, which has whole seconds, is as good a witness of the time as ours.
    let ours = began_ms.saturating_add(elapsed);
    let date = frame.answer().and_then(Answer::date_ms);
    let now = date.map_or(ours, |date| date.min(ours));
    let is_told = date.is_some() || transport == Transport::Loopback;
    let unit = other_unit(expires, now);
    let finding = unit.map_or(Finding::Holds, |unit| {
        Finding::broken_at("/expiresAt", format!("{expires}: this looks like {unit}"))
    });
    checks.note(TIME.subject(), frame.index, finding);
    let finding = match expires > now {
        _ if unit.is_some() => Finding::Unknown {
            reason: "expiresAt is in another unit, which is a finding of its own".to_owned(),
            verdict: Verdict::Blocked,
        },
        true => Finding::Holds,
        false if is_told || expires < now - CLOCK_SKEW_MS => {
            Finding::broken_at("/expiresAt", format!("{expires}, when it was {now}"))
        }
        false => Finding::Unknown {
            reason: "the target's answers have no Date, so nobody can tell what time it is there".to_owned(),
            verdict: Verdict::NotApplicable,
        },
    };
    checks.note(LIFETIME.subject(), frame.index, finding);
}

/// The unit in which a time is near to now, where it is not milliseconds. A token may live for centuries.
fn other_unit(time: i64, now: i64) -> Option<&'static str> {
    let near = |time: i64| (now - DAY_MS..now + TEN_YEARS_MS).contains(&time);
    match time {
        _ if near(time) => None,
        _ if near(time.saturating_mul(1000)) => Some("epoch seconds"),
        _ if near(time / 1000) => Some("epoch microseconds"),
        _ if near(time / 1_000_000) => Some("epoch nanoseconds"),
        // A duration, in seconds or in milliseconds.
        _ if (0..TEN_YEARS_MS).contains(&time) => Some("a time span, or epoch seconds"),
        _ => None,
    }
}

/// The form of tokens is the issuer's own; where they are JWTs, their claims are looked at.
pub(super) fn check_claims(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>) {
    if frame.operation != Some(Operation::Token) || frame.reading.granted().is_none() {
        return;
    }
    let finding = match &frame.exchange.jwt {
        None => Finding::Unknown {
            reason: "the target's tokens are no JWTs".to_owned(),
            verdict: Verdict::NotApplicable,
        },
        Some(jwt) => match jwt_claims::reference_form(frame.exchange, jwt) {
            Ok(()) => Finding::Holds,
            Err(why) => Finding::Unknown {
                reason: format!("the target's tokens are JWTs of another form: {why}"),
                verdict: Verdict::NotApplicable,
            },
        },
    };
    checks.note(CLAIMS.subject(), frame.index, finding);
}
