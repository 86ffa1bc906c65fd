//! What a client can observe of an ensemble.

// Clippy exempts `#[test]` functions from these lints, but not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod raw;

use std::time::Duration;

use raw::{Nothing, Raw, ask};
use zk_embedded::Server;
use zk_proto::records::*;
use zk_proto::*;

async fn three() -> Server {
    Server::builder()
        .in_memory()
        .members(3)
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn writes_and_events_reach_every_member() {
    let server = three().await;
    let mut one = Raw::on(&server, 0).await;
    let mut two = Raw::on(&server, 1).await;
    two.exists("/a", true).await;
    one.make("/a", CreateMode::Persistent).await;
    assert_eq!(server.zxid().epoch(), 1);
    assert_eq!(two.get("/a", false).await.err, 0);
    assert_eq!(
        two.take_events(),
        [(EventType::NodeCreated, "/a".to_owned())]
    );
}

#[tokio::test]
async fn a_lagging_member_is_stale_until_a_sync() {
    let server = three().await;
    let mut ahead = Raw::on(&server, 2).await;
    let mut behind = Raw::on(&server, 0).await;
    server.set_lag(0, true);
    ahead.make("/a", CreateMode::Persistent).await;
    let seen = ahead.ping().await.unwrap().zxid;
    assert_eq!(behind.exists("/a", false).await.err, -101);
    let ask = ConnectRequest {
        last_zxid_seen: Zxid(seen),
        ..ask()
    };
    assert!(Raw::with(&server, 0, &ask).await.is_none());
    behind
        .call(OpCode::Sync, &SyncRequest { path: "/".into() })
        .await;
    assert_eq!(behind.exists("/a", false).await.err, 0);
    ahead.make("/b", CreateMode::Persistent).await;
    assert_eq!(behind.exists("/b", false).await.err, -101);
    server.set_lag(0, false);
    assert_eq!(behind.exists("/b", false).await.err, 0);
}

/// Guards: A9, B37.
#[tokio::test]
async fn late_writes_of_a_moved_session_are_lost() {
    let server = three().await;
    let mut old = Raw::on(&server, 0).await;
    let mut new = Raw::with(&server, 1, &old.resume()).await.unwrap();
    assert_eq!(new.id(), old.id());
    assert_eq!(old.exists("/", false).await.err, 0);
    let request = raw::create("/late", CreateMode::Persistent);
    assert!(old.try_call(OpCode::Create, &request).await.is_none());
    assert!(server.node("/late").is_none());
    new.make("/ok", CreateMode::Ephemeral).await;
}

#[tokio::test]
async fn a_new_leader_begins_an_epoch() {
    let server = three().await;
    let mut raw = Raw::on(&server, 0).await;
    raw.make("/e", CreateMode::Ephemeral).await;
    let before = (server.leader(), server.zxid());
    server.change_leader();
    assert_ne!(server.leader(), before.0);
    assert_eq!(server.zxid(), Zxid(2 << 32));
    assert!(raw.closed().await);
    let mut again = Raw::with(&server, 1, &raw.resume()).await.unwrap();
    assert_eq!(again.id(), raw.id());
    assert_eq!(again.exists("/e", false).await.err, 0);
}

#[tokio::test]
async fn a_minority_has_local_read_only_sessions() {
    let server = three().await;
    let mut raw = Raw::on(&server, 2).await;
    raw.make("/a", CreateMode::Persistent).await;
    assert_eq!(server.leader(), 2);
    server.partition(&[2]);
    assert_ne!(server.leader(), 2);
    assert!(raw.closed().await);
    let read_only = ConnectRequest {
        read_only: Some(true),
        ..ask()
    };
    assert!(Raw::with(&server, 2, &ask()).await.is_none());
    let resume = ConnectRequest {
        read_only: Some(true),
        ..raw.resume()
    };
    assert!(Raw::with(&server, 2, &resume).await.is_none());
    let mut local = Raw::with(&server, 2, &read_only).await.unwrap();
    assert!(local.session.read_only);
    assert_eq!(local.get("/a", false).await.err, 0);
    assert_eq!(local.set("/a", b"", -1).await.err, -119);
    let sync = SyncRequest { path: "/".into() };
    assert_eq!(local.call(OpCode::Sync, &sync).await.err, -119);
    let majority = ConnectRequest {
        read_only: Some(true),
        ..local.resume()
    };
    assert!(
        Raw::with(&server, 0, &majority)
            .await
            .unwrap()
            .session
            .is_expired()
    );
    let mut moved = Raw::with(&server, 0, &raw.resume()).await.unwrap();
    moved.set("/a", b"new", -1).await;
    assert_eq!(
        local
            .get("/a", false)
            .await
            .body::<GetDataResponse>()
            .stat
            .version,
        0
    );
    server.partition(&[]);
    assert!(local.closed().await);
    let mut healed = Raw::on(&server, 2).await;
    assert_eq!(
        healed
            .get("/a", false)
            .await
            .body::<GetDataResponse>()
            .stat
            .version,
        1
    );
}

#[tokio::test]
async fn a_standalone_server_can_be_read_only() {
    let server = Server::builder().in_memory().start().await.unwrap();
    server.partition(&[0]);
    let read_only = ConnectRequest {
        read_only: Some(true),
        ..ask()
    };
    let mut local = Raw::with(&server, 0, &read_only).await.unwrap();
    assert_eq!(local.delete("/a").await.err, -119);
    assert_eq!(local.call(OpCode::CloseSession, &Nothing).await.err, 0);
    server.partition(&[]);
    Raw::new(&server)
        .await
        .make("/a", CreateMode::Persistent)
        .await;
}

/// Without a leader the end of a session cannot be committed, and its timeout does not run.
#[tokio::test(start_paused = true)]
async fn no_session_ends_without_a_quorum() {
    for members in [1, 2] {
        let server = Server::builder().in_memory().members(members);
        let server = server.start().await.unwrap();
        let mut raw = Raw::new(&server).await;
        raw.make("/e", CreateMode::Ephemeral).await;
        let id = server.sessions()[0].id;
        drop(raw);
        server.partition(&[0]);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(!server.expire_session(id));
        assert_eq!(server.sessions().len(), 1);
        server.partition(&[]);
        assert!(server.node("/e").is_some());
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(server.sessions().len(), 0);
        assert!(server.node("/e").is_none(), "of {members} members");
    }
}

#[tokio::test]
async fn a_wiped_ensemble_refuses_old_clients() {
    let server = three().await;
    let mut raw = Raw::on(&server, 0).await;
    for path in ["/a", "/b"] {
        raw.make(path, CreateMode::Persistent).await;
    }
    let seen = raw.ping().await.unwrap().zxid;
    server.wipe();
    let resume = ConnectRequest {
        last_zxid_seen: Zxid(seen),
        ..raw.resume()
    };
    for member in 0..3 {
        assert!(Raw::with(&server, member, &resume).await.is_none());
    }
    let config = server.node("/zookeeper/config").unwrap();
    assert!(config.data.unwrap().starts_with(b"server.1="));
    assert!(server.node("/a").is_none());
}

#[tokio::test]
async fn an_ensemble_survives_a_stopped_member() {
    let server = three().await;
    let mut raw = Raw::on(&server, 2).await;
    raw.make("/e", CreateMode::Ephemeral).await;
    server.member(2).stop();
    assert!(raw.closed().await);
    assert!(server.connect_in_memory_to(2).is_err());
    assert_ne!(server.leader(), 2);
    let mut moved = Raw::with(&server, 0, &raw.resume()).await.unwrap();
    moved.make("/b", CreateMode::Persistent).await;
    server.member(1).stop();
    assert!(Raw::with(&server, 0, &ask()).await.is_none());
    server.member(1).run();
    server.member(2).run();
    let mut back = Raw::with(&server, 2, &moved.resume()).await.unwrap();
    assert_eq!(back.exists("/b", false).await.err, 0);
    assert_eq!(back.exists("/e", false).await.err, 0);
}

/// Guarantee G6 covers this: a member that has not noticed that it lost its leader.
#[tokio::test(start_paused = true)]
async fn an_isolated_member_answers_reads() {
    let server = three().await;
    assert_eq!(server.leader(), 2);
    let mut client = Raw::on(&server, 0).await;
    let mut other = Raw::on(&server, 1).await;
    client.make("/e", CreateMode::Ephemeral).await;
    server.isolate_from_leader(0);
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(client.ping().await.is_some());
        assert_eq!(client.exists("/e", false).await.err, 0);
        other.ping().await.unwrap();
    }
    assert_eq!(other.exists("/e", false).await.err, -101);
    assert_eq!(server.sessions().len(), 1);
    server.rejoin_leader(0);
    assert!(
        client.ping().await.is_none(),
        "the member closes its connections"
    );
    assert!(other.ping().await.is_some());

    // Neither a write nor a request after it is answered.
    let mut client = Raw::on(&server, 0).await;
    server.isolate_from_leader(0);
    let limit = Duration::from_secs(60);
    let request = raw::create("/late", CreateMode::Persistent);
    let write = client.try_call(OpCode::Create, &request);
    assert!(tokio::time::timeout(limit, write).await.is_err());
    assert!(tokio::time::timeout(limit, client.ping()).await.is_err());
    assert!(server.node("/late").is_none());
    // The leader cannot be isolated from itself.
    server.isolate_from_leader(2);
    let mut leader = Raw::on(&server, 2).await;
    leader.make("/ok", CreateMode::Persistent).await;
}

