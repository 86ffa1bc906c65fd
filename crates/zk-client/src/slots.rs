//! The requests that someone waits for.
//!
//! A slot is shared by the caller's future, which owns it, and by the queue that holds its key: the
//! link's requests in flight, or the requests parked until there is a connection. It is free again
//! when both have let go. Slots and the buffers in them are reused, so a request allocates nothing
//! here once the table has grown.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use zk_proto::{ErrorCode, OpCode};
use zk_transport::Disconnect;

use crate::Outcome;
use crate::watch::{SubId, WatchKind};

/// Buffers that grew beyond this are given back when their slot is freed.
const KEEP_RECORD: usize = 1024;

/// Index of a slot in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SlotKey(u32);

/// The watch that a request sets if it succeeds.
#[derive(Debug, Clone)]
pub(crate) struct WatchIntent {
    pub(crate) kind: WatchKind,
    /// The full path, chroot included.
    pub(crate) path: Arc<str>,
    /// Whether the request was changed as a precaution, and does not ask for just this.
    pub(crate) changed: bool,
}

/// A server's answer, not decoded yet.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) result: Result<Bytes, ErrorCode>,
    /// The watch that was set.
    pub(crate) watch: Option<SubId>,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    ConnectionLost(Disconnect, Outcome),
    SessionExpired(Outcome),
    DeadlineExceeded(Outcome),
    AuthFailed(Outcome),
    Closed(Outcome),
    QueueFull,
    RequestTooLarge { size: usize, limit: usize },
    ReplyTooLarge { size: usize, limit: usize },
}

/// What a caller gets.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) result: Result<Reply, Failure>,
    /// The path as the caller gave it; empty if a request other than a transaction succeeded.
    pub(crate) path: String,
}

impl Failure {
    /// The same failure, of a request that was sent.
    pub(crate) fn of_unknown_outcome(self) -> Self {
        match self {
            Failure::SessionExpired(_) => Failure::SessionExpired(Outcome::Unknown),
            Failure::AuthFailed(_) => Failure::AuthFailed(Outcome::Unknown),
            Failure::Closed(_) => Failure::Closed(Outcome::Unknown),
            other => other,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) op: OpCode,
    /// Whether the request may be sent again on another connection, or session.
    pub(crate) replay: bool,
    pub(crate) watch: Option<WatchIntent>,
    pub(crate) deadline: Option<Instant>,
    /// The path as the caller gave it, for errors.
    path: String,
    /// The encoded record of a request that may have to be sent again, or has yet to be sent.
    pub(crate) record: BytesMut,
    /// Whether a future waits for the answer.
    owned: bool,
    /// Whether the link or the parked queue holds the key.
    queued: bool,
    waker: Option<Waker>,
    result: Option<Result<Reply, Failure>>,
}

impl Slot {
    /// Whether the answer still matters to someone.
    pub(crate) fn is_wanted(&self) -> bool {
        self.owned && self.result.is_none()
    }

    /// Whether its owner has been told, or is to be told, that it failed.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.result, Some(Err(_)))
    }
}

/// The table of slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<SlotKey>,
}

