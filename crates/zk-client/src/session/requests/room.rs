//! Calls that wait until one more request may be outstanding.
//!
//! They are served in the order in which they came, one for each request that ends, and each is woken
//! once. Room that a call has been given is reserved for its next request. The last thirty-second of the
//! room is given alternately to calls that wait and to requests that do not: neither can keep the other
//! out. As long as there are no other requests, calls that wait leave it free.

use std::collections::{BTreeMap, HashSet};
use std::task::Waker;

use crate::session::wakers::register;

/// The part of the room that is not for calls that wait alone.
const SHARED_PART: usize = 32;
/// With a limit below this one, all room is for calls that wait.
const LEAST_SHARED: usize = 16;

/// A call that waits for room, or has been given some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RoomTicket(u64);

/// The calls that wait for room, and the room that is reserved.
#[derive(Debug, Default)]
pub(super) struct WaitingCalls {
    /// In the order in which they came, each with its waker once it has been polled.
    waiting: BTreeMap<RoomTicket, Option<Waker>>,
    /// Those that have been given room and have not used it.
    reserved: HashSet<RoomTicket>,
    next: u64,
    /// Scarce room is next given to a request that does not wait.
    others_are_next: bool,
}

/// How much room there is for another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    None,
    /// No more than the part that calls that wait share with other requests.
    Scarce,
    Plenty,
}

impl Room {
    /// The room if `free` of `limit` are free.
    pub(super) fn of(free: usize, limit: usize) -> Self {
        let shared = match limit {
            ..LEAST_SHARED => 0,
            _ => (limit / SHARED_PART).max(1),
        };
        match free {
            0 => Room::None,
            _ if free <= shared => Room::Scarce,
            _ => Room::Plenty,
        }
    }

    /// The lesser of two.
    pub(super) fn and(self, other: Room) -> Room {
        match (self, other) {
            (Room::None, _) | (_, Room::None) => Room::None,
            (Room::Scarce, _) | (_, Room::Scarce) => Room::Scarce,
            (Room::Plenty, Room::Plenty) => Room::Plenty,
        }
    }
}

impl WaitingCalls {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many calls wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// For how many requests room is reserved.
    pub(super) fn reserved(&self) -> usize {
        self.reserved.len()
    }

    /// A call waits, behind those that wait already.
    pub(super) fn enter(&mut self) -> RoomTicket {
        let ticket = RoomTicket(self.next);
        self.next += 1;
        self.waiting.insert(ticket, None);
        ticket
    }

    /// Whether the call has been given room; `waker` is woken when it is.
    pub(super) fn poll(
        &mut self,
        ticket: RoomTicket,
        waker: &Waker,
        wakes: &mut Vec<Waker>,
    ) -> bool {
        if let Some(known) = self.waiting.get_mut(&ticket) {
            register(known, waker, wakes);
        }
        self.reserved.contains(&ticket)
    }

    /// The call has gone, or makes its request now: it waits no longer, and nothing is reserved for it.
    /// False if nothing was.
    pub(super) fn leave(&mut self, ticket: RoomTicket, wakes: &mut Vec<Waker>) -> bool {
        wakes.extend(self.waiting.remove(&ticket).flatten());
        self.reserved.remove(&ticket)
    }

    /// Reserves what room there is for the calls that wait; `room` is what there is besides a number of
    /// reservations.
    pub(super) fn serve(&mut self, room: impl Fn(usize) -> Room, wakes: &mut Vec<Waker>) {
        while !self.waiting.is_empty() {
            match room(self.reserved.len()) {
                Room::Plenty => {}
                Room::Scarce if !self.others_are_next => self.others_are_next = true,
                Room::Scarce | Room::None => return,
            }
            if let Some((ticket, waker)) = self.waiting.pop_first() {
                self.reserved.insert(ticket);
                wakes.extend(waker);
            }
        }
    }

    /// A request that did not wait has been given scarce room.
    pub(super) fn handle_other_request(&mut self) {
        self.others_are_next = false;
    }

    /// No request is accepted any more: wakes all calls.
    pub(super) fn close(&mut self, wakes: &mut Vec<Waker>) {
        let waiting = std::mem::take(&mut self.waiting);
        wakes.extend(waiting.into_values().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Serves calls while `free` of 64 are free.
    fn serve(calls: &mut WaitingCalls, free: usize) {
        calls.serve(
            |reserved| Room::of(free.saturating_sub(reserved), 64),
            &mut Vec::new(),
        );
    }

    fn is_served(calls: &mut WaitingCalls, ticket: RoomTicket) -> bool {
        calls.poll(ticket, Waker::noop(), &mut Vec::new())
    }

    fn leave(calls: &mut WaitingCalls, ticket: RoomTicket) -> bool {
        calls.leave(ticket, &mut Vec::new())
    }

    #[test]
    fn the_first_call_is_served_first() {
        let mut calls = WaitingCalls::default();
        let tickets = [calls.enter(), calls.enter(), calls.enter(), calls.enter()];
        serve(&mut calls, 0);
        assert!(!is_served(&mut calls, tickets[0]));
        // A call that has gone is passed over.
        assert!(!leave(&mut calls, tickets[1]));
        serve(&mut calls, 3);
        let served = tickets.map(|ticket| is_served(&mut calls, ticket));
        assert_eq!(served, [true, false, true, false]);
        assert_eq!(calls.reserved(), 2);
        assert!(leave(&mut calls, tickets[0]) && leave(&mut calls, tickets[2]));
        assert_eq!(calls.reserved(), 0);
    }

    #[test]
    fn each_room_wakes_one_call() {
        let mut calls = WaitingCalls::default();
        for _ in 0..100 {
            let ticket = calls.enter();
            assert!(!is_served(&mut calls, ticket));
        }
        let mut wakes = Vec::new();
        for served in 1..=100 {
            // As many have been served as there are free.
            let free = Cell::new(served);
            calls.serve(
                |reserved| match free.get() - reserved {
                    0 => Room::None,
                    _ => Room::Plenty,
                },
                &mut wakes,
            );
            assert_eq!((wakes.len(), calls.reserved()), (served, served));
        }
        assert!(calls.is_empty());
    }

    #[test]
    fn scarce_room_alternates() {
        let mut calls = WaitingCalls::default();
        let tickets: Vec<_> = (0..4).map(|_| calls.enter()).collect();
        // 2 of 64 are shared. The first goes to a call, the next is left to a request.
        serve(&mut calls, 2);
        serve(&mut calls, 2);
        assert_eq!(calls.reserved(), 1);
        for served in 2..=4 {
            calls.handle_other_request();
            serve(&mut calls, served);
            assert_eq!(calls.reserved(), served);
            // However often it is looked at.
            serve(&mut calls, served + 1);
            assert_eq!(calls.reserved(), served);
        }
        assert!(tickets.into_iter().all(|ticket| leave(&mut calls, ticket)));
        // With more room than that it does not matter what the last request was.
        let late = [calls.enter(), calls.enter(), calls.enter()];
        serve(&mut calls, 4);
        let served = late.map(|ticket| is_served(&mut calls, ticket));
        assert_eq!(served, [true, true, false]);
    }

    #[test]
    fn little_room_is_not_shared() {
        let mut calls = WaitingCalls::default();
        for _ in 0..3 {
            calls.enter();
        }
        for free in 1..=3 {
            calls.serve(|reserved| Room::of(free - reserved, 15), &mut Vec::new());
            assert_eq!(calls.reserved(), free);
        }
    }
}
