//! A place that had to wait is confirmed by a quorum before the guard is returned. In virtual time.

use std::time::Duration;

use super::common::{Memory, at, memory, now, received, soon, start, until};
use tokio::task::JoinHandle;
use zk_client::{Acl, Client, Permissions, path};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{GuardLost, LeaseBasis, Lock, LockGuard};

const TIMEOUT: Duration = Duration::from_secs(4);

async fn client(memory: &Memory) -> Client {
    memory
        .client(&[0], |options| options.session_timeout(TIMEOUT))
        .await
}

/// A contender that has waited so long that the creation of its znode proves little. The first contender's
/// guard is to be released.
async fn waiting(memory: &Memory, next: Lock) -> (LockGuard, JoinHandle<LockGuard>) {
    let first = Lock::new(&client(memory).await, "/lock")
        .lease_basis(LeaseBasis::Server)
        .acquire()
        .await
        .unwrap();
    let next = start(async move { next.acquire().await.unwrap() });
    until("it waits", || {
        memory.server.watches_on(&at(first.path())).data == 1
    })
    .await;
    tokio::time::sleep(TIMEOUT).await;
    (first, next)
}

fn left(guard: &LockGuard) -> Duration {
    guard.deadline().unwrap() - now()
}

#[tokio::test(start_paused = true)]
async fn a_lost_check_is_sent_again() {
    let memory = memory(1).await;
    let zk = client(&memory).await;
    let (first, next) = waiting(&memory, Lock::new(&zk, "/lock")).await;
    // The second is sent when the connection is open again.
    let close = on(OpCode::Multi).session(zk.session().id);
    memory
        .server
        .faults()
        .rule(close.then(Action::Close).times(2));
    first.release().await.unwrap();
    let place = memory.names("/lock");
    let guard = soon("the lock", next).await.unwrap();
    assert_eq!(memory.server.faults().pending(), 0, "both checks were lost");
    assert_eq!([path::name(guard.path())], *place, "the place was kept");
    assert!(left(&guard) > TIMEOUT * 2 / 5, "{:?}", left(&guard));
}

/// The leader has refused it, and so has decided it.
#[tokio::test(start_paused = true)]
async fn a_refused_check_confirms_as_well() {
    let memory = memory(1).await;
    let unreadable = Acl::new(
        Permissions::ALL,
        "digest",
        zk_client::digest_id("other", "x"),
    );
    let zk = client(&memory).await;
    let lock = Lock::new(&zk.with_acl([unreadable]), "/lock");
    let (first, next) = waiting(&memory, lock).await;
    let close = on(OpCode::Multi).session(zk.session().id);
    memory.server.faults().rule(close.then(Action::Close));
    first.release().await.unwrap();
    let guard = soon("the lock", next).await.unwrap();
    assert!(left(&guard) > TIMEOUT * 2 / 5, "{:?}", left(&guard));
}

#[tokio::test(start_paused = true)]
async fn a_server_lease_is_not_confirmed() {
    let memory = memory(1).await;
    let zk = client(&memory).await;
    let lock = Lock::new(&zk, "/lock").lease_basis(LeaseBasis::Server);
    let (first, next) = waiting(&memory, lock).await;
    let before = received(&memory).await;
    first.release().await.unwrap();
    let guard = soon("the lock", next).await.unwrap();
    guard.check().unwrap();
    let requests = received(&memory).await - before;
    assert_eq!(requests, 2, "delete; children");
}

/// Two fifths of the timeout are never left, so after half of it one fifth is enough.
#[tokio::test(start_paused = true)]
async fn slow_replies_delay_a_guard_by_a_timeout() {
    let memory = memory(1).await;
    let zk = client(&memory).await;
    let (first, next) = waiting(&memory, Lock::new(&zk, "/lock")).await;
    let slow = on(OpCode::Multi).session(zk.session().id);
    let delay = Action::Delay(TIMEOUT / 4);
    memory.server.faults().rule(slow.then(delay).always());
    first.release().await.unwrap();
    let released = now();
    let guard = soon("the lock", next).await.unwrap();
    let took = now() - released;
    assert!(TIMEOUT / 2 < took && took < TIMEOUT * 3 / 2, "{took:?}");
    assert!(left(&guard) > TIMEOUT / 5, "{:?}", left(&guard));
}

/// A reply that takes almost half of the timeout leaves too little of the lease, again and again.
#[tokio::test(start_paused = true)]
async fn replies_that_take_too_long_give_no_guard() {
    let memory = memory(1).await;
    let zk = client(&memory).await;
    let (first, next) = waiting(&memory, Lock::new(&zk, "/lock")).await;
    let slow = on(OpCode::Multi).session(zk.session().id);
    let delay = Action::Delay(TIMEOUT * 45 / 100);
    memory.server.faults().rule(slow.then(delay).always());
    first.release().await.unwrap();
    tokio::time::sleep(TIMEOUT * 10).await;
    assert!(!next.is_finished());
    assert_eq!(memory.names("/lock").len(), 1, "it keeps its place");
    memory.server.faults().clear();
    let guard = soon("the lock", next).await.unwrap();
    guard.check().unwrap();
}

/// Another znode with the name of the guard's is not the guard's.
#[tokio::test(start_paused = true)]
async fn a_replaced_znode_ends_the_guard() {
    let memory = memory(1).await;
    let (zk, other) = (client(&memory).await, client(&memory).await);
    let lock = Lock::new(&zk, "/lock").lease_basis(LeaseBasis::Server);
    let guard = lock.acquire().await.unwrap();
    let replace = other.multi().delete(guard.path()).create(guard.path(), "");
    replace.commit().await.unwrap();
    assert_eq!(soon("the loss", guard.lost()).await, GuardLost::Deleted);
}
