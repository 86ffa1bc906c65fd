//! The cost of taking up what a crash has left, and the example.

use super::common::{address, crash, has_root, memory, server, soon};
use super::round_trips::{TRIP, cost};
use zk_client::{Client, Guid};
use zk_recipes::{Lock, Semaphore};

#[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
#[path = "../../examples/crash.rs"]
mod crash;

#[tokio::test(start_paused = true)]
async fn a_lock_is_taken_up_in_four_trips() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let id = Guid::random();
    let guard = Lock::new(&zk, "/lock").adopt_by(id).acquire().await;
    let zk = memory.successor(crash(zk)).await;
    drop(guard);
    memory.server.faults().delay_replies(TRIP);
    let lock = Lock::new(&zk, "/lock").adopt_by(id);
    let (guard, requests, trips) = cost(&memory, lock.acquire()).await;
    let guard = guard.unwrap();
    // Sync and children, sync and exists, children, a check of the znode.
    assert_eq!((requests, trips), (6, 4));
    guard.release().await.unwrap();
    let (guard, requests, trips) = cost(&memory, lock.acquire()).await;
    assert_eq!((requests, trips), (2, 1), "without a look");
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_look_for_nothing_is_one_trip() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    for parent in ["/lock", "/lock/locks", "/lock/leases"] {
        zk.ensure_path(parent).await.unwrap();
    }
    memory.server.faults().delay_replies(TRIP);
    let lock = Lock::new(&zk, "/lock").adopt_by(Guid::random());
    let (guard, requests, trips) = cost(&memory, lock.acquire()).await;
    assert_eq!((requests, trips), (4, 2));
    drop(guard);
    let semaphore = Semaphore::new(&zk, "/lock", 1);
    let (lease, requests, trips) = cost(&memory, semaphore.acquire()).await;
    drop(lease);
    let semaphore = semaphore.adopt_by(Guid::random());
    let (lease, more, longer) = cost(&memory, semaphore.acquire()).await;
    drop(lease);
    // A look for leases, and one for places.
    assert_eq!((more - requests, longer - trips), (4, 2));
}

#[tokio::test]
async fn the_crash_example_resumes() {
    let server = server().start().await.unwrap();
    let hosts = address(&server);
    let zk = Client::connect(&*hosts).await.unwrap();
    has_root(&zk).await;
    let file = std::env::temp_dir().join(format!("zk-crash-{}", Guid::random().hex()));
    let run = || crash::work(&hosts, file.to_str().unwrap());
    let (first, guard) = soon("the lock", run()).await.unwrap();
    let (session, token) = (first.session().id, guard.token());
    first.detach().unwrap();
    drop(guard);
    let (second, guard) = soon("the lock", run()).await.unwrap();
    assert_eq!((second.session().id, guard.token()), (session, token));
    guard.release().await.unwrap();
    second.close().await.unwrap();
    assert!(!file.exists());
    let _ = std::fs::remove_file(file.with_extension("lock"));
}
