//! Replacing a znode's data.

use std::time::Duration;

use zk_proto::records::{SetDataRequest, StatResponse};
use zk_proto::{OpCode, Stat};

use crate::client::Client;
use crate::ops::operation::operation;
use crate::ops::pending::{ANY_VERSION, Call, Pending};

/// Replaces a znode's data and returns its new stat.
///
/// # Errors
/// [`NoNode`](crate::ErrorKind::NoNode), [`BadVersion`](crate::ErrorKind::BadVersion),
/// [`NoAuth`](crate::ErrorKind::NoAuth), [`RequestTooLarge`](crate::ErrorKind::RequestTooLarge).
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Set<'a, D> {
    pub(crate) client: &'a Client,
    pub(crate) path: &'a str,
    pub(crate) data: D,
    pub(crate) version: i32,
    pub(crate) deadline: Option<Duration>,
}

impl<'a, D: AsRef<[u8]>> Set<'a, D> {
    pub(crate) fn new(client: &'a Client, path: &'a str, data: D) -> Self {
        Set {
            client,
            path,
            data,
            version: ANY_VERSION,
            deadline: None,
        }
    }

    /// Only if the znode's data have this version; otherwise
    /// [`BadVersion`](crate::ErrorKind::BadVersion).
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Stat> {
        let record = SetDataRequest {
            path: self.client.root().wire(self.path),
            data: Some(self.data.as_ref()),
            version: self.version,
        };
        Call::write(self.client, OpCode::SetData, self.path)
            .deadline(self.deadline)
            .submit(&record, |reply, _| Ok(reply.decode::<StatResponse>()?.stat))
    }
}

operation!(Set<D> -> Stat);
