//! How a guard ends, known to all who ask.

use std::sync::OnceLock;

use tokio::sync::Notify;

use crate::error::Lost;

/// Whether a guard is known to be lost. Once it is, it stays so.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    lost: OnceLock<Lost>,
    told: Notify,
}

impl Fate {
    pub(crate) fn lost(&self) -> Option<Lost> {
        self.lost.get().copied()
    }

    /// The guard is lost, for this reason unless one is known.
    pub(crate) fn lose(&self, lost: Lost) -> Lost {
        let lost = *self.lost.get_or_init(|| lost);
        self.told.notify_waiters();
        lost
    }

    /// Waits until it is known to be lost.
    pub(crate) async fn told(&self) -> Lost {
        loop {
            let mut told = std::pin::pin!(self.told.notified());
            told.as_mut().enable();
            if let Some(lost) = self.lost() {
                return lost;
            }
            told.await;
        }
    }
}
