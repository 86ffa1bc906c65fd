//! The requests of a client: those in flight and those that wait for a connection.

mod replies;
pub(crate) mod reply;
mod room;
mod slot;
mod slots;
mod submit;
mod wait_for_room;

use std::collections::{HashSet, VecDeque};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use zk_proto::{Encode, ErrorCode, OpCode};

pub(crate) use self::reply::{Answer, Reply, ReplyIds};
pub(crate) use self::room::RoomTicket;
pub(crate) use self::slot::{Slot, SlotKey};

use self::room::{Room, WaitingCalls};
use self::slots::Slots;
use crate::error::Outcome;
use crate::session::abilities::op_set::OpSet;
use crate::session::counters::Classes;
use crate::session::failure::{Failure, Replay};
use crate::session::wakers::IDLE_CAPACITY;
use crate::session::watches::{MailboxLimits, Registry, SubId, WatchIntent};

/// From so many requests on, the client looks at all their deadlines together, this far apart at
/// least: to look at so many for each deadline would take all the time there is.
const MANY: usize = 1024;
const COARSE: Duration = Duration::from_millis(10);

/// A request on its way into the core.
pub(crate) struct Request<'a> {
    pub(crate) op: OpCode,
    /// The operations it needs that not every server has.
    pub(crate) needs: OpSet,
    /// As the caller gave it, without the chroot.
    pub(crate) path: &'a str,
    pub(crate) record: &'a dyn Encode,
    pub(crate) replay: Replay,
    pub(crate) watch: Option<WatchIntent>,
    pub(crate) deadline: Option<Instant>,
    /// Whether it is part of a clean-up, which a client that is being closed accepts.
    pub(crate) cleanup: bool,
    /// The epoch of the only session in which it may be executed.
    pub(crate) only_in: Option<u64>,
    /// The call that has waited for the room that the request takes.
    pub(crate) room: Option<RoomTicket>,
}

#[cfg(test)]
impl<'a> Request<'a> {
    /// A request that is never sent again, has no deadline, and arms no watch.
    pub(crate) fn once(op: OpCode, path: &'a str, record: &'a dyn Encode) -> Self {
        Request {
            op,
            needs: OpSet::of(op),
            path,
            record,
            replay: Replay::Never,
            watch: None,
            deadline: None,
            cleanup: false,
            only_in: None,
            room: None,
        }
    }
}

/// What bounds a client.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) outstanding: usize,
    pub(crate) request_bytes: usize,
    /// Once requests of so many bytes are held, no more are accepted.
    pub(crate) outstanding_bytes: usize,
    pub(crate) mailbox: MailboxLimits,
    pub(crate) close_timeout: Duration,
}

/// The requests of a client.
#[derive(Debug)]
pub(super) struct Requests {
    slots: Slots,
    /// Requests that wait for a connection, or for its watches to be armed, in submission order.
    parked: VecDeque<SlotKey>,
    /// How many of the requests and credentials that wait for a connection have no caller any more.
    abandoned: usize,
    /// No slot's deadline is earlier.
    next_deadline: Option<Instant>,
    /// Calls that wait for room.
    calls: WaitingCalls,
    pub(super) limits: Limits,
}

impl Requests {
    pub(super) fn new(limits: Limits) -> Self {
        Requests {
            slots: Slots::default(),
            parked: VecDeque::new(),
            abandoned: 0,
            next_deadline: None,
            calls: WaitingCalls::default(),
            limits,
        }
    }

    /// Requests that are in flight, parked, or answered without the answer having been taken; without
    /// parked ones that have no caller any more.
    pub(super) fn outstanding(&self) -> usize {
        self.slots.len().saturating_sub(self.abandoned)
    }

    /// The slot of a request.
    #[inline]
    pub(super) fn get(&self, key: SlotKey) -> Option<&Slot> {
        self.slots.get(key)
    }

