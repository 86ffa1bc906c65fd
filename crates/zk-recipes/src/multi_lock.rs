//! Several locks, all or none.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::error::{Lost, Result};
use crate::lock::{Lock, LockGuard};

/// Several [`Lock`]s that are held together or not at all.
///
/// They are acquired one after the other in the order of their paths, whatever the order in which
/// they are given, so that two programs which want the same locks never wait for each other. They
/// are released in reverse.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::{Lock, MultiLock};
///
/// let accounts = ["/locks/account-7", "/locks/account-3"].map(|path| Lock::new(&zk, path));
/// let guard = MultiLock::new(accounts).acquire().await?;
/// // … move money …
/// guard.release().await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// Those of the locks. Curator's `InterProcessMultiLock` takes part if it is given the locks in the
/// order of their paths; it acquires them in the order given. kazoo has nothing like it; its `Lock`s
/// take part one by one.
///
/// # Cost
///
/// The sum of the locks': in znodes, watches and requests, and, one after the other, in round trips.
///
/// # Losing the session
///
/// The guard is lost when any of the locks' guards is.
///
/// # Cancel safety
///
/// Dropping a wait releases in the background what it has acquired. Dropping the guard releases all.
#[derive(Debug, Clone)]
pub struct MultiLock {
    locks: Vec<Lock>,
}

impl MultiLock {
    /// These locks. One that is given twice is acquired once.
    pub fn new(locks: impl IntoIterator<Item = Lock>) -> Self {
        let mut locks: Vec<_> = locks.into_iter().collect();
        locks.sort_by(|a, b| a.path().cmp(b.path()));
        locks.dedup_by(|a, b| a.path() == b.path());
        MultiLock { locks }
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// That of the first lock that cannot be acquired. Those after it are not tried, those before it
    /// are released in the background.
    ///
    /// # Cancel safety
    /// Dropping the future releases in the background what it has acquired.
    pub async fn acquire(&self) -> Result<MultiGuard> {
        let mut held = MultiGuard::default();
        for lock in &self.locks {
            match lock.acquire().await {
                Err(_) if zk_proto::seeded_bug!("A72") => {}
                acquired => held.guards.push(acquired?),
            }
        }
        Ok(held)
    }

    /// Takes all of them if none has to be waited for.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self) -> Result<Option<MultiGuard>> {
        let mut held = MultiGuard::default();
        for lock in &self.locks {
            match lock.try_acquire().await? {
                Some(guard) => held.guards.push(guard),
                None => {
                    held.release().await?;
                    return Ok(None);
                }
            }
        }
        Ok(Some(held))
    }

    /// Waits for all of them, all in all no longer than `timeout`.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_timeout(&self, timeout: Duration) -> Result<Option<MultiGuard>> {
        match tokio::time::timeout(timeout, self.acquire()).await {
            Ok(acquired) => acquired.map(Some),
            Err(_elapsed) => Ok(None),
        }
    }
}

/// Several locks that are held.
#[derive(Debug, Default)]
#[must_use = "dropping a guard releases the locks"]
pub struct MultiGuard {
    /// In the order of acquisition.
    guards: Vec<LockGuard>,
}

impl MultiGuard {
    /// The guards of the locks, in the order of their paths: each has its own
    /// [`token`](crate::Guard::token) and [`fenced`](crate::Guard::fenced).
    pub fn guards(&self) -> &[LockGuard] {
        &self.guards
    }

    /// Until when all of them can be trusted, as things stand: see
    /// [`Guard::deadline`](crate::Guard::deadline). `None` if any is lost, or none has a deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.check().ok()?;
        self.guards
            .iter()
            .filter_map(|guard| guard.deadline())
            .min()
    }

    /// Whether all of them are held now: see [`Guard::check`](crate::Guard::check).
    ///
    /// # Errors
    /// One of them is lost.
    pub fn check(&self) -> Result<(), Lost> {
        self.guards.iter().try_for_each(|guard| guard.check())
    }

    /// Waits until one of them is lost: see [`Guard::lost`](crate::Guard::lost).
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn lost(&self) -> Lost {
        let mut each: Vec<_> = self
            .guards
            .iter()
            .map(|guard| Box::pin(guard.lost()))
            .collect();
        std::future::poll_fn(|cx| {
            each.iter_mut()
                .find_map(|lost| match lost.as_mut().poll(cx) {
                    Poll::Ready(lost) => Some(Poll::Ready(lost)),
                    Poll::Pending => None,
                })
                .unwrap_or(Poll::Pending)
        })
        .await
    }

    /// Runs `future` while all of them are held, and drops it when one is lost.
    ///
    /// # Errors
    /// One was lost before the future was done.
    ///
    /// # Cancel safety
    /// Drops `future`.
    pub async fn run<F: Future>(&self, future: F) -> Result<F::Output, Lost> {
        self.check()?;
        let mut future = pin!(future);
        let mut lost = pin!(self.lost());
        std::future::poll_fn(|cx| {
            if let Poll::Ready(lost) = lost.as_mut().poll(cx) {
                return Poll::Ready(Err(lost));
            }
            future.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Releases all of them, the last acquired first.
    ///
    /// # Errors
    /// The client is over. The locks are released with the session then.
    ///
    /// # Cancel safety
    /// Dropping the future releases what is left in the background.
    pub async fn release(mut self) -> Result<()> {
        while let Some(guard) = self.guards.pop() {
            guard.release().await?;
        }
        Ok(())
    }
}

impl Drop for MultiGuard {
    fn drop(&mut self) {
        while self.guards.pop().is_some() {}
    }
}
