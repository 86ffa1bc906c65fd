//! The table of requests that have a caller or a place in a queue.
//!
//! A slot is shared by the caller's future, which owns it, and by the queue that holds its key: the
//! link's requests in flight, or the requests parked until there is a connection. The slot is free
//! again when both have let go. Slots and the buffers in them are reused, so a request allocates
//! nothing here once the table has grown.

use std::task::Waker;
use std::time::Instant;

use zk_proto::{ErrorCode, OpCode};

use crate::session::abilities::op_set::OpSet;
use crate::session::counters::Classes;
use crate::session::failure::{Failure, Replay};
use crate::session::requests::reply::{Answer, Reply};
use crate::session::requests::slot::{Slot, SlotKey};
use crate::session::wakers::{IDLE_CAPACITY, register};
use crate::session::watches::WatchIntent;

/// The table of slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<SlotKey>,
    /// The sizes of the records of all requests that the link or the parked queue holds, without
    /// those that wait for a connection and have no caller any more.
    bytes: usize,
    pub(crate) counts: Classes,
}

impl Slots {
    /// Slots in use.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A slot that is owned and queued. Its record buffer is empty.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        op: OpCode,
        needs: OpSet,
        path: &str,
        replay: Replay,
        watch: Option<WatchIntent>,
        deadline: Option<Instant>,
    ) -> SlotKey {
        self.counts.of(replay).submitted += 1;
        let key = self.free.pop().unwrap_or_else(|| {
            // The queue limit of a client is far below what u32 counts.
            let key = SlotKey(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
            self.slots.push(Slot::free());
            key
        });
        if let Some(slot) = self.get_mut(key) {
            slot.op = op;
            slot.needs = needs;
            slot.sent_ops = needs;
            slot.goes_first = false;
            slot.replay = replay;
            slot.watch = watch;
            slot.deadline = deadline;
            slot.path.push_str(path);
            slot.owned = true;
            slot.queued = true;
            slot.failed = false;
            slot.held_back = false;
            slot.was_sent = false;
            slot.losses = 0;
        }
        key
    }

    /// Bytes of requests that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The request's record has so many bytes, which are held until the queue lets go of the key.
    #[inline]
    pub(crate) fn hold_bytes(&mut self, key: SlotKey, bytes: usize) {
        if let Some(slot) = self.slots.get_mut(key.0 as usize) {
            slot.bytes = bytes;
            self.bytes += bytes;
        }
    }

    /// The request's record is not held any longer.
    #[inline]
    pub(crate) fn release_bytes(&mut self, key: SlotKey) {
        if let Some(slot) = self.slots.get_mut(key.0 as usize) {
            self.bytes -= std::mem::take(&mut slot.bytes);
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: SlotKey) -> Option<&mut Slot> {
        self.slots.get_mut(key.0 as usize)
    }

    pub(crate) fn get(&self, key: SlotKey) -> Option<&Slot> {
        self.slots.get(key.0 as usize)
    }

    /// Stores the server's answer for the caller. False if no caller waits for it.
    #[inline]
    pub(crate) fn answer(&mut self, key: SlotKey, reply: Reply, wakes: &mut Vec<Waker>) -> bool {
        let Some(slot) = self.slots.get_mut(key.0 as usize) else {
            return false;
        };
        if !slot.is_awaited() {
            return false;
        }
        let counts = self.counts.of(slot.replay);
        match (&reply.result, slot.op) {
            (Ok(_), _) | (Err(ErrorCode::NoNode), OpCode::Exists) => counts.answered += 1,
            (Err(code), _) if code.is_refusal() => counts.rejected += 1,
            (Err(_), _) => counts.unknown += 1,
        }
        slot.complete(Ok(reply), wakes);
        true
    }

    /// Stores for the caller why there is no answer. False if no caller waits for one.
    pub(crate) fn fail(&mut self, key: SlotKey, failure: Failure, wakes: &mut Vec<Waker>) -> bool {
        let Some(slot) = self.slots.get_mut(key.0 as usize) else {
            return false;
        };
        if !slot.is_awaited() {
            return false;
        }
        // The creation has happened; only the read of its stat has failed.
        if let Some((body, seen)) = slot.plain.as_ref().and_then(|plain| plain.answer(None)) {
            self.counts.of(slot.replay).answered += 1;
            let reply = Reply {
                result: Ok(body),
                watch: None,
                seen: Some(seen),
            };
            slot.complete(Ok(reply), wakes);
            return true;
        }
        self.counts.of(slot.replay).failed(&failure);
        slot.failed = true;
        slot.complete(Err(Box::new(failure)), wakes);
        true
    }

    /// The link or the parked queue lets go of the key.
    #[inline]
    pub(crate) fn unqueue(&mut self, key: SlotKey) {
        self.release_bytes(key);
        if let Some(slot) = self.get_mut(key) {
            slot.queued = false;
            self.free_if_done(key);
        }
    }

    /// Takes the answer, and with it the slot; or waits for it. A failure comes with the path.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        key: SlotKey,
        waker: &Waker,
        wakes: &mut Vec<Waker>,
    ) -> Option<Answer> {
        let slot = self.get_mut(key)?;
        let Some(result) = slot.result.take() else {
            register(&mut slot.waker, waker, wakes);
            return None;
        };
        let path = match &result {
            Ok(Reply { result: Ok(_), .. }) => String::new(),
            _ => slot.path.clone(),
        };
        slot.owned = false;
        self.free_if_done(key);
        Some(Answer { result, path })
    }

    /// The caller has dropped its future. Returns an answer that was there already.
    pub(crate) fn abandon(
        &mut self,
        key: SlotKey,
        wakes: &mut Vec<Waker>,
    ) -> Option<Result<Reply, Box<Failure>>> {
        let slot = self.slots.get_mut(key.0 as usize)?;
        if slot.is_awaited() {
            self.counts.of(slot.replay).dropped += 1;
        }
        slot.owned = false;
        wakes.extend(slot.waker.take());
        slot.deadline = None;
        // Without a caller it is not sent, nor sent again.
        slot.clear_record();
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

    /// Idle: releases the slots if none is in use.
    pub(crate) fn shrink_idle(&mut self) {
        if self.len() == 0 && self.slots.len() > IDLE_CAPACITY {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
    }

    #[inline]
    fn free_if_done(&mut self, key: SlotKey) {
        let Some(slot) = self.get_mut(key) else {
            return;
        };
        if slot.owned || slot.queued {
            return;
        }
        // Caller and queue have taken what else was in it.
        debug_assert!(slot.watch.is_none() && slot.deadline.is_none());
        debug_assert!(slot.waker.is_none() && slot.result.is_none());
        slot.path.clear();
        if slot.plain.is_some() {
            slot.forget_plain();
        }
        slot.clear_record();
        self.free.push(key);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::error::Outcome;

    fn reply() -> Reply {
        Reply {
            result: Ok(Bytes::new()),
            watch: None,
            seen: None,
        }
    }

    fn insert(slots: &mut Slots) -> SlotKey {
        let (op, replay) = (OpCode::Exists, Replay::Always);
        slots.insert(op, OpSet::NONE, "/a", replay, None, None)
    }

    #[test]
    fn a_slot_is_freed_by_both_holders() {
        let mut slots = Slots::default();
        let key = insert(&mut slots);
        assert!(slots.answer(key, reply(), &mut Vec::new()));
        slots.unqueue(key);
        assert_eq!(slots.len(), 1);
        assert!(slots.poll(key, Waker::noop(), &mut Vec::new()).is_some());
        assert_eq!(slots.len(), 0);
        assert_eq!(insert(&mut slots), key);
    }

    #[test]
    fn a_reply_without_a_caller_is_dropped() {
        let mut slots = Slots::default();
        let key = insert(&mut slots);
        assert!(slots.abandon(key, &mut Vec::new()).is_none());
        assert_eq!(slots.len(), 1, "the link still holds the key");
        assert!(!slots.answer(key, reply(), &mut Vec::new()));
        slots.unqueue(key);
        assert_eq!(slots.len(), 0);
    }

    #[test]
    fn the_first_answer_counts() {
        let mut slots = Slots::default();
        let key = insert(&mut slots);
        let late = Failure::DeadlineExceeded(Outcome::Unknown);
        assert!(slots.fail(key, late, &mut Vec::new()));
        assert!(!slots.answer(key, reply(), &mut Vec::new()));
    }
}
