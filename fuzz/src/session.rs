//! The bodies of the targets `session` and `server_bytes`: a client's machine, its server and its
//! network.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use zk_client::testkit::{Ask, Machine, Subscription, Ticket};
use zk_client::{Disconnect, Outcome, SessionId, Zxid};
use zk_embedded::Options;
use zk_embedded::core::{Change, ConnectionId, Peer, State};
use zk_proto::records::{ConnectResponse, CreateRequest, DeleteRequest, SetDataRequest};
use zk_proto::{Acl, Encode, OpCode, RequestHeader, SessionPassword};

const TIMEOUT: Duration = Duration::from_secs(6);
const BUDGET: Duration = Duration::from_secs(1);
const OUTSTANDING: usize = 64;
const PATHS: [&str; 5] = ["/a", "/a/b", "/a/b/c", "/ä", "/"];
/// A request for a new session.
const HANDSHAKE: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x27\x10\0\0\0\0\0\0\0\0\0\0\0\x10\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn take(input: &mut &[u8]) -> u8 {
    let Some((&first, rest)) = input.split_first() else {
        return 0;
    };
    *input = rest;
    first
}

/// What the machine reported about a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    Waiting,
    Applied,
    Refused,
    NotSent,
    Unknown,
    /// The caller dropped the request before a report.
    Abandoned,
}

struct Write {
    report: Report,
    /// The session in which the write was submitted, 0 for none.
    session: i64,
}

/// A machine, a server, and the wire between them.
struct World {
    now: Instant,
    machine: Machine,
    server: State,
    connection: Option<ConnectionId>,
    /// The beginning of a frame, of which the server has not received the rest.
    to_server: BytesMut,
    to_client: BytesMut,
    waiting: Vec<(Ticket, Option<u32>)>,
    watches: Vec<Subscription>,
    writes: HashMap<u32, Write>,
    /// Whether the client received bytes that the server has not sent.
    forged: bool,
}

/// The session's machine: operations of two bytes each, a kind and an argument; see [`World::step`].
///
/// Each request is answered once and correctly. No write is applied twice, or in another session than
/// its own. After the client's end no request, watch or subscriber is left. Returns the number of
/// acknowledged writes.
pub fn session(data: &[u8]) -> usize {
    let mut input = data;
    let renew = take(&mut input) & 1 == 0;
    let now = Instant::now();
    let mut world = World {
        now,
        machine: Machine::new(now, TIMEOUT, renew, OUTSTANDING),
        server: State::new(Options::default(), now),
        connection: None,
        to_server: BytesMut::new(),
        to_client: BytesMut::new(),
        waiting: Vec::new(),
        watches: Vec::new(),
        writes: HashMap::new(),
        forged: false,
    };
    while !input.is_empty() {
        let (what, how) = (take(&mut input), take(&mut input));
        world.step(what, how, &mut input);
    }
    world.finish()
}

impl World {
    fn step(&mut self, what: u8, how: u8, input: &mut &[u8]) {
        let path = PATHS[usize::from(how) % PATHS.len()];
        let flag = how >= 128;
        match what % 24 {
            0 | 1 => self.connect(),
            2 => self.write(usize::from(how) * 2),
            3 => self.write(usize::MAX),
            4 => self.read(usize::from(how)),
            5 => self.read(usize::MAX),
            6 => self.cut(&Disconnect::ClosedByServer),
            7 => self.pass(Duration::from_millis(u64::from(how) * 20)),
            8 => self.submit(Ask::Get(path, flag), how),
            9 => self.submit(Ask::Exists(path, flag), how),
            10 => self.submit(Ask::Children(path, flag), how),
            11 | 12 => self.submit_write(how, |data| Ask::Create(path, data, flag)),
            13 | 14 => self.submit_write(how, |data| Ask::Set(path, data)),
            15 => self.submit(Ask::Delete(path), how),
            16 => self.submit(Ask::Watch(path, flag), how),
            17 => self.submit(Ask::Sync(path), how),
            18 => self.forget(usize::from(how)),
            19 => self.change(path, flag),
            20 => {
                let session = SessionId(self.machine.session());
                self.server.expire_session(self.now, session);
            }
            21 if how == 7 => self.machine.close(self.now),
            21 => self.add_auth(),
            22 => {
                let len = usize::from(how % 32).min(input.len());
                let (forgery, rest) = input.split_at(len);
                *input = rest;
                self.forged = true;
                self.receive(&Bytes::copy_from_slice(forgery));
            }
            _ => self.settle(),
        }
        self.poll();
        let held = self.machine.statistics(self.now);
        assert!(held.outstanding <= OUTSTANDING + self.waiting.len());
        assert!(held.parked <= held.outstanding);
    }

