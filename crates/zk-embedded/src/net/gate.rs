//! Faults of a member's connections as a whole.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// A member's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Closed,
    Open,
    /// Another program has taken it.
    Lost,
}

/// The state that every task of a member watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gate {
    /// The member's process runs.
    pub(crate) running: bool,
    /// The process is suspended, as by SIGSTOP: the kernel accepts connections, the process reads
    /// nothing.
    pub(crate) frozen: bool,
    /// The port is closed.
    pub(crate) refuse: bool,
    /// New connections are accepted and never answered.
    pub(crate) mute: bool,
    /// New connections are closed at once.
    pub(crate) slam: bool,
    /// Every frame waits this long before it is sent.
    pub(crate) delay: Duration,
    /// Bytes are sent one at a time, this far apart.
    pub(crate) dribble: Duration,
    /// What the listener reports about its port.
    pub(crate) port: Port,
}

impl Gate {
    pub(crate) const OPEN: Self = Self {
        running: true,
        frozen: false,
        refuse: false,
        mute: false,
        slam: false,
        delay: Duration::ZERO,
        dribble: Duration::ZERO,
        port: Port::Closed,
    };

    pub(crate) fn listens(&self) -> bool {
        self.running && !self.refuse
    }
}

/// A gate and the tasks that wait for it to change. It wakes them in the order in which they began to
/// wait. The order of tokio's `watch` is random, and runs with a paused clock would differ.
#[derive(Debug)]
pub(crate) struct Watched {
    gate: Mutex<Gate>,
    changed: Notify,
}

impl Watched {
    pub(crate) fn new(gate: Gate) -> Self {
        Self {
            gate: Mutex::new(gate),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self) -> Gate {
        *self.lock()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Gate)) {
        change(&mut self.lock());
        self.changed.notify_waiters();
    }

    /// Waits until the gate is as wanted, and returns it.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(&Gate) -> bool) -> Gate {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let gate = self.get();
            if wanted(&gate) {
                return gate;
            }
            changed.await;
        }
    }
}
