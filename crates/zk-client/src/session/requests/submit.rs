//! Requests on their way to the server: submitted, parked until there is a connection, abandoned.

use std::task::Waker;
use std::time::Instant;

use bytes::BytesMut;

use crate::error::Outcome;
use crate::session::Core;
use crate::session::connection::ReplyTarget;
use crate::session::failure::Failure;
use crate::session::leader_contact::is_decided_by_quorum;
use crate::session::requests::{Answer, Request, SlotKey};

impl Core {
    /// Accepts a request: onto the wire if there is a connection, else parked until there is one.
    #[inline]
    pub(crate) fn submit(
        &mut self,
        now: Instant,
        request: &Request<'_>,
    ) -> Result<SlotKey, Box<Failure>> {
        if let Err(refusal) = self.accept(now, request) {
            self.requests.count_refused(request.replay, &refusal);
            return Err(Box::new(refusal));
        }
        let mut watch = request.watch.clone();
        let mode = watch.as_mut().and_then(|intent| {
            let mode = self.registry.mode_override(intent.kind, &intent.path);
            intent.overridden = mode.is_some();
            self.registry.begin_arming(intent);
            mode
        });
        let limit = self.requests.limits.request_bytes;
        // A request that this server is sent in another form takes the way of the parked ones.
        let lacks = self.abilities.lacking().and(request.needs);
        let open = self.takes_requests() && lacks.is_empty();
        let keeps =
            !request.replay.is_never() || self.abilities.may_need_another_form(request.needs);
        let key = self.requests.insert(request, watch);
        let Some(slot) = self.requests.get_mut(key) else {
            return Err(Box::new(Failure::QueueFull));
        };
        let encode = |out: &mut BytesMut| {
            request.record.encode(out);
            // The last byte of the record is the mode of the watch that the request sets.
            if let (Some(mode), Some(last)) = (mode, out.last_mut()) {
                *last = mode;
            }
        };
        let mut bytes = 0;
        let size = match self.connection.link.as_mut().filter(|_| open) {
            Some(link) => {
                let target = ReplyTarget::Call(key);
                let written = link.submit(now, request.op, target, limit, |out| {
                    let from = out.len();
                    encode(out);
                    bytes = out.len() - from;
                    if keeps {
                        let record = out.get(from..).unwrap_or_default();
                        slot.record.extend_from_slice(record);
                    }
                });
                if written.is_ok() && is_decided_by_quorum(request.op) {
                    self.session.handle_written(now);
                }
                written
            }
            None => {
                encode(&mut slot.record);
                bytes = slot.record.len();
                // The header's two integers count.
                let size = 8 + slot.record.len();
                if size > limit {
                    Err(size)
                } else {
                    self.requests.park(key);
                    Ok(())
                }
            }
        };
        if let Err(size) = size {
            let failure = Failure::RequestTooLarge { size, limit };
            self.fail(key, failure.clone());
            self.requests.withdraw(key, &mut self.wakeups.wakers);
            return Err(Box::new(failure));
        }
        (self.requests).handle_submitted(key, bytes, request.deadline);
        if !lacks.is_empty() && self.takes_requests() {
            self.release(now);
        }
        self.wakeups.wake_driver();
        Ok(key)
    }

