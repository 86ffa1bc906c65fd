//! How one of several instances is chosen.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::instance::{InstanceKey, ServiceInstance};

/// Chooses one of the instances that can be used. A function from the instances to an index is one.
#[doc(alias = "ProviderStrategy")]
pub trait Strategy<P>: Send + Sync {
    /// The index of the chosen instance. `instances` is never empty, and is sorted by the names of the
    /// znodes. An index outside it chooses none.
    fn choose(&self, instances: &[Arc<ServiceInstance<P>>]) -> usize;
}

impl<P, F: Fn(&[Arc<ServiceInstance<P>>]) -> usize + Send + Sync> Strategy<P> for F {
    fn choose(&self, instances: &[Arc<ServiceInstance<P>>]) -> usize {
        self(instances)
    }
}

/// Chooses one instance after the other. The counterpart of Curator's `RoundRobinStrategy`.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: AtomicUsize,
}

impl<P> Strategy<P> for RoundRobin {
    fn choose(&self, instances: &[Arc<ServiceInstance<P>>]) -> usize {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        next.checked_rem(instances.len()).unwrap_or_default()
    }
}

/// Chooses a random instance. The counterpart of Curator's `RandomStrategy`.
#[derive(Debug, Default, Clone, Copy)]
pub struct Random;

impl<P> Strategy<P> for Random {
    fn choose(&self, instances: &[Arc<ServiceInstance<P>>]) -> usize {
        fastrand::usize(..instances.len().max(1))
    }
}

/// Chooses the same instance as before for as long as it can be used, and then another as a second
/// strategy does. The counterpart of Curator's `StickyStrategy`.
#[derive(Debug, Default)]
pub struct Sticky<S> {
    then: S,
    chosen: Mutex<Option<InstanceKey>>,
}

impl<S> Sticky<S> {
    /// Chooses the first one, and each later one, as `then` does.
    pub fn new(then: S) -> Self {
        Sticky {
            then,
            chosen: Mutex::new(None),
        }
    }
}

impl<P, S: Strategy<P>> Strategy<P> for Sticky<S> {
    fn choose(&self, instances: &[Arc<ServiceInstance<P>>]) -> usize {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_chosen = |instance: &Arc<ServiceInstance<P>>| Some(instance.key()) == *chosen;
        if let Some(at) = instances.iter().position(is_chosen) {
            return at;
        }
        let at = self.then.choose(instances);
        *chosen = instances.get(at).map(|instance| instance.key());
        at
    }
}

/// Chooses a random instance, each with a probability in proportion to its weight. Curator has no
/// counterpart.
///
/// A weight that is negative or not a number counts as 0. If all are 0, all are equally probable.
pub struct Weighted<F> {
    weight: F,
}

impl<F> Weighted<F> {
    /// With weights by a function of the instance, usually of its payload.
    pub fn new<P>(weight: F) -> Self
    where
        F: Fn(&ServiceInstance<P>) -> f64 + Send + Sync,
    {
        Weighted { weight }
    }
}

impl<P, F: Fn(&ServiceInstance<P>) -> f64 + Send + Sync> Strategy<P> for Weighted<F> {
    fn choose(&self, instances: &[Arc<ServiceInstance<P>>]) -> usize {
        let weights: Vec<_> = (instances.iter())
            .map(|instance| (self.weight)(instance))
            .collect();
        weighted(&weights, fastrand::f64())
    }
}

impl<F> fmt::Debug for Weighted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Weighted")
    }
}

/// The index at a point between 0 and 1 of the weights laid end to end.
fn weighted(weights: &[f64], point: f64) -> usize {
    let counted = |weight: f64| match weight.is_finite() && weight > 0.0 {
        true => weight,
        false => 0.0,
    };
    // Scaled down first, so that the total of huge weights is finite.
    let largest = weights.iter().copied().map(counted).fold(0.0, f64::max);
    let share = |weight: f64| match largest > 0.0 {
        true => counted(weight) / largest,
        false => 1.0,
    };
    let total: f64 = weights.iter().copied().map(share).sum();
    let mut left = point * total;
    let mut last = 0;
    for (at, weight) in weights.iter().copied().map(share).enumerate() {
        if weight > 0.0 {
            last = at;
            if left < weight {
                return at;
            }
            left -= weight;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances(ids: &[&str]) -> Vec<Arc<ServiceInstance<f64>>> {
        let instance = |id: &&str| {
            let weight = f64::from(u8::try_from(id.len()).unwrap());
            let instance = ServiceInstance::new("s", "h").id(*id).payload(weight);
            Arc::new(instance)
        };
        ids.iter().map(instance).collect()
    }

    #[test]
    fn round_robin_takes_turns() {
        let three = instances(&["a", "b", "c"]);
        let strategy = RoundRobin::default();
        let chosen: Vec<_> = (0..7).map(|_| strategy.choose(&three)).collect();
        assert_eq!(chosen, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn random_chooses_each() {
        let three = instances(&["a", "b", "c"]);
        let mut had = [0; 3];
        for _ in 0..600 {
            had[Random.choose(&three)] += 1;
        }
        assert!(had.iter().all(|count| *count > 100), "{had:?}");
    }

    #[test]
    fn sticky_stays_until_it_is_gone() {
        let mut three = instances(&["a", "b", "c"]);
        let strategy = Sticky::new(RoundRobin::default());
        for _ in 0..3 {
            assert_eq!(strategy.choose(&three), 0);
        }
        three.remove(0);
        let next = strategy.choose(&three);
        let kept = three[next].clone();
        three.swap(0, 1);
        assert_eq!(three[strategy.choose(&three)].id, kept.id);
    }

    #[test]
    fn weights_are_proportions() {
        let points = |weights: &[f64]| -> Vec<usize> {
            let points = (0..8).map(|eighth| f64::from(eighth) / 8.0);
            points.map(|point| weighted(weights, point)).collect()
        };
        assert_eq!(points(&[1.0, 3.0]), [0, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(
            points(&[0.0, 1.0, f64::NAN, -1.0, 1.0]),
            [1, 1, 1, 1, 4, 4, 4, 4]
        );
        assert_eq!(points(&[0.0, 0.0]), [0, 0, 0, 0, 1, 1, 1, 1]);
        assert_eq!(points(&[f64::MAX, f64::MAX]), [0, 0, 0, 0, 1, 1, 1, 1]);
        assert_eq!(weighted(&[1.0, 0.0], 1.0), 0);
        assert_eq!(weighted(&[], 0.5), 0);
    }

    #[test]
    fn weights_are_of_the_payload() {
        let strategy = Weighted::new(|instance: &ServiceInstance<f64>| {
            instance.payload.unwrap_or_default() - 1.0
        });
        let two = instances(&["a", "bb"]);
        for _ in 0..50 {
            assert_eq!(strategy.choose(&two), 1);
        }
    }
}
