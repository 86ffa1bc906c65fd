//! What the driver tells the core about the connection.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use zk_proto::records::{ConnectResponse, SetWatches2Request, SetWatchesRequest};
use zk_proto::{Decode, Decoder, Encode, ErrorCode, OpCode, WatcherEvent, WirePath};
use zk_transport::{Disconnect, FrameReader, Link, Received, Unsent};

use super::{Closing, Core, Token};
use crate::Outcome;
use crate::session::Established;
use crate::slots::{Failure, Reply, SlotKey};
use crate::state::State;
use crate::watch::{Batch, WatchKind};

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
        let request = self.session.connect_request(self.read_only);
        self.link = Some(Link::new(now, &request, budget));
        true
    }

    /// Moves what is to be sent into `out`.
    pub(crate) fn poll_output(&mut self, out: &mut BytesMut) {
        if let Some(link) = &mut self.link {
            link.poll_output(out);
        }
    }

    /// When the link wants [`handle_link_timeout`](Self::handle_link_timeout) to be called.
    pub(crate) fn poll_link_timeout(&self) -> Option<Instant> {
        self.link.as_ref().map(Link::poll_timeout)
    }

    /// Pings, or finds the server dead.
    pub(crate) fn handle_link_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        match &mut self.link {
            Some(link) => link.handle_timeout(now),
            None => Err(Disconnect::Local),
        }
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
            let link = self.link.as_mut().ok_or(Disconnect::Local)?;
            let frame = match frames.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(reason) if link.is_open() => return Err(reason),
                Err(reason) => return Err(not_zookeeper(&reason, frames.pending())),
            };
            let received = link.handle_frame(frame)?;
            self.handle_received(now, received)?;
        }
        let link = self.link.as_ref().ok_or(Disconnect::Local)?;
        if link.is_open() {
            self.session.handle_heard(now, link.acknowledged());
        }
        Ok(())
    }

    fn handle_received(
        &mut self,
        now: Instant,
        received: Received<Token>,
    ) -> Result<(), Disconnect> {
        match received {
            Received::Reply {
                token: Token::Call(key),
                op,
                zxid,
                result,
            } => {
                self.session.handle_zxid(zxid);
                self.handle_reply(now, key, op, result);
                Ok(())
            }
            Received::Reply {
                token: Token::Rearm(batch),
                zxid,
                result,
                ..
            } => {
                self.session.handle_zxid(zxid);
                result.map_err(Disconnect::RearmRefused)?;
                for unwatch in self.registry.rearmed(&batch, &mut self.wakes) {
                    self.send_unwatch(now, unwatch);
                }
                Ok(())
            }
            Received::Reply {
                token: Token::Close,
                ..
            } => {
                self.finish(State::Closed, &Failure::Closed(Outcome::Unknown), true);
                Err(Disconnect::Local)
            }
            // The server had nothing to remove, or a watch of a mode it cannot remove alone.
            Received::Reply {
                token: Token::Unwatch,
                zxid,
                ..
            } => {
                self.session.handle_zxid(zxid);
                Ok(())
            }
            Received::Auth { token, refused } => self.handle_verdict(&token, refused),
            // Not sent as ordinary requests.
            Received::Reply {
                token: Token::Credential(_),
                ..
            } => Ok(()),
            Received::Notification { zxid, body } => {
                let mut input = Decoder::new(&body);
                let event: WatcherEvent<'_> = Decode::decode(&mut input)?;
                self.registry
                    .fire(event.kind, event.path, zxid, &mut self.wakes);
                // The end of a child can be told to its parent's watches.
                let ended = [Some(event.path), zk_proto::path::parent(event.path)];
                for path in ended.into_iter().flatten() {
                    if let Some(unwatch) = self.registry.unwatch_owed(path) {
                        self.send_unwatch(now, unwatch);
                    }
                }
                Ok(())
            }
            Received::Pong => Ok(()),
            Received::Connected(response) => self.handle_connected(now, &response),
        }
    }

    fn handle_reply(
        &mut self,
        now: Instant,
        key: SlotKey,
        op: OpCode,
        result: Result<bytes::Bytes, ErrorCode>,
    ) {
        let mut watch = None;
        if let Some(slot) = self.slots.get_mut(key)
            && let Some(intent) = slot.watch.take()
        {
            let wanted = slot.is_wanted();
            self.registry.end_arming(&intent);
            let armed = match (&result, op) {
                // The one failure after which a server keeps a watch.
                (Err(ErrorCode::NoNode), OpCode::Exists) => Some(WatchKind::Exist),
                (Err(_), _) => None,
                (Ok(_), _) => Some(intent.kind),
            };
            let unwatch = match armed {
                Some(kind) if wanted => {
                    let (path, capacity) = (intent.path.clone(), self.limits.watch_events);
                    let id = self.registry.subscribe(kind, path, capacity);
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
        }
        self.slots
            .complete(key, Ok(Reply { result, watch }), &mut self.wakes);
        self.slots.unqueue(key);
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
        if refused.is_some() {
            let scheme = credential.scheme.clone();
            self.finish(
                State::AuthFailed,
                &Failure::AuthFailed(Outcome::NotSent),
                false,
            );
            return Err(Disconnect::AuthRefused(scheme));
        }
        if let Some(key) = credential.waiting.take() {
            let reply = Reply {
                result: Ok(bytes::Bytes::new()),
                watch: None,
            };
            self.slots.complete(key, Ok(reply), &mut self.wakes);
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
        let epoch = self.session.epoch();
        match self.session.handle_connected(now, asked, response) {
            Established::New | Established::Resumed => {}
            Established::Refused => {
                self.link = None;
                return Err(Disconnect::NotZooKeeper(
                    "it refused a new session".to_owned(),
                ));
            }
            Established::Expired { replaced } => {
                // A link that was never open for requests carries none.
                let link = self.link.take();
                self.after_expiry(epoch);
                if !replaced || self.is_over() {
                    return Err(Disconnect::SessionExpired);
                }
                self.link = link;
            }
        }
        self.on_read_only = response.read_only;
        self.prime(now);
        self.announce();
        Ok(())
    }

    /// Says that the session is served, once the server has accepted all credentials.
    fn announce(&mut self) {
        let unanswered = self.link.as_ref().is_none_or(Link::awaits_auth);
        if unanswered || self.state.is_connected() {
            return;
        }
        let epoch = self.session.epoch();
        self.set_state(if self.on_read_only {
            State::ConnectedReadOnly { epoch }
        } else {
            State::Connected {
                session: self.session.id(),
                epoch,
            }
        });
    }

    /// Credentials, then watches, then requests: a server delivers events only to who may read, and
    /// a request must not overtake the watch that it was to be seen by.
    fn prime(&mut self, now: Instant) {
        let batches = self.registry.rearm(&mut self.wakes);
        let Some(link) = &mut self.link else { return };
        for (credential, index) in self.credentials.iter().zip(0..) {
            link.submit_auth(
                now,
                &credential.scheme,
                &credential.secret,
                Token::Credential(index),
            );
        }
        for batch in batches {
            let op = if batch.has_persistent() {
                OpCode::SetWatches2
            } else {
                OpCode::SetWatches
            };
            let batch = Box::new(batch);
            let mut record = BytesMut::new();
            encode_batch(&batch, &mut record);
            // A batch is bounded by its making; a single path longer than that was accepted once.
            let _ = link.submit(now, op, Token::Rearm(batch), usize::MAX, |out| {
                out.extend_from_slice(&record);
            });
        }
        for key in std::mem::take(&mut self.parked) {
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            if !slot.is_wanted() {
                self.let_go(key);
                continue;
            }
            let Some(link) = &mut self.link else { continue };
            let record = &slot.record;
            // Its size was checked when it was parked.
            let _ = link.submit(now, slot.op, Token::Call(key), usize::MAX, |out| {
                out.extend_from_slice(record);
            });
            if !slot.replay {
                slot.record.clear();
            }
        }
        if matches!(self.closing, Closing::Requested { .. }) {
            self.send_close(now);
        }
    }

    /// The connection has ended, or could not be made. `written` and `rest` are what the pump says
    /// of the output.
    pub(crate) fn disconnected(
        &mut self,
        now: Instant,
        reason: &Disconnect,
        written: u64,
        rest: &[u8],
    ) {
        let Some(link) = self.link.take() else { return };
        if !link.is_open() || !self.session.exists() {
            return;
        }
        self.session
            .handle_heard(link.last_received().min(now), link.acknowledged());
        self.registry.handle_disconnect(self.session.last_zxid());
        let mut kept = std::collections::VecDeque::new();
        let mut write_lost = false;
        let mut culprit = true;
        for lost in link.into_lost(written, rest) {
            // It was the turn of the oldest request, whosever it was.
            let too_large = match reason {
                Disconnect::FrameTooLarge { len, limit } if std::mem::take(&mut culprit) => {
                    Some((*len, *limit))
                }
                _ => None,
            };
            let Token::Call(key) = lost.token else {
                continue;
            };
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            if !slot.is_wanted() {
                // Nobody waits for it, but what follows must not skip it either.
                let whole = matches!(lost.unsent, Unsent::Whole(_));
                write_lost |= !slot.replay && (!whole || slot.has_failed());
                self.let_go(key);
                continue;
            }
            if let Some((size, limit)) = too_large {
                write_lost |= !slot.replay;
                self.fail(key, Failure::ReplyTooLarge { size, limit });
                continue;
            }
            if slot.replay {
                kept.push_back(key);
                continue;
            }
            let outcome = match lost.unsent {
                Unsent::Whole(record) if !write_lost => {
                    slot.record.clear();
                    slot.record.extend_from_slice(&record);
                    kept.push_back(key);
                    continue;
                }
                // Executing it could skip the write before it, whose fate is unknown.
                Unsent::Whole(_) | Unsent::Tail => Outcome::NotSent,
                Unsent::Nothing => Outcome::Unknown,
            };
            write_lost = true;
            self.fail(key, Failure::ConnectionLost(reason.clone(), outcome));
        }
        kept.append(&mut self.parked);
        self.parked = kept;
        self.set_state(State::Suspended {
            until: self.session.expires_at(),
        });
    }
}

fn encode_batch(batch: &Batch, out: &mut BytesMut) {
    let paths = |kind| batch.paths(kind).map(WirePath::from).collect::<Vec<_>>();
    let (data, exist, child) = (
        paths(WatchKind::Data),
        paths(WatchKind::Exist),
        paths(WatchKind::Child),
    );
    let relative_zxid = batch.since;
    if batch.has_persistent() {
        let (persistent, recursive) = (paths(WatchKind::Persistent), paths(WatchKind::Recursive));
        SetWatches2Request {
            relative_zxid,
            data,
            exist,
            child,
            persistent,
            recursive,
        }
        .encode(out);
    } else {
        SetWatchesRequest {
            relative_zxid,
            data,
            exist,
            child,
        }
        .encode(out);
    }
}

/// The stream broke its framing before it answered the handshake: most likely somebody else's port.
fn not_zookeeper(reason: &Disconnect, bytes: &[u8]) -> Disconnect {
    let begin: String = bytes
        .iter()
        .take(16)
        .map(|b| b.escape_ascii().to_string())
        .collect();
    Disconnect::NotZooKeeper(format!("its answer begins with \"{begin}\" ({reason})"))
}
