//! A server of the protocol's least, for the core to talk to: one session, znodes with a version,
//! one-shot and persistent watches with the real server's catch-up rules. No sockets, no time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Buf, Bytes, BytesMut};
use zk_proto::records::{
    AddWatchMode, AddWatchRequest, Children, ConnectRequest, ConnectResponse, Create2Response,
    CreateRequest, CreateResponse, DeleteRequest, ErrorResponse, ExistsRequest,
    GetChildren2Request, GetChildren2Response, GetDataRequest, GetDataResponse, MultiOp,
    MultiRequest, RemoveWatchesRequest, SaslRequest, SaslResponse, SetDataRequest,
    SetWatches2Request, SetWatchesRequest, StatResponse, WatcherType,
};
use zk_proto::{
    Decode, Decoder, Encode, ErrorCode, EventType, KeeperState, OpCode, ReplyHeader, RequestHeader,
    SessionId, SessionPassword, Stat, WatcherEvent, Zxid, decode_frame, xid,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    OneShot,
    Persistent,
    Recursive,
}

/// One of a server's two tables of watches.
#[derive(Debug, Default)]
pub(super) struct Watches(BTreeMap<String, BTreeSet<Mode>>);

impl Watches {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, path: &str, mode: Mode) -> bool {
        self.0.get(path).is_some_and(|modes| modes.contains(&mode))
    }

    fn add(&mut self, path: &str, mode: Mode, old: bool) {
        let modes = self.0.entry(path.to_owned()).or_default();
        if old {
            // ZOOKEEPER-4466.
            modes.clear();
        }
        modes.insert(mode);
    }

    /// Whether it had any of the modes.
    fn remove(&mut self, path: &str, modes: &[Mode]) -> bool {
        let Some(there) = self.0.get_mut(path) else {
            return false;
        };
        let before = there.len();
        there.retain(|mode| !modes.contains(mode));
        let removed = there.len() < before;
        if there.is_empty() {
            self.0.remove(path);
        }
        removed
    }

    /// Whether anything watches; one-shot watches go.
    fn trigger(&mut self, path: &str, of_children: bool) -> bool {
        let one_shot = self.remove(path, &[Mode::OneShot]);
        let persistent = self.has(path, Mode::Persistent);
        let mut recursive = false;
        let mut at = (!of_children).then_some(path);
        while let Some(ancestor) = at {
            recursive |= self.has(ancestor, Mode::Recursive);
            at = zk_proto::path::parent(ancestor);
        }
        one_shot || persistent || recursive
    }
}

const EVERY: [Mode; 3] = [Mode::OneShot, Mode::Persistent, Mode::Recursive];

/// What a server does when it does not know an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Answers that it does not.
    Refuse,
    /// Answers that it does not, and closes the connection.
    RefuseAndClose,
    /// Closes the connection.
    Close,
    /// Ends the session and closes the connection.
    End,
}

#[derive(Debug, Default)]
pub(super) struct Server {
    /// The operations that it does not know, and what it does then.
    pub(super) lacks: Vec<OpCode>,
    pub(super) unknown: Option<Unknown>,
    /// Shakes hands, and ends sessions, as ClickHouse Keeper does.
    pub(super) is_keeper: bool,
    /// Answers of what it does not know at once, before what it was asked first.
    pub(super) refuses_at_once: bool,
    /// The refusal of every transaction, if it executes none.
    pub(super) refuses_multi: Option<ErrorCode>,
    /// Answers pings only, as one does that has lost its leader.
    pub(super) hangs: bool,
    /// How often each was asked for.
    pub(super) asked: BTreeMap<i32, usize>,
    /// Nothing more is read, and the connection is closed when all has been sent.
    pub(super) hung_up: bool,
    pub(super) zxid: i64,
    pub(super) nodes: BTreeMap<String, (Bytes, Stat)>,
    pub(super) data_watches: Watches,
    pub(super) child_watches: Watches,
    /// Data of the writes that were executed, in order.
    pub(super) log: Vec<Bytes>,
    /// Operations in the order of their arrival over this connection.
    pub(super) arrived: Vec<OpCode>,
    /// The `relativeZxid` of every re-arming.
    pub(super) rearmed_from: Vec<i64>,
    pub(super) session: i64,
    pub(super) expire_next: bool,
    pub(super) refuse_auth: bool,
    /// What a login is answered with, instead of what it should be.
    pub(super) sasl_says: VecDeque<Result<Option<&'static [u8]>, ErrorCode>>,
    /// Serves no client before its login.
    pub(super) requires_sasl: bool,
    logged_in: bool,
    /// Behaves as 3.8 where it keeps one mode per path, and cannot remove by mode.
    pub(super) old: bool,
    connected: bool,
    input: BytesMut,
    output: VecDeque<Bytes>,
}

