//! Time for which the machine was suspended, which [`Instant`] does not count on every platform.
//!
//! On Linux and on Apple's systems the clock of [`Instant`] stops while the machine sleeps or a virtual
//! machine is suspended by its host, while servers count the time. Both systems have another clock that
//! does not stop; the difference of the two is the time of suspension.

use std::time::{Duration, Instant};

/// Differences below this come from reading two clocks one after the other.
const NOTICEABLE: Duration = Duration::from_millis(5);

/// The suspensions of the machine during a session.
#[derive(Debug)]
pub(crate) struct Suspension {
    /// The whole time of suspension, as last reported.
    total: Duration,
    /// Requests submitted before this time are older by `by` than the clock says.
    noticed: Instant,
    by: Duration,
}

impl Suspension {
    pub(crate) fn new(now: Instant) -> Self {
        Suspension {
            total: Duration::ZERO,
            noticed: now,
            by: Duration::ZERO,
        }
    }

    /// The machine has been suspended for `total`; returns by how much that has grown.
    ///
    /// A request that was submitted between the end of a suspension and this call counts as older
    /// than it is, which errs on the safe side.
    pub(crate) fn advance(&mut self, now: Instant, total: Duration) -> Duration {
        let by = total.saturating_sub(self.total);
        if by < NOTICEABLE {
            return Duration::ZERO;
        }
        self.total = total;
        self.noticed = now;
        self.by += by;
        by
    }

    /// When a request was submitted, by a clock that counts suspensions and shows the same time as the
    /// other one now.
    pub(crate) fn corrected(&self, submitted: Instant) -> Instant {
        if submitted > self.noticed {
            return submitted;
        }
        submitted.checked_sub(self.by).unwrap_or(submitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_before_a_suspension_are_older() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut suspension = Suspension::new(start);
        assert_eq!(suspension.corrected(at(1)), at(1));
        let by = suspension.advance(at(10), Duration::from_secs(4));
        assert_eq!(by, Duration::from_secs(4));
        assert_eq!(suspension.corrected(at(10)), at(6));
        assert_eq!(suspension.corrected(at(11)), at(11));
        assert_eq!(
            suspension.advance(at(12), Duration::from_secs(4)),
            Duration::ZERO
        );
    }
}