impl Slots {
    /// Slots in use.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A slot that is owned and queued. Its record buffer is empty.
    pub(crate) fn insert(
        &mut self,
        op: OpCode,
        path: &str,
        replay: bool,
        watch: Option<WatchIntent>,
        deadline: Option<Instant>,
    ) -> SlotKey {
        let recycled = self.free.pop();
        let (mut kept_path, record) = match recycled.and_then(|key| self.get_mut(key)) {
            Some(slot) => (
                std::mem::take(&mut slot.path),
                std::mem::take(&mut slot.record),
            ),
            None => (String::new(), BytesMut::new()),
        };
        kept_path.push_str(path);
        let slot = Slot {
            path: kept_path,
            op,
            replay,
            watch,
            deadline,
            record,
            owned: true,
            queued: true,
            waker: None,
            result: None,
        };
        match recycled {
            Some(key) => {
                if let Some(place) = self.get_mut(key) {
                    *place = slot;
                }
                key
            }
            None => {
                // The queue limit of a client is far below what u32 counts.
                let key = SlotKey(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
                self.slots.push(slot);
                key
            }
        }
    }

    pub(crate) fn get_mut(&mut self, key: SlotKey) -> Option<&mut Slot> {
        self.slots.get_mut(key.0 as usize)
    }

    pub(crate) fn get(&self, key: SlotKey) -> Option<&Slot> {
        self.slots.get(key.0 as usize)
    }

    /// Gives the answer to the slot's owner. An answer that came too late is returned.
    pub(crate) fn complete(
        &mut self,
        key: SlotKey,
        result: Result<Reply, Failure>,
        wakes: &mut Vec<Waker>,
    ) -> Option<Result<Reply, Failure>> {
        let slot = self.get_mut(key)?;
        if !slot.is_wanted() {
            return Some(result);
        }
        slot.result = Some(result);
        slot.deadline = None;
        wakes.extend(slot.waker.take());
        None
    }

    /// The link or the parked queue lets go of the key.
    pub(crate) fn unqueue(&mut self, key: SlotKey) {
        if let Some(slot) = self.get_mut(key) {
            slot.queued = false;
            self.free_if_done(key);
        }
    }

    /// Takes the answer, and with it the slot; or waits for it. A failure comes with the path.
    ///
    /// A waker that is replaced is woken, not dropped: dropping one can drop a task and the request
    /// it holds, and that wants the lock.
    pub(crate) fn poll(
        &mut self,
        key: SlotKey,
        waker: &Waker,
        wakes: &mut Vec<Waker>,
    ) -> Option<Answer> {
        let slot = self.get_mut(key)?;
        match slot.result.take() {
            Some(result) => {
                let path = match &result {
                    // A transaction that failed is answered with success.
                    Ok(Reply { result: Ok(_), .. }) if slot.op != OpCode::Multi => String::new(),
                    _ => slot.path.clone(),
                };
                slot.owned = false;
                self.free_if_done(key);
                Some(Answer { result, path })
            }
            None => {
                if !slot
                    .waker
                    .as_ref()
                    .is_some_and(|known| known.will_wake(waker))
                {
                    wakes.extend(slot.waker.replace(waker.clone()));
                }
                None
            }
        }
    }

    /// The owner no longer wants the answer. One that was there already is returned.
    pub(crate) fn disown(
        &mut self,
        key: SlotKey,
        wakes: &mut Vec<Waker>,
    ) -> Option<Result<Reply, Failure>> {
        let slot = self.get_mut(key)?;
        slot.owned = false;
        wakes.extend(slot.waker.take());
        slot.deadline = None;
        let result = slot.result.take();
        self.free_if_done(key);
        result
    }

    /// The keys of the slots whose deadline has passed, and the earliest deadline of the others.
    pub(crate) fn overdue(&self, now: Instant) -> (Vec<SlotKey>, Option<Instant>) {
        let mut overdue = Vec::new();
        let mut next = None;
        for (slot, index) in self.slots.iter().zip(0..) {
            match slot.deadline {
                Some(deadline) if deadline <= now => overdue.push(SlotKey(index)),
                Some(deadline) => {
                    next = Some(next.map_or(deadline, |next: Instant| next.min(deadline)));
                }
                None => {}
            }
        }
        (overdue, next)
    }

    fn free_if_done(&mut self, key: SlotKey) {
        let Some(slot) = self.get_mut(key) else {
            return;
        };
        if slot.owned || slot.queued {
            return;
        }
        slot.watch = None;
        slot.deadline = None;
        slot.result = None;
        slot.waker = None;
        slot.path.clear();
        slot.record.clear();
        if slot.record.capacity() > KEEP_RECORD {
            slot.record = BytesMut::new();
        }
        self.free.push(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Result<Reply, Failure> {
        Ok(Reply {
            result: Ok(Bytes::new()),
            watch: None,
        })
    }

    #[test]
    fn a_slot_is_free_when_both_sides_have_let_go() {
        let mut slots = Slots::default();
        let key = slots.insert(OpCode::Exists, "/a", true, None, None);
        assert!(slots.complete(key, reply(), &mut Vec::new()).is_none());
        slots.unqueue(key);
        assert_eq!(slots.len(), 1);
        assert!(slots.poll(key, Waker::noop(), &mut Vec::new()).is_some());
        assert_eq!(slots.len(), 0);
        assert_eq!(slots.insert(OpCode::Exists, "/a", true, None, None), key);
    }

    #[test]
    fn an_answer_nobody_wants_comes_back() {
        let mut slots = Slots::default();
        let key = slots.insert(OpCode::Exists, "/a", true, None, None);
        assert!(slots.disown(key, &mut Vec::new()).is_none());
        assert_eq!(slots.len(), 1, "the link still holds the key");
        assert!(slots.complete(key, reply(), &mut Vec::new()).is_some());
        slots.unqueue(key);
        assert_eq!(slots.len(), 0);
    }

    #[test]
    fn the_first_answer_counts() {
        let mut slots = Slots::default();
        let key = slots.insert(OpCode::Exists, "/a", true, None, None);
        let late = Err(Failure::DeadlineExceeded(Outcome::Unknown));
        assert!(slots.complete(key, late, &mut Vec::new()).is_none());
        assert!(slots.complete(key, reply(), &mut Vec::new()).is_some());
    }
}
