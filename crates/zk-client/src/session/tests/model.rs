//! The session machine beside a reference, step by step: what is written, what is reported, and
//! every time that counts.
//!
//! `ZK_MODEL_CASES` asks for more than the usual 2,000 sequences.

mod reference;
mod vocabulary;

use crate::session::state_readers::ReaderId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;
use proptest::strategy::Union;
use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use reference::Model;
use vocabulary::{At, BUDGET, CLOSE_TIMEOUT, Grant, Reported, Sent, Step};
use zk_proto::records::{ConnectRequest, ConnectResponse, ErrorResponse};
use zk_proto::{
    EventType, KeeperState, ReplyHeader, RequestHeader, SessionId, SessionPassword, WatcherEvent,
    Zxid, xid,
};

use crate::session::tests::*;

const CASES: u32 = 2000;
/// How often every transition must have been taken.
const LEAST: u64 = 50;
/// A watch set on a read-only server by a client whose session has expired: a long way to go.
const RARE: ((At, At), u64) = ((At::Rearming, At::Expired), 5);
/// Rounds of this many sequences until every transition has been taken. One is mostly enough.
const ROUNDS: u32 = 5;
/// What a reader holds unread, as [`StateStream`](crate::StateStream) documents it.
const UNREAD: usize = 16;

/// The transitions that exist. No other may be taken.
#[rustfmt::skip]
const EDGES: [(At, &[At]); 8] = {
    use At::{AuthFailed, Authenticating, Closed, Connected, Expired, Handshaking, Never, ReadOnly, Rearming, Suspended};
    [
        (Never, &[Handshaking, Closed]),
        (Handshaking, &[Never, Authenticating, Rearming, Connected, ReadOnly, Suspended, Expired, Closed]),
        (Authenticating, &[Never, Rearming, Connected, ReadOnly, Suspended, Expired, AuthFailed, Closed]),
        (Rearming, &[Never, Authenticating, Connected, ReadOnly, Suspended, Expired, Closed]),
        (Connected, &[Authenticating, Suspended, Closed]),
        (ReadOnly, &[Never, Authenticating, Suspended, Expired, Closed]),
        (Suspended, &[Handshaking, Expired, Closed]),
        (Expired, &[Handshaking, Closed]),
    ]
};

/// How often each transition was taken in all sequences.
static TAKEN: Mutex<BTreeMap<(At, At), u64>> = Mutex::new(BTreeMap::new());

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        let renews = prop_oneof![3 => Just(true), 1 => Just(false)];
        (renews, prop::bool::weighted(0.7), 0usize..3)
            .prop_map(|(renews, read_only, credentials)| Model::new(renews, read_only, credentials))
            .boxed()
    }

    fn transitions(model: &Model) -> BoxedStrategy<Step> {
        let timeout = prop_oneof![Just(6000u64), Just(9000)];
        // A watch that outlives a connection without a session is rare otherwise.
        let without_session = model.session.is_none() && model.may_read_only;
        let read_only = match (without_session, model.may_read_only) {
            (true, _) if model.watch || model.at() == At::Handshaking => 80,
            (_, true) => 8,
            (_, false) => 1,
        };
        let watches = if without_session { 400 } else { 80 };
        let cuts = match model.at() {
            At::Rearming | At::ReadOnly if without_session && model.watch => 300,
            _ => 8,
        };
        let granted = prop_oneof![
            10 => Just(Grant::Served { read_only: false }),
            read_only => Just(Grant::Served { read_only: true }),
            2 => Just(Grant::Expired),
            1 => Just(Grant::Replaced),
        ];
        // The ends, and what is seldom possible, where they would be rare.
        let (ends, auths) = match model.at() {
            At::Rearming => (20, 40),
            At::Expired => (8, 3),
            At::Never | At::ReadOnly | At::Suspended => (3, 10),
            _ => (1, 3),
        };
        let closing = model.at() == At::Rearming && model.closing.is_some();
        let long = if closing { 40 } else { 4 };
        let always = [
            (40, Step::Begin),
            (80, Step::AcceptAuth),
            (1, Step::RefuseAuth),
            (20, Step::Answer),
            (4, Step::Refuse),
            (6, Step::Pong),
            (4, Step::Notify),
            (cuts, Step::Cut),
            (8, Step::Get),
            (watches, Step::Watch),
            (auths, Step::AddAuth),
            (ends, Step::Close),
        ];
        let mut possible = vec![
            (12, (1u64..1500).prop_map(Step::Pass).boxed()),
            (long, (1500u64..9000).prop_map(Step::Pass).boxed()),
        ];
        if Self::preconditions(model, &Step::Grant(Grant::Expired, 0)) {
            let grants =
                (granted, timeout).prop_map(|(grant, timeout)| Step::Grant(grant, timeout));
            possible.push((40, grants.boxed()));
        }
        for (weight, step) in always {
            if Self::preconditions(model, &step) {
                possible.push((weight, Just(step).boxed()));
            }
        }
        Union::new_weighted(possible).boxed()
    }

    fn preconditions(model: &Model, step: &Step) -> bool {
        let link = model.link.as_ref();
        let open = link.filter(|link| link.open);
        match step {
            Step::Begin => link.is_none() && !model.over,
            Step::Grant(..) => link.is_some() && open.is_none(),
            Step::AcceptAuth | Step::RefuseAuth => open.is_some_and(|l| l.auths > 0),
            Step::Answer | Step::Refuse => open.is_some_and(|l| !l.queue.is_empty()),
            Step::Pong | Step::Notify => open.is_some(),
            Step::Cut => link.is_some(),
            Step::Watch => {
                let quiet = open.is_some_and(|l| l.queue.is_empty() && l.auths == 0);
                quiet && !model.watch && model.closing.is_none()
            }
            Step::AddAuth => model.credentials < 4,
            Step::Get => model.parked < 20,
            Step::Pass(_) | Step::Close => true,
        }
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        model.step(step);
        model
    }
}

