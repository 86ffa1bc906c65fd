//! Requests in the form that an older server knows.
//!
//! `create`, `create2` and `createContainer` have one record; only the operation and the flags, the
//! record's last four bytes, differ. So a server without the newer two is sent the oldest. Its answer
//! lacks the stat, for which the znode is then read; until that is done the request counts as a read, since the
//! creation itself has its answer.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use zk_proto::records::{
    Create2Response, CreateRequest, CreateResponse, ExistsRequest, MultiOp, MultiRequest,
    StatResponse,
};
use zk_proto::{CreateMode, Encode, ErrorCode, OpCode, SessionId, Stat, Zxid, decode_frame};
use zk_transport::{Disconnect, Link};

use crate::session::abilities::OpSet;
use crate::session::requests::{Seen, Slot, SlotKey};
use crate::session::{Closing, Core, Token};

/// A creation that was sent as `create`.
#[derive(Debug)]
pub(crate) struct PlainCreate {
    data_length: i32,
    /// The session that it belongs to if it is ephemeral, else none.
    owner: SessionId,
    created: Option<(String, Seen)>,
}

impl PlainCreate {
    /// Of a request with this record, made in this session.
    fn of(record: &[u8], session: SessionId) -> Self {
        let record = Bytes::copy_from_slice(record);
        let request = decode_frame::<CreateRequest<'_>>(&record, 0).ok();
        let flags = request.as_ref().map_or(0, |request| request.flags);
        let is_ephemeral = CreateMode::from_flags(flags).is_some_and(CreateMode::is_ephemeral);
        let data = request.and_then(|request| request.data.map(<[u8]>::len));
        PlainCreate {
            data_length: i32::try_from(data.unwrap_or(0)).unwrap_or(i32::MAX),
            owner: if is_ephemeral {
                session
            } else {
                SessionId::NONE
            },
            created: None,
        }
    }

    /// Whether the znode has been created, and its stat is being read.
    pub(crate) fn is_created(&self) -> bool {
        self.created.is_some()
    }

    /// The answer to the creation, of which the znode's stat has been `read`, or could not be. The
    /// stat is that of a znode with no changes yet, as `create2` answers: the version that another
    /// client's write has left would let the caller overwrite data that it never saw. So only what is
    /// not known otherwise is taken from the read.
    pub(crate) fn answer(&self, read: Option<Stat>) -> Option<(Bytes, Seen)> {
        let (path, seen) = self.created.as_ref()?;
        let zxid = seen.zxid;
        // Another znode may have taken its place by now.
        let is_it = |stat: &Stat| zxid <= Zxid::ZERO || stat.czxid == zxid;
        let read = read.filter(is_it).unwrap_or_default();
        let czxid = if zxid > Zxid::ZERO { zxid } else { read.czxid };
        let mut stat = Stat::default();
        (stat.czxid, stat.mzxid, stat.pzxid) = (czxid, czxid, czxid);
        (stat.ctime, stat.mtime) = (read.ctime, read.ctime);
        stat.ephemeral_owner = self.owner.0;
        stat.data_length = self.data_length;
        let mut body = BytesMut::new();
        let path = path.clone();
        Create2Response { path, stat }.encode(&mut body);
        Some((body.freeze(), *seen))
    }
}

/// What a request is sent as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) op: OpCode,
    /// What of it not every server has.
    pub(super) asks: OpSet,
    /// Whether the record has to be changed, or the answer.
    pub(super) is_adapted: bool,
}

impl Form {
    /// Changes the record of an `op` that is sent in this form, which is what `out` has from `from` on.
    pub(super) fn adapt(
        self,
        op: OpCode,
        lacking: OpSet,
        session: SessionId,
        out: &mut BytesMut,
        from: usize,
    ) -> Option<Box<PlainCreate>> {
        match op {
            OpCode::Multi => adapt_multi(lacking, out, from),
            OpCode::CreateContainer => set_persistent(out),
            _ => {}
        }
        let record = out.get(from..).unwrap_or_default();
        (self.op == OpCode::Create).then(|| Box::new(PlainCreate::of(record, session)))
    }
}

/// What another operation can be sent for.
fn replaceable() -> OpSet {
    OpSet::of_all(&[OpCode::Create2, OpCode::CreateContainer])
}

impl Core {
    /// As what the current server can be sent a request that needs these operations; `None` if it
    /// lacks one that nothing can replace.
    #[inline]
    pub(super) fn form(&self, op: OpCode, needs: OpSet) -> Option<Form> {
        let lacks = self.abilities.lacking().and(needs);
        match lacks.is_empty() {
            true => Some(Form {
                op,
                asks: needs,
                is_adapted: false,
            }),
            false => self.adapted_form(op, needs, lacks),
        }
    }

    #[cold]
    fn adapted_form(&self, op: OpCode, needs: OpSet, lacks: OpSet) -> Option<Form> {
        if !lacks.without(replaceable()).is_empty() {
            return None;
        }
        let (op, asks) = match op {
            OpCode::Multi => (op, needs.without(lacks)),
            // An operation that may be unknown, too, is no way out.
            OpCode::CreateContainer if self.abilities.having().contains(OpCode::Create2) => {
                (OpCode::Create2, OpSet::of(OpCode::Create2))
            }
            _ => (OpCode::Create, OpSet::NONE),
        };
        Some(Form {
            op,
            asks,
            is_adapted: true,
        })
    }

