//! Queues whose items, claims and places other programs or the end of a session remove.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::common::{at, end_session, memory, pose, soon, start, until};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{Error, Queue, QueueLayout};

/// An item is put while the consumer that waits for one has no connection, and no watch on a server.
///
/// Guards: C6.
#[tokio::test(start_paused = true)]
async fn an_item_put_meanwhile_is_delivered() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let queue = Queue::new(&zk, "/q");
    let taking = start(async move { queue.take().await });
    memory.until_names("/q/waiting/consumers", 1).await;
    until("it watches", || zk.statistics().watches > 0).await;
    let faults = memory.server.faults();
    faults.close_after_accept(true);
    faults.disconnect(zk.session().id);
    until("it has no connection", || !zk.state().is_connected()).await;
    Queue::new(&other, "/q").put("a").await.unwrap();
    faults.close_after_accept(false);
    let claim = soon("the item", taking).await.unwrap().unwrap();
    assert_eq!(claim.items().unwrap(), ["a"]);
    claim.ack().await.unwrap();
}

/// An acknowledgement is lost on its way to the server, and a foreign consumer removes the item meanwhile.
///
/// Guards: C9.
#[tokio::test(start_paused = true)]
async fn an_ack_not_executed_is_not_ok() {
    // ClickHouse Keeper ends the session with the connection.
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let (zk, foreign) = (memory.any().await, memory.any().await);
    let queue = Queue::new(&zk, "/q").layout(QueueLayout::Simple);
    queue.put("a").await.unwrap();
    let claim = soon("the item", queue.take()).await.unwrap();
    let item = claim.path().to_owned();
    let faults = memory.server.faults();
    faults.rule(on(OpCode::Multi).then(Action::HalfOpen));
    let acknowledging = start(claim.ack());
    until("it was sent", || faults.pending() == 0).await;
    foreign.delete(&item).await.unwrap();
    faults.disconnect(zk.session().id);
    let acknowledged = soon("the end", acknowledging).await.unwrap();
    let error = acknowledged.unwrap_err();
    assert!(matches!(error, Error::ItemRemoved { .. }), "{error}");
    memory.until_names("/q-claims", 0).await;
}

/// An item that cannot be moved to the dead letters was never delivered: a take continues with the next one.
#[tokio::test(start_paused = true)]
async fn a_take_survives_the_loss_of_a_claim() {
    for removed in ["/q", "/q-claims"] {
        let memory = memory(1).await;
        let (zk, foreign) = (memory.any().await, memory.any().await);
        let queue = Queue::new(&zk, "/q").layout(QueueLayout::Simple);
        let queue = queue.max_deliveries(1);
        queue.put("poison").await.unwrap();
        soon("it", queue.take())
            .await
            .unwrap()
            .release()
            .await
            .unwrap();
        let name = memory.names("/q").remove(0);
        // The count of the second delivery waits, and the move to the dead letters is sent after it.
        let faults = memory.server.faults();
        let counts = on(OpCode::SetData).path(at(&format!("/q-deliveries/{name}")));
        faults.rule(counts.then(Action::Delay(Duration::from_secs(1))));
        let taking = start(async move { queue.take().await });
        until("it is counted", || faults.pending() == 0).await;
        foreign.delete(&format!("{removed}/{name}")).await.unwrap();
        let queue = Queue::new(&foreign, "/q").layout(QueueLayout::Simple);
        if removed == "/q-claims" {
            let again = soon("the item", queue.take()).await.unwrap();
            again.ack().await.unwrap();
        }
        queue.put("fine").await.unwrap();
        let claim = soon("the next", taking).await.unwrap().unwrap();
        assert_eq!(claim.data(), "fine");
        claim.ack().await.unwrap();
        memory.until_names("/q-claims", 0).await;
    }
}

/// The process is suspended for longer than the session is known to last, when the claim has been made and the
/// item is being read.
#[tokio::test(start_paused = true)]
async fn a_take_returns_no_doubtful_claim() {
    let memory = memory(1).await;
    let suspended = Arc::new(AtomicU64::new(0));
    let source = suspended.clone();
    let zk = memory.client(&[0], |options| {
        let time = move || Duration::from_secs(source.load(Ordering::Relaxed));
        let options = options.session_timeout(Duration::from_secs(12));
        options.suspended_time(time)
    });
    let zk = zk.await;
    let queue = Queue::new(&zk, "/q");
    queue.put("a").await.unwrap();
    let faults = memory.server.faults();
    faults.rule(on(OpCode::GetData).then(Action::Delay(Duration::from_millis(100))));
    let taking = start(async move { queue.take().await });
    until("the item is read", || faults.pending() == 0).await;
    suspended.store(13, Ordering::Relaxed);
    let claim = soon("the item", taking).await.unwrap().unwrap();
    claim.check().unwrap();
    claim.ack().await.unwrap();
}

