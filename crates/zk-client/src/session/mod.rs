//! What all handles of a client share, under one lock: the session, the link while there is one,
//! the requests waited for, the watches.
//!
//! A request is written straight into the link's output buffer, so the order of taking the lock is
//! the order on the wire. Nothing here touches a socket, a clock or a runtime. No waker is woken
//! and nothing user-supplied runs in here: wakers are collected in [`Core::wakes`] and woken by
//! [`Shared::with`](crate::shared::Shared::with) after the lock is released.

mod abilities;
mod adapted;
mod again;
mod cleanups;
mod config_follow;
pub(crate) mod config_znode;
mod credentials;
mod disconnect;
mod end;
pub(crate) mod failure;
pub(crate) mod identity;
mod keeper_features;
pub(crate) mod leader_contact;
mod login;
mod optional;
mod prime;
mod receive;
mod relocation;
mod report;
pub(crate) mod requests;
pub(crate) mod state;
pub(crate) mod statistics;
pub(crate) mod suspension;
pub(crate) mod token;
mod unsubscribe;
pub(crate) mod wakers;
pub(crate) mod watches;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use zk_proto::{Encode, HostPort, OpCode};
use zk_transport::{BackoffPolicy, Disconnect, Hosts, Link};

pub(crate) use self::abilities::OpSet;
pub(crate) use self::adapted::PlainCreate;

use self::abilities::Abilities;
use self::again::Again;
use self::cleanups::Cleanups;
use self::config_follow::Follow;
use self::credentials::Credential;
use self::optional::Refused;
use crate::error::Outcome;
use crate::session::failure::{Failure, Replay};
use crate::session::identity::Session;
use crate::session::identity::{SessionInfo, SessionPolicy};
use crate::session::leader_contact::is_decided_by_quorum;
use crate::session::requests::{Answer, Reply, SlotKey, Slots};
use crate::session::state::{ReaderId, State, StateReaders};
use crate::session::statistics::{Traffic, Volume};
use crate::session::token::SessionToken;
use crate::session::watches::WatchIntent;
use crate::session::watches::{Batch, Left, MailboxLimits, Registry};

/// Whose reply a reply is.
#[derive(Debug)]
pub(crate) enum Token {
    /// A request that someone waits for.
    Call(SlotKey),
    /// The credentials of this index.
    Credential(usize),
    /// A batch of watches armed anew.
    Rearm(Box<Batch>),
    /// The removal of a watch nobody waits for, at this path.
    Unwatch(Arc<str>, Left),
    /// The ensemble's configuration.
    Config,
    /// What a ClickHouse Keeper has.
    Features,
    /// The end of the session.
    Close,
}

/// A request on its way into the core.
pub(crate) struct Request<'a> {
    pub(crate) op: OpCode,
    /// The operations it needs that not every server has.
    pub(crate) needs: OpSet,
    /// As the caller gave it, without the chroot.
    pub(crate) path: &'a str,
    pub(crate) record: &'a dyn Encode,
    pub(crate) replay: Replay,
    pub(crate) watch: Option<WatchIntent>,
    pub(crate) deadline: Option<Instant>,
    /// Whether a client that is being closed accepts it nevertheless.
    pub(crate) cleanup: bool,
    /// The epoch of the only session in which it may be executed.
    pub(crate) only_in: Option<u64>,
}

/// What bounds a client.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) outstanding: usize,
    pub(crate) request_bytes: usize,
    /// Bytes of requests that are held, looked at before one more is accepted.
    pub(crate) outstanding_bytes: usize,
    pub(crate) mailbox: MailboxLimits,
    pub(crate) close_timeout: Duration,
}

