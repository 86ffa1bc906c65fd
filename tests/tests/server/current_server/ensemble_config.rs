//! The ensemble's configuration: read, watched, changed and followed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use crate::common::*;
use zk_client::{Client, ErrorCode, ErrorKind, NodeEventKind, Outcome, State};
use zk_tests::SUPER_CREDENTIALS;

const CONFIG: &str = "/zookeeper/config";

async fn admin(hosts: &str) -> Client {
    builder(hosts)
        .auth("digest", SUPER_CREDENTIALS)
        .connect_timeout(NO_LIMIT)
        .connect()
        .await
        .unwrap()
}

/// As often as it takes: elections and the removal of the server that was asked come between.
async fn until_done<F: Future<Output = zk_client::Result<()>>>(mut change: impl FnMut() -> F) {
    until("the configuration is changed", || {
        let change = change();
        async move {
            match change.await {
                Ok(()) => true,
                Err(error) => {
                    let passes = error.outcome() == Outcome::Unknown
                        || error.is_retryable()
                        || matches!(
                            error.code(),
                            Some(ErrorCode::ReconfigInProgress | ErrorCode::NewConfigNoQuorum)
                        );
                    assert!(passes, "{error}");
                    false
                }
            }
        }
    })
    .await;
}

/// Guards: B60, A48.
#[tokio::test(flavor = "multi_thread")]
async fn config_and_its_watch_ignore_the_chroot() {
    let ensemble = blocking(ensemble);
    // A follower will be removed, and no client of this test is connected to it.
    let leader = blocking(|| ensemble.leader().unwrap().id());
    let servers = ensemble.servers().iter();
    let removed = servers.clone().map(TestServer::id).find(|id| *id != leader);
    let removed = removed.unwrap();
    let staying = servers.filter(|server| server.id() != removed);
    let hosts: Vec<_> = staying.map(TestServer::connect_string).collect();
    let hosts = hosts.join(",");
    let removed = u64::try_from(removed).unwrap();
    let admin = admin(&hosts).await;
    let (config, stat) = admin.config().await.unwrap();
    assert_eq!(config.servers.len(), 3);
    assert_eq!(stat, admin.exists(CONFIG).await.unwrap().unwrap());
    let mut watches = Vec::new();
    let long = format!("/{}", "long".repeat(100));
    for chroot in ["", "/a", "/zookeeper", CONFIG, &long] {
        let zk = builder(format!("{hosts}{chroot}"))
            .connect_timeout(NO_LIMIT)
            .connect()
            .await
            .unwrap();
        let (seen, _, watch) = zk.config().watch().await.unwrap();
        assert_eq!(seen, config);
        watches.push((chroot, zk, watch));
    }
    for refused in [
        admin.reconfig().await.unwrap_err(),
        admin
            .reconfig()
            .joining("server.4=nowhere")
            .await
            .unwrap_err(),
        admin
            .reconfig()
            .leaving(1)
            .new_members(["server.1=a:1:2;3"])
            .await
            .unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
        assert_eq!(refused.outcome(), Outcome::NotSent);
    }
    let stale = config.version.unwrap() - 1;
    let refused = admin
        .reconfig()
        .leaving(removed)
        .from_version(stale)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::BadVersion, "{refused}");
    let refused = watches[0].1.reconfig().leaving(removed).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoAuth, "{refused}");
    let dead = ["server.7=127.0.0.1:1:2;3", "server.8=127.0.0.1:4:5;6"];
    let mut reconfig = admin.reconfig();
    for server in dead {
        reconfig = reconfig.joining(server);
    }
    let refused = reconfig.leaving(1).leaving(2).leaving(3).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Server);
    assert_eq!(
        refused.code(),
        Some(ErrorCode::NewConfigNoQuorum),
        "{refused}"
    );
    assert!(refused.to_string().contains("no quorum"), "{refused}");

    let version = config.version.unwrap();
    let change = admin.reconfig().leaving(removed).from_version(version);
    let (changed, _) = change.await.unwrap();
    assert_eq!(changed.servers.len(), 2);
    assert!(changed.version > config.version);
    for (chroot, zk, watch) in watches {
        let event = soon("the event", watch).await;
        let event = event
            .node()
            .unwrap_or_else(|| panic!("{chroot}: {event:?}"));
        assert_eq!(
            (event.kind, &*event.path),
            (NodeEventKind::DataChanged, CONFIG)
        );
        assert_eq!(zk.config().await.unwrap().0, changed);
    }
}

/// Guards: C8, A80.
#[tokio::test(flavor = "multi_thread")]
async fn client_leaves_removed_servers() {
    let ensemble = blocking(ensemble);
    let hosts = ensemble.connect_string();
    let admin = admin(&hosts).await;
    // Only one of them is known to begin with, and the chroot stays what it is.
    let first = ensemble.servers()[0].connect_string();
    let root = unused_root();
    admin.create(&root, "").await.unwrap();
    let zk = builder(format!("{first}{root}"))
        .follow_config(true)
        .connect_timeout(NO_LIMIT)
        .connect()
        .await
        .unwrap();
    let session = zk.session();
    zk.create("/e", "").ephemeral().await.unwrap();
    assert_eq!(
        zk.server().unwrap().port,
        ensemble.servers()[0].address().port()
    );
    let mut states = zk.states();
    let line = |server: &TestServer, zk_config: &zk_client::EnsembleConfig| {
        let id = u64::try_from(server.id()).unwrap();
        let found = zk_config.servers.iter().find(|other| other.id == id);
        found.unwrap().to_string()
    };
    let (config, _) = admin.config().await.unwrap();
    for server in ensemble.servers() {
        let id = u64::try_from(server.id()).unwrap();
        until_done(|| async { admin.reconfig().leaving(id).await.map(|_| ()) }).await;
        let port = server.address().port();
        until("the client is elsewhere", || async {
            zk.server().is_some_and(|at| at.port != port)
        })
        .await;
        assert!(zk.exists("/e").await.unwrap().is_some());
        let back = line(server, &config);
        until_done(|| async { admin.reconfig().joining(&back).await.map(|_| ()) }).await;
    }
    assert_eq!(zk.session(), session);
    assert_eq!(zk.root().as_str(), root);
    zk.close().await.unwrap();
    let mut moved = false;
    while let Some(state) = states.next().await {
        assert!(!matches!(state, State::Expired { .. }));
        moved |= matches!(state, State::Suspended { .. });
    }
    assert!(moved);
}

/// Guards: A80.
#[tokio::test(flavor = "multi_thread")]
async fn standalone_server_has_an_empty_config() {
    let server = shared_server();
    let zk = builder(server.connect_string())
        .follow_config(true)
        .connect_timeout(NO_LIMIT)
        .connect()
        .await
        .unwrap();
    let (config, _) = zk.config().await.unwrap();
    assert!(config.connect_string().hosts.is_empty(), "{config}");
    assert_eq!(zk.server().unwrap().port, server.address().port());
    let refused = zk.reconfig().leaving(1).await.unwrap_err();
    assert_eq!(refused.outcome(), Outcome::Rejected, "{refused}");
}
