//! Queues when replies, connections and sessions are lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::common::{Memory, at, dropped_after, memory, pose, soon, start, until, until_unwatched};
use tokio::task::JoinSet;
use zk_client::{CreateMode, ErrorKind};
use zk_embedded::fault::on;
use zk_proto::OpCode;
use zk_recipes::{Error, Queue, QueueLayout};

pub(super) const LAYOUTS: [QueueLayout; 7] = [
    QueueLayout::KazooLocking,
    QueueLayout::Kazoo,
    QueueLayout::Curator,
    QueueLayout::CuratorPriority,
    QueueLayout::CuratorDelay,
    QueueLayout::CuratorId,
    QueueLayout::Simple,
];

pub(super) fn entries(layout: QueueLayout) -> &'static str {
    match layout {
        QueueLayout::KazooLocking => "/q/entries",
        _ => "/q",
    }
}

fn claims(layout: QueueLayout) -> &'static str {
    match layout {
        QueueLayout::KazooLocking => "/q/taken",
        _ => "/q-claims",
    }
}

fn puts(layout: QueueLayout) -> &'static str {
    match layout {
        QueueLayout::KazooLocking => "/q/puts",
        _ => "/q-puts",
    }
}

pub(super) fn waiting(layout: QueueLayout) -> &'static str {
    match layout {
        QueueLayout::KazooLocking => "/q/waiting/consumers",
        _ => "/q-waiting/consumers",
    }
}

/// Waits until neither a claim, a put nor a consumer that waits has a znode.
pub(super) async fn settled(memory: &Memory, layout: QueueLayout) {
    memory.until_names(claims(layout), 0).await;
    memory.until_names(puts(layout), 0).await;
    memory.until_names(waiting(layout), 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_item_is_delivered_until_acknowledged() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let queue = Queue::new(&zk, "/q").layout(layout);
        let others = Queue::new(&other, "/q").layout(layout);
        assert!(queue.try_take().await.unwrap().is_none());
        queue.put("a").await.unwrap();
        let claim = soon("an item", queue.take()).await.unwrap();
        assert_eq!(claim.items().unwrap(), ["a"]);
        claim.check().unwrap();
        assert!(others.try_take().await.unwrap().is_none());
        assert_eq!(
            (
                queue.len().await.unwrap(),
                memory.names(claims(layout)).len()
            ),
            (1, 1)
        );
        claim.release().await.unwrap();
        let claim = soon("it again", others.take()).await.unwrap();
        drop(claim);
        let claim = soon("it once more", others.take()).await.unwrap();
        claim.ack().await.unwrap();
        assert!(queue.is_empty().await.unwrap());
        assert!(queue.try_take().await.unwrap().is_none());
        settled(&memory, layout).await;
    }
}