impl Server {
    /// The connection is lost, with the bytes in flight and the watches.
    pub(super) fn cut(&mut self) {
        self.connected = false;
        self.hung_up = false;
        self.logged_in = false;
        self.input.clear();
        self.output.clear();
        self.arrived.clear();
        self.data_watches.0.clear();
        self.child_watches.0.clear();
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while !self.hung_up
            && let Some(prefix) = self.input.first_chunk::<4>()
        {
            let len = usize::try_from(i32::from_be_bytes(*prefix)).unwrap();
            if self.input.len() < 4 + len {
                return;
            }
            self.input.advance(4);
            let frame = self.input.split_to(len).freeze();
            self.handle(&frame);
        }
    }

    /// The next frame for the client, length included.
    pub(super) fn send(&mut self) -> Option<Bytes> {
        self.output.pop_front()
    }

    /// What was on its way to the client is late.
    pub(super) fn drop_output(&mut self) {
        self.output.clear();
    }

    /// Says of what was done last that it failed with this code.
    pub(super) fn misreport(&mut self, code: ErrorCode) {
        let reply = self.output.pop_back().unwrap();
        let mut header: ReplyHeader =
            decode_frame(&reply.slice(4..4 + ReplyHeader::LEN), 0).unwrap();
        header.err = code.code();
        let mut frame = BytesMut::from(&[0, 0, 0, 16][..]);
        header.encode(&mut frame);
        self.output.push_back(frame.freeze());
    }

    pub(super) fn unsent(&self) -> usize {
        self.output.len()
    }

    /// Another client changes a znode: creates it, sets it, or deletes it.
    pub(super) fn change(&mut self, path: &str, delete: bool) {
        if delete {
            self.delete(path);
        } else if self.nodes.contains_key(path) {
            self.set(path, Bytes::new());
        } else {
            self.create(path, Bytes::new());
        }
    }

    pub(super) fn create(&mut self, path: &str, data: Bytes) {
        self.zxid += 1;
        let zxid = Zxid(self.zxid);
        let mut stat = Stat::default();
        (stat.czxid, stat.mzxid, stat.pzxid) = (zxid, zxid, zxid);
        (stat.ctime, stat.mtime) = (self.zxid, self.zxid);
        stat.data_length = i32::try_from(data.len()).unwrap();
        self.nodes.insert(path.to_owned(), (data, stat));
        self.fire_data(EventType::NodeCreated, path);
        self.fire_children(path);
    }

    pub(super) fn set(&mut self, path: &str, data: Bytes) {
        self.zxid += 1;
        let node = self.nodes.get_mut(path).unwrap();
        node.1.data_length = i32::try_from(data.len()).unwrap();
        node.1.mtime = self.zxid;
        node.0 = data;
        node.1.version += 1;
        node.1.mzxid = Zxid(self.zxid);
        self.fire_data(EventType::NodeDataChanged, path);
    }

    fn delete(&mut self, path: &str) {
        if self.nodes.remove(path).is_none() {
            return;
        }
        self.zxid += 1;
        let fired = self.fire_data(EventType::NodeDeleted, path);
        // Recursive watches are in both tables and get one event.
        if self.child_watches.trigger(path, false) && !fired {
            self.notify(EventType::NodeDeleted, path);
        }
        self.fire_children(path);
    }

