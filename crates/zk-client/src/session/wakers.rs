//! Wakers are replaced and collected under the lock, and woken after it is released.

use std::task::Waker;

/// Room that collections keep while the client is idle.
pub(crate) const IDLE_CAPACITY: usize = 16;

/// What is to be woken once the lock is released: callers, subscribers and the driver.
#[derive(Debug, Default)]
pub(crate) struct Wakeups {
    /// Wakers of callers and subscribers.
    pub(super) wakers: Vec<Waker>,
    driver: Option<Waker>,
    driver_is_due: bool,
}

impl Wakeups {
    /// Wakers of callers and subscribers that have been collected.
    pub(crate) fn len(&self) -> usize {
        self.wakers.len()
    }

    /// Exchanges the collected wakers for the empty `room`. False if there are none.
    #[inline]
    pub(crate) fn take(&mut self, room: &mut Vec<Waker>) -> bool {
        let any = !self.wakers.is_empty();
        if any {
            std::mem::swap(&mut self.wakers, room);
        }
        any
    }

    /// Drops the collected wakers. For machines without tasks.
    #[cfg(feature = "testkit")]
    pub(crate) fn clear(&mut self) {
        self.wakers.clear();
    }

    /// Registers the driver, to be woken when it has work.
    pub(crate) fn register_driver(&mut self, waker: &Waker) {
        if !(self.driver.as_ref()).is_some_and(|known| known.will_wake(waker)) {
            self.driver = Some(waker.clone());
        }
    }

    /// Whether this is the waker that the next work of the driver will wake.
    #[inline]
    pub(crate) fn will_wake_driver(&self, waker: &Waker) -> bool {
        let known = self.driver.as_ref();
        !self.driver_is_due && known.is_some_and(|known| known.will_wake(waker))
    }

    /// The driver has work.
    #[inline]
    pub(crate) fn wake_driver(&mut self) {
        self.driver_is_due = true;
    }

    /// The driver's waker, if the driver has work and has not been woken since it registered.
    #[inline]
    pub(crate) fn take_driver(&mut self) -> Option<Waker> {
        if !self.driver_is_due {
            return None;
        }
        self.driver_is_due = false;
        self.driver.take()
    }

    /// Idle: releases room that grew under load.
    pub(super) fn shrink_idle(&mut self) {
        self.wakers.shrink_to(IDLE_CAPACITY);
    }
}

/// Stores `waker` in `place`. A waker that was there before is woken, not dropped: dropping a waker
/// can drop a task and the request that the task holds, which would take the lock again.
#[inline]
pub(crate) fn register(place: &mut Option<Waker>, waker: &Waker, wakes: &mut Vec<Waker>) {
    match place {
        Some(known) if known.will_wake(waker) => {}
        Some(_) => wakes.extend(place.replace(waker.clone())),
        None => *place = Some(waker.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn task() -> Waker {
        Waker::from(Arc::new(Task))
    }

    #[test]
    fn wakers_are_taken_once() {
        let mut wakeups = Wakeups::default();
        let mut room = Vec::new();
        assert!(!wakeups.take(&mut room));
        wakeups.wakers.extend([task(), task()]);
        assert_eq!(wakeups.len(), 2);
        assert!(wakeups.take(&mut room));
        assert_eq!((wakeups.len(), room.len()), (0, 2));
    }

    #[test]
    fn the_driver_is_woken_once_for_its_work() {
        let (driver, other) = (task(), task());
        let mut wakeups = Wakeups::default();
        assert!(!wakeups.will_wake_driver(&driver), "it has not registered");
        wakeups.register_driver(&driver);
        assert!(wakeups.will_wake_driver(&driver));
        assert!(!wakeups.will_wake_driver(&other));
        assert!(wakeups.take_driver().is_none(), "there is no work");
        wakeups.wake_driver();
        assert!(!wakeups.will_wake_driver(&driver), "for work to come");
        assert!(wakeups.take_driver().unwrap().will_wake(&driver));
        assert!(wakeups.take_driver().is_none());
        wakeups.register_driver(&driver);
        wakeups.register_driver(&other);
        wakeups.wake_driver();
        assert!(wakeups.take_driver().unwrap().will_wake(&other));
    }

    /// Dropped after the lock is released, with what its task holds.
    #[test]
    fn a_replaced_waker_is_woken() {
        let (first, second) = (task(), task());
        let (mut place, mut wakes) = (None, Vec::new());
        register(&mut place, &first, &mut wakes);
        register(&mut place, &first, &mut wakes);
        assert!(wakes.is_empty());
        register(&mut place, &second, &mut wakes);
        assert!(wakes.len() == 1 && wakes[0].will_wake(&first));
        assert!(place.unwrap().will_wake(&second));
    }
}
