//! A `TreeCache` equals the tree, whatever becomes of the connection and the session.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::{blocking, soon, unless_starved, until, until_always};
use bytes::Bytes;
use fastrand::Rng;
use zk_client::{Client, ErrorKind, State, Zxid};
use zk_recipes::{CacheEvent, Snapshot, TreeCache};
use zk_tests::Proxy;

const SESSION: Duration = Duration::from_secs(2);

type Contents = BTreeMap<String, (Bytes, Zxid, Zxid)>;

/// The tree as a reader finds it, without writers.
async fn tree(zk: &Client, base: &str) -> Contents {
    zk.sync("/").await.unwrap();
    let mut tree = Contents::new();
    let mut unread = vec![base.to_owned()];
    while let Some(path) = unread.pop() {
        let (data, stat) = match zk.get(&path).await {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::NoNode => continue,
            Err(error) => panic!("{error}"),
        };
        let names = zk.children(&path).await.unwrap();
        unread.extend(names.iter().map(|name| format!("{path}/{name}")));
        tree.insert(path, (data, stat.czxid, stat.mzxid));
    }
    tree
}

fn contents(snapshot: &Snapshot) -> Contents {
    let nodes = snapshot.iter();
    nodes
        .map(|(path, node)| (path, (node.data.clone(), node.stat.czxid, node.stat.mzxid)))
        .collect()
}

/// Changes something at, below, or right beside `/app`.
async fn change(zk: &Client, rng: &mut Rng) {
    let depth = rng.usize(1..4);
    let names: Vec<_> = (0..depth)
        .map(|_| rng.char('a'..='c').to_string())
        .collect();
    let base = if rng.u8(0..10) == 0 { "/apps" } else { "/app" };
    let path = format!("{base}/{}", names.join("/"));
    let data = rng.u32(..).to_string();
    match rng.u8(0..10) {
        0 => drop(zk.delete(&path).recursive().await),
        1 => drop(zk.delete(base).recursive().await),
        2 => {
            // Gone and there again in one transaction, with the same zxid for all of it.
            let again = zk.multi().delete(&path).create(&path, &data);
            drop(again.create(&format!("{path}/x"), &data).commit().await);
        }
        3..6 => drop(zk.set(&path, &data).await),
        _ => {
            drop(zk.ensure_path(&path).await);
            drop(zk.set(&path, &data).await);
        }
    }
}

async fn becomes_even(cache: &TreeCache, admin: &Client, what: &str) {
    let tree = tree(admin, "/app").await;
    until_always(what, || async {
        let snapshot = cache.snapshot().unwrap();
        snapshot.is_complete() && contents(&snapshot) == tree
    })
    .await;
}

async fn equals_the_tree(one_shot: bool, session: Duration) {
    let server = blocking(crate::common::own_server);
    let proxy = Proxy::start(server.address()).unwrap();
    let admin = crate::common::client_of(&server.connect_string()).await;
    let zk = crate::common::builder(proxy.connect_string())
        .session_timeout(session)
        .backoff(crate::common::impatient())
        .connect()
        .await
        .unwrap()
        .chroot(admin.root().as_str())
        .unwrap();
    let mut rng = Rng::with_seed(u64::from(one_shot));
    for _ in 0..40 {
        change(&admin, &mut rng).await;
    }
    let builder = TreeCache::builder(&zk, "/app");
    let cache = if one_shot {
        builder.one_shot_watches().start()
    } else {
        builder.start()
    };
    soon("the tree", cache.initialized()).await.unwrap();
    for round in 0..8 {
        for _ in 0..40 {
            change(&admin, &mut rng).await;
            if rng.u8(0..20) == 0 {
                proxy.cut_all();
            }
        }
        becomes_even(&cache, &admin, &format!("it is even in round {round}")).await;
    }
    let epoch = zk.session().epoch;
    let mut states = zk.states();
    proxy.stall(true);
    let expired = |state: &State| matches!(state, State::Expired { .. });
    crate::common::states_until(&mut states, "the session to expire", expired).await;
    for _ in 0..40 {
        change(&admin, &mut rng).await;
    }
    proxy.stall(false);
    until("there is another session", || async {
        zk.session().epoch > epoch
    })
    .await;
    becomes_even(&cache, &admin, "it is even in the next session").await;
    drop(cache);
    until("the watches are gone", || async {
        zk.statistics().watches == 0
    })
    .await;
}

/// Guards: A41, D1, A74.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_equals_tree_after_reconnects() {
    unless_starved(SESSION, |session| equals_the_tree(false, session)).await;
}

/// Guards: A39, B62.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_equals_tree_with_one_shot_watches() {
    unless_starved(SESSION, |session| equals_the_tree(true, session)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_reports_a_thousand_changes() {
    let zk = crate::common::client().await;
    zk.create("/app", "").await.unwrap();
    let cache = TreeCache::new(&zk, "/app");
    soon("the tree", cache.initialized()).await.unwrap();
    let (_, mut events) = cache.subscribe().unwrap();
    let paths: Vec<_> = (0..1000).map(|n| format!("/app/{n:04}")).collect();
    for path in &paths {
        zk.create(path, path).submit().await.unwrap();
    }
    let mut next = async || soon("an event", events.next()).await.unwrap().unwrap();
    for path in &paths {
        let event = next().await;
        assert!(
            matches!(&event, CacheEvent::Added { path: added, node } if added == path && node.data == *path),
            "{event:?} and not {path}"
        );
    }
    zk.delete("/app").recursive().await.unwrap();
    for _ in 0..=paths.len() {
        let event = next().await;
        assert!(matches!(&event, CacheEvent::Removed { .. }), "{event:?}");
    }
    assert!(cache.snapshot().unwrap().is_empty());
}
