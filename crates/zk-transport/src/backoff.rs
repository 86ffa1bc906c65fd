//! Delays between attempts: exponential, jittered, capped, and the same for the same seed.
//! `hosts/list.rs` decides when a delay is due; `hosts/timing.rs` bounds it by the session.

use std::time::Duration;

/// How delays grow.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BackoffPolicy {
    /// Upper bound of the first delay.
    pub initial: Duration,
    /// Upper bound of every delay.
    pub max: Duration,
    /// How much larger each bound is than the one before; 2 by default. Numbers below 1, and those
    /// that are not finite, count as 1.
    pub multiplier: f64,
    /// The random part of a delay, as a share of its bound: 0 for delays that are their bounds, 1 for
    /// delays between zero and the bound; 0.5 by default. Numbers outside count as the nearest of these
    /// two, and NaN as 0.5.
    pub jitter: f64,
}

impl BackoffPolicy {
    /// Delays that double from `initial` to `max`, both of them upper bounds.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        BackoffPolicy {
            initial,
            max,
            multiplier: 2.0,
            jitter: 0.5,
        }
    }

    /// The same policy with another [`multiplier`](Self::multiplier).
    #[must_use]
    pub const fn with_multiplier(mut self, multiplier: f64) -> Self {
        self.multiplier = multiplier;
        self
    }

    /// The same policy with another [`jitter`](Self::jitter).
    #[must_use]
    pub const fn with_jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }
}

impl Default for BackoffPolicy {
    /// From 100 ms, doubling, to 5 s.
    fn default() -> Self {
        BackoffPolicy::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

/// A sequence of delays. Each lies uniformly between a part of its bound and the bound, by default
/// between half of it and all, so that the clients of a dead server are spread out when they return, and
/// none of them returns at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: BackoffPolicy,
    attempt: u32,
    rng: fastrand::Rng,
}

impl Backoff {
    /// A sequence that `seed` determines.
    ///
    /// A bound of less than a millisecond counts as one, so that no caller spins; with a jitter of 1, a
    /// delay can still be shorter.
    pub fn new(policy: BackoffPolicy, seed: u64) -> Self {
        let least = Duration::from_millis(1);
        let is_growth = policy.multiplier.is_finite() && policy.multiplier >= 1.0;
        let policy = BackoffPolicy {
            initial: policy.initial.max(least),
            max: policy.max.max(least),
            multiplier: if is_growth { policy.multiplier } else { 1.0 },
            jitter: match policy.jitter {
                jitter if jitter.is_nan() => 0.5,
                jitter => jitter.clamp(0.0, 1.0),
            },
        };
        Backoff {
            policy,
            attempt: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        let BackoffPolicy {
            initial,
            max,
            multiplier,
            jitter,
        } = self.policy;
        let steps = i32::try_from(self.attempt).unwrap_or(i32::MAX);
        self.attempt = self.attempt.saturating_add(1);
        // Too many seconds for a `Duration`, or infinitely many, are more than any bound.
        let grown = Duration::try_from_secs_f64(initial.as_secs_f64() * multiplier.powi(steps));
        let bound = grown.map_or(max, |grown| grown.min(max));
        let random = Duration::try_from_secs_f64(bound.as_secs_f64() * jitter)
            .map_or(bound, |random| random.min(bound));
        bound - random + self.jitter(random)
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
            multiplier in any::<f64>(), jitter in any::<f64>(),
        ) {
            let policy = BackoffPolicy {
                initial: Duration::from_nanos(initial),
                max: Duration::from_secs(max),
                multiplier,
                jitter,
            };
            let mut backoff = Backoff::new(policy, seed);
            backoff.attempt = skip;
            for _ in 0..40 {
                prop_assert!(backoff.next_delay() <= policy.max.max(Duration::from_millis(1)));
            }
        }
    }

    #[test]
    fn the_longest_bound_has_a_random_part() {
        for jitter in [0.0, 0.5, 1.0] {
            let policy = BackoffPolicy::new(Duration::MAX, Duration::MAX).with_jitter(jitter);
            let mut backoff = Backoff::new(policy, 7);
            assert!(backoff.next_delay() <= Duration::MAX);
        }
    }

    #[test]
    fn multiplier_and_jitter_can_be_chosen() {
        let second = Duration::from_secs(1);
        let delays = |multiplier, jitter| {
            let policy = BackoffPolicy::new(second, 20 * second);
            let policy = policy.with_multiplier(multiplier).with_jitter(jitter);
            let mut backoff = Backoff::new(policy, 7);
            (0..5).map(|_| backoff.next_delay()).collect::<Vec<_>>()
        };
        assert_eq!(delays(3.0, 0.0), [1, 3, 9, 20, 20].map(|n| n * second));
        assert_eq!(delays(1.0, 0.0), [second; 5]);
        for nonsense in [0.5, -2.0, f64::NAN, f64::INFINITY] {
            assert_eq!(delays(nonsense, -1.0), [second; 5], "{nonsense}");
        }
        let full = delays(1.0, 9.0);
        assert!(full.iter().any(|delay| *delay < second / 2), "{full:?}");
        assert!(full.iter().all(|delay| *delay <= second), "{full:?}");
        assert_eq!(delays(2.0, f64::NAN), delays(2.0, 0.5));
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
        let policy = BackoffPolicy::new(Duration::from_millis(100), Duration::from_secs(1));
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