/// The names and contents, byte by byte.
#[tokio::test(start_paused = true)]
async fn znodes_are_those_of_kazoo_and_curator() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(0x0123_4567_89AB);
    for (layout, name, data) in [
        (QueueLayout::KazooLocking, "entry-100-0000000000", "ab"),
        (QueueLayout::Kazoo, "entry-100-0000000000", "ab"),
        (QueueLayout::Simple, "qn-0000000000", "ab"),
        (QueueLayout::Curator, "queue-0000000000", ""),
        (
            QueueLayout::CuratorPriority,
            "queue-1000000000000000000",
            "",
        ),
        (
            QueueLayout::CuratorDelay,
            "queue-|123456789AB|0000000000",
            "",
        ),
        (QueueLayout::CuratorId, "queue-|x_y|0000000000", ""),
    ] {
        let memory = memory(1).await;
        let zk = memory.any().await;
        let queue = Queue::new(&zk, "/q").layout(layout);
        let put = queue.put("ab");
        match layout {
            QueueLayout::CuratorDelay => put.not_before(time).await.unwrap(),
            QueueLayout::CuratorId => put.id("x/y").await.unwrap(),
            _ => put.await.unwrap(),
        }
        assert_eq!(memory.names(entries(layout)), [name]);
        let stored = zk
            .get(&format!("{}/{name}", entries(layout)))
            .await
            .unwrap()
            .0;
        match data {
            "" => assert_eq!(stored[..], *b"\0\x01\0\x01\x01\0\0\0\x02ab\x02"),
            data => assert_eq!(stored, data),
        }
        let claim = soon("the item", queue.take()).await.unwrap();
        assert_eq!(memory.names(claims(layout)), [name]);
        let id = zk
            .get(&format!("{}/{name}", claims(layout)))
            .await
            .unwrap()
            .0;
        assert!(
            id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit),
            "{id:?}"
        );
        claim.ack().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn priorities_and_ids_order_and_remove() {
    for layout in [QueueLayout::KazooLocking, QueueLayout::CuratorPriority] {
        let memory = memory(1).await;
        let queue = Queue::new(&memory.any().await, "/q").layout(layout);
        for (item, priority) in [("c", 300), ("a", 1), ("b", 20), ("b2", 20)] {
            queue.put(item).priority(priority).await.unwrap();
        }
        for item in ["a", "b", "b2", "c"] {
            let claim = soon("an item", queue.take()).await.unwrap();
            assert_eq!(claim.items().unwrap(), [item]);
            claim.ack().await.unwrap();
        }
    }
    let memory = memory(1).await;
    let queue = Queue::new(&memory.any().await, "/q").layout(QueueLayout::CuratorId);
    for id in ["a", "b", "a"] {
        queue.put(id).id(id).await.unwrap();
    }
    let held = soon("the first", queue.take()).await.unwrap();
    assert_eq!(queue.remove("a").await.unwrap(), 1, "the other is claimed");
    held.ack().await.unwrap();
    assert_eq!(queue.len().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn items_put_together_are_all_there() {
    for (layout, znodes) in [(QueueLayout::KazooLocking, 3), (QueueLayout::Curator, 1)] {
        let memory = memory(1).await;
        let queue = Queue::new(&memory.any().await, "/q").layout(layout);
        queue.put_all(["a", "b", "c"]).await.unwrap();
        assert_eq!(memory.names(entries(layout)).len(), znodes);
        let mut items = Vec::new();
        while let Some(claim) = queue.try_take().await.unwrap() {
            items.extend(claim.items().unwrap());
            claim.ack().await.unwrap();
        }
        assert_eq!(items, ["a", "b", "c"]);
    }
}

/// A put, a claim, an acknowledgement and a release whose replies are lost are applied once.
///
/// Guards: A57.
#[tokio::test(start_paused = true)]
async fn lost_replies_are_resolved() {
    // ClickHouse Keeper ends the session with the connection, and the mark of the put with it.
    if !pose().resumes_sessions() {
        return;
    }
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let zk = memory.any().await;
        let queue = Queue::new(&zk, "/q").layout(layout);
        assert!(queue.try_take().await.unwrap().is_none());
        let faults = memory.server.faults();
        faults.drop_reply_after_apply(on(OpCode::Multi));
        soon("the put", async { queue.put("a").await })
            .await
            .unwrap();
        assert_eq!(memory.names(entries(layout)).len(), 1);
        faults.drop_reply_after_apply(on(OpCode::Multi));
        let claim = soon("the claim", queue.take()).await.unwrap();
        claim.check().unwrap();
        faults.drop_reply_after_apply(on(OpCode::Delete));
        soon("the release", claim.release()).await.unwrap();
        let claim = soon("the claim", queue.take()).await.unwrap();
        faults.drop_reply_after_apply(on(OpCode::Multi));
        soon("the acknowledgement", claim.ack()).await.unwrap();
        assert!(memory.names(entries(layout)).is_empty());
        settled(&memory, layout).await;
    }
}

/// A foreign consumer removes an item, and a foreign administrator a claim.
#[tokio::test(start_paused = true)]
async fn an_item_or_claim_removed_is_an_error() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let queue = Queue::new(&zk, "/q").layout(QueueLayout::Simple);
    queue.put("a").await.unwrap();
    let claim = soon("an item", queue.take()).await.unwrap();
    zk.delete(claim.path()).await.unwrap();
    let error = claim.ack().await.unwrap_err();
    assert!(matches!(error, Error::ItemRemoved { .. }), "{error}");
    memory.until_names("/q-claims", 0).await;

    queue.put("b").await.unwrap();
    let claim = soon("an item", queue.take()).await.unwrap();
    let name = memory.names("/q-claims").remove(0);
    zk.delete(&format!("/q-claims/{name}")).await.unwrap();
    let error = claim.ack().await.unwrap_err();
    assert!(matches!(error, Error::ClaimLost { .. }), "{error}");
    assert_eq!(queue.len().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_item_delivered_too_often_is_dead() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let queue = Queue::new(&memory.any().await, "/q").layout(layout);
        let queue = queue.max_deliveries(2);
        queue.put("poison").await.unwrap();
        queue.put("fine").await.unwrap();
        for delivery in 1..=2 {
            let claim = soon("a delivery", queue.take()).await.unwrap();
            assert_eq!(claim.items().unwrap(), ["poison"]);
            assert_eq!(claim.deliveries(), Some(delivery));
            claim.release().await.unwrap();
            // The stock has the second item only.
            if delivery == 1 {
                let other = soon("the other", queue.take()).await.unwrap();
                assert_eq!(other.items().unwrap(), ["fine"]);
                other.ack().await.unwrap();
            }
        }
        assert!(queue.try_take().await.unwrap().is_none());
        assert!(queue.is_empty().await.unwrap());
        let dead = queue.dead_letters().await.unwrap();
        assert_eq!(dead.len(), 1, "{layout:?}");
        let left = match layout {
            QueueLayout::KazooLocking => "/q/deliveries",
            _ => "/q-deliveries",
        };
        assert!(memory.names(left).is_empty(), "no count is left");
        queue.put("rejected").await.unwrap();
        let claim = soon("it", queue.take()).await.unwrap();
        claim.reject().await.unwrap();
        assert_eq!(queue.dead_letters().await.unwrap().len(), 2);
        settled(&memory, layout).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_or_waits() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let queue = Queue::new(&zk, "/q").max_items(2);
    queue.put("a").await.unwrap();
    queue.put("b").await.unwrap();
    let error = queue.put("c").no_wait().await.unwrap_err();
    assert!(
        matches!(error, Error::TooManyItems { max: 2, .. }),
        "{error}"
    );
    let waiting = start({
        let queue = queue.clone();
        async move { queue.put("c").await }
    });
    until("the put waits", || {
        memory.server.watches_on(&at("/q/entries")).child > 0
    })
    .await;
    memory.server.faults().disconnect(zk.session().id);
    assert_eq!(queue.len().await.unwrap(), 2);
    let taken = Queue::new(&other, "/q").take().await.unwrap();
    taken.ack().await.unwrap();
    soon("the put", waiting).await.unwrap().unwrap();
    assert_eq!(queue.len().await.unwrap(), 2);
    until_unwatched(|| memory.server.watch_counts().child).await;
}

#[tokio::test(start_paused = true)]
async fn an_item_is_not_delivered_before_its_time() {
    let memory = memory(1).await;
    let queue = Queue::new(&memory.any().await, "/q").layout(QueueLayout::CuratorDelay);
    queue
        .put("later")
        .delay(Duration::from_secs(3600))
        .await
        .unwrap();
    queue.put("never").delay(Duration::MAX).await.unwrap();
    assert!(queue.try_take().await.unwrap().is_none());
    queue.put("now").delay(Duration::ZERO).await.unwrap();
    let claim = soon("the item", queue.take()).await.unwrap();
    assert_eq!(claim.items().unwrap(), ["now"]);
    claim.ack().await.unwrap();
    assert!(queue.try_take().await.unwrap().is_none());
    let refused = Queue::new(&memory.any().await, "/p")
        .put("x")
        .delay(Duration::ZERO);
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, Error::Unsupported(_)), "{refused}");
    assert!(memory.names("/p").is_empty());
}

