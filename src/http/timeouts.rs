//! How long a run waits: for an answer, for one case, for a target that throttles, and for how long at all.
//!
//! The limit of an operation is the run's own at least; it grows with the latency that the target has shown, and never
//! falls for what happens while other cases are under way, since that may be of our own making.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Cancel, Concurrency, Throttling};

/// An operation is given so many times as long as it was seen to take.
const MARGIN_OVER_SEEN: u32 = 2;
/// But never longer than so many times the run's limit.
const MOST_TIMES_THE_LIMIT: u32 = 4;
/// What was seen once is believed less with each answer that is quicker: by a part in so many.
const ANSWERS_TO_FADE: u32 = 16;
/// In a case in which an operation was waited for in vain, it is waited for so much less from then on.
const CUT_AFTER_TIMEOUT: u32 = 10;
/// But never less than this.
const LEAST_LIMIT: Duration = Duration::from_millis(250);
/// And never less than so many times what an answer was seen to take.
const LEAST_MARGIN: u32 = 4;
/// How far the time of a case stretches with the latency of the target.
const MOST_CASE_STRETCH: u32 = 4;

/// The limits of a run. Clones share what they learn.
#[derive(Debug, Clone)]
pub struct Timeouts {
    limit: Duration,
    case: Option<Duration>,
    stretches: bool,
    /// Which attempt it is of a case that is driven with nothing beside it.
    alone: Option<u32>,
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    refusals: Arc<Throttling>,
    concurrency: Arc<Concurrency>,
    halt: Cancel,
}

#[derive(Debug, Default)]
struct Seen {
    /// How long an answer takes at the most, by those that came of late.
    slowest: Duration,
    answers: u64,
    /// Whether it hangs: it was waited for in vain, twice, with nothing beside it.
    hangs: bool,
}

impl Timeouts {
    /// Waits up to `limit` for everything, at first.
    pub fn new(limit: Duration) -> Timeouts {
        Timeouts {
            limit,
            case: None,
            stretches: false,
            alone: None,
            seen: Arc::default(),
            refusals: Arc::default(),
            concurrency: Arc::default(),
            halt: Cancel::default(),
        }
    }

    /// Waits so long for one whole case, what the target or the case itself asks to wait for left out.
    pub fn with_case_limit(self, case: Option<Duration>) -> Timeouts {
        Timeouts { case, ..self }
    }

    /// Whether the time of a case grows with the latency of the target, up to five times as much.
    pub fn stretching(self, stretches: bool) -> Timeouts {
        Timeouts { stretches, ..self }
    }

    /// Ends when this says so.
    pub fn with_halt(self, halt: Cancel) -> Timeouts {
        Timeouts { halt, ..self }
    }

    /// Learns how many cases at once the target can take.
    pub fn with_concurrency(self, concurrency: Arc<Concurrency>) -> Timeouts {
        Timeouts { concurrency, ..self }
    }

    /// For an attempt, from 1, at a case with nothing beside it. A later one waits for longer.
    pub fn alone(self, attempt: u32) -> Timeouts {
        let alone = Some(attempt);
        Timeouts { alone, ..self }
    }

    /// Whether nothing is under way beside the case.
    pub fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    /// How long one case may take.
    pub fn case_limit(&self) -> Option<Duration> {
        self.case
    }

    /// How much longer a case may take that has waited so long for answers that came.
    pub fn stretch(&self, answered: Duration) -> Duration {
        match (self.stretches, self.case) {
            (true, Some(case)) => answered.min(case * MOST_CASE_STRETCH),
            _ => Duration::ZERO,
        }
    }

    /// What is known of the target's 429.
    pub fn refusals(&self) -> &Throttling {
        &self.refusals
    }

    /// How many cases are driven at once.
    pub fn concurrency(&self) -> &Concurrency {
        &self.concurrency
    }

    /// What ends the run early.
    pub fn halt(&self) -> &Cancel {
        &self.halt
    }

