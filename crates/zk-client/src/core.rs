//! What all handles of a client share, under one lock: the session, the link while there is one,
//! the requests waited for, the watches.
//!
//! A request is written straight into the link's output buffer, so the order of taking the lock is
//! the order on the wire. Nothing here touches a socket, a clock or a runtime. No waker is woken
//! and nothing user-supplied runs in here: wakers are collected in [`Core::wakes`] and woken by
//! [`Shared::with`](crate::shared::Shared::with) after the lock is released.

mod connection;
mod expiry;

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;
use std::time::{Duration, Instant};

use zk_proto::records::RemoveWatchesRequest;
use zk_proto::{Encode, HostPort, OpCode};
use zk_transport::{Disconnect, Link};

use crate::session::Session;
use crate::slots::{Answer, Failure, Reply, SlotKey, Slots, WatchIntent};
use crate::state::{State, StateReaders};
use crate::watch::{Batch, Registry, SubId, Unwatch};
use crate::{Outcome, SessionPolicy, Statistics};

/// Whose reply a reply is.
#[derive(Debug)]
pub(crate) enum Token {
    /// A request that someone waits for.
    Call(SlotKey),
    /// The credentials of this index.
    Credential(usize),
    /// A batch of watches armed anew.
    Rearm(Box<Batch>),
    /// The removal of a watch nobody waits for.
    Unwatch,
    /// The end of the session.
    Close,
}

/// A request on its way into the core.
pub(crate) struct Request<'a> {
    pub(crate) op: OpCode,
    /// As the caller gave it, without the chroot.
    pub(crate) path: &'a str,
    pub(crate) record: &'a dyn Encode,
    /// Whether sending it twice, or in a later session, is the same as sending it once.
    pub(crate) replay: bool,
    pub(crate) watch: Option<WatchIntent>,
    pub(crate) deadline: Option<Instant>,
}

/// What bounds a client.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) outstanding: usize,
    pub(crate) request_bytes: usize,
    pub(crate) watch_events: usize,
    pub(crate) close_timeout: Duration,
}

/// Credentials, sent again on every connection, in order.
struct Credential {
    scheme: String,
    secret: Vec<u8>,
    /// Who waits for the server's verdict.
    waiting: Option<SlotKey>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("scheme", &self.scheme)
            .field("secret", &"[redacted]")
            .finish_non_exhaustive()
    }
}