/// Guards: C12.
#[tokio::test(start_paused = true)]
async fn a_dropped_take_leaves_nothing() {
    for layout in [QueueLayout::KazooLocking, QueueLayout::Simple] {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let queue = Queue::new(&zk, "/q").layout(layout);
        queue.put("a").await.unwrap();
        let mut through = 0;
        for polls in 1..60 {
            let queue = Queue::new(&zk, "/q").layout(layout).max_deliveries(1000);
            through += u32::from(dropped_after(polls, queue.take()).await);
            memory.until_names(claims(layout), 0).await;
        }
        assert!(through > 0, "a take that is not dropped");
        let claim = soon("the item", Queue::new(&other, "/q").layout(layout).take()).await;
        let claim = claim.unwrap();
        for polls in 1..40 {
            let taken = dropped_after(polls, queue.take()).await;
            assert!(!taken, "another consumer has it");
            memory.until_names(waiting(layout), 0).await;
        }
        until_unwatched(|| memory.server.watch_counts().child).await;
        claim.ack().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_put_or_ack_is_whole() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let queue = Queue::new(&zk, "/q");
    assert!(queue.try_take().await.unwrap().is_none());
    for polls in 1..20 {
        dropped_after(polls, queue.put_all(["a", "b"]).into_future()).await;
        zk.sync("/").await.unwrap();
        settled(&memory, QueueLayout::KazooLocking).await;
        let count = memory.names("/q/entries").len();
        assert_eq!(count % 2, 0, "both or none");
        if count > 0 {
            let claim = soon("an item", queue.take()).await.unwrap();
            dropped_after(polls, claim.ack()).await;
            settled(&memory, QueueLayout::KazooLocking).await;
        }
        while let Some(claim) = queue.try_take().await.unwrap() {
            claim.ack().await.unwrap();
        }
        assert!(memory.names("/q/entries").is_empty());
    }
}

/// A program that is closed after a dropped take has released the item.
#[tokio::test(start_paused = true)]
async fn closing_waits_for_the_release() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let queue = Queue::new(&zk, "/q");
    queue.put("a").await.unwrap();
    drop(soon("the item", queue.take()).await.unwrap());
    zk.close().await.unwrap();
    assert!(memory.names("/q/taken").is_empty());
    let claim = Queue::new(&other, "/q").try_take().await.unwrap();
    claim.unwrap().ack().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_root_and_bad_paths_are_refused() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    for path in ["/", "q", "/q/"] {
        let error = Queue::new(&zk, path).take().await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::InvalidPath), "{path}");
        let error = Queue::new(&zk, path).put("a").await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::InvalidPath), "{path}");
    }
}

