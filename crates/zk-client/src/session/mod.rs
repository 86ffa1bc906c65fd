//! The state that all handles of a client share, under one lock: the session, the connection while
//! there is one, the requests, the watches.
//!
//! A request is written straight into the link's output buffer, so the order of taking the lock is
//! the order on the wire. Nothing here touches a socket, a clock or a runtime. No waker is woken
//! and nothing user-supplied runs in here: wakers are collected in [`Core::wakeups`] and woken by
//! [`Shared::with`](crate::shared::Shared::with) after the lock is released.
//!
//! # Layout
//!
//! [`Core`] consists of parts that own their fields and their rules; its own methods only coordinate
//! them. A file holds either a part, which does not import `Core`, or methods of `Core`, and then no
//! file imports it.
//!
//! Each directory holds a part in its `mod.rs`, or several parts, and the methods of `Core` that belong to
//! it:
//!
//! - `requests`: submitting, parking, answering. The part owns the table of slots.
//! - `connection`: handshake, input and output, arming watches again, what is lost with a connection.
//! - `auth`: logins and credentials.
//! - `abilities`: operations that not every server has, and what is sent instead.
//! - `watches`: the registry of watches; `unsubscribe` has the methods of `Core`.
//! - `servers`: the list of servers, the move to another one, their failures, and the ensemble's
//!   configuration.
//! - `shutdown`: deadlines, the end of the session and of the client, clean-ups.
//!
//! The session itself is in `identity`, `leader_contact`, `suspension` and `token`; its state in
//! `state`, `state_readers` and `state_tracker`. `counters`, `statistics` and `report` are what an
//! operator sees. `failure` is why a request has no answer, `wakers` what is woken after the lock is
//! released.

mod abilities;
mod auth;
mod connection;
pub(crate) mod counters;
pub(crate) mod failure;
pub(crate) mod identity;
pub(crate) mod leader_contact;
mod report;
pub(crate) mod requests;
pub(crate) mod servers;
pub(crate) mod shutdown;
pub(crate) mod state;
pub(crate) mod state_readers;
mod state_tracker;
pub(crate) mod statistics;
pub(crate) mod suspension;
pub(crate) mod token;
mod unsubscribe;
pub(crate) mod wakers;
pub(crate) mod watches;

use std::task::Waker;
use std::time::{Duration, Instant};

use zk_proto::OpCode;
use zk_transport::{Disconnect, Link};

pub(crate) use self::abilities::op_set::OpSet;
pub(crate) use self::requests::{Limits, Request};

use self::abilities::ServerAbilities;
use self::auth::Auth;
use self::connection::Connection;
use self::counters::Counters;
use self::requests::Requests;
use self::servers::config_follower::ConfigFollower;
use self::servers::health::ServerHealth;
use self::servers::outage::Outage;
use self::servers::relocation::Relocation;
use self::shutdown::Shutdown;
use self::state_tracker::StateTracker;
use self::wakers::Wakeups;
use crate::error::Outcome;
use crate::session::failure::Failure;
use crate::session::identity::{Session, SessionInfo, SessionPolicy};
use crate::session::state::State;
use crate::session::state_readers::ReaderId;
use crate::session::token::SessionToken;
use crate::session::watches::Registry;

/// What all handles of a client share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) session: Session,
    pub(crate) registry: Registry,
    pub(crate) relocation: Relocation,
    pub(crate) wakeups: Wakeups,
    connection: Connection,
    requests: Requests,
    auth: Auth,
    abilities: ServerAbilities,
    config: ConfigFollower,
    health: ServerHealth,
    outage: Outage,
    state: StateTracker,
    shutdown: Shutdown,
    counters: Counters,
    /// The text of the driver's panic.
    driver_panic: Option<String>,
}

impl Core {
    pub(crate) fn new(
        now: Instant,
        timeout: Duration,
        policy: SessionPolicy,
        read_only: bool,
        limits: Limits,
    ) -> Self {
        Core {
            session: Session::new(now, timeout),
            registry: Registry::new(limits.mailbox),
            relocation: Relocation::new(),
            wakeups: Wakeups::default(),
            connection: Connection::new(read_only),
            auth: Auth::default(),
            abilities: ServerAbilities::default(),
            config: ConfigFollower::default(),
            health: ServerHealth::default(),
            outage: Outage::new(now),
            state: StateTracker::new(policy),
            shutdown: Shutdown::new(limits.close_timeout),
            counters: Counters::default(),
            driver_panic: None,
            requests: Requests::new(limits),
        }
    }