/// How far the end of the client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
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
    /// Wakers to be woken when the lock is released.
    pub(crate) wakes: Vec<Waker>,
    state: State,
    policy: SessionPolicy,
    read_only: bool,
    /// Whether the server that serves the session is read-only.
    on_read_only: bool,
    limits: Limits,
    link: Option<Link<Token>>,
    slots: Slots,
    /// Requests that wait for a connection, in submission order.
    parked: VecDeque<SlotKey>,
    credentials: Vec<Credential>,
    closing: Closing,
    close_wakers: Vec<Waker>,
    /// No slot's deadline is earlier.
    next_deadline: Option<Instant>,
    driver: Option<Waker>,
    failures: BTreeMap<String, Disconnect>,
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
            registry: Registry::default(),
            readers: StateReaders::default(),
            wakes: Vec::new(),
            state: State::Connecting,
            policy,
            read_only,
            on_read_only: false,
            limits,
            link: None,
            slots: Slots::default(),
            parked: VecDeque::new(),
            credentials: Vec::new(),
            closing: Closing::No,
            close_wakers: Vec::new(),
            next_deadline: None,
            driver: None,
            failures: BTreeMap::new(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let (watches, subscribers) = self.registry.counts();
        Statistics {
            outstanding: self.slots.len(),
            parked: self.parked.len(),
            watches,
            subscribers,
        }
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.readers.push(state, &mut self.wakes);
        }
    }

    /// What was wrong with a server the last time.
    pub(crate) fn note_failure(&mut self, host: &HostPort, reason: Disconnect) {
        self.failures.insert(host.to_string(), reason);
    }

    /// What was last wrong with each server, for people.
    pub(crate) fn failures(&self) -> String {
        let said: Vec<String> = self
            .failures
            .iter()
            .map(|(host, reason)| format!("{host}: {reason}"))
            .collect();
        said.join("; ")
    }

    /// Why no request can be accepted any more.
    fn refusal(&self) -> Option<Failure> {
        match (self.state, self.closing) {
            (State::AuthFailed, _) => Some(Failure::AuthFailed(Outcome::NotSent)),
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

    /// A slot with this deadline is in use.
    fn note_deadline(&mut self, deadline: Option<Instant>) {
        if let Some(deadline) = deadline
            && self.next_deadline.is_none_or(|next| deadline < next)
        {
            self.next_deadline = Some(deadline);
        }
    }

    /// Accepts a request: onto the wire if there is a connection, else parked until there is one.
    pub(crate) fn submit(
        &mut self,
        now: Instant,
        request: Request<'_>,
    ) -> Result<SlotKey, Failure> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        if self.slots.len() >= self.limits.outstanding {
            self.forget_unwanted();
            if self.slots.len() >= self.limits.outstanding {
                return Err(Failure::QueueFull);
            }
        }
        let mut watch = request.watch;
        let precaution = watch.as_mut().and_then(|intent| {
            let precaution = self.registry.precaution(intent.kind, &intent.path);
            intent.changed = precaution.is_some();
            self.registry.begin_arming(intent);
            precaution
        });
        let limit = self.limits.request_bytes;
        let open = self.is_connected();
        let key = self.slots.insert(
            request.op,
            request.path,
            request.replay,
            watch,
            request.deadline,
        );
        let Some(slot) = self.slots.get_mut(key) else {
            return Err(Failure::QueueFull);
        };
        if request.replay || !open {
            request.record.encode(&mut slot.record);
            // Every request that sets a watch can be sent again, and says so in its last byte.
            if let (Some(byte), Some(last)) = (precaution, slot.record.last_mut()) {
                *last = byte;
            }
        }
        let size = match self.link.as_mut().filter(|link| link.is_open()) {
            Some(link) if request.replay => {
                let record = &slot.record;
                link.submit(now, request.op, Token::Call(key), limit, |out| {
                    out.extend_from_slice(record);
                })
            }
            Some(link) => link.submit(now, request.op, Token::Call(key), limit, |out| {
                request.record.encode(out);
            }),
            None => {
                // The header's two integers count.
                let size = 8 + slot.record.len();
                if size > limit {
                    Err(size)
                } else {
                    self.parked.push_back(key);
                    Ok(())
                }
            }
        };
        if let Err(size) = size {
            self.let_go(key);
            self.slots.disown(key, &mut self.wakes);
            return Err(Failure::RequestTooLarge { size, limit });
        }
        self.note_deadline(request.deadline);
        self.wake_driver();
        Ok(key)
    }

    /// The reply to a request, or its failure; `waker` is woken when there is one.
    pub(crate) fn poll_reply(&mut self, key: SlotKey, waker: &Waker) -> Option<Answer> {
        self.slots.poll(key, waker, &mut self.wakes)
    }

    /// The caller no longer waits: a request not sent yet will not be, a reply will be dropped, and
    /// a watch that it sets will be removed.
    pub(crate) fn abandon(&mut self, now: Instant, key: SlotKey) {
        if let Some(Ok(Reply {
            watch: Some(sub), ..
        })) = self.slots.disown(key, &mut self.wakes)
        {
            self.unsubscribe(now, sub);
        }
    }

    /// The owner of a watch is gone.
    pub(crate) fn unsubscribe(&mut self, now: Instant, sub: SubId) {
        if let Some(unwatch) = self.registry.unsubscribe(sub) {
            self.send_unwatch(now, unwatch);
        }
    }

    /// Tells the server to forget a watch. Without a connection there is nothing to forget.
    fn send_unwatch(&mut self, now: Instant, unwatch: Unwatch) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_open()) else {
            return;
        };
        let request = RemoveWatchesRequest {
            path: (&*unwatch.path).into(),
            kind: unwatch.kind,
        };
        let sent = link.submit(
            now,
            OpCode::RemoveWatches,
            Token::Unwatch,
            usize::MAX,
            |out| request.encode(out),
        );
        // A little longer than the request that set the watch, and without a limit of ours.
        debug_assert!(sent.is_ok());
        self.wake_driver();
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
        self.slots.complete(key, Err(failure), &mut self.wakes);
        self.let_go(key);
    }

    /// Frees the parked requests whose callers have gone.
    fn forget_unwanted(&mut self) {
        let parked = std::mem::take(&mut self.parked);
        for key in parked {
            if self.slots.get(key).is_some_and(|slot| slot.is_wanted()) {
                self.parked.push_back(key);
            } else {
                self.let_go(key);
            }
        }
    }

    /// Adds credentials to this and every later connection. The slot tells the server's verdict.
    pub(crate) fn add_credential(
        &mut self,
        now: Instant,
        scheme: String,
        secret: Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<SlotKey, Failure> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let key = self.slots.insert(OpCode::Auth, "", true, None, deadline);
        self.note_deadline(deadline);
        let index = self.credentials.len();
        if let Some(link) = self.link.as_mut().filter(|link| link.is_open()) {
            link.submit_auth(now, &scheme, &secret, Token::Credential(index));
        }
        self.credentials.push(Credential {
            scheme,
            secret,
            waiting: Some(key),
        });
        self.wake_driver();
        Ok(key)
    }

    /// Credentials to be sent from the first connection on.
    pub(crate) fn preset_credential(&mut self, scheme: String, secret: Vec<u8>) {
        self.credentials.push(Credential {
            scheme,
            secret,
            waiting: None,
        });
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

    fn wake_driver(&mut self) {
        self.wakes.extend(self.driver.take());
    }

    /// The driver is gone, with its runtime: nothing will be sent or received any more.
    pub(crate) fn handle_driver_gone(&mut self, now: Instant) {
        if !self.is_over() {
            self.disconnected(now, &Disconnect::Local, 0, &[]);
            self.finish(State::Closed, &Failure::Closed(Outcome::NotSent), false);
        }
    }
}

#[cfg(test)]
mod tests;
