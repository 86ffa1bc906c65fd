//! The statistics of a session that a server has ended, with an embedded server.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use zk_client::{Client, State};
use zk_embedded::Server;

// The client connected to the server, which answered: that is no failure of the server.
#[tokio::test]
async fn an_expiry_is_no_failed_connection() {
    let server = Server::start().await.unwrap();
    let zk = Client::connect(server.connect_string()).await.unwrap();
    let mut states = zk.states();
    assert!(server.expire_session(zk.session().id));
    while !matches!(
        states.next().await.unwrap(),
        State::Connected { epoch: 2, .. }
    ) {}
    let statistics = zk.statistics();
    assert_eq!((statistics.expiries, statistics.sessions), (1, 2));
    assert_eq!(statistics.failed_connections, 0);
    zk.close().await.unwrap();
}
