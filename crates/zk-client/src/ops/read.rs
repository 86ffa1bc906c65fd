//! Operations that change nothing: get, exists, children, sync.

use std::time::{Duration, Instant};

use bytes::Bytes;
use zk_proto::records::{
    ExistsRequest, GetChildren2Request, GetChildren2Response, GetDataRequest, GetDataResponse,
    StatResponse, SyncRequest,
};
use zk_proto::{OpCode, Stat};

pub use zk_proto::records::Children;

use crate::client::Client;
use crate::error::Result;
use crate::ops::consistent_read::sealed::InSession;
use crate::ops::consistent_read::{Fresh, Read};
use crate::ops::pending::{Call, Pending, Success, operation};
use crate::session::watches::WatchKind;
use crate::watch::Watch;

macro_rules! read {
    ($(#[$meta:meta])* $name:ident: $op:ident -> $output:ty) => {
        $(#[$meta])*
        ///
        /// # Cancel safety
        /// Dropping the future has no effect but that the reply is not seen.
        #[derive(Debug, Clone, Copy)]
        #[must_use = "operations do nothing unless awaited or submitted"]
        pub struct $name<'a> {
            client: &'a Client,
            path: &'a str,
            deadline: Option<Duration>,
        }

        impl<'a> $name<'a> {
            /// Puts the request on the wire.
            pub fn submit(self) -> Pending<$output> {
                self.send(self.call().deadline(self.deadline))
            }

            /// Has the connected server catch up with the leader first: sees at least what had been
            /// committed before. (Not strictly linearizable, for a leader that has just been
            /// deposed may answer: ZOOKEEPER-1675, ZOOKEEPER-2136.) One round trip, without a write.
            pub fn synced(self) -> Fresh<Self> {
                Fresh::synced(self)
            }

            /// Has a quorum commit an empty transaction first: sees everything that had been
            /// committed before, whoever is the leader. One round trip, and the cost of a write.
            pub fn linearizable(self) -> Fresh<Self> {
                Fresh::linearizable(self)
            }

            fn call(&self) -> Call<'a> {
                Call::read(self.client, OpCode::$op, self.path)
            }
        }

        impl Read for $name<'_> {
            type Output = $output;
        }

        impl InSession<$output> for $name<'_> {
            fn client(&self) -> &Client {
                self.client
            }

            fn path(&self) -> &str {
                self.path
            }

            fn due(&self) -> Option<Instant> {
                self.client.deadline_from(crate::shared::now(), self.deadline)
            }

            fn submit_in_session(self, due: Option<Instant>) -> Pending<$output> {
                self.send(self.call().in_session().due(due))
            }
        }

        operation!($name -> $output);
    };
}

read! {
    /// Reads a znode's data and stat. Null data are read as empty.
    ///
    /// # Errors
    /// [`NoNode`](crate::ErrorKind::NoNode), [`NoAuth`](crate::ErrorKind::NoAuth).
    Get: GetData -> (Bytes, Stat)
}

impl<'a> Get<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        Get {
            client,
            path,
            deadline: None,
        }
    }

    /// Also watches the znode for the next change of its data, or its deletion.
    pub fn watch(self) -> GetWatched<'a> {
        GetWatched {
            client: self.client,
            path: self.path,
            deadline: self.deadline,
        }
    }

    fn send(self, call: Call<'_>) -> Pending<(Bytes, Stat)> {
        call.submit(&get_data(self.client, self.path, false), |reply, _| {
            data(reply)
        })
    }
}

read! {
    /// [`Get`], and a watch.
    GetWatched: GetData -> (Bytes, Stat, Watch)
}

impl GetWatched<'_> {
    fn send(self, call: Call<'_>) -> Pending<(Bytes, Stat, Watch)> {
        call.watch(WatchKind::Data).submit(
            &get_data(self.client, self.path, true),
            |reply, client| {
                let (data, stat) = data(reply)?;
                Ok((data, stat, Watch::new(client, reply.watch)))
            },
        )
    }
}

fn get_data<'a>(client: &'a Client, path: &'a str, watch: bool) -> GetDataRequest<'a> {
    GetDataRequest {
        path: client.root().wire(path),
        watch,
    }
}

fn data(reply: &Success) -> Result<(Bytes, Stat)> {
    let response: GetDataResponse = reply.decode()?;
    Ok((response.data.unwrap_or_default(), response.stat))
}

read! {
    /// Asks whether a znode exists, and for its stat if it does.
    ///
    /// # Errors
    /// [`NoAuth`](crate::ErrorKind::NoAuth) from servers of version 3.9.2 or newer.
    Exists: Exists -> Option<Stat>
}

