//! The state machine behind its lock, and the tasks that wait for it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::core::{ConnectionId, Peer, State, shrink_map};
use crate::fault::Script;
use crate::net::gate::{Gate, Watched};

/// Everything the tasks of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// Whether the script has rules or cuts, so that an empty one is not locked.
    armed: AtomicBool,
    script: Mutex<Script>,
    pub(crate) gates: Vec<Arc<Watched>>,
    /// Wakes the clock when the next timeout is earlier than `Inner::armed_for`.
    pub(crate) clock: Notify,
    sockets: bool,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) state: State,
    tasks: HashMap<ConnectionId, Arc<Notify>>,
    pub(crate) half_open: HashSet<ConnectionId>,
    /// Members cut off from the others by a partition.
    pub(crate) apart: Vec<usize>,
    /// The instant that the clock sleeps until.
    pub(crate) armed_for: Option<Instant>,
}

/// The time by tokio's clock, which tests can pause and advance.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Shared {
    pub(crate) fn new(state: State, sockets: bool) -> Self {
        let gates = (0..state.member_count())
            .map(|_| Arc::new(Watched::new(Gate::OPEN)))
            .collect();
        Self {
            inner: Mutex::new(Inner {
                state,
                tasks: HashMap::new(),
                half_open: HashSet::new(),
                apart: Vec::new(),
                armed_for: None,
            }),
            armed: AtomicBool::new(false),
            script: Mutex::default(),
            gates,
            clock: Notify::new(),
            sockets,
        }
    }

    pub(crate) fn has_sockets(&self) -> bool {
        self.sockets
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state machine, then wakes the tasks of connections that have output.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let result = work(&mut inner);
        let mut woken = Vec::new();
        while let Some(id) = inner.state.poll_ready() {
            woken.extend(inner.tasks.get(&id).cloned());
        }
        let next = inner.state.poll_timeout();
        let earlier = inner.armed_for.is_some_and(|armed| next < armed);
        if earlier {
            inner.armed_for = Some(next);
        }
        drop(inner);
        for task in woken {
            task.notify_one();
        }
        if earlier {
            self.clock.notify_one();
        }
        result
    }

    /// Reads the state machine.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.lock())
    }

    pub(crate) fn open(&self, member: usize, peer: Peer) -> Option<(ConnectionId, Arc<Notify>)> {
        let task = Arc::new(Notify::new());
        let id = self.with(|inner| {
            let id = inner.state.open(now(), member, peer)?;
            inner.tasks.insert(id, task.clone());
            Some(id)
        })?;
        Some((id, task))
    }

    pub(crate) fn close(&self, id: ConnectionId) {
        self.with(|inner| {
            inner.tasks.remove(&id);
            shrink_map(&mut inner.tasks);
            inner.half_open.remove(&id);
            inner.state.handle_disconnect(id);
        });
    }

    /// Reads the script, unless it is empty.
    pub(crate) fn consult<T>(&self, read: impl FnOnce(&mut Script) -> Option<T>) -> Option<T> {
        if !self.armed.load(Ordering::Acquire) {
            return None;
        }
        self.edit_script(read)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn edit_script<T>(&self, edit: impl FnOnce(&mut Script) -> T) -> T {
        let mut script = self.script();
        let result = edit(&mut script);
        self.armed.store(!script.is_empty(), Ordering::Release);
        result
    }

    /// Passes to the state machine which members are cut off: by a partition, or because they are
    /// stopped while others run.
    pub(crate) fn regroup(&self) {
        let stopped = |&member: &usize| self.gates.get(member).is_some_and(|g| !g.get().running);
        let stopped: Vec<_> = (0..self.gates.len()).filter(stopped).collect();
        self.with(|inner| {
            let apart = inner.apart.clone();
            // A server of which all members are stopped keeps its state.
            let some_run = stopped.len() < self.gates.len();
            let stopped = if some_run { &stopped[..] } else { &[] };
            inner.state.regroup(now(), &apart, stopped);
        });
        self.clock.notify_one();
    }

    fn is_frozen(&self, member: usize) -> bool {
        self.gates.get(member).is_some_and(|gate| gate.get().frozen)
    }

    /// Whether the timeouts of sessions run, which they do while the leader runs.
    pub(crate) fn clock_runs(&self) -> bool {
        let leader = self.look(|inner| inner.state.leader());
        self.gates.get(leader).is_some_and(|gate| {
            let gate = gate.get();
            gate.running && !gate.frozen
        })
    }
}

/// Lets sessions expire. Never returns; [`Server`](crate::Server) aborts it.
pub(crate) async fn run_clock(server: Arc<Shared>) {
    loop {
        let runs = server.clock_runs();
        if runs {
            server.with(|inner| {
                let now = now();
                let deposed = inner.state.deposed_leader();
                if deposed.is_some_and(|leader| server.is_frozen(leader)) {
                    inner.state.hold_deposed(now);
                }
                if inner.state.poll_timeout() <= now {
                    inner.state.handle_timeout(now);
                }
                inner.armed_for = Some(inner.state.poll_timeout());
            });
        }
        let next = server.look(|inner| inner.armed_for);
        tokio::select! {
            // A random order would make runs with a paused clock differ.
            biased;
            () = tokio::time::sleep_until(next.unwrap_or_else(now).into()), if runs => {}
            () = server.clock.notified() => {}
        }
    }
}
