//! What the driver does with the connection: output, input, time.

use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use zk_proto::{ErrorCode, OpCode};
use zk_transport::{Disconnect, FrameReader, Link, Notification, Received};

use crate::error::Outcome;
use crate::session::connection::{ReplyTarget, Throttled};
use crate::session::failure::Failure;
use crate::session::leader_contact::{is_decided_by_quorum, is_refusal_by_quorum};
use crate::session::requests::ReplyIds;
use crate::session::{Core, OpSet};

impl Core {
    /// A stream to a server is open; the server has `budget` to answer the handshake. False if the
    /// client is over.
    pub(crate) fn begin(&mut self, now: Instant, budget: Duration) -> bool {
        if self.is_over() {
            return false;
        }
        self.connection.throttled = Throttled::default();
        let read_only = self.connection.accepts_read_only;
        let request = self.session.connect_request(read_only);
        let link = Link::new(now, &request, budget);
        self.connection.link = Some(if self.auth.login.is_some() {
            link.with_login()
        } else {
            link
        });
        true
    }

    /// Whether there is output to be sent.
    pub(crate) fn has_output(&self) -> bool {
        self.connection.has_output()
    }

    /// Whether a request that has been sent has no reply yet.
    pub(crate) fn awaits_reply(&self) -> bool {
        self.connection.awaits_reply()
    }

    /// Moves what is to be sent into `out`.
    pub(crate) fn poll_output(&mut self, out: &mut BytesMut) {
        if let Some(link) = &mut self.connection.link {
            link.poll_output(out);
            self.counters.sent(out.len());
        }
    }

    /// What a client that is being closed still has to send, the end of its session included, when
    /// its driver is dropped. Nothing if a part of a frame may be on its way: the stream has accepted
    /// `written` bytes.
    pub(crate) fn last_output(&mut self, now: Instant, written: u64) -> BytesMut {
        if let Some(deadline) = self.shutdown.draining() {
            self.close_session(now, deadline);
        }
        let mut out = BytesMut::new();
        if self.shutdown.is_requested()
            && let Some(link) = (self.connection.open_link()).filter(|link| link.taken() == written)
        {
            link.poll_output(&mut out);
        }
        out
    }

