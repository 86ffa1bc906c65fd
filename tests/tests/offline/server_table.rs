//! The guide's table of what the client has on which server: each cell is what happens on the embedded
//! server in that pose.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::time::Duration;

use crate::common::memory::Wire;
use zk_client::{Client, ErrorKind, WatchMode};
use zk_embedded::{Pose, Server};
use zk_recipes::{Election, Lock, TreeCache};

const DAY: Duration = Duration::from_secs(86_400);

/// A cell: the operation does what it says.
const YES: &str = "yes";
/// It is refused with an error of its own kind, `Unimplemented`.
const ERROR: &str = "error";

/// The columns.
const COLUMNS: [(&str, &[Pose]); 6] = [
    ("3.4", &[Pose::V3_4]),
    ("3.5", &[Pose::V3_5]),
    ("3.6", &[Pose::V3_6]),
    ("3.8, 3.9", &[Pose::V3_8, Pose::V3_9]),
    ("Keeper 22.8", &[Pose::KeeperOld]),
    ("Keeper 26.1", &[Pose::KeeperNew]),
];

/// The rows.
const ROWS: [&str; 14] = [
    "`create`, with the stat",
    "containers",
    "times to live",
    "transactions",
    "containers and times to live in transactions",
    "one-shot watches",
    "a dropped watch is removed from the server",
    "persistent watches",
    "recursive watches",
    "`TreeCache`, `zkctl watch -r`",
    "`Lock`, `Election`",
    "`multi_read`",
    "`count`, `ephemerals`",
    "the session survives a lost connection",
];

fn cell<T>(result: zk_client::Result<T>) -> &'static str {
    match result {
        Ok(_) => YES,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unimplemented, "{error:?}");
            ERROR
        }
    }
}

/// Does twice what each row names, for the first time may teach the client what the server lacks; what
/// happens then.
async fn column(pose: Pose) -> Vec<&'static str> {
    let builder = Server::builder().in_memory().pose(pose);
    let wire = Wire::to(builder.start().await.unwrap());
    let zk = wire.client().await;
    for round in ["/1", "/2"] {
        zk.create(round, "").await.unwrap();
        let zk = zk.chroot(round).unwrap();
        let cells = cells(&wire, &zk, round).await;
        if round == "/2" {
            assert_eq!(zk.statistics().sessions, 1, "{pose}");
            let session = zk.session().id;
            let lost = zk.statistics().lost_connections;
            wire.server.faults().disconnect(session);
            zk.sync("/").await.unwrap();
            assert!(zk.statistics().lost_connections > lost);
            let survives = zk.session().id == session;
            return [cells, vec![if survives { YES } else { "no" }]].concat();
        }
    }
    unreachable!("there are two rounds")
}

async fn cells(wire: &Wire, zk: &Client, root: &str) -> Vec<&'static str> {
    let node = |path: &str| wire.server.node(&format!("{root}{path}")).unwrap();
    let created = zk.create("/a", "data").await.unwrap();
    assert_eq!(zk.exists("/a").await.unwrap(), Some(created.stat));

    zk.create("/c", "").container().await.unwrap();
    let container = match node("/c").is_container {
        true => YES,
        false => "persistent",
    };
    let ttl = cell(zk.create("/t", "").ttl(DAY).await);

    let plain = zk.multi().create("/m", "").set("/a", "x").delete("/m");
    let transaction = cell(plain.check("/a", 1).commit().await);
    let newer = zk.multi().create_as(zk.create("/mt", "").ttl(DAY));
    let newer = newer.create_as(zk.create("/mc", "").container());
    let newer = cell(newer.commit().await);

    let (_, _, watch) = zk.get("/a").watch().await.unwrap();
    zk.set("/a", "y").await.unwrap();
    assert!(watch.await.node().is_some());
    let before = wire.server.watch_counts();
    drop(zk.get("/a").watch().await.unwrap());
    zk.sync("/").await.unwrap();
    let removed = match wire.server.watch_counts() == before {
        true => YES,
        false => "its event is dropped",
    };
    let persistent = cell(zk.watch("/", WatchMode::Persistent).await);
    let recursive = cell(zk.watch("/", WatchMode::PersistentRecursive).await);

    let cache = TreeCache::builder(zk, "/").start();
    cache.initialized().await.unwrap();
    let lasting = wire.server.watch_counts();
    zk.create("/below", "").await.unwrap();
    let filled = async {
        while cache.snapshot().unwrap().get("/below").is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let filled = tokio::time::timeout(DAY, filled).await;
    filled.expect("the cache sees what is created");
    // A recursive watch is one for the whole tree.
    let tree = match lasting.child <= 1 && recursive == YES {
        true => YES,
        false => "one-shot watches",
    };
    drop(cache);

    let lock = Lock::new(zk, "/lock").acquire().await.unwrap();
    lock.fenced().set("/a", "z").commit().await.unwrap();
    lock.release().await.unwrap();
    let term = Election::new(zk, "/election").campaign().await.unwrap();
    term.check().unwrap();
    drop(term);

    let reads = cell(zk.multi_read().get("/a").await);
    let count = cell(zk.count("/").await);
    assert_eq!(count, cell(zk.ephemerals().await));
    vec![
        YES,
        container,
        ttl,
        transaction,
        newer,
        YES,
        removed,
        persistent,
        recursive,
        tree,
        YES,
        reads,
        count,
    ]
}

/// Guards: P1, P2, P3, P4, P6.
#[tokio::test(start_paused = true)]
async fn the_guide_has_the_server_table() {
    let mut columns = Vec::new();
    for (title, poses) in COLUMNS {
        let mut cells = column(poses[0]).await;
        for pose in &poses[1..] {
            assert_eq!(column(*pose).await, cells, "one column for {poses:?}");
        }
        cells.insert(0, title);
        columns.push(cells);
    }
    let mut table = String::new();
    for (row, title) in [""].iter().chain(&ROWS).enumerate() {
        let cells: Vec<_> = columns.iter().map(|column| column[row]).collect();
        table += &format!("| {title} | {} |\n", cells.join(" | "));
        if row == 0 {
            table += "|---|---|---|---|---|---|---|\n";
        }
    }
    let page = include_str!("../../../crates/zk-recipes/src/guide/servers.md");
    assert!(
        page.contains(&table),
        "the page servers of the guide lacks this table:\n{table}"
    );
}
