//! Instances that are not used for a time because of their errors.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::instance::InstanceKey;

/// When an instance is passed over because of errors: after this number of them within the period, until
/// the period is over, which begins with the first of them. Unless changed, 2 errors within 30 s, as Curator does it.
#[doc(alias = "DownInstancePolicy")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownPolicy {
    /// The number of errors; 0 counts as 1.
    pub errors: u32,
    /// The period.
    pub period: Duration,
}

impl Default for DownPolicy {
    fn default() -> Self {
        DownPolicy {
            errors: 2,
            period: Duration::from_secs(30),
        }
    }
}

impl DownPolicy {
    /// After this number of errors within the period.
    pub fn new(errors: u32, period: Duration) -> Self {
        DownPolicy { errors, period }
    }
}

/// The errors of each instance.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    policy: DownPolicy,
    /// With the time of the first error of the period.
    errors: BTreeMap<InstanceKey, (Instant, u32)>,
}

impl Circuit {
    pub(super) fn new(policy: DownPolicy) -> Self {
        Circuit {
            policy,
            errors: BTreeMap::new(),
        }
    }

    pub(super) fn note_error(&mut self, instance: InstanceKey, now: Instant) {
        self.forget_until(now);
        let (_, count) = self.errors.entry(instance).or_insert((now, 0));
        *count = count.saturating_add(1);
    }

    fn forget_until(&mut self, now: Instant) {
        let period = self.policy.period;
        self.errors
            .retain(|_, (first, _)| now.saturating_duration_since(*first) < period);
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    pub(super) fn is_down(&self, instance: &InstanceKey, now: Instant) -> bool {
        (self.errors.get(instance)).is_some_and(|(first, count)| self.breaks(*first, *count, now))
    }

    fn breaks(&self, first: Instant, count: u32, now: Instant) -> bool {
        let is_within = now.saturating_duration_since(first) < self.policy.period;
        is_within && count >= self.policy.errors.max(1)
    }

    /// The time until the next instance that is down can be used again.
    pub(super) fn next_recovery(&self, now: Instant) -> Option<Duration> {
        let down = (self.errors.values()).filter(|(first, count)| self.breaks(*first, *count, now));
        let left = |first: Instant| {
            let passed = now.saturating_duration_since(first);
            self.policy.period.saturating_sub(passed)
        };
        down.map(|(first, _)| left(*first)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ServiceInstance;
    use super::*;

    fn key(id: &str) -> InstanceKey {
        let mut instance = ServiceInstance::<()>::new("s", "h").id(id);
        instance.registration_time_utc = 0;
        instance.key()
    }

    #[test]
    fn errors_count_within_the_period() {
        let mut circuit = Circuit::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        circuit.note_error(key("a"), at(0));
        assert!(!circuit.is_down(&key("a"), at(0)));
        assert_eq!(circuit.next_recovery(at(0)), None);
        circuit.note_error(key("a"), at(10));
        circuit.note_error(key("b"), at(10));
        assert!(circuit.is_down(&key("a"), at(29)));
        assert!(!circuit.is_down(&key("b"), at(29)));
        assert_eq!(circuit.next_recovery(at(29)), Some(Duration::from_secs(1)));
        assert!(!circuit.is_down(&key("a"), at(30)));
        circuit.note_error(key("a"), at(31));
        assert!(
            !circuit.is_down(&key("a"), at(31)),
            "the first of a new period"
        );
        circuit.note_error(key("c"), at(90));
        assert_eq!(circuit.errors.len(), 1, "the others are forgotten");
    }

    /// At the same time: a wait for it depends on that.
    #[test]
    fn what_is_down_recovers() {
        let mut circuit = Circuit::new(DownPolicy::new(1, Duration::from_millis(3)));
        let start = Instant::now();
        circuit.note_error(key("a"), start);
        for micros in 2990..3010 {
            let now = start + Duration::from_micros(micros);
            let is_down = circuit.is_down(&key("a"), now);
            assert_eq!(circuit.next_recovery(now).is_some(), is_down, "{micros}");
        }
    }

    #[test]
    fn one_error_can_be_enough() {
        for errors in [0, 1] {
            let mut circuit = Circuit::new(DownPolicy::new(errors, Duration::from_secs(1)));
            let now = Instant::now();
            assert!(!circuit.is_down(&key("a"), now));
            circuit.note_error(key("a"), now);
            assert!(circuit.is_down(&key("a"), now));
        }
    }
}