    fn connect(&mut self) {
        if !self.machine.has_connection() && self.machine.connect(self.now, BUDGET) {
            self.connection = self.server.open(self.now, 0, Peer::Memory);
        }
    }

    /// The server receives up to `max` bytes of the client's output.
    fn write(&mut self, max: usize) {
        if !self.machine.has_connection() {
            return;
        }
        let Some(id) = self.connection else { return };
        self.to_server.extend_from_slice(&self.machine.output(max));
        while let Some(prefix) = self.to_server.first_chunk::<4>() {
            let len = usize::try_from(i32::from_be_bytes(*prefix)).expect("the client wrote it");
            if self.to_server.len() < 4 + len {
                break;
            }
            let frame = self.to_server.split_to(4 + len).split_off(4).freeze();
            self.server.handle_frame(self.now, id, &frame);
        }
    }

    /// The client receives up to `max` bytes of the server's output.
    fn read(&mut self, max: usize) {
        let mut closing = false;
        while let Some(ready) = self.server.poll_ready() {
            let (output, closes) = self.server.take_output(ready);
            if Some(ready) == self.connection {
                for chunk in output.into_chunks() {
                    self.to_client.extend_from_slice(&chunk);
                }
                closing |= closes;
            } else if closes {
                self.server.handle_disconnect(ready);
            }
        }
        let len = max.min(self.to_client.len());
        let bytes = self.to_client.split_to(len).freeze();
        if !bytes.is_empty() {
            self.receive(&bytes);
        }
        if closing {
            // All bytes arrive before the end of the connection.
            let rest = std::mem::take(&mut self.to_client).freeze();
            self.receive(&rest);
            self.cut(&Disconnect::ClosedByServer);
        }
    }

    fn receive(&mut self, bytes: &Bytes) {
        if self.machine.has_connection()
            && let Err(reason) = self.machine.input(self.now, bytes)
        {
            self.cut(&reason);
        }
    }

    fn cut(&mut self, reason: &Disconnect) {
        if let Some(id) = self.connection.take() {
            self.server.handle_disconnect(id);
        }
        self.to_server.clear();
        self.to_client.clear();
        if self.machine.has_connection() {
            self.machine.disconnect(self.now, reason);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now);
        if let Err(reason) = self.machine.tick(self.now) {
            self.cut(&reason);
            return;
        }
        let due = self.machine.due();
        assert!(due.is_none_or(|due| due > self.now), "due again at once");
    }

    fn submit(&mut self, ask: Ask<'_>, how: u8) {
        let deadline = how
            .is_multiple_of(3)
            .then(|| Duration::from_millis(u64::from(how) * 30 + 1));
        if let Ok(ticket) = self.machine.submit(self.now, ask, deadline) {
            self.waiting.push((ticket, None));
        }
    }

    fn submit_write<'a>(&mut self, how: u8, ask: impl for<'d> FnOnce(&'d [u8]) -> Ask<'d> + 'a) {
        let id = u32::try_from(self.writes.len()).expect("few");
        let session = self.machine.session();
        let deadline = how
            .is_multiple_of(3)
            .then(|| Duration::from_millis(u64::from(how) * 30 + 1));
        let data = id.to_be_bytes();
        let report = match self.machine.submit(self.now, ask(&data), deadline) {
            Ok(ticket) => {
                self.waiting.push((ticket, Some(id)));
                Report::Waiting
            }
            Err(error) => {
                assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
                Report::NotSent
            }
        };
        self.writes.insert(id, Write { report, session });
    }

