//! Reads that see what had been committed before they were made.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use crate::common::{beside, client, connect, ensemble, soon};
use zk_client::{ErrorKind, WatchEvent};

#[tokio::test(flavor = "multi_thread")]
async fn barrier_read_sees_writes_elsewhere() {
    let ensemble = ensemble();
    let hosts: Vec<String> = ensemble
        .servers()
        .iter()
        .map(crate::common::TestServer::connect_string)
        .collect();
    let writer = connect(&hosts[0], |builder| builder).await;
    let readers = [
        beside(&writer, &hosts[1]).await,
        beside(&writer, &hosts[2]).await,
    ];
    writer.create("/a", "0").await.unwrap();
    for n in 1..=100 {
        let value = n.to_string();
        writer.set("/a", &value).await.unwrap();
        writer.create(&format!("/a/{n}"), "").await.unwrap();
        for reader in &readers {
            let (data, _) = reader.get("/a").synced().await.unwrap();
            assert_eq!(data, value);
            let names = reader.children("/a").linearizable().await.unwrap();
            assert_eq!(names.len(), n);
        }
        let missing = format!("/a/{}", n + 1);
        let (synced, committed) = (
            readers[0].exists(&missing).synced().submit(),
            readers[1].exists(&missing).linearizable().submit(),
        );
        assert_eq!(
            (synced.await.unwrap(), committed.await.unwrap()),
            (None, None)
        );
    }
}

#[tokio::test]
async fn barrier_read_keeps_watch_and_errors() {
    let zk = client().await;
    let missing = zk.get("/none").synced().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoNode);
    assert_eq!(
        (missing.op(), missing.path()),
        (Some("getData"), Some("/none"))
    );
    let missing = zk.children("/none").linearizable().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoNode);
    zk.create("/a", "1").await.unwrap();
    let (_, _, watch) = zk.get("/a").watch().linearizable().await.unwrap();
    zk.set("/a", "2").await.unwrap();
    assert!(matches!(
        soon("the change", watch).await,
        WatchEvent::Node(_)
    ));
    let (_, watch) = zk.exists("/b").watch().synced().await.unwrap();
    zk.create("/b", "").await.unwrap();
    assert!(matches!(
        soon("the creation", watch).await,
        WatchEvent::Node(_)
    ));
    assert_eq!(zk.statistics().outstanding, 0);
    assert_eq!(zk.statistics().watches, 0);
    zk.close().await.unwrap();
}
