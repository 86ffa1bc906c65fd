//! Deleting a znode, once or until it is gone.

use std::time::Duration;

use zk_proto::records::DeleteRequest;
use zk_proto::{ErrorCode, OpCode};

use crate::client::Client;
use crate::error::{ErrorKind, Result};
use crate::ops::cleanup::{Cleanup, Target};
use crate::ops::operation::operation;
use crate::ops::pending::{ANY_VERSION, Call, Pending};
use crate::ops::recursive::DeleteRecursive;
use crate::ops::retry::repetition::Repetition;

/// Deletes a znode.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// zk.create("/job", "").await?;
/// zk.delete("/job").version(0).await?;
/// assert!(!zk.delete("/job").quietly().await?); // it is not there
///
/// zk.create("/jobs/1/log", "").parents().await?;
/// zk.delete("/jobs").recursive().await?;
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
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
    pub(crate) deadline: Option<Duration>,
}

impl<'a> Delete<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        Delete {
            client,
            path,
            version: ANY_VERSION,
            deadline: None,
        }
    }

    /// Only if the znode's data have this version; otherwise
    /// [`BadVersion`](ErrorKind::BadVersion).
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// Succeeds also if the znode does not exist. The output says whether this request deleted it.
    pub fn quietly(self) -> DeleteQuietly<'a> {
        DeleteQuietly {
            client: self.client,
            path: self.path,
            version: self.version,
            deadline: self.deadline,
        }
    }

    /// Deletes everything below it first.
    #[doc(alias = "deleteall")]
    #[doc(alias = "deletingChildrenIfNeeded")]
    pub fn recursive(self) -> DeleteRecursive<'a> {
        DeleteRecursive::new(self.client, self.path, self.deadline)
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<()> {
        let record = DeleteRequest {
            path: self.client.root().wire(self.path),
            version: self.version,
        };
        Call::write(self.client, OpCode::Delete, self.path)
            .deadline(self.deadline)
            .submit(&record, |reply, _| reply.body().map(drop))
    }

    /// Deletes the znode in the background, and retries after lost connections until the znode is gone
    /// or the current session has ended. Returns at once. The request has been submitted then and
    /// precedes all that the caller submits next, unless it has to be submitted again: after a lost
    /// connection, or because too many requests were outstanding. Without a session it belongs to the
    /// next one.
    ///
    /// [`Client::close`] waits for the deletion. On a read-only server the deletion waits for a server
    /// with a quorum. It ends with a warning in the log, and the znode stays, if the server refuses the
    /// request, if the session ends first, or if the request itself has cost ten connections.
    ///
    /// Use it for znodes whose name no other client uses, such as those created
    /// [`protected`](crate::Create::protected): after a lost reply the deletion is repeated, and would
    /// delete a znode that another client has created under the same name meanwhile.
    pub fn guaranteed(self) {
        self.in_background(Target::InSession);
    }

    /// As [`guaranteed`](Self::guaranteed), for an ephemeral znode of the current session: the end of
    /// that session is no failure.
    #[doc(hidden)]
    pub fn guaranteed_ephemeral(self) {
        self.in_background(Target::Ephemeral);
    }

    /// As [`guaranteed`](Self::guaranteed), but also in the next session if this one ends: for
    /// persistent znodes with a name that no other znode ever has.
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

/// [`Delete`], for which a missing znode is no error. Made by [`Delete::quietly`]. The output is
/// false if the znode did not exist.
///
/// # Errors
/// Those of [`Delete`], except [`NoNode`](ErrorKind::NoNode).
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct DeleteQuietly<'a> {
    client: &'a Client,
    path: &'a str,
    version: i32,
    deadline: Option<Duration>,
}

impl DeleteQuietly<'_> {
    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<bool> {
        let record = DeleteRequest {
            path: self.client.root().wire(self.path),
            version: self.version,
        };
        Call::write(self.client, OpCode::Delete, self.path)
            .deadline(self.deadline)
            .submit(&record, |reply, _| match reply.result {
                Err(ErrorCode::NoNode) => Ok(false),
                _ => reply.body().map(|_| true),
            })
    }
}

operation!(DeleteQuietly -> bool);

/// Repeats a deletion that has been submitted until the znode is gone.
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