    /// Takes all answers.
    fn poll(&mut self) {
        for (ticket, id) in std::mem::take(&mut self.waiting) {
            let answer = match self.machine.poll(ticket) {
                Ok(answer) => answer,
                Err(ticket) => {
                    self.waiting.push((ticket, id));
                    continue;
                }
            };
            let report = match answer {
                Ok(answer) => {
                    self.watches.extend(answer.watch);
                    match answer.result {
                        Ok(_) => Report::Applied,
                        Err(_) => Report::Refused,
                    }
                }
                Err(error) => match error.outcome() {
                    Outcome::NotSent => Report::NotSent,
                    Outcome::Unknown => Report::Unknown,
                    Outcome::Rejected => Report::Refused,
                },
            };
            if let Some(write) = id.and_then(|id| self.writes.get_mut(&id)) {
                assert_eq!(write.report, Report::Waiting, "answered twice");
                write.report = report;
            }
        }
        for watch in &self.watches {
            while let Some(event) = self.machine.event(watch) {
                if event == zk_client::WatchEvent::SessionEnded {
                    break;
                }
            }
        }
    }

    /// Drops a request or a watch.
    fn forget(&mut self, which: usize) {
        if which.is_multiple_of(2) && !self.waiting.is_empty() {
            let (ticket, id) = self.waiting.swap_remove(which / 2 % self.waiting.len());
            self.machine.abandon(self.now, ticket);
            if let Some(write) = id.and_then(|id| self.writes.get_mut(&id)) {
                write.report = Report::Abandoned;
            }
        } else if !self.watches.is_empty() {
            let watch = self.watches.swap_remove(which / 2 % self.watches.len());
            self.machine.unsubscribe(self.now, &watch);
        }
    }

    fn add_auth(&mut self) {
        if let Ok(ticket) = self.machine.add_auth(b"user:secret") {
            self.waiting.push((ticket, None));
        }
    }

    /// Another client changes a znode.
    fn change(&mut self, path: &str, delete: bool) {
        let Some(id) = self.server.open(self.now, 0, Peer::Memory) else {
            return;
        };
        self.server
            .handle_frame(self.now, id, &Bytes::from_static(HANDSHAKE));
        let data = Some(&b"another client"[..]);
        let acl = Acl::open();
        let set = SetDataRequest {
            path: path.into(),
            data,
            version: -1,
        };
        let create = CreateRequest {
            path: path.into(),
            data,
            acl: (&acl[..]).into(),
            flags: 0,
        };
        let gone = DeleteRequest {
            path: path.into(),
            version: -1,
        };
        if delete {
            self.request(id, OpCode::Delete, &gone);
        } else {
            self.request(id, OpCode::Create, &create);
            self.request(id, OpCode::SetData, &set);
        }
        self.server.handle_disconnect(id);
    }

    fn request(&mut self, id: ConnectionId, op: OpCode, record: &dyn Encode) {
        let mut frame = BytesMut::new();
        RequestHeader::new(1, op).encode(&mut frame);
        record.encode(&mut frame);
        self.server.handle_frame(self.now, id, &frame.freeze());
    }

    /// All bytes in both directions arrive.
    fn settle(&mut self) {
        for _ in 0..100 {
            if !self.machine.has_connection() {
                return;
            }
            self.write(usize::MAX);
            self.read(usize::MAX);
        }
    }

    /// The network heals and the client is closed: every request is answered, and correctly.
    fn finish(mut self) -> usize {
        // Forged bytes may be the beginning of a frame.
        self.cut(&Disconnect::ClosedByServer);
        for _ in 0..4 {
            self.connect();
            self.settle();
        }
        self.poll();
        // After a forged zxid of the future every server refuses the client.
        assert!(
            self.forged || self.waiting.is_empty(),
            "{} wait for ever",
            self.waiting.len()
        );
        self.machine.close(self.now);
        self.settle();
        for _ in 0..4 {
            self.pass(TIMEOUT);
        }
        assert!(self.machine.is_over());
        self.poll();
        for watch in std::mem::take(&mut self.watches) {
            self.machine.unsubscribe(self.now, &watch);
        }
        let left = self.machine.statistics(self.now);
        assert_eq!(
            (
                left.outstanding,
                left.parked,
                left.watches,
                left.subscribers
            ),
            (0, 0, 0, 0)
        );
        let late = self.machine.submit(self.now, Ask::Sync("/"), None);
        assert!(late.is_err_and(|error| error.outcome() == Outcome::NotSent));
        self.check_writes()
    }

