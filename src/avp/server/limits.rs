//! Limits. The plain server has none but the size of a body; deployments that have some are played by variations.

use std::time::SystemTime;

use super::answer::Refusal;
use super::faults::errors;
use super::state::{State, now};
use super::variations::limits;

/// How many requests are granted for each that is refused, where there is a rate limit; itself included.
const REQUESTS_PER_REFUSAL: u64 = 25;

/// The same on a server that does not say when to try again.
const REQUESTS_PER_SILENT_REFUSAL: u64 = 50;

/// How many members a repository holds where there is a limit.
pub(super) const MOST_MEMBERS: usize = 2;

/// Refuses every so many requests, where there is a rate limit.
pub(super) fn check_rate(state: &State) -> Result<(), Refusal> {
    if state.is(errors::RATE_SILENT)
        && state.count_request() % REQUESTS_PER_SILENT_REFUSAL == REQUESTS_PER_SILENT_REFUSAL - 1
    {
        state.fire();
        return Err(Refusal::quota_exceeded("too many requests"));
    }
    let limits = [
        limits::RATE_LIMIT,
        limits::RATE_LIMIT_DATE,
        limits::PUSHBACK,
        limits::RATE_UNTOLD,
    ];
    let limited = limits.into_iter().any(|limit| state.is(limit));
    if !limited || state.count_request() % REQUESTS_PER_REFUSAL != REQUESTS_PER_REFUSAL - 1 {
        return Ok(());
    }
    let after = match state.deviates(limits::RATE_LIMIT_DATE) {
        true => next_second(),
        false => {
            state.count(limits::RATE_LIMIT);
            "1".to_owned()
        }
    };
    Err(Refusal::quota_exceeded("too many requests").with_header("Retry-After", after))
}

/// An HTTP date that is over a second ahead, and two at most.
fn next_second() -> String {
    let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(now().unsigned_abs() + 2000);
    let stamp = jiff::Timestamp::try_from(later).unwrap_or_default();
    stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_writes_them() {
        let date = next_second();
        assert_eq!(date.len(), "Sun, 06 Nov 1994 08:49:37 GMT".len(), "{date}");
        assert!(date.ends_with(" GMT"));
    }
}
