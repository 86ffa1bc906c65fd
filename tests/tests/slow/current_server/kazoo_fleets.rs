//! kazoo beside this client under the same locks and in the same elections.

use zk_recipes::Layout;

use crate::mixed_fleets::foreigner::kazoo;
use crate::mixed_fleets::{Kind, contend};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_lock_with_kazoos_names() {
    contend(Kind::Lock, Layout::Kazoo, |hosts, name, sections| {
        kazoo(hosts, "lock", name, sections, &[])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_lock_with_our_names() {
    contend(Kind::Lock, Layout::Default, |hosts, name, sections| {
        kazoo(hosts, "lock", name, sections, &["-lock-"])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_rw_lock_with_kazoos_names() {
    contend(Kind::ReadWrite, Layout::Kazoo, |hosts, name, sections| {
        kazoo(hosts, "rw", name, sections, &[])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_rw_lock_with_our_names() {
    contend(Kind::ReadWrite, Layout::Default, |hosts, name, sections| {
        kazoo(hosts, "rw", name, sections, &["__WRIT__", "__READ__"])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_semaphore() {
    contend(Kind::Semaphore, Layout::Kazoo, |hosts, name, sections| {
        kazoo(hosts, "semaphore", name, sections, &[])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_election() {
    contend(Kind::Election, Layout::Kazoo, |hosts, name, sections| {
        kazoo(hosts, "election", name, sections, &[])
    })
    .await;
}
