//! Replies to callers' requests, and the watches that come with them.

use std::time::Instant;

use bytes::Bytes;
use zk_proto::{ErrorCode, OpCode};
use zk_transport::Disconnect;

use crate::session::requests::{ReplyIds, SlotKey};
use crate::session::watches::{SubId, WatchIntent, WatchKind};
use crate::session::{Core, OpSet};

/// Why a connection is left for a request to be sent in another form.
const LEFT_TO_RESEND: Disconnect = Disconnect::Moving;

impl Core {
    #[inline]
    pub(in crate::session) fn handle_reply(
        &mut self,
        now: Instant,
        key: SlotKey,
        op: OpCode,
        result: Result<Bytes, ErrorCode>,
        seen: ReplyIds,
    ) -> Result<(), Disconnect> {
        let mut watch = None;
        if let Some(slot) = self.requests.get_mut(key) {
            if !slot.sent_ops.is_empty() || slot.plain.is_some() {
                return self.handle_optional_reply(now, key, op, result, seen);
            }
            if let Some(intent) = slot.watch.take() {
                let awaited = slot.is_awaited();
                watch = self.settle_watch(now, intent, awaited, op, &result);
            }
        }
        self.deliver_answer(key, result, watch, seen);
        Ok(())
    }

    /// The reply to a request for an operation that not every server has, or sent in its place.
    #[cold]
    fn handle_optional_reply(
        &mut self,
        now: Instant,
        key: SlotKey,
        op: OpCode,
        result: Result<Bytes, ErrorCode>,
        seen: ReplyIds,
    ) -> Result<(), Disconnect> {
        let (mut result, mut seen) = (result, seen);
        let Some(slot) = self.requests.get_mut(key) else {
            return Ok(());
        };
        let (ops, awaited) = (slot.sent_ops, slot.is_awaited());
        let intent = slot.watch.take();
        if !ops.is_empty() {
            self.note_answer(op, ops, &mut result);
            if result == Err(ErrorCode::Unimplemented) && self.begin_resending(key) {
                return Err(LEFT_TO_RESEND);
            }
        } else {
            match self.handle_plain(now, key, result, seen) {
                Some(answer) => (result, seen) = answer,
                None => return Ok(()),
            }
        }
        let watch = intent.and_then(|intent| self.settle_watch(now, intent, awaited, op, &result));
        self.deliver_answer(key, result, watch, seen);
        Ok(())
    }

    /// The server has answered a request of type `op` that contains `ops`, which not every server has.
    pub(in crate::session) fn note_answer(
        &mut self,
        op: OpCode,
        ops: OpSet,
        result: &mut Result<Bytes, ErrorCode>,
    ) {
        if self.abilities.handle_answer(op, ops, result) {
            self.abilities_changed();
        }
    }

    #[inline]
    fn deliver_answer(
        &mut self,
        key: SlotKey,
        result: Result<Bytes, ErrorCode>,
        watch: Option<SubId>,
        seen: ReplyIds,
    ) {
        let wakes = &mut self.wakeups.wakers;
        self.requests.answer(key, result, watch, Some(seen), wakes);
    }

    /// A request that was to set a watch has been answered; `awaited` if there is a subscriber for it.
    /// Returns the subscription if the watch is set.
    pub(in crate::session) fn settle_watch(
        &mut self,
        now: Instant,
        intent: WatchIntent,
        awaited: bool,
        op: OpCode,
        result: &Result<Bytes, ErrorCode>,
    ) -> Option<SubId> {
        self.registry.end_arming(&intent);
        let mut awaited = awaited;
        let armed = match (result, op) {
            // The one failure after which a server keeps a watch.
            (Err(ErrorCode::NoNode), OpCode::Exists) => Some(WatchKind::Exist),
            // The server may have set it, and the caller gets an error: the watch is removed.
            (Err(code), _) if !code.is_refusal() => {
                awaited = false;
                Some(intent.kind)
            }
            (Err(_), _) => None,
            // Only ClickHouse Keeper answers without a record.
            (Ok(record), OpCode::AddWatch)
                if record.is_empty() && intent.kind == WatchKind::Recursive =>
            {
                self.registry.set_nameless();
                awaited = false;
                Some(intent.kind)
            }
            (Ok(_), _) => Some(intent.kind),
        };
        let mut watch = None;
        let unwatch = match armed {
            Some(kind) if awaited => {
                let id = self.registry.subscribe(kind, intent.path.clone());
                if intent.overridden {
                    let since = self.session.last_zxid();
                    let wakes = &mut self.wakeups.wakers;
                    self.registry.subscribed_by_override(id, since, wakes);
                }
                watch = Some(id);
                self.registry.deferred_unwatch(&intent.path)
            }
            Some(kind) if !self.registry.watches(kind, &intent.path) => {
                self.registry.unwatch(kind, intent.path)
            }
            _ => self.registry.deferred_unwatch(&intent.path),
        };
        if let Some(unwatch) = unwatch {
            self.send_unwatch(now, unwatch);
        }
        watch
    }
}