/// The core, and a server that says what the steps want.
struct Real {
    core: Core,
    start: Instant,
    now: Instant,
    frames: FrameReader,
    written: u64,
    /// Whether the next frame out is a handshake.
    handshake: bool,
    /// Of the requests in flight.
    xids: VecDeque<i32>,
    out: Vec<Sent>,
    reader: ReaderId,
    slow_reader: ReaderId,
    /// All states reported so far.
    reported: Vec<Reported>,
    auths: usize,
}

impl Real {
    fn ms(&self, at: Instant) -> u64 {
        u64::try_from((at - self.start).as_millis()).unwrap()
    }

    fn reported(&self, state: State) -> Reported {
        match state {
            State::Connecting => Reported::Connecting,
            State::Connected { session, epoch } => Reported::Connected {
                session: session.0,
                epoch,
            },
            State::ConnectedReadOnly { epoch } => Reported::ReadOnly { epoch },
            State::Suspended { until } => Reported::Suspended {
                until: self.ms(until),
            },
            State::Expired { epoch } => Reported::Expired { epoch },
            State::AuthFailed => Reported::AuthFailed,
            State::Closed => Reported::Closed,
        }
    }

    fn read(&mut self, reader: ReaderId) -> Vec<Reported> {
        let mut reported = Vec::new();
        while let Some(state) = self.core.poll_state(reader, Waker::noop()) {
            reported.push(self.reported(state));
        }
        reported
    }

    /// What the core has to say reaches the server at once.
    fn flush(&mut self) {
        let mut out = BytesMut::new();
        self.core.poll_output(&mut out);
        self.written += out.len() as u64;
        while !out.is_empty() {
            let len = usize::try_from(out.get_i32()).unwrap();
            let frame = out.split_to(len).freeze();
            self.out.push(if std::mem::take(&mut self.handshake) {
                let request: ConnectRequest = decode_frame(&frame, 0).unwrap();
                Sent::Connect {
                    session: request.session_id.0,
                }
            } else {
                let header: RequestHeader = decode_frame(&frame, 0).unwrap();
                if header.xid > 0 {
                    self.xids.push_back(header.xid);
                }
                match OpCode::from_i32(header.op).unwrap() {
                    OpCode::Auth => Sent::Auth,
                    OpCode::SetWatches2 => Sent::Rearm,
                    OpCode::AddWatch => Sent::Watch,
                    OpCode::GetData => Sent::Get,
                    OpCode::Ping => Sent::Ping,
                    OpCode::CloseSession => Sent::Close,
                    other => panic!("{other:?} was sent"),
                }
            });
        }
    }

