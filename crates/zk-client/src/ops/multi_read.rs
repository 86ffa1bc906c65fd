//! Several reads in one request.

use std::time::Duration;

use bytes::Bytes;
use zk_proto::records::{
    Children, GetChildrenRequest, GetDataRequest, MultiOp, MultiResponse, MultiResult,
};
use zk_proto::{ErrorCode, OpCode, Stat};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::ops::multi_body::OpList;
use crate::ops::operation::operation;
use crate::ops::pending::{Call, Pending};

/// Several reads in one request, each with its own result. Needs servers of version 3.6 or newer.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// use zk_client::ReadResult;
///
/// zk.create("/a", "1").await?;
/// let results = zk.multi_read().get("/a").children("/missing").await?;
/// assert!(matches!(&results[0], ReadResult::Data(data, _) if data == "1"));
/// assert!(matches!(results[1], ReadResult::Refused(_)));
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// Of the request as a whole; what is wrong with one read is in its result.
///
/// # Cancel safety
/// Dropping the future has no effect but that the reply is not seen.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct MultiRead<'a> {
    client: &'a Client,
    ops: OpList,
    deadline: Option<Duration>,
}

/// What one read of several gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadResult {
    /// A znode's data and stat. Null data are read as empty.
    Data(Bytes, Stat),
    /// The names of a znode's children.
    Children(Children),
    /// The server refused this read.
    Refused(ErrorCode),
}

impl<'a> MultiRead<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        MultiRead {
            client,
            ops: OpList::default(),
            deadline: None,
        }
    }

    /// Reads a znode's data.
    pub fn get(mut self, path: &str) -> Self {
        let request = GetDataRequest {
            path: self.client.root().wire(path),
            watch: false,
        };
        self.ops.push(path, &MultiOp::GetData(request));
        self
    }

    /// Reads the names of a znode's children.
    pub fn children(mut self, path: &str) -> Self {
        let request = GetChildrenRequest {
            path: self.client.root().wire(path),
            watch: false,
        };
        self.ops.push(path, &MultiOp::GetChildren(request));
        self
    }

    /// Puts the request on the wire. Its results are those of its reads, in order.
    pub fn submit(self) -> Pending<Vec<ReadResult>> {
        let call = Call::read(self.client, OpCode::MultiRead, "")
            .without_path_check()
            .deadline(self.deadline);
        self.ops.submit(call, OpCode::MultiRead, read)
    }
}

operation!(MultiRead -> Vec<ReadResult>);

fn read(response: MultiResponse, _: &Client) -> Result<Vec<ReadResult>> {
    response
        .results
        .into_iter()
        .map(|result| match result {
            MultiResult::GetData { data, stat } => {
                Ok(ReadResult::Data(data.unwrap_or_default(), stat))
            }
            MultiResult::Children { children } => Ok(ReadResult::Children(children)),
            MultiResult::Error(code) => match ErrorCode::from_i32(code) {
                Some(code) => Ok(ReadResult::Refused(code)),
                None => Err(Error::unexpected(
                    "a read was answered with an error that is none",
                )),
            },
            _ => Err(Error::unexpected(
                "a read was answered with the result of a write",
            )),
        })
        .collect()
}
