//! Subscriptions to watches: their events and their end.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;
use zk_proto::records::RemoveWatchesRequest;
use zk_proto::{Encode, ErrorCode, OpCode};

use crate::session::connection::ReplyTarget;
use crate::session::watches::event::WatchEvent;
use crate::session::watches::{Left, SubId, Unwatch};
use crate::session::{Core, OpSet};

impl Core {
    /// The next event of a watch; `waker` is woken when there is one.
    #[inline]
    pub(crate) fn poll_event(&mut self, sub: SubId, waker: &Waker) -> Option<WatchEvent> {
        self.registry.poll(sub, waker, &mut self.wakeups.wakers)
    }

    /// Whether the events of the current server's recursive watches do not name the znode that has
    /// changed.
    pub(crate) fn has_nameless_events(&self) -> bool {
        self.registry.is_nameless()
    }

    /// Whether a watch has ended although the session is alive, and all its events have been read.
    #[inline]
    pub(crate) fn is_abandoned(&self, sub: SubId) -> bool {
        self.registry.is_abandoned(sub)
    }

    /// The subscriber of a watch is gone.
    pub(crate) fn unsubscribe(&mut self, now: Instant, sub: SubId) {
        if let Some(unwatch) = self.registry.unsubscribe(sub, &mut self.wakeups.wakers) {
            self.send_unwatch(now, unwatch);
        }
    }

    /// Requests the removal of a watch from the server. Without a connection no server has it.
    pub(super) fn send_unwatch(&mut self, now: Instant, unwatch: Unwatch) {
        let Some(link) = self.connection.open_link() else {
            return;
        };
        let request = RemoveWatchesRequest {
            path: (&*unwatch.path).into(),
            kind: unwatch.kind,
        };
        let sent = link.submit(
            now,
            OpCode::RemoveWatches,
            ReplyTarget::Unwatch(unwatch.path.clone(), unwatch.lasting),
            usize::MAX,
            |out| request.encode(out),
        );
        // It may be longer than the request that set the watch, so the client's limit does not apply.
        debug_assert!(sent.is_ok());
        self.wakeups.wake_driver();
    }

    /// The server has answered the removal of the watches at `path`.
    pub(super) fn handle_unwatched(
        &mut self,
        now: Instant,
        path: Arc<str>,
        lasting: Left,
        result: Result<Bytes, ErrorCode>,
    ) {
        let op = OpCode::RemoveWatches;
        let mut result = result;
        self.note_answer(op, OpSet::of(op), &mut result);
        match result {
            Err(ErrorCode::ThrottledOp) => self.handle_throttled_unwatch(now, path, lasting),
            Err(ErrorCode::Unimplemented) => self.registry.keep(path, lasting),
            // After any other refusal the server had nothing to remove, or has a watch of a mode that
            // it cannot remove alone.
            _ => {}
        }
    }
}
