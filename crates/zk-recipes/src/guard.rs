//! What is held, until it is lost or let go.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Instant;

use zk_client::{Client, CreateMode, Created, ErrorKind, Lease, Multi, OpResult, Stat, Zxid, path};

use crate::error::{Error, Lost, Result};
use crate::pause::pause;

/// A fencing token: the zxid at which the guard's znode was created. It grows from holder to
/// holder, also when the lock's parent znode was deleted and made again, which starts sequence
/// numbers over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Zxid);

impl Token {
    pub(crate) fn of(stat: &Stat) -> Self {
        Token(stat.czxid)
    }

    /// The token as a number, for systems that know nothing of ZooKeeper.
    pub fn get(self) -> i64 {
        self.0.0
    }
}

/// The token in decimal.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A lock or a leadership, as long as it is held. Not `Clone`: it is let go once.
///
/// Dropping it lets it go in the background, also outside a runtime.
///
/// # Losing the session
///
/// A guard is lost when its session ends, and counts as lost earlier: at its
/// [`deadline`](Self::deadline), before which the ensemble should not have ended the session:
/// [`Lease`] says what that rests on, and [`fenced`](Self::fenced) and [`token`](Self::token) are
/// for those who must not rest on it. Once a method has said that it is lost, it stays so.
#[must_use = "dropping a guard lets go of what it guards"]
pub struct Guard {
    client: Client,
    lease: Lease,
    path: String,
    token: Token,
    lost: OnceLock<Lost>,
    held: bool,
}

impl Guard {
    pub(crate) fn new(client: &Client, lease: Lease, created: Created) -> Self {
        Guard {
            client: client.clone(),
            lease,
            path: created.path,
            token: Token::of(&created.stat),
            lost: OnceLock::new(),
            held: true,
        }
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        path::name(&self.path) == name
    }

    /// Whether the session that holds it is not known to be over.
    pub(crate) fn is_live(&self) -> bool {
        self.lease.deadline().is_some()
    }

    /// The fencing token.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The path of the znode that stands for it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Until when it can be trusted, as things stand: the local time, by the monotonic clock, at
    /// which the ensemble could first give it away. Moves forward whenever a server answers.
    pub fn deadline(&self) -> Option<Instant> {
        if self.lost.get().is_some() {
            return None;
        }
        self.lease.deadline()
    }

    /// Whether it is held now. Asks the clock and nobody else, so it is right also in a process
    /// that was stopped and continued and has heard nothing since. What that rests on is said at
    /// [`Lease`].
    ///
    /// # Errors
    /// It is lost.
    pub fn check(&self) -> Result<(), Lost> {
        if let Some(lost) = self.lost.get() {
            return Err(*lost);
        }
        self.lease
            .check()
            .map_err(|lost| *self.lost.get_or_init(|| lost.into()))
    }

