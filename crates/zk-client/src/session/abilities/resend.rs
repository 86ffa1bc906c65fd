//! Requests that are sent again in the form that an older server knows.

use std::time::Instant;

use bytes::Bytes;
use zk_proto::records::{CreateResponse, ExistsRequest, StatResponse};
use zk_proto::{Encode, ErrorCode, OpCode, decode_frame};
use zk_transport::Link;

use crate::session::connection::ReplyTarget;
use crate::session::requests::{ReplyIds, Slot, SlotKey};
use crate::session::{Core, OpSet};

impl Core {
    /// The reply to a creation that was sent as `create`, or to the read of the znode's stat. Returns
    /// the answer for the caller; `None` while the stat is being read.
    pub(in crate::session) fn handle_plain(
        &mut self,
        now: Instant,
        key: SlotKey,
        result: Result<Bytes, ErrorCode>,
        seen: ReplyIds,
    ) -> Option<(Result<Bytes, ErrorCode>, ReplyIds)> {
        let Some(slot) = self.requests.get_mut(key) else {
            return Some((result, seen));
        };
        let is_awaited = slot.is_awaited();
        let Some(plain) = slot.plain.as_deref_mut() else {
            return Some((result, seen));
        };
        if plain.is_created() {
            let stat = result.ok().and_then(|body| {
                let response = decode_frame::<StatResponse>(&body, 0).ok();
                response.map(|response| response.stat)
            });
            let (body, seen) = plain.answer(stat)?;
            return Some((Ok(body), seen));
        }
        let path = match &result {
            Ok(body) if is_awaited => decode_frame::<CreateResponse>(body, 0).ok(),
            _ => None,
        };
        let Some(CreateResponse { path }) = path else {
            slot.plain = None;
            return Some((result, seen));
        };
        let record = ExistsRequest {
            path: path.as_str().into(),
            watch: false,
        };
        slot.record.clear();
        record.encode(&mut slot.record);
        plain.set_created(path, seen);
        if self.shutdown.is_requested() {
            // A server answers nothing behind the end of the session. ClickHouse Keeper closes the
            // connection, which must not meet a write.
            let (body, seen) = plain.answer(None)?;
            return Some((Ok(body), seen));
        }
        slot.losses = 0;
        slot.needs = OpSet::NONE;
        self.read_stat(now, key);
        None
    }

    /// Sends the read of a created znode's stat, or parks it with other requests.
    fn read_stat(&mut self, now: Instant, key: SlotKey) {
        let open = self.takes_requests();
        let Some(slot) = self.requests.get_mut(key) else {
            return;
        };
        match self.connection.link.as_mut().filter(|_| open) {
            Some(link) => {
                let (record, target) = (&slot.record, ReplyTarget::Call(key));
                // It is not longer than the request that made the znode.
                let _ = link.submit(now, OpCode::Exists, target, usize::MAX, |out| {
                    out.extend_from_slice(record);
                });
                self.wakeups.wake_driver();
            }
            None => self.requests.park(key),
        }
    }

    /// Whether the server will not execute a request in flight, because it has answered that it does not
    /// know an operation in it. The request can be sent in another form.
    pub(in crate::session) fn is_refused(&self, slot: &Slot) -> bool {
        self.abilities.is_refused(slot.op, slot.sent_ops) && !slot.record.is_empty()
    }

    /// Whether the connection is to be left so that a request which the server does not know is sent in
    /// another form on the next one, followed by everything that was submitted after it. A server that
    /// does not know an operation closes the connection, as a rule, so nothing more is sent over this
    /// one.
    ///
    /// It stays if a write is in flight behind the request, because the two would change places.
    pub(in crate::session) fn begin_resending(&mut self, key: SlotKey) -> bool {
        let is_write = |target: &ReplyTarget| match target {
            ReplyTarget::Call(key) => (self.requests.get(*key))
                .is_some_and(|slot| slot.is_write() && !self.is_refused(slot)),
            ReplyTarget::Close => true,
            _ => false,
        };
        let others = self.connection.link.as_ref().map(Link::tokens);
        let is_behind = others.is_none_or(|mut tokens| tokens.any(is_write));
        let can_be = (self.requests.get(key)).is_some_and(|slot| {
            slot.is_awaited()
                && !slot.record.is_empty()
                && (self.abilities).has_other_form(slot.op, slot.needs, slot.sent_ops)
        });
        if is_behind || !can_be || self.shutdown.is_requested() {
            return false;
        }
        self.requests.park_first(key);
        // The same server: what it lacks is known now.
        self.relocation.prefer_current();
        true
    }
}
