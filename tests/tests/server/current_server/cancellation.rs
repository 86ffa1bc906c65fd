//! Futures and guards dropped at every point: nothing is left behind, here or on the server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::collections::HashSet;
use std::time::Duration;

use crate::common::{beside, client, shared_server, soon, until};
use zk_client::{Client, ErrorKind};
use zk_recipes::{Election, Lock, LockGuard};

/// The paths on which the shared server holds watches.
fn watched() -> HashSet<String> {
    let reply = shared_server().four_letter("wchp").unwrap();
    reply
        .lines()
        .filter(|line| line.starts_with('/'))
        .map(str::to_owned)
        .collect()
}

async fn line(zk: &Client, path: &str) -> usize {
    zk.sync("/").await.unwrap();
    match zk.children(path).await {
        Ok(names) => names.len(),
        // Containers go when they are empty.
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoNode, "{error}");
            0
        }
    }
}

/// Waits until as many contenders are in the line at `/lock`, and its znodes have no watches but
/// theirs.
async fn only(zk: &Client, expected: usize) {
    let what = format!("{expected} stand in the line");
    until(&what, || async { line(zk, "/lock").await == expected }).await;
    let lock = zk.root().join("/lock");
    until("no watch is left", || async {
        let watches = watched()
            .iter()
            .filter(|path| path.starts_with(&lock))
            .count();
        let here = zk.statistics();
        (watches, here.watches, here.subscribers, here.outstanding) == (0, 0, 0, 0)
    })
    .await;
}

/// Whatever the acquisition was waiting for.
/// Guards: B95, A64.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acquire_dropped_any_time_leaves_nothing() {
    let zk = client().await;
    let holder = beside(&zk, &shared_server().connect_string()).await;
    let held = Lock::new(&holder, "/lock").acquire().await.unwrap();
    let lock = Lock::new(&zk, "/lock");
    let (mut time_limit, mut waited) = (Duration::ZERO, 0);
    while waited < 10 {
        let acquired = tokio::time::timeout(time_limit, lock.acquire()).await;
        assert!(acquired.is_err(), "another client holds it");
        // In the end every one of them gets as far as to the wait for the holder.
        waited += usize::from(time_limit > Duration::from_millis(20));
        time_limit += time_limit / 20 + Duration::from_micros(37);
    }
    only(&zk, 1).await;
    held.release().await.unwrap();
    only(&zk, 0).await;

    // The same with an empty line, up to and including the point at which it succeeds.
    let (mut time_limit, mut acquired) = (Duration::ZERO, 0);
    while acquired < 10 {
        if let Ok(guard) = tokio::time::timeout(time_limit, lock.acquire()).await {
            guard.unwrap().release().await.unwrap();
            acquired += 1;
        }
        time_limit += time_limit / 20 + Duration::from_micros(7);
    }
    only(&zk, 0).await;
    soon("the lock", lock.acquire())
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
}

/// Polled a number of times and then dropped: every await point there is, and no clock.
/// Guards: B95.
#[tokio::test]
async fn acquire_dropped_any_await_leaves_nothing() {
    let zk = client().await;
    let lock = Lock::new(&zk, "/lock");
    let mut polls = 1;
    loop {
        let mut acquiring = Box::pin(lock.acquire());
        let mut left = polls;
        let got = std::future::poll_fn(|cx| {
            left -= 1;
            match acquiring.as_mut().poll(cx) {
                std::task::Poll::Ready(got) => std::task::Poll::Ready(Some(got)),
                std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(None),
                std::task::Poll::Pending => std::task::Poll::Pending,
            }
        });
        let got = soon("the polls", got).await;
        drop(acquiring);
        match got {
            None => {}
            Some(guard) if polls > 2 => {
                guard.unwrap().release().await.unwrap();
                break;
            }
            Some(guard) => panic!("after {polls} polls: {guard:?}"),
        }
        polls += 1;
        only(&zk, 0).await;
    }
    only(&zk, 0).await;
}

/// Guards: A64.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_acquire_leaves_nothing() {
    let zk = client().await;
    let holder = beside(&zk, &shared_server().connect_string()).await;
    let held = Lock::new(&holder, "/lock").acquire().await.unwrap();
    let lock = Lock::new(&zk, "/lock");
    for _ in 0..20 {
        assert!(lock.try_acquire().await.unwrap().is_none());
        let timeout = Duration::from_millis(fastrand::u64(0..20));
        assert!(lock.acquire_timeout(timeout).await.unwrap().is_none());
    }
    only(&zk, 1).await;
    held.check().unwrap();
    drop(held);
    only(&zk, 0).await;
}

