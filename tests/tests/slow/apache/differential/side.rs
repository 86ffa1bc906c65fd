//! One of the two servers and the sessions it has in a trace.
//!
//! At most one request is under way at a time. After whatever can cause events, every session
//! pings: a server answers in the order of the requests, so everything that was due has come by then.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use zk_proto::records::*;
use zk_proto::{
    Acl, CreateMode, Encode, ErrorCode, OpCode, ReplyHeader, SessionId, SessionPassword, Zxid,
    decode_frame, xid,
};

use crate::apache::differential::answer::Names;
use crate::apache::differential::tally::Tally;
use crate::apache::differential::trace::{Action, Call, Resume, SLOTS, Since, Step, set_watches};
use crate::common::wire::{Received, Wire};

/// Traces take less, even on a machine that is busy with something else.
const TIMEOUT_MS: i32 = 30_000;
const SUPER: &[u8] = zk_tests::SUPER_CREDENTIALS.as_bytes();

pub(crate) struct Side {
    address: SocketAddr,
    root: String,
    names: Names,
    slots: Vec<Slot>,
    /// A session beside those of the trace: makes room, sees others expire, cleans up.
    referee: Slot,
    expired: usize,
    pub(crate) tally: Tally,
}

struct Slot {
    name: String,
    wire: Option<Wire>,
    session: SessionId,
    password: SessionPassword,
    seen: i64,
}

/// Events and replies of one step, in words.
pub(crate) type Answers = Vec<String>;

impl Slot {
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            wire: None,
            session: SessionId::NONE,
            password: SessionPassword::zero(),
            seen: 0,
        }
    }

    fn honest(&self) -> ConnectRequest {
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(self.seen),
            timeout_ms: TIMEOUT_MS,
            session_id: self.session,
            password: self.password.clone(),
            read_only: Some(false),
        }
    }

    fn send(&mut self, op: i32, body: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Some(wire) => wire.send(op, body),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Reads everything up to the next reply, which is to the operation `op`. Returns whether the server
    /// closes the connection after it.
    fn receive(&mut self, op: i32, received: &mut Receiving<'_>) -> io::Result<bool> {
        let Some(wire) = &mut self.wire else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        loop {
            match wire.receive()? {
                Received::Event { zxid, text, path } => {
                    received.tally.event(&text);
                    let zxid = received.names.zxid(zxid);
                    received
                        .events
                        .push((path, format!("{}: {text} at {zxid}", self.name)));
                }
                Received::Reply { header, frame } => {
                    let text = received.names.reply(op, &header, &frame);
                    received.tally.reply(op, header.err, &text);
                    received.settle();
                    received.answers.push(format!("{}: {text}", self.name));
                    if header.xid != xid::AUTH && header.zxid.0 > 0 {
                        self.seen = header.zxid.0;
                    }
                    let unknown = header.zxid.0 == -1 && header.err != 0;
                    let unproven = header.error() == Some(ErrorCode::AuthFailed);
                    return Ok(unknown || unproven || op == OpCode::CloseSession.code());
                }
                Received::Closed => {
                    received.tally.closed();
                    received.settle();
                    received.answers.push(format!("{}: closed", self.name));
                    self.wire = None;
                    return Ok(false);
                }
            }
        }
    }
}

/// What is being written down.
struct Receiving<'a> {
    names: &'a Names,
    tally: &'a mut Tally,
    /// Whether the events come from one transaction that deletes several nodes, as the end of a
    /// session does: Java has those in a hash set.
    unordered: bool,
    events: Vec<(String, String)>,
    answers: &'a mut Answers,
}

impl Receiving<'_> {
    fn settle(&mut self) {
        if self.unordered {
            self.events.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        self.answers
            .extend(self.events.drain(..).map(|(_, text)| text));
    }
}

