//! Barriers when replies, connections and sessions are lost.

use std::time::Duration;

use super::common::{self, Memory, address, at, end_session, has_root, memory, soon, start, until};
use zk_client::Client;
use zk_embedded::{Pose, Server, fault::on};
use zk_proto::OpCode;
use zk_recipes::Barrier;

async fn client(server: &Server) -> Client {
    let builder = common::unhurried(Client::builder(address(server)));
    let zk = builder.connect().await.unwrap();
    has_root(&zk).await;
    zk
}

/// Neither a lost connection, nor a lost session, nor a change of the znode's data ends the wait, and
/// none of them hides the opening.
///
/// Guards: C7, C8.
#[tokio::test(start_paused = true)]
async fn a_wait_ends_only_when_it_is_opened() {
    let memory = memory(1).await;
    let server = memory.server.clone();
    let (zk, admin) = (memory.any().await, memory.any().await);
    let barrier = Barrier::new(&zk, "/a/barrier");
    soon("an open one", barrier.wait()).await.unwrap();
    barrier.close().await.unwrap();
    barrier.close().await.unwrap();
    let waiting = tokio::spawn({
        let barrier = barrier.clone();
        async move { barrier.wait().await }
    });
    let watched = || server.watches_on(&at("/a/barrier")).data > 0;
    until("it is watched", watched).await;
    admin.set("/a/barrier", "changed").await.unwrap();
    until("it is watched again", watched).await;
    server.faults().disconnect(zk.session().id);
    until("it is lost", || zk.statistics().lost_connections > 0).await;
    until("it is watched again", watched).await;
    end_session(&server, &zk);
    until("there is another session", || zk.session().epoch == 2).await;
    until("it is watched again", watched).await;
    assert!(!waiting.is_finished());
    Barrier::new(&admin, "/a/barrier").open().await.unwrap();
    soon("the opening", waiting).await.unwrap().unwrap();
    barrier.open().await.unwrap();
}

#[tokio::test]
async fn lost_replies_do_not_change_the_result() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let barrier = Barrier::new(&zk, "/barrier");
    server
        .faults()
        .drop_reply_after_apply(on(common::create_op()));
    soon("the closing", barrier.close()).await.unwrap();
    assert!(server.node(&at("/barrier")).is_some());
    server.faults().drop_reply_after_apply(on(OpCode::Delete));
    soon("the opening", barrier.open()).await.unwrap();
    assert!(server.node(&at("/barrier")).is_none());

    // The barrier is opened, the reply is lost, and another client closes it again.
    barrier.close().await.unwrap();
    let other = client(&server).await;
    // After this the client has found out which operations the server has.
    other.ensure_path("/known").await.unwrap();
    let first = server.node(&at("/barrier")).unwrap().stat.czxid;
    server.faults().drop_reply_after_apply(on(OpCode::Delete));
    server.faults().close_after_accept(true);
    let opening = tokio::spawn({
        let barrier = barrier.clone();
        async move { barrier.open().await }
    });
    until("it is opened", || server.node(&at("/barrier")).is_none()).await;
    Barrier::new(&other, "/barrier").close().await.unwrap();
    server.faults().close_after_accept(false);
    soon("the opening", opening).await.unwrap().unwrap();
    assert!(server.node(&at("/barrier")).unwrap().stat.czxid > first);
}

/// An ensemble with a closed barrier, and a client that is connected to a member that lags behind the
/// closing.
async fn closed_elsewhere() -> (Memory, Client) {
    let memory = memory(3).await;
    let zk = memory.client(&[1], |options| options).await;
    let admin = memory.client(&[0], |options| options).await;
    memory.server.set_lag(1, true);
    Barrier::new(&admin, "/barrier").close().await.unwrap();
    (memory, zk)
}

#[tokio::test(start_paused = true)]
async fn a_lagging_server_lets_no_wait_pass() {
    let (memory, zk) = closed_elsewhere().await;
    let waiting = start(async move { Barrier::new(&zk, "/barrier").wait().await });
    let is_watched = || memory.server.watches_on(&at("/barrier")).data > 0;
    until("it is watched", || is_watched() || waiting.is_finished()).await;
    assert!(!waiting.is_finished(), "it is closed");
    let admin = memory.client(&[0], |options| options).await;
    Barrier::new(&admin, "/barrier").open().await.unwrap();
    memory.server.set_lag(1, false);
    soon("the opening", waiting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lagging_server_does_not_keep_it_closed() {
    let (memory, zk) = closed_elsewhere().await;
    Barrier::new(&zk, "/barrier").open().await.unwrap();
    assert!(memory.server.node(&at("/barrier")).is_none());
}

#[tokio::test]
async fn a_dropped_wait_leaves_no_watch() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let barrier = Barrier::new(&zk, "/barrier");
    barrier.close().await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(50), barrier.wait()).await;
    assert!(given_up.is_err());
    if matches!(common::pose(), Pose::V3_4 | Pose::KeeperOld) {
        // The server cannot remove the watch; its event, which has no subscriber, uses it up.
        zk.set("/barrier", "spent").await.unwrap();
    }
    until("no watch is left", || server.watch_counts().data == 0).await;
    assert_eq!(zk.statistics().watches, 0);
}