impl<'a> Exists<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        Exists {
            client,
            path,
            deadline: None,
        }
    }

    /// Also watches the znode: for its creation if it does not exist, else for the next change of
    /// its data, or its deletion.
    pub fn watch(self) -> ExistsWatched<'a> {
        ExistsWatched {
            client: self.client,
            path: self.path,
            deadline: self.deadline,
        }
    }

    fn send(self, call: Call<'_>) -> Pending<Option<Stat>> {
        call.submit_with(
            &exists(self.client, self.path, false),
            |reply, _| stat(reply).map(Some),
            Some(|_, _| Ok(None)),
        )
    }
}

read! {
    /// [`Exists`], and a watch.
    ExistsWatched: Exists -> (Option<Stat>, Watch)
}

impl ExistsWatched<'_> {
    fn send(self, call: Call<'_>) -> Pending<(Option<Stat>, Watch)> {
        call.watch(WatchKind::Data).submit_with(
            &exists(self.client, self.path, true),
            |reply, client| Ok((Some(stat(reply)?), Watch::new(client, reply.watch))),
            Some(|reply, client| Ok((None, Watch::new(client, reply.watch)))),
        )
    }
}

fn exists<'a>(client: &'a Client, path: &'a str, watch: bool) -> ExistsRequest<'a> {
    ExistsRequest {
        path: client.root().wire(path),
        watch,
    }
}

pub(crate) fn stat(reply: &Success) -> Result<Stat> {
    Ok(reply.decode::<StatResponse>()?.stat)
}

read! {
    /// Reads the names of a znode's children, in no particular order.
    ///
    /// # Errors
    /// [`NoNode`](crate::ErrorKind::NoNode), [`NoAuth`](crate::ErrorKind::NoAuth).
    GetChildren: GetChildren2 -> Children
}

impl<'a> GetChildren<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        GetChildren {
            client,
            path,
            deadline: None,
        }
    }

    /// Reads the znode's stat as well.
    pub fn stat(self) -> GetChildrenStat<'a> {
        GetChildrenStat {
            client: self.client,
            path: self.path,
            deadline: self.deadline,
        }
    }

    /// Reads the znode's stat as well, and watches for the next creation or deletion of a child, or
    /// the deletion of the znode.
    pub fn watch(self) -> ChildrenWatched<'a> {
        ChildrenWatched {
            client: self.client,
            path: self.path,
            deadline: self.deadline,
        }
    }

    fn send(self, call: Call<'_>) -> Pending<Children> {
        call.submit(&get_children(self.client, self.path, false), |reply, _| {
            Ok(children(reply)?.0)
        })
    }
}

read! {
    /// [`GetChildren`], with the znode's stat.
    GetChildrenStat: GetChildren2 -> (Children, Stat)
}

impl GetChildrenStat<'_> {
    fn send(self, call: Call<'_>) -> Pending<(Children, Stat)> {
        call.submit(&get_children(self.client, self.path, false), |reply, _| {
            children(reply)
        })
    }
}

read! {
    /// [`GetChildren`], with the znode's stat and a watch.
    ChildrenWatched: GetChildren2 -> (Children, Stat, Watch)
}

impl ChildrenWatched<'_> {
    fn send(self, call: Call<'_>) -> Pending<(Children, Stat, Watch)> {
        call.watch(WatchKind::Child).submit(
            &get_children(self.client, self.path, true),
            |reply, client| {
                let (children, stat) = children(reply)?;
                Ok((children, stat, Watch::new(client, reply.watch)))
            },
        )
    }
}

fn get_children<'a>(client: &'a Client, path: &'a str, watch: bool) -> GetChildren2Request<'a> {
    GetChildren2Request {
        path: client.root().wire(path),
        watch,
    }
}

fn children(reply: &Success) -> Result<(Children, Stat)> {
    let response: GetChildren2Response = reply.decode()?;
    Ok((response.children, response.stat))
}

/// Brings the connected server up to date with the leader. To read what it then knows,
/// [`Get::synced`] and its like do both in one round trip.
///
/// # Errors
/// [`ReadOnly`](crate::ErrorKind::ReadOnly) from a server without a quorum.
///
/// # Cancel safety
/// Dropping the future has no effect but that the reply is not seen.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Sync<'a> {
    client: &'a Client,
    path: &'a str,
    deadline: Option<Duration>,
}

impl<'a> Sync<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        Sync {
            client,
            path,
            deadline: None,
        }
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<()> {
        sync(
            self.client,
            self.path,
            Call::read(self.client, OpCode::Sync, self.path).deadline(self.deadline),
        )
    }
}

operation!(Sync -> ());

pub(crate) fn sync(client: &Client, path: &str, call: Call<'_>) -> Pending<()> {
    let record = SyncRequest {
        path: client.root().wire(path),
    };
    call.submit(&record, |_, _| Ok(()))
}