impl Side {
    /// Makes room and opens the sessions.
    pub(crate) fn begin(address: SocketAddr, root: &str) -> io::Result<Self> {
        let mut side = Self {
            address,
            root: root.to_owned(),
            names: Names::default(),
            slots: (0..SLOTS).map(|slot| Slot::new(slot.to_string())).collect(),
            referee: Slot::new("referee"),
            expired: 0,
            tally: Tally::default(),
        };
        side.open_referee()?;
        side.demand(OpCode::Create, &created(root, CreateMode::Persistent))?;
        let inside = inside(root);
        side.demand(OpCode::Create, &created(&inside, CreateMode::Persistent))?;
        side.names.base = side.referee.seen;
        for slot in 0..SLOTS {
            side.connect(slot, &mut Answers::new(), |_| {})?;
        }
        side.tally = Tally::default();
        Ok(side)
    }

    pub(crate) fn step(&mut self, step: &Step) -> io::Result<Answers> {
        let mut answers = Answers::new();
        let answers_ref = &mut answers;
        let slot = step.slot;
        let connected = self.slots[slot].wire.is_some();
        match &step.action {
            Action::Resume(how) => self.resume(slot, *how, answers_ref)?,
            _ if !connected => self.connect(slot, answers_ref, |_| {})?,
            Action::Call(call) => self.call(slot, call.op, &call.body, answers_ref)?,
            Action::SetWatches { op, since, lists } => {
                let since = match since {
                    Since::Beginning => self.names.base,
                    Since::Seen => self.slots[slot].seen,
                    Since::Future => i64::MAX / 2,
                };
                let body = set_watches(*op, since, lists);
                self.call(slot, op.code(), &body, answers_ref)?;
            }
            Action::Disconnect => self.disconnect(slot)?,
            Action::Close => self.close(slot, answers_ref)?,
            Action::Expire => self.expire(slot, answers_ref)?,
        }
        Ok(answers)
    }

    fn call(&mut self, slot: usize, op: i32, body: &[u8], answers: &mut Answers) -> io::Result<()> {
        self.slots[slot].send(op, body)?;
        if self.receive(slot, op, false, answers)? {
            // A request sent now might still be answered.
            self.receive(slot, op, false, answers)?;
        }
        if is_quiet(op) {
            Ok(())
        } else {
            self.fence(false, answers)
        }
    }

    fn receive(
        &mut self,
        slot: usize,
        op: i32,
        unordered: bool,
        answers: &mut Answers,
    ) -> io::Result<bool> {
        let mut receiving = Receiving {
            names: &self.names,
            tally: &mut self.tally,
            unordered,
            events: Vec::new(),
            answers,
        };
        self.slots[slot].receive(op, &mut receiving)
    }

    /// Waits until every session has got what is due.
    fn fence(&mut self, unordered: bool, answers: &mut Answers) -> io::Result<()> {
        let ping = OpCode::Ping.code();
        let connected = |slot: &&mut Slot| slot.wire.is_some();
        for slot in self.slots.iter_mut().filter(connected) {
            slot.send(ping, &[])?;
        }
        for slot in 0..SLOTS {
            if self.slots[slot].wire.is_some() {
                self.receive(slot, ping, unordered, answers)?;
            }
        }
        Ok(())
    }

    /// Opens a connection for the session, or one with a session of its own if there is none.
    fn connect(
        &mut self,
        slot: usize,
        answers: &mut Answers,
        change: impl FnOnce(&mut ConnectRequest),
    ) -> io::Result<()> {
        self.open(slot, answers, change)?;
        // The session's other connection, if there was one, was closed; its end is not awaited.
        self.fence(false, answers)
    }

