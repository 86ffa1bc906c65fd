//! Elections, latches and observers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::common::{self, at, end_session, memory, soon, start, until};
use zk_client::{Acl, ErrorCode, ErrorKind, Permissions};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{Contender, Election, GuardLost, LeaderLatch, LeaderStream};

async fn next(leaders: &mut LeaderStream) -> Option<Contender> {
    soon("the next leader", leaders.next())
        .await
        .unwrap()
        .unwrap()
}

/// CURATOR-724/436/358: first the path does not exist, then no candidate, then a leader, another, and
/// no leader.
///
/// Guards: B89.
#[tokio::test(start_paused = true)]
async fn an_observer_sees_every_leader_and_none() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let observer = memory.any().await;
    let election = Election::new(&zk, "/election").identifier("first");
    let mut leaders = Election::new(&observer, "/election").observe();
    assert_eq!(next(&mut leaders).await, None);
    assert_eq!(election.leader().await.unwrap(), None);
    let first = election.campaign().await.unwrap();
    let seen = next(&mut leaders).await.unwrap();
    assert_eq!(
        (&seen.identifier[..], seen.token),
        (&b"first"[..], first.token())
    );
    assert_eq!(seen.path, first.path());
    let successor = Election::new(&other, "/election").identifier("second");
    let second = start(async move { successor.campaign().await.unwrap() });
    memory.until_names("/election", 2).await;
    end_session(&memory.server, &zk);
    let second = soon("the second", second).await.unwrap();
    assert_eq!(next(&mut leaders).await.unwrap().token, second.token());
    assert_eq!(
        soon("the loss", first.lost()).await,
        GuardLost::SessionEnded
    );
    // The end of the observer's session does not end the stream.
    end_session(&memory.server, &observer);
    second.resign().await.unwrap();
    assert_eq!(next(&mut leaders).await, None);
    zk.delete("/election").await.unwrap();
    drop(election.campaign().await.unwrap());
    observer.close().await.unwrap();
    while soon("the end", leaders.next()).await.is_some() {}
}

/// CURATOR-696: the znode of this candidate's session that has ended is at the head.
///
/// Guards: A66, B87, D6.
#[tokio::test(start_paused = true)]
async fn an_earlier_sessions_znode_does_not_lead() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let latch = LeaderLatch::new(&zk, "/latch").id("me");
    zk.ensure_path("/latch").await.unwrap();
    let before = zk.session();
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(common::create_op()));
    memory.server.faults().refuse_connections(true).await;
    let leading = start({
        let latch = latch.clone();
        async move { latch.leadership().await.unwrap() }
    });
    memory.until_names("/latch", 1).await;
    memory.server.expire_session(before.id);
    memory.server.faults().refuse_connections(false).await;
    let term = soon("the term", leading).await.unwrap();
    let owner = zk.exists(term.path()).await.unwrap().unwrap().owner();
    assert_eq!(owner, Some(zk.session().id));
    assert_ne!(owner, Some(before.id));
    memory.until_names("/latch", 1).await;
    term.check().unwrap();
    end_session(&memory.server, &zk);
    until("the term is over", || term.check().is_err()).await;
}

/// ZOOKEEPER-1219: another client deletes the znode of the candidate that is about to lead.
///
/// Guards: A62, B92.
#[tokio::test(start_paused = true)]
async fn a_deleted_candidate_campaigns_again() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let leader = Election::new(&other, "/election").campaign().await.unwrap();
    let election = Election::new(&zk, "/election").identifier("next");
    let next = start(async move { election.campaign().await.unwrap() });
    memory.until_names("/election", 2).await;
    until("it waits", || {
        memory.server.watches_on(&at(leader.path())).data == 1
    })
    .await;
    let own = Election::new(&other, "/election")
        .candidates()
        .await
        .unwrap()[1]
        .path
        .clone();
    other.delete(&own).await.unwrap();
    leader.resign().await.unwrap();
    let term = soon("the term", next).await.unwrap();
    assert_ne!(term.path(), own);
    term.check().unwrap();
}

