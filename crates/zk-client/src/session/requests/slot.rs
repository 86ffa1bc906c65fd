//! One request, from its submission until its caller and its queue have let go of it.

use std::task::Waker;
use std::time::Instant;

use bytes::BytesMut;
use zk_proto::OpCode;

use crate::session::abilities::op_set::OpSet;
use crate::session::abilities::request_form::PlainCreate;
use crate::session::failure::{Failure, Replay};
use crate::session::requests::reply::Reply;
use crate::session::watches::WatchIntent;

/// A buffer that grew beyond this is released when its slot is freed.
const MAX_IDLE_RECORD: usize = 1024;

/// Index of a slot in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SlotKey(pub(super) u32);

/// One request.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) op: OpCode,
    /// The operations it needs that not every server has.
    pub(crate) needs: OpSet,
    /// Those of `needs` that are in the form in which it was sent.
    pub(crate) sent_ops: OpSet,
    /// It was sent as a creation that is answered without a stat.
    pub(crate) plain: Option<Box<PlainCreate>>,
    pub(crate) replay: Replay,
    pub(crate) watch: Option<WatchIntent>,
    pub(crate) deadline: Option<Instant>,
    /// The path as the caller gave it, for errors.
    pub(super) path: String,
    /// The encoded record of a request that may have to be sent again, or has yet to be sent.
    pub(crate) record: BytesMut,
    /// Whether a future waits for the answer.
    pub(super) owned: bool,
    /// Whether the link or the parked queue holds the key.
    pub(super) queued: bool,
    pub(super) waker: Option<Waker>,
    pub(super) result: Option<Result<Reply, Box<Failure>>>,
    /// Whether it has failed; the failure may have been taken.
    pub(super) failed: bool,
    /// Whether it waits for the next connection, although there is one.
    pub(crate) held_back: bool,
    /// Whether it comes before what was in flight when the connection ended.
    pub(crate) goes_first: bool,
    /// Whether it was sent over an earlier connection and not answered.
    pub(crate) was_sent: bool,
    /// Connections that the server closed when this request was to be answered next.
    pub(crate) losses: u32,
    /// The size of its record, as long as the queue holds the record.
    pub(super) bytes: usize,
}

impl Slot {
    /// A slot without a request.
    pub(super) fn free() -> Self {
        Slot {
            op: OpCode::Ping,
            needs: OpSet::NONE,
            sent_ops: OpSet::NONE,
            plain: None,
            replay: Replay::Never,
            watch: None,
            deadline: None,
            path: String::new(),
            record: BytesMut::new(),
            owned: false,
            queued: false,
            waker: None,
            result: None,
            failed: false,
            held_back: false,
            goes_first: false,
            was_sent: false,
            losses: 0,
            bytes: 0,
        }
    }

    /// Whether a znode has been created, and only its stat is missing.
    fn is_created(&self) -> bool {
        self.plain.as_ref().is_some_and(|plain| plain.is_created())
    }

    #[cold]
    pub(super) fn forget_plain(&mut self) {
        self.plain = None;
    }

    /// Whether it is sent again when its reply did not come. A creation is, once the server has
    /// answered it: what is sent then is the read of its stat.
    pub(crate) fn replay(&self) -> Replay {
        match self.is_created() {
            true => Replay::Always,
            false => self.replay,
        }
    }

    /// Whether it must not be executed twice.
    pub(crate) fn is_write(&self) -> bool {
        self.replay().is_never()
    }

    /// The operation that is on the wire, or will be: that of the request, or the read of the stat of
    /// a znode that it has created.
    pub(crate) fn stage(&self) -> OpCode {
        match self.is_created() {
            true => OpCode::Exists,
            false => self.op,
        }
    }

    /// Whether a caller waits for the answer.
    pub(crate) fn is_awaited(&self) -> bool {
        self.owned && self.result.is_none()
    }

    /// Whether the link or the parked queue holds the key.
    pub(crate) fn is_queued(&self) -> bool {
        self.queued
    }

    #[inline]
    pub(super) fn complete(&mut self, result: Result<Reply, Box<Failure>>, wakes: &mut Vec<Waker>) {
        self.result = Some(result);
        self.deadline = None;
        wakes.extend(self.waker.take());
    }

    /// Drops the record, and its buffer if that is large.
    pub(super) fn clear_record(&mut self) {
        self.record.clear();
        if self.record.capacity() > MAX_IDLE_RECORD {
            self.record = BytesMut::new();
        }
    }

    /// Whether it has failed; the failure may have been taken.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }
}
