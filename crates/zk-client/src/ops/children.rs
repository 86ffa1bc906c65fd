//! Reading the names of a znode's children.

use zk_proto::records::{GetChildren2Request, GetChildren2Response};
use zk_proto::{OpCode, Stat};

pub use zk_proto::records::Children;

use crate::client::Client;
use crate::error::Result;
use crate::ops::consistent_read::sealed::Submit;
use crate::ops::consistent_read::{BarrierRead, ReadOp};
use crate::ops::operation::operation;
use crate::ops::pending::{Call, Pending};
use crate::session::requests::Reply;
use crate::session::watches::WatchKind;
use crate::watch::Watch;

/// Reads the names of a znode's children, in no particular order.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// zk.create("/jobs/b", "").parents().await?;
/// zk.create("/jobs/a", "").await?;
/// let mut names = zk.children("/jobs").await?.to_vec();
/// names.sort_unstable(); // servers list them in no particular order
/// assert_eq!(names, ["a", "b"]);
///
/// let (children, stat, watch) = zk.children("/jobs").watch().await?;
/// assert_eq!((children.len(), stat.num_children), (2, 2));
/// zk.delete("/jobs/a").await?;
/// watch.await;
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// [`NoNode`](crate::ErrorKind::NoNode), [`NoAuth`](crate::ErrorKind::NoAuth).
///
/// # Cancel safety
/// Dropping the future discards the reply and has no other effect.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct GetChildren<'a> {
    call: Call<'a>,
}

impl<'a> GetChildren<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        GetChildren {
            call: Call::read(client, OpCode::GetChildren2, path),
        }
    }

    /// Reads the znode's stat as well.
    #[doc(alias = "include_data")]
    #[doc(alias = "storingStatIn")]
    pub fn stat(self) -> GetChildrenStat<'a> {
        GetChildrenStat { call: self.call }
    }

    /// Reads the znode's stat as well, and watches for the next creation or deletion of a child, or
    /// the deletion of the znode.
    pub fn watch(self) -> ChildrenWatched<'a> {
        ChildrenWatched {
            call: self.call.watch(WatchKind::Child),
        }
    }

    /// See [`Get::synced`](crate::Get::synced).
    pub fn synced(self) -> BarrierRead<Self> {
        BarrierRead::synced(self)
    }

    /// See [`Get::linearizable`](crate::Get::linearizable).
    pub fn linearizable(self) -> BarrierRead<Self> {
        BarrierRead::linearizable(self)
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Children> {
        Self::send(self.call)
    }
}

operation!(GetChildren -> Children; call);

impl ReadOp for GetChildren<'_> {
    type Output = Children;
}

impl Submit<Children> for GetChildren<'_> {
    fn call(&self) -> Call<'_> {
        self.call
    }

    fn send(call: Call<'_>) -> Pending<Children> {
        call.submit(&record(&call, false), |reply, _| Ok(decode(reply)?.0))
    }
}

/// [`GetChildren`], with the znode's stat.
///
/// # Cancel safety
/// Dropping the future discards the reply and has no other effect.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct GetChildrenStat<'a> {
    call: Call<'a>,
}

impl GetChildrenStat<'_> {
    /// See [`Get::synced`](crate::Get::synced).
    pub fn synced(self) -> BarrierRead<Self> {
        BarrierRead::synced(self)
    }

    /// See [`Get::linearizable`](crate::Get::linearizable).
    pub fn linearizable(self) -> BarrierRead<Self> {
        BarrierRead::linearizable(self)
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Children, Stat)> {
        Self::send(self.call)
    }
}

operation!(GetChildrenStat -> (Children, Stat); call);

impl ReadOp for GetChildrenStat<'_> {
    type Output = (Children, Stat);
}

impl Submit<(Children, Stat)> for GetChildrenStat<'_> {
    fn call(&self) -> Call<'_> {
        self.call
    }

    fn send(call: Call<'_>) -> Pending<(Children, Stat)> {
        call.submit(&record(&call, false), |reply, _| decode(reply))
    }
}

/// [`GetChildren`], with the znode's stat and a watch.
///
/// # Cancel safety
/// Dropping the future discards the reply, and removes the watch.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct ChildrenWatched<'a> {
    call: Call<'a>,
}

impl ChildrenWatched<'_> {
    /// See [`Get::synced`](crate::Get::synced).
    pub fn synced(self) -> BarrierRead<Self> {
        BarrierRead::synced(self)
    }

    /// See [`Get::linearizable`](crate::Get::linearizable).
    pub fn linearizable(self) -> BarrierRead<Self> {
        BarrierRead::linearizable(self)
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Children, Stat, Watch)> {
        Self::send(self.call)
    }
}

operation!(ChildrenWatched -> (Children, Stat, Watch); call);

impl ReadOp for ChildrenWatched<'_> {
    type Output = (Children, Stat, Watch);
}

impl Submit<(Children, Stat, Watch)> for ChildrenWatched<'_> {
    fn call(&self) -> Call<'_> {
        self.call
    }

    fn send(call: Call<'_>) -> Pending<(Children, Stat, Watch)> {
        call.submit(&record(&call, true), |reply, client| {
            let (children, stat) = decode(reply)?;
            Ok((children, stat, Watch::new(client, reply.watch)))
        })
    }
}

fn record<'a>(call: &Call<'a>, watch: bool) -> GetChildren2Request<'a> {
    GetChildren2Request {
        path: call.wire_path(),
        watch,
    }
}

fn decode(reply: &Reply) -> Result<(Children, Stat)> {
    let response: GetChildren2Response = reply.decode()?;
    Ok((response.children, response.stat))
}