    fn say(&mut self, record: &dyn Encode) {
        let mut frame = BytesMut::zeroed(4);
        record.encode(&mut frame);
        let len = u32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&len.to_be_bytes());
        self.frames.extend(&frame);
        if let Err(reason) = self.core.handle_input(self.now, &mut self.frames) {
            self.cut(&reason);
        }
    }

    fn reply(&mut self, xid: i32, err: i32) {
        let zxid = Zxid(1);
        self.say(&ReplyHeader { xid, zxid, err });
    }

    fn cut(&mut self, reason: &Disconnect) {
        self.core.disconnected(self.now, reason, self.written, &[]);
    }

    /// What the driver and the pump do.
    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let link = self.core.poll_link_timeout();
            let due = [self.core.poll_timeout(), link].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= end && !self.core.is_over()) else {
                break;
            };
            self.now = self.now.max(due);
            self.core.handle_timeout(self.now);
            if link.is_some()
                && let Err(reason) = self.core.handle_link_timeout(self.now)
            {
                self.cut(&reason);
            }
            self.flush();
        }
        self.now = end;
        self.core.handle_timeout(end);
    }

    fn grant(&mut self, grant: Grant, timeout: u64, session: i64) {
        let (timeout_ms, session) = match grant {
            Grant::Expired => (0, 0),
            _ => (i32::try_from(timeout).unwrap(), session),
        };
        self.say(&ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session_id: SessionId(session),
            password: SessionPassword::zero(),
            read_only: grant == Grant::Served { read_only: true },
        });
    }

    fn refused(&mut self, failure: Option<Failure>, expected: Option<Reported>) {
        let got = failure.map(|failure| match failure {
            Failure::AuthFailed(_, Outcome::NotSent) => Reported::AuthFailed,
            Failure::Closed(Outcome::NotSent) => Reported::Closed,
            Failure::SessionExpired(Outcome::NotSent) => self.reported(self.core.state()),
            other => panic!("refused with {other:?}"),
        });
        assert_eq!(got, expected);
    }

    fn take(&mut self, step: &Step, model: &Model) {
        match *step {
            Step::Begin => {
                self.frames = FrameReader::new(1 << 20);
                (self.written, self.handshake) = (0, true);
                self.xids.clear();
                let budget = Duration::from_millis(BUDGET);
                assert!(self.core.begin(self.now, budget));
            }
            Step::Grant(grant, timeout) => {
                // What is not granted has any id; what is refused has one, too.
                let id = model.session.as_ref().map_or(4711, |session| session.id);
                self.grant(grant, timeout, id);
            }
            Step::AcceptAuth => self.reply(xid::AUTH, 0),
            Step::RefuseAuth => self.reply(xid::AUTH, -115),
            Step::Answer | Step::Refuse => {
                let xid = self.xids.pop_front().unwrap();
                let refused = matches!(step, Step::Refuse);
                self.reply(xid, if refused { -4 } else { 0 });
            }
            Step::Pong => self.reply(xid::PING, 0),
            Step::Notify => {
                let mut event = BytesMut::new();
                let (xid, zxid, err) = (xid::NOTIFICATION, Zxid(-1), 0);
                ReplyHeader { xid, zxid, err }.encode(&mut event);
                let (kind, state) = (EventType::NodeCreated, KeeperState::SyncConnected);
                let path = "/elsewhere";
                WatcherEvent { kind, state, path }.encode(&mut event);
                self.say(&Raw(event));
            }
            Step::Cut => self.cut(&Disconnect::ClosedByServer),
            Step::Pass(ms) => self.pass(ms),
            Step::Get => {
                let failure = self.ask(OpCode::GetData, None).err();
                self.refused(failure, model.refusal());
            }
            Step::Watch => {
                self.ask(OpCode::AddWatch, Some(WatchKind::Persistent))
                    .unwrap();
                self.flush();
                let xid = self.xids.pop_front().unwrap();
                let mut reply = BytesMut::new();
                let (zxid, err) = (Zxid(1), 0);
                ReplyHeader { xid, zxid, err }.encode(&mut reply);
                ErrorResponse { err: 0 }.encode(&mut reply);
                self.say(&Raw(reply));
            }
            Step::AddAuth => {
                self.auths += 1;
                let secret = format!("added:{}", self.auths).into_bytes();
                let added = self.core.add_credential("digest".into(), secret, None);
                self.refused(added.err(), model.refusal());
            }
            Step::Close => self.core.close(self.now),
        }
        self.flush();
    }

    fn ask(&mut self, op: OpCode, watch: Option<WatchKind>) -> Result<SlotKey, Failure> {
        let request = Request {
            op,
            needs: OpSet::of(op),
            path: "/a",
            record: &Raw(BytesMut::zeroed(9)),
            replay: Replay::Always,
            watch: watch.map(|kind| WatchIntent {
                kind,
                path: "/a".into(),
                overridden: false,
            }),
            deadline: None,
            cleanup: false,
            only_in: None,
            room: None,
        };
        self.core
            .submit(self.now, &request)
            .map_err(|failure| *failure)
    }

    fn compare(&mut self, model: &Model) {
        assert_eq!(self.out, model.out, "written");
        let reported = self.read(self.reader);
        assert_eq!(reported, model.reported, "reported");
        assert_eq!(self.reported(self.core.state()), model.state);
        self.reported.extend(reported);
        assert_eq!(self.core.is_over(), model.over);
        if model.over {
            assert!(!self.core.begin(self.now, Duration::from_secs(1)), "M3");
            return;
        }
        let session = &self.core.session;
        assert_eq!(session.exists(), model.session.is_some());
        if let Some(expected) = &model.session {
            assert_eq!(self.ms(session.expires_at()), expected.expires());
            assert_eq!(self.ms(session.lease_until()), expected.lease());
        }
        let due = [self.core.poll_timeout(), self.core.poll_link_timeout()];
        let due = due.into_iter().flatten().min();
        assert_eq!(due.map(|due| self.ms(due)), model.due());
    }
}