    /// Resumes a session of another client.
    pub(crate) fn resume(&mut self, now: Instant, token: SessionToken) {
        self.session = Session::resume(now, token, self.session.timeout());
        // The owner of the token knows the session, so its loss is announced.
        self.state.set_announced(self.session.epoch());
    }

    pub(crate) fn state(&self) -> State {
        self.state.current()
    }

    pub(crate) fn session_info(&self) -> SessionInfo {
        SessionInfo {
            id: self.session.id(),
            epoch: self.session.epoch(),
            timeout: self.session.timeout(),
        }
    }

    fn set_state(&mut self, state: State) {
        if self.state.set(state, &mut self.wakeups.wakers) {
            self.counters.mark_changed();
        }
    }

    /// A new reader of states, which first reads the current one.
    pub(crate) fn add_reader(&mut self) -> ReaderId {
        self.state.add_reader()
    }

    /// The next state that a reader has not read; `waker` is woken when there is one.
    pub(crate) fn poll_state(&mut self, reader: ReaderId, waker: &Waker) -> Option<State> {
        self.state.poll(reader, waker, &mut self.wakeups.wakers)
    }

    /// A reader of states is gone.
    pub(crate) fn forget_reader(&mut self, reader: ReaderId) {
        self.state.remove_reader(reader, &mut self.wakeups.wakers);
    }

    /// Wakes the readers of states although the state is the same.
    fn wake_readers(&mut self) {
        self.state.wake_readers(&mut self.wakeups.wakers);
    }

    /// Whether the session of this epoch was the last one and a server has answered that it is over: no
    /// request that was made in it can be executed any more.
    pub(crate) fn is_proven_over(&self, epoch: u64) -> bool {
        self.shutdown.end_is_proven() && self.session.epoch_of_requests() == epoch + 1
    }

    /// Why no request can be accepted any more.
    #[inline]
    pub(crate) fn refusal(&self) -> Option<Failure> {
        match self.state.current() {
            State::AuthFailed => {
                let reason = self.auth.refused_for().unwrap_or(Disconnect::Local);
                Some(Failure::AuthFailed(reason, Outcome::NotSent))
            }
            State::Expired { .. } if self.state.policy() == SessionPolicy::Close => {
                Some(Failure::SessionExpired(Outcome::NotSent))
            }
            _ if !self.is_closing() => None,
            _ => Some(Failure::Closed(Outcome::NotSent)),
        }
    }

    /// Whether the client is over and the driver has nothing left to do.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.shutdown.is_over()
    }

    /// Whether the client is being closed, or is over.
    pub(crate) fn is_closing(&self) -> bool {
        self.shutdown.is_closing()
    }

    /// Whether a server has answered the handshake and the connection stands.
    #[inline]
    pub(crate) fn is_connected(&self) -> bool {
        self.connection.is_open()
    }

    /// Whether a request goes onto the wire now.
    #[inline]
    fn takes_requests(&self) -> bool {
        self.is_connected()
            && !self.relocation.is_moving()
            && !self.registry.is_rearming()
            && !self.abilities.awaits_features()
    }

    /// Whether the current server is known, or assumed, to lack the operation.
    pub(crate) fn lacks(&self, op: OpCode) -> bool {
        self.abilities.lacks(op)
    }

    /// What was learnt of servers since this was last called, for the log.
    pub(crate) fn take_missing_ops(&mut self) -> Option<Box<str>> {
        self.abilities.take_news()
    }

    /// Whether anything that spans, events or metrics report has changed since this was last called.
    #[inline]
    pub(crate) fn take_changed(&mut self) -> bool {
        self.counters.take_changed()
    }

    /// The driver has panicked, which is the end of the client.
    pub(crate) fn handle_driver_panic(&mut self, panic: &str) {
        self.driver_panic = Some(panic.to_owned());
    }

    /// Whether the client has ended because its driver panicked.
    pub(crate) fn has_panicked(&self) -> bool {
        self.driver_panic.is_some()
    }

    /// The driver is gone, with its runtime: nothing will be sent or received any more.
    pub(crate) fn handle_driver_gone(&mut self, now: Instant) {
        if !self.is_over() {
            // How much of what the pump took was offered to the stream is not known here.
            let taken = self.connection.link.as_ref().map_or(0, Link::taken);
            self.disconnected(now, &Disconnect::Local, taken, &[]);
            self.finish(State::Closed, &Failure::Closed(Outcome::NotSent), false);
        }
    }
}

#[cfg(test)]
mod tests;
