//! The client of programs without a runtime.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use crate::common::server::{
    assert_unimplemented, server_has_recursive_watches, server_resumes_sessions,
};
use crate::common::{NO_LIMIT, own_server, shared_server, unused_root};
use zk_client::blocking::Client;
use zk_client::{ErrorKind, NodeEventKind, RetryPolicy, State, WatchEvent, WatchMode};
use zk_recipes::Lock;
use zk_tests::Proxy;

fn client_of(hosts: &str, close_timeout: Duration) -> Client {
    let builder = zk_client::Client::builder(hosts)
        .session_timeout(crate::common::LONG_SESSION)
        .connect_timeout(NO_LIMIT)
        .deadline(NO_LIMIT)
        .close_timeout(close_timeout)
        .backoff(crate::common::impatient());
    let zk = Client::connect_with(builder).unwrap();
    let root = unused_root();
    zk.ensure_path(&root).wait().unwrap();
    zk.chroot(&root).unwrap()
}

fn client() -> Client {
    client_of(&shared_server().connect_string(), NO_LIMIT)
}

fn beside(zk: &Client) -> Client {
    let other = Client::connect(shared_server().connect_string()).unwrap();
    other.chroot(zk.root().as_str()).unwrap()
}

#[test]
fn every_operation_can_block() {
    let zk = client();
    let made = zk.create("/a", "0").wait().unwrap();
    assert_eq!(made.path, "/a");
    let (data, stat) = zk.get("/a").wait().unwrap();
    assert_eq!((&data[..], stat), (&b"0"[..], made.stat));
    let policy = RetryPolicy::default();
    zk.set("/a", "1").version(0).wait().unwrap();
    zk.set("/a", "2").version(1).retry(&policy).wait().unwrap();
    let results = zk.multi().check("/a", 2).create("/a/b", "").commit();
    assert_eq!(results.wait().unwrap().len(), 2);
    let multi = zk.multi().check("/a", 2).delete("/a/b").retry(&policy);
    assert_eq!(multi.wait().unwrap().len(), 2);
    let room = zk.wait_for_room().wait().unwrap();
    room.create("/a/b", "").wait().unwrap();
    let below: Vec<_> = zk.iter(zk.descendants("/a").submit()).collect();
    assert_eq!(below.len(), 1);
    assert_eq!(below[0].as_deref().unwrap(), "/a/b");
    zk.create("/x/y/z", "").parents().wait().unwrap();
    let protected = zk.create("/p", "").protected().wait().unwrap();
    assert!(protected.path.starts_with("/_c_"), "{}", protected.path);
    let names = zk.children("/a").wait().unwrap();
    assert_eq!(names.iter().collect::<Vec<_>>(), ["b"]);
    assert!(zk.exists("/none").wait().unwrap().is_none());
    zk.delete("/x").recursive().wait().unwrap();
    let reads: Vec<_> = (0..100).map(|_| zk.get("/a").submit()).collect();
    for read in reads {
        assert_eq!(read.wait().unwrap().0, "2");
    }
    zk.add_auth("digest", "me:pw").wait().unwrap();
    let read = zk.retry(&policy, || zk.get("/a")).unwrap();
    assert_eq!(read.0, "2");
    let (data, _) = zk.update("/a", |old| Some([old, b"3"].concat())).unwrap();
    assert_eq!(data, "23");
    zk.set("/a", "2").wait().unwrap();
    assert_eq!(zk.get("/a").synced().wait().unwrap().0, "2");
    assert_eq!(zk.get("/a").linearizable().wait().unwrap().0, "2");
    assert!(zk.create("/a", "").or_exists().wait().unwrap().is_none());
    let error = zk.get("/none").wait().unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::NoNode, Some("/none"))
    );
    zk.close().unwrap();
}

