//! The state of the session as it was announced, and the readers of it.

use std::task::Waker;

use crate::session::identity::SessionPolicy;
use crate::session::state::State;
use crate::session::state_readers::{ReaderId, StateReaders};

/// The state, its readers, and what follows for them when a session ends.
#[derive(Debug)]
pub(super) struct StateTracker {
    current: State,
    /// The epoch of the last session that was announced. The loss of a session that was not is not
    /// announced either.
    announced: u64,
    readers: StateReaders,
    policy: SessionPolicy,
}

impl StateTracker {
    pub(super) fn new(policy: SessionPolicy) -> Self {
        StateTracker {
            current: State::Connecting,
            announced: 0,
            readers: StateReaders::default(),
            policy,
        }
    }

    pub(super) fn current(&self) -> State {
        self.current
    }

    pub(super) fn policy(&self) -> SessionPolicy {
        self.policy
    }

    /// Changes the state and notifies the readers. False if it is the state already.
    pub(super) fn set(&mut self, state: State, wakes: &mut Vec<Waker>) -> bool {
        let is_new = self.current != state;
        if is_new {
            self.current = state;
            self.readers.push(state, wakes);
        }
        is_new
    }

    /// The session of this epoch is announced, or known to the caller that resumes it.
    pub(super) fn set_announced(&mut self, epoch: u64) {
        self.announced = epoch;
    }

    /// Whether the session of this epoch has been announced, so that its loss is, too.
    pub(super) fn is_announced(&self, epoch: u64) -> bool {
        self.announced == epoch
    }

    /// A new reader, which first reads the current state.
    pub(super) fn add_reader(&mut self) -> ReaderId {
        self.readers.add(self.current)
    }

    pub(super) fn remove_reader(&mut self, reader: ReaderId, wakes: &mut Vec<Waker>) {
        self.readers.remove(reader, wakes);
    }

    /// The next state that a reader has not read; `waker` is woken when there is one.
    pub(super) fn poll(
        &mut self,
        reader: ReaderId,
        waker: &Waker,
        wakes: &mut Vec<Waker>,
    ) -> Option<State> {
        self.readers.poll(reader, waker, wakes)
    }

    /// The next state that a reader has not read, if there is one.
    pub(super) fn read(&mut self, reader: ReaderId) -> Option<State> {
        self.readers.read(reader)
    }

    /// Wakes all readers although the state is the same: the end of a lease may have come nearer.
    pub(super) fn wake_readers(&mut self, wakes: &mut Vec<Waker>) {
        self.readers.wake(wakes);
    }
}