    /// When the driver has to call [`handle_timeout`](Self::handle_timeout) and
    /// [`handle_link_timeout`](Self::handle_link_timeout); `None` without a connection.
    #[inline]
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let link = self.poll_link_timeout()?;
        Some(self.poll_timeout().map_or(link, |due| due.min(link)))
    }

    /// When the next timeout is due, if until then there is nothing for the driver to do unless it is
    /// woken by this `driver` waker: there is no output, and the waker is registered.
    #[inline]
    pub(crate) fn idle_until(&self, driver: &Waker) -> Option<Instant> {
        let is_idle = !self.has_output() && self.wakeups.will_wake_driver(driver);
        self.next_timeout().filter(|_| is_idle)
    }

    /// When [`handle_link_timeout`](Self::handle_link_timeout) is due.
    pub(crate) fn poll_link_timeout(&self) -> Option<Instant> {
        let link = self.connection.poll_timeout()?;
        let moving = self.relocation.poll(self.connection.link.as_ref());
        Some(moving.map_or(link, |due| due.min(link)))
    }

    /// Pings, or ends the connection because the server did not answer.
    pub(crate) fn handle_link_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        self.give_up_move(now);
        self.check_move(now)?;
        self.send_throttled(now);
        self.shrink_idle();
        self.connection.handle_timeout(now)
    }

    /// Idle: releases room that grew under load.
    fn shrink_idle(&mut self) {
        self.requests.shrink_idle();
        self.registry.shrink_idle();
        self.wakeups.shrink_idle();
    }

    /// Leaves a server that has not decided a write in time, as long as another can still prove the
    /// session alive.
    pub(crate) fn leave_overdue_server(&mut self, now: Instant) {
        let overdue = self.session.overdue().is_some_and(|due| due <= now);
        if !overdue || self.session.quorum_lease_until() <= now {
            return;
        }
        if let Some(link) = self.connection.open_link() {
            link.give_up();
            self.wakeups.wake_driver();
        }
    }

    /// Bytes have arrived.
    pub(crate) fn handle_input(
        &mut self,
        now: Instant,
        frames: &mut FrameReader,
    ) -> Result<(), Disconnect> {
        let result = self.handle_frames(now, frames);
        self.counters.set_watches(self.registry.counters());
        result
    }

    #[inline]
    fn handle_frames(&mut self, now: Instant, frames: &mut FrameReader) -> Result<(), Disconnect> {
        self.connection
            .link
            .as_mut()
            .ok_or(Disconnect::Local)?
            .handle_received(now);
        loop {
            let Some(link) = &mut self.connection.link else {
                return Err(Disconnect::Local);
            };
            let frame = match frames.peek() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(Disconnect::FrameTooLarge { len, limit }) if link.is_open() => {
                    let begun = frames.pending().get(4..).unwrap_or_default();
                    match link.too_large(len, limit, begun) {
                        Some(reason) => return Err(reason),
                        None => break,
                    }
                }
                Err(reason) if link.is_open() => return Err(reason),
                Err(reason) => return Err(not_zookeeper(&reason, frames.pending())),
            };
            self.counters.received(4 + frame.len());
            // Decodes notifications in place: splitting off a `Bytes` costs as much as decoding.
            if let Some(notification) = link.notification(frame)? {
                self.handle_notification(now, &notification);
                frames.skip()?;
            } else if let Some(frame) = frames.next_frame()? {
                let received = link.handle_frame(frame)?;
                self.handle_received(now, received)?;
            }
        }
        let link = self.connection.link.as_ref().ok_or(Disconnect::Local)?;
        if link.is_open() || link.is_logging_in() {
            let acknowledged = link.acknowledged();
            self.note_contact(now, acknowledged);
        }
        self.check_config(now);
        self.check_move(now)
    }

    /// The server has sent something at `at`; `acknowledged` is when the latest answered request was
    /// submitted.
    pub(in crate::session) fn note_contact(&mut self, at: Instant, acknowledged: Instant) {
        if self.connection.is_read_only {
            self.session.handle_read_only_contact(at);
        } else {
            self.session.handle_contact(at, acknowledged);
        }
    }

    fn handle_received(
        &mut self,
        now: Instant,
        received: Received<ReplyTarget>,
    ) -> Result<(), Disconnect> {
        match received {
            // The server has executed nothing and closes the connection.
            Received::Reply {
                token,
                result: Err(ErrorCode::SessionClosedRequireSaslAuth),
                ..
            } => {
                let reason = Disconnect::LoginRequired;
                if let ReplyTarget::Call(key) = token {
                    self.fail(key, Failure::AuthFailed(reason.clone(), Outcome::Rejected));
                }
                self.refuse(reason.clone());
                Err(reason)
            }
            Received::Reply {
                token: ReplyTarget::Call(key),
                op,
                zxid,
                result,
                submitted,
            } => {
                self.session.handle_zxid(zxid);
                if is_decided_by_quorum(op) {
                    let decided = result.as_ref().err().is_none_or(is_refusal_by_quorum);
                    self.session.handle_write_reply(submitted, now, decided);
                }
                let xid = self.connection.link.as_ref().map_or(0, Link::last_xid);
                self.handle_reply(now, key, op, result, ReplyIds { xid, zxid })
            }
            Received::Reply {
                token: ReplyTarget::Rearm(batch),
                zxid,
                mut result,
                ..
            } => {
                self.session.handle_zxid(zxid);
                if batch.is_lasting() {
                    let op = OpCode::SetWatches2;
                    self.note_answer(op, OpSet::of(op), &mut result);
                }
                match result {
                    Ok(_) => self.handle_rearmed(now, &batch),
                    Err(ErrorCode::Unimplemented) if batch.is_lasting() => {
                        self.handle_rearm_unknown(now);
                    }
                    // Once requests have followed it, the batch would come too late: a change
                    // in between could be missed without a gap.
                    Err(ErrorCode::ThrottledOp) if self.registry.is_rearming() => {
                        self.handle_throttled_batch(now, *batch);
                    }
                    Err(code) => return Err(Disconnect::RearmRefused(code)),
                }
                Ok(())
            }
            Received::Reply {
                token: ReplyTarget::Close,
                result,
                ..
            } => self.handle_close_reply(now, &result),
            Received::Reply {
                token: ReplyTarget::Config,
                zxid,
                result,
                ..
            } => {
                self.session.handle_zxid(zxid);
                self.handle_config(now, &result);
                Ok(())
            }
            Received::Reply {
                token: ReplyTarget::Unwatch(path, lasting),
                zxid,
                result,
                ..
            } => {
                self.session.handle_zxid(zxid);
                self.handle_unwatched(now, path, lasting, result);
                Ok(())
            }
            Received::Reply {
                token: ReplyTarget::Features,
                zxid,
                result,
                ..
            } => {
                self.session.handle_zxid(zxid);
                self.handle_features(now, &result);
                Ok(())
            }
            Received::Auth { token, refused } => self.handle_verdict(&token, refused),
            // Credentials are not sent as ordinary requests.
            Received::Reply {
                token: ReplyTarget::Credential(_),
                ..
            } => Ok(()),
            Received::Pong => {
                self.counters.traffic_mut().pings += 1;
                Ok(())
            }
            Received::Sasl(answer) => self.handle_sasl(now, answer),
            Received::Connected(response) => self.handle_connected(now, &response),
        }
    }

    #[inline]
    fn handle_notification(&mut self, now: Instant, notification: &Notification<'_>) {
        let (event, zxid) = (&notification.event, notification.zxid);
        let wakes = &mut self.wakeups.wakers;
        self.registry.fire(event.kind, event.path, zxid, wakes);
        if self.registry.has_deferred() {
            self.send_deferred(now, event.path);
        }
    }

    /// Sends the removals of watches that were deferred and are due after an event at `path`. An event
    /// of a child may have ended watches of its parent.
    fn send_deferred(&mut self, now: Instant, path: &str) {
        let ended = [Some(path), zk_proto::path::parent(path)];
        for path in ended.into_iter().flatten() {
            if let Some(unwatch) = self.registry.deferred_unwatch(path) {
                self.send_unwatch(now, unwatch);
            }
        }
    }
}

/// The stream broke its framing before it answered the handshake: most likely the port of another
/// program.
fn not_zookeeper(reason: &Disconnect, bytes: &[u8]) -> Disconnect {
    // An alert, which is how TLS refuses what is not TLS.
    if let [0x15, 0x03, ..] = bytes {
        return Disconnect::ServerSpeaksTls;
    }
    let begin: String = bytes
        .iter()
        .take(16)
        .map(|b| b.escape_ascii().to_string())
        .collect();
    Disconnect::NotZooKeeper(format!("its answer begins with \"{begin}\" ({reason})"))
}
