//! Faults do what their documentation says, and nothing else.

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
use tokio::time::Instant;
use zk_embedded::fault::{Action, Cut, Direction, on, on_any, on_connect};
use zk_embedded::{Faults, Server};
use zk_proto::records::*;
use zk_proto::*;

async fn server() -> (Server, Faults) {
    let server = Server::builder().in_memory().start().await.unwrap();
    let faults = server.faults();
    (server, faults)
}

#[tokio::test]
async fn a_reply_dropped_after_apply() {
    let (server, faults) = server().await;
    faults.drop_reply_after_apply(on(OpCode::Create).path("/a"));
    let mut raw = Raw::new(&server).await;
    raw.make("/b", CreateMode::Persistent).await;
    let request = raw::create("/a", CreateMode::Persistent);
    assert!(raw.try_call(OpCode::Create, &request).await.is_none());
    assert!(server.node("/a").is_some());
    assert_eq!((faults.pending(), server.sessions().len()), (0, 1));
}

#[tokio::test]
async fn a_script_of_several_actions() {
    let (server, faults) = server().await;
    faults.script([
        on(OpCode::Create).path("/closed").then(Action::Close),
        on(OpCode::Create).path("/swallowed").then(Action::Swallow),
        on(OpCode::Create)
            .path("/refused")
            .then(Action::Refuse(ErrorCode::SystemError)),
        on(OpCode::GetData).then(Action::Repeat(3)),
    ]);
    let mut raw = Raw::new(&server).await;
    let request = |path| raw::create(path, CreateMode::Persistent);
    assert_eq!(raw.call(OpCode::Create, &request("/refused")).await.err, -1);
    raw.send(9, OpCode::Create.code(), &request("/swallowed"))
        .await;
    raw.get("/", false).await;
    for _ in 0..2 {
        assert_eq!(raw.reply().await.unwrap().err, 0);
    }
    assert!(
        raw.try_call(OpCode::Create, &request("/closed"))
            .await
            .is_none()
    );
    assert!(server.node("/swallowed").is_some());
    assert!(server.node("/refused").is_none() && server.node("/closed").is_none());
}

/// Guards: M2.
#[tokio::test]
async fn a_misreported_write_is_executed() {
    let (server, faults) = server().await;
    let mut raw = Raw::new(&server).await;
    raw.make("/a", CreateMode::Persistent).await;
    raw.get("/a", true).await;
    let request = SetDataRequest {
        path: "/a".into(),
        data: Some(&[7; 4096]),
        version: -1,
    };
    for (code, version) in [
        (ErrorCode::OperationTimeout, 1),
        (ErrorCode::Unknown(-999), 2),
    ] {
        faults.misreport_after_apply(on(OpCode::SetData).path("/a"), code);
        raw.send(9, OpCode::SetData.code(), &request).await;
        let reply = raw.reply().await.unwrap();
        assert_eq!(
            (reply.xid, reply.err, reply.body_len()),
            (9, code.code(), 0)
        );
        assert_eq!(server.node("/a").unwrap().stat.version, version);
    }
    let changed = (EventType::NodeDataChanged, "/a".to_owned());
    assert_eq!(raw.take_events(), [changed]);
    // The rules are used up.
    assert_eq!(raw.call(OpCode::SetData, &request).await.err, 0);
    assert_eq!(faults.pending(), 0);
}

