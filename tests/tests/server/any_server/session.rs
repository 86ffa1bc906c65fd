//! How long a session lasts, and what becomes of requests when the connection is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::common::server::server_resumes_sessions;
use crate::common::{TestServer, unless_starved, until_suspended, unused_root};
use crate::common::{blocking, connect, own_server, soon, states_until, until, until_connected};
use zk_client::{Client, Error, ErrorKind, Outcome, SessionPolicy, State, WatchEvent};
use zk_tests::starvation::always;
use zk_tests::{Direction, Proxy};

/// A server, and a client behind a proxy.
struct Scene {
    server: TestServer,
    proxy: Proxy,
    zk: Client,
}

impl Scene {
    async fn new(session: Duration) -> Self {
        let server = blocking(own_server);
        let proxy = Proxy::start(server.address()).unwrap();
        let zk = connect(&proxy.connect_string(), |builder| {
            builder
                .session_timeout(session)
                .backoff(crate::common::impatient())
        })
        .await;
        Scene { server, proxy, zk }
    }

    async fn cut_off(&self) {
        let mut states = self.zk.states();
        self.proxy.refuse(true).unwrap();
        self.proxy.cut_all();
        until_suspended(&mut states).await;
    }
}

fn is_expired(state: &State) -> bool {
    matches!(state, State::Expired { .. })
}

/// Guards: B43.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconnect_keeps_session_and_ephemerals() {
    let scene = Scene::new(crate::common::LONG_SESSION).await;
    let zk = &scene.zk;
    let mut session = zk.session();
    let made = zk.create("/e", "").ephemeral().await.unwrap();
    for restart in [false, true] {
        let mut states = zk.states();
        scene.cut_off().await;
        if restart {
            blocking(|| scene.server.restart().unwrap());
        }
        scene.proxy.refuse(false).unwrap();
        until_connected(&mut states).await;
        if !server_resumes_sessions() {
            // The loss is visible, and nothing passes for the session that is gone.
            let replaced = || async { zk.session().epoch > session.epoch };
            until("there is another session", replaced).await;
            assert_ne!(zk.session().id, session.id);
            session = zk.session();
            continue;
        }
        assert_eq!(zk.session(), session);
        let stat = zk.exists("/e").await.unwrap().expect("the ephemeral");
        assert_eq!(
            (stat.czxid, stat.owner()),
            (made.stat.czxid, Some(session.id))
        );
    }
}

/// ZOOKEEPER-4508.
/// Guards: A5, B28.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_expires_locally_and_is_renewed() {
    unless_starved(Duration::from_secs(2), expires_and_is_renewed).await;
}

/// How soon it expires is measured on the virtual clock, see B30.
async fn expires_and_is_renewed(session: Duration) {
    let scene = Scene::new(session).await;
    let zk = &scene.zk;
    let timeout = zk.session().timeout;
    zk.create("/e", "").ephemeral().await.unwrap();
    let (_, _, watch) = zk.get("/e").watch().await.unwrap();
    let first = zk.session();
    let mut states = zk.states();
    // What the servers said last was said before this.
    let received_before = Instant::now();
    blocking(|| scene.server.kill().unwrap());
    let seen = states_until(&mut states, "the expiry", is_expired).await;
    let took = received_before.elapsed();
    assert!(
        took > timeout,
        "{took:?}: a server may still hold the session"
    );
    assert_eq!(seen.last(), Some(&State::Expired { epoch: 1 }));
    assert_eq!(
        soon("the watch to end", watch).await,
        WatchEvent::SessionEnded
    );
    // A write waits for the next session, in which it is submitted.
    let write = zk.create("/later", "").submit();

    blocking(|| scene.server.spawn().unwrap());
    let seen = states_until(&mut states, "the next session", |state| {
        state.is_connected()
    })
    .await;
    assert!(!seen.iter().any(is_expired), "reported twice: {seen:?}");
    soon("the write", write).await.unwrap();
    let second = zk.session();
    assert_eq!((first.epoch, second.epoch), (1, 2));
    assert_ne!(first.id, second.id);
    until("the old session's ephemeral is gone", || async {
        zk.exists("/e").await.unwrap().is_none()
    })
    .await;
}

/// No resurrection.
/// Guards: A4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_client_fails_every_operation() {
    unless_starved(Duration::from_secs(1), expires_for_good).await;
}

