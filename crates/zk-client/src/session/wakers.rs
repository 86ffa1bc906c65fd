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
