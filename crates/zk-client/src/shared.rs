//! The core behind its lock.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::session::Core;
use crate::session_store::stored_session::StoredSession;
#[cfg(feature = "tls-no-provider")]
use crate::tls::Tls;

/// A source of the time for which the machine has been suspended in all.
pub(crate) type SuspendedTime = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What the handles and the driver of a client share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// Counts the times the lock was held by code that changed something which spans, events or
    /// metrics report.
    changes: AtomicU64,
    /// Where the driver runs, and background work such as clean-ups.
    pub(crate) runtime: Handle,
    suspended: SuspendedTime,
    stored_session: OnceLock<StoredSession>,
    /// What spans and metrics name the client.
    name: Option<Arc<str>>,
    /// How the client dials, if with TLS.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) tls: Option<Tls>,
}

impl Shared {
    pub(crate) fn new(
        core: Core,
        runtime: Handle,
        suspended: SuspendedTime,
        name: Option<Arc<str>>,
    ) -> Self {
        Shared {
            core: Mutex::new(core),
            changes: AtomicU64::new(0),
            runtime,
            suspended,
            stored_session: OnceLock::new(),
            name,
            #[cfg(feature = "tls-no-provider")]
            tls: None,
        }
    }

    /// The same for a client with TLS.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) fn secured(self, tls: Option<Tls>) -> Self {
        Shared { tls, ..self }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn shared_name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }

    /// The session has a file from now on.
    pub(crate) fn set_stored_session(&self, stored: StoredSession) {
        // A client has one file at most.
        let _ = self.stored_session.set(stored);
    }

    /// The file of the session, if it has one.
    pub(crate) fn stored_session(&self) -> Option<&StoredSession> {
        self.stored_session.get()
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

    /// Runs `f` under the lock. Wakes the wakers that `f` has collected after the lock is released.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Core) -> R) -> R {
        self.with_room(&mut Vec::new(), f)
    }

    /// The same for a caller that wakes many wakers at a time: it keeps an empty `room` for the next
    /// time, so that no allocation is needed.
    #[inline]
    pub(crate) fn with_room<R>(&self, room: &mut Vec<Waker>, f: impl FnOnce(&mut Core) -> R) -> R {
        #[cfg(test)]
        LOCKED.set(LOCKED.get() + 1);
        // The core has no invariant that a panic in the middle could break for good: at worst a
        // request stays unanswered until its deadline.
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut core);
        core.serve_calls();
        if core.take_changed() {
            self.changes.fetch_add(1, Ordering::Release);
        }
        let driver = core.wakeups.take_driver();
        let woken = core.wakeups.take(room);
        drop(core);
        if woken {
            room.drain(..).for_each(Waker::wake);
        }
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// A number that grows with every change of something that spans, events or metrics report. Does
    /// not take the lock.
    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
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
thread_local! {
    /// How often this thread has taken the lock.
    pub(crate) static LOCKED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
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

    /// Like a task that holds a handle: when it is dropped, it takes the lock.
    struct LockOnDrop {
        shared: Arc<Shared>,
        refused: Arc<AtomicUsize>,
    }

    impl LockOnDrop {
        fn try_lock(&self) {
            let locked = self.shared.core.try_lock().is_err();
            self.refused
                .fetch_add(usize::from(locked), Ordering::Relaxed);
        }
    }

    impl Wake for LockOnDrop {
        fn wake(self: Arc<Self>) {
            self.try_lock();
        }
    }

    impl Drop for LockOnDrop {
        fn drop(&mut self) {
            self.try_lock();
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
            None,
        ));
        let refused = Arc::new(AtomicUsize::new(0));
        let waker = || {
            Waker::from(Arc::new(LockOnDrop {
                shared: shared.clone(),
                refused: refused.clone(),
            }))
        };
        let reader = shared.with(|core| core.add_reader());
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

    #[cfg(feature = "testkit")]
    #[tokio::test]
    async fn a_get_alone_takes_the_lock_5_times() {
        let server = zk_embedded::Server::start().await.unwrap();
        let client = crate::Client::connect(server.connect_string());
        let client = client.await.unwrap();
        let get = async || {
            client.get("/").await.unwrap();
            // The driver finishes its turn.
            tokio::task::yield_now().await;
        };
        let mut fewest = u64::MAX;
        for _ in 0..10 {
            LOCKED.set(0);
            get().await;
            // A ping may fall into one of them.
            fewest = fewest.min(LOCKED.get());
        }
        // The caller submits, registers its waker and takes the reply; the driver takes the output
        // and brings the input. Metrics count the bytes of both.
        assert_eq!(fewest, 5 + 2 * u64::from(cfg!(feature = "metrics")));
    }
}
