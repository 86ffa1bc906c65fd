//! The client's own requests that a server was too busy to execute, sent again later.

use std::sync::Arc;
use std::time::Instant;

use zk_transport::ping_interval;

use crate::session::Core;
use crate::session::watches::{Batch, Left};

impl Core {
    /// A request was throttled that the core can make again by itself.
    fn handle_throttled(&mut self, now: Instant) {
        let pause = ping_interval(self.session.timeout());
        self.connection.throttled.due.get_or_insert(now + pause);
        self.wakeups.wake_driver();
    }

    /// The removal of the watches at `path` was throttled.
    pub(in crate::session) fn handle_throttled_unwatch(
        &mut self,
        now: Instant,
        path: Arc<str>,
        lasting: Left,
    ) {
        self.connection.throttled.unwatches.push((path, lasting));
        self.handle_throttled(now);
    }

    /// The end of the session was throttled.
    pub(in crate::session) fn handle_throttled_close(&mut self, now: Instant) {
        self.connection.throttled.close = true;
        self.handle_throttled(now);
    }

    /// A batch of watches was throttled. Requests are held back until it is on the wire again.
    pub(in crate::session) fn handle_throttled_batch(&mut self, now: Instant, batch: Batch) {
        self.connection.batch_answered();
        self.registry.rearm_again(batch);
        self.handle_throttled(now);
    }

    /// Sends again what was throttled, once it is due.
    pub(in crate::session) fn send_throttled(&mut self, now: Instant) {
        let due = self.connection.throttled.due;
        if !self.is_connected() || due.is_none_or(|due| now < due) {
            return;
        }
        let throttled = std::mem::take(&mut self.connection.throttled);
        for (path, lasting) in throttled.unwatches {
            if let Some(unwatch) = self.registry.unwatch_again(path, lasting) {
                self.send_unwatch(now, unwatch);
            }
        }
        if self.registry.is_rearming() {
            self.rearm_more(now);
        } else if throttled.close {
            self.send_close(now);
        }
        self.check_config(now);
    }
}
