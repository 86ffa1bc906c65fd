//! Timeouts on tokio's clock, paused and advanced.

// Clippy exempts `#[test]` functions from these lints, but not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod raw;

use std::time::Duration;

use raw::{Raw, create};
use tokio::time::{Instant, advance, sleep};
use zk_embedded::{Server, WallClock};
use zk_proto::records::*;
use zk_proto::*;

async fn server() -> Server {
    let clock = WallClock::From(1_000_000);
    Server::builder()
        .in_memory()
        .wall_clock(clock)
        .start()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_expires_at_the_next_tick() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    raw.make("/e", CreateMode::Ephemeral).await;
    let start = Instant::now();
    assert!(raw.closed().await);
    assert_eq!(start.elapsed().as_secs(), 12);
    assert!(server.node("/e").is_none() && server.sessions().is_empty());
    let again = Raw::with(&server, 0, &raw.resume()).await.unwrap();
    assert!(again.session.is_expired());
}

#[tokio::test(start_paused = true)]
async fn pings_keep_a_session_alive() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    for _ in 0..20 {
        advance(Duration::from_secs(6)).await;
        assert_eq!(raw.ping().await.unwrap().err, 0);
    }
    let resume = raw.resume();
    drop(raw);
    advance(Duration::from_secs(9)).await;
    let again = Raw::with(&server, 0, &resume).await.unwrap();
    assert_eq!(again.id(), resume.session_id);
}

#[tokio::test(start_paused = true)]
async fn no_handshake_closes_after_10_seconds() {
    use tokio::io::AsyncReadExt;
    let server = server().await;
    for wire in [true, false] {
        let mut wire = match wire {
            true => server.connect_in_memory().unwrap(),
            false => {
                use tokio::io::AsyncWriteExt;
                let mut wire = server.connect_in_memory().unwrap();
                wire.write_all(&[0, 0, 0, 45, 0]).await.unwrap();
                wire
            }
        };
        let start = Instant::now();
        assert_eq!(wire.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn containers_and_old_nodes_are_reaped() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    for path in ["/used", "/unused"] {
        let request = create(path, CreateMode::Container);
        raw.call(OpCode::CreateContainer, &request)
            .await
            .body::<Create2Response>();
    }
    raw.make("/used/a", CreateMode::Persistent).await;
    let ttl = |path: &'static str, ttl_ms| CreateTtlRequest {
        path: path.into(),
        data: None,
        acl: Acl::open().into(),
        flags: CreateMode::PersistentWithTtl.flags(),
        ttl_ms,
    };
    for (path, ttl_ms) in [("/short", 1_000), ("/long", 1_000_000)] {
        let made = raw.call(OpCode::CreateTtl, &ttl(path, ttl_ms)).await;
        // A stat shows neither containers nor times to live.
        assert_eq!(made.body::<Create2Response>().stat.ephemeral_owner, 0);
    }
    let info = server.node("/short").unwrap();
    assert_eq!(
        (info.ttl, info.is_container),
        (Some(Duration::from_secs(1)), false)
    );
    for ttl_ms in [0, -1, MAX_TTL_MS + 1] {
        assert_eq!(
            raw.call(OpCode::CreateTtl, &ttl("/x", ttl_ms)).await.err,
            -8
        );
    }
    raw.delete("/used/a").await;
    assert!(server.node("/used").unwrap().is_container);
    sleep(Duration::from_secs(61)).await;
    assert!(server.node("/used").is_none() && server.node("/short").is_none());
    assert!(server.node("/unused").is_some() && server.node("/long").is_some());
    let reaped = server.log_after(Zxid(0));
    let reaped = reaped
        .iter()
        .filter(|txn| txn.op == OpCode::DeleteContainer);
    assert_eq!(reaped.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn stats_carry_the_injected_time() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    advance(Duration::from_millis(1_234)).await;
    raw.make("/a", CreateMode::Persistent).await;
    let stat = server.node("/a").unwrap().stat;
    assert_eq!((stat.ctime, stat.mtime), (1_001_234, 1_001_234));
}

#[tokio::test(start_paused = true)]
async fn timeouts_do_not_run_while_frozen() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    server.faults().freeze();
    raw.send(1, OpCode::Sync.code(), &SyncRequest { path: "/".into() })
        .await;
    tokio::select! {
        _ = raw.reply() => panic!("a frozen server answered"),
        () = sleep(Duration::from_secs(60)) => {}
    }
    assert_eq!(server.sessions().len(), 1);
    server.stop().await;
    assert!(raw.closed().await);
    assert!(server.connect_in_memory().is_err());
    sleep(Duration::from_secs(60)).await;
    server.start_again(true).await.unwrap();
    let again = Raw::with(&server, 0, &raw.resume()).await.unwrap();
    assert_eq!(again.id(), raw.id());
    server.restart(false).await.unwrap();
    let again = Raw::with(&server, 0, &raw.resume()).await.unwrap();
    assert!(again.session.is_expired());
}
