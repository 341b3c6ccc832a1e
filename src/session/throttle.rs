//! How long a target that answers 429 wants to be left alone.

use std::time::Duration;

use jiff::Timestamp;

use crate::http::Answer;

/// How often one request is sent again after 429 before the target is taken to throttle for good.
pub const ATTEMPTS_AFTER_429: u32 = 12;
/// The longest single wait that a target may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The wait after a 429 that does not say how long; it doubles with each attempt.
const FIRST_UNTOLD_WAIT: Duration = Duration::from_millis(250);

/// How long to wait before a request that was answered 429 is sent again, and whether the target said so. Attempts count
/// from 0. None where it asks for more than a run has.
pub fn wait(answer: &Answer, attempt: u32, now: Timestamp) -> Option<(Duration, bool)> {
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
    of("retry-after")
        .or_else(|| of("ratelimit-reset"))
        .or_else(|| answer.header("grpc-retry-pushback-ms").and_then(pushback))
}

/// `grpc-retry-pushback-ms`: milliseconds; a negative number, that nothing should be sent again, says no time.
fn pushback(value: &str) -> Option<Duration> {
    Some(Duration::from_millis(value.trim().parse::<u32>().ok()?.into()))
}

/// `Retry-After` as seconds or as an HTTP date (RFC 9110, 10.2.3).
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?;
    let seconds = at.duration_since(now).as_secs().max(0);
    // The date has no fractions: a second more, so as not to come early.
    Some(Duration::from_secs(seconds.unsigned_abs() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(header: Option<&str>) -> Answer {
        let headers = header
            .map(|value| ("retry-after".to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        Answer {
            status: 429,
            headers,
            body: "".into(),
        }
    }

    #[test]
    fn a_call_is_pushed_back_by_milliseconds() {
        let answer = |value: &str| Answer {
            headers: vec![("grpc-retry-pushback-ms".to_owned(), value.to_owned())],
            ..answer(None)
        };
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(
            wait(&answer("700"), 0, now),
            Some((Duration::from_millis(700), true))
        );
        assert_eq!(wait(&answer("-1"), 0, now), Some((FIRST_UNTOLD_WAIT, false)));
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        let wait = |after, attempt| wait(&answer(after), attempt, now);
        assert_eq!(wait(Some("2"), 0), Some((Duration::from_secs(2), true)));
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(date, 0), Some((Duration::from_secs(8), true)));
        // The two forms that RFC 9110 calls obsolete, and has receivers read all the same.
        for date in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(
                wait(Some(date), 0),
                Some((Duration::from_secs(8), true)),
                "{date}"
            );
        }
        assert_eq!(wait(Some("99999"), 0), None);
        assert_eq!(wait(Some("soon"), 1), Some((FIRST_UNTOLD_WAIT * 2, false)));
        assert_eq!(wait(Some("0"), 3), Some((FIRST_UNTOLD_WAIT * 2, true)));
    }
}
