//! One holder at a time, first come, first served.

use std::ops::Deref;

use zk_client::Client;

use crate::error::Result;
use crate::guard::Guard;
use crate::layout::Role;
use crate::line::Line;
use crate::options::{line_options, lock};

/// A lock that one contender of all programs on the ensemble holds at a time.
///
/// Fair: contenders are served in the order in which the ensemble numbered them, and a release
/// wakes one. Not re-entrant: who holds it and acquires it again waits for itself.
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
/// [`persistent`](Self::persistent), with its identifier for contents. Its name is that of Curator's
/// `InterProcessMutex`; [`Layout`](crate::Layout) says what kazoo makes of it, and how to have
/// kazoo's names instead. The znode at `path` is a container if it has to be created (with kazoo's
/// layout, and on servers without containers, persistent). All have the client's default ACL.
///
/// # Cost
///
/// Nobody there: a creation and a read of the children, which go out together, and a deletion: two
/// requests in one round trip to acquire, one to release. A contender that waits watches one znode:
/// one request more, and a round trip. When that is deleted, it reads the children again and, at the
/// same time, has a quorum confirm that its own znode is there if it has waited for long
/// ([`Trust`](crate::Trust)): one or two more. So the lock is handed on in a notification and one
/// round trip, and with a thousand waiters a release wakes one of them. While it is held: see
/// [`Guard`].
///
/// # Losing the session
///
/// While waiting, the place in the line is lost, and a new one is taken at its end. While holding,
/// the guard is lost: see [`Guard`].
///
/// # Cancel safety
///
/// Dropping a wait at any point leaves the line: neither a znode nor a watch stays. Dropping a guard
/// releases the lock in the background.
#[derive(Debug, Clone)]
pub struct Lock {
    line: Line,
}

impl Lock {
    /// The lock that `path` stands for.
    pub fn new(client: &Client, path: &str) -> Self {
        Lock {
            line: Line::new(client, path, Role::Lock),
        }
    }

    /// The lock outlives its holder's session: it is held until it is released, or until somebody
    /// deletes the holder's znode. A program that ends without either leaves it locked for ever;
    /// [`contenders`](Self::contenders) tells by whom and the path to delete.
    ///
    /// A guard of such a lock has no deadline, and [`check`](Guard::check) fails only if its znode
    /// is known to be deleted.
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.line.set_persistent();
        self
    }

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }
}

line_options!(Lock);
lock!(Lock -> LockGuard);

/// A lock that is held. Everything about it is said at [`Guard`].
#[derive(Debug)]
#[must_use = "dropping a guard releases the lock"]
pub struct LockGuard {
    guard: Guard,
}

impl LockGuard {
    pub(crate) fn new(guard: Guard) -> Self {
        LockGuard { guard }
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

impl Deref for LockGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}
