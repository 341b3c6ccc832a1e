//! How many cases are driven at once: as many as the target gains from, and fewer as soon as it suffers.
//!
//! It begins with one and doubles as long as answers stay quick, or as long as twice as many cases bring many more answers
//! a second. A target that works off one request after the other gains nothing, so it is left at one or two; from time to time
//! a doubling is tried again. Where a connection fails or an answer does not come, it begins again with one, and
//! half of what was too much is the most from then on.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Answers that take no longer than this on average show no load.
const QUICK_ANSWER: Duration = Duration::from_millis(10);
/// A doubling is worth it where it brings this many times the answers a second.
const LEAST_GAIN: f64 = 1.4;
/// So many answers, and so many for each case that is under way, make a measurement.
const LEAST_ANSWERS: usize = 4;
const ANSWERS_A_CASE: usize = 2;
/// After so many measurements a doubling is tried again.
const MEASUREMENTS_BEFORE_RETRY: usize = 10;
/// An answer that takes longer than this part of the time limit, on average, halves the number of cases.
const PART_OF_LIMIT: u32 = 4;
/// Where the rate of requests is limited, more cases at once would only wait for each other.
const MOST_UNDER_A_RATE: usize = 4;

/// The number of cases at once, learned from how the target answers.
#[derive(Debug)]
pub struct Concurrency {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// The most cases at once that are worth trying.
    most: usize,
    /// The cases at once just now.
    level: usize,
    /// Cases that wait of their own accord, and burden nobody.
    away: usize,
    phase: Phase,
    /// What is being measured.
    began: Instant,
    answers: usize,
    took: Duration,
    /// When the level last fell because something went wrong, and what `most` and `level` were then.
    fell: Option<(Instant, usize, usize)>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The level was just doubled, or is the first; the answers a second of the level before.
    Growing(Option<f64>),
    /// The level is what it should be, for so many measurements.
    Settled(usize),
}

impl Default for Concurrency {
    fn default() -> Self {
        Concurrency::fixed(1)
    }
}

impl Concurrency {
    /// Learns how many cases at once, up to `most`.
    pub fn automatic(most: usize) -> Concurrency {
        Concurrency::new(most, 1, Phase::Growing(None))
    }

    /// So many cases at once, and fewer only where something goes wrong.
    pub fn fixed(level: usize) -> Concurrency {
        Concurrency::new(level, level, Phase::Settled(0))
    }

    fn new(most: usize, level: usize, phase: Phase) -> Concurrency {
        Concurrency {
            state: Mutex::new(State {
                most,
                level,
                away: 0,
                phase,
                began: Instant::now(),
                answers: 0,
                took: Duration::ZERO,
                fell: None,
            }),
            changed: Notify::new(),
        }
    }

    /// How many cases may be under way just now.
    pub fn room(&self) -> usize {
        self.with(|state| state.level + state.away)
    }

    /// How many cases at once it has come to.
    pub fn level(&self) -> usize {
        self.with(|state| state.level)
    }

    /// Waits until there may be more room.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// An answer came; `limit` is how long it might have taken.
    pub fn note_answer(&self, took: Duration, limit: Duration) {
        let grew = self.with(|state| {
            state.answers += 1;
            state.took += took;
            let enough = LEAST_ANSWERS.max(ANSWERS_A_CASE * state.level);
            state.answers >= enough && state.measured(Instant::now(), limit)
        });
        if grew {
            self.changed.notify_one();
        }
    }

    /// An exchange that began at `began` went wrong in a way of which load may be the reason.
    pub fn note_trouble(&self, began: Instant) {
        self.with(|state| {
            // Those that were under way when it last fell suffered from the same.
            if state.fell.is_some_and(|(at, ..)| began <= at) {
                return;
            }
            let now = Instant::now();
            state.fell = Some((now, state.most, state.level));
            state.most = (state.level / 2).max(1);
            state.level = 1;
            state.begin(Phase::Growing(None), now);
        });
    }

    /// Load was not the reason of the last trouble.
    pub fn excuse(&self) {
        self.with(|state| {
            if let Some((at, most, level)) = state.fell {
                (state.most, state.level) = (most, level);
                // Nothing that began before this is held against the level any more.
                state.fell = Some((Instant::now().max(at), most, level));
                state.begin(Phase::Growing(None), Instant::now());
            }
        });
        self.changed.notify_one();
    }

    /// The target limits the rate of requests.
    pub fn note_rate(&self) {
        self.with(|state| {
            state.most = state.most.min(MOST_UNDER_A_RATE);
            state.level = state.level.min(state.most);
        });
    }

