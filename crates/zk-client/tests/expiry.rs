//! A session that a server has ended: its statistics, and handles of that session, with an embedded server.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use zk_client::{Client, ErrorKind, Outcome, State};
use zk_embedded::Server;

/// Waits until the client is connected in its second session.
async fn renewed(server: &Server, zk: &Client) {
    let mut states = zk.states();
    assert!(server.expire_session(zk.session().id));
    while !matches!(
        states.next().await.unwrap(),
        State::Connected { epoch: 2, .. }
    ) {}
}

// The client connected to the server, which answered: that is no failure of the server.
#[tokio::test]
async fn an_expiry_is_no_failed_connection() {
    let server = Server::start().await.unwrap();
    let zk = Client::connect(server.connect_string()).await.unwrap();
    renewed(&server, &zk).await;
    let statistics = zk.statistics();
    assert_eq!((statistics.expiries, statistics.sessions), (1, 2));
    assert_eq!(statistics.failed_connections, 0);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn a_handle_of_one_session_ends_with_it() {
    let server = Server::start().await.unwrap();
    let zk = Client::connect(server.connect_string()).await.unwrap();
    let first = zk.only_in_epoch(zk.session().epoch);
    first.create("/a", "").await.unwrap();
    renewed(&server, &zk).await;
    let failures = [
        first.delete("/a").await.unwrap_err(),
        first.get("/a").await.unwrap_err(),
        first.get("/a").synced().await.unwrap_err(),
        first.exists("/a").linearizable().await.unwrap_err(),
        first.multi().delete("/a").commit().await.unwrap_err(),
    ];
    for error in failures {
        assert_eq!(error.kind(), ErrorKind::SessionExpired, "{error}");
        assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    }
    zk.get("/a").synced().await.unwrap();
    zk.close().await.unwrap();
}
