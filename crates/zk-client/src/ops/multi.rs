//! Several operations in one request.

use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zk_proto::records::{
    CheckVersionRequest, Children, DeleteRequest, GetChildrenRequest, GetDataRequest, MultiHeader,
    MultiOp, MultiResponse, MultiResult, SetDataRequest,
};
use zk_proto::{CreateMode, Decoder, Encode, ErrorCode, OpCode, Stat};

use crate::client::Client;
use crate::error::{Error, Outcome, Result};
use crate::ops::create::{Create, strip};
use crate::ops::operation::operation;
use crate::ops::pending::{ANY_VERSION, Call, Pending, validate};
use crate::session::requests::Reply;

/// What an operation of a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpResult {
    /// A znode was created.
    Created {
        /// Its path, with the number that the server gave to a sequential znode.
        path: String,
        /// Its stat; `None` from servers before 3.9 (ZOOKEEPER-4026).
        stat: Option<Stat>,
    },
    /// A znode's data were set.
    Set(Stat),
    /// A znode was deleted.
    Deleted,
    /// The znode had the version.
    Checked,
}

/// Several writes that take effect together or not at all.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client, version: i32) -> zk_client::Result<()> {
/// let results = zk
///     .multi()
///     .check("/config", version)
///     .set("/config/a", "1")
///     .create("/config/b", "2")
///     .commit()
///     .await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// That of the first operation that fails, of which [`Error::failed_op`] is the index; none of them
/// took effect then. With [`Outcome::Unknown`] either all took effect or none. An empty transaction
/// succeeds without a request (ZOOKEEPER-3895).
///
/// # Cancel safety
/// Dropping the future does not stop a transaction that is on the wire.
#[derive(Debug)]
#[must_use = "transactions do nothing unless committed"]
pub struct Multi<'a> {
    client: &'a Client,
    ops: Ops,
    deadline: Option<Duration>,
}

/// Operations, encoded as they are added.
#[derive(Debug, Default)]
struct Ops {
    encoded: BytesMut,
    sent: Sent,
    /// The error of the first invalid operation.
    invalid: Option<Error>,
}

/// What is kept of the operations to decode their results.
#[derive(Debug, Default)]
struct Sent {
    kinds: Vec<OpCode>,
    /// The paths, with commas in between.
    paths: String,
    /// Where in `paths` the path of each operation is.
    spans: Vec<Range<usize>>,
}

impl Ops {
    fn push(&mut self, path: &str, op: &MultiOp<'_>) {
        self.push_checked(path, validate(OpCode::Multi, path, false), op);
    }

    fn push_checked(&mut self, path: &str, valid: Result<()>, op: &MultiOp<'_>) {
        if let Err(error) = valid {
            self.refuse(error);
        }
        op.encode(&mut self.encoded);
        self.sent.push(op.op_code(), path);
    }

    fn refuse(&mut self, error: Error) {
        self.invalid.get_or_insert(error);
    }

    /// Puts the operations on the wire as one request; `read` turns their results into its output.
    fn submit<T: Default + 'static>(
        mut self,
        call: Call<'_>,
        op: OpCode,
        read: fn(&Sent, MultiResponse, &Client) -> Result<T>,
    ) -> Pending<T> {
        let client = call.client;
        if let Some(error) = self.invalid {
            return Pending::failed(client, op, error, |_, _| Ok(T::default()));
        }
        if self.sent.kinds.is_empty() {
            return Pending::answered(client, op, |_, _| Ok(T::default()));
        }
        MultiHeader::END.encode(&mut self.encoded);
        let (record, sent) = (Encoded(self.encoded), self.sent);
        let paths = sent.paths.clone();
        let call = Call {
            path: &paths,
            ..call
        };
        call.with_ops(&sent.kinds)
            .submit_with(&record, move |reply, client| {
                read(&sent, sent.response(reply)?, client)
            })
    }
}

impl Sent {
    fn push(&mut self, op: OpCode, path: &str) {
        self.kinds.push(op);
        if !self.paths.is_empty() {
            self.paths.push_str(", ");
        }
        let start = self.paths.len();
        self.paths.push_str(path);
        self.spans.push(start..self.paths.len());
    }

