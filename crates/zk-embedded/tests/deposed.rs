//! Two leaders: one that was deposed and has not noticed, and its successor.

// Clippy exempts `#[test]` functions from these lints, but not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod raw;

use std::time::Duration;

use raw::Raw;
use zk_embedded::Server;
use zk_proto::records::*;
use zk_proto::*;

/// Long for a reply in memory, short for a session.
const NO_ANSWER: Duration = Duration::from_secs(1);

async fn answers(raw: &mut Raw) -> bool {
    let answer = tokio::time::timeout(NO_ANSWER, raw.ping()).await;
    answer.is_ok_and(|pong| pong.is_some())
}

async fn hangs(raw: &mut Raw, op: OpCode, body: &dyn Encode) -> bool {
    let answer = tokio::time::timeout(NO_ANSWER, raw.try_call(op, body)).await;
    answer.is_err()
}

/// Three members of which the last leads and, once deposed, does not notice within any test.
async fn server() -> Server {
    let server = Server::builder().in_memory().members(3);
    server.sync_limit(1_000_000).start().await.unwrap()
}

/// Guards: H1.
#[tokio::test(start_paused = true)]
async fn deposed_leader_resumes_sessions_alone() {
    let server = server().await;
    let mut client = Raw::on(&server, 2).await;
    client.make("/e", CreateMode::Ephemeral).await;
    assert!(server.depose_leader(&[]));
    assert_eq!((server.leader(), server.deposed_leader()), (0, Some(2)));
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(client.ping().await.is_some());
    }
    assert!(
        server.node("/e").is_none(),
        "the other side has ended the session"
    );
    let mut again = Raw::with(&server, 2, &client.resume()).await.unwrap();
    assert_eq!(again.id(), client.id());
    assert_eq!(again.exists("/e", false).await.err, 0);
    assert!(client.closed().await, "the session has another connection");
    let refused = Raw::with(&server, 0, &client.resume()).await.unwrap();
    assert!(refused.session.is_expired());
}

