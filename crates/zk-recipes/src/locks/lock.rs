//! A lock with one holder at a time, in the order of arrival.

use zk_client::Client;

use crate::error::Result;
use crate::guard::Guard;
use crate::guard::delegate::delegate_to_guard;
#[cfg(feature = "leases")]
use crate::queue::PlaceId;
use crate::queue::builders::{lock_methods, names_option, queue_options};
use crate::queue::{ContenderQueue, Role};

/// A lock that one contender of all programs on the ensemble holds at a time.
///
/// Fair: contenders are served in the order in which the ensemble numbered them, and a release
/// wakes one.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use std::time::Duration;
/// use zk_recipes::Lock;
///
/// let lock = Lock::new(&zk, "/locks/ledger").identifier("worker-7");
/// match lock.acquire_timeout(Duration::from_secs(30)).await? {
///     Some(guard) => {
///         guard.fenced().set("/ledger", "42").commit().await?;
///         guard.release().await?;
///     }
///     None => println!("busy: {:?}", lock.contenders().await?),
/// }
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// Each contender has a sequential znode under `path`, ephemeral unless
/// [`persistent`](Self::persistent), with its identifier as contents. Its name is that of Curator's
/// `InterProcessMutex`; [`Layout`](crate::Layout) says how kazoo handles it, and how to use kazoo's
/// names instead. The znode at `path` is a container if it has to be created (persistent with kazoo's
/// layout, and on servers without containers). All have the client's default ACL.
///
/// # Cost
///
/// Without contention: a creation and a read of the children, which are sent together, and a
/// deletion: two requests in one round trip to acquire, one to release. A contender that waits
/// watches one znode: one more request and round trip. When that znode is deleted, the contender
/// reads the children again and, if it has waited for long, has a quorum confirm its own znode at the
/// same time ([`LeaseBasis`](crate::LeaseBasis)): one or two more requests. So the lock moves to the
/// next contender in a notification and one round trip, and with a thousand waiters a release wakes
/// one of them. While the lock is held: see [`Guard`].
///
/// The confirmation is repeated until half of the session timeout is left of the lease; after half a
/// timeout, a fifth is enough. Where the reply to each confirmation takes 35 % of the session timeout or
/// more, so much may never be left, and [`acquire`](Self::acquire) does not return: use a longer
/// session timeout, [`acquire_timeout`](Self::acquire_timeout), or
/// [`LeaseBasis::Server`](crate::LeaseBasis::Server). The same is true of the other locks, semaphores and
/// elections.
///
/// # Re-entrance
///
/// The lock is not re-entrant, as kazoo's `Lock` is not. Each acquisition is a contender of its own,
/// also of the same `Lock`, client, task or thread: a holder that calls [`acquire`](Self::acquire)
/// again waits for itself without an end, and its [`try_acquire`](Self::try_acquire) returns `None`.
/// A function that needs the lock and may be called by a holder should take the guard as an argument,
/// `&LockGuard`. Curator's `InterProcessMutex` is re-entrant within a thread of Java; a task here
/// moves between threads, so a thread does not identify a holder. The same is true of
/// [`ReadLock`](crate::ReadLock), [`WriteLock`](crate::WriteLock), [`MultiLock`](crate::MultiLock)
/// and [`Election`](crate::Election).
///
/// # Losing the session
///
/// While waiting, the place in the queue is lost, and a new one is taken at its end. While holding,
/// the guard is lost: see [`Guard`].
///
/// # After a crash
///
/// A process that is killed leaves its place, or its lock, to the session, which lasts for its timeout.
/// If the next process resumes the session (a `SessionStore` of zk_client does that), its
/// first acquisition with the same id given to [`adopt_by`](Self::adopt_by) takes up the place where it was in the queue, or the
/// lock that was held, with the same [`token`](LockGuard::token): one more read, and one for the place.
/// Only a znode that has the id in its name and belongs to the resumed session is taken up; one of
/// another session of this program is on its way to be deleted, and the acquisition takes a new place.
/// Further places with the id are left. A [`persistent`](Self::persistent) lock is taken up in any session.
/// A place that this process has, or is about to delete, is neither taken up nor left, so each has one guard.
///
/// A request that the earlier process had sent may be executed after the look for its places. A place
/// taken by it is left by the next wait for which it is ahead.
///
/// Without an id, the place of the earlier process stays in the queue as long as the resumed session, and
/// nothing releases it.
///
/// # Cancel safety
///
/// Dropping a wait at any point leaves the queue: neither a znode nor a watch stays. Dropping a guard
/// releases the lock in the background.
#[doc(alias = "InterProcessMutex")]
#[derive(Debug, Clone)]
pub struct Lock {
    queue: ContenderQueue,
}

impl Lock {
    /// The lock at `path`.
    pub fn new(client: &Client, path: &str) -> Self {
        Lock {
            queue: ContenderQueue::new(client, path, Role::Lock),
        }
    }

    /// The lock outlives its holder's session: it is held until it is released, or until a client
    /// deletes the holder's znode. A program that ends without a release leaves it locked without a
    /// limit; [`contenders`](Self::contenders) returns the holder and the path to delete.
    ///
    /// A guard of such a lock has no deadline, and [`check`](Guard::check) fails only if its znode
    /// is known to be deleted.
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.queue.set_persistent();
        self
    }

    /// As [`adopt_by`](Self::adopt_by), with an id that several values share.
    #[cfg(feature = "leases")]
    pub(crate) fn with_id(mut self, id: Option<PlaceId>) -> Self {
        self.queue.set_id(id);
        self
    }

    pub(crate) fn queue(&self) -> &ContenderQueue {
        &self.queue
    }
}

queue_options!(Lock);
names_option!(Lock);
lock_methods!(Lock -> LockGuard);

/// A lock that is held. It has the methods of [`Guard`], whose page says how it is lost.
#[derive(Debug)]
#[must_use = "dropping a guard releases the lock"]
pub struct LockGuard {
    guard: Guard,
}

impl LockGuard {
    pub(super) fn new(guard: Guard) -> Self {
        LockGuard { guard }
    }

    pub(super) fn into_guard(self) -> Guard {
        self.guard
    }

    /// Releases the lock: when this returns, the next contender can hold it.
    ///
    /// # Errors
    /// The client is closed. The lock is released with the session then.
    ///
    /// # Cancel safety
    /// Dropping the future releases the lock in the background.
    pub async fn release(self) -> Result<()> {
        self.guard.release().await
    }

    /// Releases the lock through a shared reference, such as an `Arc<LockGuard>`. From this call on
    /// the guard is lost for all of its users: [`check`](Self::check) fails with
    /// [`GuardLost::Released`](crate::GuardLost::Released), and [`run`](Self::run) drops its future.
    ///
    /// # Errors
    /// As [`release`](Self::release).
    ///
    /// # Cancel safety
    /// After a dropped future, the drop of the guard releases the lock, or another call.
    pub async fn release_shared(&self) -> Result<()> {
        self.guard.release_shared().await
    }
}

delegate_to_guard!(LockGuard);
