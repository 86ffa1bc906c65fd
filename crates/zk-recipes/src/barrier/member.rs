//! The znode of one member of a double barrier.

use std::sync::{Arc, Mutex, PoisonError};

use zk_client::{Client, ErrorKind, Guid, path};

use crate::error::{Error, Result};
use crate::guard::{Guard, LeaseBasis};
use crate::retry::RetryBackoff;

/// The znodes that dropped members of one handle may have left behind, until they are deleted. Another
/// member that is created beside one of them would count twice.
#[derive(Debug, Clone, Default)]
pub(super) struct Abandoned(Arc<Mutex<Vec<String>>>);

impl Abandoned {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<String>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Deletes them, and waits until that is done.
    pub(super) async fn delete(&self, client: &Client) -> Result<()> {
        let mut backoff = RetryBackoff::of_repeatable();
        while let Some(path) = self.with(|paths| paths.last().cloned()) {
            match client.delete(&path).await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) => {
                    backoff.sleep_after(error).await?;
                    continue;
                }
            }
            self.with(|paths| paths.retain(|other| *other != path));
        }
        Ok(())
    }
}

/// The name of a member from before its znode is created until that is known to be deleted.
#[derive(Debug)]
pub(super) struct MemberName {
    pub(super) hex: String,
    path: String,
    abandoned: Abandoned,
    deleted: bool,
}

impl MemberName {
    pub(super) fn new(barrier: &str, abandoned: &Abandoned) -> Self {
        let hex = Guid::random().hex();
        MemberName {
            path: path::join(barrier, &hex),
            hex,
            abandoned: abandoned.clone(),
            deleted: false,
        }
    }

    /// The znode does not exist any more, or was never created.
    pub(super) fn mark_deleted(&mut self) {
        self.deleted = true;
    }
}

impl Drop for MemberName {
    fn drop(&mut self) {
        if !self.deleted {
            (self.abandoned).with(|paths| paths.push(std::mem::take(&mut self.path)));
        }
    }
}

/// A member whose znode exists.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) guard: Guard,
    pub(super) name: MemberName,
}

impl Member {
    /// A member in the session of its znode; `None` if that session has ended.
    pub(super) fn of(
        client: &Client,
        created: zk_client::Created,
        name: MemberName,
    ) -> Option<Self> {
        let lease = client.lease();
        if created.stat.owner() != Some(lease.session()) {
            client.delete(&created.path).guaranteed();
            return None;
        }
        let guard = Guard::new(client, Some(lease), LeaseBasis::Server, created);
        Some(Member { guard, name })
    }

    /// Deletes the znode.
    ///
    /// # Errors
    /// The session has ended meanwhile: the others may have left without this member.
    pub(super) async fn leave(&mut self) -> Result<()> {
        self.guard.delete().await?;
        if !self.guard.is_live() {
            // The servers may still have the znode.
            return Err(Error::Lost(self.guard.lose_missing()));
        }
        self.name.mark_deleted();
        Ok(())
    }
}
