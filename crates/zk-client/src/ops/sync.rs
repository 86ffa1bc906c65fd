//! Bringing a server up to date with the leader.

use std::time::Duration;

use zk_proto::OpCode;
use zk_proto::records::SyncRequest;

use crate::client::Client;
use crate::ops::operation::operation;
use crate::ops::pending::{Call, Pending};

/// Brings the connected server up to date with the leader. [`Get::synced`](crate::Get::synced) and its
/// like do that and read, in one round trip.
///
/// # Errors
/// [`ReadOnly`](crate::ErrorKind::ReadOnly) from a server without a quorum.
///
/// # Cancel safety
/// Dropping the future discards the reply and has no other effect.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct SyncOp<'a> {
    client: &'a Client,
    path: &'a str,
    deadline: Option<Duration>,
}

impl<'a> SyncOp<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        SyncOp {
            client,
            path,
            deadline: None,
        }
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<()> {
        let call = Call::read(self.client, OpCode::Sync, self.path).deadline(self.deadline);
        sync(call)
    }
}

operation!(SyncOp -> ());

/// Submits a sync, of its own or in front of a read.
pub(crate) fn sync(call: Call<'_>) -> Pending<()> {
    let record = SyncRequest {
        path: call.wire_path(),
    };
    call.submit(&record, |reply, _| reply.body().map(drop))
}