/// How far the end of the client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    /// The session is to be closed once the clean-ups are done, or at this time; all of that before
    /// the deadline.
    Draining {
        until: Instant,
        deadline: Instant,
    },
    /// The session is to be closed on the server, at the latest by then.
    Requested {
        deadline: Instant,
    },
    /// Done; whether the server has acknowledged it.
    Done {
        acknowledged: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) session: Session,
    pub(crate) registry: Registry,
    pub(crate) readers: StateReaders,
    pub(crate) hosts: Hosts,
    /// Wakers to be woken when the lock is released.
    pub(crate) wakes: Vec<Waker>,
    state: State,
    /// The epoch of the last session that was announced; nobody is told of the loss of another.
    announced: u64,
    policy: SessionPolicy,
    read_only: bool,
    /// Whether the server that serves the session is read-only.
    on_read_only: bool,
    limits: Limits,
    link: Option<Link<Token>>,
    /// The connection is to be left for one to another server, at the latest by then.
    moving: Option<Instant>,
    /// Batches of watches that the server has not answered.
    rearming: usize,
    again: Again,
    abilities: Abilities,
    /// What was learnt of servers since the last time it was taken for the log.
    learnt: Option<Box<str>>,
    /// What this connection's server has answered that it does not know.
    refused: Refused,
    /// This connection's server is a ClickHouse Keeper.
    on_keeper: bool,
    /// It has been asked for what it has, and requests wait for the answer.
    awaits_features: bool,
    follow: Follow,
    slots: Slots,
    /// Requests that wait for a connection, or for its watches to be armed, in submission order.
    parked: VecDeque<SlotKey>,
    /// Those of the requests and credentials waiting for a connection whose callers have gone.
    unwanted: usize,
    credentials: Vec<Credential>,
    login: Option<login::Login>,
    /// Why the servers do not accept this client.
    refused_for: Option<Disconnect>,
    closing: Closing,
    /// Whether a server has said that the last session has ended, and each that has ended while the
    /// client is being closed. True before the first session.
    end_is_proven: bool,
    close_wakers: Vec<Waker>,
    cleanups: Cleanups,
    /// No slot's deadline is earlier.
    next_deadline: Option<Instant>,
    driver: Option<Waker>,
    /// With what the driver has panicked.
    driver_panic: Option<String>,
    /// Whether the driver is to be woken when the lock is released.
    driver_is_due: bool,
    /// The server connected to, or tried last.
    server: Option<HostPort>,
    /// Attempts to connect since the session was last served.
    attempts: u64,
    traffic: Traffic,
    volume: Volume,
    /// What was last wrong with each server, or each address of a server that has several, since the last
    /// time one served the session.
    failures: BTreeMap<(String, Option<SocketAddr>), Disconnect>,
    /// Why no server can ever be connected to, as long as there was no session.
    hopeless: Option<Disconnect>,
    /// Who waits for the first session, and wants to know that there will be none.
    hopeless_wakers: Vec<Waker>,
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
            readers: StateReaders::default(),
            hosts: Hosts::new(Vec::new(), BackoffPolicy::default(), 0),
            wakes: Vec::new(),
            state: State::Connecting,
            announced: 0,
            policy,
            read_only,
            on_read_only: false,
            limits,
            link: None,
            moving: None,
            rearming: 0,
            again: Again::default(),
            abilities: Abilities::default(),
            learnt: None,
            refused: Refused::default(),
            on_keeper: false,
            awaits_features: false,
            follow: Follow::default(),
            slots: Slots::default(),
            parked: VecDeque::new(),
            unwanted: 0,
            credentials: Vec::new(),
            login: None,
            refused_for: None,
            closing: Closing::No,
            end_is_proven: true,
            close_wakers: Vec::new(),
            cleanups: Cleanups::default(),
            next_deadline: None,
            driver: None,
            driver_panic: None,
            driver_is_due: false,
            server: None,
            attempts: 0,
            traffic: Traffic::default(),
            volume: Volume::default(),
            failures: BTreeMap::new(),
            hopeless: None,
            hopeless_wakers: Vec::new(),
        }
    }

    /// Goes on with a session that another client has left.
    pub(crate) fn resume(&mut self, now: Instant, token: SessionToken) {
        self.session = Session::resume(now, token);
        // Whoever has the token has heard of the session.
        self.announced = self.session.epoch();
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn session_info(&self) -> SessionInfo {
        SessionInfo {
            id: self.session.id(),
            epoch: self.session.epoch(),
            timeout: self.session.timeout(),
        }
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.readers.push(state, &mut self.wakes);
        }
    }

    /// Whether the session of this epoch is over, as the last one, and a server has said so: no request
    /// that was made in it can be executed any more.
    pub(crate) fn is_proven_over(&self, epoch: u64) -> bool {
        self.end_is_proven && self.session.epoch_of_requests() == epoch + 1
    }

    /// Why no request can be accepted any more.
    pub(crate) fn refusal(&self) -> Option<Failure> {
        match (&self.state, self.closing) {
            (State::AuthFailed, _) => {
                let reason = self.refused_for.clone().unwrap_or(Disconnect::Local);
                Some(Failure::AuthFailed(reason, Outcome::NotSent))
            }
            (State::Expired { .. }, _) if self.policy == SessionPolicy::Close => {
                Some(Failure::SessionExpired(Outcome::NotSent))
            }
            (_, Closing::No) => None,
            _ => Some(Failure::Closed(Outcome::NotSent)),
        }
    }

    /// Whether the client is over and the driver has nothing left to do.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.closing, Closing::Done { .. })
    }

    /// Whether the end has been asked for, or reached.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing != Closing::No
    }

    /// A slot with this deadline is in use.
    fn note_deadline(&mut self, deadline: Option<Instant>) {
        if let Some(deadline) = deadline
            && self.next_deadline.is_none_or(|next| deadline < next)
        {
            self.next_deadline = Some(deadline);
        }
    }

    /// Accepts a request: onto the wire if there is a connection, else parked until there is one.
    #[inline]
    pub(crate) fn submit(
        &mut self,
        now: Instant,
        request: &Request<'_>,
    ) -> Result<SlotKey, Box<Failure>> {
        if let Err(refusal) = self.accept(now, request) {
            let counts = self.slots.counts.of(request.replay);
            counts.submitted += 1;
            counts.failed(&refusal);
            return Err(Box::new(refusal));
        }
        let mut watch = request.watch.clone();
        let precaution = watch.as_mut().and_then(|intent| {
            let precaution = self.registry.precaution(intent.kind, &intent.path);
            intent.changed = precaution.is_some();
            self.registry.begin_arming(intent);
            precaution
        });
        let limit = self.limits.request_bytes;
        // What this server is sent in another form takes the way of what waits.
        let lacks = self.abilities.lacking().and(request.needs);
        let open = self.takes_requests() && lacks.is_empty();
        // What may have to be sent in another form is kept.
        let keeps = !request.replay.is_never()
            || !request.needs.without(self.abilities.having()).is_empty();
        let key = self.slots.insert(
            request.op,
            request.needs,
            request.path,
            request.replay,
            watch,
            request.deadline,
        );
        let Some(slot) = self.slots.get_mut(key) else {
            return Err(Box::new(Failure::QueueFull));
        };
        let encode = |out: &mut BytesMut| {
            request.record.encode(out);
            // Every request that sets a watch can be sent again, and says so in its last byte.
            if let (Some(byte), Some(last)) = (precaution, out.last_mut()) {
                *last = byte;
            }
        };
        let mut bytes = 0;
        let size = match self.link.as_mut().filter(|_| open) {
            Some(link) => {
                let written = link.submit(now, request.op, Token::Call(key), limit, |out| {
                    let from = out.len();
                    encode(out);
                    bytes = out.len() - from;
                    if keeps {
                        let record = out.get(from..).unwrap_or_default();
                        slot.record.extend_from_slice(record);
                    }
                });
                if written.is_ok() && is_decided_by_quorum(request.op) {
                    self.session.handle_written(now);
                }
                written
            }
            None => {
                encode(&mut slot.record);
                bytes = slot.record.len();
                // The header's two integers count.
                let size = 8 + slot.record.len();
                if size > limit {
                    Err(size)
                } else {
                    slot.held_back = true;
                    self.parked.push_back(key);
                    Ok(())
                }
            }
        };
        if let Err(size) = size {
            let failure = Failure::RequestTooLarge { size, limit };
            self.fail(key, failure.clone());
            self.slots.disown(key, &mut self.wakes);
            return Err(Box::new(failure));
        }
        self.slots.hold_bytes(key, bytes);
        self.note_deadline(request.deadline);
        if !lacks.is_empty() && self.takes_requests() {
            self.release(now);
        }
        self.wake_driver();
        Ok(key)
    }

    /// The reply to a request, or its failure; `waker` is woken when there is one.
    #[inline]
    pub(crate) fn poll_reply(&mut self, key: SlotKey, waker: &Waker) -> Option<Answer> {
        self.slots.poll(key, waker, &mut self.wakes)
    }

    /// The caller no longer waits: a request not sent yet will not be, a reply will be dropped, and
    /// a watch that it sets will be removed.
    pub(crate) fn abandon(&mut self, now: Instant, key: SlotKey) {
        if let Some(Ok(Reply {
            watch: Some(sub), ..
        })) = self.slots.disown(key, &mut self.wakes)
            && !zk_proto::seeded_bug!("A38")
        {
            self.unsubscribe(now, sub);
        }
        let connected = self.is_connected();
        let waits = (self.slots.get(key))
            .is_some_and(|slot| slot.is_queued() && (slot.held_back || !connected));
        if waits {
            self.unwanted += 1;
            self.slots.release_bytes(key);
        }
    }

    /// The next state that a reader has not read; `waker` is woken when there is one.
    pub(crate) fn poll_state(&mut self, reader: ReaderId, waker: &Waker) -> Option<State> {
        self.readers.poll(reader, waker, &mut self.wakes)
    }

    /// A reader of states is gone.
    pub(crate) fn forget_reader(&mut self, reader: ReaderId) {
        self.readers.remove(reader, &mut self.wakes);
    }

    /// The link or the parked queue lets go of a request, together with the watch it was to set.
    fn let_go(&mut self, key: SlotKey) {
        if let Some(intent) = self.slots.get_mut(key).and_then(|slot| slot.watch.take()) {
            self.registry.end_arming(&intent);
        }
        self.slots.unqueue(key);
    }

    fn fail(&mut self, key: SlotKey, failure: Failure) {
        // An answer nobody waits for concerns nobody.
        self.slots.fail(key, failure, &mut self.wakes);
        self.let_go(key);
    }

    /// A request may be made now.
    #[inline]
    fn accept(&mut self, now: Instant, request: &Request<'_>) -> Result<(), Failure> {
        let drains = request.cleanup && matches!(self.closing, Closing::Draining { .. });
        match self.refusal() {
            Some(refusal) if !(drains && matches!(refusal, Failure::Closed(_))) => {
                return Err(refusal);
            }
            _ => {}
        }
        let epoch = self.session.epoch_of_requests();
        if request.only_in.is_some_and(|only| only != epoch) {
            return Err(Failure::SessionExpired(Outcome::NotSent));
        }
        if request.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Failure::DeadlineExceeded(Outcome::NotSent));
        }
        // Without a connection it is parked: the next server may have the operation.
        if !request.needs.is_empty()
            && self.form(request.op, request.needs).is_none()
            && self.takes_requests()
        {
            return Err(Failure::Unimplemented(Outcome::NotSent));
        }
        self.make_room()
    }

    /// One more request may be outstanding.
    fn make_room(&mut self) -> Result<(), Failure> {
        let (held, most) = (self.slots.len(), self.limits.outstanding);
        if held.saturating_sub(self.unwanted) >= most && !zk_proto::seeded_bug!("D9") {
            return Err(Failure::QueueFull);
        }
        let (bytes, limit) = (self.slots.bytes(), self.limits.outstanding_bytes);
        if bytes >= limit {
            return Err(Failure::QueueBytes { bytes, limit });
        }
        // All are looked at only when it frees half of them, lest every request that is given up
        // and made again costs a walk.
        if held >= most && self.unwanted >= held / 2 {
            self.forget_unwanted();
        }
        Ok(())
    }

    /// Frees the parked requests and the credentials whose callers have gone.
    fn forget_unwanted(&mut self) {
        self.unwanted = 0;
        let parked = std::mem::take(&mut self.parked);
        for key in parked {
            if self.slots.get(key).is_some_and(|slot| slot.is_wanted()) {
                self.parked.push_back(key);
            } else {
                self.let_go(key);
            }
        }
        for index in 0..self.credentials.len() {
            let Some(credential) = self.credentials.get_mut(index) else {
                break;
            };
            let waiting = std::mem::take(&mut credential.waiting);
            let (wanted, unwanted): (Vec<_>, _) = waiting
                .into_iter()
                .partition(|key| self.slots.get(*key).is_some_and(|slot| slot.is_wanted()));
            if let Some(credential) = self.credentials.get_mut(index) {
                credential.waiting = wanted;
            }
            for key in unwanted {
                self.let_go(key);
            }
        }
    }

    /// Registers the driver, to be woken when there is something to do.
    pub(crate) fn register_driver(&mut self, waker: &Waker) {
        if !self
            .driver
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            self.driver = Some(waker.clone());
        }
    }

    pub(crate) fn wake_driver(&mut self) {
        self.driver_is_due = true;
    }

    /// The driver's waker, if the driver is to be woken and has not been since it last registered.
    #[inline]
    pub(crate) fn take_driver(&mut self) -> Option<Waker> {
        match std::mem::take(&mut self.driver_is_due) {
            true => self.driver.take(),
            false => None,
        }
    }

    /// The driver has panicked, which is the end of the client.
    pub(crate) fn handle_driver_panic(&mut self, panic: &str) {
        self.driver_panic = Some(panic.to_owned());
    }

    /// The client has ended because its driver panicked.
    pub(crate) fn has_panicked(&self) -> bool {
        self.driver_panic.is_some()
    }

    /// The driver is gone, with its runtime: nothing will be sent or received any more.
    pub(crate) fn handle_driver_gone(&mut self, now: Instant) {
        if !self.is_over() {
            // How much of what the pump took was offered to the stream is not known here.
            let taken = self.link.as_ref().map_or(0, Link::taken);
            self.disconnected(now, &Disconnect::Local, taken, &[]);
            self.finish(State::Closed, &Failure::Closed(Outcome::NotSent), false);
        }
    }
}

#[cfg(test)]
mod tests;
