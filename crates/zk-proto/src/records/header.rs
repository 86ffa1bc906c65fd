//! The headers in front of every request and reply, the handshake aside.

use crate::error_code::ErrorCode;
use crate::ids::{Xid, Zxid};
use crate::jute::record::record;
use crate::op::OpCode;

record! {
    /// In front of a request.
    #[derive(Copy)]
    pub struct RequestHeader {
        /// The request's number on its connection, or one of [`xid`](crate::ids::xid).
        pub xid: Xid,
        /// The operation, as [`OpCode::code`] numbers it. Raw, so that a server can answer a number
        /// that it does not know.
        pub op: i32,
    }
}

impl RequestHeader {
    /// Encoded size in bytes.
    pub const LEN: usize = 8;

    /// A header for `op`.
    pub fn new(xid: Xid, op: OpCode) -> Self {
        Self { xid, op: op.code() }
    }

    /// The operation; `None` for a number that this crate does not know.
    pub fn op_code(&self) -> Option<OpCode> {
        OpCode::from_i32(self.op)
    }
}

record! {
    /// In front of a reply or a watch event. A reply with an error has no body.
    #[derive(Copy)]
    pub struct ReplyHeader {
        /// The request's number, or one of [`xid`](crate::ids::xid).
        pub xid: Xid,
        /// The last transaction the server has applied. Not positive in replies that carry none
        /// (`auth`, unknown operations, most events): a client must not take such a value for the last
        /// zxid it has seen.
        pub zxid: Zxid,
        /// 0 for success.
        pub err: i32,
    }
}

impl ReplyHeader {
    /// Encoded size in bytes.
    pub const LEN: usize = 16;

    /// The error, if the reply is one.
    pub fn error(&self) -> Option<ErrorCode> {
        ErrorCode::from_i32(self.err)
    }
}