    /// Waits until it is lost: its session ended or could have ended, or its znode was deleted by
    /// somebody. Sets a watch on the znode.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn lost(&self) -> Lost {
        if let Err(lost) = self.check() {
            return lost;
        }
        let mut lease = pin!(self.lease.lost());
        let mut deleted = pin!(self.deleted());
        let lost = std::future::poll_fn(|cx| {
            if let Poll::Ready(lost) = lease.as_mut().poll(cx) {
                return Poll::Ready(lost.into());
            }
            deleted.as_mut().poll(cx)
        })
        .await;
        *self.lost.get_or_init(|| lost)
    }

    /// Waits until the znode is gone. If the ensemble cannot be asked, the lease will tell.
    async fn deleted(&self) -> Lost {
        let client = self.client.with_deadline(None);
        let mut pause = pause();
        loop {
            match client.exists(&self.path).watch().await {
                Ok((Some(stat), watch)) if Token::of(&stat) == self.token => {
                    watch.await;
                }
                Ok(_) => return Lost::Deleted,
                Err(error) if error.is_retryable() => tokio::time::sleep(pause.next_delay()).await,
                Err(error) => {
                    tracing::debug!(%error, "cannot watch the guard's znode");
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Runs `future` while the guard is held, and drops it when the guard is lost.
    ///
    /// # Errors
    /// The guard was lost before the future was done.
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

    /// Writes that take effect only if the guard is still held when the ensemble executes them: a
    /// transaction that begins with a check of the guard's znode.
    pub fn fenced(&self) -> Fenced<'_> {
        Fenced {
            guard: self,
            multi: self.client.multi().check(&self.path, -1),
        }
    }

    /// Lets go: deletes the znode, through lost connections, until it is gone.
    pub(crate) async fn give_up(mut self) -> Result<()> {
        let client = self.client.with_deadline(None);
        let mut pause = pause();
        // Once its session is over, it is gone.
        while self.is_live() {
            match client.delete(&self.path).await {
                Ok(()) => break,
                Err(error) if error.kind() == ErrorKind::NoNode => break,
                Err(error) if error.kind() == ErrorKind::ConnectionLost => {}
                Err(error) if error.kind() == ErrorKind::SessionExpired => {}
                Err(error) if error.is_retryable() => tokio::time::sleep(pause.next_delay()).await,
                Err(error) => return Err(error.into()),
            }
        }
        self.held = false;
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.held && self.is_live() {
            self.client.delete(&self.path).guaranteed();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("path", &self.path)
            .field("token", &self.token)
            .field("lost", &self.lost.get())
            .finish_non_exhaustive()
    }
}

/// Writes that take effect together, and only while the guard is held. See [`Guard::fenced`].
#[derive(Debug)]
#[must_use = "transactions do nothing unless committed"]
pub struct Fenced<'a> {
    guard: &'a Guard,
    multi: Multi<'a>,
}

impl Fenced<'_> {
    /// Fails the transaction unless the znode's data have this version.
    pub fn check(mut self, path: &str, version: i32) -> Self {
        self.multi = self.multi.check(path, version);
        self
    }

    /// Creates a persistent znode.
    pub fn create(self, path: &str, data: impl AsRef<[u8]>) -> Self {
        self.create_mode(path, data, CreateMode::Persistent)
    }

    /// Creates a znode.
    pub fn create_mode(mut self, path: &str, data: impl AsRef<[u8]>, mode: CreateMode) -> Self {
        self.multi = self.multi.create_mode(path, data, mode);
        self
    }

    /// Replaces a znode's data, whatever their version.
    pub fn set(mut self, path: &str, data: impl AsRef<[u8]>) -> Self {
        self.multi = self.multi.set(path, data);
        self
    }

    /// Replaces a znode's data if they have this version.
    pub fn set_version(mut self, path: &str, data: impl AsRef<[u8]>, version: i32) -> Self {
        self.multi = self.multi.set_version(path, data, version);
        self
    }

    /// Deletes a znode, whatever its version.
    pub fn delete(mut self, path: &str) -> Self {
        self.multi = self.multi.delete(path);
        self
    }

    /// Deletes a znode if its data have this version.
    pub fn delete_version(mut self, path: &str, version: i32) -> Self {
        self.multi = self.multi.delete_version(path, version);
        self
    }

    /// Commits the transaction and returns the results of the operations, in order.
    ///
    /// # Errors
    /// [`Error::Lost`] if the guard is lost; nothing has been written then. Otherwise that of the
    /// first operation that failed; [`failed_op`](zk_client::Error::failed_op) counts the check of
    /// the guard as operation 0.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop a transaction that is on the wire.
    pub async fn commit(self) -> Result<Vec<OpResult>> {
        self.guard.check()?;
        match self.multi.commit().await {
            Ok(mut results) => {
                if !results.is_empty() {
                    results.remove(0);
                }
                Ok(results)
            }
            Err(error) if error.failed_op() == Some(0) && error.kind() == ErrorKind::NoNode => {
                let lost = if self.guard.is_live() {
                    Lost::Deleted
                } else {
                    Lost::SessionEnded
                };
                Err(Error::Lost(*self.guard.lost.get_or_init(|| lost)))
            }
            Err(error) if error.kind() == ErrorKind::SessionExpired => Err(Error::Lost(
                *self.guard.lost.get_or_init(|| Lost::SessionEnded),
            )),
            Err(error) => Err(error.into()),
        }
    }
}
