//! Many readers or one writer at a time, first come, first served.

use std::ops::Deref;

use bytes::Bytes;
use zk_client::{Client, CreateMode, Created, ErrorKind, Guid, Stat, path};

use crate::error::{Error, Lost, Result};
use crate::guard::Guard;
use crate::layout::Role;
use crate::line::Line;
use crate::lock::LockGuard;
use crate::options::{line_options, lock};
use crate::pause::pause;

/// The reader's side of a lock that many readers or one [writer](WriteLock) hold at a time.
///
/// Fair: a reader waits for the writers that came before it, and for no other. Not re-entrant, and
/// no way up: who holds it and acquires the [`WriteLock`] waits for itself.
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
/// a writer, which are the names of Curator's `InterProcessReadWriteLock`; [`Layout`](crate::Layout) says what
/// kazoo makes of them, and how to have kazoo's `ReadLock` and `WriteLock` instead. All else as
/// for a [`Lock`](crate::Lock).
///
/// # Cost
///
/// As a [`Lock`](crate::Lock). A reader that waits watches the nearest writer before it, a writer
/// whoever is before it: the release of a writer wakes the readers up to the next writer, or one
/// writer; that of a reader at most one writer.
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
/// Readers hold it together, each with a [token](Guard::token) of its own. A writer's is greater than
/// that of every reader and writer before it, and smaller than that of all after it.
#[derive(Debug, Clone)]
pub struct ReadLock {
    line: Line,
}

impl ReadLock {
    /// The reader's side of the lock that `path` stands for.
    pub fn new(client: &Client, path: &str) -> Self {
        ReadLock {
            line: Line::new(client, path, Role::Read),
        }
    }
}

line_options!(ReadLock);
lock!(ReadLock -> LockGuard);

/// The writer's side of a lock that many [readers](ReadLock) or one writer hold at a time: see
/// [`ReadLock`] for all that is the same.
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
/// As a [`Lock`](crate::Lock): alone, two requests in one round trip to acquire, and one to release.
/// A downgrade takes a read, a transaction, and a read.
///
/// # Losing the session
///
/// As a [`Lock`](crate::Lock).
///
/// # Cancel safety
///
/// As a [`Lock`](crate::Lock).
#[derive(Debug, Clone)]
pub struct WriteLock {
    line: Line,
}

impl WriteLock {
    /// The writer's side of the lock that `path` stands for.
    pub fn new(client: &Client, path: &str) -> Self {
        WriteLock {
            line: Line::new(client, path, Role::Write),
        }
    }
}

line_options!(WriteLock);
lock!(WriteLock -> WriteGuard);

/// What stands before the number in a name; the reader's and the writer's differ in nothing else.
const WRITER: &str = "__WRIT__";
const READER: &str = "__READ__";

/// A writer's lock that is held. Everything about it is said at [`Guard`].
#[derive(Debug)]
#[must_use = "dropping a guard releases the lock"]
pub struct WriteGuard {
    guard: Guard,
}

impl WriteGuard {
    pub(crate) fn new(guard: Guard) -> Self {
        WriteGuard { guard }
    }

    /// Becomes a reader: those who wait to read may enter, those who wait to write may not. Keeps its
    /// place and its token (CURATOR-621).
    ///
    /// # Errors
    /// [`Error::Unsupported`] in kazoo's layout, whose contenders would not understand it. Otherwise
    /// [`Error::Lost`], or the client is over. After an error the lock is released in the
    /// background.
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
            return Err(Error::Unsupported("kazoo's layout has no way to downgrade"));
        };
        let name = format!("{}{READER}{sequence}", Guid::random().prefix());
        let reader = Orphan::new(writer.client(), path::join(parent, &name));
        let (identifier, _) = read(&writer).await?;
        let stat = replace(&writer, &reader.path, &identifier).await?;
        let lease = writer.client().lease();
        if stat.owner() != Some(lease.session()) {
            return Err(Error::Lost(writer.lose(Lost::SessionEnded)));
        }
        let created = Created::new(reader.adopt(), stat);
        let guard = Guard::new(writer.client(), Some(lease), writer.trust(), created);
        let guard = guard.with_token(writer.token()).hold();
        writer.disarm();
        Ok(LockGuard::new(guard))
    }

    /// Releases the lock: when this returns, the next contender can have it.
    ///
    /// # Errors
    /// The client is over. The lock is released with the session then.
    ///
    /// # Cancel safety
    /// Dropping the future releases the lock in the background.
    pub async fn release(self) -> Result<()> {
        self.guard.give_up().await
    }
}

impl Deref for WriteGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}

/// The contents of the guard's znode.
async fn read(guard: &Guard) -> Result<(Bytes, Stat)> {
    let client = guard.client().with_deadline(None);
    match client.get(guard.path()).await {
        Err(error) if error.kind() == ErrorKind::NoNode => Err(Error::Lost(guard.gone())),
        read => Ok(read?),
    }
}

/// Puts the reader's znode in the place of the writer's, in one transaction, and asks until it is
/// known whether that took effect.
async fn replace(writer: &Guard, reader: &str, identifier: &[u8]) -> Result<Stat> {
    let client = writer.client().with_deadline(None);
    let mut pause = pause();
    // How the latest attempt ended that may have taken effect.
    let mut doubt = None;
    loop {
        let replaced = client
            .multi()
            .create_mode(reader, identifier, CreateMode::Ephemeral)
            .delete(writer.path())
            .commit()
            .await;
        match replaced {
            Ok(_) => {}
            // Nobody else has the reader's name: an earlier attempt took effect.
            Err(error) if error.kind() == ErrorKind::NodeExists => {}
            Err(error) if error.kind() == ErrorKind::NoNode => {
                return Err(Error::Lost(writer.gone()));
            }
            Err(error) if error.kind() == ErrorKind::SessionExpired => {
                return Err(Error::Lost(writer.lose(Lost::SessionEnded)));
            }
            Err(error) if pause.may_go_on(&error) => {
                tokio::time::sleep(pause.next_delay()).await;
                doubt = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
        match client.exists(reader).synced().await {
            Ok(Some(stat)) => return Ok(stat),
            Ok(None) => {}
            Err(look) if pause.may_go_on(&look) => {}
            // What the transaction did is not known by a read that failed.
            Err(look) => return Err(doubt.unwrap_or(look).into()),
        }
        writer.check()?;
    }
}

/// A znode that nobody has a guard for yet.
struct Orphan {
    client: Client,
    path: String,
}

impl Orphan {
    fn new(client: &Client, path: String) -> Self {
        Orphan {
            client: client.clone(),
            path,
        }
    }

    fn adopt(mut self) -> String {
        std::mem::take(&mut self.path)
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if !self.path.is_empty() {
            self.client.delete(&self.path).guaranteed_ephemeral();
        }
    }
}