/// A consumer without claims takes an item that is about to be removed by its id.
#[tokio::test(start_paused = true)]
async fn a_removal_counts_only_its_own() {
    let memory = memory(1).await;
    let (zk, foreign) = (memory.any().await, memory.any().await);
    let queue = Queue::new(&zk, "/q").layout(QueueLayout::CuratorId);
    queue.put("first").id("a").await.unwrap();
    queue.put("second").id("a").await.unwrap();
    let first = format!("/q/{}", memory.names("/q").remove(0));
    let faults = memory.server.faults();
    let reads = on(OpCode::GetData).path(at(&first));
    faults.rule(reads.then(Action::Delay(Duration::from_secs(1))));
    let removing = start(async move { queue.remove("a").await });
    until("the item is claimed", || faults.pending() == 0).await;
    foreign.delete(&first).await.unwrap();
    let removed = soon("the removal", removing).await.unwrap();
    assert_eq!(removed.unwrap(), 1);
    assert!(memory.names("/q").is_empty());
    memory.until_names("/q-claims", 0).await;
}

/// An item whose session ends while its delivery is counted is not delivered: it has another consumer.
#[tokio::test(start_paused = true)]
async fn a_count_after_the_session_delivers_not() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let queue = Queue::new(&zk, "/q").max_deliveries(5);
    queue.put("a").await.unwrap();
    soon("it", queue.take())
        .await
        .unwrap()
        .release()
        .await
        .unwrap();
    let faults = memory.server.faults();
    faults.rule(on(OpCode::SetData).then(Action::HalfOpen));
    let taking = start(async move { queue.take().await });
    until("it is being counted", || faults.pending() == 0).await;
    end_session(&memory.server, &zk);
    let others = Queue::new(&other, "/q");
    let again = soon("the item", others.take()).await.unwrap();
    memory.until_names("/q/waiting/consumers", 1).await;
    again.ack().await.unwrap();
    others.put("b").await.unwrap();
    let claim = soon("the next", taking).await.unwrap().unwrap();
    claim.check().unwrap();
    assert_eq!((&**claim.data(), claim.deliveries()), (&b"b"[..], Some(1)));
    claim.ack().await.unwrap();
}

/// The numbers of items begin anew with the znode of the items. What was kept for an item of the same name
/// is not that of the new one.
#[tokio::test(start_paused = true)]
async fn names_that_come_again_are_new_items() {
    for layout in [QueueLayout::KazooLocking, QueueLayout::Simple] {
        let (items, dead, counts) = match layout {
            QueueLayout::KazooLocking => ("/q/entries", "/q/dead", "/q/deliveries"),
            _ => ("/q", "/q-dead", "/q-deliveries"),
        };
        let memory = memory(1).await;
        let zk = memory.any().await;
        let queue = Queue::new(&zk, "/q").layout(layout).max_deliveries(2);
        for item in ["a", "b", "c"] {
            queue.put(item).await.unwrap();
            let claim = soon("the item", queue.take()).await.unwrap();
            assert_eq!((claim.data(), claim.deliveries()), (&item.into(), Some(1)));
            claim.reject().await.unwrap();
            // A foreign consumer takes an item that was delivered once.
            queue.put("foreign").await.unwrap();
            let claim = soon("the item", queue.take()).await.unwrap();
            assert_eq!(claim.deliveries(), Some(1), "not that of the earlier item");
            zk.delete(claim.path()).await.unwrap();
            drop(claim);
            assert_eq!(memory.names(counts).len(), 1);
            zk.delete(items).await.unwrap();
        }
        let letters = queue.dead_letters().await.unwrap();
        let data: BTreeSet<_> = letters.iter().map(|(_, data)| data.clone()).collect();
        assert_eq!(data, ["a", "b", "c"].map(Into::into).into());
        let first = format!("{}0", &letters[0].0[..letters[0].0.len() - 1]);
        assert_eq!(letters[0].0, first, "{letters:?}");
        assert!(letters[0].0.starts_with(dead));
    }
}

/// A consumer that loses one place in the line after another continues as those behind the first do.
#[tokio::test(start_paused = true)]
async fn lost_places_do_not_end_a_take() {
    // More than a wait for a lock allows.
    const LOST: usize = 12;
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let waiting = "/q/waiting/consumers";
    // It keeps its place, so that the other one never is the first.
    let queue = Queue::new(&other, "/q");
    let first = start(async move { queue.take().await });
    memory.until_names(waiting, 1).await;
    let head = memory.names(waiting).remove(0);
    let queue = Queue::new(&zk, "/q");
    let taking = start(async move { queue.take().await });
    let mut lost = vec![head];
    for _ in 0..LOST {
        let mut places = Vec::new();
        until("a new place", || {
            places = memory.names(waiting);
            places.retain(|name| !lost.contains(name));
            !places.is_empty()
        })
        .await;
        lost.append(&mut places);
        memory.server.expire_session(zk.session().id);
    }
    let queue = Queue::new(&other, "/q");
    queue.put("a").await.unwrap();
    queue.put("b").await.unwrap();
    for take in [first, taking] {
        let claim = soon("an item", take).await.unwrap().unwrap();
        claim.ack().await.unwrap();
    }
    memory.until_names(waiting, 0).await;
}

/// The order of the options makes no difference.
#[tokio::test(start_paused = true)]
async fn a_lock_path_stays_in_any_layout() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let queue = Queue::new(&zk, "/q").lock_path("/locks");
    let queue = queue.layout(QueueLayout::Curator);
    queue.put("a").await.unwrap();
    let claim = soon("the item", queue.take()).await.unwrap();
    assert_eq!(memory.names("/locks").len(), 1);
    claim.ack().await.unwrap();
}
