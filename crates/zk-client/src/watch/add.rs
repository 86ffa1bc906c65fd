//! Setting a watch that lasts.

use std::time::Duration;

use zk_proto::OpCode;
use zk_proto::records::{AddWatchMode, AddWatchRequest};

use super::{WatchKind, WatchMode, WatchStream};
use crate::call::{Call, Pending, operation};
use crate::client::Client;

/// Watches a znode, or a whole subtree, until the stream is dropped. The znode need not exist.
/// Needs servers of version 3.6 or newer.
///
/// After a reconnect the watch is armed again and the stream yields a
/// [`WatchEvent::Gap`](crate::WatchEvent::Gap), for no server tells what happened meanwhile.
///
/// # Errors
/// [`ErrorKind::Unimplemented`](crate::ErrorKind::Unimplemented) and a lost connection from servers
/// older than 3.6.
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
        Call::read(self.client, OpCode::AddWatch, self.path)
            .watch(kind)
            .deadline(self.deadline)
            .submit(&record, |reply, client| {
                Ok(WatchStream::new(client, reply.watch))
            })
    }
}

operation!(AddWatch -> WatchStream);
