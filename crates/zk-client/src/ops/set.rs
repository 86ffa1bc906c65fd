//! Replacing a znode's data.

use std::time::Duration;

use zk_proto::records::{SetDataRequest, StatResponse};
use zk_proto::{OpCode, Stat};

use crate::client::Client;
use crate::ops::operation::operation;
use crate::ops::pending::{ANY_VERSION, Call, Pending};

/// Replaces a znode's data and returns its new stat.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// use zk_client::{ErrorKind, RetryPolicy};
///
/// zk.create("/config", "v1").await?;
/// let (_, stat) = zk.get("/config").await?;
/// // Unless another client was faster. If the reply is lost, the retry finds out whether the set took effect.
/// let policy = RetryPolicy::new();
/// let set = zk.set("/config", "v2").version(stat.version).retry(&policy).await?;
/// assert_eq!(set.version, stat.version + 1);
///
/// let error = zk.set("/config", "v3").version(stat.version).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::BadVersion);
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
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
    /// The data are null.
    pub(crate) null: bool,
    pub(crate) deadline: Option<Duration>,
}

impl<'a, D: AsRef<[u8]>> Set<'a, D> {
    pub(crate) fn new(client: &'a Client, path: &'a str, data: D) -> Self {
        Set {
            client,
            path,
            data,
            version: ANY_VERSION,
            null: false,
            deadline: None,
        }
    }

    /// Only if the znode's data have this version; otherwise
    /// [`BadVersion`](crate::ErrorKind::BadVersion).
    #[doc(alias = "withVersion")]
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// Writes null, which is no data, in place of the given data; see
    /// [`Create::null`](crate::Create::null).
    pub fn null(mut self) -> Self {
        self.null = true;
        self
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Stat> {
        Call::write(self.client, OpCode::SetData, self.path)
            .deadline(self.deadline)
            .submit(&self.record(), |reply, _| {
                Ok(reply.decode::<StatResponse>()?.stat)
            })
    }

    pub(crate) fn record(&self) -> SetDataRequest<'_> {
        SetDataRequest {
            path: self.client.root().wire(self.path),
            data: (!self.null).then_some(self.data.as_ref()),
            version: self.version,
        }
    }
}

operation!(Set<D> -> Stat);
