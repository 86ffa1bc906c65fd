//! Queues whose consumers lose their sessions.

use std::time::Duration;

use super::common::{at, end_session, memory, memory_with, pose, server, soon, start, until};
use super::queues::{LAYOUTS, entries, settled, waiting};
use zk_client::Outcome;
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{Error, Queue, QueueLayout};

/// A claim survives a disconnect, and not the end of its session.
#[tokio::test(start_paused = true)]
async fn a_claim_ends_with_its_session() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let queue = Queue::new(&zk, "/q").layout(layout);
        queue.put("a").await.unwrap();
        queue.put("b").await.unwrap();
        let kept = soon("an item", queue.take()).await.unwrap();
        // ClickHouse Keeper ends the session with the connection.
        if pose().resumes_sessions() {
            memory.server.faults().disconnect(zk.session().id);
        }
        soon("the acknowledgement", kept.ack()).await.unwrap();

        let claim = soon("an item", queue.take()).await.unwrap();
        let others = Queue::new(&other, "/q").layout(layout);
        let waiting = start(async move { others.take().await.unwrap() });
        end_session(&memory.server, &zk);
        soon("the loss", claim.lost()).await;
        assert!(matches!(claim.check(), Err(Error::ClaimLost { .. })));
        let again = soon("it again", waiting).await.unwrap();
        let path = claim.path().to_owned();
        let error = soon("the refusal", claim.ack()).await.unwrap_err();
        assert!(matches!(error, Error::ClaimLost { .. }), "{error}");
        assert_eq!(error.path(), Some(&*path));
        assert_eq!(again.items().unwrap(), ["b"]);
        again.ack().await.unwrap();
        settled(&memory, layout).await;
    }
}

/// The session ends while an acknowledgement waits for its reply: it was executed or not.
#[tokio::test(start_paused = true)]
async fn an_ack_may_end_with_its_session() {
    for (action, is_executed) in [(Action::Swallow, true), (Action::HalfOpen, false)] {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let queue = Queue::new(&zk, "/q");
        queue.put("a").await.unwrap();
        let claim = soon("the item", queue.take()).await.unwrap();
        memory.server.faults().rule(on(OpCode::Multi).then(action));
        let acknowledging = start(claim.ack());
        until("it was sent", || memory.server.faults().pending() == 0).await;
        let left = memory.names("/q/entries").len();
        assert_eq!(left, usize::from(!is_executed));
        end_session(&memory.server, &zk);
        let acknowledged = soon("the end", acknowledging).await.unwrap();
        let error = acknowledged.unwrap_err();
        let others = Queue::new(&other, "/q");
        match is_executed {
            // Without resumption the client cannot know that it is too late.
            true => {
                assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
                assert!(others.try_take().await.unwrap().is_none());
            }
            false => {
                assert!(matches!(error, Error::ClaimLost { .. }), "{error}");
                let again = soon("it again", others.take()).await.unwrap();
                again.ack().await.unwrap();
            }
        }
        settled(&memory, QueueLayout::KazooLocking).await;
    }
}

/// The client gives its session up while the servers keep it: an acknowledgement that waits in a server
/// may still be executed.
#[tokio::test(start_paused = true)]
async fn an_ack_in_a_kept_session_is_unknown() {
    // Its servers end a session with its connection.
    if !pose().resumes_sessions() {
        return;
    }
    let slow = server().members(2).tick(Duration::from_secs(60));
    let memory = memory_with(slow).await;
    let leader = memory.server.leader();
    let follower = 1 - leader;
    let zk = memory.client(&[follower, leader], |options| options).await;
    let queue = Queue::new(&zk, "/q");
    queue.put("a").await.unwrap();
    let claim = soon("the item", queue.take()).await.unwrap();
    let epoch = zk.session().epoch;
    let dialled = memory.dialled();
    for member in [follower, leader] {
        memory.server.member(member).freeze();
    }
    let acknowledging = start(claim.ack());
    until("the client gives the session up", || {
        zk.lease().session() != zk.session().id || zk.lease().deadline().is_none()
    })
    .await;
    memory.server.member(1 - dialled).thaw();
    let error = soon("the end", acknowledging).await.unwrap().unwrap_err();
    assert!(zk.session().epoch > epoch);
    assert_eq!(memory.names("/q/taken").len(), 1, "the session is kept");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
}

/// Of several that wait, only the first watches the queue. The next takes over when the first loses its
/// session, and the first waits on in its next one.
#[tokio::test(start_paused = true)]
async fn the_next_in_the_line_takes_over() {
    for layout in [QueueLayout::KazooLocking, QueueLayout::Curator] {
        let memory = memory(1).await;
        let clients = [memory.any().await, memory.any().await, memory.any().await];
        let mut takes = Vec::new();
        for (n, zk) in clients.iter().enumerate() {
            let queue = Queue::new(zk, "/q").layout(layout);
            takes.push(start(async move {
                let claim = queue.take().await.unwrap();
                let item = claim.items().unwrap().concat();
                claim.ack().await.unwrap();
                item
            }));
            memory.until_names(waiting(layout), n + 1).await;
            until("it waits", || zk.statistics().watches == 1).await;
        }
        let watched = || memory.server.watches_on(&at(entries(layout))).child;
        assert_eq!(watched(), 1);
        let epoch = clients[0].session().epoch;
        end_session(&memory.server, &clients[0]);
        until("a new session", || clients[0].session().epoch > epoch).await;
        memory.until_names(waiting(layout), 3).await;
        until("one watches", || watched() == 1).await;
        let queue = Queue::new(&memory.any().await, "/q").layout(layout);
        let mut taken = Vec::new();
        for item in ["a", "b", "c"] {
            queue.put(item).await.unwrap();
        }
        for take in takes {
            taken.push(soon("an item", take).await.unwrap());
        }
        taken.sort();
        assert_eq!(taken, [b"a", b"b", b"c"]);
        settled(&memory, layout).await;
    }
}

/// After the session has ended, a claim of the same name is that of another consumer.
#[tokio::test(start_paused = true)]
async fn a_lost_claim_does_not_end_the_next() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let queue = Queue::new(&zk, "/q");
    queue.put("a").await.unwrap();
    let (first, second) = (queue.clone(), Queue::new(&other, "/q"));
    let claim = soon("an item", first.take()).await.unwrap();
    let epoch = zk.session().epoch;
    memory.server.expire_session(zk.session().id);
    let again = soon("it again", second.take()).await.unwrap();
    until("the next session", || zk.session().epoch > epoch).await;
    soon("a session", zk.connected()).await.unwrap();
    drop(claim);
    zk.sync("/").await.unwrap();
    assert_eq!(memory.names("/q/taken").len(), 1);
    again.check().unwrap();
    again.ack().await.unwrap();
}