    /// How long to wait for the operation `key`, of which so many requests are sent at the same moment.
    pub fn limit(&self, key: &str, at_once: u32) -> Duration {
        let shown = self.with(key, |seen| seen.slowest);
        let attempt = self.alone.unwrap_or(1).max(1);
        let limit = (self.limit * attempt).max(shown * MARGIN_OVER_SEEN * at_once.max(1));
        limit.min(self.limit * MOST_TIMES_THE_LIMIT)
    }

    /// How long to wait for the operation `key` once it was waited for in vain in the same case.
    pub fn short_limit(&self, key: &str) -> Duration {
        let shown = self.with(key, |seen| seen.slowest);
        (self.limit / CUT_AFTER_TIMEOUT)
            .max(LEAST_LIMIT)
            .max(shown * LEAST_MARGIN)
            .min(self.limit)
    }

    /// The operation was answered.
    pub fn note_answer(&self, key: &str, took: Duration) {
        self.with(key, |seen| {
            seen.slowest = took.max(seen.slowest - seen.slowest / ANSWERS_TO_FADE);
            seen.answers += 1;
        });
    }

    /// Whether the target has answered anything in time.
    pub fn was_answered(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.values().any(|seen| seen.answers > 0)
    }

    /// The operation was waited for in vain, twice, with nothing beside it.
    pub fn note_hang(&self, key: &str) {
        self.with(key, |seen| seen.hangs = true);
    }

    /// Whether the operation is known to hang.
    pub fn hangs(&self, key: &str) -> bool {
        self.with(key, |seen| seen.hangs)
    }

    /// The operations that are known to hang, for the report.
    pub fn hanging(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let hanging = seen.iter().filter(|(_, seen)| seen.hangs);
        hanging.map(|(key, _)| key.clone()).collect()
    }

    fn with<T>(&self, key: &str, change: impl FnOnce(&mut Seen) -> T) -> T {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        change(seen.entry(key.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Duration = Duration::from_secs(5);

    #[test]
    fn the_limit_follows_the_latency_and_never_falls() {
        let patience = Timeouts::new(FULL);
        assert_eq!(patience.limit("push", 1), FULL);
        patience.note_answer("push", Duration::from_secs(4));
        assert_eq!(patience.limit("push", 1), Duration::from_secs(8));
        assert_eq!(
            patience.limit("push", 8),
            FULL * MOST_TIMES_THE_LIMIT,
            "not for ever"
        );
        assert_eq!(patience.limit("pull", 1), FULL);
        for _ in 0..100 {
            patience.note_answer("push", Duration::from_millis(1));
        }
        assert_eq!(patience.limit("push", 1), FULL, "what was slow once is forgotten");
    }

    #[test]
    fn requests_that_are_sent_together_take_their_turns() {
        let patience = Timeouts::new(FULL);
        patience.note_answer("push", Duration::from_millis(500));
        assert_eq!(patience.limit("push", 1), FULL);
        assert_eq!(patience.limit("push", 8), Duration::from_secs(8));
    }

    #[test]
    fn the_second_attempt_alone_waits_twice_as_long() {
        let patience = Timeouts::new(FULL);
        assert_eq!(patience.clone().alone(1).limit("push", 1), FULL);
        assert_eq!(patience.alone(2).limit("push", 1), FULL * 2);
    }

    #[test]
    fn what_was_waited_for_in_vain_is_waited_for_less_in_the_same_case() {
        let patience = Timeouts::new(FULL);
        assert_eq!(patience.short_limit("push"), Duration::from_millis(500));
        patience.note_answer("push", Duration::from_secs(1));
        assert_eq!(patience.short_limit("push"), Duration::from_secs(4));
        let short = Timeouts::new(Duration::from_millis(100));
        assert_eq!(short.short_limit("push"), Duration::from_millis(100));
    }

    #[test]
    fn the_time_of_a_case_stretches_so_far() {
        let case = Duration::from_secs(120);
        let patience = Timeouts::new(FULL).with_case_limit(Some(case));
        assert_eq!(patience.stretch(case), Duration::ZERO);
        let patience = patience.stretching(true);
        assert_eq!(patience.stretch(case), case);
        assert_eq!(patience.stretch(case * 9), case * MOST_CASE_STRETCH);
    }
}