/// Data that are not Curator's do not stop the queue.
#[tokio::test(start_paused = true)]
async fn an_undecodable_item_can_be_rejected() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let queue = Queue::new(&zk, "/q").layout(QueueLayout::Curator);
    zk.ensure_path("/q").await.unwrap();
    let create = zk
        .create("/q/queue-", "x")
        .mode(CreateMode::PersistentSequential);
    create.await.unwrap();
    let claim = soon("the item", queue.take()).await.unwrap();
    let error = claim.items().unwrap_err();
    assert!(matches!(error, Error::Undecodable { .. }), "{error}");
    claim.reject().await.unwrap();
    let dead = queue.dead_letters().await.unwrap();
    assert_eq!(dead[0].1, "x");
}

/// Consumers that lose connections, sessions and replies acknowledge every item, and no acknowledged
/// item is delivered again.
#[tokio::test(start_paused = true)]
async fn all_items_are_acknowledged_once() {
    const ITEMS: usize = 120;
    let memory = memory(1).await;
    let acknowledged: Arc<Mutex<BTreeMap<Vec<u8>, u32>>> = Arc::default();
    let mut workers = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let zk = memory.any().await;
        clients.push(zk.clone());
        let acknowledged = acknowledged.clone();
        workers.spawn(async move {
            let queue = Queue::new(&zk, "/q");
            while acknowledged.lock().unwrap().len() < ITEMS {
                let take = queue.take_timeout(Duration::from_secs(1));
                let Ok(Some(claim)) = take.await else {
                    continue;
                };
                let item = claim.data().to_vec();
                let before = acknowledged.lock().unwrap().contains_key(&item);
                assert!(!before, "an acknowledged item is delivered again");
                tokio::time::sleep(Duration::from_millis(3)).await;
                if claim.ack().await.is_ok() {
                    *acknowledged.lock().unwrap().entry(item).or_default() += 1;
                }
            }
        });
    }
    let producer = memory.any().await;
    let queue = Queue::new(&producer, "/q");
    for n in 0..ITEMS {
        // On ClickHouse Keeper the outcome of such a put stays unknown.
        if n % 7 == 3 && pose().resumes_sessions() {
            let faults = memory.server.faults();
            faults.drop_reply_after_apply(on(OpCode::Multi));
        }
        let disturbed = &clients[n % clients.len()];
        if n % 11 == 5 {
            memory.server.faults().disconnect(disturbed.session().id);
        }
        if n % 23 == 9 {
            memory.server.expire_session(disturbed.session().id);
        }
        soon("a put", async { queue.put(n.to_string()).await })
            .await
            .unwrap();
    }
    while let Some(worker) = soon("the workers", workers.join_next()).await {
        worker.unwrap();
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    assert_eq!(acknowledged.len(), ITEMS);
    assert!(acknowledged.values().all(|count| *count == 1));
    settled(&memory, QueueLayout::KazooLocking).await;
}
