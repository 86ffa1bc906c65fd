//! Several locks, all or none.

use std::future::Future;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::multi_lock_member::MultiLockMember;
use crate::error::{Error, GuardLost, Result};
use crate::guard::{Guard, run_until};
use crate::retry::RetryBackoff;

/// Several locks that are held together or not at all: [`Lock`](crate::Lock)s,
/// [`ReadLock`](crate::ReadLock)s, [`WriteLock`](crate::WriteLock)s, and leases of
/// [`Semaphore`](crate::Semaphore)s.
///
/// They are acquired one after the other in the order of their paths, whatever the order in which
/// they are given, so that two programs which acquire the same locks never wait for each other. They
/// are released in reverse.
///
/// # Lock identity and deadlocks
///
/// A lock is a znode of an ensemble. Its path counts from the root of the ensemble, so it does not
/// matter through which [chroots](zk_client::Client::chroot) the programs reach it.
///
/// A znode that is given twice is acquired once, with the handle that comes first, also if the two
/// handles have different sessions: a second session of the same ensemble finds the znode that the
/// first has created there. With different options it is an error
/// ([`Error::ConflictingOptions`]), and so it is to give the reader's and the writer's side of one
/// lock. A semaphore that is given twice is one lease; [`acquire_many`](crate::Semaphore::acquire_many)
/// takes several.
///
/// Locks at the same path of several ensembles have no common order, since no server reports which
/// ensemble it belongs to. So the guard never waits for one of these while it holds another of them:
/// if one is not free, the others at that path are released, then it is waited for, and then the
/// others are tried again. Therefore programs cannot deadlock on them either. But such a wait starts
/// again at the end of the queue each time, and is not fair.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::{Lock, MultiLock};
///
/// let accounts = ["/locks/account-7", "/locks/account-3"].map(|path| Lock::new(&zk, path));
/// let guard = MultiLock::new(accounts).acquire().await?;
/// // … move money …
/// guard.release().await?;
///
/// // Of several kinds:
/// use zk_recipes::{ReadLock, Semaphore};
/// let all = MultiLock::new([Lock::new(&zk, "/locks/account-7")])
///     .and(ReadLock::new(&zk, "/locks/rates"))
///     .and(Semaphore::new(&zk, "/semaphores/transfers", 10));
/// let guard = all.acquire().await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// Those of the locks. Curator's `InterProcessMultiLock` interoperates if its locks are given in the
/// order of their paths; it acquires them in the order given. kazoo has no counterpart; its single
/// `Lock`s interoperate.
///
/// # Cost
///
/// The sum of the costs of the locks, in znodes, watches, requests and round trips. In addition a
/// sync and a read for each further session that has a lock at the same path.
///
/// # Losing the session
///
/// The guard is lost when the guard of any of the locks is, for the reason of the first:
/// [`MultiGuard::check`] and [`MultiGuard::lost`] report it, and [`MultiGuard::run`] drops its work. The
/// other locks stay held until the guard is released or dropped, so that the program can undo its
/// work under them; [`MultiGuard::lost_guards`] says which are lost. With locks of one session, the end of
/// the session loses all of them; with several sessions, some can be lost and others held.
///
/// # After a crash
///
/// Each lock with an id takes up its own place or lease: see [`Lock`](crate::Lock). The order in which they are
/// acquired is the same as before the crash, so the places are those that the earlier process had.
///
/// # Cancel safety
///
/// Dropping a wait releases in the background the locks that it has acquired. Dropping the guard
/// releases all.
#[doc(alias = "InterProcessMultiLock")]
#[derive(Debug, Clone)]
pub struct MultiLock {
    locks: Vec<MultiLockMember>,
}

impl MultiLock {
    /// These locks. One that is given twice is acquired once.
    pub fn new(locks: impl IntoIterator<Item = impl Into<MultiLockMember>>) -> Self {
        let mut locks: Vec<MultiLockMember> = locks.into_iter().map(Into::into).collect();
        locks.sort_by_cached_key(|lock| lock.absolute());
        MultiLock { locks }
    }

    /// These locks, and one more, perhaps of another kind.
    #[must_use]
    pub fn and(mut self, lock: impl Into<MultiLockMember>) -> Self {
        self.locks.push(lock.into());
        Self::new(self.locks)
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// The error of the first lock that cannot be acquired. The locks after it are not tried, those
    /// before it are released in the background. [`Error::ConflictingOptions`] if a lock is given twice with
    /// different options. An invalid path of any lock is an error before anything is sent.
    ///
    /// # Cancel safety
    /// Dropping the future releases in the background the locks that it has acquired.
    pub async fn acquire(&self) -> Result<MultiGuard> {
        loop {
            if let Some(held) = self.take(true).await? {
                return Ok(held);
            }
        }
    }

    /// Takes all of them if all are free.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self) -> Result<Option<MultiGuard>> {
        self.take(false).await
    }

    /// Waits for all of them for at most `timeout` in total.
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

    async fn take(&self, wait: bool) -> Result<Option<MultiGuard>> {
        let mut held = MultiGuard::default();
        for same_path in self.by_path()? {
            match take_at_one_path(&same_path, wait).await {
                Err(error) => return Err(error),
                Ok(Some(mut guards)) => held.guards.append(&mut guards.guards),
                Ok(None) => {
                    held.release().await?;
                    return Ok(None);
                }
            }
        }
        Ok(Some(held))
    }