/// In the middle of a line, where the next contender watches the one that leaves.
/// Guards: A63, B83.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_waiters_do_not_block_others() {
    let zk = client().await;
    let lock = Lock::new(&zk, "/lock");
    let held = lock.acquire().await.unwrap();
    let mut waiters = Vec::new();
    for n in 0..6 {
        let lock = lock.clone();
        waiters.push(tokio::spawn(async move { lock.acquire().await.unwrap() }));
        until("it waits", || async { line(&zk, "/lock").await == n + 2 }).await;
    }
    for n in [1, 4, 2] {
        waiters[n].abort();
    }
    until("three have left", || async {
        line(&zk, "/lock").await == 4
    })
    .await;
    held.release().await.unwrap();
    let mut tokens = Vec::new();
    for (n, waiter) in waiters.into_iter().enumerate() {
        match soon("its turn", waiter).await {
            Ok(guard) => {
                assert!([0, 3, 5].contains(&n));
                tokens.push(guard.token());
                guard.release().await.unwrap();
            }
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
    }
    assert_eq!(tokens.len(), 3);
    assert!(tokens.is_sorted());
    only(&zk, 0).await;
}

#[tokio::test]
async fn guard_dropped_in_a_task_is_released() {
    let zk = client().await;
    let lock = Lock::new(&zk, "/lock");
    for _ in 0..20 {
        let guard = soon("the lock", lock.acquire()).await.unwrap();
        guard.check().unwrap();
        drop(guard);
    }
    // With a watch on its znode, too.
    let guard = soon("the lock", lock.acquire()).await.unwrap();
    let done = guard.run(zk.sync("/").into_future()).await.unwrap();
    done.unwrap();
    let lost = tokio::time::timeout(Duration::from_millis(50), guard.lost()).await;
    assert!(lost.is_err(), "{lost:?}");
    drop(guard);
    only(&zk, 0).await;

    let election = Election::new(&zk, "/lock");
    drop(soon("the term", election.campaign()).await.unwrap());
    only(&zk, 0).await;
}

/// Guards: D13.
#[tokio::test]
async fn guard_dropped_off_runtime_is_released() {
    let zk = client().await;
    let guard: LockGuard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    assert_eq!(line(&zk, "/lock").await, 1);
    std::thread::spawn(move || {
        assert!(tokio::runtime::Handle::try_current().is_err());
        drop(guard);
    })
    .join()
    .unwrap();
    only(&zk, 0).await;

    // A guard may outlive its runtime; then nothing is left that could do the work, nor panics.
    let hosts = shared_server().connect_string();
    let path = zk.root().join("/lock");
    let (guard, own) = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let own = Client::builder(hosts)
                .session_timeout(Duration::from_secs(1))
                .connect()
                .await
                .unwrap();
            (Lock::new(&own, &path).acquire().await.unwrap(), own)
        })
    })
    .join()
    .unwrap();
    assert!(guard.check().is_err(), "its session is not kept alive");
    drop(guard);
    drop(own);
    only(&zk, 0).await;
}

/// At no point does a dropped request confuse the replies of others.
/// Guards: A38.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_requests_keep_others_replies() {
    let zk = client().await;
    zk.create("/lock", "").await.unwrap();
    for n in 0..10 {
        zk.create(&format!("/n{n}"), n.to_string()).await.unwrap();
    }
    for round in 0..200 {
        let mut kept = Vec::new();
        for n in 0..10 {
            let path = format!("/n{n}");
            if fastrand::bool() {
                kept.push((n, zk.get(&path).submit()));
            }
            let dropped = zk.get(&path).watch().submit();
            let time_limit = Duration::from_micros(fastrand::u64(0..200));
            if round % 2 == 0 {
                let _ = tokio::time::timeout(time_limit, dropped).await;
            }
        }
        for (n, read) in kept {
            assert_eq!(soon("a reply", read).await.unwrap().0, n.to_string());
        }
    }
    let root = zk.root().join("/n");
    until("no watch is left", || async {
        zk.sync("/").await.unwrap();
        let here = zk.statistics();
        !watched().iter().any(|path| path.starts_with(&root))
            && (here.watches, here.subscribers, here.outstanding) == (0, 0, 0)
    })
    .await;
}
