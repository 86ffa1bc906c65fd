//! What a server was too busy to execute of the client's own requests, to be sent again.

use std::sync::Arc;
use std::time::Instant;

use zk_transport::ping_interval;

use crate::session::Core;
use crate::session::watches::{Batch, Left};

/// Requests that were throttled. They are sent again together, a ping interval after the first.
#[derive(Debug, Default)]
pub(super) struct Again {
    due: Option<Instant>,
    /// The paths of watches to be removed.
    unwatches: Vec<(Arc<str>, Left)>,
    /// The end of the session.
    close: bool,
}

impl Again {
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Core {
    /// A request was throttled that can be made again from the state of the core alone.
    pub(super) fn handle_throttled(&mut self, now: Instant) {
        let pause = ping_interval(self.session.timeout());
        self.again.due.get_or_insert(now + pause);
        self.wake_driver();
    }

    /// The removal of the watches at `path` was throttled.
    pub(super) fn handle_throttled_unwatch(&mut self, now: Instant, path: Arc<str>, lasting: Left) {
        self.again.unwatches.push((path, lasting));
        self.handle_throttled(now);
    }

    /// The end of the session was throttled.
    pub(super) fn handle_throttled_close(&mut self, now: Instant) {
        self.again.close = true;
        self.handle_throttled(now);
    }

    /// A batch of watches was throttled. Requests are held back until it is on the wire again.
    pub(super) fn handle_throttled_batch(&mut self, now: Instant, batch: Batch) {
        self.rearming = self.rearming.saturating_sub(1);
        self.registry.rearm_again(batch);
        self.handle_throttled(now);
    }

    /// Sends again what was throttled, once it is due.
    pub(super) fn check_again(&mut self, now: Instant) {
        if !self.is_connected() || self.again.due.is_none_or(|due| now < due) {
            return;
        }
        let again = std::mem::take(&mut self.again);
        for (path, lasting) in again.unwatches {
            if let Some(unwatch) = self.registry.unwatch_again(path, lasting) {
                self.send_unwatch(now, unwatch);
            }
        }
        if self.registry.is_rearming() {
            self.rearm_more(now);
        } else if again.close {
            self.send_close(now);
        }
        self.check_follow(now);
    }
}
