//! Many znodes, created, listed and deleted through lost connections. With `--nocapture` it prints what
//! each took; [`PARENTS`] are 100 for the figures in the documentation.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

use std::time::Instant;

use crate::common::{connect, impatient, own_server, soon};
use zk_client::Client;
use zk_tests::{Direction, Proxy};

const PARENTS: usize = 15;
const CHILDREN: usize = 999;
const ZNODES: usize = PARENTS * (CHILDREN + 1);

/// How long it took.
async fn timed<T>(what: &str, work: impl IntoFuture<Output = T>) -> T {
    let started = Instant::now();
    let done = soon(what, work).await;
    eprintln!("{what}: {:.2} s", started.elapsed().as_secs_f64());
    done
}

/// Creates all znodes, no more at a time than the client allows.
async fn create_all(zk: &Client) {
    zk.ensure_path("/tree").await.unwrap();
    let mut replies = Vec::new();
    for parent in 0..PARENTS {
        let parent = format!("/tree/{parent}");
        let children = (0..CHILDREN).map(|child| format!("{parent}/{child}"));
        for path in std::iter::once(parent.clone()).chain(children) {
            let room = zk.wait_for_room().await.unwrap();
            replies.push(tokio::spawn(room.create(&path, "").submit()));
        }
    }
    for reply in replies {
        reply.await.unwrap().unwrap();
    }
}

async fn list(zk: &Client, breadth_first: bool) -> usize {
    let below = zk.descendants("/tree");
    let mut below = match breadth_first {
        true => below.breadth_first().submit(),
        false => below.submit(),
    };
    let mut paths = 0;
    while let Some(path) = below.next().await {
        path.unwrap();
        paths += 1;
    }
    paths
}

/// Guards: P52.
#[tokio::test]
async fn large_trees_survive_lost_connections() {
    let server = own_server();
    let proxy = Proxy::start(server.address()).unwrap();
    let zk = connect(&proxy.connect_string(), |builder| {
        builder.backoff(impatient()).max_outstanding(1_000)
    })
    .await;
    timed("the creations", create_all(&zk)).await;
    assert_eq!(timed("the list", list(&zk, false)).await, ZNODES);
    assert_eq!(
        timed("the list, breadth first", list(&zk, true)).await,
        ZNODES
    );
    let before = proxy.accepted();
    proxy.cut_after(Direction::ToClient, 100_000);
    assert_eq!(
        timed("the list, with a lost connection", list(&zk, false)).await,
        ZNODES
    );
    proxy.cut_after(Direction::ToServer, 100_000);
    let deletion = zk.delete("/tree").recursive().children_only();
    timed("the deletions, with a lost connection", deletion)
        .await
        .unwrap();
    assert_eq!(proxy.accepted() - before, 2, "no connection was lost");
    assert!(zk.children("/tree").await.unwrap().is_empty());
    create_all(&zk).await;
    timed("the deletions", zk.delete("/tree").recursive())
        .await
        .unwrap();
    assert_eq!(zk.exists("/tree").await.unwrap(), None);
    zk.close().await.unwrap();
}
