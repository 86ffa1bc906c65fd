//! Watches, for their owners.

use std::task::Waker;
use std::time::Instant;

use zk_proto::records::RemoveWatchesRequest;
use zk_proto::{Encode, OpCode};

use crate::session::watches::event::WatchEvent;
use crate::session::watches::{SubId, Unwatch};
use crate::session::{Core, Token};

impl Core {
    /// The next event of a watch; `waker` is woken when there is one.
    pub(crate) fn poll_event(&mut self, sub: SubId, waker: &Waker) -> Option<WatchEvent> {
        self.registry.poll(sub, waker, &mut self.wakes)
    }

    /// Whether the events of the current server's recursive watches do not name the znode that has
    /// changed.
    pub(crate) fn has_nameless_events(&self) -> bool {
        self.registry.is_nameless()
    }

    /// Whether a watch has ended although the session goes on, and all its events have been read.
    pub(crate) fn is_abandoned(&self, sub: SubId) -> bool {
        self.registry.is_abandoned(sub)
    }

    /// The owner of a watch is gone.
    pub(crate) fn unsubscribe(&mut self, now: Instant, sub: SubId) {
        if let Some(unwatch) = self.registry.unsubscribe(sub, &mut self.wakes) {
            self.send_unwatch(now, unwatch);
        }
    }

    /// Tells the server to forget a watch. Without a connection there is nothing to forget.
    pub(super) fn send_unwatch(&mut self, now: Instant, unwatch: Unwatch) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_open()) else {
            return;
        };
        let request = RemoveWatchesRequest {
            path: (&*unwatch.path).into(),
            kind: unwatch.kind,
        };
        let sent = link.submit(
            now,
            OpCode::RemoveWatches,
            Token::Unwatch(unwatch.path.clone(), unwatch.lasting),
            usize::MAX,
            |out| request.encode(out),
        );
        // A little longer than the request that set the watch, and without a limit of ours.
        debug_assert!(sent.is_ok());
        self.wake_driver();
    }
}
