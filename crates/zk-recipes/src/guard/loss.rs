//! The loss of a guard: set once, delivered to every waiter.

use std::sync::OnceLock;

use tokio::sync::Notify;

use crate::error::GuardLost;

/// Whether a guard is known to be lost, and why. Once set, the reason does not change.
#[derive(Debug, Default)]
pub(crate) struct LossSignal {
    lost: OnceLock<GuardLost>,
    changed: Notify,
}

impl LossSignal {
    pub(crate) fn get(&self) -> Option<GuardLost> {
        self.lost.get().copied()
    }

    /// Sets the reason unless one is set, and returns the one that is set.
    pub(crate) fn set(&self, lost: GuardLost) -> GuardLost {
        let lost = *self.lost.get_or_init(|| lost);
        self.changed.notify_waiters();
        lost
    }

    /// Waits until a reason is set.
    pub(crate) async fn wait(&self) -> GuardLost {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(lost) = self.get() {
                return lost;
            }
            changed.await;
        }
    }
}