/// Bytes as they are.
struct Raw(BytesMut);

impl Encode for Raw {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }
}

impl StateMachineTest for Real {
    type SystemUnderTest = Real;
    type Reference = Model;

    fn init_test(model: &Model) -> Real {
        let policy = if model.renews {
            SessionPolicy::Renew
        } else {
            SessionPolicy::Close
        };
        let limits = Limits {
            outstanding: 10_000,
            request_bytes: 1024,
            outstanding_bytes: usize::MAX,
            mailbox: crate::session::watches::MailboxLimits {
                events: 4,
                bytes: 1024,
            },
            close_timeout: Duration::from_millis(CLOSE_TIMEOUT),
        };
        let start = Instant::now();
        let mut core = Core::new(start, TIMEOUT, policy, model.may_read_only, limits);
        for n in 0..model.credentials {
            core.preset_credential("digest".into(), format!("preset:{n}").into_bytes());
        }
        let readers = [(); 2].map(|()| core.add_reader());
        let mut real = Real {
            core,
            start,
            now: start,
            frames: FrameReader::new(1 << 20),
            written: 0,
            handshake: false,
            xids: VecDeque::new(),
            out: Vec::new(),
            reader: readers[0],
            slow_reader: readers[1],
            reported: Vec::new(),
            auths: 0,
        };
        assert_eq!(real.read(real.reader), [Reported::Connecting]);
        real
    }

    fn apply(mut real: Real, model: &Model, step: Step) -> Real {
        real.out.clear();
        real.take(&step, model);
        real.compare(model);
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        for (from, to) in &model.edges {
            let ways = EDGES.iter().find(|(at, _)| at == from).map(|(_, to)| *to);
            let legal = ways.is_some_and(|ways| ways.contains(to));
            assert!(legal, "from {from:?} to {to:?}");
            *taken.entry((*from, *to)).or_default() += 1;
        }
        real
    }

    fn teardown(mut real: Real, model: Model) {
        // M4, CURATOR-72: the loss of a session that was never reported is not reported.
        let first = real.reported.first();
        assert!(
            first.is_none_or(|reported| reported.is_connected() || model.over),
            "the first of {:?}",
            real.reported
        );
        // M5: a late reader gets every expiry that fits, and the last state.
        let read = real.read(real.slow_reader);
        let expiries = |reported: &[Reported]| {
            let expired = reported
                .iter()
                .filter(|reported| matches!(reported, Reported::Expired { .. }));
            expired.copied().collect::<Vec<_>>()
        };
        assert!(read.len() <= UNREAD);
        assert_eq!(read.last(), Some(&model.state));
        if expiries(&real.reported).len() < UNREAD {
            assert_eq!(expiries(&read), expiries(&real.reported));
        }
        let mut all = [Reported::Connecting].iter().chain(&real.reported);
        assert!(
            read.iter()
                .all(|reported| all.any(|other| other == reported)),
            "{read:?} is not in the order of {:?}",
            real.reported
        );
    }
}

#[test]
fn the_session_machine_equals_its_model() {
    let cases = std::env::var("ZK_MODEL_CASES").ok();
    let cases = cases.map_or(CASES, |cases| cases.parse().expect("a number"));
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 10_000,
        ..Config::default()
    };
    let mut rare = Vec::new();
    for _ in 0..ROUNDS {
        let strategy = Model::sequential_strategy(50..250);
        let mut runner = TestRunner::new(config.clone());
        let result = runner.run(&strategy, |(model, steps, seen)| {
            Real::test_sequential(config.clone(), model, steps, seen);
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{failure}");
        }
        rare = seldom_gone();
        if rare.is_empty() || cases < CASES {
            return;
        }
    }
    // M2: a run that did not go every way proves nothing of those it did not go.
    panic!("void: {rare:?}");
}

/// The transitions that were taken too seldom, and how often.
fn seldom_gone() -> Vec<((At, At), u64)> {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    EDGES
        .iter()
        .flat_map(|(from, ways)| ways.iter().map(|to| (*from, *to)))
        .map(|edge| (edge, taken.get(&edge).copied().unwrap_or(0)))
        .filter(|(edge, times)| *times < if *edge == RARE.0 { RARE.1 } else { LEAST })
        .collect()
}