    /// The locks grouped by path. A group has at most one lock of each session.
    fn by_path(&self) -> Result<Vec<Vec<&MultiLockMember>>> {
        for lock in &self.locks {
            lock.check_path()?;
        }
        let same_path = |a: &MultiLockMember, b: &MultiLockMember| a.absolute() == b.absolute();
        let groups = self.locks.chunk_by(same_path).map(|group| {
            let mut distinct: Vec<&MultiLockMember> = Vec::new();
            for lock in group {
                let known = |other: &&&MultiLockMember| lock.shares_session_with(other);
                match distinct.iter().find(known) {
                    Some(known) => check_same_options(known, lock)?,
                    None => distinct.push(lock),
                }
            }
            Ok(distinct)
        });
        groups.collect()
    }
}

/// Checks that one of two locks at the same znode can replace the other.
fn check_same_options(one: &MultiLockMember, other: &MultiLockMember) -> Result<()> {
    if one.has_options_of(other) {
        return Ok(());
    }
    Err(Error::ConflictingOptions {
        path: one.absolute(),
    })
}

/// Takes locks at the same path through different sessions. Never waits for one of them while
/// another of them is held, since their ensembles have no order.
async fn take_at_one_path(locks: &[&MultiLockMember], wait: bool) -> Result<Option<MultiGuard>> {
    let mut backoff = RetryBackoff::new();
    let mut awaited = 0;
    while let Some(&lock) = locks.get(awaited) {
        let guard = match wait {
            true => lock.acquire().await?,
            false => match lock.try_acquire().await? {
                Some(guard) => guard,
                None => return Ok(None),
            },
        };
        let mut held = MultiGuard {
            guards: vec![guard],
        };
        let Some(busy) = try_others(locks, awaited, &mut held).await? else {
            return Ok(Some(held));
        };
        held.release().await?;
        if !wait {
            return Ok(None);
        }
        // A random delay, so that two programs do not repeat the same steps against each other.
        backoff.sleep().await;
        awaited = busy;
    }
    Ok(None)
}

/// Takes all locks except the one that is held, as long as they are free. Returns the index of the
/// first that is not.
async fn try_others(
    locks: &[&MultiLockMember],
    first: usize,
    held: &mut MultiGuard,
) -> Result<Option<usize>> {
    let mut taken: Vec<&MultiLockMember> = locks.get(first).copied().into_iter().collect();
    for (at, &lock) in locks.iter().enumerate().filter(|(at, _)| *at != first) {
        let mut known = None;
        for (guard, &other) in held.guards.iter().zip(&taken) {
            if lock.contains(guard).await? {
                known = Some(other);
                break;
            }
        }
        if let Some(known) = known {
            check_same_options(known, lock)?;
            continue;
        }
        let Some(guard) = lock.try_acquire().await? else {
            return Ok(Some(at));
        };
        held.guards.push(guard);
        taken.push(lock);
    }
    Ok(None)
}

/// Several locks that are held.
#[derive(Debug, Default)]
#[must_use = "dropping a guard releases the locks"]
pub struct MultiGuard {
    /// In the order of acquisition.
    guards: Vec<Guard>,
}

impl MultiGuard {
    /// The guards of the locks, one for each znode, in the order of the paths from the root of the
    /// ensemble: each has its own [`token`](crate::Guard::token) and
    /// [`fenced`](crate::Guard::fenced), with paths below the root of its own lock's handle.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// The guards that are lost now, in the order of the paths. The others are still held.
    pub fn lost_guards(&self) -> impl Iterator<Item = &Guard> {
        self.guards.iter().filter(|guard| guard.check().is_err())
    }

    /// The local time until which all of them can be trusted as things stand: see
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
    pub fn check(&self) -> Result<(), GuardLost> {
        self.guards.iter().try_for_each(|guard| guard.check())
    }

    /// Waits until one of them is lost: see [`Guard::lost`](crate::Guard::lost).
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn lost(&self) -> GuardLost {
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
    /// One was lost before the future was ready.
    ///
    /// # Cancel safety
    /// Drops `future`.
    pub async fn run<F: Future>(&self, future: F) -> Result<F::Output, GuardLost> {
        self.check()?;
        run_until(self.lost(), future).await
    }

    /// Releases all of them, the last acquired first.
    ///
    /// # Errors
    /// The client is closed. The locks are released with the session then.
    ///
    /// # Cancel safety
    /// Dropping the future releases the remaining locks in the background.
    pub async fn release(mut self) -> Result<()> {
        while let Some(guard) = self.guards.pop() {
            guard.release().await?;
        }
        Ok(())
    }

    /// Releases all of them through a shared reference, the last acquired first: see
    /// [`LockGuard::release_shared`](crate::LockGuard::release_shared). From this call on all of the guards are lost.
    ///
    /// # Errors
    /// As [`release`](Self::release). The other locks are released also if one cannot be; the error is
    /// the first.
    ///
    /// # Cancel safety
    /// After a dropped future, the drop of the guard releases the remaining locks, or another call.
    pub async fn release_shared(&self) -> Result<()> {
        for guard in &self.guards {
            guard.lose(GuardLost::Released);
        }
        let mut result = Ok(());
        for guard in self.guards.iter().rev() {
            // A lock that cannot be released keeps none of the others.
            result = result.and(guard.release_shared().await);
        }
        result
    }
}

impl Drop for MultiGuard {
    fn drop(&mut self) {
        while self.guards.pop().is_some() {}
    }
}
