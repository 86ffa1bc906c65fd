//! What a `MultiLock` consists of.

use zk_client::path;

use super::lock::Lock;
use super::rw_lock::{ReadLock, WriteLock};
use super::semaphore::Semaphore;
use crate::error::Result;
use crate::guard::Guard;
use crate::queue::{ContenderQueue, znode_exists};

/// A lock that can be held together with others by a [`MultiLock`](crate::MultiLock): made from a
/// [`Lock`], a [`ReadLock`], a [`WriteLock`], or a [`Semaphore`], of which it is one lease.
#[derive(Debug, Clone)]
pub struct MultiLockMember(Member);

#[derive(Debug, Clone)]
enum Member {
    Lock(Lock),
    Read(ReadLock),
    Write(WriteLock),
    Lease(Semaphore),
}

impl From<Lock> for MultiLockMember {
    fn from(lock: Lock) -> Self {
        MultiLockMember(Member::Lock(lock))
    }
}

impl From<ReadLock> for MultiLockMember {
    fn from(lock: ReadLock) -> Self {
        MultiLockMember(Member::Read(lock))
    }
}

impl From<WriteLock> for MultiLockMember {
    fn from(lock: WriteLock) -> Self {
        MultiLockMember(Member::Write(lock))
    }
}

impl From<Semaphore> for MultiLockMember {
    fn from(semaphore: Semaphore) -> Self {
        MultiLockMember(Member::Lease(semaphore))
    }
}

impl MultiLockMember {
    pub(super) async fn acquire(&self) -> Result<Guard> {
        Ok(match &self.0 {
            Member::Lock(lock) => lock.acquire().await?.into_guard(),
            Member::Read(lock) => lock.acquire().await?.into_guard(),
            Member::Write(lock) => lock.acquire().await?.into_guard(),
            Member::Lease(semaphore) => semaphore.acquire().await?.into_guard(),
        })
    }

    pub(super) async fn try_acquire(&self) -> Result<Option<Guard>> {
        Ok(match &self.0 {
            Member::Lock(lock) => lock.try_acquire().await?.map(|held| held.into_guard()),
            Member::Read(lock) => lock.try_acquire().await?.map(|held| held.into_guard()),
            Member::Write(lock) => lock.try_acquire().await?.map(|held| held.into_guard()),
            Member::Lease(semaphore) => {
                (semaphore.try_acquire().await?).map(|held| held.into_guard())
            }
        })
    }

    pub(super) fn check_path(&self) -> Result<()> {
        match &self.0 {
            Member::Lease(semaphore) => semaphore.check_path(),
            _ => self.queue().check_path(),
        }
    }

    /// The path of the queue from the root of the ensemble, by which members are sorted.
    pub(super) fn absolute(&self) -> String {
        self.queue().absolute()
    }

    pub(super) fn shares_session_with(&self, other: &MultiLockMember) -> bool {
        self.queue().shares_session_with(&other.queue())
    }

    /// Whether one can replace the other, at the same znode.
    pub(super) fn has_options_of(&self, other: &MultiLockMember) -> bool {
        match (&self.0, &other.0) {
            (Member::Lease(one), Member::Lease(other)) => one.has_options_of(other),
            (Member::Lease(_), _) | (_, Member::Lease(_)) => false,
            _ => self.queue().has_options_of(&other.queue()),
        }
    }

    /// Whether the znode of a guard is one of this lock's, too: then the guard's lock and this one are
    /// the same znode. Ids are random, so no other znode has its name.
    pub(super) async fn contains(&self, guard: &Guard) -> Result<bool> {
        let parent = match &self.0 {
            Member::Lease(semaphore) => semaphore.leases(),
            _ => self.queue().parent().to_owned(),
        };
        let queue = self.queue();
        let path = path::join(&parent, path::name(guard.path()));
        znode_exists(queue.without_deadline(), &path).await
    }

    fn queue(&self) -> ContenderQueue {
        match &self.0 {
            Member::Lock(lock) => lock.queue().clone(),
            Member::Read(lock) => lock.queue().clone(),
            Member::Write(lock) => lock.queue().clone(),
            Member::Lease(semaphore) => semaphore.queue(),
        }
    }
}
