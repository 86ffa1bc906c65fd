//! Several locks, all or none.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::error::{Error, Lost, Result};
use crate::lock::{Lock, LockGuard};
use crate::pause::pause;

/// Several [`Lock`]s that are held together or not at all.
///
/// They are acquired one after the other in the order of their paths, whatever the order in which
/// they are given, so that two programs which want the same locks never wait for each other. They
/// are released in reverse.
///
/// # Which lock is which
///
/// A lock is a znode of an ensemble. Its path counts from the root of the ensemble, so it does not
/// matter through which [chroots](zk_client::Client::chroot) the locks of this program and of others are
/// reached.
///
/// A znode that is given twice is acquired once, with the handle that comes first, also if the two
/// handles have different sessions: a second session of the same ensemble finds the znode that the
/// first has created there. With different options it is an error
/// ([`Error::ConflictingOptions`]).
///
/// Locks at the same path of several ensembles have no order that all programs know, since nothing
/// that a server says names its ensemble. So none of these is waited for while another of them is
/// held: if one is not free, the others at that path are released, it is waited for, and then the
/// others are tried again. Therefore programs that want them cannot wait for each other either. But
/// such a wait starts again at the end of the line each time, and is not fair.
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
/// A sync and a read more for each second session that has a lock at the same path.
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
        if zk_proto::seeded_bug!("H3") {
            locks.sort_by(|a, b| a.line().parent().cmp(b.line().parent()));
            locks.dedup_by(|a, b| a.line().parent() == b.line().parent());
            return MultiLock { locks };
        }
        locks.sort_by_cached_key(|lock| lock.line().absolute());
        MultiLock { locks }
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// That of the first lock that cannot be acquired. Those after it are not tried, those before it
    /// are released in the background. [`Error::ConflictingOptions`] if a lock is given twice with
    /// different options. An invalid path of any lock is an error before anything is sent.
    ///
    /// # Cancel safety
    /// Dropping the future releases in the background what it has acquired.
    pub async fn acquire(&self) -> Result<MultiGuard> {
        loop {
            if let Some(held) = self.take(true).await? {
                return Ok(held);
            }
        }
    }

    /// Takes all of them if none has to be waited for.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self) -> Result<Option<MultiGuard>> {
        self.take(false).await
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

    async fn take(&self, wait: bool) -> Result<Option<MultiGuard>> {
        let mut held = MultiGuard::default();
        for alike in self.by_path()? {
            match take_alike(&alike, wait).await {
                Err(_) if zk_proto::seeded_bug!("A72") => {}
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

    /// The locks, those at the same path together. Of a session's locks at one path there is one.
    fn by_path(&self) -> Result<Vec<Vec<&Lock>>> {
        for lock in &self.locks {
            lock.line().check_path()?;
        }
        let same_path = |a: &Lock, b: &Lock| a.line().absolute() == b.line().absolute();
        let groups = self.locks.chunk_by(same_path).map(|group| {
            let mut alike: Vec<&Lock> = Vec::new();
            for lock in group {
                let known = |other: &&&Lock| lock.line().shares_session_with(other.line());
                match alike.iter().find(known) {
                    Some(known) => agree(known, lock)?,
                    None => alike.push(lock),
                }
            }
            Ok(alike)
        });
        groups.collect()
    }
}

/// Whether one lock can stand for the other, which is at the same znode.
fn agree(one: &Lock, other: &Lock) -> Result<()> {
    if one.line().has_options_of(other.line()) {
        return Ok(());
    }
    Err(Error::ConflictingOptions {
        path: one.line().absolute(),
    })
}

/// Takes locks at the same path through different sessions. None of them is waited for while another
/// of them is held, for their ensembles have no order.
async fn take_alike(locks: &[&Lock], wait: bool) -> Result<Option<MultiGuard>> {
    let mut pause = pause();
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
        // Of random length, so that two programs do not take each other's lock in step for ever.
        tokio::time::sleep(pause.next_delay()).await;
        awaited = busy;
    }
    Ok(None)
}

/// Takes all locks except the one that is held, as long as none has to be waited for. Returns the
/// index of the one that has to be.
async fn try_others(locks: &[&Lock], first: usize, held: &mut MultiGuard) -> Result<Option<usize>> {
    let mut taken: Vec<&Lock> = locks.get(first).copied().into_iter().collect();
    for (at, &lock) in locks.iter().enumerate().filter(|(at, _)| *at != first) {
        let mut known = None;
        for (guard, &other) in held.guards.iter().zip(&taken) {
            if lock.line().contains(guard).await? {
                known = Some(other);
                break;
            }
        }
        if let Some(known) = known {
            agree(known, lock)?;
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
    guards: Vec<LockGuard>,
}

impl MultiGuard {
    /// The guards of the locks, one for each znode, in the order of the paths from the root of the
    /// ensemble: each has its own [`token`](crate::Guard::token) and
    /// [`fenced`](crate::Guard::fenced), with paths below the root of its own lock's handle.
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
