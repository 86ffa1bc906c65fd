//! A client that prefers one server of an ensemble, and returns to it, with writes in flight all the time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zk_client::{Client, Error};

use crate::common::{blocking, connect, impatient, serving, soon, unless_starved, until};

const SESSION: Duration = Duration::from_secs(6);
/// Requests in flight.
const BATCH: usize = 8;

/// The writes that failed. The others are counted by the znode's version.
async fn write(zk: Client, over: Arc<AtomicBool>) -> (usize, Vec<Error>) {
    let (mut done, mut failed) = (0, Vec::new());
    while !over.load(Ordering::Relaxed) {
        let batch: Vec<_> = (0..BATCH).map(|_| zk.set("/n", "").submit()).collect();
        for write in batch {
            match write.await {
                Ok(_) => done += 1,
                Err(error) => failed.push(error),
            }
        }
    }
    (done, failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preferred_server_is_returned_to() {
    unless_starved(SESSION, returns).await;
}

async fn returns(timeout: Duration) {
    let ensemble = blocking(crate::common::ensemble);
    let leader = blocking(|| ensemble.leader().unwrap().id());
    let preferred = ensemble.servers().iter().find(|it| it.id() != leader);
    let preferred = preferred.unwrap();
    let port = preferred.address().port();
    let zk = connect(&ensemble.connect_string(), |builder| {
        let builder = builder.prefer(move |server| u32::from(server.port != port));
        builder.session_timeout(timeout).backoff(impatient())
    })
    .await;
    let session = zk.session();
    let at = || blocking(|| serving(&ensemble, &zk).map(|server| server.id()));
    assert_eq!(at(), Some(preferred.id()));
    zk.create("/n", "").await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(zk.clone(), over.clone()));

    blocking(|| preferred.kill().unwrap());
    let elsewhere = || async { at().is_some_and(|at| at != preferred.id()) };
    until("the client is elsewhere", elsewhere).await;
    blocking(|| preferred.restart().unwrap());
    until("the client is back", || async {
        at() == Some(preferred.id())
    })
    .await;
    // The server shows the session before the client has read its answer.
    until("the client knows it", || async { zk.server().is_some() }).await;
    // It can leave the server, and stays away.
    let left = zk.leave_server().unwrap();
    assert_eq!(left.port, port);
    until("the client has left", elsewhere).await;
    over.store(true, Ordering::Relaxed);
    let (done, failed) = soon("the last writes", writer).await.unwrap();
    assert_eq!(zk.session(), session);
    // Only those in flight when the server was killed, and those that follow them, may have failed: the
    // moves lose none.
    assert!(failed.len() <= BATCH, "{failed:?}");
    let version = zk.exists("/n").await.unwrap().unwrap().version;
    let version = usize::try_from(version).unwrap();
    assert!(
        done <= version && version <= done + failed.len(),
        "{done} {version}"
    );
    assert!(zk.hosts().iter().any(|host| host.connected));
    zk.close().await.unwrap();
}
