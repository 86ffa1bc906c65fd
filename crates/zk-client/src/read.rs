//! Operations that change nothing: get, exists, children, sync.

use std::time::Duration;

use bytes::Bytes;
use zk_proto::records::{
    ExistsRequest, GetChildren2Request, GetChildren2Response, GetDataRequest, GetDataResponse,
    StatResponse, SyncRequest,
};
use zk_proto::{OpCode, Stat};

pub use zk_proto::records::Children;

use crate::call::{Call, Pending, Success, operation};
use crate::client::Client;
use crate::error::Result;
use crate::watch::{Watch, WatchKind};

macro_rules! read {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        ///
        /// # Cancel safety
        /// Dropping the future has no effect but that the reply is not seen.
        #[derive(Debug)]
        #[must_use = "operations do nothing unless awaited or submitted"]
        pub struct $name<'a> {
            client: &'a Client,
            path: &'a str,
            deadline: Option<Duration>,
        }
    };
}

read! {
    /// Reads a znode's data and stat. Null data are read as empty.
    ///
    /// # Errors
    /// [`NoNode`](crate::ErrorKind::NoNode), [`NoAuth`](crate::ErrorKind::NoAuth).
    Get
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

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Bytes, Stat)> {
        let record = GetDataRequest {
            path: self.client.root().wire(self.path),
            watch: false,
        };
        Call::read(self.client, OpCode::GetData, self.path)
            .deadline(self.deadline)
            .submit(&record, |reply, _| data(reply))
    }
}

operation!(Get -> (Bytes, Stat));

read! {
    /// [`Get`], and a watch.
    GetWatched
}

impl GetWatched<'_> {
    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Bytes, Stat, Watch)> {
        let record = GetDataRequest {
            path: self.client.root().wire(self.path),
            watch: true,
        };
        Call::read(self.client, OpCode::GetData, self.path)
            .watch(WatchKind::Data)
            .deadline(self.deadline)
            .submit(&record, |reply, client| {
                let (data, stat) = data(reply)?;
                Ok((data, stat, Watch::new(client, reply.watch)))
            })
    }
}

operation!(GetWatched -> (Bytes, Stat, Watch));

fn data(reply: &Success) -> Result<(Bytes, Stat)> {
    let response: GetDataResponse = reply.decode()?;
    Ok((response.data.unwrap_or_default(), response.stat))
}

read! {
    /// Asks whether a znode exists, and for its stat if it does.
    ///
    /// # Errors
    /// [`NoAuth`](crate::ErrorKind::NoAuth) from servers of version 3.9.2 or newer.
    Exists
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

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Option<Stat>> {
        let record = ExistsRequest {
            path: self.client.root().wire(self.path),
            watch: false,
        };
        Call::read(self.client, OpCode::Exists, self.path)
            .deadline(self.deadline)
            .submit_with(
                &record,
                |reply, _| stat(reply).map(Some),
                Some(|_, _| Ok(None)),
            )
    }
}

operation!(Exists -> Option<Stat>);

read! {
    /// [`Exists`], and a watch.
    ExistsWatched
}

impl ExistsWatched<'_> {
    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Option<Stat>, Watch)> {
        let record = ExistsRequest {
            path: self.client.root().wire(self.path),
            watch: true,
        };
        Call::read(self.client, OpCode::Exists, self.path)
            .watch(WatchKind::Data)
            .deadline(self.deadline)
            .submit_with(
                &record,
                |reply, client| Ok((Some(stat(reply)?), Watch::new(client, reply.watch))),
                Some(|reply, client| Ok((None, Watch::new(client, reply.watch)))),
            )
    }
}

operation!(ExistsWatched -> (Option<Stat>, Watch));

pub(crate) fn stat(reply: &Success) -> Result<Stat> {
    Ok(reply.decode::<StatResponse>()?.stat)
}

read! {
    /// Reads the names of a znode's children, in no particular order.
    ///
    /// # Errors
    /// [`NoNode`](crate::ErrorKind::NoNode), [`NoAuth`](crate::ErrorKind::NoAuth).
    GetChildren
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

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Children> {
        self.call()
            .submit(&self.record(false), |reply, _| Ok(children(reply)?.0))
    }

    fn call(&self) -> Call<'a> {
        Call::read(self.client, OpCode::GetChildren2, self.path).deadline(self.deadline)
    }

    fn record(&self, watch: bool) -> GetChildren2Request<'a> {
        GetChildren2Request {
            path: self.client.root().wire(self.path),
            watch,
        }
    }
}

operation!(GetChildren -> Children);

read! {
    /// [`GetChildren`], with the znode's stat.
    GetChildrenStat
}

impl GetChildrenStat<'_> {
    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Children, Stat)> {
        let base = GetChildren {
            client: self.client,
            path: self.path,
            deadline: self.deadline,
        };
        base.call()
            .submit(&base.record(false), |reply, _| children(reply))
    }
}

operation!(GetChildrenStat -> (Children, Stat));

read! {
    /// [`GetChildren`], with the znode's stat and a watch.
    ChildrenWatched
}

impl ChildrenWatched<'_> {
    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Children, Stat, Watch)> {
        let base = GetChildren {
            client: self.client,
            path: self.path,
            deadline: self.deadline,
        };
        base.call()
            .watch(WatchKind::Child)
            .submit(&base.record(true), |reply, client| {
                let (children, stat) = children(reply)?;
                Ok((children, stat, Watch::new(client, reply.watch)))
            })
    }
}

operation!(ChildrenWatched -> (Children, Stat, Watch));

fn children(reply: &Success) -> Result<(Children, Stat)> {
    let response: GetChildren2Response = reply.decode()?;
    Ok((response.children, response.stat))
}

read! {
    /// Brings the connected server up to date with the leader.
    ///
    /// # Errors
    /// [`ReadOnly`](crate::ErrorKind::ReadOnly) from a server without a quorum.
    Sync
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
        let record = SyncRequest {
            path: self.client.root().wire(self.path),
        };
        Call::read(self.client, OpCode::Sync, self.path)
            .deadline(self.deadline)
            .submit(&record, |_, _| Ok(()))
    }
}

operation!(Sync -> ());
