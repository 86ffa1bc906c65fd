//! Transactions: several writes that take effect together or not at all.

use std::time::Duration;

use zk_proto::records::{CheckVersionRequest, DeleteRequest, MultiOp, MultiResponse, MultiResult};
use zk_proto::{CreateMode, OpCode, Stat};

use crate::client::Client;
use crate::error::{Error, Outcome, Result};
use crate::ops::create::{Create, strip};
use crate::ops::multi_body::OpList;
use crate::ops::operation::operation;
use crate::ops::pending::{ANY_VERSION, Call, Pending, validate};
use crate::ops::set::Set;

/// What an operation of a transaction did.
#[doc(alias = "CuratorTransactionResult")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpResult {
    /// A znode was created.
    Created {
        /// Its path, with the number that the server gave to a sequential znode.
        path: String,
        /// Its stat; `None` from servers before 3.9 (ZOOKEEPER-4026), and if the reply was lost and the
        /// znode has changed since ([`Multi::retry`]).
        stat: Option<Stat>,
    },
    /// A znode's data were set.
    Set(Stat),
    /// A znode was deleted.
    Deleted,
    /// The znode had the version.
    Checked,
    /// The operation took effect, and its result was lost with the reply: the name of a sequential
    /// znode, or a stat that has changed since. Only of [`Multi::retry`].
    Applied,
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
/// Each method takes the transaction and returns it, so a loop assigns it:
///
/// ```no_run
/// # async fn run(zk: zk_client::Client, paths: &[&str]) -> zk_client::Result<()> {
/// let mut multi = zk.multi();
/// for path in paths {
///     multi = multi.delete(path);
/// }
/// multi.commit().await?;
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
#[doc(alias = "TransactionRequest")]
#[doc(alias = "CuratorOp")]
#[derive(Debug)]
#[must_use = "transactions do nothing unless committed"]
pub struct Multi<'a> {
    pub(crate) client: &'a Client,
    pub(crate) ops: OpList,
    pub(crate) deadline: Option<Duration>,
}

impl<'a> Multi<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Multi {
            client,
            ops: OpList::default(),
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
    pub fn set_version(self, path: &str, data: impl AsRef<[u8]>, version: i32) -> Self {
        let set = self.client.set(path, data).version(version);
        self.set_as(set)
    }

    /// Replaces a znode's data as the builder says: `tx.set_as(zk.set("/a", "").null())`. Its deadline
    /// is the transaction's.
    pub fn set_as<D: AsRef<[u8]>>(mut self, set: Set<'_, D>) -> Self {
        self.ops.push(set.path, &MultiOp::SetData(set.record()));
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
        submit(self.client, self.ops, self.deadline)
    }
}

/// Puts a transaction on the wire.
pub(crate) fn submit(
    client: &Client,
    ops: OpList,
    deadline: Option<Duration>,
) -> Pending<Vec<OpResult>> {
    let call = Call::write(client, OpCode::Multi, "")
        .without_path_check()
        .deadline(deadline);
    ops.submit(call, OpCode::Multi, written)
}

operation!(Multi -> Vec<OpResult>; commit);

fn written(response: MultiResponse, client: &Client) -> Result<Vec<OpResult>> {
    if let Some(error) = failure(&response) {
        return Err(error);
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
    fn only_a_refusal_refuses_a_transaction() {
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
