//! The state of a client's session, as a stream that never loses an expiry.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::task::Waker;
use std::time::Instant;

use zk_proto::SessionId;

use crate::session::wakers::register;

/// Older states are left out once a reader is this far behind, expiries last.
const UNREAD_LIMIT: usize = 16;

/// What is known of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// No session has been established yet; or the connection to a read-only server, made without
    /// one, is lost.
    Connecting,
    /// A server serves the session.
    Connected {
        /// The session's id.
        session: SessionId,
        /// Counts the sessions of this client, from 1.
        epoch: u64,
    },
    /// A server without a quorum serves reads. Only a client that asked for it gets there
    /// ([`ClientBuilder::read_only`](crate::ClientBuilder::read_only)), and it goes on looking for a server
    /// with one.
    ConnectedReadOnly {
        /// That of the session, if this client had one before and the server knows it. Otherwise 0:
        /// such a server can give none that others would know.
        epoch: u64,
    },
    /// The connection is lost; the session may live on.
    Suspended {
        /// Until when the session counts as alive on this side. Locks and leaderships end earlier,
        /// at the time their guard's `deadline()` gives.
        until: Instant,
    },
    /// The session is over; its ephemeral nodes are or will be gone, its watches have ended.
    ///
    /// Under [`SessionPolicy::Renew`](crate::SessionPolicy::Renew) this is the state until a new
    /// session is established, with the next epoch. Under [`SessionPolicy::Close`](crate::SessionPolicy::Close) this is final.
    Expired {
        /// The epoch that ended.
        epoch: u64,
    },
    /// The server refused the credentials or the login, or requires one. Final.
    AuthFailed,
    /// The client was closed. Final.
    Closed,
}

impl State {
    /// Whether requests are being served now.
    pub fn is_connected(self) -> bool {
        matches!(
            self,
            State::Connected { .. } | State::ConnectedReadOnly { .. }
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Connecting => f.write_str("connecting"),
            State::Connected { session, epoch } => {
                write!(f, "connected, session {session}, epoch {epoch}")
            }
            State::ConnectedReadOnly { epoch } => write!(f, "connected read-only, epoch {epoch}"),
            State::Suspended { .. } => f.write_str("suspended"),
            State::Expired { epoch } => write!(f, "session expired, epoch {epoch}"),
            State::AuthFailed => f.write_str("authentication failed"),
            State::Closed => f.write_str("closed"),
        }
    }
}

/// Names a reader of states.
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

/// The readers of the state and what each has not read yet. There may be thousands: each guard that
/// waits for its loss is one.
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

    /// Its waker is woken, not dropped: dropping one can drop a task, and that wants the lock.
    pub(crate) fn remove(&mut self, id: ReaderId, wakes: &mut Vec<Waker>) {
        if let Some(reader) = self.readers.remove(&id) {
            wakes.extend(reader.waker);
        }
    }

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

    /// Lets every reader look again, although there is no new state.
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

    use super::*;

    thread_local! {
        /// How often two ids have been compared.
        pub(super) static COMPARED: Cell<u64> = const { Cell::new(0) };
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
