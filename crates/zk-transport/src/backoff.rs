//! Delays between attempts: exponential, jittered, capped, and the same for the same seed.
//! `hosts/list.rs` decides when a delay is due; `hosts/timing.rs` bounds it by the session.

use std::time::Duration;

/// How delays grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackoffPolicy {
    /// Upper bound of the first delay.
    pub initial: Duration,
    /// Upper bound of every delay.
    pub max: Duration,
}

impl BackoffPolicy {
    /// Delays that double from `initial` to `max`, both of them upper bounds.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        BackoffPolicy { initial, max }
    }
}

impl Default for BackoffPolicy {
    /// From 100 ms, doubling, to 5 s.
    fn default() -> Self {
        BackoffPolicy::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

/// A sequence of delays. Each lies uniformly between half its bound and the bound, so that the clients
/// of a dead server are spread out when they return, and none of them returns at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: BackoffPolicy,
    attempt: u32,
    rng: fastrand::Rng,
}

impl Backoff {
    /// A sequence that `seed` determines.
    ///
    /// A bound of less than a millisecond counts as one, so that no caller spins.
    pub fn new(policy: BackoffPolicy, seed: u64) -> Self {
        let least = Duration::from_millis(1);
        let policy = BackoffPolicy {
            initial: policy.initial.max(least),
            max: policy.max.max(least),
        };
        Backoff {
            policy,
            attempt: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        let doublings = self.attempt.min(31);
        self.attempt = self.attempt.saturating_add(1);
        let bound = self
            .policy
            .initial
            .saturating_mul(1 << doublings)
            .min(self.policy.max);
        bound / 2 + self.jitter(bound / 2)
    }

    /// A delay between zero and `bound`, uniformly; it does not advance the sequence.
    pub fn jitter(&mut self, bound: Duration) -> Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.rng.u64(0..=nanos))
    }

    /// Starts over from the first delay.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any configuration, any number of attempts.
        /// Guards: B47.
        #[test]
        fn delays_stay_within_the_bound(
            initial in any::<u64>(), max in any::<u64>(), seed in any::<u64>(), skip in any::<u32>(),
        ) {
            let policy = BackoffPolicy {
                initial: Duration::from_nanos(initial),
                max: Duration::from_secs(max),
            };
            let mut backoff = Backoff::new(policy, seed);
            backoff.attempt = skip;
            for _ in 0..40 {
                prop_assert!(backoff.next_delay() <= policy.max.max(Duration::from_millis(1)));
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let delays = |seed| {
            let mut backoff = Backoff::new(BackoffPolicy::default(), seed);
            (0..20).map(|_| backoff.next_delay()).collect::<Vec<_>>()
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }

    #[test]
    fn delays_double_until_the_cap() {
        let policy = BackoffPolicy {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(1),
        };
        let mut backoff = Backoff::new(policy, 7);
        for bound in [100, 200, 400, 800, 1000, 1000] {
            let delay = backoff.next_delay();
            assert!(
                delay >= Duration::from_millis(bound / 2),
                "{delay:?} of {bound}"
            );
            assert!(
                delay <= Duration::from_millis(bound),
                "{delay:?} of {bound}"
            );
        }
    }
}
