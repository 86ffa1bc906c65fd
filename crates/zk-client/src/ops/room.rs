//! Room that is reserved for a request, or waited for.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use crate::error::{Error, Result};
use crate::session::requests::RoomTicket;
use crate::shared::Shared;

/// Room for one request, or a place among the calls that wait for some.
pub(crate) struct Room {
    shared: Arc<Shared>,
    ticket: RoomTicket,
    taken: AtomicBool,
}

impl Room {
    /// Takes the next place.
    pub(crate) fn enter(shared: &Arc<Shared>) -> Self {
        let shared = shared.clone();
        let ticket = shared.with(|core| core.enter_room());
        Room {
            shared,
            ticket,
            taken: AtomicBool::new(false),
        }
    }

    /// Waits for room.
    pub(crate) async fn wait(&self) -> Result<()> {
        let waited = poll_fn(|cx| {
            let polled = (self.shared).with(|core| core.poll_room(self.ticket, cx.waker()));
            polled.map_or(Poll::Pending, Poll::Ready)
        });
        waited.await.map_err(Error::from)
    }

    /// The room, for a request that is submitted now; `None` if another has taken it.
    pub(crate) fn take(&self) -> Option<RoomTicket> {
        let taken = self.taken.swap(true, Ordering::AcqRel);
        (!taken).then_some(self.ticket)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(ticket) = self.take() {
            self.shared.with(|core| core.leave_room(ticket));
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}