async fn expires_for_good(session: Duration) {
    let server = blocking(own_server);
    let zk = connect(&server.connect_string(), |builder| {
        builder
            .session_timeout(session)
            .session_policy(SessionPolicy::Close)
            .backoff(crate::common::impatient())
    })
    .await;
    let mut states = zk.states();
    let mut suspended = zk.states();
    blocking(|| server.kill().unwrap());
    until_suspended(&mut suspended).await;
    let (read, write) = (zk.get("/").submit(), zk.set("/", "").submit());
    let seen = states_until(&mut states, "the expiry", is_expired).await;
    assert_eq!(seen.iter().filter(|state| is_expired(state)).count(), 1);
    assert_eq!(states.next().await, None);
    for error in [read.await.unwrap_err(), write.await.unwrap_err()] {
        let said = (error.kind(), error.outcome());
        assert_eq!(said, (ErrorKind::SessionExpired, Outcome::NotSent));
    }
    blocking(|| server.spawn().unwrap());
    blocking(|| server.wait_until_serving().unwrap());
    for _ in 0..3 {
        let errors = [
            zk.get("/").await.err(),
            zk.create("/x", "").await.err(),
            zk.add_auth("digest", "a:b").await.err(),
        ];
        for error in errors {
            let kind = error.as_ref().map(Error::kind);
            always(
                kind == Some(ErrorKind::SessionExpired),
                format_args!("after the expiry: {error:?}"),
            );
        }
    }
    let state = zk.state();
    always(
        state == State::Expired { epoch: 1 },
        format_args!("{state:?}"),
    );
    let close = soon("close", zk.close()).await;
    assert!(
        close.is_ok() || close.is_err_and(|error| error.kind() == ErrorKind::CloseUnacknowledged)
    );
}

/// ZOOKEEPER-4921: a session that never was does not expire.
/// Guards: A6, B29.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_waits_for_the_first_server() {
    unless_starved(Duration::from_secs(1), waits_for_a_server).await;
}

async fn waits_for_a_server(session: Duration) {
    let server = blocking(own_server);
    let root = unused_root();
    blocking(|| server.kill().unwrap());
    let zk = Client::builder(server.connect_string())
        .session_timeout(session)
        .backoff(crate::common::impatient())
        .deadline(None)
        .start()
        .unwrap();
    let mut states = zk.states();
    let write = zk.create(&root, "").submit();
    let started = Instant::now();
    // Several times the timeout of the session there is none of yet.
    let idle_time = tokio::time::timeout(session * 4, async {
        loop {
            let state = states.next().await.unwrap();
            assert_eq!(state, State::Connecting);
        }
    });
    assert!(idle_time.await.is_err());
    assert!(started.elapsed() >= session * 4);
    blocking(|| server.restart().unwrap());
    soon("the write", write).await.unwrap();
    assert_eq!(zk.session().epoch, 1);
}

