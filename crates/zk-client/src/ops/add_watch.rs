//! Setting a watch for all further events.

use std::time::Duration;

use zk_proto::OpCode;
use zk_proto::records::{AddWatchMode, AddWatchRequest};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::operation::operation;
use crate::ops::pending::{Call, Pending};
use crate::session::requests::Reply;
use crate::session::watches::WatchKind;
use crate::watch::{WatchMode, WatchStream};

/// Watches a znode, or a whole subtree, until the stream is dropped. The znode need not exist.
/// Needs servers of version 3.6 or newer.
///
/// After a reconnect the client arms the watch again and the stream yields a
/// [`WatchEvent::Gap`](crate::WatchEvent::Gap), because no server reports what happened meanwhile.
///
/// # Other servers
/// The client does not imitate the watch on servers that lack it: one-shot watches that are set
/// again show the states of a znode and not each of its changes. `zk-recipes` has what is possible
/// with them on every server: `DataWatch` and `ChildrenWatch` follow a znode, `TreeCache` a
/// subtree.
///
/// ClickHouse Keeper has [`WatchMode::Persistent`] only. It also accepts recursive watches, but
/// their events name the watched znode and not the one that has changed.
///
/// The page of [`WatchStream`] has an example.
///
/// # Errors
/// [`ErrorKind::Unimplemented`](crate::ErrorKind::Unimplemented) where the server lacks the watch.
/// To find that out costs a connection, on some servers a session, once for each server; further
/// calls send nothing.
///
/// # Cancel safety
/// Dropping the future removes the watch, if the server sets it.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct AddWatch<'a> {
    client: &'a Client,
    path: &'a str,
    mode: WatchMode,
    deadline: Option<Duration>,
}

impl<'a> AddWatch<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str, mode: WatchMode) -> Self {
        AddWatch {
            client,
            path,
            mode,
            deadline: None,
        }
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<WatchStream> {
        let (kind, mode) = match self.mode {
            WatchMode::Persistent => (WatchKind::Persistent, AddWatchMode::Persistent),
            WatchMode::PersistentRecursive => {
                (WatchKind::Recursive, AddWatchMode::PersistentRecursive)
            }
        };
        let record = AddWatchRequest {
            path: self.client.root().wire(self.path),
            mode,
        };
        let nameless = || self.client.shared().with(|core| core.has_nameless_events());
        if kind == WatchKind::Recursive && nameless() {
            let error = nameless_events(Outcome::NotSent).at(OpCode::AddWatch, self.path);
            return Pending::failed(self.client, OpCode::AddWatch, error, armed);
        }
        Call::read(self.client, OpCode::AddWatch, self.path)
            .watch(kind)
            .deadline(self.deadline)
            .submit_with(&record, {
                let path = self.path.to_owned();
                move |reply, client| {
                    armed(reply, client).map_err(|error| error.at(OpCode::AddWatch, &path))
                }
            })
    }
}

/// The record that Apache ZooKeeper sends says nothing that the header has not said, and ClickHouse
/// Keeper sends none.
fn armed(reply: &Reply, client: &Client) -> Result<WatchStream> {
    reply.body()?;
    match reply.watch {
        Some(_) => Ok(WatchStream::new(client, reply.watch)),
        None => Err(nameless_events(Outcome::Rejected)),
    }
}

fn nameless_events(outcome: Outcome) -> Error {
    Error::new(ErrorKind::Unimplemented, outcome).with_detail(
        "the server's recursive watches do not report which znode has changed, as those of \
         ClickHouse Keeper",
    )
}

operation!(AddWatch -> WatchStream);
