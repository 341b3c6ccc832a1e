//! The rate of requests: the cap that was given, and the one that the target is found to grant.
//!
//! A target that limits the rate answers 429 to much of what is beyond it, and soon to everything. One that refuses a
//! request now and then refuses few of many. So a rate is found where a good part of the requests of a second are refused, or
//! several one after the other: it is what was granted in that second, and it is kept to from then on.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::ClientError;

/// The time over which answers are counted.
const COUNTING_PERIOD: Duration = Duration::from_secs(1);
/// So many refusals in a period, of which one in so many answers is one, make a rate.
const LEAST_REFUSED: usize = 5;
const ANSWERS_PER_REFUSAL: usize = 4;
/// Or so many refusals with nothing granted between them.
const LEAST_IN_A_ROW: usize = 4;
/// A rate is told from no service at all by what was granted in the same time.
const LEAST_GRANTED: usize = 5;
/// The part of what was granted that is kept to, percent: clocks and counts do not fit exactly.
const KEPT_PERCENT: u32 = 97;
/// And the part of a rate that is kept to once it was refused as well, percent.
const SLOWER_PERCENT: u32 = 90;
/// Nobody waits longer than this for a rate to be granted again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Spaces requests evenly, so that no second sees more than the rate.
#[derive(Debug)]
pub struct RateLimit {
    given: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next request may go.
    next: Option<Instant>,
    waited: Duration,
    /// The gap between requests at the rate that was found.
    found: Option<Duration>,
    /// When the answers of the last period came that were not 429, and those that were.
    granted: VecDeque<Instant>,
    refused: VecDeque<Instant>,
    /// Until then what is refused was sent before the rate was found, and tells nothing new.
    held: Option<Instant>,
    /// The refusals since anything was granted.
    in_a_row: usize,
}

impl RateLimit {
    /// A pace of at most `rps` requests a second, or none.
    ///
    /// # Errors
    /// The cap is no rate.
    pub fn new(rps: Option<f64>) -> Result<RateLimit, ClientError> {
        let given = match rps {
            None => Duration::ZERO,
            Some(rate) if rate > 0.0 => {
                Duration::try_from_secs_f64(1.0 / rate).map_err(|_| ClientError::Rate(rate))?
            }
            Some(rate) => return Err(ClientError::Rate(rate)),
        };
        Ok(RateLimit {
            given,
            state: Mutex::default(),
        })
    }

    /// Waits until one more request may go. Says how long that was for the sake of the rate that the target grants.
    pub async fn turn(&self) -> Duration {
        let now = Instant::now();
        let (turn, is_found) = self.reserve(now);
        if turn <= now {
            return Duration::ZERO;
        }
        sleep_until(turn).await;
        if is_found { turn - now } else { Duration::ZERO }
    }

    /// How long requests have waited for their turn, all together.
    pub fn waited(&self) -> Duration {
        self.with(|state| state.waited)
    }

    /// The rate that the target grants, in requests a second, if one was found.
    pub fn found(&self) -> Option<f64> {
        self.with(|state| state.found.map(|gap| 1.0 / gap.as_secs_f64()))
    }

    /// A request was answered with anything but 429.
    pub fn note_granted(&self) {
        let now = Instant::now();
        self.with(|state| {
            state.forget(now);
            state.grant(now);
        });
    }

    /// A request was answered 429 with the word that it be tried again in so long: all wait, if the rate is the reason. Whether
    /// a rate was found.
    pub fn note_refused(&self, wait: Duration) -> bool {
        self.with(|state| state.refuse(Instant::now(), wait))
    }

    /// The turn of the next request, and whether the target's own rate decides it.
    fn reserve(&self, now: Instant) -> (Instant, bool) {
        self.with(|state| {
            let gap = self.given.max(state.found.unwrap_or_default());
            if gap.is_zero() {
                return (now, false);
            }
            let turn = state.next.map_or(now, |next| next.max(now));
            state.next = Some(turn + gap);
            state.waited += turn - now;
            (turn, gap > self.given)
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn forget(&mut self, now: Instant) {
        for times in [&mut self.granted, &mut self.refused] {
            while times.front().is_some_and(|at| now - *at > COUNTING_PERIOD) {
                times.pop_front();
            }
        }
    }

    fn grant(&mut self, now: Instant) {
        self.in_a_row = 0;
        self.granted.push_back(now);
    }

    fn refuse(&mut self, now: Instant, wait: Duration) -> bool {
        if self.held.is_some_and(|until| now < until) {
            return false;
        }
        self.forget(now);
        self.refused.push_back(now);
        self.in_a_row += 1;
        let (granted, refused) = (self.granted.len(), self.refused.len());
        let many = refused >= LEAST_REFUSED && refused * ANSWERS_PER_REFUSAL >= granted + refused;
        if granted < LEAST_GRANTED || !many && self.in_a_row < LEAST_IN_A_ROW {
            return false;
        }
        let rate = u32::try_from(granted).unwrap_or(u32::MAX);
        let gap = COUNTING_PERIOD * 100 / KEPT_PERCENT / rate;
        // Where the rate that was found is refused as well, it was too much, but not by far.
        self.found = Some(match self.found {
            None => gap,
            Some(found) => found * 100 / SLOWER_PERCENT,
        });
        let until = now + wait.min(LONGEST_WAIT);
        (self.next, self.held) = (Some(until), Some(until));
        self.granted.clear();
        self.refused.clear();
        self.in_a_row = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spaced() {
        let pace = RateLimit::new(Some(4.0)).unwrap();
        let now = Instant::now();
        let turns: Vec<_> = (0..3).map(|_| (pace.reserve(now).0 - now).as_millis()).collect();
        assert_eq!(turns, [0, 250, 500]);
        assert_eq!(pace.waited().as_millis(), 750);
        let later = now + Duration::from_secs(9);
        assert_eq!(pace.reserve(later), (later, false));
    }

    #[test]
    fn only_a_rate_will_do() {
        for rate in [0.0, -1.0, f64::NAN, 1e-300] {
            assert!(RateLimit::new(Some(rate)).is_err(), "{rate}");
        }
        assert!(RateLimit::new(None).is_ok());
    }

    /// Plays answers that come a millisecond apart, of which these are refused.
    fn play(answers: usize, is_refused: impl Fn(usize) -> bool) -> RateLimit {
        let pace = RateLimit::new(None).unwrap();
        let start = Instant::now();
        for answer in 0..answers {
            let now = start + Duration::from_millis(answer as u64);
            pace.with(|state| {
                state.forget(now);
                match is_refused(answer) {
                    true => drop(state.refuse(now, COUNTING_PERIOD)),
                    false => state.grant(now),
                }
            });
        }
        pace
    }

    #[test]
    fn a_rate_is_found_where_all_beyond_it_is_refused() {
        let pace = play(80, |answer| answer >= 50);
        let found = pace.found().unwrap();
        assert!((47.0..=50.0).contains(&found), "{found}");
        let (turn, is_found) = pace.reserve(Instant::now());
        assert!(is_found && turn > Instant::now(), "all wait as the target asked");
    }

    #[test]
    fn what_was_under_way_when_a_rate_was_found_does_not_lower_it() {
        let pace = play(1000, |answer| answer >= 50);
        let found = pace.found().unwrap();
        assert!((47.0..=50.0).contains(&found), "{found}");
    }

    #[test]
    fn a_request_that_is_refused_now_and_then_makes_no_rate() {
        for one_in in [8, 25, 50] {
            assert_eq!(play(5000, |answer| answer % one_in == one_in - 1).found(), None);
        }
    }
}