    /// The reply to a creation that was sent as `create`, or to the read of its stat. The answer to the
    /// caller, if that is all.
    pub(super) fn handle_plain(
        &mut self,
        now: Instant,
        key: SlotKey,
        result: Result<Bytes, ErrorCode>,
        seen: Seen,
    ) -> Option<(Result<Bytes, ErrorCode>, Seen)> {
        let Some(slot) = self.slots.get_mut(key) else {
            return Some((result, seen));
        };
        let is_wanted = slot.is_wanted();
        let Some(plain) = slot.plain.as_deref_mut() else {
            return Some((result, seen));
        };
        if plain.is_created() {
            let stat = result.ok().and_then(|body| {
                let response = decode_frame::<StatResponse>(&body, 0).ok();
                response.map(|response| response.stat)
            });
            let (body, seen) = plain.answer(stat)?;
            return Some((Ok(body), seen));
        }
        let path = match &result {
            Ok(body) if is_wanted => decode_frame::<CreateResponse>(body, 0).ok(),
            _ => None,
        };
        let Some(CreateResponse { path }) = path else {
            slot.plain = None;
            return Some((result, seen));
        };
        let record = ExistsRequest {
            path: path.as_str().into(),
            watch: false,
        };
        slot.record.clear();
        record.encode(&mut slot.record);
        plain.created = Some((path, seen));
        slot.losses = 0;
        slot.needs = OpSet::NONE;
        self.send_again(now, key);
        None
    }

    /// Sends the read of a created znode's stat, or has it wait with other requests.
    fn send_again(&mut self, now: Instant, key: SlotKey) {
        let open = self.takes_requests();
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        match self.link.as_mut().filter(|_| open) {
            Some(link) => {
                let record = &slot.record;
                // It is not longer than the request that made the znode.
                let _ = link.submit(now, OpCode::Exists, Token::Call(key), usize::MAX, |out| {
                    out.extend_from_slice(record);
                });
                self.wake_driver();
            }
            None => {
                slot.held_back = true;
                self.parked.push_back(key);
            }
        }
    }

    /// Whether a request on its way asks for what this connection's server has answered that it does not
    /// know. It will not be executed.
    pub(super) fn is_refused(&self, slot: &Slot) -> bool {
        !slot.asks.and(self.refused.of(slot.op)).is_empty() && !slot.record.is_empty()
    }

    /// Whether a request that the server does not know can be made in another form, on the next
    /// connection, with all that followed it. A server that does not know an operation closes the
    /// connection, as a rule, so the rest is not sent over this one.
    ///
    /// It cannot if a write is on its way: the two would change places.
    pub(super) fn begin_resending(&mut self, key: SlotKey) -> bool {
        let is_write = |token: &Token| match token {
            Token::Call(key) => {
                (self.slots.get(*key)).is_some_and(|slot| slot.is_write() && !self.is_refused(slot))
            }
            Token::Close => true,
            _ => false,
        };
        let others = self.link.as_ref().map(Link::tokens);
        let is_behind = others.is_none_or(|mut tokens| tokens.any(is_write));
        let can_be = (self.slots.get(key)).is_some_and(|slot| {
            let lacks = slot.asks.and(self.abilities.lacking());
            slot.is_wanted()
                && !slot.record.is_empty()
                && !lacks.and(replaceable()).is_empty()
                && self.form(slot.op, slot.needs).is_some()
        });
        if is_behind || !can_be || matches!(self.closing, Closing::Requested { .. }) {
            return false;
        }
        if let Some(slot) = self.slots.get_mut(key) {
            slot.held_back = true;
            slot.goes_first = true;
        }
        self.parked.push_front(key);
        // The same server: what it lacks is known now.
        if let Some(host) = self.hosts.current().cloned() {
            self.hosts.prefer(host);
        }
        true
    }
}

/// Why a connection is left for a request to be sent in another form.
pub(super) const LEFT_TO_RESEND: Disconnect = Disconnect::Moving;

/// Makes the record of a creation that of a persistent znode.
fn set_persistent(record: &mut BytesMut) {
    let flags = CreateMode::Persistent.flags().to_be_bytes();
    let at = record.len().saturating_sub(flags.len());
    if let Some(last) = record.get_mut(at..) {
        last.copy_from_slice(&flags);
    }
}

/// Replaces the operations of a transaction that the server lacks.
fn adapt_multi(lacking: OpSet, out: &mut BytesMut, from: usize) {
    let record = out.split_off(from).freeze();
    let Ok(mut request) = decode_frame::<MultiRequest<'_>>(&record, 0) else {
        out.extend_from_slice(&record);
        return;
    };
    for op in &mut request.ops {
        let create = match op {
            MultiOp::Create2(create) if lacking.contains(OpCode::Create2) => create.clone(),
            MultiOp::CreateContainer(create) if lacking.contains(OpCode::CreateContainer) => {
                CreateRequest {
                    flags: CreateMode::Persistent.flags(),
                    ..create.clone()
                }
            }
            _ => continue,
        };
        *op = MultiOp::Create(create);
    }
    request.encode(out);
}
