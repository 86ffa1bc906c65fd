//! Reading a znode's data.

use bytes::Bytes;
use zk_proto::records::{GetDataRequest, GetDataResponse};
use zk_proto::{OpCode, Stat};

use crate::client::Client;
use crate::error::Result;
use crate::ops::consistent_read::sealed::Submit;
use crate::ops::consistent_read::{BarrierRead, ReadOp};
use crate::ops::operation::operation;
use crate::ops::pending::{Call, Pending};
use crate::session::requests::Reply;
use crate::session::watches::WatchKind;
use crate::watch::Watch;

/// Reads a znode's data and stat. Null data are read as empty, unless the read is
/// [`nullable`](Self::nullable).
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// zk.create("/config", "v1").await?;
/// let (data, stat) = zk.get("/config").await?;
/// assert_eq!((&data[..], stat.version), (&b"v1"[..], 0));
///
/// // With a watch for the next change: one request reads and watches.
/// let (_, _, watch) = zk.get("/config").watch().await?;
/// zk.set("/config", "v2").await?;
/// watch.await;
///
/// // As new as what any other client has seen.
/// let (data, _) = zk.get("/config").synced().await?;
/// assert_eq!(data, "v2");
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
pub struct Get<'a> {
    call: Call<'a>,
}

impl<'a> Get<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        Get {
            call: Call::read(client, OpCode::GetData, path),
        }
    }

    /// Also watches the znode for the next change of its data, or its deletion.
    #[doc(alias = "usingWatcher")]
    pub fn watch(self) -> GetWatched<'a> {
        GetWatched {
            call: self.call.watch(WatchKind::Data),
        }
    }

    /// Distinguishes null data, which are `None`, from empty ones. A znode has null data if it was
    /// created or set with [`null`](crate::Create::null), kazoo's `value=None` or Java's `null`.
    /// ClickHouse Keeper stores null as empty data.
    pub fn nullable(self) -> GetNullable<'a> {
        GetNullable { call: self.call }
    }

    /// Has the connected server catch up with the leader first: the read sees at least what had been
    /// committed before it was submitted. Costs no second round trip, and no write.
    ///
    /// It is not strictly linearizable, since a leader that has just been deposed may answer
    /// (ZOOKEEPER-1675, ZOOKEEPER-2136); [`linearizable`](Self::linearizable) is.
    pub fn synced(self) -> BarrierRead<Self> {
        BarrierRead::synced(self)
    }

    /// Has a quorum commit an empty transaction first: the read sees all that had been committed
    /// before it was submitted, whichever server leads. Costs no second round trip, but a write.
    pub fn linearizable(self) -> BarrierRead<Self> {
        BarrierRead::linearizable(self)
    }

    /// Puts the request on the wire.
    #[doc(alias = "get_async")]
    #[doc(alias = "inBackground")]
    pub fn submit(self) -> Pending<(Bytes, Stat)> {
        Self::send(self.call)
    }
}

operation!(Get -> (Bytes, Stat); call);

/// [`Get`], with `None` for null data. Made by [`Get::nullable`].
///
/// # Errors
/// Those of [`Get`].
///
/// # Cancel safety
/// Dropping the future discards the reply and has no other effect.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct GetNullable<'a> {
    call: Call<'a>,
}

impl<'a> GetNullable<'a> {
    /// Also watches the znode; see [`Get::watch`].
    pub fn watch(self) -> GetNullableWatched<'a> {
        GetNullableWatched {
            call: self.call.watch(WatchKind::Data),
        }
    }

    /// See [`Get::synced`].
    pub fn synced(self) -> BarrierRead<Self> {
        BarrierRead::synced(self)
    }

    /// See [`Get::linearizable`].
    pub fn linearizable(self) -> BarrierRead<Self> {
        BarrierRead::linearizable(self)
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Option<Bytes>, Stat)> {
        Self::send(self.call)
    }
}

operation!(GetNullable -> (Option<Bytes>, Stat); call);

impl ReadOp for GetNullable<'_> {
    type Output = (Option<Bytes>, Stat);
}

impl Submit<(Option<Bytes>, Stat)> for GetNullable<'_> {
    fn call(&self) -> Call<'_> {
        self.call
    }

    fn send(call: Call<'_>) -> Pending<(Option<Bytes>, Stat)> {
        call.submit(&record(&call, false), |reply, _| {
            let response: GetDataResponse = reply.decode()?;
            Ok((response.data, response.stat))
        })
    }
}

impl ReadOp for Get<'_> {
    type Output = (Bytes, Stat);
}

impl Submit<(Bytes, Stat)> for Get<'_> {
    fn call(&self) -> Call<'_> {
        self.call
    }

    fn send(call: Call<'_>) -> Pending<(Bytes, Stat)> {
        call.submit(&record(&call, false), |reply, _| decode(reply))
    }
}

/// [`Get`], and a watch.
///
/// # Cancel safety
/// Dropping the future discards the reply, and removes the watch.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct GetWatched<'a> {
    call: Call<'a>,
}

impl GetWatched<'_> {
    /// See [`Get::synced`].
    pub fn synced(self) -> BarrierRead<Self> {
        BarrierRead::synced(self)
    }

    /// See [`Get::linearizable`].
    pub fn linearizable(self) -> BarrierRead<Self> {
        BarrierRead::linearizable(self)
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Bytes, Stat, Watch)> {
        Self::send(self.call)
    }
}

operation!(GetWatched -> (Bytes, Stat, Watch); call);

impl ReadOp for GetWatched<'_> {
    type Output = (Bytes, Stat, Watch);
}

impl Submit<(Bytes, Stat, Watch)> for GetWatched<'_> {
    fn call(&self) -> Call<'_> {
        self.call
    }

    fn send(call: Call<'_>) -> Pending<(Bytes, Stat, Watch)> {
        call.submit(&record(&call, true), |reply, client| {
            let (data, stat) = decode(reply)?;
            Ok((data, stat, Watch::new(client, reply.watch)))
        })
    }
}

/// [`GetNullable`], and a watch.
///
/// # Cancel safety
/// Dropping the future discards the reply, and removes the watch.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct GetNullableWatched<'a> {
    call: Call<'a>,
}

impl GetNullableWatched<'_> {
    /// See [`Get::synced`].
    pub fn synced(self) -> BarrierRead<Self> {
        BarrierRead::synced(self)
    }

    /// See [`Get::linearizable`].
    pub fn linearizable(self) -> BarrierRead<Self> {
        BarrierRead::linearizable(self)
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Option<Bytes>, Stat, Watch)> {
        Self::send(self.call)
    }
}

operation!(GetNullableWatched -> (Option<Bytes>, Stat, Watch); call);

impl ReadOp for GetNullableWatched<'_> {
    type Output = (Option<Bytes>, Stat, Watch);
}

impl Submit<(Option<Bytes>, Stat, Watch)> for GetNullableWatched<'_> {
    fn call(&self) -> Call<'_> {
        self.call
    }

    fn send(call: Call<'_>) -> Pending<(Option<Bytes>, Stat, Watch)> {
        call.submit(&record(&call, true), |reply, client| {
            let response: GetDataResponse = reply.decode()?;
            let watch = Watch::new(client, reply.watch);
            Ok((response.data, response.stat, watch))
        })
    }
}

fn record<'a>(call: &Call<'a>, watch: bool) -> GetDataRequest<'a> {
    GetDataRequest {
        path: call.wire_path(),
        watch,
    }
}

fn decode(reply: &Reply) -> Result<(Bytes, Stat)> {
    let response: GetDataResponse = reply.decode()?;
    Ok((response.data.unwrap_or_default(), response.stat))
}
