//! Writes that a holder which has lost its guard cannot make.

use zk_client::{CreateMode, ErrorKind, Multi, OpResult, Outcome, RetryPolicy};

use super::Guard;
use crate::error::{Error, GuardLost, Result};

impl Guard {
    /// Writes that take effect only if the guard is still held when the ensemble executes them: a
    /// transaction that begins with a check of the guard's znode.
    pub fn fenced(&self) -> FencedMulti<'_> {
        FencedMulti {
            guard: self,
            multi: self.client().multi().check(self.path(), -1),
        }
    }
}

/// Writes that take effect together, and only while the guard is held. See [`Guard::fenced`].
///
/// The transaction is executed in the session and the ensemble of the guard. Paths are below the
/// root of the handle that the lock was made with. To write outside of a chroot, make the lock with
/// a handle without one.
///
/// It borrows the guard, so that the guard is not released before the transaction is committed. Several tasks
/// that write under one guard share it in an [`Arc`](std::sync::Arc).
#[derive(Debug)]
#[must_use = "transactions do nothing unless committed"]
pub struct FencedMulti<'a> {
    guard: &'a Guard,
    multi: Multi<'a>,
}

impl FencedMulti<'_> {
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
    /// [`Error::Lost`] if the guard is lost and nothing was written. Otherwise the error of the
    /// request, and of the first operation that failed:
    /// [`failed_op`](zk_client::Error::failed_op) counts the check of the guard as operation 0.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop a transaction that is on the wire.
    pub async fn commit(self) -> Result<Vec<OpResult>> {
        let FencedMulti { guard, multi } = self;
        guard.check()?;
        finish(guard, multi.commit().await)
    }

    /// As [`commit`](Self::commit), with retries as `policy` says: after a lost reply the client finds
    /// out whether the transaction took effect, where its operations allow that
    /// ([`Multi::retry`](zk_client::Multi::retry)).
    ///
    /// # Errors
    /// Those of [`commit`](Self::commit).
    ///
    /// # Cancel safety
    /// Dropping the future does not stop an attempt that is on the wire.
    pub async fn commit_with_retries(self, policy: &RetryPolicy) -> Result<Vec<OpResult>> {
        let FencedMulti { guard, multi } = self;
        guard.check()?;
        finish(guard, multi.retry(policy).await)
    }
}

/// The results without that of the check, or why the transaction failed.
fn finish(
    guard: &Guard,
    committed: std::result::Result<Vec<OpResult>, zk_client::Error>,
) -> Result<Vec<OpResult>> {
    match committed {
        Ok(mut results) => {
            if !results.is_empty() {
                results.remove(0);
            }
            Ok(results)
        }
        Err(error) if error.failed_op() == Some(0) && error.kind() == ErrorKind::NoNode => {
            Err(Error::Lost(guard.lose_missing()))
        }
        Err(error) if error.kind() == ErrorKind::SessionExpired && !guard.outlives_sessions() => {
            let lost = guard.lose(GuardLost::SessionEnded);
            match error.outcome() {
                // It was sent, and may have been executed before the session ended.
                Outcome::Unknown => Err(error.into()),
                Outcome::NotSent | Outcome::Rejected => Err(Error::Lost(lost)),
            }
        }
        Err(error) => Err(error.into()),
    }
}
