//! The core against a model server, byte by byte, on a clock of the tests' own.

mod abilities;
mod crossings;
mod following;
mod hosts;
mod leaving;
mod limits;
mod login;
mod model;
mod property;
mod read_only;
mod rearming;
mod requests;
mod server;
mod session;
mod statistics;
mod waiting;
mod watches;

use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use server::{Mode, Server, Unknown};
use zk_proto::records::{
    AddWatchMode, AddWatchRequest, CreateRequest, ExistsRequest, GetChildren2Request,
    GetDataRequest, SetDataRequest,
};
use zk_proto::{Acl, Encode, ErrorCode, OpCode, Stat, decode_frame};
use zk_transport::{Disconnect, FrameReader, SaslError, Step};

use crate::error::Outcome;
use crate::session::failure::{Failure, Replay};
use crate::session::identity::SessionPolicy;
use crate::session::requests::{Reply, SlotKey};
use crate::session::state::State;
use crate::session::statistics::Statistics;
use crate::session::watches::WatchIntent;
use crate::session::watches::event::WatchEvent;
use crate::session::watches::{SubId, WatchKind};
use crate::session::{Core, Limits, OpSet, Request};

const TIMEOUT: Duration = Duration::from_secs(6);

impl Core {
    fn statistics(&self) -> Statistics {
        self.snapshot(self.session.last_contact())
    }
}

/// A core, a server, and the wire between them.
struct World {
    core: Core,
    server: Server,
    frames: FrameReader,
    now: Instant,
    /// Output that was taken from the core and has not reached the server.
    wire: BytesMut,
    written: u64,
    /// The client's side of logins, if there are to be any.
    mechanism: Option<Mechanism>,
}

/// A mechanism for the model server, with steps that can be set to fail once.
#[derive(Default)]
struct Mechanism {
    turn: usize,
    /// Ends as GSSAPI does, with a token that the server only has to accept.
    is_final: bool,
    fails: Option<(usize, SaslError)>,
}

impl Mechanism {
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<Step, SaslError> {
        self.turn += 1;
        if let Some((_, error)) = self.fails.take_if(|(turn, _)| *turn == self.turn) {
            return Err(error);
        }
        match (self.turn, challenge) {
            (1, None) => Ok(Step::Respond(Vec::new())),
            (2, Some(b"challenge")) if self.is_final => Ok(Step::Final(b"last".into())),
            (2, Some(b"challenge")) => Ok(Step::Respond(b"answer".into())),
            (3, Some(b"proof")) => Ok(Step::Done),
            (2, Some(_)) => Err(SaslError::Challenge("not what it should be".into())),
            (3, Some(_)) => Err(SaslError::Unproven),
            other => panic!("{other:?}"),
        }
    }
}

impl World {
    fn new() -> Self {
        Self::with_policy(SessionPolicy::Renew)
    }

    fn with_policy(policy: SessionPolicy) -> Self {
        let limits = Limits {
            outstanding: 64,
            request_bytes: 1024,
            outstanding_bytes: usize::MAX,
            mailbox: crate::session::watches::MailboxLimits {
                events: 4,
                bytes: 1024,
            },
            close_timeout: Duration::from_secs(3),
        };
        let now = Instant::now();
        World {
            core: Core::new(now, TIMEOUT, policy, false, limits),
            server: Server::default(),
            frames: FrameReader::new(1 << 20),
            now,
            wire: BytesMut::new(),
            written: 0,
            mechanism: None,
        }
    }

    /// One whose connections begin with a login.
    fn with_login() -> Self {
        let mut world = World::new();
        world.core.require_login("MODEL");
        world.mechanism = Some(Mechanism::default());
        world
    }

    fn connected() -> Self {
        let mut world = World::new();
        world.connect();
        world
    }

    fn begin(&mut self) {
        self.frames = FrameReader::new(1 << 20);
        self.wire.clear();
        self.written = 0;
        if let Some(mechanism) = &mut self.mechanism {
            mechanism.turn = 0;
        }
        assert!(self.core.begin(self.now, Duration::from_secs(1)));
    }

    /// Connects, and lets everything settle.
    fn connect(&mut self) {
        self.begin();
        self.settle();
    }

    fn take_output(&mut self) {
        if self.wire.is_empty() {
            self.core.poll_output(&mut self.wire);
        }
    }

    /// The server receives up to `n` bytes.
    fn deliver(&mut self, n: usize) {
        self.take_output();
        let n = n.min(self.wire.len());
        let bytes = self.wire.split_to(n);
        self.written += n as u64;
        self.server.receive(&bytes);
    }

    /// The client receives up to `n` frames.
    fn answer(&mut self, n: usize) {
        for _ in 0..n {
            let Some(frame) = self.server.send() else {
                if self.server.hung_up {
                    self.cut();
                }
                return;
            };
            self.frames.extend(&frame);
            if let Err(reason) = self.receive() {
                self.cut_for(&reason);
                return;
            }
        }
    }

    /// What the driver does when bytes have arrived.
    fn receive(&mut self) -> Result<(), Disconnect> {
        self.core.handle_input(self.now, &mut self.frames)?;
        while let Some(challenge) = self.core.next_challenge() {
            let step = self.mechanism.as_mut().unwrap().step(challenge.as_deref());
            self.core.handle_login_step(self.now, step)?;
        }
        Ok(())
    }

