//! A lock with many readers or one writer at a time, in the order of arrival.

use bytes::Bytes;
use zk_client::{Client, CreateMode, Created, ErrorKind, Guid, Outcome, Stat, path};

use super::lock::LockGuard;
use crate::error::{Error, GuardLost, Result};
use crate::guard::Guard;
use crate::guard::delegate::delegate_to_guard;
use crate::guard::held::Held;
use crate::queue::builders::{lock_methods, queue_options};
use crate::queue::{ContenderQueue, Role, sibling};
use crate::retry::RetryBackoff;

/// The reader's side of a lock that many readers or one [writer](WriteLock) hold at a time.
///
/// Fair: a reader waits only for the writers that came before it. Not [re-entrant](crate::Lock), and
/// without an upgrade: a reader that acquires the [`WriteLock`] waits for itself, and so does a writer
/// that acquires the `ReadLock`, other than with Curator. A writer can
/// [become a reader](WriteGuard::downgrade).
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::{ReadLock, WriteLock};
///
/// let guard = WriteLock::new(&zk, "/locks/catalogue").acquire().await?;
/// guard.fenced().set("/catalogue", "new").commit().await?;
/// let guard = guard.downgrade().await?; // readers may enter, other writers may not
/// let (catalogue, _) = zk.get("/catalogue").await?;
/// guard.release().await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// Under `path`, `_c_<uuid>-__READ__<sequence>` for a reader and `_c_<uuid>-__WRIT__<sequence>` for
/// a writer, which are the names of Curator's `InterProcessReadWriteLock`; [`Layout`](crate::Layout)
/// says how kazoo handles them, and how to use the names of kazoo's `ReadLock` and `WriteLock`
/// instead. Everything else is as for a [`Lock`](crate::Lock).
///
/// # Cost
///
/// As a [`Lock`](crate::Lock). A waiting reader watches the nearest writer before it, a waiting
/// writer the nearest contender before it: the release of a writer wakes the readers up to the next
/// writer, or one writer; the release of a reader wakes at most one writer.
///
/// # Losing the session
///
/// As a [`Lock`](crate::Lock).
///
/// # Cancel safety
///
/// As a [`Lock`](crate::Lock). Dropping a downgrade releases the lock in the background.
///
/// # Fencing
///
/// Readers hold the lock together, each with a [token](Guard::token) of its own. A writer's token is
/// greater than that of every reader and writer before it, and smaller than that of all after it.
#[doc(alias = "InterProcessReadWriteLock")]
#[derive(Debug, Clone)]
pub struct ReadLock {
    queue: ContenderQueue,
}

impl ReadLock {
    /// The reader's side of the lock at `path`.
    pub fn new(client: &Client, path: &str) -> Self {
        ReadLock {
            queue: ContenderQueue::new(client, path, Role::Read),
        }
    }

    pub(super) fn queue(&self) -> &ContenderQueue {
        &self.queue
    }
}

queue_options!(ReadLock);
lock_methods!(ReadLock -> LockGuard);

/// The writer's side of a lock that many [readers](ReadLock) or one writer hold at a time: see
/// [`ReadLock`] for what both have in common.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::WriteLock;
///
/// let guard = WriteLock::new(&zk, "/locks/catalogue").acquire().await?;
/// guard.fenced().set("/catalogue", "new").commit().await?;
/// guard.release().await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// `path/_c_<uuid>-__WRIT__<sequence>`: to Curator a contender for its
/// `InterProcessReadWriteLock.writeLock()`, to kazoo, with its [layout](crate::Layout), one for its
/// `WriteLock`.
///
/// # Cost
///
/// As a [`Lock`](crate::Lock): without contention, two requests in one round trip to acquire, and one
/// to release. A downgrade takes a read, a transaction, and a read.
///
/// # Losing the session
///
/// As a [`Lock`](crate::Lock).
///
/// # After a crash
///
/// As a [`Lock`](crate::Lock): with [`adopt_by`](Self::adopt_by). A reader and a writer may have the same. A writer
/// that had become a reader is taken up by the reader's side of the lock, with the token of its new znode.
///
/// # Cancel safety
///
/// As a [`Lock`](crate::Lock).
#[doc(alias = "InterProcessReadWriteLock")]
#[derive(Debug, Clone)]
pub struct WriteLock {
    queue: ContenderQueue,
}

impl WriteLock {
    /// The writer's side of the lock at `path`.
    pub fn new(client: &Client, path: &str) -> Self {
        WriteLock {
            queue: ContenderQueue::new(client, path, Role::Write),
        }
    }

    pub(super) fn queue(&self) -> &ContenderQueue {
        &self.queue
    }
}

queue_options!(WriteLock);
lock_methods!(WriteLock -> WriteGuard);

/// The marks before the number in a name, the only difference between a reader's and a writer's.
const WRITER: &str = "__WRIT__";
const READER: &str = "__READ__";