    fn path(&self, index: usize) -> &str {
        let span = self.spans.get(index).cloned();
        span.and_then(|span| self.paths.get(span))
            .unwrap_or_default()
    }

    /// The results, each of which must fit its operation.
    fn response(&self, reply: &Reply) -> Result<MultiResponse> {
        let (body, kinds) = (reply.body()?, &self.kinds);
        let response = MultiResponse::decode_at_most(&mut Decoder::new(body), kinds.len())
            .map_err(Error::malformed)?;
        if response.results.len() != kinds.len() {
            return Err(Error::unexpected(
                "the reply has fewer results than the request had operations",
            ));
        }
        let mut pairs = response.results.iter().zip(kinds);
        if pairs.all(|(result, op)| answers(result, *op)) {
            Ok(response)
        } else {
            Err(Error::unexpected(
                "the reply has the result of another operation than the request had in its place",
            ))
        }
    }
}

struct Encoded(BytesMut);

impl Encode for Encoded {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }
}

impl<'a> Multi<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Multi {
            client,
            ops: Ops::default(),
            deadline: None,
        }
    }

    /// Fails the transaction unless the znode's data have this version; −1 for any, which only
    /// requires that it exists.
    pub fn check(mut self, path: &str, version: i32) -> Self {
        let request = CheckVersionRequest {
            path: self.client.root().wire(path),
            version,
        };
        self.ops.push(path, &MultiOp::Check(request));
        self
    }

    /// Creates a persistent znode with the client's default ACL.
    pub fn create(self, path: &str, data: impl AsRef<[u8]>) -> Self {
        self.create_mode(path, data, CreateMode::Persistent)
    }

    /// Creates a znode with the client's default ACL. [`create_as`](Self::create_as) has all other
    /// options, a TTL among them.
    pub fn create_mode(self, path: &str, data: impl AsRef<[u8]>, mode: CreateMode) -> Self {
        let create = self.client.create(path, data).mode(mode);
        self.create_as(create)
    }

    /// Creates a znode as the builder says: `tx.create_as(zk.create("/a", "x").ttl(day).acl(acl))`.
    /// Its deadline is the transaction's.
    pub fn create_as<D: AsRef<[u8]>>(mut self, create: Create<'_, D>) -> Self {
        let valid = validate(OpCode::Multi, create.path, create.is_sequential());
        match create.op(create.path) {
            Ok(op) => self.ops.push_checked(create.path, valid, &op),
            Err(error) => self.ops.refuse(error.at(OpCode::Multi, create.path)),
        }
        self
    }

    /// Replaces a znode's data, whatever their version.
    pub fn set(self, path: &str, data: impl AsRef<[u8]>) -> Self {
        self.set_version(path, data, ANY_VERSION)
    }

    /// Replaces a znode's data if they have this version.
    pub fn set_version(mut self, path: &str, data: impl AsRef<[u8]>, version: i32) -> Self {
        let request = SetDataRequest {
            path: self.client.root().wire(path),
            data: Some(data.as_ref()),
            version,
        };
        self.ops.push(path, &MultiOp::SetData(request));
        self
    }

    /// Deletes a znode, whatever its version.
    pub fn delete(self, path: &str) -> Self {
        self.delete_version(path, ANY_VERSION)
    }

    /// Deletes a znode if its data have this version.
    pub fn delete_version(mut self, path: &str, version: i32) -> Self {
        let request = DeleteRequest {
            path: self.client.root().wire(path),
            version,
        };
        self.ops.push(path, &MultiOp::Delete(request));
        self
    }

    /// Puts the transaction on the wire. Its results are those of its operations, in order.
    #[doc(alias = "submit")]
    pub fn commit(self) -> Pending<Vec<OpResult>> {
        let call = Call::write(self.client, OpCode::Multi, "")
            .without_path_check()
            .deadline(self.deadline);
        self.ops.submit(call, OpCode::Multi, written)
    }
}