    fn settle(&mut self) {
        loop {
            self.take_output();
            let idle = self.wire.is_empty() && self.server.unsent() == 0;
            if idle && !self.server.hung_up {
                return;
            }
            self.deliver(usize::MAX);
            self.answer(usize::MAX);
        }
    }

    /// The time comes for which the link waits next.
    fn tick(&mut self) {
        self.now = self.core.poll_link_timeout().unwrap();
        self.core.handle_link_timeout(self.now).unwrap();
    }

    fn cut(&mut self) {
        self.cut_for(&Disconnect::ClosedByServer);
    }

    fn cut_for(&mut self, reason: &Disconnect) {
        self.server.cut();
        let rest = std::mem::take(&mut self.wire);
        self.core
            .disconnected(self.now, reason, self.written, &rest);
    }

    fn submit(
        &mut self,
        op: OpCode,
        path: &str,
        record: &dyn Encode,
        replay: bool,
        watch: Option<WatchKind>,
    ) -> Result<SlotKey, Failure> {
        let watch = watch.map(|kind| WatchIntent {
            kind,
            path: path.into(),
            overridden: false,
        });
        let request = Request {
            op,
            needs: OpSet::of(op),
            path,
            record,
            replay: if replay {
                Replay::Always
            } else {
                Replay::Never
            },
            watch,
            deadline: None,
            cleanup: false,
            only_in: None,
            room: None,
        };
        self.core
            .submit(self.now, &request)
            .map_err(|failure| *failure)
    }

    fn get(&mut self, path: &str, watch: bool) -> SlotKey {
        let record = GetDataRequest {
            path: path.into(),
            watch,
        };
        let kind = watch.then_some(WatchKind::Data);
        self.submit(OpCode::GetData, path, &record, true, kind)
            .unwrap()
    }

    fn children(&mut self, path: &str) -> SlotKey {
        let record = GetChildren2Request {
            path: path.into(),
            watch: true,
        };
        let kind = Some(WatchKind::Child);
        self.submit(OpCode::GetChildren2, path, &record, true, kind)
            .unwrap()
    }

    fn exists(&mut self, path: &str) -> SlotKey {
        let record = ExistsRequest {
            path: path.into(),
            watch: true,
        };
        self.submit(OpCode::Exists, path, &record, true, Some(WatchKind::Data))
            .unwrap()
    }

    fn set(&mut self, path: &str, data: &str) -> SlotKey {
        let record = SetDataRequest {
            path: path.into(),
            data: Some(data.as_bytes()),
            version: -1,
        };
        self.submit(OpCode::SetData, path, &record, false, None)
            .unwrap()
    }

    fn create(&mut self, path: &str) -> SlotKey {
        self.create_by(OpCode::Create2, path, "")
    }

    fn create_by(&mut self, op: OpCode, path: &str, data: &str) -> SlotKey {
        let acl = Acl::open();
        let record = CreateRequest {
            path: path.into(),
            data: Some(data.as_bytes()),
            acl: (&acl[..]).into(),
            flags: if op == OpCode::CreateContainer { 4 } else { 0 },
        };
        self.submit(op, path, &record, false, None).unwrap()
    }

    fn add_watch(&mut self, path: &str, mode: AddWatchMode, kind: WatchKind) -> SlotKey {
        self.try_add_watch(path, mode, kind).unwrap()
    }

    fn try_add_watch(
        &mut self,
        path: &str,
        mode: AddWatchMode,
        kind: WatchKind,
    ) -> Result<SlotKey, Failure> {
        let record = AddWatchRequest {
            path: path.into(),
            mode,
        };
        self.submit(OpCode::AddWatch, path, &record, true, Some(kind))
    }

    fn poll(&mut self, key: SlotKey) -> Option<Result<Reply, Failure>> {
        self.core
            .poll_reply(key, Waker::noop())
            .map(|answer| answer.result.map_err(|failure| *failure))
    }

    /// The answer to a request that must have succeeded.
    fn ok(&mut self, key: SlotKey) -> (Bytes, Option<SubId>) {
        match self.poll(key) {
            Some(Ok(Reply {
                result: Ok(body),
                watch,
                ..
            })) => (body, watch),
            other => panic!("not a success: {other:?}"),
        }
    }

    fn watch(&mut self, key: SlotKey) -> SubId {
        match self.poll(key) {
            Some(Ok(Reply {
                watch: Some(sub), ..
            })) => sub,
            other => panic!("no watch: {other:?}"),
        }
    }

    fn event(&mut self, sub: SubId) -> Option<WatchEvent> {
        self.core.poll_event(sub, Waker::noop())
    }

    fn outcome(&mut self, key: SlotKey) -> Option<Outcome> {
        match self.poll(key) {
            Some(Err(Failure::ConnectionLost(_, outcome))) => Some(outcome),
            Some(other) => panic!("not a lost connection: {other:?}"),
            None => None,
        }
    }
}

/// The reply, as a server sends it that did not execute the request.
fn throttled(reply: &[u8]) -> BytesMut {
    let mut frame = BytesMut::from(&reply[..20]);
    frame[..4].copy_from_slice(&16_u32.to_be_bytes());
    frame[16..20].copy_from_slice(&ErrorCode::ThrottledOp.code().to_be_bytes());
    frame
}

fn is_node(event: Option<&WatchEvent>) -> bool {
    matches!(event, Some(WatchEvent::Node(_)))
}
