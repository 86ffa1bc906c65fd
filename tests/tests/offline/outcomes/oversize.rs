//! Frames larger than the client accepts.

use std::error::Error as _;

use zk_client::{Disconnect, ErrorKind, Outcome, WatchEvent, WatchMode};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;

use crate::common::memory::Wire;

const LIMIT: usize = 300;

/// Guards: L10. A notification is no reply: the oldest read is sent again.
#[tokio::test(start_paused = true)]
async fn an_oversize_notification_fails_no_read() {
    let wire = Wire::new().await;
    let other = wire.client().await;
    let zk = wire
        .builder()
        .max_reply_bytes(LIMIT)
        .connect()
        .await
        .unwrap();
    other.create("/x", "here").await.unwrap();
    let mut events = zk.watch("/", WatchMode::PersistentRecursive).await.unwrap();
    // None of these is answered on this connection.
    for op in [OpCode::GetData, OpCode::SetData, OpCode::GetChildren2] {
        wire.server.faults().rule(on(op).then(Action::Swallow));
    }
    let (read, write) = (zk.get("/x").submit(), zk.set("/x", "set").submit());
    let listing = zk.children("/x").submit();
    while wire.server.faults().pending() > 0 {
        tokio::task::yield_now().await;
    }
    let path = format!("/{}", "y".repeat(LIMIT));
    other.create(&path, "").await.unwrap();
    let error = write.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    let cause = error.disconnect();
    let is_cause = matches!(cause, Some(Disconnect::FrameTooLarge { limit: LIMIT, .. }));
    assert!(is_cause, "{cause:?}");
    assert_eq!(read.await.unwrap().0, "set");
    assert!(listing.await.unwrap().is_empty());
    assert_eq!(zk.statistics().lost_connections, 1);
    // The event of the write was swallowed with its reply.
    let delivered = events.next().await;
    assert!(
        matches!(delivered, Some(WatchEvent::Gap { .. })),
        "{delivered:?}"
    );
}

/// Guards: M3. The background look for the znode of a dropped creation ends, and with it the loss of
/// connections.
#[tokio::test(start_paused = true)]
async fn an_oversize_list_costs_one_connection() {
    for lost_reply in [false, true] {
        let wire = Wire::new().await;
        let other = wire.client().await;
        let zk = wire
            .builder()
            .max_reply_bytes(LIMIT)
            .connect()
            .await
            .unwrap();
        other.create("/queue", "").await.unwrap();
        for n in 0..LIMIT / 10 {
            other
                .create(&format!("/queue/item-{n:06}"), "")
                .await
                .unwrap();
        }
        let create = zk.create("/queue/x-", "").sequential().protected();
        let mut expected = 1;
        if lost_reply {
            expected = 2;
            wire.server
                .faults()
                .drop_reply_after_apply(on(OpCode::Create2));
            let error = create.await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert_eq!(
                error.path().map(|path| path.starts_with("/queue/_c_")),
                Some(true)
            );
            let text = error.to_string();
            assert!(text.contains("whether it took effect is unknown"), "{text}");
            assert!(!text.contains("a read changes nothing"), "{text}");
            let look = error.source().unwrap().to_string();
            assert!(look.contains("getChildren /queue: the reply is"), "{look}");
        } else {
            drop(create.submit());
        }
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
        assert_eq!(zk.statistics().lost_connections, expected);
    }
}

/// The read whose reply is too large fails, and no other.
#[tokio::test(start_paused = true)]
async fn an_oversize_reply_fails_its_read() {
    let wire = Wire::new().await;
    let other = wire.client().await;
    let zk = wire
        .builder()
        .max_reply_bytes(LIMIT)
        .connect()
        .await
        .unwrap();
    other.create("/large", vec![1; LIMIT]).await.unwrap();
    other.create("/small", "here").await.unwrap();
    let reads = ["/small", "/large", "/small"].map(|path| zk.get(path).submit());
    let [before, large, after] = reads;
    let error = large.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReplyTooLarge, "{error}");
    assert_eq!(before.await.unwrap().0, "here");
    assert_eq!(after.await.unwrap().0, "here");
}
