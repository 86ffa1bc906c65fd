//! What three sessions do: a list of steps.

use std::fmt;

use bytes::{BufMut, BytesMut};
use zk_proto::records::*;
use zk_proto::{Encode, OpCode};

pub(crate) const SLOTS: usize = 3;

/// More than a server copies.
pub(crate) const LONG: [u8; 1_100] = [7; 1_100];

/// One step of one of the sessions.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) slot: usize,
    pub(crate) action: Action,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Call(Call),
    SetWatches {
        op: OpCode,
        since: Since,
        /// Data, exist, child, persistent, recursive.
        lists: [Vec<String>; 5],
    },
    /// The connection ends, the session does not.
    Disconnect,
    /// Another connection for the session; one that there is must give way.
    Resume(Resume),
    Close,
    /// The connection ends, and the time of the session as well.
    Expire,
}

/// The zxid from which on a session requests what it missed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Since {
    Beginning,
    Seen,
    Future,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Resume {
    /// As a client does it, with or without the byte that says whether read-only will do.
    Honest(Option<bool>),
    WrongPassword,
    /// Having seen more than the server has.
    Ahead,
    UnknownSession,
    /// Asking for the longest timeout there is.
    Longest,
}

/// A request, ready to be sent.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) op: i32,
    pub(crate) body: Vec<u8>,
    pub(crate) shown: String,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Call {
    pub(crate) fn new(op: OpCode, record: &(impl Encode + fmt::Debug)) -> Self {
        let body = encode(record);
        let shown = format!("{op} {record:?}").replace(&format!("{:?}", LONG), "LONG");
        Self {
            op: op.code(),
            body,
            shown,
        }
    }

    pub(crate) fn raw(op: i32, body: Vec<u8>) -> Self {
        let shown = format!("operation {op} {body:?}");
        Self { op, body, shown }
    }

    /// Without a body.
    pub(crate) fn bare(op: OpCode) -> Self {
        Self::raw(op.code(), Vec::new())
    }
}

pub(crate) fn encode(record: &impl Encode) -> Vec<u8> {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    out.into()
}

/// Encodes the lists of paths of a `setWatches` or a `setWatches2`.
pub(crate) fn set_watches(op: OpCode, since: i64, lists: &[Vec<String>; 5]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_i64(since);
    let kinds = if op == OpCode::SetWatches { 3 } else { 5 };
    for list in &lists[..kinds] {
        let paths: Vec<_> = list.iter().map(Into::into).collect();
        PathList::put_list(&paths, &mut out);
    }
    out.into()
}