#[test]
fn several_threads_share_a_client() {
    let zk = client();
    zk.create("/n", "").wait().unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let zk = zk.clone();
            thread::spawn(move || {
                for _ in 0..50 {
                    zk.set("/n", "x").wait().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(zk.get("/n").wait().unwrap().1.version, 200);
}

fn is(event: &WatchEvent, kind: NodeEventKind, path: &str) -> bool {
    matches!(event, WatchEvent::Node(node) if node.kind == kind && node.path == path)
}

#[test]
fn watches_and_states_iterate_with_timeouts() {
    let zk = client();
    let other = beside(&zk);
    zk.create("/a", "").wait().unwrap();
    let (_, _, mut watch) = zk.get("/a").watch().wait().unwrap();
    assert_eq!(zk.wait_timeout(&mut watch, Duration::from_millis(1)), None);
    let recursive = zk.wait(zk.watch("/a", WatchMode::PersistentRecursive));
    if !server_has_recursive_watches() {
        return assert_unimplemented(&recursive.unwrap_err(), "addWatch");
    }
    let mut events = zk.iter(recursive.unwrap());
    assert_eq!(
        events.next_timeout(Duration::from_millis(1)),
        Err(RecvTimeoutError::Timeout)
    );
    other.set("/a", "x").wait().unwrap();
    for n in 0..5 {
        other.create(&format!("/a/{n}"), "").wait().unwrap();
    }
    let event = zk.wait_timeout(&mut watch, NO_LIMIT).unwrap();
    assert!(is(&event, NodeEventKind::DataChanged, "/a"), "{event:?}");
    let event = events.next_timeout(NO_LIMIT).unwrap();
    assert!(is(&event, NodeEventKind::DataChanged, "/a"), "{event:?}");
    for (event, n) in events.by_ref().take(5).zip(0..) {
        let path = format!("/a/{n}");
        assert!(is(&event, NodeEventKind::Created, &path), "{event:?}");
    }
    let mut states = zk.iter(zk.states());
    assert!(states.next().unwrap().is_connected());
    zk.close().unwrap();
    assert_eq!(states.collect::<Vec<_>>(), [State::Closed]);
    assert_eq!(events.next_timeout(NO_LIMIT), Ok(WatchEvent::SessionEnded));
    assert_eq!(
        events.next_timeout(NO_LIMIT),
        Err(RecvTimeoutError::Disconnected)
    );
}

/// Guards: G11.
#[test]
fn blocking_last_drop_ends_the_session() {
    let zk = client();
    let other = beside(&zk);
    zk.create("/e", "").ephemeral().wait().unwrap();
    drop(zk.clone());
    drop(zk.with_deadline(Duration::from_secs(1)));
    let exists = || other.exists("/e").wait().unwrap().is_some();
    assert!(exists());
    // What the asynchronous client is cloned from outlives the blocking one, and can still block.
    let apart = zk.as_async().clone();
    drop(zk);
    apart.get("/e").wait().unwrap();
    assert!(exists());
    let zk = beside(&other);
    zk.create("/f", "").ephemeral().wait().unwrap();
    drop(zk);
    other.sync("/f").wait().unwrap();
    assert!(other.exists("/f").wait().unwrap().is_none());
}

#[test]
fn a_recipe_can_be_waited_for() {
    let zk = client();
    let guard = zk
        .wait(Lock::new(zk.as_async(), "/lock").acquire())
        .unwrap();
    guard.check().unwrap();
    zk.wait(guard.release()).unwrap();
    assert!(zk.children("/lock").wait().unwrap().is_empty());
}

#[test]
fn outage_passes_or_meets_the_deadline() {
    let server = own_server();
    let proxy = Proxy::start(server.address()).unwrap();
    let zk = client_of(&proxy.connect_string(), Duration::from_secs(1));
    zk.create("/a", "").wait().unwrap();
    let session = zk.session();
    let mut states = zk.iter(zk.states());
    proxy.refuse(true).unwrap();
    proxy.cut_all();
    let suspended = |state: State| matches!(state, State::Suspended { .. });
    assert!(states.any(suspended));
    let error = zk.get("/a").deadline(Duration::from_millis(100)).wait();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    let read = zk.get("/a").submit();
    proxy.refuse(false).unwrap();
    read.wait().unwrap();
    assert_eq!(zk.session() == session, server_resumes_sessions());
    // Closing takes no longer than its limit, with no server there.
    server.kill().unwrap();
    assert!(states.any(suspended));
    drop(zk);
}
