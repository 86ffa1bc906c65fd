//! Leases on a paused clock. The server is the bytes that it would send.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tokio::runtime::Handle;
use tokio::time::advance;
use zk_proto::records::{ConnectResponse, SetDataRequest};
use zk_proto::{Encode, OpCode, ReplyHeader, SessionPassword, Zxid, xid};
use zk_transport::{Disconnect, FrameReader};

use super::*;
use crate::session::identity::SessionPolicy;
use crate::session::watches::MailboxLimits;
use crate::session::{Limits, Request};

const TIMEOUT: Duration = Duration::from_secs(12);
/// What a lease is, from the submission of what was answered.
const LEASE: Duration = Duration::from_secs(11);
const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

struct World {
    shared: Arc<Shared>,
    /// For how many seconds the machine was suspended.
    suspended: Arc<AtomicU64>,
    frames: FrameReader,
    sessions: i64,
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            outstanding: 8,
            request_bytes: 1024,
            outstanding_bytes: usize::MAX,
            mailbox: MailboxLimits {
                events: 8,
                bytes: 1024,
            },
            close_timeout: SECOND,
        };
        let core = Core::new(now(), TIMEOUT, SessionPolicy::Renew, false, limits);
        let suspended = Arc::new(AtomicU64::new(0));
        let clock = suspended.clone();
        let suspended_time = Arc::new(move || Duration::from_secs(clock.load(Ordering::Relaxed)));
        World {
            shared: Arc::new(Shared::new(core, Handle::current(), suspended_time, None)),
            suspended,
            frames: FrameReader::new(1024),
            sessions: 0,
        }
    }

    fn connected() -> Self {
        let mut world = World::new();
        world.connect();
        world
    }

    /// Connects to a server that creates a session.
    fn connect(&mut self) {
        self.frames = FrameReader::new(1024);
        assert!(self.shared.with(|core| core.begin(now(), SECOND)));
        self.sessions += 1;
        self.receive(&ConnectResponse {
            protocol_version: 0,
            timeout_ms: 12_000,
            session_id: SessionId(self.sessions),
            password: SessionPassword::zero(),
            read_only: false,
        });
    }

    /// The session ends for the client, which has no server for a while.
    fn expire(&mut self) {
        self.shared.with(|core| {
            core.disconnected(now(), &Disconnect::ClosedByServer, 0, &[]);
            core.handle_timeout(core.session.expires_at());
        });
    }

    /// The client's output has arrived, and this is the server's answer to it.
    fn receive(&mut self, message: &dyn Encode) {
        let mut out = BytesMut::new();
        self.shared.with(|core| core.poll_output(&mut out));
        let mut body = BytesMut::new();
        message.encode(&mut body);
        let length = u32::try_from(body.len()).unwrap();
        self.frames.extend(&length.to_be_bytes());
        self.frames.extend(&body);
        let handled = (self.shared).with(|core| core.handle_input(now(), &mut self.frames));
        handled.unwrap();
    }

    /// The server answers a ping that is sent now.
    fn ping(&mut self) {
        (self.shared)
            .with(|core| core.handle_link_timeout(now()))
            .unwrap();
        self.receive(&ReplyHeader {
            xid: xid::PING,
            zxid: Zxid(1),
            err: 0,
        });
    }

    fn write(&self) {
        let record = SetDataRequest {
            path: "/a".into(),
            data: None,
            version: -1,
        };
        let request = Request::once(OpCode::SetData, "/a", &record);
        self.shared
            .with(|core| core.submit(now(), &request))
            .unwrap();
    }

    /// The leader answers the first write: the znode does not exist.
    fn refuse_write(&mut self) {
        self.receive(&ReplyHeader {
            xid: 1,
            zxid: Zxid(2),
            err: -101,
        });
    }

    fn lease(&self) -> Lease {
        Lease::new(self.shared.clone())
    }

    fn leases(&self) -> [Lease; 2] {
        [self.lease(), self.lease().by_quorum()]
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_before_the_session_can() {
    let start = now();
    let world = World::connected();
    advance(LEASE - MOMENT).await;
    for lease in world.leases() {
        assert_eq!((lease.session(), lease.epoch()), (SessionId(1), 1));
        assert_eq!(lease.deadline(), Some(start + LEASE));
        assert_eq!(lease.check(), Ok(()));
    }
    advance(MOMENT).await;
    for lease in world.leases() {
        assert_eq!(lease.deadline(), Some(start + LEASE));
        assert_eq!(lease.check(), Err(LeaseLost::OutOfContact));
    }
}

/// A ping is no answer of a quorum; a write is, and proves the ping.
#[tokio::test(start_paused = true)]
async fn each_lease_has_its_own_basis() {
    let start = now();
    let mut world = World::connected();
    let [any, quorum] = world.leases();
    advance(SECOND).await;
    world.ping();
    assert_eq!(any.deadline(), Some(start + SECOND + LEASE));
    assert_eq!(quorum.deadline(), Some(start + LEASE));
    advance(SECOND * 4).await;
    world.write();
    world.refuse_write();
    assert_eq!(any.deadline(), Some(start + SECOND * 5 + LEASE));
    assert_eq!(quorum.deadline(), Some(start + SECOND + LEASE));
}

#[tokio::test(start_paused = true)]
async fn no_lease_outlives_its_session() {
    // Before the first session.
    let world = World::new();
    for lease in world.leases() {
        assert_eq!((lease.session(), lease.epoch()), (SessionId::NONE, 0));
        assert_eq!(lease.check(), Err(LeaseLost::SessionEnded));
    }
    // Between two sessions, and in the second.
    let mut world = World::connected();
    let leases = world.leases();
    world.expire();
    for lease in leases.iter().chain(&world.leases()) {
        assert_eq!(lease.check(), Err(LeaseLost::SessionEnded));
    }
    world.connect();
    for (before, after) in leases.iter().zip(world.leases()) {
        assert_eq!(before.deadline(), None);
        assert_eq!(before.check(), Err(LeaseLost::SessionEnded));
        assert_eq!((after.session(), after.epoch()), (SessionId(2), 2));
        assert_eq!(after.check(), Ok(()));
    }
    // From the moment when it is being closed.
    let leases = world.leases();
    world.shared.with(|core| core.close(now()));
    for lease in leases {
        assert_eq!(lease.check(), Err(LeaseLost::SessionEnded));
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspension_shortens_a_lease() {
    let start = now();
    let world = World::connected();
    world.suspended.store(5, Ordering::Relaxed);
    for lease in world.leases() {
        assert_eq!(lease.deadline(), Some(start + LEASE - SECOND * 5));
    }
    world.suspended.store(11, Ordering::Relaxed);
    for lease in world.leases() {
        assert_eq!(lease.check(), Err(LeaseLost::OutOfContact));
    }
}

#[tokio::test(start_paused = true)]
async fn one_caller_renews_at_a_time() {
    let start = now();
    let mut world = World::connected();
    let [one, other] = world.leases();
    assert_eq!(one.renewal_due(), start + TIMEOUT / 6);
    advance(TIMEOUT / 6 - MOMENT).await;
    assert!(!one.claim_renewal());
    advance(MOMENT).await;
    assert!(one.claim_renewal() && !other.claim_renewal());
    assert_eq!(one.renewal_due(), now() + TIMEOUT / 8);
    one.return_renewal();
    assert_eq!(one.renewal_due(), now());
    assert!(other.claim_renewal() && !one.claim_renewal());
    // One of an earlier session claims nothing, and returns nothing, of the next.
    world.expire();
    world.connect();
    advance(TIMEOUT / 6).await;
    let next = world.lease();
    assert!(!one.claim_renewal());
    assert!(next.claim_renewal());
    one.return_renewal();
    assert!(!next.claim_renewal());
}

#[tokio::test(start_paused = true)]
async fn a_server_is_left_when_a_write_is_overdue() {
    let start = now();
    let mut world = World::connected();
    let lease = world.lease();
    assert_eq!(lease.leave_overdue_server(), None);
    world.write();
    let due = start + LEASE - TIMEOUT / 4;
    assert_eq!(lease.leave_overdue_server(), Some(due));
    let soonest = TIMEOUT / 24;
    advance(LEASE - TIMEOUT / 4 - MOMENT).await;
    let again = lease.leave_overdue_server();
    assert_eq!(again, Some(now() + soonest));
    let left = |world: &World| {
        let due = world.shared.with(|core| core.poll_link_timeout());
        due.unwrap() == start
    };
    assert!(!left(&world));
    advance(MOMENT).await;
    assert_eq!(lease.leave_overdue_server(), Some(now() + soonest));
    assert!(left(&world));
    // The next session's server has its own time.
    world.expire();
    world.connect();
    assert_eq!(lease.leave_overdue_server(), None);
}

/// It waits for as long as servers answer, and no longer.
#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_reported_at_its_end() {
    let start = now();
    let mut world = World::connected();
    let lease = world.lease();
    {
        let mut lost = pin!(lease.lost());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(lost.as_mut().poll(&mut cx).is_pending());
        advance(SECOND).await;
        world.ping();
        assert_eq!(lost.await, LeaseLost::OutOfContact);
    }
    // The timer of tokio has a grain of a millisecond.
    let late = now() - (start + SECOND + LEASE);
    assert!(late <= MOMENT, "{late:?} late");
    assert_eq!(lease.lost().await, LeaseLost::OutOfContact);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_wakes_its_leases() {
    for by_quorum in [false, true] {
        let world = World::connected();
        let [any, quorum] = world.leases();
        let lease = if by_quorum { quorum } else { any };
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut lost = Box::pin(lease.lost());
        assert!(lost.as_mut().poll(&mut cx).is_pending());
        // Another change of the state is no end.
        world.shared.with(|core| {
            core.disconnected(now(), &Disconnect::ClosedByServer, 0, &[]);
        });
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(lost.as_mut().poll(&mut cx).is_pending());
        world
            .shared
            .with(|core| core.handle_timeout(core.session.expires_at()));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
        let ended = lost.as_mut().poll(&mut cx);
        assert_eq!(ended, Poll::Ready(LeaseLost::SessionEnded));
    }
}

/// The core forgets the waker, and with it the task.
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_leaves_nothing() {
    let world = World::connected();
    let lease = world.lease();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut lost = Box::pin(lease.lost());
    let polled = lost.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop((lost, waker));
    assert_eq!(Arc::strong_count(&wakes), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_shows_its_session_and_its_end() {
    let lease = World::connected().lease();
    let shown = format!("{lease:?}");
    let deadline = format!("deadline: {:?}", lease.deadline());
    assert!(shown.starts_with("Lease { epoch: 1, "), "{shown}");
    assert!(shown.contains(&deadline), "{shown}");
}
