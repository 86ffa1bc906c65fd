//! Listing all znodes below a znode, with an embedded server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod common;
#[path = "common/trees.rs"]
mod trees;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use common::connect;
use tokio::time::Instant;
use trees::fill;
use zk_client::{Client, DescendantStream, ErrorKind, Permissions, path};
use zk_embedded::Server;
use zk_embedded::fault::{Action, on};
use zk_proto::{Acl, ErrorCode, OpCode};

async fn list(mut below: DescendantStream) -> Vec<String> {
    let mut paths = Vec::new();
    while let Some(path) = below.next().await {
        paths.push(path.unwrap());
    }
    paths
}

#[tokio::test]
async fn descendants_come_after_their_parents() {
    let (_server, zk) = connect().await;
    fill(&zk, 600, 2).await;
    zk.ensure_path("/a/7/1/x/y/z").await.unwrap();
    let paths = list(zk.descendants("/a").submit()).await;
    assert_eq!(paths.len(), 600 * 3 + 3);
    let mut seen = std::collections::HashSet::from(["/a"]);
    for path in &paths {
        assert!(seen.contains(path::parent(path).unwrap()), "{path}");
        assert!(seen.insert(path), "{path} twice");
    }
    let levels = list(zk.descendants("/a").breadth_first().submit()).await;
    assert_eq!(levels.len(), paths.len());
    assert!(levels.is_sorted_by_key(|path| path.matches('/').count()));
    let chroot = zk.chroot("/a/7").unwrap();
    let mut relative = list(chroot.descendants("/").submit()).await;
    relative.sort_unstable();
    assert_eq!(relative, ["/0", "/1", "/1/x", "/1/x/y", "/1/x/y/z"]);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn descendants_end_at_a_depth() {
    let (_server, zk) = connect().await;
    fill(&zk, 5, 2).await;
    for (depth, found, requests) in [(0, 0, 0), (1, 5, 1), (2, 15, 6), (9, 15, 16)] {
        let before = zk.statistics().reads.submitted;
        let paths = list(zk.descendants("/a").max_depth(depth).submit()).await;
        assert_eq!(paths.len(), found, "{depth}");
        // One for each znode that is not at the last level.
        assert_eq!(
            zk.statistics().reads.submitted - before,
            requests,
            "{depth}"
        );
    }
    let mut missing = zk.descendants("/b").submit();
    let error = missing.next().await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::NoNode, Some("/b"))
    );
    assert!(missing.next().await.is_none());
    let bad = zk.descendants("no path").submit().next().await.unwrap();
    assert_eq!(bad.unwrap_err().kind(), ErrorKind::InvalidPath);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn descendants_are_read_through_failures() {
    let (server, zk) = connect().await;
    fill(&zk, 300, 1).await;
    server.faults().script([
        on(OpCode::GetChildren2).after(20).then(Action::Close),
        on(OpCode::GetChildren2).then(Action::DropReply),
        on(OpCode::GetChildren2)
            .after(3)
            .then(Action::Refuse(ErrorCode::ThrottledOp))
            .times(5),
    ]);
    let paths = list(zk.descendants("/a").breadth_first().submit()).await;
    assert_eq!((paths.len(), server.faults().pending()), (600, 0));
    assert!(paths.is_sorted_by_key(|path| path.matches('/').count()));
    assert!(server.faults().expire_session(zk.session().id));
    assert_eq!(list(zk.descendants("/a").submit()).await.len(), 600);
    zk.close().await.unwrap();
}

/// A handle of another session, for so many requests.
async fn small(server: &Server, most: usize) -> Client {
    let builder = Client::builder(server.connect_string()).max_outstanding(most);
    builder.connect().await.unwrap()
}