    /// Whether a request may be made now.
    #[inline]
    fn accept(&mut self, now: Instant, request: &Request<'_>) -> Result<(), Failure> {
        let has_room = request.room.is_some_and(|ticket| self.leave_room(ticket));
        let drains = request.cleanup && self.shutdown.draining().is_some();
        match self.refusal() {
            Some(refusal) if !(drains && matches!(refusal, Failure::Closed(_))) => {
                return Err(refusal);
            }
            _ => {}
        }
        let epoch = self.session.epoch_of_requests();
        if request.only_in.is_some_and(|only| only != epoch) {
            return Err(Failure::SessionExpired(Outcome::NotSent));
        }
        if request.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Failure::DeadlineExceeded(Outcome::NotSent));
        }
        // Without a connection it is parked: the next server may have the operation.
        if !request.needs.is_empty()
            && self.abilities.form(request.op, request.needs).is_none()
            && self.takes_requests()
        {
            return Err(Failure::Unimplemented(Outcome::NotSent));
        }
        // What was reserved is free again, and no other request can have taken it.
        if !has_room {
            self.requests.check_room()?;
        }
        self.drop_abandoned();
        Ok(())
    }

    /// Whether one more request may be outstanding.
    #[inline]
    pub(in crate::session) fn make_room(&mut self) -> Result<(), Failure> {
        self.requests.check_room()?;
        self.drop_abandoned();
        Ok(())
    }

    #[inline]
    fn drop_abandoned(&mut self) {
        if self.requests.is_full_of_abandoned() {
            self.forget_abandoned();
        }
    }

    /// Frees the parked requests and the waits for credentials that have no caller any more.
    pub(in crate::session) fn forget_abandoned(&mut self) {
        self.requests.forget_abandoned(&mut self.registry);
        let requests = &self.requests;
        for key in self.auth.take_abandoned(|key| requests.is_awaited(key)) {
            self.requests.let_go(key, &mut self.registry);
        }
    }

    /// Sends the parked requests: the connection is open and its watches are armed.
    pub(in crate::session) fn release(&mut self, now: Instant) {
        self.forget_abandoned();
        for key in self.requests.take_parked() {
            let Some(slot) = self.requests.get_mut(key) else {
                continue;
            };
            if !slot.is_awaited() {
                self.requests.let_go(key, &mut self.registry);
                continue;
            }
            let (op, needs, was_sent) = (slot.stage(), slot.needs, slot.was_sent);
            let Some(form) = self.abilities.form(op, needs) else {
                let outcome = match was_sent {
                    true => Outcome::Rejected,
                    false => Outcome::NotSent,
                };
                self.fail(key, Failure::Unimplemented(outcome));
                continue;
            };
            let keeps = self.abilities.may_need_another_form(needs);
            let link = self.connection.link.as_mut();
            let (Some(link), Some(slot)) = (link, self.requests.get_mut(key)) else {
                continue;
            };
            slot.held_back = false;
            slot.goes_first = false;
            slot.sent_ops = form.ops;
            if form.is_adapted {
                let (lacking, session) = (self.abilities.lacking(), self.session.id());
                slot.plain = form.adapt(op, lacking, session, &mut slot.record, 0);
            }
            let record = &slot.record;
            // Its size was checked when it was parked.
            let target = ReplyTarget::Call(key);
            let _ = link.submit(now, form.op, target, usize::MAX, |out| {
                out.extend_from_slice(record);
            });
            if is_decided_by_quorum(form.op) {
                self.session.handle_written(now);
            }
            if slot.is_write() && !keeps {
                slot.record.clear();
            }
        }
        if self.shutdown.is_requested() {
            self.send_close(now);
        }
    }

    /// The reply to a request, or its failure; `waker` is woken when there is one.
    #[inline]
    pub(crate) fn poll_reply(&mut self, key: SlotKey, waker: &Waker) -> Option<Answer> {
        self.requests.poll(key, waker, &mut self.wakeups.wakers)
    }

    /// The caller has dropped its future: a request not sent yet will not be sent, a reply will be
    /// dropped, and a watch that the request sets will be removed.
    pub(crate) fn abandon(&mut self, now: Instant, key: SlotKey) {
        let connected = self.is_connected();
        let watch = (self.requests).abandon(key, connected, &mut self.wakeups.wakers);
        if let Some(watch) = watch {
            self.unsubscribe(now, watch);
        }
    }

    /// The request has failed. No-op if its caller has gone.
    pub(in crate::session) fn fail(&mut self, key: SlotKey, failure: Failure) {
        let wakes = &mut self.wakeups.wakers;
        self.requests.fail(key, failure, &mut self.registry, wakes);
    }
}
