//! One holder at a time, first come, first served.

use std::ops::Deref;
use std::time::Duration;

use zk_client::Client;

use crate::error::Result;
use crate::guard::Guard;
use crate::line::Line;

/// A lock that one contender of all programs on the ensemble holds at a time.
///
/// Fair: contenders are served in the order in which the ensemble numbered them, and a release
/// wakes one. Each contender has an ephemeral sequential znode
/// `<path>/_c_<uuid>-lock-<sequence>`, which is what Curator's `InterProcessMutex` calls its own;
/// kazoo's `Lock` sees it with `extra_lock_patterns=["-lock-"]`. The znode at `path` is a container
/// if it has to be created.
///
/// # Cost
///
/// Uncontended: two requests to acquire, a create and a read of the children, and one to release.
/// A contender that waits watches one znode and makes two more requests when that is deleted.
///
/// # Losing the session
///
/// While waiting, the place in the line is lost, and a new one is taken at its end. While holding,
/// the guard is lost: see [`Guard`].
#[derive(Debug, Clone)]
pub struct Lock {
    line: Line,
}

impl Lock {
    /// The lock that `path` stands for.
    pub fn new(client: &Client, path: &str) -> Self {
        Lock {
            line: Line::new(client, path),
        }
    }

    /// Who is asking: the contents of the contender's znode, for people and
    /// [`contenders`](Self::contenders) to read.
    #[must_use]
    pub fn identifier(mut self, identifier: impl AsRef<[u8]>) -> Self {
        self.line.set_identifier(identifier.as_ref());
        self
    }

    /// Waits for the lock, however long it takes.
    ///
    /// # Errors
    /// The client is over, or the ensemble refuses the lock's znodes.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; neither a znode nor a watch stays.
    pub async fn acquire(&self) -> Result<LockGuard> {
        loop {
            if let Some(guard) = self.line.stand(true).await? {
                return Ok(LockGuard { guard });
            }
        }
    }

    /// Takes the lock if nobody holds it or waits for it. Waits for a connection, not for the lock.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self) -> Result<Option<LockGuard>> {
        Ok(self
            .line
            .stand(false)
            .await?
            .map(|guard| LockGuard { guard }))
    }

    /// Waits for the lock, all in all no longer than `timeout`.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_timeout(&self, timeout: Duration) -> Result<Option<LockGuard>> {
        match tokio::time::timeout(timeout, self.acquire()).await {
            Ok(acquired) => acquired.map(Some),
            Err(_elapsed) => Ok(None),
        }
    }

    /// The identifiers of the holder and of those who wait, in order.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn contenders(&self) -> Result<Vec<bytes::Bytes>> {
        let contenders = self.line.identified().await?;
        Ok(contenders
            .into_iter()
            .map(|(identifier, _)| identifier)
            .collect())
    }
}

/// A lock that is held. Everything about it is said at [`Guard`].
#[derive(Debug)]
#[must_use = "dropping a guard lets go of the lock"]
pub struct LockGuard {
    guard: Guard,
}

impl LockGuard {
    /// Lets go of the lock: when this returns, the next contender can have it.
    ///
    /// # Errors
    /// The client is over. The lock then goes with the session.
    ///
    /// # Cancel safety
    /// Dropping the future lets go in the background.
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