/// Guards: H1.
#[tokio::test(start_paused = true)]
async fn a_new_leader_restarts_session_timeouts() {
    let server = server().await;
    let client = Raw::on(&server, 2).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(server.depose_leader(&[]));
    tokio::time::sleep(Duration::from_millis(9_900)).await;
    let alive: Vec<_> = server.sessions().iter().map(|session| session.id).collect();
    assert_eq!(alive, [client.id()]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(server.sessions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn deposed_side_commits_nothing() {
    let server = server().await;
    let mut of_leader = Raw::on(&server, 2).await;
    let mut of_follower = Raw::on(&server, 1).await;
    let mut reader = Raw::on(&server, 1).await;
    of_leader.make("/a", CreateMode::Persistent).await;
    let before = server.zxid();
    // Of three members two are a majority, with the leader or without it.
    assert!(!server.depose_leader(&[1]));
    assert!(server.depose_leader(&[]));
    assert!(
        !server.depose_leader(&[]),
        "there is one deposed leader at a time"
    );
    assert!(
        of_follower.closed().await,
        "the new leader's side reconnects"
    );
    assert!(reader.closed().await);
    let sync = SyncRequest { path: "/".into() };
    assert_eq!(of_leader.call(OpCode::Sync, &sync).await.err, 0);
    let refused = raw::create("/a", CreateMode::Persistent);
    assert!(hangs(&mut of_leader, OpCode::Create, &refused).await);
    assert!(!answers(&mut of_leader).await, "a later request waits");
    assert_eq!(of_leader.auth("digest", b"a:b").await.err, 0);
    let mut again = Raw::with(&server, 2, &of_leader.resume()).await.unwrap();
    assert!(!answers(&mut again).await, "on the next connection too");
    let new = tokio::time::timeout(NO_ANSWER, Raw::on(&server, 2)).await;
    assert!(new.is_err(), "a new session is a transaction");
    let mut elsewhere = Raw::with(&server, 0, &of_leader.resume()).await.unwrap();
    elsewhere.make("/b", CreateMode::Persistent).await;
    let log = server.log_after(before);
    assert_eq!(log.iter().filter(|txn| txn.error.is_some()).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deposed_follower_syncs_with_its_leader() {
    let server = Server::builder().in_memory().members(5);
    let server = server.sync_limit(1_000_000).start().await.unwrap();
    let mut client = Raw::on(&server, 3).await;
    let mut idle = Raw::on(&server, 0).await;
    let mut other = Raw::on(&server, 3).await;
    client.make("/a", CreateMode::Persistent).await;
    assert!(server.depose_leader(&[3]));
    assert!(idle.closed().await);
    let sync = SyncRequest { path: "/".into() };
    assert_eq!(client.call(OpCode::Sync, &sync).await.err, 0);
    let mut again = Raw::with(&server, 3, &client.resume()).await.unwrap();
    assert_eq!(again.id(), client.id());
    let write = raw::create("/b", CreateMode::Persistent);
    assert!(hangs(&mut again, OpCode::Create, &write).await);
    assert_eq!(other.get("/a", false).await.err, 0);
    assert!(hangs(&mut other, OpCode::Sync, &sync).await);
    // Its tracker has not seen the session for its timeout; the session is alive on the other side.
    let mut moved = Raw::with(&server, 0, &idle.resume()).await.unwrap();
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(answers(&mut moved).await);
    }
    let mut expired = Raw::with(&server, 3, &idle.resume()).await.unwrap();
    assert!(expired.session.is_expired());
    assert!(expired.closed().await);
}

#[tokio::test(start_paused = true)]
async fn deposed_side_refuses_a_later_zxid() {
    let server = server().await;
    let client = Raw::on(&server, 2).await;
    assert!(server.depose_leader(&[]));
    let mut moved = Raw::with(&server, 0, &client.resume()).await.unwrap();
    let seen = moved.ping().await.unwrap().zxid;
    let back = ConnectRequest {
        last_zxid_seen: Zxid(seen),
        ..client.resume()
    };
    assert!(Raw::with(&server, 2, &back).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn deposed_leader_notices_after_sync_limit() {
    let server = Server::builder().in_memory().members(3);
    let server = server.start().await.unwrap();
    let mut client = Raw::on(&server, 2).await;
    assert!(server.depose_leader(&[]));
    tokio::time::sleep(Duration::from_millis(9_900)).await;
    assert!(answers(&mut client).await);
    assert!(client.closed().await);
    assert_eq!(server.deposed_leader(), None);
    assert!(Raw::with(&server, 2, &client.resume()).await.is_none());

    server.heal();
    assert!(server.depose_leader(&[]));
    let deposed = server.deposed_leader().unwrap();
    server.member(deposed).freeze();
    tokio::time::sleep(Duration::from_secs(60)).await;
    server.member(deposed).thaw();
    assert_eq!(server.deposed_leader(), Some(deposed), "a tick later");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(server.deposed_leader(), None);
}

#[tokio::test(start_paused = true)]
async fn healing_discards_proposals() {
    let server = server().await;
    let mut client = Raw::on(&server, 2).await;
    assert!(server.depose_leader(&[]));
    let write = raw::create("/lost", CreateMode::Persistent);
    assert!(hangs(&mut client, OpCode::Create, &write).await);
    let mut other = Raw::on(&server, 0).await;
    other.make("/kept", CreateMode::Persistent).await;
    server.heal();
    assert!(client.closed().await);
    assert!(other.ping().await.is_some(), "the majority stays as it is");
    let mut back = Raw::on(&server, 2).await;
    assert_eq!(back.exists("/kept", false).await.err, 0);
    assert_eq!(back.exists("/lost", false).await.err, -101);
    back.make("/new", CreateMode::Persistent).await;
}

#[tokio::test(start_paused = true)]
async fn stopping_a_deposed_leader_ends_its_side() {
    let server = Server::builder().in_memory().members(5);
    let server = server.sync_limit(1_000_000).start().await.unwrap();
    let mut client = Raw::on(&server, 0).await;
    assert!(server.depose_leader(&[0]));
    assert!(answers(&mut client).await);
    server.member(4).stop();
    assert!(client.closed().await);
    assert!(Raw::with(&server, 0, &client.resume()).await.is_none());
    server.member(4).run();
    assert!(Raw::with(&server, 4, &client.resume()).await.is_none());
    server.heal();
    assert!(Raw::with(&server, 4, &client.resume()).await.is_some());
}