    fn fire_data(&mut self, kind: EventType, path: &str) -> bool {
        let fired = self.data_watches.trigger(path, false);
        if fired {
            self.notify(kind, path);
        }
        fired
    }

    fn fire_children(&mut self, path: &str) {
        let Some(parent) = zk_proto::path::parent(path) else {
            return;
        };
        if let Some((_, stat)) = self.nodes.get_mut(parent) {
            stat.pzxid = Zxid(self.zxid);
        }
        if self.child_watches.trigger(parent, true) {
            self.notify(EventType::NodeChildrenChanged, parent);
        }
    }

    fn notify(&mut self, kind: EventType, path: &str) {
        assert!(self.connected, "watches end with their connection");
        let event = WatcherEvent {
            kind,
            state: KeeperState::SyncConnected,
            path,
        };
        // ZOOKEEPER-4655: only newer servers send the zxid of the change.
        let zxid = if self.old { -1 } else { self.zxid };
        self.reply(xid::NOTIFICATION, zxid, 0, Some(&event));
    }

    fn reply(&mut self, xid: i32, zxid: i64, err: i32, record: Option<&dyn Encode>) {
        let mut body = BytesMut::new();
        ReplyHeader {
            xid,
            zxid: Zxid(zxid),
            err,
        }
        .encode(&mut body);
        if let Some(record) = record {
            record.encode(&mut body);
        }
        self.push(&body);
    }

    /// Sends a message that no request has asked for.
    pub(super) fn interject(&mut self, xid: i32) {
        self.reply(xid, self.zxid, 0, None);
    }

