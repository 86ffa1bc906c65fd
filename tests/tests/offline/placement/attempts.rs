//! How many attempts to connect may fail in a row, on a paused clock.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use zk_client::{ErrorKind, State};

use super::{SECOND, until};
use crate::common::members::Members;

/// A move, a lost connection and an expired session are no failed attempts.
#[tokio::test(start_paused = true)]
async fn one_attempt_is_enough_for_a_server() {
    let members = Members::start(3).await;
    let builder = members.client("zk1,zk2").max_connect_attempts(1);
    let zk = builder.connect().await.unwrap();
    let session = zk.session();
    let left = zk.leave_server().unwrap();
    zk.create("/a", "").await.unwrap();
    assert_ne!(zk.server().unwrap(), left);
    let connections = zk.statistics().connections;
    assert_eq!(members.server.faults().disconnect(session.id), 1);
    let reconnected = || zk.statistics().connections > connections;
    until("it is connected again", reconnected).await;
    assert_eq!(zk.session(), session);
    assert!(members.server.expire_session(session.id));
    until("the session is renewed", || zk.session().epoch == 2).await;
    zk.get("/a").await.unwrap();
    assert_eq!(zk.statistics().failed_connections, 0);
}

#[tokio::test(start_paused = true)]
async fn as_many_attempts_are_made() {
    let members = Members::start(1).await;
    for (at, attempts) in (1..=3).enumerate() {
        let host = format!("zk9{at}");
        let zk = members.client(&host).max_connect_attempts(attempts);
        let error = zk.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(
            error.to_string().contains(&format!(" {attempts} failed")),
            "{error}"
        );
        assert_eq!(members.dialled(&host), attempts);
    }
    // After a lost connection as well.
    for attempts in 1..=3 {
        members.run_all();
        let builder = members.client("zk1").max_connect_attempts(attempts);
        let zk = builder.connect().await.unwrap();
        members.server.member(0).stop();
        let before = members.dialled("zk1");
        until("the client has ended", || zk.state() == State::Closed).await;
        assert_eq!(members.dialled("zk1") - before, attempts);
    }
    tokio::time::sleep(60 * SECOND).await;
}
