//! Operations that change a znode that exists: set, delete.

use std::time::Duration;

use zk_proto::records::{DeleteRequest, SetDataRequest};
use zk_proto::{OpCode, Stat};

use crate::client::Client;
use crate::error::{ErrorKind, Result};
use crate::ops::cleanup::{Cleanup, Target};
use crate::ops::pending::{Call, Pending, operation};
use crate::ops::read::stat;
use crate::ops::recursive::DeleteRecursive;
use crate::ops::retry::repetition::Repetition;

/// Any version.
pub(crate) const ANY: i32 = -1;

/// Replaces a znode's data and returns its new stat.
///
/// # Errors
/// [`NoNode`](ErrorKind::NoNode), [`BadVersion`](ErrorKind::BadVersion),
/// [`NoAuth`](ErrorKind::NoAuth), [`RequestTooLarge`](ErrorKind::RequestTooLarge).
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Set<'a, D> {
    pub(crate) client: &'a Client,
    pub(crate) path: &'a str,
    pub(crate) data: D,
    pub(crate) version: i32,
    deadline: Option<Duration>,
}

impl<'a, D: AsRef<[u8]>> Set<'a, D> {
    pub(crate) fn new(client: &'a Client, path: &'a str, data: D) -> Self {
        Set {
            client,
            path,
            data,
            version: ANY,
            deadline: None,
        }
    }

    /// Only if the znode's data have this version; otherwise
    /// [`BadVersion`](ErrorKind::BadVersion).
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Stat> {
        self.put()
    }

    pub(crate) fn put(&self) -> Pending<Stat> {
        let record = SetDataRequest {
            path: self.client.root().wire(self.path),
            data: Some(self.data.as_ref()),
            version: self.version,
        };
        Call::write(self.client, OpCode::SetData, self.path)
            .deadline(self.deadline)
            .submit(&record, |reply, _| stat(reply))
    }
}

operation!(Set<D> -> Stat);

/// Deletes a znode.
///
/// # Errors
/// [`NoNode`](ErrorKind::NoNode), [`NotEmpty`](ErrorKind::NotEmpty),
/// [`BadVersion`](ErrorKind::BadVersion), [`NoAuth`](ErrorKind::NoAuth).
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Delete<'a> {
    pub(crate) client: &'a Client,
    pub(crate) path: &'a str,
    pub(crate) version: i32,
    deadline: Option<Duration>,
}

impl<'a> Delete<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        Delete {
            client,
            path,
            version: ANY,
            deadline: None,
        }
    }

    /// Only if the znode's data have this version; otherwise
    /// [`BadVersion`](ErrorKind::BadVersion).
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// Deletes everything below it first.
    pub fn recursive(self) -> DeleteRecursive<'a> {
        DeleteRecursive::new(self.client, self.path, self.deadline)
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<()> {
        self.put()
    }

    pub(crate) fn put(&self) -> Pending<()> {
        let record = DeleteRequest {
            path: self.client.root().wire(self.path),
            version: self.version,
        };
        Call::write(self.client, OpCode::Delete, self.path)
            .deadline(self.deadline)
            .submit(&record, |_, _| Ok(()))
    }

    /// Deletes the znode in the background, through lost connections, until it is gone or the
    /// current session has ended. Returns at once; the request is submitted by then and comes before
    /// whatever the caller submits next, unless it has to be made again: after a lost connection, or
    /// because too many requests were outstanding. Without a session it belongs to the next one.
    ///
    /// [`Client::close`] waits for it. On a read-only server it waits for
    /// a server with a quorum. It ends with a warning in the log, and the znode is left, if
    /// the server refuses it, if the session ends first, or if the request itself has cost ten
    /// connections.
    ///
    /// For znodes whose name no other client uses, as those created [`protected`](crate::Create)
    /// have: when a reply is lost the deletion is repeated, and would take what another client has
    /// meanwhile created under the same name.
    pub fn guaranteed(self) {
        self.in_background(Target::InSession);
    }

    /// As [`guaranteed`](Self::guaranteed), for an ephemeral znode of the current session: it is no
    /// failure if that session ends first.
    #[doc(hidden)]
    pub fn guaranteed_ephemeral(self) {
        self.in_background(Target::Ephemeral);
    }

    /// As [`guaranteed`](Self::guaranteed), and goes on in the next session if this one ends: for
    /// znodes that are not ephemeral and have a name that no other znode ever has.
    pub fn guaranteed_across_sessions(self) {
        self.in_background(Target::Persistent);
    }

    fn in_background(self, target: Target) {
        let cleanup = Cleanup::begin(self.client, self.path, target);
        let (path, version) = (self.path.to_owned(), self.version);
        let client = cleanup.client().clone();
        let deleting = client.delete(&path).version(version).submit();
        cleanup.spawn(async move { delete_for_good(&client, &path, version, deleting).await });
    }
}

operation!(Delete -> ());

/// Repeats a deletion, which has been submitted once, until the znode is gone.
pub(crate) async fn delete_for_good(
    client: &Client,
    path: &str,
    version: i32,
    mut deleting: Pending<()>,
) -> Result<()> {
    let mut repetition = Repetition::of_cleanup();
    loop {
        match deleting.await {
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
            Err(error)
                if error.kind() == ErrorKind::SessionExpired && client.only_in().is_some() =>
            {
                return Err(error);
            }
            Err(error) if repetition.may_go_on(&error) => {
                tokio::time::sleep(repetition.next_delay()).await;
            }
            done => return done,
        }
        deleting = client.delete(path).version(version).submit();
    }
}
