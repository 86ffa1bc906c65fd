//! More requests than may be outstanding, with an embedded server that loses connections.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use zk_client::{Client, ErrorKind, Outcome};
use zk_embedded::Server;
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;

const MOST: usize = 32;

async fn connect() -> (Server, Client) {
    let server = Server::start().await.unwrap();
    let builder = Client::builder(server.connect_string()).max_outstanding(MOST);
    let client = builder.connect().await.unwrap();
    (server, client)
}

/// Guards: G8.
#[tokio::test]
async fn waiting_writers_never_find_a_full_queue() {
    let (server, zk) = connect().await;
    zk.create("/a", "").await.unwrap();
    server.faults().script([
        on(OpCode::SetData).after(300).then(Action::DropReply),
        on(OpCode::SetData).after(900).then(Action::Close),
    ]);
    let write = async |zk: Client| {
        let room = zk.wait_for_room().await.unwrap();
        let done = room.set("/a", "x").submit();
        assert!(zk.statistics().outstanding <= MOST);
        done.await
    };
    let writers: Vec<_> = (0..2000).map(|_| tokio::spawn(write(zk.clone()))).collect();
    let (mut written, mut unknown) = (0, 0);
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => written += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
                unknown += i32::from(error.outcome() == Outcome::Unknown);
            }
        }
    }
    let version = zk.get("/a").await.unwrap().1.version;
    assert!(
        (written..=written + unknown).contains(&version),
        "{written} {unknown} {version}"
    );
    assert!(version > 1800, "{version}");
    zk.close().await.unwrap();
}

#[tokio::test]
async fn waiting_writers_leave_room_for_others() {
    let (_server, zk) = connect().await;
    zk.create("/a", "").await.unwrap();
    let load: Vec<_> = (0..4 * MOST)
        .map(|_| {
            let zk = zk.clone();
            tokio::spawn(async move {
                loop {
                    let room = zk.wait_for_room().await.unwrap();
                    room.set("/a", "x").await.unwrap();
                }
            })
        })
        .collect();
    while zk.statistics().outstanding < MOST - 2 {
        tokio::task::yield_now().await;
    }
    // Each finds room soon, however many others wait.
    for read in 0..100 {
        let mut refused = 0;
        while let Err(error) = zk.exists("/a").await {
            assert_eq!(error.kind(), ErrorKind::QueueFull);
            refused += 1;
            assert!(refused < 10_000, "read {read} finds no room");
            tokio::task::yield_now().await;
        }
    }
    load.iter().for_each(tokio::task::JoinHandle::abort);
}

/// `/a` with 300 children, and a znode below each.
async fn fill(zk: &Client) {
    let mut multi = zk.multi().create("/a", "");
    for child in 0..300 {
        multi = multi.create(&format!("/a/{child}"), "");
        multi = multi.create(&format!("/a/{child}/b"), "");
    }
    multi.commit().await.unwrap();
}

#[tokio::test]
async fn a_deletion_leaves_room_for_others() {
    let (_server, zk) = connect().await;
    fill(&zk).await;
    let deletion = tokio::spawn(zk.delete("/a").recursive().submit());
    let mut reads = 0;
    while zk.exists("/a").await.unwrap().is_some() {
        assert!(zk.statistics().outstanding <= MOST / 4);
        reads += 1;
    }
    deletion.await.unwrap().unwrap();
    assert!(reads > 10, "{reads}");
}

#[tokio::test]
async fn a_deletion_ends_in_little_room() {
    let (_server, zk) = connect().await;
    fill(&zk).await;
    // Replies that have not been taken are outstanding.
    let held: Vec<_> = (1..MOST).map(|_| zk.exists("/a").submit()).collect();
    let before = zk.statistics();
    zk.delete("/a").recursive().await.unwrap();
    // At most every other request was refused.
    let after = zk.statistics();
    let refused = after.writes.not_sent - before.writes.not_sent;
    let answered = after.writes.submitted - before.writes.submitted - refused;
    assert!(refused <= answered, "{refused} {answered}");
    assert_eq!(zk.exists("/a").await.unwrap(), None);
    drop(held);
}

/// Operations that are two requests sent together.
#[tokio::test]
async fn there_is_always_room_for_two_requests() {
    let server = Server::start().await.unwrap();
    for most in [0, 1] {
        let builder = Client::builder(server.connect_string()).max_outstanding(most);
        let zk = builder.connect().await.unwrap();
        let (_, stat) = zk.get("/").synced().await.unwrap();
        let on_create = on(OpCode::Create2).session(zk.session().id);
        server.faults().rule(on_create.then(Action::DropReply));
        let created = zk.create("/a-", "").sequential().protected().await.unwrap();
        zk.delete(&created.path).await.unwrap();
        assert_eq!(stat.ephemeral_owner, 0);
        zk.close().await.unwrap();
    }
}
