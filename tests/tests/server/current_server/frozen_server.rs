//! Servers that accept connections and do nothing. How long that takes is measured on the virtual
//! clock, in `offline::connections`; here a session that survives shows that it was soon enough.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::common::{TestEnsemble, TestServer, blocking, connect, serving, soon};
use crate::common::{unless_starved, until_connected, until_suspended};
use zk_client::{Client, SessionId};

const SESSION: Duration = Duration::from_secs(6);

/// A client, and the follower that serves it.
async fn client_of_a_follower(ensemble: &TestEnsemble, session: Duration) -> (Client, &TestServer) {
    loop {
        let zk = connect(&ensemble.connect_string(), |builder| {
            builder
                .session_timeout(session)
                .backoff(crate::common::impatient())
        })
        .await;
        let leader = blocking(|| ensemble.leader().unwrap().id());
        match blocking(|| serving(ensemble, &zk)) {
            Some(server) if server.id() != leader => return (zk, server),
            _ => zk.close().await.unwrap(),
        }
    }
}

/// Guards: A1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_server_is_left_within_the_session() {
    unless_starved(SESSION, moves_to_another).await;
}

async fn moves_to_another(timeout: Duration) {
    let ensemble = blocking(crate::common::ensemble);
    let (zk, server) = client_of_a_follower(&ensemble, timeout).await;
    let session = zk.session();
    assert_eq!(session.timeout, timeout);
    let made = zk.create("/e", "").ephemeral().await.unwrap();
    let mut states = zk.states();

    blocking(|| server.pause().unwrap());
    // As in C2, requests without replies are submitted all the time, which must not keep the
    // connection.
    let mut unanswered = Vec::new();
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    tokio::select! {
        () = until_suspended(&mut states) => {}
        () = async {
            loop {
                beat.tick().await;
                unanswered.push(zk.exists("/e").submit());
            }
        } => {}
    }
    until_connected(&mut states).await;
    assert_eq!(zk.session(), session);
    for read in unanswered {
        let stat = soon("a read sent before the move", read)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stat.owner(), Some(session.id));
    }
    let now = blocking(|| serving(&ensemble, &zk)).expect("a server that answers");
    assert_ne!(now.id(), server.id());
    // The old server may not take the session back when it continues.
    server.resume().unwrap();
    zk.set("/e", "still here").await.unwrap();
    assert_eq!(
        zk.exists("/e").await.unwrap().unwrap().czxid,
        made.stat.czxid
    );
    assert_ne!(session.id, SessionId::NONE);
    assert_eq!(zk.session(), session);
}

/// Guards: A2, B45.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mute_listener_costs_part_of_the_session() {
    let server = crate::common::shared_server();
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let quiet = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    std::thread::spawn({
        let accepted = Arc::clone(&accepted);
        move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                held.push(stream);
                accepted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let hosts = format!("{quiet},{}", server.connect_string());
    // The order is drawn from the seed; one of these tries the mute one first.
    for seed in 0..64 {
        let connecting = crate::common::builder(&hosts)
            .session_timeout(SESSION)
            .seed(seed);
        let zk = soon("a session", connecting.connect()).await.unwrap();
        zk.exists("/").await.unwrap();
        zk.close().await.unwrap();
        if accepted.load(Ordering::SeqCst) > 0 {
            return;
        }
    }
    panic!("no seed of 64 tries the first of two servers first");
}

/// A server that is asked while it starts may accept a connection and forget it. One such must not
/// take the time that the session has.
/// Guards: B45.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unanswered_handshake_keeps_the_session() {
    unless_starved(SESSION, survives_a_swallowed_handshake).await;
}

async fn survives_a_swallowed_handshake(timeout: Duration) {
    let server = crate::common::shared_server().address();
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let hosts = listener.local_addr().unwrap().to_string();
    let (cut, mut to_be_cut) = tokio::sync::mpsc::channel::<()>(1);
    tokio::spawn(async move {
        // The first is passed on until it is cut, the second swallowed, the others passed on.
        let (mut first, _) = listener.accept().await.unwrap();
        let mut upstream = TcpStream::connect(server).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut first, &mut upstream) => {}
            _ = to_be_cut.recv() => {}
        }
        drop((first, upstream));
        let _swallowed = listener.accept().await.unwrap();
        loop {
            let (mut other, _) = listener.accept().await.unwrap();
            let mut upstream = TcpStream::connect(server).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut other, &mut upstream).await });
        }
    });
    let zk = connect(&hosts, |builder| {
        builder
            .session_timeout(timeout)
            .backoff(crate::common::impatient())
    })
    .await;
    let session = zk.session();
    zk.create("/e", "").ephemeral().await.unwrap();
    let mut states = zk.states();
    cut.send(()).await.unwrap();
    until_suspended(&mut states).await;
    until_connected(&mut states).await;
    assert_eq!(zk.session(), session);
    let stat = zk.exists("/e").await.unwrap().unwrap();
    assert_eq!(stat.owner(), Some(session.id));
}