#[tokio::test]
async fn descendants_leave_room_for_others() {
    let (server, zk) = connect().await;
    fill(&zk, 1000, 1).await;
    for most in [1, 7, 64, 300] {
        let zk = small(&server, most).await;
        let mut below = zk.descendants("/a").submit();
        let mut found = 0;
        while let Some(path) = below.next().await {
            path.unwrap();
            found += 1;
            let outstanding = zk.statistics().outstanding;
            assert!(outstanding <= most.div_ceil(4), "{outstanding} of {most}");
            if most > 1 && found % 10 == 0 {
                zk.exists("/a").await.unwrap();
            }
        }
        assert_eq!(found, 2000, "{most}");
        zk.close().await.unwrap();
    }
    zk.close().await.unwrap();
}

#[tokio::test]
async fn descendants_are_listed_in_little_room() {
    let (server, zk) = connect().await;
    fill(&zk, 1000, 0).await;
    let zk = small(&server, 64).await;
    for held in [63, 60, 50] {
        // Replies that have not been taken are outstanding.
        let held: Vec<_> = (0..held).map(|_| zk.exists("/a").submit()).collect();
        let before = zk.statistics().reads;
        assert_eq!(list(zk.descendants("/a").submit()).await.len(), 1000);
        // At most every other request was refused, and no reply was given up.
        let after = zk.statistics().reads;
        let requests = after.submitted - before.submitted;
        assert!((1001..2100).contains(&requests), "{requests}");
        assert_eq!(after.dropped, before.dropped);
        drop(held);
    }
    let held: Vec<_> = (0..64).map(|_| zk.exists("/a").submit()).collect();
    let mut below = zk.descendants("/a").submit();
    // The first request was refused, and is made again later.
    let poll = poll_fn(|cx| Poll::Ready(pin!(below.next()).poll(cx).is_pending()));
    assert!(poll.await);
    drop(held);
    below.next().await.unwrap().unwrap();
    assert_eq!(list(below).await.len(), 999);
}

#[tokio::test(start_paused = true)]
async fn an_overload_delays_descendants_once() {
    let server = Server::builder().in_memory().start().await.unwrap();
    let builder = Client::builder(server.members_string()).dial(server.dial());
    let zk = builder.connect().await.unwrap();
    fill(&zk, 1000, 0).await;
    let throttled = Action::Refuse(ErrorCode::ThrottledOp);
    let reads = on(OpCode::GetChildren2).after(20).then(throttled);
    server.faults().script([reads.times(256)]);
    let begun = Instant::now();
    assert_eq!(list(zk.descendants("/a").submit()).await.len(), 1000);
    assert_eq!(server.faults().pending(), 0);
    // The first pause takes at most 0.1 s.
    let paused = begun.elapsed();
    assert!(paused < Duration::from_secs(1), "{paused:?}");
    zk.close().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_one_error() {
    let (_server, zk) = connect().await;
    fill(&zk, 3, 1).await;
    let hidden = vec![Acl::new(Permissions::DELETE, "world", "anyone")];
    zk.set_acl("/a/1", hidden).await.unwrap();
    let (mut paths, mut errors) = (0, Vec::new());
    let mut below = zk.descendants("/a").submit();
    while let Some(path) = below.next().await {
        match path {
            Ok(_) => paths += 1,
            Err(error) => errors.push(error),
        }
    }
    assert_eq!((paths, errors.len()), (5, 1));
    assert_eq!(errors[0].kind(), ErrorKind::NoAuth);
    assert_eq!(errors[0].path(), Some("/a/1"));
    // The end of the client ends the stream.
    let mut below = zk.descendants("/a").submit();
    below.next().await.unwrap().unwrap();
    zk.clone().close().await.unwrap();
    let mut ends = 0;
    while let Some(path) = below.next().await {
        ends += usize::from(path.is_err());
    }
    assert_eq!(ends, 1);
}

#[tokio::test]
async fn a_deleted_znode_has_no_descendants() {
    let (_server, zk) = connect().await;
    fill(&zk, 1000, 0).await;
    let mut below = zk.descendants("/a").submit();
    below.next().await.unwrap().unwrap();
    zk.delete("/a").recursive().await.unwrap();
    // The first list is there; the children of those znodes are not.
    assert_eq!(list(below).await.len(), 999);
    zk.close().await.unwrap();
}
