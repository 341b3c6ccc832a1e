//! How long a run waits: for what keeps timing out, for one case, for a target that throttles, and for how long at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Halt, Refusals};

/// So many timeouts in a row, and the full time is not waited again.
const ENOUGH: u32 = 3;
/// So many timeouts in all, and it is not either, whatever was answered in between.
const ENOUGH_IN_ALL: u32 = 8;
/// The part of the limit that is waited then.
const FRACTION: u32 = 10;
/// But never less than this.
const LEAST: Duration = Duration::from_millis(250);
/// And never less than so many times what the slowest answer took.
const MARGIN: u32 = 4;

/// The time limit for each operation, learned from what has timed out. Clones share what they learn.
#[derive(Debug, Clone)]
pub struct Patience {
    limit: Duration,
    case: Option<Duration>,
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    refusals: Arc<Refusals>,
    halt: Halt,
}

#[derive(Debug, Default)]
struct Seen {
    /// Timeouts since the last answer.
    timeouts: u32,
    /// All timeouts.
    all: u32,
    /// The longest that an answer took.
    slowest: Duration,
    /// Whether the full time was ever cut.
    cut: bool,
}

impl Patience {
    /// Waits up to `limit` for everything, at first.
    pub fn new(limit: Duration) -> Patience {
        Patience {
            limit,
            case: None,
            seen: Arc::default(),
            refusals: Arc::default(),
            halt: Halt::default(),
        }
    }

    /// Waits so long for one whole case, what the target or the case itself asks to wait for left out.
    pub fn with_case_limit(self, case: Option<Duration>) -> Patience {
        Patience { case, ..self }
    }

    /// Ends when this says so.
    pub fn with_halt(self, halt: Halt) -> Patience {
        Patience { halt, ..self }
    }

    /// How long one case may take.
    pub fn case_limit(&self) -> Option<Duration> {
        self.case
    }

    /// What is known of the target's 429.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// What ends the run early.
    pub fn halt(&self) -> &Halt {
        &self.halt
    }

    /// How long to wait for the operation `key`.
    pub fn limit(&self, key: &str) -> Duration {
        self.with(key, |seen| {
            if !seen.is_hopeless() {
                return self.limit;
            }
            seen.cut = true;
            (self.limit / FRACTION)
                .max(LEAST)
                .max(seen.slowest * MARGIN)
                .min(self.limit)
        })
    }

    /// The operation timed out. Whether it is no longer waited for at full length.
    pub fn note_timeout(&self, key: &str) -> bool {
        self.with(key, |seen| {
            seen.timeouts += 1;
            seen.all += 1;
            seen.is_hopeless()
        })
    }

    /// The operation was answered: it is worth waiting for again.
    pub fn note_answer(&self, key: &str, took: Duration) {
        self.with(key, |seen| {
            seen.timeouts = 0;
            seen.slowest = seen.slowest.max(took);
        });
    }

    /// The operations that were not waited for at full length at least once, for the report.
    pub fn impatient(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter()
            .filter(|(_, seen)| seen.cut)
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn with<T>(&self, key: &str, change: impl FnOnce(&mut Seen) -> T) -> T {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        change(seen.entry(key.to_owned()).or_default())
    }
}

impl Seen {
    fn is_hopeless(&self) -> bool {
        self.timeouts >= ENOUGH || self.all >= ENOUGH_IN_ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Duration = Duration::from_secs(5);

    fn tried(patience: &Patience, times: u32) {
        for _ in 0..times {
            patience.note_timeout("push");
        }
    }

    #[test]
    fn three_timeouts_in_a_row_are_enough() {
        let patience = Patience::new(FULL);
        tried(&patience, 2);
        assert_eq!(patience.limit("push"), FULL);
        tried(&patience.clone(), 1);
        assert_eq!(patience.limit("push"), Duration::from_millis(500));
        assert_eq!(patience.limit("pull"), FULL);
        assert_eq!(patience.impatient(), ["push"]);
    }

    #[test]
    fn an_answer_restores_patience() {
        let patience = Patience::new(FULL);
        tried(&patience, 3);
        patience.note_answer("push", Duration::from_secs(1));
        assert_eq!(patience.limit("push"), FULL);
        assert!(patience.impatient().is_empty());
        tried(&patience, 3);
        assert_eq!(patience.limit("push"), Duration::from_secs(4));
    }

    #[test]
    fn what_times_out_now_and_then_is_not_waited_for_for_ever() {
        let patience = Patience::new(FULL);
        for _ in 0..ENOUGH_IN_ALL {
            assert_eq!(patience.limit("push"), FULL);
            tried(&patience, 1);
            patience.note_answer("push", Duration::from_millis(300));
        }
        assert_eq!(patience.limit("push"), Duration::from_millis(1200));
    }

    #[test]
    fn a_short_limit_is_never_raised() {
        let patience = Patience::new(Duration::from_millis(100));
        tried(&patience, 9);
        assert_eq!(patience.limit("push"), Duration::from_millis(100));
    }
}
