//! How long tokens live, though the target's clock may be another than ours.

/// So much earlier or later than ours, milliseconds, a `Date` may be that was cut to whole seconds a moment ago by a clock
/// that goes like ours.
const SAME_CLOCK: std::ops::RangeInclusive<i64> = -250..=1250;
/// Tokens are taken to have run out by so much earlier, milliseconds: requests take time.
const MARGIN_MS: i64 = 1_000;

/// How long a token lives from the moment at which it came, as far as that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// At the least, milliseconds.
    pub(super) least: i64,
    /// At the most, milliseconds.
    pub(super) most: i64,
    /// Whether it is known what time it is at the target.
    pub(super) is_certain: bool,
}

impl Lifetime {
    /// The lifetime of a token that came at `now`, by our clock, in an answer of that `date`. All times are epoch
    /// milliseconds. The target's clock is ours where it runs on this machine.
    pub(super) fn new(expires_at: i64, now: i64, date: Option<i64>, is_local: bool) -> Lifetime {
        let by_ours = expires_at.saturating_sub(now);
        let Some(date) = date.filter(|date| !SAME_CLOCK.contains(&(now - date))) else {
            return Lifetime {
                least: by_ours,
                most: by_ours,
                is_certain: is_local || date.is_some(),
            };
        };
        let by_theirs = expires_at.saturating_sub(date);
        let least = by_theirs.saturating_sub(MARGIN_MS);
        Lifetime {
            // A `Date` may look old because the answer took long.
            least: if by_ours > 0 { least.min(by_ours) } else { least },
            most: by_theirs,
            is_certain: true,
        }
    }

    /// Whether most of it has gone by at an age. A lifetime that makes no sense is not looked at.
    pub(super) fn is_stale(self, age: i64) -> bool {
        self.most > 0 && age > self.least / 3 * 2
    }

    /// Whether it may be over at an age.
    pub(super) fn may_be_over(self, age: i64) -> bool {
        self.most > 0 && age > self.least - MARGIN_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_500;

    #[test]
    fn with_one_clock_it_is_what_the_token_says() {
        for date in [None, Some(NOW - 500), Some(NOW - 1200)] {
            let lifetime = Lifetime::new(NOW + 5000, NOW, date, true);
            assert_eq!((lifetime.least, lifetime.most), (5000, 5000));
            assert!(lifetime.is_certain);
        }
        assert!(!Lifetime::new(NOW + 5000, NOW, None, false).is_certain);
    }

    #[test]
    fn another_clock_shows_in_the_date() {
        let behind = Lifetime::new(NOW - 60_000 + 5000, NOW, Some(NOW - 60_500), false);
        assert_eq!((behind.least, behind.most), (4500, 5500));
        let ahead = Lifetime::new(NOW + 3_600_000 + 3000, NOW, Some(NOW + 3_599_500), false);
        assert_eq!((ahead.least, ahead.most), (2500, 3500));
    }

    #[test]
    fn an_answer_that_took_long_makes_no_token_live_longer() {
        let lifetime = Lifetime::new(NOW + 2000, NOW, Some(NOW - 4000), false);
        assert_eq!(lifetime.least, 2000);
    }

    #[test]
    fn a_token_is_renewed_before_it_runs_out() {
        let lifetime = Lifetime::new(NOW + 3000, NOW, None, true);
        assert!(!lifetime.is_stale(2000) && lifetime.is_stale(2001));
        assert!(!lifetime.may_be_over(2000) && lifetime.may_be_over(2001));
        let senseless = Lifetime::new(i64::MIN, NOW, Some(NOW - 60_000), true);
        assert!(!senseless.is_stale(5000) && !senseless.may_be_over(5000));
        let senseless = Lifetime::new(NOW - 3000, NOW, None, true);
        assert!(!senseless.is_stale(5000) && !senseless.may_be_over(5000));
    }
}