    fn open(
        &mut self,
        slot: usize,
        answers: &mut Answers,
        change: impl FnOnce(&mut ConnectRequest),
    ) -> io::Result<()> {
        let mut ask = self.slots[slot].honest();
        change(&mut ask);
        let Some((wire, response, len)) = Wire::connect(self.address, &ask)? else {
            answers.push("closed without an answer".to_owned());
            self.tally.connected("connect refused");
            return Ok(());
        };
        if !response.is_expired() && ask.session_id.is_none() {
            self.names.add(response.session_id.0);
        }
        answers.push(format!(
            "protocol {}, {} ms, {}, read-only {}, {len} bytes",
            response.protocol_version,
            response.timeout_ms,
            self.names.session(response.session_id.0),
            response.read_only,
        ));
        let slot = &mut self.slots[slot];
        if response.is_expired() {
            let zero = response.password == SessionPassword::zero();
            answers.push(format!("no session, zero password {zero}"));
            self.tally.connected("connect expired");
            let mut wire = wire;
            match wire.receive()? {
                Received::Closed => answers.push("and closed".to_owned()),
                _ => answers.push("and stays open".to_owned()),
            }
        } else {
            slot.session = response.session_id;
            slot.password = response.password;
            slot.wire = Some(wire);
            let resumed = ask.session_id == response.session_id;
            self.tally.connected(if resumed {
                "connect resumed"
            } else {
                "connect new"
            });
        }
        Ok(())
    }

    fn resume(&mut self, slot: usize, how: Resume, answers: &mut Answers) -> io::Result<()> {
        let mut older = self.slots[slot].wire.take();
        self.connect(slot, answers, |ask| match how {
            Resume::Honest(read_only) => ask.read_only = read_only,
            Resume::WrongPassword => {
                ask.password = SessionPassword::new([1; 16].to_vec().into());
            }
            Resume::Ahead => ask.last_zxid_seen = Zxid(i64::MAX / 2),
            Resume::UnknownSession => ask.session_id = SessionId(0x5eed),
            Resume::Longest => ask.timeout_ms = i32::MAX,
        })?;
        let displaced = matches!(
            how,
            Resume::Honest(_) | Resume::WrongPassword | Resume::Longest
        );
        let Some(wire) = older.as_mut().filter(|_| displaced) else {
            // A client whose handshake was refused has displaced no other.
            if self.slots[slot].wire.is_none() {
                self.slots[slot].wire = older;
            }
            return self.fence(false, answers);
        };
        match wire.receive()? {
            Received::Closed => answers.push("the older connection is closed".to_owned()),
            Received::Event { text, .. } => answers.push(format!("the older gets {text}")),
            Received::Reply { .. } => answers.push("the older gets a reply".to_owned()),
        }
        Ok(())
    }

    fn disconnect(&mut self, slot: usize) -> io::Result<()> {
        self.slots[slot].wire.take().map_or(Ok(()), Wire::end)
    }

    fn close(&mut self, slot: usize, answers: &mut Answers) -> io::Result<()> {
        let op = OpCode::CloseSession.code();
        self.slots[slot].send(op, &[])?;
        if self.receive(slot, op, true, answers)? {
            self.receive(slot, op, true, answers)?;
        }
        self.fence(true, answers)?;
        self.refused_then_new(slot, answers)
    }

    /// Lets the session's time pass, which is made short for that, and waits until the referee sees
    /// it go.
    fn expire(&mut self, slot: usize, answers: &mut Answers) -> io::Result<()> {
        self.expired += 1;
        let witness = format!("{}/witness-{}", self.root, self.expired);
        let create = Call::new(OpCode::Create, &created(&witness, CreateMode::Ephemeral));
        self.call(slot, create.op, &create.body, answers)?;
        let (path, watch) = ((&witness).into(), true);
        self.demand(OpCode::Exists, &ExistsRequest { path, watch })?;
        // No request is sent on it: its time is short.
        self.open(slot, answers, |ask| ask.timeout_ms = 1)?;
        self.disconnect(slot)?;
        let gone = match &mut self.referee.wire {
            Some(wire) => wire.receive()?,
            None => return Err(io::ErrorKind::NotConnected.into()),
        };
        match gone {
            Received::Event { text, .. } => answers.push(format!("referee: {text}")),
            _ => return Err(io::Error::other("the referee saw something else")),
        }
        self.tally.connected("session expired");
        self.fence(true, answers)?;
        self.refused_then_new(slot, answers)
    }

