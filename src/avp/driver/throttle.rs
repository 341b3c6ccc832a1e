//! What a target's limits ask of a driver: to wait, or to understand that more is not to be had.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::http::Answer;
use crate::json;

/// How often one request is sent again after 429 before the target is taken to throttle for good.
pub(super) const ATTEMPTS_AFTER_429: u32 = 12;
/// The longest single wait that a target may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The wait after a 429 that does not say how long; it doubles with each attempt.
const FIRST_UNTOLD_WAIT: Duration = Duration::from_millis(250);

/// How long to wait before a request that was answered 429 is sent again, and whether the target said so. Attempts count
/// from 0. None where it asks for more than a run has.
pub(crate) fn wait(answer: &Answer, attempt: u32, now: Timestamp) -> Option<(Duration, bool)> {
    let untold = FIRST_UNTOLD_WAIT * 2_u32.pow(attempt.min(6));
    match asked(answer, now) {
        None => Some((untold, false)),
        Some(asked) if asked > LONGEST_WAIT => None,
        // A target that says "at once" again and again is not taken at its word.
        Some(asked) => Some((asked.max(untold / 4), true)),
    }
}

fn asked(answer: &Answer, now: Timestamp) -> Option<Duration> {
    let of = |name: &str| answer.header(name).and_then(|value| retry_after(value, now));
    of("retry-after").or_else(|| of("ratelimit-reset"))
}

/// `Retry-After` as seconds or as an HTTP date (RFC 9110, 10.2.3).
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = DateTimeParser::new().parse_timestamp(value).ok()?;
    let seconds = at.duration_since(now).as_secs().max(0);
    // The date has no fractions: a second more, so as not to come early.
    Some(Duration::from_secs(seconds.unsigned_abs() + 1))
}

/// What a request asks for beyond the least that any vault server must offer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Demand {
    /// Bytes of the body.
    pub(super) body: usize,
    /// Members the repository would have.
    pub(super) members: usize,
    /// Repositories the caller would have created, where the request creates one.
    pub(super) repos: usize,
    /// Characters of the repository id.
    pub(super) id: usize,
    /// Whether it creates a repository with more members than its creator, which is refused for one reason or another.
    pub(super) is_crowded: bool,
    /// Whether it creates a repository under an id or a wrap scheme that a policy may not want.
    pub(super) is_odd: bool,
}

impl Demand {
    /// Whether a limit may stand before it: more than two members, or more than one from the start, a second repository, a large
    /// body, a long id.
    pub(super) fn is_unusual(&self) -> bool {
        self.body > 8 * 1024 || self.members > 2 || self.is_crowded || self.repos > 1 || self.id > 64
    }

    /// Whether an answer refuses it for a limit or policy of the target's own (section 7 of the protocol page).
    pub(super) fn meets_limit(&self, answer: &Answer) -> bool {
        // A 403 that says nothing may be of a limit, where one may stand before the request.
        let is_untold = answer.status == 403 && code(answer).is_none();
        self.is_unusual() && (is_told_limit(answer) || is_untold)
            || self.is_odd && code(answer).as_deref() == Some("policy_denied")
    }
}

/// Whether an answer says that it refuses for a limit or policy of the target's own. A 403 that says `forbidden` speaks of
/// membership.
pub(super) fn is_told_limit(answer: &Answer) -> bool {
    let told = || {
        matches!(
            code(answer).as_deref(),
            Some("policy_denied" | "quota_exceeded" | "too_large")
        )
    };
    matches!(answer.status, 413 | 429) || answer.status == 403 && told()
}

fn code(answer: &Answer) -> Option<String> {
    let body = json::parse(answer.body.as_bytes()).ok()?;
    body.get("code")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, header: Option<&str>, body: &str) -> Answer {
        let headers = header
            .map(|value| ("retry-after".to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        Answer {
            status,
            headers,
            body: body.into(),
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        let wait = |after, attempt| wait(&answer(429, after, ""), attempt, now);
        assert_eq!(wait(Some("2"), 0), Some((Duration::from_secs(2), true)));
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(date, 0), Some((Duration::from_secs(8), true)));
        assert_eq!(wait(Some("99999"), 0), None);
        assert_eq!(wait(Some("soon"), 1), Some((FIRST_UNTOLD_WAIT * 2, false)));
        assert_eq!(wait(Some("0"), 3), Some((FIRST_UNTOLD_WAIT * 2, true)));
    }

    #[test]
    fn a_forbidden_caller_is_no_limit() {
        let coded = |code: &str| answer(403, None, &format!(r#"{{"error":"x","code":"{code}"}}"#));
        assert!(!is_told_limit(&coded("forbidden")));
        assert!(is_told_limit(&coded("policy_denied")));
        assert!(is_told_limit(&answer(413, None, "")));
        assert!(!is_told_limit(&answer(404, None, "")));
        assert!(!is_told_limit(&answer(403, None, "")));
    }

    #[test]
    fn an_untold_403_is_a_limit_only_where_one_may_stand() {
        let untold = answer(403, None, r#"{"error":"x"}"#);
        let third = Demand {
            members: 3,
            ..Demand::default()
        };
        assert!(third.meets_limit(&untold));
        assert!(!Demand::default().meets_limit(&untold));
        assert!(!Demand::default().meets_limit(&answer(413, None, "")));
    }

    #[test]
    fn a_policy_may_refuse_what_is_odd_where_it_says_so() {
        let odd = Demand {
            is_odd: true,
            ..Demand::default()
        };
        assert!(odd.meets_limit(&answer(403, None, r#"{"error":"x","code":"policy_denied"}"#)));
        assert!(!odd.meets_limit(&answer(403, None, r#"{"error":"x"}"#)));
    }
}
