//! Reading whether a znode exists.

use zk_proto::records::{ExistsRequest, StatResponse};
use zk_proto::{ErrorCode, OpCode, Stat};

use crate::client::Client;
use crate::error::Result;
use crate::ops::consistent_read::sealed::Submit;
use crate::ops::consistent_read::{BarrierRead, ReadOp};
use crate::ops::operation::operation;
use crate::ops::pending::{Call, Pending};
use crate::session::requests::Reply;
use crate::session::watches::WatchKind;
use crate::watch::Watch;

/// Reads a znode's stat; `None` if the znode does not exist.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// assert!(zk.exists("/ready").await?.is_none());
///
/// // Waits until there is a znode. The watch is set whether there is one or not.
/// let (stat, watch) = zk.exists("/ready").watch().await?;
/// zk.create("/ready", "").await?;
/// if stat.is_none() {
///     watch.await;
/// }
/// assert!(zk.exists("/ready").await?.is_some());
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// [`NoAuth`](crate::ErrorKind::NoAuth) from servers of version 3.9.2 or newer.
///
/// # Cancel safety
/// Dropping the future discards the reply and has no other effect.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Exists<'a> {
    call: Call<'a>,
}

impl<'a> Exists<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        Exists {
            call: Call::read(client, OpCode::Exists, path),
        }
    }

    /// Also watches the znode: for its creation if it does not exist, else for the next change of
    /// its data, or its deletion.
    pub fn watch(self) -> ExistsWatched<'a> {
        ExistsWatched {
            call: self.call.watch(WatchKind::Data),
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
    pub fn submit(self) -> Pending<Option<Stat>> {
        Self::send(self.call)
    }
}

operation!(Exists -> Option<Stat>; call);

impl ReadOp for Exists<'_> {
    type Output = Option<Stat>;
}

impl Submit<Option<Stat>> for Exists<'_> {
    fn call(&self) -> Call<'_> {
        self.call
    }

    fn send(call: Call<'_>) -> Pending<Option<Stat>> {
        let record = ExistsRequest {
            path: call.wire_path(),
            watch: false,
        };
        call.submit(&record, |reply, _| decode(reply))
    }
}

/// [`Exists`], and a watch.
///
/// # Cancel safety
/// Dropping the future discards the reply, and removes the watch.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct ExistsWatched<'a> {
    call: Call<'a>,
}

impl ExistsWatched<'_> {
    /// See [`Get::synced`](crate::Get::synced).
    pub fn synced(self) -> BarrierRead<Self> {
        BarrierRead::synced(self)
    }

    /// See [`Get::linearizable`](crate::Get::linearizable).
    pub fn linearizable(self) -> BarrierRead<Self> {
        BarrierRead::linearizable(self)
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Option<Stat>, Watch)> {
        Self::send(self.call)
    }
}

operation!(ExistsWatched -> (Option<Stat>, Watch); call);

impl ReadOp for ExistsWatched<'_> {
    type Output = (Option<Stat>, Watch);
}

impl Submit<(Option<Stat>, Watch)> for ExistsWatched<'_> {
    fn call(&self) -> Call<'_> {
        self.call
    }

    fn send(call: Call<'_>) -> Pending<(Option<Stat>, Watch)> {
        let record = ExistsRequest {
            path: call.wire_path(),
            watch: true,
        };
        call.submit(&record, |reply, client| {
            Ok((decode(reply)?, Watch::new(client, reply.watch)))
        })
    }
}

fn decode(reply: &Reply) -> Result<Option<Stat>> {
    match reply.result {
        Err(ErrorCode::NoNode) => Ok(None),
        _ => Ok(Some(reply.decode::<StatResponse>()?.stat)),
    }
}
