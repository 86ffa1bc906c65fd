//! The core behind its lock.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::session::Core;

/// A source of the time for which the machine has been suspended in all.
pub(crate) type SuspendedTime = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What the handles and the driver of a client share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// Where the driver runs, and what has to be done after its cause is gone.
    pub(crate) runtime: Handle,
    suspended: SuspendedTime,
}

impl Shared {
    pub(crate) fn new(core: Core, runtime: Handle, suspended: SuspendedTime) -> Self {
        Shared {
            core: Mutex::new(core),
            runtime,
            suspended,
        }
    }

    /// Runs `f` under the lock, after the core has been given the time for which the machine was
    /// suspended.
    pub(crate) fn with_suspension<R>(&self, f: impl FnOnce(&mut Core) -> R) -> R {
        let suspended = (self.suspended)();
        self.with(|core| {
            core.handle_suspension(now(), suspended);
            f(core)
        })
    }

    /// Runs `f` under the lock, and wakes whom it wants woken after the lock is released.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Core) -> R) -> R {
        self.with_room(&mut Vec::new(), f)
    }

    /// The same, for who wakes many at a time: with an empty `room` that is kept for the next time,
    /// their wakers have room without an allocation.
    #[inline]
    pub(crate) fn with_room<R>(&self, room: &mut Vec<Waker>, f: impl FnOnce(&mut Core) -> R) -> R {
        // The core has no invariant that a panic in the middle could break for good: at worst a
        // request stays unanswered until its deadline.
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut core);
        let driver = core.take_driver();
        let woken = !core.wakes.is_empty();
        if woken {
            std::mem::swap(&mut core.wakes, room);
        }
        drop(core);
        if woken {
            room.drain(..).for_each(Waker::wake);
        }
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, session) = self.with(|core| (core.state(), core.session.id()));
        f.debug_struct("Shared")
            .field("state", &state)
            .field("session", &session)
            .finish_non_exhaustive()
    }
}

/// The time by tokio's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;
    use crate::session::Limits;
    use crate::session::identity::SessionPolicy;

    /// As a task that holds a handle: when it is dropped, it wants the lock.
    struct Nosy {
        shared: Arc<Shared>,
        refused: Arc<AtomicUsize>,
    }

    impl Nosy {
        fn look(&self) {
            let locked = self.shared.core.try_lock().is_err();
            self.refused
                .fetch_add(usize::from(locked), Ordering::Relaxed);
        }
    }

    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {
            self.look();
        }
    }

    impl Drop for Nosy {
        fn drop(&mut self) {
            self.look();
        }
    }

    /// Guards: B70.
    #[tokio::test]
    async fn no_waker_runs_under_the_lock() {
        let limits = Limits {
            outstanding: 8,
            request_bytes: 1024,
            outstanding_bytes: usize::MAX,
            mailbox: crate::session::watches::MailboxLimits {
                events: 8,
                bytes: 1024,
            },
            close_timeout: Duration::ZERO,
        };
        let policy = SessionPolicy::Renew;
        let core = Core::new(now(), Duration::from_secs(1), policy, false, limits);
        let shared = Arc::new(Shared::new(
            core,
            Handle::current(),
            crate::driver::suspend_clock::platform(),
        ));
        let refused = Arc::new(AtomicUsize::new(0));
        let waker = || {
            Waker::from(Arc::new(Nosy {
                shared: shared.clone(),
                refused: refused.clone(),
            }))
        };
        let reader = shared.with(|core| core.readers.add(core.state()));
        let sub = shared.with(|core| {
            let kind = crate::session::watches::WatchKind::Persistent;
            core.registry.subscribe(kind, "/a".into())
        });
        for _ in 0..3 {
            // Each of them replaces the one before.
            let waker = waker();
            shared.with(|core| {
                while core.poll_state(reader, &waker).is_some() {}
                assert!(core.poll_event(sub, &waker).is_none());
            });
        }
        shared.with(|core| core.forget_reader(reader));
        shared.with(|core| core.unsubscribe(now(), sub));
        assert_eq!(Arc::strong_count(&shared), 1, "wakers are left");
        assert_eq!(refused.load(Ordering::Relaxed), 0);
    }
}
