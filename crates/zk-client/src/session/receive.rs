//! What the driver tells the core about the connection.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use zk_proto::records::ConnectResponse;
use zk_proto::{ErrorCode, OpCode};
use zk_transport::{Disconnect, FrameReader, Link, Notification, Received};

use crate::error::Outcome;
use crate::session::adapted::LEFT_TO_RESEND;
use crate::session::again::Again;
use crate::session::failure::Failure;
use crate::session::identity::Established;
use crate::session::leader_contact::{is_decided_by_quorum, is_refusal_by_quorum};
use crate::session::requests::{Reply, Seen, SlotKey};
use crate::session::state::State;
use crate::session::wakers::KEEP_AT_REST;
use crate::session::watches::WatchIntent;
use crate::session::watches::{SubId, WatchKind};
use crate::session::{Closing, Core, OpSet, Token};

impl Core {
    pub(crate) fn is_connected(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_open)
    }

    /// A stream to a server is open; it has `budget` to answer the handshake.
    /// False if nobody wants it any more.
    pub(crate) fn begin(&mut self, now: Instant, budget: Duration) -> bool {
        if self.is_over() {
            return false;
        }
        self.again = Again::default();
        let request = self.session.connect_request(self.read_only);
        let link = Link::new(now, &request, budget);
        self.link = Some(if self.login.is_some() {
            link.with_login()
        } else {
            link
        });
        true
    }

    /// Whether there is something to be sent.
    pub(crate) fn has_output(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.pending_output() > 0)
    }

    /// Whether the server owes a reply to a request that has been sent.
    pub(crate) fn awaits_reply(&self) -> bool {
        self.link.as_ref().is_some_and(Link::awaits_reply)
    }

    /// Moves what is to be sent into `out`.
    pub(crate) fn poll_output(&mut self, out: &mut BytesMut) {
        if let Some(link) = &mut self.link {
            link.poll_output(out);
            self.volume.sent += out.len() as u64;
        }
    }

    /// What a client that is being closed still has to send, the end of its session included, when
    /// nothing will be waited for any more. Nothing if a part of a frame may be on its way: the
    /// stream has accepted `written` bytes.
    pub(crate) fn last_output(&mut self, now: Instant, written: u64) -> BytesMut {
        if let Closing::Draining { deadline, .. } = self.closing {
            self.close_session(now, deadline);
        }
        let mut out = BytesMut::new();
        let whole = |link: &&mut Link<Token>| link.is_open() && link.handed_over() == written;
        if matches!(self.closing, Closing::Requested { .. })
            && let Some(link) = self.link.as_mut().filter(whole)
        {
            link.poll_output(&mut out);
        }
        out
    }

    /// When the link wants [`handle_link_timeout`](Self::handle_link_timeout) to be called.
    pub(crate) fn poll_link_timeout(&self) -> Option<Instant> {
        let link = self.link.as_ref()?.poll_timeout();
        let others = [self.poll_move(), self.again.due()];
        others.into_iter().flatten().chain([link]).min()
    }

    /// Leaves a server that has not decided a write in time, as long as another can still prove the
    /// session alive.
    pub(crate) fn leave_overdue_server(&mut self, now: Instant) {
        let overdue = self.session.overdue().is_some_and(|due| due <= now);
        if !overdue || self.session.quorum_lease_until() <= now {
            return;
        }
        if let Some(link) = self.link.as_mut().filter(|link| link.is_open()) {
            link.give_up();
            self.wake_driver();
        }
    }

    /// Pings, or finds the server dead.
    pub(crate) fn handle_link_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        self.check_move(now)?;
        self.check_again(now);
        self.rest();
        match &mut self.link {
            Some(link) => link.handle_timeout(now),
            None => Err(Disconnect::Local),
        }
    }

    /// There is silence: who was busy once holds no more than who never was.
    fn rest(&mut self) {
        self.slots.rest();
        self.registry.rest();
        self.parked.shrink_to(KEEP_AT_REST);
        self.wakes.shrink_to(KEEP_AT_REST);
    }

    /// Bytes arrived.
    pub(crate) fn handle_input(
        &mut self,
        now: Instant,
        frames: &mut FrameReader,
    ) -> Result<(), Disconnect> {
        self.link
            .as_mut()
            .ok_or(Disconnect::Local)?
            .handle_received(now);
        loop {
            let Some(link) = &mut self.link else {
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
            self.volume.received += 4 + frame.len() as u64;
            // Read where it lies: to be cut out costs as much as to be read, and floods are of these.
            if let Some(told) = link.notification(frame)? {
                self.handle_notification(now, &told);
                frames.skip()?;
            } else if let Some(frame) = frames.next_frame()? {
                let received = link.handle_frame(frame)?;
                self.handle_received(now, received)?;
            }
        }
        let link = self.link.as_ref().ok_or(Disconnect::Local)?;
        if link.is_open() || link.is_logging_in() {
            let acknowledged = link.acknowledged();
            self.heard(now, acknowledged);
        }
        self.check_follow(now);
        self.check_move(now)
    }

    pub(super) fn heard(&mut self, at: Instant, acknowledged: Instant) {
        if self.on_read_only {
            self.session.handle_heard_read_only(at);
        } else {
            self.session.handle_heard(at, acknowledged);
        }
    }

    fn handle_received(
        &mut self,
        now: Instant,
        received: Received<Token>,
    ) -> Result<(), Disconnect> {
        match received {
            // It has executed nothing and closes the connection.
            Received::Reply {
                token,
                result: Err(ErrorCode::SessionClosedRequireSaslAuth),
                ..
            } => {
                let reason = Disconnect::LoginRequired;
                if let Token::Call(key) = token {
                    self.fail(key, Failure::AuthFailed(reason.clone(), Outcome::Rejected));
                }
                self.refuse(reason.clone());
                Err(reason)
            }
            Received::Reply {
                token: Token::Call(key),
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
                let xid = self.link.as_ref().map_or(0, Link::last_xid);
                self.handle_reply(now, key, op, result, Seen { xid, zxid })
            }
            Received::Reply {
                token: Token::Rearm(batch),
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
            // It is not a read-only server's to end.
            Received::Reply {
                token: Token::Close,
                result: Err(_),
                ..
            } if self.on_read_only => Err(Disconnect::WithoutQuorum),
            Received::Reply {
                token: Token::Close,
                result: Err(ErrorCode::ThrottledOp),
                ..
            } => {
                // Until the deadline of the closing.
                self.handle_throttled_close(now);
                Ok(())
            }
            Received::Reply {
                token: Token::Close,
                result,
                ..
            } => {
                // A session that has expired is over, too; any other refusal leaves it as it is.
                let ended = matches!(result, Ok(_) | Err(ErrorCode::SessionExpired));
                let ended = ended && self.end_is_proven;
                self.finish(State::Closed, &Failure::Closed(Outcome::Unknown), ended);
                Err(Disconnect::Local)
            }
            Received::Reply {
                token: Token::Config,
                zxid,
                result,
                ..
            } => {
                self.session.handle_zxid(zxid);
                self.handle_config(now, &result);
                Ok(())
            }
            Received::Reply {
                token: Token::Unwatch(path, lasting),
                zxid,
                mut result,
                ..
            } => {
                self.session.handle_zxid(zxid);
                // After any other refusal the server had nothing to remove, or a watch of a mode it
                // cannot remove alone.
                let op = OpCode::RemoveWatches;
                self.note_answer(op, OpSet::of(op), &mut result);
                match result {
                    Err(ErrorCode::ThrottledOp) => {
                        self.handle_throttled_unwatch(now, path, lasting);
                    }
                    Err(ErrorCode::Unimplemented) => self.registry.keep(path, lasting),
                    _ => {}
                }
                Ok(())
            }
            Received::Reply {
                token: Token::Features,
                zxid,
                result,
                ..
            } => {
                self.session.handle_zxid(zxid);
                self.handle_features(now, &result);
                Ok(())
            }
            Received::Auth { token, refused } => self.handle_verdict(&token, refused),
            // Not sent as ordinary requests.
            Received::Reply {
                token: Token::Credential(_),
                ..
            } => Ok(()),
            Received::Pong => {
                self.traffic.pings += 1;
                Ok(())
            }
            Received::Sasl(answer) => self.handle_sasl(now, answer),
            Received::Connected(response) => self.handle_connected(now, &response),
        }
    }

    #[inline]
    fn handle_reply(
        &mut self,
        now: Instant,
        key: SlotKey,
        op: OpCode,
        result: Result<Bytes, ErrorCode>,
        seen: Seen,
    ) -> Result<(), Disconnect> {
        let mut watch = None;
        if let Some(slot) = self.slots.get_mut(key) {
            if !slot.asks.is_empty() || slot.plain.is_some() {
                return self.handle_optional_reply(now, key, op, result, seen);
            }
            if let Some(intent) = slot.watch.take() {
                let wanted = slot.is_wanted();
                watch = self.settle_watch(now, intent, wanted, op, &result);
            }
        }
        self.give_answer(key, result, watch, seen);
        Ok(())
    }

    /// The reply to a request for an operation that not every server has, or sent in its place.
    #[cold]
    fn handle_optional_reply(
        &mut self,
        now: Instant,
        key: SlotKey,
        op: OpCode,
        result: Result<Bytes, ErrorCode>,
        seen: Seen,
    ) -> Result<(), Disconnect> {
        let (mut result, mut seen) = (result, seen);
        let Some(slot) = self.slots.get_mut(key) else {
            return Ok(());
        };
        let (asks, wanted) = (slot.asks, slot.is_wanted());
        let intent = slot.watch.take();
        if !asks.is_empty() {
            self.note_answer(op, asks, &mut result);
            if result == Err(ErrorCode::Unimplemented) && self.begin_resending(key) {
                return Err(LEFT_TO_RESEND);
            }
        } else {
            match self.handle_plain(now, key, result, seen) {
                Some(answer) => (result, seen) = answer,
                None => return Ok(()),
            }
        }
        let watch = intent.and_then(|intent| self.settle_watch(now, intent, wanted, op, &result));
        self.give_answer(key, result, watch, seen);
        Ok(())
    }

    #[inline]
    fn give_answer(
        &mut self,
        key: SlotKey,
        result: Result<Bytes, ErrorCode>,
        watch: Option<SubId>,
        seen: Seen,
    ) {
        let reply = Reply {
            result,
            watch,
            seen: Some(seen),
        };
        self.slots.answer(key, reply, &mut self.wakes);
        self.slots.unqueue(key);
    }

    /// A request that was to set a watch has been answered. The watch, if it is set and `wanted`.
    pub(super) fn settle_watch(
        &mut self,
        now: Instant,
        intent: WatchIntent,
        wanted: bool,
        op: OpCode,
        result: &Result<Bytes, ErrorCode>,
    ) -> Option<SubId> {
        self.registry.end_arming(&intent);
        let mut wanted = wanted;
        let armed = match (result, op) {
            // The one failure after which a server keeps a watch.
            (Err(ErrorCode::NoNode), OpCode::Exists) => Some(WatchKind::Exist),
            // The server may have set it, and the caller gets an error: it is to be removed.
            (Err(code), _) if !code.is_refusal() => {
                wanted = false;
                Some(intent.kind)
            }
            (Err(_), _) => zk_proto::seeded_bug!("A43").then_some(intent.kind),
            // ClickHouse Keeper sends no record, by which it is known.
            (Ok(record), OpCode::AddWatch)
                if record.is_empty() && intent.kind == WatchKind::Recursive =>
            {
                self.registry.set_nameless();
                wanted = false;
                Some(intent.kind)
            }
            (Ok(_), _) => Some(intent.kind),
        };
        let mut watch = None;
        let unwatch = match armed {
            Some(kind) if wanted => {
                let id = self.registry.subscribe(kind, intent.path.clone());
                if intent.changed {
                    let since = self.session.last_zxid();
                    self.registry
                        .subscribed_with_precaution(id, since, &mut self.wakes);
                }
                watch = Some(id);
                self.registry.unwatch_owed(&intent.path)
            }
            Some(kind) if !self.registry.watches(kind, &intent.path) => {
                self.registry.unwatch(kind, intent.path)
            }
            _ => self.registry.unwatch_owed(&intent.path),
        };
        if let Some(unwatch) = unwatch {
            self.send_unwatch(now, unwatch);
        }
        watch
    }

    fn handle_notification(&mut self, now: Instant, told: &Notification<'_>) {
        if zk_proto::seeded_bug!("B55") {
            self.session.handle_zxid(told.zxid.unwrap_or_default());
        }
        let event = &told.event;
        self.registry
            .fire(event.kind, event.path, told.zxid, &mut self.wakes);
        if self.registry.owes() {
            self.pay_what_is_owed(now, event.path);
        }
    }

    /// An event has been told at `path`. The end of a child can be told to its parent's watches.
    fn pay_what_is_owed(&mut self, now: Instant, path: &str) {
        let ended = [Some(path), zk_proto::path::parent(path)];
        for path in ended.into_iter().flatten() {
            if let Some(unwatch) = self.registry.unwatch_owed(path) {
                self.send_unwatch(now, unwatch);
            }
        }
    }

    fn handle_verdict(
        &mut self,
        token: &Token,
        refused: Option<ErrorCode>,
    ) -> Result<(), Disconnect> {
        let Token::Credential(index) = token else {
            return Ok(());
        };
        let Some(credential) = self.credentials.get_mut(*index) else {
            return Ok(());
        };
        if let Some(code) = refused.filter(|code| code.is_timeout()) {
            return Err(Disconnect::AuthTimedOut(code));
        }
        if refused.is_some() && !zk_proto::seeded_bug!("B72") {
            let reason = Disconnect::AuthRefused(credential.scheme.clone());
            self.refuse(reason.clone());
            return Err(reason);
        }
        for key in std::mem::take(&mut credential.waiting) {
            let reply = Reply {
                result: Ok(Bytes::new()),
                watch: None,
                seen: None,
            };
            self.slots.answer(key, reply, &mut self.wakes);
            self.slots.unqueue(key);
        }
        self.announce();
        Ok(())
    }

    fn handle_connected(
        &mut self,
        now: Instant,
        response: &ConnectResponse,
    ) -> Result<(), Disconnect> {
        let asked = self.link.as_ref().ok_or(Disconnect::Local)?.acknowledged();
        let (epoch, lease) = (self.session.epoch(), self.session.quorum_lease_until());
        let established = self.session.handle_connected(now, asked, response);
        self.note_established(now, lease, established);
        match established {
            Established::New => self.traffic.sessions += 1,
            Established::Resumed => self.traffic.resumptions += 1,
            Established::WithoutSession => {}
            Established::NotKnownHere => {
                self.link = None;
                return Err(Disconnect::WithoutQuorum);
            }
            Established::Refused => {
                self.link = None;
                return Err(Disconnect::NotZooKeeper(
                    "it refused a new session".to_owned(),
                ));
            }
            Established::Expired { replaced } => {
                // A link that was never open for requests carries none.
                let link = self.link.take();
                // A new session in its place proves nothing: Keeper resumes none, and lets the old one
                // time out.
                self.after_expiry(epoch, !replaced);
                if !replaced || self.is_over() {
                    return Err(Disconnect::SessionExpired);
                }
                self.link = link;
                self.traffic.sessions += 1;
            }
        }
        self.traffic.connections += 1;
        self.on_read_only = response.read_only;
        self.begin_abilities();
        self.recognize(response);
        if self.login.is_some() {
            self.begin_login();
            return Ok(());
        }
        self.prime(now);
        self.announce();
        Ok(())
    }

    /// Says that the session is served, once the server has accepted all credentials.
    pub(super) fn announce(&mut self) {
        let unanswered = self.link.as_ref().is_none_or(Link::awaits_auth);
        if unanswered || self.state.is_connected() {
            return;
        }
        self.failures.clear();
        self.attempts = 0;
        let (session, epoch) = (self.session.id(), self.session.epoch());
        self.announced = epoch;
        self.set_state(match self.on_read_only {
            false => State::Connected { session, epoch },
            true if session.is_none() => State::ConnectedReadOnly { epoch: 0 },
            true => State::ConnectedReadOnly { epoch },
        });
    }
}

/// The stream broke its framing before it answered the handshake: most likely somebody else's port.
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
