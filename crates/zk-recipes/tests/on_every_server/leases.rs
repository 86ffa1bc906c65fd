//! Leases with an end on the clock, with clocks that the tests set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::common::{Memory, at, dropped_after, end_session, memory, soon, start, until};
use zk_client::{Client, ErrorKind};
use zk_embedded::fault::on;
use zk_proto::OpCode;
use zk_recipes::{Error, Layout, Lock, MultiNonBlockingLease, NonBlockingLease};

const PATH: &str = "/lease";
const HOLDER: &str = "/lease/lease_holder";
const DURATION: Duration = Duration::from_secs(10);

/// A wall clock, in milliseconds since 2026-11-30T05:47:50.
#[derive(Debug, Clone, Default)]
struct WallClock(Arc<AtomicU64>);

impl WallClock {
    fn set(&self, milliseconds: u64) {
        self.0.store(milliseconds, Ordering::Relaxed);
    }

    fn now(&self) -> SystemTime {
        let since = Duration::from_millis(self.0.load(Ordering::Relaxed));
        UNIX_EPOCH + Duration::from_secs(1_796_017_670) + since
    }
}

fn lease(zk: &Client, clock: &WallClock, name: &str) -> NonBlockingLease {
    let clock = clock.clone();
    NonBlockingLease::new(zk, PATH, DURATION, name).clock(move || clock.now())
}

/// The contenders for the turn.
fn contenders(memory: &Memory) -> usize {
    let mut names = memory.names(PATH);
    names.retain(|name| name != "lease_holder");
    names.len()
}

#[tokio::test(start_paused = true)]
async fn one_holder_has_a_lease_until_its_end() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let clock = WallClock::default();
    let (ours, theirs) = (lease(&zk, &clock, "us"), lease(&other, &clock, "them"));
    clock.set(900);
    assert_eq!(ours.holder().await.unwrap(), None);
    let first = ours.try_obtain().await.unwrap().unwrap();
    let golden = r#"{"version": 1, "holder": "us", "end": "2026-11-30T05:48:00"}"#;
    let (data, stat) = zk.get(HOLDER).await.unwrap();
    assert_eq!((data, stat.owner()), (golden.into(), None));
    assert_eq!(first.end(), UNIX_EPOCH + Duration::from_secs(1_796_017_680));
    assert_eq!(first.remaining(), Duration::from_millis(9_100));
    assert!(theirs.try_obtain().await.unwrap().is_none());
    let holder = theirs.holder().await.unwrap().unwrap();
    assert_eq!((&*holder.identifier, holder.end), ("us", first.end()));
    assert_eq!(holder.token, first.token());
    // The holder renews it.
    clock.set(9_999);
    let renewed = ours.try_obtain().await.unwrap().unwrap();
    assert!(renewed.token() > first.token() && renewed.end() > first.end());
    clock.set(18_999);
    assert!(renewed.is_held() && theirs.try_obtain().await.unwrap().is_none());
    clock.set(19_000);
    assert!(!renewed.is_held());
    let next = theirs.try_obtain().await.unwrap().unwrap();
    assert!(next.token() > renewed.token());
    assert!(ours.try_obtain().await.unwrap().is_none());
    // What is over cannot be released, what is held can.
    renewed.release().await.unwrap();
    next.release().await.unwrap();
    assert!(ours.try_obtain().await.unwrap().is_some());
    memory.until_names(PATH, 1).await;
}

