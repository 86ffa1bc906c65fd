//! Servers without a quorum that serve reads nevertheless.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use crate::common::*;
use zk_client::{ErrorKind, LeaseLost, Outcome, State};
use zk_tests::ServerOptions;

fn read_only_ensemble() -> TestEnsemble {
    let options = ServerOptions::default()
        .system_property("readonlymode.enabled", "true")
        // Without a quorum a server can give no other.
        .config("localSessionsEnabled", "true")
        .config("localSessionsUpgradingEnabled", "true");
    TestEnsemble::start_with(options).unwrap()
}

fn read_only(state: &State) -> bool {
    matches!(state, State::ConnectedReadOnly { .. })
}

fn read_write(state: &State) -> bool {
    matches!(state, State::Connected { .. })
}

/// Guards: A30, I17, X15.
#[tokio::test(flavor = "multi_thread")]
async fn read_only_reads_then_a_quorum_session() {
    let ensemble = blocking(read_only_ensemble);
    let hosts = ensemble.connect_string();
    let writer = client_of(&hosts).await;
    writer.create("/a", "1").await.unwrap();
    writer.sync("/a").await.unwrap();
    let root = writer.root().as_str().to_owned();
    writer.close().await.unwrap();
    let (lone, others) = ensemble.servers().split_first().unwrap();
    blocking(|| {
        for server in others {
            server.kill().unwrap();
        }
    });
    let zk = connect_as_is(&hosts).await;
    let zk = zk.chroot(&root).unwrap();
    assert_eq!(zk.state(), State::ConnectedReadOnly { epoch: 0 });
    assert_eq!(zk.server().unwrap().port, lone.address().port());
    assert!(zk.session().id.is_none());
    assert_eq!(zk.lease().check(), Err(LeaseLost::SessionEnded));
    let (data, _, watch) = zk.get("/a").watch().await.unwrap();
    assert_eq!(&*data, b"1");
    for refused in [
        zk.set("/a", "2").await.unwrap_err(),
        zk.create("/e", "").ephemeral().await.unwrap_err(),
        zk.multi().delete("/a").commit().await.unwrap_err(),
        zk.sync("/a").await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
        assert_eq!(refused.outcome(), Outcome::Rejected, "{refused}");
    }
    let mut states = zk.states();
    blocking(|| {
        for server in others {
            server.spawn().unwrap();
        }
    });
    let seen = states_until(&mut states, "a quorum", read_write).await;
    assert!(!seen.iter().any(|s| matches!(s, State::Expired { .. })));
    assert!(matches!(
        seen.last(),
        Some(State::Connected { epoch: 1, .. })
    ));
    // What was watched is, and what was refused is not any more.
    zk.set("/a", "2").await.unwrap();
    let event = soon("the event", watch).await;
    assert!(event.node().is_some(), "{event:?}");
    zk.create("/e", "").ephemeral().await.unwrap();
    zk.close().await.unwrap();
}

/// The server decides what becomes of a session when it loses its quorum. The client reports it, once,
/// and no lease outlives the session.
/// Guards: A30.
#[tokio::test(flavor = "multi_thread")]
async fn quorum_loss_keeps_or_expires_session() {
    let ensemble = blocking(read_only_ensemble);
    let hosts = ensemble.connect_string();
    let zk = connect_as_is(&hosts).await;
    let root = unused_root();
    zk.create(&root, "").ephemeral().await.unwrap();
    let session = zk.session();
    let lease = zk.lease();
    let mut states = zk.states();
    let at = zk.server().unwrap().port;
    let others = || {
        ensemble
            .servers()
            .iter()
            .filter(|s| s.address().port() != at)
    };
    blocking(|| others().for_each(|server| server.kill().unwrap()));
    let seen = states_until(&mut states, "a read-only server", read_only).await;
    let expired = seen.iter().any(|s| matches!(s, State::Expired { .. }));
    assert!(zk.exists(&root).await.unwrap().is_some() || expired);
    soon("the lease's end", lease.lost()).await;
    blocking(|| others().for_each(|server| server.spawn().unwrap()));
    let seen = states_until(&mut states, "a quorum", read_write).await;
    let again = seen.iter().any(|s| matches!(s, State::Expired { .. }));
    assert!(!(expired && again), "{seen:?}");
    assert_eq!(zk.session() == session, !expired && !again);
    assert_eq!(lease.check().is_ok(), !expired && !again);
    zk.close().await.unwrap();
}

async fn connect_as_is(hosts: &str) -> zk_client::Client {
    builder(hosts)
        .read_only(true)
        .session_timeout(std::time::Duration::from_secs(6))
        .connect_timeout(NO_LIMIT)
        .backoff(impatient())
        .connect()
        .await
        .unwrap()
}