    /// The slot of a request, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, key: SlotKey) -> Option<&mut Slot> {
        self.slots.get_mut(key)
    }

    /// How the requests have ended, by class.
    pub(super) fn counts(&self) -> &Classes {
        &self.slots.counts
    }

    /// A new request. Its slot is owned by the caller and queued; its record is empty.
    #[inline]
    pub(super) fn insert(&mut self, request: &Request<'_>, watch: Option<WatchIntent>) -> SlotKey {
        self.slots.insert(
            request.op,
            request.needs,
            request.path,
            request.replay,
            watch,
            request.deadline,
        )
    }

    /// New credentials, of which the server has to answer whether it accepts them.
    pub(super) fn insert_credentials(&mut self, deadline: Option<Instant>) -> SlotKey {
        let (op, replay) = (OpCode::Auth, Replay::Always);
        let key = (self.slots).insert(op, OpSet::NONE, "", replay, None, deadline);
        self.note_deadline(deadline);
        key
    }

    /// The request is in flight or parked with a record of so many bytes.
    #[inline]
    pub(super) fn handle_submitted(
        &mut self,
        key: SlotKey,
        bytes: usize,
        deadline: Option<Instant>,
    ) {
        self.slots.hold_bytes(key, bytes);
        self.note_deadline(deadline);
    }

    /// The request is refused, and its caller gets the reason by other means.
    pub(super) fn withdraw(&mut self, key: SlotKey, wakes: &mut Vec<Waker>) {
        self.slots.abandon(key, wakes);
    }

    /// The answer to a request, or its failure; `waker` is woken when there is one.
    #[inline]
    pub(super) fn poll(
        &mut self,
        key: SlotKey,
        waker: &Waker,
        wakes: &mut Vec<Waker>,
    ) -> Option<Answer> {
        self.slots.poll(key, waker, wakes)
    }

    /// The slots of parked requests.
    pub(super) fn parked(&self) -> impl Iterator<Item = &Slot> + Clone {
        self.parked.iter().filter_map(|key| self.slots.get(*key))
    }

    /// Counts a request that was refused at its submission.
    pub(super) fn count_refused(&mut self, replay: Replay, refusal: &Failure) {
        let counts = self.slots.counts.of(replay);
        counts.submitted += 1;
        counts.failed(refusal);
    }

    /// Whether one more request may be outstanding.
    #[inline]
    pub(super) fn check_room(&mut self) -> Result<(), Failure> {
        let reserved = self.calls.reserved();
        match self.room(reserved) {
            Room::Plenty => {}
            Room::Scarce => self.calls.handle_other_request(),
            Room::None if self.outstanding() + reserved >= self.limits.outstanding => {
                return Err(Failure::QueueFull);
            }
            Room::None => {
                let (bytes, limit) = (self.bytes(reserved), self.limits.outstanding_bytes);
                return Err(Failure::QueueBytes { bytes, limit });
            }
        }
        Ok(())
    }

    /// Whether the abandoned requests should be [forgotten](Self::forget_abandoned) before another is
    /// accepted: only when that frees half of them. Otherwise each request that is dropped and made
    /// again would cost a walk over all.
    #[inline]
    pub(super) fn is_full_of_abandoned(&self) -> bool {
        let held = self.slots.len();
        held >= self.limits.outstanding && self.abandoned >= held / 2
    }

    /// The bytes of all requests, and of so many reservations, each of which may become a request of
    /// the largest size.
    #[inline]
    fn bytes(&self, reserved: usize) -> usize {
        let reserved = reserved.saturating_mul(self.limits.request_bytes);
        self.slots.bytes().saturating_add(reserved)
    }

    /// The room besides so many reservations.
    #[inline]
    fn room(&self, reserved: usize) -> Room {
        let (most, limit) = (self.limits.outstanding, self.limits.outstanding_bytes);
        let requests = most.saturating_sub(self.outstanding() + reserved);
        let bytes = limit.saturating_sub(self.bytes(reserved));
        Room::of(requests, most).and(Room::of(bytes, limit))
    }

    /// A call waits for room, behind those that wait already.
    pub(super) fn enter_room(&mut self) -> RoomTicket {
        self.calls.enter()
    }

    /// Whether the call has been given room.
    pub(super) fn poll_room(
        &mut self,
        ticket: RoomTicket,
        waker: &Waker,
        wakes: &mut Vec<Waker>,
    ) -> bool {
        self.calls.poll(ticket, waker, wakes)
    }

    /// The call waits no longer, and nothing is reserved for it. False if nothing was.
    pub(super) fn leave_room(&mut self, ticket: RoomTicket, wakes: &mut Vec<Waker>) -> bool {
        self.calls.leave(ticket, wakes)
    }

    /// Whether calls wait for room.
    #[inline]
    pub(super) fn has_waiting_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// How many calls wait for room.
    pub(super) fn waiting_calls(&self) -> usize {
        self.calls.waiting()
    }

    /// Gives the calls that wait what room there is.
    pub(super) fn serve_calls(&mut self, wakes: &mut Vec<Waker>) {
        let mut calls = std::mem::take(&mut self.calls);
        calls.serve(|reserved| self.room(reserved), wakes);
        self.calls = calls;
    }

    /// No request is accepted any more: wakes the calls that wait.
    pub(super) fn refuse_calls(&mut self, wakes: &mut Vec<Waker>) {
        self.calls.close(wakes);
    }

    /// A slot with this deadline is in use.
    fn note_deadline(&mut self, deadline: Option<Instant>) {
        if let Some(deadline) = deadline
            && self.next_deadline.is_none_or(|next| deadline < next)
        {
            self.next_deadline = Some(deadline);
        }
    }

    /// The earliest deadline that may have to be met.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
    }

    /// The request waits for the next connection, behind those that wait already.
    pub(super) fn park(&mut self, key: SlotKey) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.held_back = true;
        }
        self.parked.push_back(key);
    }

    /// The request waits for the next connection, before those that wait already and before those in
    /// flight.
    pub(super) fn park_first(&mut self, key: SlotKey) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.held_back = true;
            slot.goes_first = true;
        }
        self.parked.push_front(key);
    }

    /// Takes all parked requests.
    pub(super) fn take_parked(&mut self) -> VecDeque<SlotKey> {
        std::mem::take(&mut self.parked)
    }

    /// These requests wait for the next connection, in this order.
    pub(super) fn set_parked(&mut self, parked: VecDeque<SlotKey>) {
        for key in &parked {
            if let Some(slot) = self.slots.get_mut(*key) {
                slot.held_back = true;
            }
        }
        self.parked = parked;
    }

    /// Removes and returns the parked requests that `keeps` does not keep, in submission order.
    pub(super) fn remove_parked(&mut self, keeps: impl Fn(&Slot) -> bool) -> Vec<SlotKey> {
        let (slots, mut removed) = (&self.slots, Vec::new());
        self.parked.retain(|key| {
            let kept = slots.get(*key).is_some_and(&keeps);
            removed.extend((!kept).then_some(*key));
            kept
        });
        removed
    }

    /// The caller has gone. Returns the watch of an answer that it has not taken.
    pub(super) fn abandon(
        &mut self,
        key: SlotKey,
        is_connected: bool,
        wakes: &mut Vec<Waker>,
    ) -> Option<SubId> {
        let answer = self.slots.abandon(key, wakes);
        let is_waiting = (self.slots.get(key))
            .is_some_and(|slot| slot.is_queued() && (slot.held_back || !is_connected));
        if is_waiting {
            self.abandoned += 1;
            self.slots.release_bytes(key);
        }
        match answer {
            Some(Ok(Reply { watch, .. })) => watch,
            _ => None,
        }
    }

    /// Frees the parked requests that no caller waits for.
    pub(super) fn forget_abandoned(&mut self, registry: &mut Registry) {
        self.abandoned = 0;
        for key in self.remove_parked(Slot::is_awaited) {
            self.let_go(key, registry);
        }
    }

    /// Whether a caller waits for the answer.
    pub(super) fn is_awaited(&self, key: SlotKey) -> bool {
        self.slots.get(key).is_some_and(Slot::is_awaited)
    }

    /// The link or the parked queue lets go of a request, together with the watch it was to set.
    pub(super) fn let_go(&mut self, key: SlotKey, registry: &mut Registry) {
        if let Some(intent) = self.slots.get_mut(key).and_then(|slot| slot.watch.take()) {
            registry.end_arming(&intent);
        }
        self.slots.unqueue(key);
    }

    /// The request has been answered. No-op if its caller has gone.
    #[inline]
    pub(super) fn answer(
        &mut self,
        key: SlotKey,
        result: Result<Bytes, ErrorCode>,
        watch: Option<SubId>,
        seen: Option<ReplyIds>,
        wakes: &mut Vec<Waker>,
    ) {
        let reply = Reply {
            result,
            watch,
            seen,
        };
        self.slots.answer(key, reply, wakes);
        self.slots.unqueue(key);
    }

    /// The request has failed. No-op if its caller has gone.
    pub(super) fn fail(
        &mut self,
        key: SlotKey,
        failure: Failure,
        registry: &mut Registry,
        wakes: &mut Vec<Waker>,
    ) {
        self.slots.fail(key, failure, wakes);
        self.let_go(key, registry);
    }

    /// Fails the requests whose deadline has passed; false if there are none. A request in flight keeps
    /// its place in the order of replies; one that is parked will not be sent.
    pub(super) fn fail_overdue(
        &mut self,
        now: Instant,
        is_connected: bool,
        wakes: &mut Vec<Waker>,
    ) -> bool {
        if self.next_deadline.is_none_or(|deadline| now < deadline) {
            return false;
        }
        let (overdue, next) = self.slots.overdue(now);
        let many = self.slots.len() > MANY;
        self.next_deadline = next.map(|next| if many { next.max(now + COARSE) } else { next });
        if overdue.is_empty() {
            return false;
        }
        // Parked requests and unsent credentials have not left; everything else is in flight.
        let parked: HashSet<_> = self.parked.iter().copied().collect();
        for key in overdue {
            let outcome = if is_connected && !parked.contains(&key) {
                Outcome::Unknown
            } else {
                Outcome::NotSent
            };
            self.slots
                .fail(key, Failure::DeadlineExceeded(outcome), wakes);
        }
        true
    }

    /// Idle: releases room that grew under load.
    pub(super) fn shrink_idle(&mut self) {
        self.slots.shrink_idle();
        self.parked.shrink_to(IDLE_CAPACITY);
    }
}