/// As far as the clocks differ, and no further.
#[tokio::test(start_paused = true)]
async fn leases_overlap_as_far_as_clocks_differ() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let (ours, theirs) = (WallClock::default(), WallClock::default());
    let first = lease(&zk, &ours, "us").try_obtain().await.unwrap().unwrap();
    let ahead = lease(&other, &theirs, "them");
    ours.set(7_000);
    theirs.set(9_999);
    assert!(ahead.try_obtain().await.unwrap().is_none());
    ours.set(7_001);
    theirs.set(10_000);
    assert!(ahead.try_obtain().await.unwrap().is_some());
    assert_eq!(first.remaining(), Duration::from_millis(2_999));
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_prolongs_nothing() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let clock = WallClock::default();
    clock.set(5_000);
    let obtained = lease(&zk, &clock, "us")
        .try_obtain()
        .await
        .unwrap()
        .unwrap();
    clock.set(0);
    assert_eq!(obtained.remaining(), DURATION);
    tokio::time::sleep(DURATION).await;
    assert!(!obtained.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_obtains_the_lease_once() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let clock = WallClock::default();
    let lease = lease(&zk, &clock, "us");
    for _ in 0..3 {
        let before = memory.server.node(&at(HOLDER)).map(|node| node.stat.czxid);
        memory
            .server
            .faults()
            .drop_reply_after_apply(on(OpCode::Multi));
        let obtained = soon("the lease", lease.try_obtain())
            .await
            .unwrap()
            .unwrap();
        let stat = memory.server.node(&at(HOLDER)).unwrap().stat;
        assert_eq!(obtained.token().get(), stat.czxid.0);
        assert_ne!(before, Some(stat.czxid));
        clock.set(clock.0.load(Ordering::Relaxed) + 1_000);
    }
    until("the turn is passed on", || contenders(&memory) == 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_goes_on_in_the_next_session() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let clock = WallClock::default();
    let turn = Lock::new(&other, PATH)
        .layout(Layout::Kazoo)
        .acquire()
        .await
        .unwrap();
    let trying = start({
        let lease = lease(&zk, &clock, "us");
        async move { lease.try_obtain().await.unwrap().unwrap() }
    });
    until("it waits", || contenders(&memory) == 2).await;
    end_session(&memory.server, &zk);
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(turn);
    let obtained = soon("the lease", trying).await.unwrap();
    assert!(obtained.is_held());
    // It belongs to no session.
    end_session(&memory.server, &zk);
    let holder = soon("the holder", lease(&other, &clock, "them").holder())
        .await
        .unwrap();
    assert_eq!(holder.unwrap().identifier, "us");
    assert!(
        lease(&other, &clock, "them")
            .try_obtain()
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_attempt_leaves_no_contender() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let clock = WallClock::default();
    let mut obtained = 0;
    for polls in 1..60 {
        let lease = lease(&zk, &clock, "us");
        obtained += u32::from(dropped_after(polls, lease.try_obtain()).await);
        clock.set(u64::from(polls) * 100_000);
    }
    until("none is left", || contenders(&memory) == 0).await;
    let next = lease(&other, &clock, "them");
    assert!(soon("the next", next.try_obtain()).await.unwrap().is_some());
    assert!(obtained > 0, "the longest have finished");
    assert_eq!(zk.statistics().watches, 0);
}

#[tokio::test(start_paused = true)]
async fn other_contents_are_not_overwritten() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let clock = WallClock::default();
    let lease = lease(&zk, &clock, "us");
    zk.create(HOLDER, "about us").parents().await.unwrap();
    for refused in [
        lease.try_obtain().await.map(drop),
        lease.holder().await.map(drop),
    ] {
        let Err(Error::Undecodable { path, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(path, HOLDER);
    }
    zk.set(HOLDER, r#"{"version": 2}"#).await.unwrap();
    assert!(lease.try_obtain().await.unwrap().is_none());
    assert!(matches!(
        lease.holder().await,
        Err(Error::Undecodable { .. })
    ));
    assert_eq!(zk.get(HOLDER).await.unwrap().0, r#"{"version": 2}"#);
    let late = NonBlockingLease::new(&zk, "/late", Duration::from_secs(1 << 40), "us");
    assert!(matches!(
        late.try_obtain().await,
        Err(Error::Unsupported(_))
    ));
    let root = NonBlockingLease::new(&zk, "late", DURATION, "us")
        .try_obtain()
        .await;
    assert_eq!(root.unwrap_err().kind(), Some(ErrorKind::InvalidPath));
    assert_eq!(contenders(&memory), 0);
}

/// Of several, each holder has one, and renews the one that it has.
#[tokio::test(start_paused = true)]
async fn a_holder_has_one_of_several_leases() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let clock = WallClock::default();
    let leases = |name| {
        let clock = clock.clone();
        let leases = MultiNonBlockingLease::new(&zk, 2, PATH, DURATION, name);
        leases.clock(move || clock.now())
    };
    let a = leases("a").try_obtain().await.unwrap().unwrap();
    let b = leases("b").try_obtain().await.unwrap().unwrap();
    assert_eq!((a.path(), b.path()), ("/lease/0", "/lease/1"));
    assert!(leases("c").try_obtain().await.unwrap().is_none());
    a.release().await.unwrap();
    let again = leases("b").try_obtain().await.unwrap().unwrap();
    assert_eq!(again.path(), "/lease/1");
    assert!(again.token() > b.token());
    assert_eq!(
        leases("c").try_obtain().await.unwrap().unwrap().path(),
        "/lease/0"
    );
    let holders = ["0", "1"].map(|number| memory.names(&format!("{PATH}/{number}")));
    assert_eq!(holders, [["lease_holder"], ["lease_holder"]]);
}
