//! Readers of the state. None of them ever misses the end of a session.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

use crate::session::state::State;
use crate::session::wakers::register;

/// Once a reader has so many unread states, the oldest are dropped, those that are expiries last.
const UNREAD_LIMIT: usize = 16;

/// Identifies a reader of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReaderId(u64);

impl Ord for ReaderId {
    fn cmp(&self, other: &Self) -> Ordering {
        #[cfg(test)]
        tests::COMPARED.with(|compared| compared.set(compared.get() + 1));
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for ReaderId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The readers of the state and the states that each has not read yet. There may be thousands: each
/// guard that waits for its loss is one.
#[derive(Debug, Default)]
pub(crate) struct StateReaders {
    readers: BTreeMap<ReaderId, Reader>,
    next_id: u64,
}

#[derive(Debug)]
struct Reader {
    unread: VecDeque<State>,
    waker: Option<Waker>,
}

impl StateReaders {
    /// A new reader, which first reads `current`.
    pub(crate) fn add(&mut self, current: State) -> ReaderId {
        let id = ReaderId(self.next_id);
        self.next_id += 1;
        let reader = Reader {
            unread: VecDeque::from([current]),
            waker: None,
        };
        self.readers.insert(id, reader);
        id
    }

    /// Removes a reader. Its waker is woken, not dropped: dropping a waker can drop a task, which would
    /// take the lock again.
    pub(crate) fn remove(&mut self, id: ReaderId, wakes: &mut Vec<Waker>) {
        if let Some(reader) = self.readers.remove(&id) {
            wakes.extend(reader.waker);
        }
    }

    /// A new state for every reader.
    pub(crate) fn push(&mut self, state: State, wakes: &mut Vec<Waker>) {
        for reader in self.readers.values_mut() {
            if reader.unread.len() >= UNREAD_LIMIT {
                let merged = reader
                    .unread
                    .iter()
                    .position(|state| !matches!(state, State::Expired { .. }))
                    .unwrap_or(0);
                reader.unread.remove(merged);
            }
            reader.unread.push_back(state);
            wakes.extend(reader.waker.take());
        }
    }

    /// Wakes every reader, although there is no new state.
    pub(crate) fn wake(&mut self, wakes: &mut Vec<Waker>) {
        let readers = self.readers.values_mut();
        wakes.extend(readers.filter_map(|reader| reader.waker.take()));
    }

    /// The next unread state of a reader, if there is one.
    pub(crate) fn read(&mut self, id: ReaderId) -> Option<State> {
        self.readers.get_mut(&id)?.unread.pop_front()
    }

    /// The next unread state of a reader; `waker` is woken when there is one.
    pub(crate) fn poll(
        &mut self,
        id: ReaderId,
        waker: &Waker,
        wakes: &mut Vec<Waker>,
    ) -> Option<State> {
        let reader = self.readers.get_mut(&id)?;
        let state = reader.unread.pop_front();
        if state.is_none() {
            register(&mut reader.waker, waker, wakes);
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use std::time::Instant;

    use zk_proto::SessionId;

    use super::*;

    thread_local! {
        /// How often two ids have been compared.
        pub(super) static COMPARED: Cell<u64> = const { Cell::new(0) };
    }

    #[test]
    fn readers_are_ordered_by_their_number() {
        assert!(ReaderId(1) < ReaderId(2) && ReaderId(2) > ReaderId(1));
    }

    /// Comparisons for each of so many readers: to be added, to read twice and to leave.
    fn compared(readers: u64) -> u64 {
        let mut all = StateReaders::default();
        let ids: Vec<_> = (0..readers).map(|_| all.add(State::Connecting)).collect();
        COMPARED.set(0);
        for id in &ids {
            assert!(all.poll(*id, Waker::noop(), &mut Vec::new()).is_some());
            assert!(all.read(*id).is_none());
        }
        for id in ids {
            all.remove(id, &mut Vec::new());
        }
        COMPARED.get() / readers
    }

    /// Guards: L8.
    #[test]
    fn a_reader_costs_the_same_beside_thousands() {
        assert!(compared(10_000) <= 8 * compared(10));
    }

    /// Guards: A69.
    #[test]
    fn a_late_reader_gets_every_expiry() {
        let mut readers = StateReaders::default();
        let id = readers.add(State::Connecting);
        for epoch in 1..=5 {
            readers.push(
                State::Connected {
                    session: SessionId(1),
                    epoch,
                },
                &mut Vec::new(),
            );
            for _ in 0..10 {
                readers.push(
                    State::Suspended {
                        until: Instant::now(),
                    },
                    &mut Vec::new(),
                );
                readers.push(
                    State::Connected {
                        session: SessionId(1),
                        epoch,
                    },
                    &mut Vec::new(),
                );
            }
            readers.push(State::Expired { epoch }, &mut Vec::new());
        }
        let mut expired = Vec::new();
        while let Some(state) = readers.poll(id, Waker::noop(), &mut Vec::new()) {
            if let State::Expired { epoch } = state {
                expired.push(epoch);
            }
        }
        assert_eq!(expired, [1, 2, 3, 4, 5]);
    }
}