    fn check_writes(&self) -> usize {
        let mut applied: HashMap<u32, Vec<i64>> = HashMap::new();
        for txn in self.server.log_after(Zxid::ZERO) {
            for change in &txn.changes {
                let (Change::Create { data, .. } | Change::SetData { data, .. }) = change else {
                    continue;
                };
                let id = data.as_deref().and_then(|data| data.try_into().ok());
                if let Some(id) = id.map(u32::from_be_bytes).filter(|_| txn.error.is_none()) {
                    applied.entry(id).or_default().push(txn.session.0);
                }
            }
        }
        for (id, write) in &self.writes {
            let sessions = applied.get(id).map_or(&[][..], Vec::as_slice);
            let right = match write.report {
                Report::Waiting => false,
                Report::NotSent => sessions.is_empty(),
                Report::Unknown | Report::Abandoned => sessions.len() <= 1,
                Report::Applied => sessions.len() == 1 || self.forged,
                Report::Refused => sessions.is_empty() || self.forged,
            };
            assert!(right, "{id}: {:?}, applied in {sessions:x?}", write.report);
            let own = write.session;
            assert!(
                own == 0 || sessions.iter().all(|session| *session == own),
                "{id} of session {own:x} was applied in {sessions:x?}"
            );
        }
        let writes = self.writes.values();
        writes
            .filter(|write| write.report == Report::Applied)
            .count()
    }
}

/// Any bytes from a server to a client that waits for up to 64 answers: each request is answered once,
/// and none is left.
///
/// The first byte is the number of requests, the second the size of the pieces that arrive.
pub fn server_bytes(data: &[u8]) {
    let mut input = data;
    let requests = usize::from(take(&mut input)) % (OUTSTANDING + 1);
    let piece = usize::from(take(&mut input)) + 1;
    let mut now = Instant::now();
    let mut machine = Machine::new(now, TIMEOUT, true, OUTSTANDING);
    assert!(machine.connect(now, BUDGET));
    let response = ConnectResponse {
        protocol_version: 0,
        timeout_ms: 6000,
        session_id: SessionId(7),
        password: SessionPassword::zero(),
        read_only: false,
    };
    let mut body = BytesMut::new();
    response.encode(&mut body);
    let len = u32::try_from(body.len()).expect("short");
    let greeting = [&len.to_be_bytes()[..], &body].concat();
    machine.input(now, &greeting).expect("a handshake");

    let mut tickets = Vec::new();
    for n in 0..requests {
        let path = PATHS[n % PATHS.len()];
        let ask = match n % 8 {
            0 => Ask::Get(path, true),
            1 => Ask::Set(path, b"x"),
            2 => Ask::Children(path, true),
            3 => Ask::Create(path, b"", false),
            4 => Ask::Exists(path, true),
            5 => Ask::Delete(path),
            6 => Ask::Watch(path, n % 16 == 6),
            _ => Ask::Sync(path),
        };
        tickets.push(machine.submit(now, ask, None).expect("there is room"));
    }
    machine.output(usize::MAX);
    let mut ended = Disconnect::ClosedByServer;
    for piece in input.chunks(piece) {
        if let Err(reason) = machine.input(now, piece) {
            ended = reason;
            break;
        }
    }
    machine.disconnect(now, &ended);
    machine.close(now);
    now += TIMEOUT;
    machine.tick(now).expect("there is no connection");
    assert!(machine.is_over());
    let mut watches = Vec::new();
    for ticket in tickets {
        match machine.poll(ticket) {
            Ok(Ok(answer)) => watches.extend(answer.watch),
            Ok(Err(error)) => assert_ne!(error.outcome(), Outcome::Rejected, "{error}"),
            Err(_) => panic!("a request that is never answered"),
        }
    }
    for watch in watches {
        machine.unsubscribe(now, &watch);
    }
    let left = machine.statistics(now);
    assert_eq!(
        (
            left.outstanding,
            left.parked,
            left.watches,
            left.subscribers
        ),
        (0, 0, 0, 0)
    );
}
