//! `delete(..).recursive()`: many at a time, past lost connections, beside others that create.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed expectation is a failed test"
)]

use std::time::Duration;

use crate::common::memory::Wire;
use crate::common::trees::fill;
use tokio::time::Instant;
use zk_client::{Client, ErrorKind, SessionPolicy, State};
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};

async fn is_gone(zk: &Client) -> bool {
    zk.exists("/a").await.unwrap().is_none()
}

/// Guards: P52.
#[tokio::test(start_paused = true)]
async fn a_wide_tree_takes_few_round_trips() {
    const ROUND_TRIP: Duration = Duration::from_millis(50);
    let wire = Wire::new().await;
    let zk = wire.client().await;
    fill(&zk, 2_000, 0).await;
    wire.server.faults().delay_replies(ROUND_TRIP);
    let started = Instant::now();
    zk.delete("/a").recursive().await.unwrap();
    let trips = started.elapsed().as_millis() / ROUND_TRIP.as_millis();
    assert!(trips < 20, "{trips} round trips");
    assert!(is_gone(&zk).await);
}

/// Guards: P52.
#[tokio::test(start_paused = true)]
async fn a_deep_tree_is_deleted_lowest_first() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    fill(&zk, 300, 2).await;
    let path = (0..100).fold("/a".to_owned(), |path, n| format!("{path}/{n}"));
    zk.ensure_path(&path).await.unwrap();
    zk.delete("/a").recursive().await.unwrap();
    assert!(is_gone(&zk).await);
    let gone = zk.delete("/a").recursive().await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NoNode);
}

/// Each reply in turn is the one that is lost, the last too. Guards: P52.
#[tokio::test(start_paused = true)]
async fn a_lost_reply_ends_no_deletion() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    for executed in [true, false] {
        for before in 0..14 {
            fill(&zk, 3, 2).await;
            let action = match executed {
                true => Action::DropReply,
                false => Action::Close,
            };
            let faults = wire.server.faults();
            faults.rule(on(OpCode::Delete).after(before).then(action));
            zk.delete("/a").recursive().await.unwrap();
            assert!(is_gone(&zk).await);
            faults.clear();
        }
    }
}

/// Guards: P52.
#[tokio::test(start_paused = true)]
async fn an_ended_session_ends_no_deletion() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    fill(&zk, 600, 0).await;
    wire.server.faults().delay_replies(Duration::from_millis(1));
    let deletion = zk.delete("/a").recursive().into_future();
    let end = async {
        tokio::time::sleep(Duration::from_millis(3)).await;
        assert!(wire.server.expire_session(zk.session().id));
    };
    let (deleted, ()) = tokio::join!(deletion, end);
    deleted.unwrap();
    assert!(is_gone(&zk).await);
    assert_eq!(zk.session().epoch, 2);
}

/// The server executes the request, and answers that it ran out of time. Guards: P52.
#[tokio::test(start_paused = true)]
async fn a_timeout_of_the_server_is_repeated() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    for (op, after, children_only) in [
        (OpCode::Delete, 7, false),
        (OpCode::GetChildren2, 3, false),
        (OpCode::GetChildren2, 0, true),
    ] {
        fill(&zk, 30, 1).await;
        let late = Action::Misreport(ErrorCode::OperationTimeout);
        let rule = on(op).after(after).then(late);
        wire.server.faults().rule(rule);
        if children_only {
            let deletion = zk.delete("/a").recursive();
            deletion.children_only().await.unwrap();
        }
        zk.delete("/a").recursive().await.unwrap();
        assert_eq!(wire.server.faults().pending(), 0);
        assert!(is_gone(&zk).await);
    }
}

/// Guards: P52, P7.
#[tokio::test(start_paused = true)]
async fn a_server_that_always_closes_is_given_up() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    fill(&zk, 300, 0).await;
    wire.server
        .faults()
        .rule(on(OpCode::Delete).then(Action::Close).always());
    let error = zk.delete("/a").recursive().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    assert!(error.retries_exhausted());
}