operation!(Multi -> Vec<OpResult>; commit);

fn written(sent: &Sent, response: MultiResponse, client: &Client) -> Result<Vec<OpResult>> {
    if let Some(error) = failure(&response) {
        return Err(match error.failed_op() {
            Some(index) => error.at(OpCode::Multi, sent.path(index)),
            None => error,
        });
    }
    response
        .results
        .into_iter()
        .map(|result| op_result(result, client))
        .collect()
}

/// Why the transaction failed, if it did.
fn failure(response: &MultiResponse) -> Option<Error> {
    let (index, code) = response.failure()?;
    let is_error = |result: &MultiResult| matches!(result, MultiResult::Error(_));
    if !response.results.iter().all(is_error) {
        return Some(Error::unexpected(
            "in the reply, some operations of the transaction took effect and others failed",
        ));
    }
    let error = Error::answered(code);
    Some(match error.outcome() {
        Outcome::Rejected => error.with_failed_op(index),
        _ => error,
    })
}

/// Whether this can be the result of that operation.
fn answers(result: &MultiResult, op: OpCode) -> bool {
    match result {
        MultiResult::Create { .. } | MultiResult::Create2 { .. } => matches!(
            op,
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl
        ),
        MultiResult::SetData { .. } => op == OpCode::SetData,
        MultiResult::Delete => op == OpCode::Delete,
        MultiResult::Check => op == OpCode::Check,
        MultiResult::GetData { .. } => op == OpCode::GetData,
        MultiResult::Children { .. } => op == OpCode::GetChildren,
        MultiResult::Error(_) => true,
    }
}

fn op_result(result: MultiResult, client: &Client) -> Result<OpResult> {
    Ok(match result {
        MultiResult::Create { path } => OpResult::Created {
            path: strip(client, path),
            stat: None,
        },
        MultiResult::Create2 { path, stat } => OpResult::Created {
            path: strip(client, path),
            stat: Some(stat),
        },
        MultiResult::SetData { stat } => OpResult::Set(stat),
        MultiResult::Delete => OpResult::Deleted,
        MultiResult::Check => OpResult::Checked,
        MultiResult::GetData { .. } | MultiResult::Children { .. } | MultiResult::Error(_) => {
            return Err(Error::unexpected(
                "a transaction was answered with the result of a read",
            ));
        }
    })
}

/// Several reads in one request, each with its own result. Needs servers of version 3.6 or newer.
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
    ops: Ops,
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
            ops: Ops::default(),
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

fn read(_: &Sent, response: MultiResponse, _: &Client) -> Result<Vec<ReadResult>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn failure_of(codes: &[i32]) -> Error {
        let results = codes.iter().map(|code| MultiResult::Error(*code)).collect();
        failure(&MultiResponse { results }).unwrap()
    }

    /// Guards: M2.
    #[test]
    fn a_transaction_is_refused_by_a_refusal_only() {
        for codes in [
            [0, -101, -2],
            [-101, -2, -2],
            [-2, -2, -101],
            [-2, -101, -2],
        ] {
            let error = failure_of(&codes);
            let index = codes.iter().position(|code| *code == -101);
            assert_eq!(
                (error.kind(), error.failed_op()),
                (ErrorKind::NoNode, index)
            );
            assert_eq!(error.outcome(), Outcome::Rejected);
        }
        for code in [-1, -2, -4, -7, -122, -999] {
            for codes in [[0, code, -2], [-2, -2, code]] {
                let error = failure_of(&codes);
                assert_eq!(error.outcome(), Outcome::Unknown, "{codes:?}");
                assert_eq!(error.failed_op(), None, "{codes:?}");
                assert_eq!(error.code().unwrap().code(), code, "{codes:?}");
            }
        }
    }

    #[test]
    fn a_transaction_in_parts_is_unknown() {
        let results = vec![MultiResult::Delete, MultiResult::Error(-101)];
        let error = failure(&MultiResponse { results }).unwrap();
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert_eq!(error.kind(), ErrorKind::MalformedReply);
    }
}
