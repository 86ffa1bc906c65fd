//! Transactions, as each member applies them in order.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use zk_proto::{Acl, ErrorCode, OpCode, SessionId, Xid, Zxid};

/// One change to the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A node was created.
    Create {
        /// Its path, with its number if it is sequential.
        path: Box<str>,
        /// Its data; null is not empty.
        data: Option<Bytes>,
        /// Its ACL.
        acl: Arc<[Acl]>,
        /// [`Stat::ephemeral_owner`](zk_proto::Stat::ephemeral_owner).
        owner: i64,
        /// Number of children that its parent ever had, this one included.
        creates: i32,
    },
    /// A node was deleted.
    Delete {
        /// Its path.
        path: Box<str>,
    },
    /// A node's data was set.
    SetData {
        /// Its path.
        path: Box<str>,
        /// Its new data; null is not empty.
        data: Option<Bytes>,
        /// Its new version.
        version: i32,
    },
    /// A node's ACL was set.
    SetAcl {
        /// Its path.
        path: Box<str>,
        /// Its new ACL.
        acl: Arc<[Acl]>,
        /// Its new ACL version.
        aversion: i32,
    },
    /// A node had the required version.
    Check {
        /// Its path.
        path: Box<str>,
    },
}

impl Change {
    /// The node.
    pub fn path(&self) -> &str {
        match self {
            Self::Create { path, .. }
            | Self::Delete { path }
            | Self::SetData { path, .. }
            | Self::SetAcl { path, .. }
            | Self::Check { path } => path,
        }
    }
}

/// A transaction. A refused write is one too: it takes a zxid and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Txn {
    /// Its number.
    pub zxid: Zxid,
    /// When it was made, in milliseconds since the Unix epoch.
    pub time: i64,
    /// The session of the request; [`SessionId::NONE`] for the server's own transactions.
    pub session: SessionId,
    /// The request's number on its connection; 0 for the server's own transactions.
    pub xid: Xid,
    /// The operation of the request.
    pub op: OpCode,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// Why it was refused.
    pub error: Option<ErrorCode>,
}

/// The last transactions.
#[derive(Debug, Default)]
pub(crate) struct Log {
    limit: usize,
    txns: VecDeque<Arc<Txn>>,
}

impl Log {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            txns: VecDeque::new(),
        }
    }

    pub(crate) fn push(&mut self, txn: Arc<Txn>) {
        if self.limit == 0 {
            return;
        }
        if self.txns.len() == self.limit {
            self.txns.pop_front();
        }
        self.txns.push_back(txn);
    }

    /// Removes the transactions after `zxid`.
    pub(crate) fn truncate(&mut self, zxid: Zxid) {
        let first = self.txns.partition_point(|txn| txn.zxid <= zxid);
        self.txns.truncate(first);
    }

    pub(crate) fn after(&self, zxid: Zxid) -> Vec<Arc<Txn>> {
        let first = self.txns.partition_point(|txn| txn.zxid <= zxid);
        self.txns.range(first..).cloned().collect()
    }
}
