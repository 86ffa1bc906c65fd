//! Double barriers when members give up, crash, and lose connections and sessions.

use std::time::Duration;

use super::common::{
    self, Memory, at, dropped_after, end_session, is_restored, memory, now, soon, start, until,
};
use tokio::task::JoinHandle;
use zk_client::{Client, ErrorKind};
use zk_proto::OpCode;
use zk_recipes::{DoubleBarrier, Entered, Error, GuardLost};

const PATH: &str = "/a/barrier";

async fn members<const N: usize>(memory: &Memory) -> [DoubleBarrier; N] {
    let mut members = Vec::new();
    for n in 0..N {
        let barrier = DoubleBarrier::new(&memory.any().await, PATH, N);
        members.push(barrier.identifier(format!("member-{n}")));
    }
    members.try_into().unwrap()
}

fn entering(barrier: &DoubleBarrier) -> JoinHandle<zk_recipes::Result<Entered>> {
    let barrier = barrier.clone();
    start(async move { barrier.enter().await })
}

async fn entered(entering: JoinHandle<zk_recipes::Result<Entered>>) -> Entered {
    soon("the last member", entering).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn members_pass_and_leave_together() {
    let memory = memory(1).await;
    let [one, two, three] = members(&memory).await;
    for round in 0..3 {
        let first = [entering(&one), entering(&two)];
        memory.until_names(PATH, 2).await;
        assert!(first.iter().all(|task| !task.is_finished()), "{round}");
        let last = soon("the last", three.enter()).await.unwrap();
        assert!(memory.server.node(&at("/a/barrier/ready")).is_some());
        let node = memory.server.node(&at(last.path())).unwrap();
        assert_eq!(node.data.unwrap(), "member-2");
        assert!(node.stat.owner().is_some());

        let mut leaving = Vec::new();
        for member in first {
            let member = entered(member).await;
            member.check().unwrap();
            leaving.push(start(member.leave()));
        }
        // One of the two is the lowest, or waits for the lowest, unless the third one is.
        until("a member waits", || {
            memory.names(PATH).len() < 4 || memory.server.watch_counts().data > 0
        })
        .await;
        assert!(leaving.iter().all(|task| !task.is_finished()), "{round}");
        soon("the last one leaves", last.leave()).await.unwrap();
        for task in leaving {
            soon("all leave", task).await.unwrap().unwrap();
        }
        assert_eq!(memory.names(PATH), [""; 0], "{round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ready_left_behind_lets_none_pass() {
    let memory = memory(1).await;
    let [one, two] = members(&memory).await;
    let admin = memory.any().await;
    admin
        .create("/a/barrier/ready", "")
        .parents()
        .await
        .unwrap();
    let first = entering(&one);
    until("it is deleted", || {
        memory.server.node(&at("/a/barrier/ready")).is_none()
    })
    .await;
    assert!(!first.is_finished());
    let second = soon("the last", two.enter()).await.unwrap();
    drop(second);
    drop(entered(first).await);
}

/// With an older `ready`, the last member replaces it, so that those that wait are notified.
#[tokio::test(start_paused = true)]
async fn an_older_ready_is_replaced() {
    let memory = memory(1).await;
    let [one] = members(&memory).await;
    let admin = memory.any().await;
    let ready = admin.create("/a/barrier/ready", "").parents();
    let left_behind = ready.await.unwrap().stat.czxid;
    let inside = soon("the last", one.enter()).await.unwrap();
    let node = memory.server.node(&at("/a/barrier/ready")).unwrap();
    assert!(node.stat.czxid > left_behind);
    drop(inside);
}

#[tokio::test(start_paused = true)]
async fn a_wait_survives_cuts_and_expiry() {
    let memory = memory(1).await;
    let [one, two] = members(&memory).await;
    let zk = memory.any().await;
    let waits = entering(&DoubleBarrier::new(&zk, PATH, 2));
    memory.until_names(PATH, 1).await;
    let before = memory.names(PATH);
    memory.server.faults().disconnect(zk.session().id);
    until("it is lost", || zk.statistics().lost_connections > 0).await;
    soon("another connection", zk.connected()).await.unwrap();
    assert!(!waits.is_finished());
    end_session(&memory.server, &zk);
    until("another member", || {
        let names = memory.names(PATH);
        names.len() == 1 && names != before
    })
    .await;
    assert!(!waits.is_finished());
    let inside = soon("the last", one.enter()).await.unwrap();
    drop((entered(waits).await, inside, two));
}

#[tokio::test(start_paused = true)]
async fn a_member_inside_knows_that_it_is_lost() {
    let memory = memory(1).await;
    let [one] = members(&memory).await;
    let zk = memory.any().await;
    let waits = entering(&DoubleBarrier::new(&zk, PATH, 2));
    let other = entering(&DoubleBarrier::new(&memory.any().await, PATH, 2));
    let (lost, other) = (entered(waits).await, entered(other).await);
    end_session(&memory.server, &zk);
    let reason = soon("the loss", lost.lost()).await;
    if !is_restored() {
        assert_eq!(reason, GuardLost::SessionEnded);
    }
    assert_eq!(lost.check(), Err(reason));
    until("another session", || zk.session().epoch == 2).await;
    let left = soon("the refusal", lost.leave()).await;
    assert!(matches!(left, Err(Error::Lost(loss)) if loss == reason));
    // A restored ensemble ends the sessions of all clients.
    if !is_restored() {
        soon("the other one leaves", other.leave()).await.unwrap();
    }
    drop(one);
}

#[tokio::test(start_paused = true)]
async fn waits_end_at_their_timeouts() {
    let memory = memory(1).await;
    let [one, two] = members(&memory).await;
    let begun = now();
    let timeout = Duration::from_secs(2);
    assert!(one.enter_timeout(timeout).await.unwrap().is_none());
    assert!(now() - begun >= timeout);
    memory.until_names(PATH, 0).await;
    let first = entering(&one);
    let inside = soon("the last", two.enter()).await.unwrap();
    let first = entered(first).await;
    assert!(!first.leave_timeout(timeout).await.unwrap());
    memory.until_names(PATH, 2).await;
    soon("the last one leaves", inside.leave()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lost_replies_let_none_pass_twice() {
    let memory = memory(1).await;
    let [one, two] = members(&memory).await;
    let faults = memory.server.faults();
    faults.drop_reply_after_apply(zk_embedded::fault::on(common::create_op()));
    let first = entering(&one);
    memory.until_names(PATH, 1).await;
    faults.drop_reply_after_apply(zk_embedded::fault::on(OpCode::Multi));
    let second = soon("the last", two.enter()).await.unwrap();
    let first = entered(first).await;
    // ClickHouse Keeper ends a session with its connection.
    if !common::pose().resumes_sessions() {
        return;
    }
    faults.drop_reply_after_apply(zk_embedded::fault::on(OpCode::Delete));
    let leaving = start(first.leave());
    soon("the last one leaves", second.leave()).await.unwrap();
    soon("the other one leaves", leaving)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(memory.names(PATH), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_member_leaves_nothing() {
    for polls in 1..40 {
        let memory = memory(1).await;
        let [one, two] = members(&memory).await;
        let waits = entering(&two);
        memory.until_names(PATH, 1).await;
        let through = dropped_after(polls, async {
            one.enter().await.unwrap().leave().await.unwrap();
        })
        .await;
        assert!(!through, "the other member has not left");
        waits.abort();
        drop(waits.await);
        until("no member stays", || {
            memory.names(PATH).iter().all(|name| name == "ready")
        })
        .await;
        common::until_unwatched(|| memory.server.watch_counts().data as usize).await;
    }
}

#[tokio::test(start_paused = true)]
async fn kazoos_members_find_no_ready_at_the_end() {
    let memory = memory(1).await;
    let [one, two] = members(&memory).await;
    let first = entering(&one.kazoo_members());
    let inside = soon("the last", two.enter()).await.unwrap();
    let first = start(entered(first).await.leave());
    until("ready is deleted first", || {
        memory.server.node(&at("/a/barrier/ready")).is_none()
    })
    .await;
    assert!(!first.is_finished());
    soon("the last one leaves", inside.leave()).await.unwrap();
    soon("the other one leaves", first).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_double_barrier_needs_a_path_of_its_own() {
    let memory = memory(1).await;
    let zk: Client = memory.any().await;
    let refused = DoubleBarrier::new(&zk, "a//b", 2).enter().await;
    assert_eq!(refused.unwrap_err().kind(), Some(ErrorKind::InvalidPath));
}
