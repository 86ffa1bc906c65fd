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

/// Reads a znode's data and stat. Null data are read as empty.
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
    pub fn watch(self) -> GetWatched<'a> {
        GetWatched {
            call: self.call.watch(WatchKind::Data),
        }
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
    pub fn submit(self) -> Pending<(Bytes, Stat)> {
        Self::send(self.call)
    }
}

operation!(Get -> (Bytes, Stat); call);

impl ReadOp for Get<'_> {
    type Output = (Bytes, Stat);
}

impl Submit<(Bytes, Stat)> for Get<'_> {
    fn call(&self) -> Call<'_> {
        self.call
    }

    fn send(call: Call<'_>) -> Pending<(Bytes, Stat)> {
        let record = GetDataRequest {
            path: call.wire_path(),
            watch: false,
        };
        call.submit(&record, |reply, _| decode(reply))
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
        let record = GetDataRequest {
            path: call.wire_path(),
            watch: true,
        };
        call.submit(&record, |reply, client| {
            let (data, stat) = decode(reply)?;
            Ok((data, stat, Watch::new(client, reply.watch)))
        })
    }
}

fn decode(reply: &Reply) -> Result<(Bytes, Stat)> {
    let response: GetDataResponse = reply.decode()?;
    Ok((response.data.unwrap_or_default(), response.stat))
}
