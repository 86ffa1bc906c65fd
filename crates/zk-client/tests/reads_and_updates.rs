//! Reads with a barrier, transactions and updates, with an embedded server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod common;

use common::connect;
use zk_client::{Client, ErrorKind, Outcome};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;

#[tokio::test]
async fn submitted_reads_borrow_nothing() {
    let (_server, zk) = connect().await;
    zk.create("/a", "x").await.unwrap();
    // The handle and the path are gone before the futures run.
    let (plain, synced, linearizable, transaction) = {
        let (zk, path) = (zk.clone(), String::from("/a"));
        (
            tokio::spawn(zk.get(&path).submit()),
            tokio::spawn(zk.children(&path).synced().submit()),
            tokio::spawn(zk.exists(&path).linearizable().submit()),
            tokio::spawn(zk.multi().check(&path, 0).commit()),
        )
    };
    assert_eq!(plain.await.unwrap().unwrap().0, "x");
    assert!(synced.await.unwrap().unwrap().is_empty());
    assert!(linearizable.await.unwrap().unwrap().is_some());
    assert_eq!(transaction.await.unwrap().unwrap().len(), 1);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn a_failed_transaction_names_its_path() {
    let (_server, zk) = connect().await;
    zk.create("/a, b", "").await.unwrap();
    let multi = zk.multi().create("/c", "").check("/a, b", 7).delete("/d");
    let error = multi.commit().await.unwrap_err();
    assert_eq!((error.failed_op(), error.path()), (Some(1), Some("/a, b")));
    assert_eq!(
        error.to_string(),
        "multi /a, b: operation 1 of the transaction: the znode has another version; it had no \
         effect (read it again, and decide again)"
    );
    zk.close().await.unwrap();
    // Without an index, the error names all of them.
    let handle = zk_client_of_closed().await;
    let error = handle.multi().delete("/a").delete("/b").commit().await;
    let error = error.unwrap_err();
    assert_eq!((error.failed_op(), error.path()), (None, Some("/a, /b")));
}

async fn zk_client_of_closed() -> Client {
    let (_server, zk) = connect().await;
    zk.clone().close().await.unwrap();
    zk
}

#[tokio::test]
async fn an_update_counts_every_call_once() {
    let (server, zk) = connect().await;
    zk.create("/count", "0").await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let zk = Client::connect(server.connect_string()).await.unwrap();
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                zk.update("/count", increment).await.unwrap();
            }
            zk.close().await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let (data, stat) = zk.get("/count").await.unwrap();
    assert_eq!((data.as_ref(), stat.version), (&b"40"[..], 40));
    zk.close().await.unwrap();
}

fn increment(data: &[u8]) -> Option<String> {
    let count: u32 = std::str::from_utf8(data).ok()?.parse().ok()?;
    Some((count + 1).to_string())
}

#[tokio::test]
async fn an_update_may_leave_the_data() {
    let (_server, zk) = connect().await;
    zk.create("/a", "word").await.unwrap();
    let (data, stat) = zk.update("/a", increment).await.unwrap();
    assert_eq!((data.as_ref(), stat.version), (&b"word"[..], 0));
    let error = zk.update("/none", increment).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::NoNode, Outcome::Rejected)
    );
    zk.close().await.unwrap();
}

#[tokio::test]
async fn an_update_of_unknown_effect_is_unknown() {
    let (server, zk) = connect().await;
    zk.create("/count", "0").await.unwrap();
    // Not executed: the client finds the old version and sets again.
    server
        .faults()
        .script([on(OpCode::SetData).then(Action::Close)]);
    let (data, stat) = zk.update("/count", increment).await.unwrap();
    assert_eq!((data.as_ref(), stat.version), (&b"1"[..], 1));
    // Executed: another client could have written the same count.
    server
        .faults()
        .script([on(OpCode::SetData).then(Action::DropReply)]);
    let error = zk.update("/count", increment).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(zk.get("/count").await.unwrap().0, "2");
    zk.close().await.unwrap();
}