#[tokio::test(start_paused = true)]
async fn stopped_members_are_on_no_side() {
    let server = three().await;
    server.partition(&[0]);
    server.member(1).stop();
    for member in [0, 2] {
        assert!(Raw::with(&server, member, &ask()).await.is_none());
    }
    server.member(1).run();
    let mut client = Raw::on(&server, 2).await;
    client.make("/a", CreateMode::Persistent).await;
    assert!(Raw::with(&server, 0, &ask()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn leader_keeps_a_quorum_of_followers() {
    let server = three().await;
    server.isolate_from_leader(0);
    server.isolate_from_leader(1);
    let mut client = Raw::on(&server, 1).await;
    client.make("/a", CreateMode::Persistent).await;
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn restored_ensemble_goes_back() {
    for members in [1, 3] {
        let server = Server::builder().in_memory().members(members);
        let server = server.start().await.unwrap();
        let mut client = Raw::on(&server, 0).await;
        client.make("/e", CreateMode::Ephemeral).await;
        client.make("/old", CreateMode::Persistent).await;
        let backup = server.snapshot();
        client.make("/new", CreateMode::Persistent).await;
        let mut later = Raw::on(&server, 0).await;
        let seen = later.ping().await.unwrap().zxid;
        server.restore_snapshot(&backup, true);
        assert!(client.closed().await && later.closed().await);
        assert!(server.node("/new").is_none());
        let log = server.log_after(Zxid(0));
        assert_eq!(log.last().map(|txn| txn.zxid), Some(backup.zxid()));
        let unknown = Raw::with(&server, 0, &later.resume()).await.unwrap();
        assert!(unknown.session.is_expired());
        let resume = ConnectRequest {
            last_zxid_seen: Zxid(seen),
            ..client.resume()
        };
        let resumed = Raw::with(&server, 0, &resume).await;
        assert_eq!(
            resumed.is_none(),
            members == 1,
            "an ensemble begins an epoch"
        );
        let mut known = Raw::with(&server, 0, &client.resume()).await.unwrap();
        assert_eq!(known.exists("/e", false).await.err, 0);

        server.restore_snapshot(&backup, false);
        let ended = Raw::with(&server, 0, &client.resume()).await.unwrap();
        assert!(ended.session.is_expired());
        assert!(server.node("/e").is_none() && server.node("/old").is_some());
        assert!(Raw::on(&server, 0).await.id() != client.id());
    }
}
