//! Calls that wait until one more request may be outstanding.

use std::task::Waker;

use crate::session::Core;
use crate::session::failure::Failure;
use crate::session::requests::RoomTicket;

impl Core {
    /// How many requests may be outstanding.
    pub(crate) fn max_outstanding(&self) -> usize {
        self.requests.limits.outstanding
    }

    /// A call waits for room for one request, behind those that wait already.
    pub(crate) fn enter_room(&mut self) -> RoomTicket {
        self.requests.enter_room()
    }

    /// Whether the call has been given room, or why it never will; `waker` is woken when that is known.
    pub(crate) fn poll_room(
        &mut self,
        ticket: RoomTicket,
        waker: &Waker,
    ) -> Option<Result<(), Failure>> {
        if let Some(refusal) = self.refusal() {
            return Some(Err(refusal));
        }
        self.serve_calls();
        let wakes = &mut self.wakeups.wakers;
        let has_room = self.requests.poll_room(ticket, waker, wakes);
        has_room.then_some(Ok(()))
    }

    /// The call has gone or makes its request now. False if it had not been given room.
    pub(crate) fn leave_room(&mut self, ticket: RoomTicket) -> bool {
        self.requests.leave_room(ticket, &mut self.wakeups.wakers)
    }

    /// Gives the calls that wait what room there is. To be called before the lock is released, so that
    /// no other request finds that room.
    #[inline]
    pub(crate) fn serve_calls(&mut self) {
        if !self.requests.has_waiting_calls() {
            return;
        }
        let is_over = self.refusal().is_some();
        let wakes = &mut self.wakeups.wakers;
        match is_over {
            true => self.requests.refuse_calls(wakes),
            false => self.requests.serve_calls(wakes),
        }
    }
}