/// A writer's lock that is held. It has the methods of [`Guard`], whose page says how it is lost.
#[derive(Debug)]
#[must_use = "dropping a guard releases the lock"]
pub struct WriteGuard {
    guard: Guard,
}

impl WriteGuard {
    fn new(guard: Guard) -> Self {
        WriteGuard { guard }
    }

    pub(super) fn into_guard(self) -> Guard {
        self.guard
    }

    /// Becomes a reader: waiting readers may enter, waiting writers may not. Keeps its place and its
    /// token (CURATOR-621).
    ///
    /// # Errors
    /// [`Error::Unsupported`] in kazoo's layout, which has no downgrade. Otherwise [`Error::Lost`],
    /// or the client is closed. After an error the lock is released in the background.
    ///
    /// # Cancel safety
    /// Dropping the future releases the lock in the background.
    pub async fn downgrade(self) -> Result<LockGuard> {
        let writer = self.guard;
        let Some((parent, sequence)) = writer
            .path()
            .rsplit_once(WRITER)
            .and_then(|(_, number)| Some((path::parent(writer.path())?, number)))
        else {
            return Err(Error::Unsupported(
                "kazoo's layout has no downgrade; the lock is released",
            ));
        };
        // Recognised as this contender's after a crash.
        let guid = Guid::of(writer.path()).map_or_else(Guid::random, sibling);
        let name = format!("{}{READER}{sequence}", guid.prefix());
        let reader = path::join(parent, &name);
        // Dropped after the reader's clean-up has begun.
        let held = Held::new(writer.client(), &reader, false);
        let reader = DeleteOnDrop::new(writer.client(), reader);
        let (identifier, _) = read(&writer).await?;
        let stat = replace(&writer, &reader.path, &identifier).await?;
        let lease = writer.client().lease();
        if stat.owner() != Some(lease.session()) {
            return Err(Error::Lost(writer.lose(GuardLost::SessionEnded)));
        }
        let created = Created::new(reader.keep(), stat);
        let guard = Guard::new(writer.client(), Some(lease), writer.lease_basis(), created);
        let guard = guard.with_token(writer.token()).with_held(Some(held));
        let guard = guard.start_renewal();
        writer.forget();
        Ok(LockGuard::new(guard))
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

    /// Releases the lock through a shared reference: see
    /// [`LockGuard::release_shared`](crate::LockGuard::release_shared).
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

delegate_to_guard!(WriteGuard);

/// The contents of the guard's znode.
async fn read(guard: &Guard) -> Result<(Bytes, Stat)> {
    let client = guard.client().with_deadline(None);
    match client.get(guard.path()).await {
        Err(error) if error.kind() == ErrorKind::NoNode => Err(Error::Lost(guard.lose_missing())),
        read => Ok(read?),
    }
}

/// Replaces the writer's znode by the reader's in one transaction, and reads until it is known
/// whether that took effect.
async fn replace(writer: &Guard, reader: &str, identifier: &[u8]) -> Result<Stat> {
    let client = writer.client().with_deadline(None);
    let mut backoff = RetryBackoff::new();
    // The error of the latest attempt that may have taken effect.
    let mut unknown = None;
    loop {
        let replaced = client
            .multi()
            .create_mode(reader, identifier, CreateMode::Ephemeral)
            .delete(writer.path())
            .commit()
            .await;
        match replaced {
            Ok(_) => {}
            // The reader's name is unique: an earlier attempt took effect.
            Err(error) if error.kind() == ErrorKind::NodeExists => {}
            Err(error) if error.kind() == ErrorKind::NoNode => {
                return Err(Error::Lost(writer.lose_missing()));
            }
            Err(error) if error.kind() == ErrorKind::SessionExpired => {
                let lost = writer.lose(GuardLost::SessionEnded);
                let unknown = match error.outcome() {
                    Outcome::Unknown => Some(error),
                    _ => unknown,
                };
                return Err(unknown.map_or(Error::Lost(lost), Error::Client));
            }
            Err(error) if backoff.allows(&error) => {
                backoff.sleep().await;
                unknown = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
        match client.exists(reader).synced().await {
            Ok(Some(stat)) => return Ok(stat),
            Ok(None) => {}
            Err(error) if backoff.allows(&error) => {}
            // The effect of the transaction is still unknown, which the caller has to know first.
            Err(error) => return Err(unknown.unwrap_or(error).into()),
        }
        if let Err(lost) = writer.check() {
            return Err(unknown.map_or(Error::Lost(lost), Error::Client));
        }
    }
}

/// A znode that is deleted unless it is kept.
struct DeleteOnDrop {
    client: Client,
    path: String,
}

impl DeleteOnDrop {
    fn new(client: &Client, path: String) -> Self {
        DeleteOnDrop {
            client: client.clone(),
            path,
        }
    }

    fn keep(mut self) -> String {
        std::mem::take(&mut self.path)
    }
}

impl Drop for DeleteOnDrop {
    fn drop(&mut self) {
        if !self.path.is_empty() {
            self.client.delete(&self.path).guaranteed_ephemeral();
        }
    }
}