    /// A session that has ended cannot be resumed; another begins in its place.
    fn refused_then_new(&mut self, slot: usize, answers: &mut Answers) -> io::Result<()> {
        self.connect(slot, answers, |_| {})?;
        let seen = self.slots[slot].seen;
        let name = self.slots[slot].name.clone();
        self.slots[slot] = Slot {
            seen,
            ..Slot::new(name)
        };
        self.connect(slot, answers, |_| {})
    }

    /// Ends the sessions and removes the nodes.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let mut ignored = Answers::new();
        for slot in 0..SLOTS {
            if self.slots[slot].wire.is_none() {
                self.connect(slot, &mut ignored, |_| {})?;
            }
            self.slots[slot].send(OpCode::CloseSession.code(), &[])?;
            while self.slots[slot].wire.is_some() {
                self.receive(slot, OpCode::CloseSession.code(), false, &mut ignored)?;
            }
        }
        let root = self.root.clone();
        self.remove(&root)?;
        self.referee.send(OpCode::CloseSession.code(), &[])?;
        let mut tally = Tally::default();
        while self.referee.wire.is_some() {
            let mut receiving = Receiving {
                names: &self.names,
                tally: &mut tally,
                unordered: false,
                events: Vec::new(),
                answers: &mut ignored,
            };
            self.referee
                .receive(OpCode::CloseSession.code(), &mut receiving)?;
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        let ask = GetChildrenRequest {
            path: path.into(),
            watch: false,
        };
        let frame = self.demand(OpCode::GetChildren, &ask)?;
        let read: GetChildrenResponse =
            decode_frame(&frame, ReplyHeader::LEN).map_err(io::Error::other)?;
        for child in &read.children {
            self.remove(&format!("{path}/{child}"))?;
        }
        let ask = DeleteRequest {
            path: path.into(),
            version: -1,
        };
        self.demand(OpCode::Delete, &ask)?;
        Ok(())
    }

    fn open_referee(&mut self) -> io::Result<()> {
        let Some((wire, _, _)) = Wire::connect(self.address, &self.referee.honest())? else {
            return Err(io::Error::other("there is no session for the referee"));
        };
        self.referee.wire = Some(wire);
        let ask = AuthRequest {
            auth_type: 0,
            scheme: "digest",
            auth: Some(SUPER),
        };
        self.demand(OpCode::Auth, &ask)?;
        Ok(())
    }

    /// The referee's own requests must succeed.
    fn demand(&mut self, op: OpCode, record: &(impl Encode + fmt::Debug)) -> io::Result<Bytes> {
        let call = Call::new(op, record);
        self.referee.send(call.op, &call.body)?;
        let Some(wire) = &mut self.referee.wire else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        match wire.receive()? {
            Received::Reply { header, frame } if header.err == 0 => {
                if op != OpCode::Auth {
                    self.referee.seen = header.zxid.0;
                }
                Ok(frame)
            }
            Received::Reply { header, .. } => {
                Err(io::Error::other(format!("{call:?}: error {}", header.err)))
            }
            Received::Event { .. } | Received::Closed => {
                Err(io::Error::other(format!("{call:?}: no reply")))
            }
        }
    }
}

/// The part of a root that is the trace's own; beside it are our nodes and what sequences make.
pub(crate) fn inside(root: &str) -> String {
    format!("{root}/in")
}

fn created(path: &str, mode: CreateMode) -> CreateRequest<'_> {
    CreateRequest {
        path: path.into(),
        data: None,
        acl: Acl::open().into(),
        flags: mode.flags(),
    }
}

/// Whether nothing but the reply comes of it.
fn is_quiet(op: i32) -> bool {
    matches!(
        OpCode::from_i32(op),
        Some(
            OpCode::Exists
                | OpCode::GetData
                | OpCode::GetAcl
                | OpCode::GetChildren
                | OpCode::GetChildren2
                | OpCode::GetEphemerals
                | OpCode::GetAllChildrenNumber
                | OpCode::WhoAmI
                | OpCode::Ping
        )
    )
}