    fn push(&mut self, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.extend_from_slice(&i32::try_from(body.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(body);
        self.output.push_back(frame.freeze());
    }

    fn handle(&mut self, frame: &Bytes) {
        if !self.connected {
            self.connected = true;
            return self.handle_connect(&decode_frame(frame, 0).unwrap());
        }
        let mut input = Decoder::new(frame);
        let header = RequestHeader::decode(&mut input).unwrap();
        let op = OpCode::from_i32(header.op).unwrap();
        if op == OpCode::Ping {
            return self.reply(xid::PING, self.zxid, 0, None);
        }
        self.arrived.push(op);
        if self.hangs {
            return;
        }
        if self.requires_sasl && !self.logged_in && !matches!(op, OpCode::Sasl | OpCode::Auth) {
            let code = ErrorCode::SessionClosedRequireSaslAuth.code();
            return self.reply(header.xid, 0, code, None);
        }
        if self.is_keeper && op == OpCode::CloseSession {
            self.hung_up = true;
            return;
        }
        if self.lacks.contains(&op) {
            return self.meet_unknown(op, header.xid);
        }
        let result = self.execute(op, &mut input);
        input.finish().unwrap();
        // Credentials are answered without a zxid.
        let zxid = if matches!(op, OpCode::Auth | OpCode::Sasl) {
            0
        } else {
            self.zxid
        };
        match result {
            Ok(record) => self.reply(header.xid, zxid, 0, record.as_deref()),
            Err(code) => self.reply(header.xid, zxid, code.code(), None),
        }
    }

    fn meet_unknown(&mut self, op: OpCode, xid: i32) {
        *self.asked.entry(op.code()).or_default() += 1;
        let unknown = self.unknown.unwrap();
        self.hung_up = unknown != Unknown::Refuse;
        self.expire_next |= unknown == Unknown::End;
        if matches!(unknown, Unknown::Refuse | Unknown::RefuseAndClose) {
            self.reply(xid, self.zxid, ErrorCode::Unimplemented.code(), None);
            if self.refuses_at_once {
                self.output.rotate_right(1);
            }
        }
    }

    fn handle_connect(&mut self, request: &ConnectRequest) {
        let expired = std::mem::take(&mut self.expire_next) && !request.session_id.is_none();
        let (session_id, timeout_ms) = if expired {
            (SessionId::NONE, 0)
        } else if request.session_id.is_none() || self.is_keeper {
            self.session += 1;
            (SessionId(self.session), request.timeout_ms)
        } else {
            (request.session_id, request.timeout_ms)
        };
        let mut body = BytesMut::new();
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session_id,
            password: SessionPassword::zero(),
            read_only: false,
        };
        match self.is_keeper {
            true => response.encode_without_read_only(&mut body),
            false => response.encode(&mut body),
        }
        self.push(&body);
    }

    fn execute(
        &mut self,
        op: OpCode,
        input: &mut Decoder<'_>,
    ) -> Result<Option<Box<dyn Encode>>, ErrorCode> {
        match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
                let request = CreateRequest::decode(input).unwrap();
                let path = request.path.to_string();
                if self.nodes.contains_key(&path) {
                    self.zxid += 1;
                    return Err(ErrorCode::NodeExists);
                }
                let data = Bytes::copy_from_slice(request.data.unwrap());
                self.log.push(data.clone());
                self.create(&path, data);
                let stat = self.nodes[&path].1;
                if op == OpCode::Create {
                    return Ok(Some(Box::new(CreateResponse { path })));
                }
                Ok(Some(Box::new(Create2Response { path, stat })))
            }
            OpCode::Multi => {
                let request = MultiRequest::decode(input).unwrap();
                if let Some(code) = self.refuses_multi {
                    return Err(code);
                }
                for op in request.ops {
                    let (MultiOp::Create(create) | MultiOp::Create2(create)) = op else {
                        panic!("{op:?} is not served");
                    };
                    let data = Bytes::copy_from_slice(create.data.unwrap());
                    self.log.push(data.clone());
                    self.create(&create.path.to_string(), data);
                }
                Ok(None)
            }
            OpCode::SetData => {
                let request = SetDataRequest::decode(input).unwrap();
                let path = request.path.to_string();
                if !self.nodes.contains_key(&path) {
                    self.zxid += 1;
                    return Err(ErrorCode::NoNode);
                }
                let data = Bytes::copy_from_slice(request.data.unwrap());
                self.log.push(data.clone());
                self.set(&path, data);
                Ok(Some(Box::new(StatResponse {
                    stat: self.nodes[&path].1,
                })))
            }
            OpCode::Delete => {
                let request = DeleteRequest::decode(input).unwrap();
                self.delete(&request.path.to_string());
                Ok(None)
            }
            OpCode::Exists => {
                let request = ExistsRequest::decode(input).unwrap();
                let path = request.path.to_string();
                let stat = self.nodes.get(&path).map(|(_, stat)| *stat);
                if request.watch {
                    self.data_watches.add(&path, Mode::OneShot, self.old);
                }
                stat.map_or(Err(ErrorCode::NoNode), |stat| {
                    Ok(Some(Box::new(StatResponse { stat })))
                })
            }
            OpCode::GetData => {
                let request = GetDataRequest::decode(input).unwrap();
                let path = request.path.to_string();
                let (data, stat) = self.nodes.get(&path).cloned().ok_or(ErrorCode::NoNode)?;
                if request.watch {
                    self.data_watches.add(&path, Mode::OneShot, self.old);
                }
                Ok(Some(Box::new(GetDataResponse {
                    data: Some(data),
                    stat,
                })))
            }
            OpCode::GetChildren2 => {
                let request = GetChildren2Request::decode(input).unwrap();
                let path = request.path.to_string();
                let (_, stat) = *self.nodes.get(&path).ok_or(ErrorCode::NoNode)?;
                if request.watch {
                    self.child_watches.add(&path, Mode::OneShot, self.old);
                }
                let children = Children::from_iter([""; 0]);
                Ok(Some(Box::new(GetChildren2Response { children, stat })))
            }
            OpCode::AddWatch => {
                let request = AddWatchRequest::decode(input).unwrap();
                let mode = match request.mode {
                    AddWatchMode::Persistent => Mode::Persistent,
                    _ => Mode::Recursive,
                };
                self.add_lasting(&request.path.to_string(), mode);
                Ok(Some(Box::new(ErrorResponse { err: 0 })))
            }
            OpCode::RemoveWatches => {
                let request = RemoveWatchesRequest::decode(input).unwrap();
                let path = request.path.to_string();
                // ZOOKEEPER-4472: an old server takes what else is in the table.
                let one_shot = if self.old { &EVERY[..] } else { &EVERY[..1] };
                let (data, child) = match request.kind {
                    WatcherType::Any => (&EVERY[..], &EVERY[..]),
                    WatcherType::Data => (one_shot, &[][..]),
                    WatcherType::Children => (&[][..], one_shot),
                    other => panic!("{other:?} is not served"),
                };
                let data = self.data_watches.remove(&path, data);
                let child = self.child_watches.remove(&path, child);
                if data || child {
                    Ok(None)
                } else {
                    Err(ErrorCode::NoWatcher)
                }
            }
            OpCode::SetWatches => {
                let request = SetWatchesRequest::<Children>::decode(input).unwrap();
                self.rearm(
                    request.relative_zxid,
                    &request.data,
                    &request.exist,
                    &request.child,
                );
                Ok(None)
            }
            OpCode::SetWatches2 => {
                let request = SetWatches2Request::<Children>::decode(input).unwrap();
                self.rearm(
                    request.relative_zxid,
                    &request.data,
                    &request.exist,
                    &request.child,
                );
                for path in &request.persistent {
                    self.add_lasting(path, Mode::Persistent);
                }
                for path in &request.recursive {
                    self.add_lasting(path, Mode::Recursive);
                }
                Ok(None)
            }
            OpCode::Auth => {
                zk_proto::records::AuthRequest::decode(input).unwrap();
                if self.refuse_auth {
                    return Err(ErrorCode::AuthFailed);
                }
                Ok(None)
            }
            OpCode::Sasl => {
                let request = SaslRequest::decode(input).unwrap();
                let says = self.sasl_says.pop_front().unwrap_or_else(|| {
                    Ok(match request.token.unwrap() {
                        b"" => Some(b"challenge"),
                        b"answer" => Some(b"proof"),
                        b"last" => None,
                        other => panic!("{other:?} is no answer"),
                    })
                });
                self.logged_in = matches!(says, Ok(None | Some(b"proof")));
                says.map(|token| {
                    let token = token.map(Bytes::from_static);
                    Some(Box::new(SaslResponse { token }) as Box<dyn Encode>)
                })
            }
            OpCode::CloseSession => Ok(None),
            other => panic!("{other:?} is not served"),
        }
    }

    fn add_lasting(&mut self, path: &str, mode: Mode) {
        self.data_watches.add(path, mode, self.old);
        self.child_watches.add(path, mode, self.old);
    }

    /// What a real server does with `setWatches`.
    fn rearm(&mut self, since: Zxid, data: &Children, exist: &Children, child: &Children) {
        self.rearmed_from.push(since.0);
        for path in data {
            match self.nodes.get(path) {
                None => self.notify(EventType::NodeDeleted, path),
                Some((_, stat)) if stat.mzxid > since => {
                    self.notify(EventType::NodeDataChanged, path);
                }
                Some(_) => self.data_watches.add(path, Mode::OneShot, self.old),
            }
        }
        for path in exist {
            if self.nodes.contains_key(path) {
                self.notify(EventType::NodeCreated, path);
            } else {
                self.data_watches.add(path, Mode::OneShot, self.old);
            }
        }
        for path in child {
            match self.nodes.get(path) {
                None => self.notify(EventType::NodeDeleted, path),
                Some((_, stat)) if stat.pzxid > since => {
                    self.notify(EventType::NodeChildrenChanged, path);
                }
                Some(_) => self.child_watches.add(path, Mode::OneShot, self.old),
            }
        }
    }
}