/// Guards: P52.
#[tokio::test(start_paused = true)]
async fn what_others_create_meanwhile_goes_too() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    let other = wire.client().await;
    fill(&zk, 300, 1).await;
    wire.server.faults().delay_replies(Duration::from_millis(5));
    let deletion = zk.delete("/a").recursive().into_future();
    let creations = async {
        let mut created = 0;
        for n in 0..300 {
            created += usize::from(other.create(&format!("/a/{n}/late"), "").await.is_ok());
            created += usize::from(other.create(&format!("/a/late-{n}"), "").await.is_ok());
        }
        created
    };
    let (deleted, created) = tokio::join!(deletion, creations);
    deleted.unwrap();
    assert!(created > 0, "nothing was created meanwhile");
    assert!(is_gone(&zk).await);
}

/// Guards: P52.
#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_deletion() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    fill(&zk, 300, 0).await;
    let refuse = Action::Refuse(ErrorCode::NoAuth);
    let refused = on(OpCode::Delete).path("/a/7").then(refuse).always();
    wire.server.faults().rule(refused);
    let error = zk.delete("/a").recursive().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::NoAuth, Some("/a/7"))
    );
}

/// Guards: P52.
#[tokio::test(start_paused = true)]
async fn a_small_queue_is_enough() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    fill(&zk, 600, 0).await;
    let few = wire.builder().max_outstanding(8).connect().await.unwrap();
    few.delete("/a").recursive().await.unwrap();
    assert!(is_gone(&zk).await);
}

/// The server does not execute some of the requests, as one that is overloaded.
fn throttle(wire: &Wire, op: OpCode, after: u32, times: u32) {
    let refuse = Action::Refuse(ErrorCode::ThrottledOp);
    let rule = on(op).after(after).then(refuse).times(times);
    wire.server.faults().rule(rule);
}

/// Guards: P52, P7.
#[tokio::test(start_paused = true)]
async fn throttled_requests_end_no_deletion() {
    for (op, after, times) in [
        (OpCode::Delete, 0, 8),
        (OpCode::Delete, 20, 100),
        (OpCode::GetChildren2, 0, 8),
        (OpCode::GetChildren2, 5, 100),
    ] {
        let wire = Wire::new().await;
        let zk = wire.client().await;
        fill(&zk, 300, 1).await;
        throttle(&wire, op, after, times);
        zk.delete("/a").recursive().await.unwrap();
        assert!(is_gone(&zk).await);
    }
}

/// Guards: P7.
#[tokio::test(start_paused = true)]
async fn throttled_requests_end_no_ensure_path() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    throttle(&wire, OpCode::Create2, 1, 100);
    zk.ensure_path("/a/b/c").await.unwrap();
    assert!(zk.exists("/a/b/c").await.unwrap().is_some());
}

/// A round without an answer is followed by a pause. Guards: P52.
#[tokio::test(start_paused = true)]
async fn a_deletion_without_answers_pauses() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    fill(&zk, 1, 0).await;
    let refuse = Action::Refuse(ErrorCode::ThrottledOp);
    let rule = on(OpCode::Delete).then(refuse).always();
    wire.server.faults().rule(rule);
    let started = Instant::now();
    let error = zk.delete("/a").recursive().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(error.retries_exhausted());
    assert!(started.elapsed() > Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_deletion_stays_quiet() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    for action in [Action::Refuse(ErrorCode::ThrottledOp), Action::Close] {
        wire.server.faults().rule(on(OpCode::Delete).then(action));
        let deletion = zk.delete("/none").recursive();
        deletion.quietly().await.unwrap();
        assert_eq!(wire.server.faults().pending(), 0);
    }
}

/// Without a pause: no other session will come.
#[tokio::test(start_paused = true)]
async fn a_last_session_ends_a_deletion() {
    let wire = Wire::new().await;
    for closes in [true, false] {
        let policy = match closes {
            true => SessionPolicy::Close,
            false => SessionPolicy::Renew,
        };
        let builder = wire.builder().session_policy(policy);
        let zk = builder.connect().await.unwrap();
        let first = match closes {
            true => zk.clone(),
            false => zk.only_in_epoch(zk.session().epoch),
        };
        let mut states = zk.states();
        assert!(wire.server.expire_session(zk.session().id));
        while !matches!(states.next().await, Some(State::Expired { .. })) {}
        let started = Instant::now();
        for children_only in [true, false] {
            let deletion = first.delete("/a").recursive();
            let deletion = match children_only {
                true => deletion.children_only(),
                false => deletion,
            };
            let error = deletion.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SessionExpired, "{error}");
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
