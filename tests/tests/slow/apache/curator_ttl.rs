//! Curator's znodes with a time to live beside ours, on the same paths.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::time::Duration;

use zk_client::{Client, ErrorKind};
use zk_recipes::PersistentTtlNode;
use zk_tests::{ServerOptions, Standalone};

use crate::common::{blocking, connect, soon, until};
use crate::mixed_fleets::foreigner::curator_program;

const TTL: Duration = Duration::from_secs(2);

/// The owner of a znode, in which the servers encode the TTL, and its data.
async fn kind(zk: &Client, path: &str) -> Option<(i64, Vec<u8>)> {
    match zk.get(path).await {
        Ok((data, stat)) => Some((stat.ephemeral_owner, data.to_vec())),
        Err(error) if error.kind() == ErrorKind::NoNode => None,
        Err(error) => panic!("{error}"),
    }
}

async fn owner(zk: &Client, path: &str) -> Option<i64> {
    kind(zk, path).await.map(|(owner, _)| owner)
}

/// A znode that both keep is there until neither does: each touches the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_and_ours_keep_one_ttl_node() {
    let server = blocking(|| {
        let options =
            ServerOptions::default().system_property("znode.container.checkIntervalMs", "100");
        Standalone::start(options).unwrap()
    });
    let hosts = server.connect_string();
    let zk = connect(&hosts, |builder| builder).await;
    let arguments = |paths: [&str; 2]| {
        let mut arguments = vec![format!("{hosts}{}", zk.root()), TTL.as_millis().to_string()];
        arguments.extend(paths.map(str::to_owned));
        arguments
    };
    let mut theirs = curator_program("CuratorTtl.java", &arguments(["/theirs", "/shared"]));
    theirs.receive("ready").await;
    let nodes = ["/ours", "/shared"].map(|path| PersistentTtlNode::new(&zk, path, TTL, "1"));
    for node in &nodes {
        soon("ours", node.wait_created()).await.unwrap();
    }
    until("both have a child", || async {
        owner(&zk, "/ours/touch").await.is_some() && owner(&zk, "/theirs/touch").await.is_some()
    })
    .await;
    assert_eq!(kind(&zk, "/ours").await, kind(&zk, "/theirs").await);
    assert_eq!(owner(&zk, "/ours").await, owner(&zk, "/ours/touch").await);
    assert_eq!(owner(&zk, "/ours").await, owner(&zk, "/theirs/touch").await);

    theirs.send("").await;
    theirs.receive("done").await;
    until("theirs is deleted", || async {
        owner(&zk, "/theirs").await.is_none()
    })
    .await;
    assert!(owner(&zk, "/ours").await.is_some());
    assert!(owner(&zk, "/shared").await.is_some(), "ours keeps it");

    // The other way round: theirs keeps what ours has made.
    let mut theirs = curator_program("CuratorTtl.java", &arguments(["/ours", "/shared"]));
    theirs.receive("ready").await;
    let last = PersistentTtlNode::new(&zk, "/last", TTL, "1");
    soon("the last", last.wait_created()).await.unwrap();
    for node in nodes {
        node.close().await.unwrap();
    }
    last.close().await.unwrap();
    until("the last is deleted", || async {
        owner(&zk, "/last").await.is_none()
    })
    .await;
    for path in ["/ours", "/shared"] {
        assert!(owner(&zk, path).await.is_some(), "theirs keeps {path}");
    }
    theirs.send("").await;
    theirs.receive("done").await;
    for path in ["/ours", "/shared"] {
        until("none keeps it", || async {
            owner(&zk, path).await.is_none()
        })
        .await;
    }
    zk.close().await.unwrap();
}
