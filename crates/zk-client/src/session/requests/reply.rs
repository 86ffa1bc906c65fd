//! What a caller gets for a request.

use bytes::Bytes;
use zk_proto::{Decode, ErrorCode, Xid, Zxid, decode_frame};

use crate::error::{Error, Result};
use crate::session::failure::Failure;
use crate::session::watches::SubId;

/// A server's answer, not decoded yet.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) result: Result<Bytes, ErrorCode>,
    /// The watch that was set.
    pub(crate) watch: Option<SubId>,
    /// None if no server has answered this request by itself.
    pub(crate) seen: Option<ReplyIds>,
}

impl Reply {
    /// The record of the reply.
    ///
    /// # Errors
    /// The server answered with an error code, or the record is malformed.
    pub(crate) fn decode<'a, T: Decode<'a>>(&'a self) -> Result<T> {
        decode_frame(self.body()?, 0).map_err(Error::malformed)
    }

    /// The undecoded record of the reply.
    ///
    /// # Errors
    /// The server answered with an error code.
    pub(crate) fn body(&self) -> Result<&Bytes> {
        self.result.as_ref().map_err(|code| Error::answered(*code))
    }
}

/// The xid and the zxid of a reply, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyIds {
    pub(crate) xid: Xid,
    pub(crate) zxid: Zxid,
}

/// The end of a request, as its caller gets it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) result: Result<Reply, Box<Failure>>,
    /// The path as the caller gave it; empty if the request succeeded.
    pub(crate) path: String,
}
