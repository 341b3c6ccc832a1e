//! Nonces: long enough, and random.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

use super::Rule;
use crate::avp::Operation;
use crate::avp::judge::parsed::ParsedExchange;
use crate::judge::{Checks, Finding};

/// A nonce is long enough.
pub(super) const LENGTH: Rule = Rule {
    name: "nonce",
    requirement: "AVP-3-01",
    expected: "a nonce carries at least 32 bytes",
};

/// No two challenges share a nonce, and none follows from another by counting.
pub(in crate::avp) const FRESHNESS: Rule = Rule {
    name: "nonce",
    requirement: "AVP-3-02",
    expected: "nonces are random: no two challenges share one, or nearly",
};

/// Looks at the nonce of a challenge.
pub(super) fn check_length(checks: &mut Checks<'_>, frame: &ParsedExchange<'_>, body: &Value) {
    let Some(nonce) = body.get("nonce").and_then(Value::as_str) else {
        return;
    };
    let Ok(bytes) = BASE64_STANDARD.decode(nonce) else {
        return;
    };
    let finding = match bytes.len() {
        32.. => Finding::Holds,
        short => Finding::broken_at("/nonce", format!("a nonce of {short} bytes")),
    };
    checks.note(LENGTH.subject(), frame.index, finding);
}

/// Two nonces that hold no more than 128 random bits are this close once in 10^18 pairs; counters always are.
const CLOSE_NONCE_BITS: u32 = 16;

/// In how many bits two nonces of one length differ.
fn distance(a: &str, b: &str) -> Option<u32> {
    let (a, b) = (BASE64_STANDARD.decode(a).ok()?, BASE64_STANDARD.decode(b).ok()?);
    let bits = |(a, b): (u8, u8)| (a ^ b).count_ones();
    (a.len() == b.len()).then(|| a.into_iter().zip(b).map(bits).sum())
}

/// Looks at all nonces of a case.
pub(super) fn check(checks: &mut Checks<'_>, frames: &[ParsedExchange<'_>]) {
    let challenges = frames
        .iter()
        .filter(|frame| frame.operation == Some(Operation::Challenge));
    let issued: Vec<(usize, &str)> = challenges
        .filter_map(|frame| Some((frame.index, frame.reading.granted()?.get("nonce")?.as_str()?)))
        .collect();
    for (at, (index, nonce)) in issued.iter().enumerate().skip(1) {
        let nearest = issued[..at]
            .iter()
            .filter_map(|(_, earlier)| distance(earlier, nonce))
            .min();
        let again = issued[..at].iter().any(|(_, earlier)| earlier == nonce);
        let finding = match nearest {
            _ if again => Finding::broken_at("/nonce", "a nonce that was issued before"),
            Some(bits @ ..CLOSE_NONCE_BITS) => {
                let got = format!(
                    "a nonce that differs from an earlier one in {bits} bits alone: it is not random"
                );
                Finding::broken_at("/nonce", got)
            }
            _ => Finding::Holds,
        };
        checks.note(FRESHNESS.subject(), *index, finding);
    }
}
