//! Curator beside this client under the same locks and in the same elections.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use zk_recipes::{Layout, Lock, revoke};

use crate::common::{shared_server, soon};
use crate::mixed_fleets::foreigner::curator;
use crate::mixed_fleets::{Kind, contend};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_lock() {
    contend(Kind::Lock, Layout::Default, |hosts, name, sections| {
        curator(hosts, "lock", name, sections)
    })
    .await;
}

/// Beside `InterProcessMultiLock`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_multi_lock() {
    contend(Kind::Multi, Layout::Default, |hosts, name, sections| {
        curator(hosts, "multi", name, sections)
    })
    .await;
}

/// With writers of ours that become readers.
/// Guards: B93.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_rw_lock_with_downgrades() {
    contend(Kind::ReadWrite, Layout::Curator, |hosts, name, sections| {
        curator(hosts, "rw", name, sections)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_semaphore() {
    contend(Kind::Semaphore, Layout::Curator, |hosts, name, sections| {
        curator(hosts, "semaphore", name, sections)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_semaphore_with_a_shared_count() {
    contend(Kind::Count, Layout::Default, |hosts, name, sections| {
        curator(hosts, "count", name, sections)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_leader_latch() {
    contend(Kind::Latch, Layout::Curator, |hosts, name, sections| {
        curator(hosts, "latch", name, sections)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_leader_selector() {
    contend(Kind::Election, Layout::Default, |hosts, name, sections| {
        curator(hosts, "selector", name, sections)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_revocation_both_ways() {
    let hosts = shared_server().connect_string();
    let zk = crate::common::client_of(&hosts).await;
    let root = format!("{hosts}{}", zk.root());
    let lock = Lock::new(&zk, "/shared");
    let guard = lock.acquire().await.unwrap();
    let mut asking = curator(&root, "revoke", "them", 1);
    asking.receive("ready").await;
    asking.go();
    soon("a request", guard.revoked()).await.unwrap();
    guard.release().await.unwrap();
    asking.receive("done").await;

    let mut holder = curator(&root, "revocable", "them", 1);
    holder.receive("ready").await;
    holder.go();
    holder.receive("holds").await;
    let held = lock.contenders().await.unwrap().remove(0);
    revoke(&zk, &held.path).await.unwrap();
    holder.receive("done").await;
    drop(soon("the lock", lock.acquire()).await.unwrap());
}
