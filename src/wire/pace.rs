//! The cap on requests a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::ClientError;

/// Spaces requests evenly, so that no second sees more than the cap.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next request may go.
    next: Option<Instant>,
    waited: Duration,
}

impl Pace {
    /// A pace of at most `rps` requests a second, or none.
    pub fn new(rps: Option<f64>) -> Result<Pace, ClientError> {
        let gap = match rps {
            None => Duration::ZERO,
            Some(rate) if rate > 0.0 => {
                Duration::try_from_secs_f64(1.0 / rate).map_err(|_| ClientError::Rate(rate))?
            }
            Some(rate) => return Err(ClientError::Rate(rate)),
        };
        Ok(Pace {
            gap,
            state: Mutex::default(),
        })
    }

    /// Waits until one more request may go.
    pub async fn turn(&self) {
        if self.gap.is_zero() {
            return;
        }
        sleep_until(self.reserve(Instant::now())).await;
    }

    /// How long requests have waited for their turn, all together.
    pub fn waited(&self) -> Duration {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waited
    }

    fn reserve(&self, now: Instant) -> Instant {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = state.next.map_or(now, |next| next.max(now));
        state.next = Some(turn + self.gap);
        state.waited += turn - now;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spaced() {
        let pace = Pace::new(Some(4.0)).unwrap();
        let now = Instant::now();
        let turns: Vec<_> = (0..3).map(|_| (pace.reserve(now) - now).as_millis()).collect();
        assert_eq!(turns, [0, 250, 500]);
        assert_eq!(pace.waited().as_millis(), 750);
        let later = now + Duration::from_secs(9);
        assert_eq!(pace.reserve(later), later);
    }

    #[test]
    fn only_a_rate_will_do() {
        for rate in [0.0, -1.0, f64::NAN, 1e-300] {
            assert!(Pace::new(Some(rate)).is_err(), "{rate}");
        }
        assert!(Pace::new(None).is_ok());
    }
}
