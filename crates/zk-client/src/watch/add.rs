//! Setting a watch that lasts.

use std::time::Duration;

use zk_proto::OpCode;
use zk_proto::records::{AddWatchMode, AddWatchRequest};

use super::{WatchKind, WatchMode, WatchStream};
use crate::call::{Call, Pending, operation};
use crate::client::Client;
use crate::core::OpSet;

/// Watches a znode, or a whole subtree, until the stream is dropped. The znode need not exist.
/// Needs servers of version 3.6 or newer. ClickHouse Keeper has [`WatchMode::Persistent`] only: the
/// events of its recursive watches do not name the znode that changed.
///
/// After a reconnect the watch is armed again and the stream yields a
/// [`WatchEvent::Gap`](crate::WatchEvent::Gap), for no server tells what happened meanwhile.
///
/// # Errors
/// [`ErrorKind::Unimplemented`](crate::ErrorKind::Unimplemented) if the server cannot keep such a
/// watch. A server that closes the connection on operations it does not know, or ends the session as
/// well, may cost the client that once; from then on the request is not sent.
///
/// # Cancel safety
/// Dropping the future removes the watch, should it be set after all.
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
        // ClickHouse Keeper answers without the record that Apache ZooKeeper sends; neither says
        // anything that the header has not said.
        let more = match self.mode {
            WatchMode::Persistent => OpSet::NONE,
            WatchMode::PersistentRecursive => OpSet::TREE_WATCHES,
        };
        Call::read(self.client, OpCode::AddWatch, self.path)
            .needing(more)
            .watch(kind)
            .deadline(self.deadline)
            .submit(&record, |reply, client| {
                Ok(WatchStream::new(client, reply.watch))
            })
    }
}

operation!(AddWatch -> WatchStream);
