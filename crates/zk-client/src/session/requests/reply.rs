//! What a caller gets for a request.

use bytes::Bytes;
use zk_proto::{ErrorCode, Xid, Zxid};

use crate::session::failure::Failure;
use crate::session::watches::SubId;

/// A server's answer, not decoded yet.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) result: Result<Bytes, ErrorCode>,
    /// The watch that was set.
    pub(crate) watch: Option<SubId>,
    /// None if no server has answered this request by itself.
    pub(crate) seen: Option<Seen>,
}

/// The numbers of a reply, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) xid: Xid,
    pub(crate) zxid: Zxid,
}

/// The end of a request, as its caller gets it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) result: Result<Reply, Box<Failure>>,
    /// The path as the caller gave it; empty if a request other than a transaction or `addWatch`
    /// succeeded.
    pub(crate) path: String,
}