    /// Leaves room for another case until what is returned is dropped.
    pub fn leave(&self) -> Away<'_> {
        self.with(|state| state.away += 1);
        self.changed.notify_one();
        Away(self)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Draws the conclusion from a measurement. Whether the level grew.
    fn measured(&mut self, now: Instant, limit: Duration) -> bool {
        let rate = self.answers as f64 / (now - self.began).as_secs_f64().max(1e-6);
        let mean = self.took / u32::try_from(self.answers).unwrap_or(u32::MAX);
        if mean > limit / PART_OF_LIMIT && self.level > 1 {
            self.level /= 2;
            self.begin(Phase::Settled(0), now);
            return false;
        }
        match self.phase {
            Phase::Growing(before) => {
                let gains = before.is_none_or(|before| rate >= before * LEAST_GAIN);
                if mean <= QUICK_ANSWER || gains {
                    return self.double(rate, now);
                }
                self.level /= 2;
                self.begin(Phase::Settled(0), now);
                false
            }
            Phase::Settled(MEASUREMENTS_BEFORE_RETRY..) => self.double(rate, now),
            Phase::Settled(times) => {
                self.begin(Phase::Settled(times + 1), now);
                false
            }
        }
    }

    fn double(&mut self, rate: f64, now: Instant) -> bool {
        let doubled = (self.level * 2).min(self.most);
        if doubled <= self.level {
            self.begin(Phase::Settled(0), now);
            return false;
        }
        self.level = doubled;
        self.begin(Phase::Growing(Some(rate)), now);
        true
    }

    fn begin(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.began = now;
        self.answers = 0;
        self.took = Duration::ZERO;
    }
}

/// A case that waits of its own accord.
#[derive(Debug)]
pub struct Away<'a>(&'a Concurrency);

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.away -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Lets the state see measurements of a target that answers so many a second at a level, with so much time for each.
    fn measure(state: &mut State, times: usize, target: impl Fn(usize) -> (f64, Duration)) {
        for _ in 0..times {
            let (rate, each) = target(state.level);
            state.answers = 100;
            state.took = each * 100;
            let now = state.began + Duration::from_secs_f64(100.0 / rate);
            state.measured(now, LIMIT);
        }
    }

    fn state(concurrency: Concurrency) -> State {
        concurrency.state.into_inner().unwrap()
    }

    #[test]
    fn one_worker_is_given_one_request_at_a_time() {
        let mut state = state(Concurrency::automatic(32));
        let one = |level: usize| (10.0, Duration::from_millis(100) * u32::try_from(level).unwrap());
        for _ in 0..50 {
            measure(&mut state, 1, one);
            assert!(state.level <= 2, "{}", state.level);
        }
    }

    #[test]
    fn a_target_that_is_far_away_is_asked_for_much_at_once() {
        let mut state = state(Concurrency::automatic(32));
        let far = |level: usize| (20.0 * level as f64, Duration::from_millis(50));
        measure(&mut state, 6, far);
        assert_eq!(state.level, 32);
        let four_workers = |level: usize| {
            let busy = level.min(4) as f64;
            (20.0 * busy, Duration::from_secs_f64(level as f64 / busy / 20.0))
        };
        let mut state = self::state(Concurrency::automatic(32));
        measure(&mut state, 5, four_workers);
        assert_eq!(state.level, 4);
    }

    #[test]
    fn a_quick_target_is_not_measured_at_all() {
        let mut state = state(Concurrency::automatic(32));
        measure(&mut state, 5, |_| (1000.0, Duration::from_millis(1)));
        assert_eq!(state.level, 32);
    }

    #[test]
    fn trouble_halves_the_most_once_for_all_that_was_under_way() {
        let concurrency = Concurrency::fixed(64);
        let began = Instant::now();
        concurrency.note_trouble(began);
        concurrency.note_trouble(began);
        assert_eq!(concurrency.level(), 1);
        concurrency.with(|state| {
            measure(state, 9, |_| (1000.0, Duration::from_millis(1)));
        });
        assert_eq!(concurrency.level(), 32);
        concurrency.note_trouble(Instant::now());
        concurrency.excuse();
        assert_eq!(concurrency.level(), 32);
    }

    #[test]
    fn answers_that_come_near_to_the_limit_halve_the_level() {
        let mut state = state(Concurrency::fixed(8));
        measure(&mut state, 1, |_| (1.0, Duration::from_secs(2)));
        assert_eq!(state.level, 4);
    }

    #[test]
    fn who_waits_leaves_room() {
        let concurrency = Concurrency::fixed(2);
        let away = concurrency.leave();
        assert_eq!((concurrency.room(), concurrency.level()), (3, 2));
        drop(away);
        assert_eq!(concurrency.room(), 2);
    }
}
