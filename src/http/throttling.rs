//! What all cases of a run know together of a target that answers 429.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a request is sent again to a target that answers nothing but 429, though it was waited for as it asked.
const ATTEMPTS_AS_TOLD: u32 = 3;
/// How long a target that answers nothing but 429 is waited for where it does not say how long.
const LONGEST_UNTOLD_WAIT: Duration = Duration::from_secs(20);

/// The refusals of a run.
#[derive(Debug, Default)]
pub struct Throttling(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When anything but 429 was last answered.
    last_other: Option<Instant>,
    waiting: usize,
    given_up: Option<String>,
}

impl Throttling {
    /// Something other than 429 was answered.
    pub fn note_other(&self, now: Instant) {
        self.with(|state| state.last_other = Some(now));
    }

    /// Whether the target throttles for good, as seen by a request that was answered 429 for the first time at `first` and
    /// has been sent `attempts` times since. Once it does, nobody waits any more.
    pub fn is_for_good(&self, first: Instant, attempts: u32, told: bool, now: Instant) -> bool {
        self.with(|state| {
            let alone = state.last_other.is_none_or(|at| at < first);
            let enough = attempts >= ATTEMPTS_AS_TOLD && (told || now - first >= LONGEST_UNTOLD_WAIT);
            if alone && enough {
                let reason = "the target throttles for good: it answered 429 to everything".to_owned();
                state.given_up.get_or_insert(reason);
            }
            state.given_up.is_some()
        })
    }

    /// Why nobody waits any more, if that is so.
    pub fn given_up(&self) -> Option<String> {
        self.with(|state| state.given_up.clone())
    }

    /// How many cases wait just now because the target asked for it.
    pub fn waiting(&self) -> usize {
        self.with(|state| state.waiting)
    }

    /// Counts somebody who waits, until what is returned is dropped.
    pub fn wait(&self) -> Waiting<'_> {
        self.with(|state| state.waiting += 1);
        Waiting(self)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Somebody who waits.
#[derive(Debug)]
pub struct Waiting<'a>(&'a Throttling);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.waiting -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_429_for_long_enough_is_for_good() {
        let refusals = Throttling::default();
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        assert!(!refusals.is_for_good(start, 2, true, later(2)));
        assert!(!refusals.is_for_good(start, 9, false, later(19)));
        refusals.note_other(later(20));
        assert!(!refusals.is_for_good(start, 9, true, later(40)));
        assert!(refusals.is_for_good(later(21), 3, true, later(24)));
        assert!(
            refusals.is_for_good(later(30), 0, true, later(30)),
            "nobody waits any more"
        );
        assert!(refusals.given_up().is_some());
    }

    #[test]
    fn who_waits_is_counted() {
        let refusals = Throttling::default();
        let one = refusals.wait();
        let two = refusals.wait();
        assert_eq!(refusals.waiting(), 2);
        drop((one, two));
        assert_eq!(refusals.waiting(), 0);
    }
}