/// CURATOR-518/671.
///
/// Guards: B91.
#[tokio::test(start_paused = true)]
async fn work_starts_again_after_a_lost_term() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let begun = Arc::new(AtomicUsize::new(0));
    let leading = start({
        let begun = begun.clone();
        async move {
            let election = Election::new(&zk, "/election");
            let tokens = Mutex::new(Vec::new());
            let done = election
                .lead(|term| {
                    tokens.lock().unwrap().push(term.token());
                    let first = begun.fetch_add(1, Ordering::SeqCst);
                    async move {
                        if first < 2 {
                            std::future::pending::<()>().await;
                        }
                        "done"
                    }
                })
                .await
                .unwrap();
            (done, tokens.into_inner().unwrap())
        }
    });
    for n in 1..=2 {
        until("the work has begun", || begun.load(Ordering::SeqCst) == n).await;
        let leader = Election::new(&other, "/election")
            .leader()
            .await
            .unwrap()
            .unwrap();
        other.delete(&leader.path).await.unwrap();
    }
    let (done, tokens) = soon("the work", leading).await.unwrap();
    assert_eq!((done, tokens.len()), ("done", 3));
    assert!(tokens.is_sorted());
    memory.until_names("/election", 0).await;
}

#[tokio::test(start_paused = true)]
async fn latches_have_curators_names_and_order() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let latch = |id: &str| LeaderLatch::new(&zk, "/latch").id(id);
    let term = latch("a").leadership().await.unwrap();
    let name = term.path().trim_start_matches("/latch/").to_owned();
    assert!(
        name.starts_with("_c_") && name.contains("-latch-00"),
        "{name}"
    );
    let waiting = start({
        let latch = latch("b");
        async move { latch.leadership().await.unwrap() }
    });
    memory.until_names("/latch", 2).await;
    let participants = latch("").participants().await.unwrap();
    let ids: Vec<_> = participants.iter().map(|p| &p.identifier[..]).collect();
    assert_eq!(ids, [b"a", b"b"]);
    assert!(
        latch("c")
            .leadership_timeout(Duration::from_millis(600))
            .await
            .unwrap()
            .is_none()
    );
    term.resign().await.unwrap();
    let term = soon("the next", waiting).await.unwrap();
    assert_eq!(latch("").leader().await.unwrap().unwrap().identifier, "b");
    drop(term);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_leader_is_an_error() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let unreadable = Acl::new(
        Permissions::ALL,
        "digest",
        zk_client::digest_id("other", "x"),
    );
    other.ensure_path("/election").await.unwrap();
    let leads = Election::new(&zk.with_acl([unreadable]), "/election");
    let term = leads.campaign().await.unwrap();
    let election = Election::new(&other, "/election");
    let candidates = election.candidates().await.unwrap_err();
    assert_eq!(candidates.kind(), Some(ErrorKind::NoAuth));
    let mut leaders = election.observe();
    let error = soon("the error", leaders.next()).await.unwrap();
    assert_eq!(error.unwrap_err().kind(), Some(ErrorKind::NoAuth));
    assert!(soon("the end", leaders.next()).await.is_none());
    term.resign().await.unwrap();
}

/// The children are read again, with a watch, while there is no candidate.
#[tokio::test(start_paused = true)]
async fn an_unwatchable_election_is_an_error() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.ensure_path("/election").await.unwrap();
    let refused = Action::Refuse(ErrorCode::NoAuth);
    let second = on(OpCode::GetChildren2).after(1).then(refused);
    memory.server.faults().rule(second);
    let mut leaders = Election::new(&zk, "/election").observe();
    let error = soon("the error", leaders.next()).await.unwrap();
    assert_eq!(error.unwrap_err().kind(), Some(ErrorKind::NoAuth));
}

/// Although the task of the observer is dropped later.
#[tokio::test(start_paused = true)]
async fn the_last_observer_closes_the_client() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let (background, election) = (zk.background(), Election::new(&zk, "/election"));
    let mut leaders = election.observe();
    drop((zk, election));
    assert_eq!(
        soon("no leader", leaders.next()).await.unwrap().unwrap(),
        None
    );
    background.exists("/").await.unwrap();
    drop(leaders);
    let refused = background.exists("/").submit().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
}