/// Guards: G3, G2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_server_leaves_writes_unknown() {
    let scene = Scene::new(crate::common::LONG_SESSION).await;
    let zk = &scene.zk;
    zk.create("/a", "0").await.unwrap();
    let mut states = zk.states();
    // Frozen, so that everything is on the wire and nothing is answered.
    scene.server.pause().unwrap();
    // Length, xid, operation and path of each; then watch flags, data and versions.
    let path = zk.root().as_str().len() as u64 + 2;
    let bytes = 4 * (4 + 8 + 4 + path) + 2 + 2 * (4 + 1 + 4);
    let sent = scene.proxy.forwarded(Direction::ToServer);
    let (before, write) = (zk.get("/a").submit(), zk.set("/a", "1").submit());
    let (after, behind) = (zk.exists("/a").submit(), zk.set("/a", "2").submit());
    until("all four are on the wire", || async {
        scene.proxy.forwarded(Direction::ToServer) >= sent + bytes
    })
    .await;
    blocking(|| scene.server.restart().unwrap());
    let unknown = soon("the write to fail", write).await.unwrap_err();
    assert_eq!(
        (unknown.kind(), unknown.outcome()),
        (ErrorKind::ConnectionLost, Outcome::Unknown)
    );
    assert_eq!(
        (unknown.op(), unknown.path()),
        (Some("setData"), Some("/a"))
    );
    let unknown = soon("the second write to fail", behind).await.unwrap_err();
    assert_eq!(
        (unknown.kind(), unknown.outcome()),
        (ErrorKind::ConnectionLost, Outcome::Unknown)
    );
    until_connected(&mut states).await;
    let (data, _) = soon("the first read", before).await.unwrap();
    let stat = soon("the second read", after).await.unwrap().unwrap();
    assert_eq!(
        (&data[..], stat.version),
        (&b"0"[..], 0),
        "what is frozen executes nothing"
    );
    let epoch = if server_resumes_sessions() { 1 } else { 2 };
    assert_eq!(zk.session().epoch, epoch);
    assert_eq!(zk.statistics().outstanding, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_write_runs_after_the_reconnect() {
    let scene = Scene::new(crate::common::LONG_SESSION).await;
    scene.cut_off().await;
    let zk = &scene.zk;
    let writes: Vec<_> = (0..10)
        .map(|n| zk.create("/s-", n.to_string()).sequential().submit())
        .collect();
    let read = zk.children("/").submit();
    assert_eq!(zk.statistics().parked, 11);
    // Given up before it was sent, so it never is.
    drop(zk.create("/never", "").submit());
    scene.proxy.refuse(false).unwrap();
    if !server_resumes_sessions() {
        // No write of one session is executed in the next.
        for write in writes {
            let error = soon("a write", write).await.unwrap_err();
            let said = (error.kind(), error.outcome());
            assert_eq!(said, (ErrorKind::SessionExpired, Outcome::NotSent));
        }
        let children = soon("the read", read).await.unwrap();
        assert!(children.is_empty());
        return;
    }
    for (n, write) in writes.into_iter().enumerate() {
        assert_eq!(
            soon("a write", write).await.unwrap().path,
            format!("/s-{n:010}")
        );
    }
    assert_eq!(soon("the read", read).await.unwrap().len(), 10);
    assert_eq!(zk.exists("/never").await.unwrap(), None);
}

/// Guards: C4, B36.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_request_is_not_sent() {
    let scene = Scene::new(crate::common::LONG_SESSION).await;
    let zk = &scene.zk;
    scene.cut_off().await;
    let deadline = Duration::from_millis(300);
    let started = Instant::now();
    let (read, write) = (
        zk.get("/").deadline(deadline).submit(),
        zk.create("/a", "").deadline(deadline).submit(),
    );
    let hasty = zk.with_deadline(deadline);
    let default = hasty.create("/b", "").submit();
    for error in [
        read.await.unwrap_err(),
        write.await.unwrap_err(),
        default.await.unwrap_err(),
    ] {
        let said = (error.kind(), error.outcome(), error.is_retryable());
        assert_eq!(
            said,
            (ErrorKind::DeadlineExceeded, Outcome::NotSent, true),
            "{error}"
        );
        assert!(error.to_string().contains("no server within"), "{error}");
    }
    let took = started.elapsed();
    assert!(took >= deadline, "{took:?}");
    scene.proxy.refuse(false).unwrap();
    assert_eq!(
        zk.children("/").await.unwrap().len(),
        0,
        "they were not sent"
    );

    // On the wire and unanswered, it may have been executed.
    scene.proxy.stall(true);
    let error = zk.create("/c", "").deadline(deadline).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::DeadlineExceeded, Outcome::Unknown)
    );
    scene.proxy.stall(false);
    assert!(
        soon("the next request", zk.exists("/c"))
            .await
            .unwrap()
            .is_some()
    );
}

/// Guards: B31.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_without_a_server_times_out() {
    for frozen in [false, true] {
        let server = blocking(own_server);
        let zk = connect(&server.connect_string(), |builder| {
            builder
                .close_timeout(Duration::from_millis(700))
                .backoff(crate::common::impatient())
        })
        .await;
        let mut states = zk.states();
        if frozen {
            server.pause().unwrap();
        } else {
            blocking(|| server.kill().unwrap());
            until_suspended(&mut states).await;
        }
        let pending = zk.get("/").submit();
        let error = soon("close", zk.close()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::CloseUnacknowledged, Outcome::Unknown)
        );
        assert!(
            error.to_string().contains("ephemeral znodes go when"),
            "{error}"
        );
        let error = soon("the request before it", pending).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        states_until(&mut states, "the last state", |state| {
            *state == State::Closed
        })
        .await;
        assert_eq!(states.next().await, None);
    }
}

/// Nothing to close, nothing to wait for.
/// Guards: A22.
#[tokio::test]
async fn close_before_a_session_returns_at_once() {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let hosts = listener.local_addr().unwrap().to_string();
    let zk = Client::builder(hosts).start().unwrap();
    let pending = zk.get("/").submit();
    soon("close", zk.close()).await.unwrap();
    let error = soon("the request", pending).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Closed, Outcome::NotSent)
    );
}

/// Guards: A24, D18, G11.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_returns_after_ephemerals_are_gone() {
    let server = blocking(own_server);
    let admin = connect(&server.connect_string(), |builder| builder).await;
    for _ in 0..20 {
        let zk = crate::common::beside(&admin, &server.connect_string()).await;
        let id = zk.session().id;
        zk.create("/e", "").ephemeral().await.unwrap();
        assert!(admin.exists("/e").await.unwrap().is_some());
        zk.close().await.unwrap();
        assert!(admin.exists("/e").await.unwrap().is_none());
        until("the connection is closed", || async {
            !server
                .four_letter("cons")
                .unwrap()
                .contains(&format!("sid={id},"))
        })
        .await;
    }
}