#[tokio::test]
async fn cuts_at_every_byte_of_a_frame() {
    let (server, faults) = server().await;
    for byte in 0..=41 {
        faults.cut(Cut::new(Direction::ToClient, 0, byte));
        let mut wire = server.connect_in_memory().unwrap();
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        wire.write_all(&raw::framed(&ask())).await.unwrap();
        let mut got = Vec::new();
        wire.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), byte);
    }
    let request = raw::create("/a", CreateMode::Persistent);
    let len = {
        let mut out = bytes::BytesMut::new();
        request.encode(&mut out);
        out.len() + RequestHeader::LEN + 4
    };
    for byte in 0..=len {
        let mut raw = Raw::new(&server).await;
        faults.cut(Cut::new(Direction::ToServer, 1, byte).reset());
        assert!(raw.try_call(OpCode::Create, &request).await.is_none());
        assert!(server.node("/a").is_none(), "cut at {byte}, and applied");
    }
    assert_eq!(faults.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn delays_keep_the_order_of_replies() {
    let (server, faults) = server().await;
    let mut raw = Raw::new(&server).await;
    faults.delay_replies(Duration::from_secs(3));
    let start = Instant::now();
    for xid in [1, 2] {
        raw.send(xid, OpCode::Sync.code(), &SyncRequest { path: "/".into() })
            .await;
    }
    for xid in [1, 2] {
        assert_eq!(raw.reply().await.unwrap().xid, xid);
    }
    assert_eq!(start.elapsed().as_secs(), 3);
    faults.clear();
    faults.dribble(Duration::from_millis(10));
    let start = Instant::now();
    raw.ping().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(190));
    faults.clear();
    faults.rule(on_any().then(Action::Delay(Duration::from_secs(5))));
    let start = Instant::now();
    raw.exists("/", false).await;
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn half_open_connections_stay_open() {
    let (server, faults) = server().await;
    let mut raw = Raw::new(&server).await;
    assert_eq!(faults.half_open(raw.id()), 1);
    raw.send(xid::PING, OpCode::Ping.code(), &Nothing).await;
    tokio::select! {
        _ = raw.frame() => panic!("a half-open connection sent a frame"),
        () = tokio::time::sleep(Duration::from_secs(60)) => {}
    }
    assert!(server.sessions().is_empty());
    assert_eq!(server.connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn mute_and_slammed_connections() {
    let (server, faults) = server().await;
    faults.accept_and_never_answer(true);
    let request = ask();
    tokio::select! {
        _ = Raw::with(&server, 0, &request) => panic!("answered"),
        () = tokio::time::sleep(Duration::from_secs(600)) => {}
    }
    faults.accept_and_never_answer(false);
    faults.close_after_accept(true);
    let mut wire = server.connect_in_memory().unwrap();
    use tokio::io::AsyncReadExt;
    assert_eq!(wire.read(&mut [0]).await.unwrap(), 0);
    faults.clear();
    Raw::new(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_frozen_server_executes_nothing() {
    let (server, faults) = server().await;
    let request = raw::create("/a", CreateMode::Persistent);
    for _ in 0..100 {
        let mut raw = Raw::new(&server).await;
        let sessions = server.sessions().len();
        faults.freeze();
        raw.send(1, OpCode::Create.code(), &request).await;
        let ask = ask();
        let (late, ()) = tokio::join!(Raw::with(&server, 0, &ask), server.stop());
        assert!(late.is_none(), "a stopped server answered a handshake");
        assert!(raw.reply().await.is_none());
        assert_eq!(server.sessions().len(), sessions);
        assert!(server.node("/a").is_none());
        server.start_again(true).await.unwrap();
    }
}

#[tokio::test]
async fn throttled_requests_are_not_executed() {
    let (server, faults) = server().await;
    let mut raw = Raw::new(&server).await;
    faults.throttle(1);
    assert_eq!(raw.ping().await.unwrap().err, 0);
    let request = raw::create("/a", CreateMode::Persistent);
    assert_eq!(raw.call(OpCode::Create, &request).await.err, -127);
    assert!(server.node("/a").is_none());
    assert_eq!(raw.call(OpCode::Create, &request).await.err, 0);
}

#[tokio::test]
async fn hostile_bytes_are_sent_as_they_are() {
    let (server, faults) = server().await;
    faults.greet_with(&b"\x7f\xff\xff\xffgarbage"[..]);
    let wire = server.connect_in_memory().unwrap();
    let mut wire = wire;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    wire.write_all(&raw::framed(&ask())).await.unwrap();
    let mut got = [0; 11];
    wire.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"\x7f\xff\xff\xffgarbage");
    let bytes = bytes::Bytes::from_static(b"\xff");
    faults.rule(on_any().then(Action::RespondAndClose(bytes)));
    let mut raw = Raw::new(&server).await;
    raw.send(1, OpCode::Exists.code(), &Nothing).await;
    assert_eq!(raw.rest().await, b"\xff");
    faults.rule(on_connect().then(Action::HalfOpen));
    assert_eq!(faults.pending(), 1);
}
