//! Bounds what the answers of a whole run may add up to: a target that sends much must not fill our memory.

use crate::http::{Body, Exchange, Outcome};
use crate::record::CaseRecord;

/// Bodies up to this size are always kept whole.
const SMALL_BODY_BYTES: usize = 4 << 10;
/// So much of a body is kept where there is no room for the whole.
const KEPT_HEAD_BYTES: usize = 1 << 10;
/// What all larger bodies of a run may add up to, as they stand in a report.
const ALL_LARGE_BODIES_BYTES: usize = 16 << 20;

/// What has been kept so far.
#[derive(Debug, Default)]
pub(super) struct BodyBudget {
    used: usize,
}

impl BodyBudget {
    /// Keeps the bodies of a judged case, or the beginning of those for which there is no room.
    pub(super) fn keep(&mut self, case: &mut CaseRecord) {
        case.exchanges.iter_mut().for_each(|exchange| self.fit(exchange));
    }

    fn fit(&mut self, exchange: &mut Exchange) {
        let Outcome::Answer(answer) = &mut exchange.outcome else {
            return;
        };
        let size = answer.body.len();
        if size <= SMALL_BODY_BYTES {
            return;
        }
        let cost = cost(answer.body.as_bytes());
        if self.used + cost <= ALL_LARGE_BODIES_BYTES {
            self.used += cost;
            return;
        }
        answer.body = Body::from(head(answer.body.as_bytes()));
        exchange.omitted = u64::try_from(size - answer.body.len()).ok();
    }
}

/// The bytes that a body takes in a report, where control characters are escaped.
fn cost(body: &[u8]) -> usize {
    let escaped = body.iter().filter(|byte| byte.is_ascii_control()).count();
    body.len() + 5 * escaped
}

/// The beginning of a body; not in the middle of a character.
fn head(body: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(body) {
        Ok(text) => {
            let whole = (0..=KEPT_HEAD_BYTES).rev().find(|at| text.is_char_boundary(*at));
            body[..whole.unwrap_or(0)].to_vec()
        }
        Err(_) => body[..KEPT_HEAD_BYTES].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_take_more_room() {
        assert_eq!(cost(b"ab\0"), 8);
    }

    #[test]
    fn the_beginning_ends_with_a_whole_character() {
        let text = format!(
            "{}ä and more{}",
            "x".repeat(KEPT_HEAD_BYTES - 1),
            "y".repeat(KEPT_HEAD_BYTES)
        );
        assert_eq!(head(text.as_bytes()).len(), KEPT_HEAD_BYTES - 1);
        assert_eq!(head(&[0xff; 3000]).len(), KEPT_HEAD_BYTES);
    }
}
