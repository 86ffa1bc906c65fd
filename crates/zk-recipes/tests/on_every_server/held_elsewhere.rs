//! Locks and leaderships that are passed on with their session, names of one's own, and values that a
//! leader proclaims.

use std::time::Duration;

use super::common::{
    self, crash, dropped_after, end_session, is_restored, memory, pose, soon, start, until,
};
use zk_client::{Acl, Client, ErrorCode, Permissions};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{
    Election, Error, GuardLost, Handover, Layout, LeaderLatch, Lock, ReadLock, Semaphore, WriteLock,
};

#[tokio::test(start_paused = true)]
async fn a_lock_is_resumed_with_its_session() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let (path, token) = (guard.path().to_owned(), guard.token());
    let waiting = start(async move { Lock::new(&other, "/lock").acquire().await.unwrap() });
    memory.until_names("/lock", 2).await;
    let handover: Handover = guard.hand_over().to_string().parse().unwrap();
    let zk = memory.successor(crash(zk)).await;
    let lock = Lock::new(&zk, "/lock");
    assert!(!waiting.is_finished());
    for polls in 1..12 {
        dropped_after(polls, async {
            lock.resume(&handover)
                .await
                .unwrap()
                .map(|it| it.hand_over())
        })
        .await;
    }
    let guard = soon("the lock", lock.resume(&handover))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((guard.path(), guard.token()), (&*path, token));
    guard.check().unwrap();
    guard.fenced().create("/data", "").commit().await.unwrap();
    assert!(!waiting.is_finished());
    guard.release().await.unwrap();
    let next = soon("the next", waiting).await.unwrap();
    assert!(
        lock.resume(&handover).await.unwrap().is_none(),
        "it was released"
    );
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_resumed_without_the_session() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let held = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let foreign = Lock::new(&other, "/lock");
    let waiting = start({
        let foreign = foreign.clone();
        async move { foreign.acquire().await.unwrap() }
    });
    memory.until_names("/lock", 2).await;
    let own = Lock::new(&zk, "/lock");
    let place = foreign.contenders().await.unwrap().remove(1);
    let handover: Handover = format!("{} {}", place.token, place.path).parse().unwrap();
    assert!(
        foreign.resume(&handover).await.unwrap().is_none(),
        "it waits"
    );
    let handover = held.hand_over();
    assert!(foreign.resume(&handover).await.unwrap().is_none());
    let newer = format!("{} {}", handover.token.get() + 1, handover.path);
    let newer: Handover = newer.parse().unwrap();
    assert!(
        own.resume(&newer).await.unwrap().is_none(),
        "an older znode"
    );
    memory.server.expire_session(zk.session().id);
    soon("the next", waiting).await.unwrap().check().unwrap();
    soon("the next session", zk.connected()).await.unwrap();
    assert!(own.resume(&handover).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_guard_is_resumed() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let zk = memory.any().await;
    let readers = ReadLock::new(&zk, "/rw");
    let read = [
        readers.acquire().await.unwrap(),
        readers.acquire().await.unwrap(),
    ];
    let writer = WriteLock::new(&zk, "/w").acquire().await.unwrap();
    let downgraded = WriteLock::new(&zk, "/d").acquire().await.unwrap();
    let downgraded = downgraded.downgrade().await.unwrap();
    let tokens = (writer.token(), downgraded.token());
    let lease = Semaphore::new(&zk, "/s", 2).acquire().await.unwrap();
    let term = Election::new(&zk, "/e").campaign().await.unwrap();
    let latch = LeaderLatch::new(&zk, "/l").leadership().await.unwrap();
    let lasting = Lock::new(&zk, "/p").persistent().acquire().await.unwrap();
    let read = read.map(|guard| guard.hand_over());
    let writer = writer.hand_over();
    let downgraded = downgraded.hand_over();
    let (lease, term) = (lease.hand_over(), term.hand_over());
    let (latch, lasting) = (latch.hand_over(), lasting.hand_over());
    let zk = memory.successor(crash(zk)).await;
    for read in read {
        let resumed = ReadLock::new(&zk, "/rw").resume(&read).await.unwrap();
        resumed.unwrap().check().unwrap();
    }
    let writer = WriteLock::new(&zk, "/w").resume(&writer).await.unwrap();
    let downgraded = ReadLock::new(&zk, "/d").resume(&downgraded).await.unwrap();
    let resumed = (writer.unwrap().token(), downgraded.unwrap().token());
    assert_eq!(resumed, tokens);
    let lease = Semaphore::new(&zk, "/s", 2).resume(&lease).await.unwrap();
    lease.unwrap().release().await.unwrap();
    let term = Election::new(&zk, "/e").resume(&term).await.unwrap();
    term.unwrap().resign().await.unwrap();
    let latch = LeaderLatch::new(&zk, "/l").resume(&latch).await.unwrap();
    latch.unwrap().check().unwrap();
    // It outlives its session, so it is resumed in another.
    end_session(&memory.server, &zk);
    let lock = Lock::new(&zk, "/p").persistent();
    if is_restored() {
        return;
    }
    let guard = soon("the lock", lock.resume(&lasting))
        .await
        .unwrap()
        .unwrap();
    guard.release().await.unwrap();
    memory.until_names("/p", 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_proclaimed_value_is_observed() {
    let memory = memory(1).await;
    let (zk, observer) = (memory.any().await, memory.any().await);
    let election = Election::new(&zk, "/election").identifier("me");
    let term = election.campaign().await.unwrap();
    let mut leaders = Election::new(&observer, "/election").observe();
    let mut seen = Vec::new();
    for value in ["one", "two"] {
        seen.push(
            soon("the leader", leaders.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap(),
        );
        // Where no session is resumed, the term is over with the connection.
        if pose().resumes_sessions() {
            let faults = memory.server.faults();
            faults.drop_reply_after_apply(on(OpCode::SetData));
        }
        soon("it is set", term.proclaim(value)).await.unwrap();
    }
    seen.push(
        soon("the leader", leaders.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap(),
    );
    let values: Vec<_> = seen.iter().map(|leader| &leader.identifier[..]).collect();
    assert_eq!(values, [&b"me"[..], b"one", b"two"]);
    assert!(seen.iter().all(|leader| leader.token == term.token()));
    assert_eq!(election.leader().await.unwrap().unwrap().identifier, "two");
    term.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_a_leader_proclaims() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let election = Election::new(&zk, "/election");
    let term = election.campaign().await.unwrap();
    let next = start(async move {
        Election::new(&other, "/election")
            .identifier("next")
            .campaign()
            .await
            .unwrap()
    });
    memory.until_names("/election", 2).await;
    end_session(&memory.server, &zk);
    let next = soon("the next", next).await.unwrap();
    let refused = soon("the error", term.proclaim("stale")).await;
    assert!(matches!(refused, Err(Error::Lost(_))), "{refused:?}");
    let seen = election.leader().await.unwrap().unwrap();
    assert_eq!(
        (seen.token, &seen.identifier[..]),
        (next.token(), &b"next"[..])
    );
    zk.delete(next.path()).await.unwrap();
    let refused = soon("the error", next.proclaim("stale")).await;
    let Err(Error::Lost(lost)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(lost, GuardLost::Deleted);
}

/// As ZooKeeper's `WriteLock` and `LeaderElectionSupport` name and order them.
#[tokio::test(start_paused = true)]
async fn names_of_ones_own_are_in_one_queue() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    zk.ensure_path("/x").await.unwrap();
    let foreign = zk
        .create("/x/x-72057594037927936-", "")
        .ephemeral()
        .sequential();
    let foreign = foreign.await.unwrap().path;
    let lock = Lock::new(&other, "/x").names("x-{id}-").identifier("ours");
    assert!(lock.try_acquire().await.unwrap().is_none());
    let waiting = start({
        let lock = lock.clone();
        async move { lock.acquire().await.unwrap() }
    });
    memory.until_names("/x", 2).await;
    zk.delete(&foreign).await.unwrap();
    let guard = soon("the lock", waiting).await.unwrap();
    let name = guard.path().strip_prefix("/x/x-").unwrap();
    assert_eq!(name.split('-').next().unwrap().len(), 32);
    drop(guard);
    let election = Election::new(&other, "/n").names("n_").identifier("host-1");
    let term = election.campaign().await.unwrap();
    assert_eq!(term.path(), "/n/n_0000000000");
    assert_eq!(zk.get("/n/n_0000000000").await.unwrap().0, "host-1");
    assert_eq!(election.leader().await.unwrap().unwrap().path, term.path());
    term.resign().await.unwrap();
    assert!(memory.names("/n").is_empty());
    let stat = zk.exists("/n").await.unwrap().unwrap();
    assert_eq!(stat.owner(), None);
}

/// Contenders of Java that watch a znode for its deletion only, as ZooKeeper's `LeaderElectionSupport` and
/// Curator's `LeaderLatch` do, lose their watch by a change of its contents, and wait for ever.
#[tokio::test(start_paused = true)]
async fn contents_of_places_never_change() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    for layout in [Layout::Default, Layout::Kazoo, Layout::Curator] {
        let lock = Lock::new(&zk, "/lock").layout(layout).identifier("me");
        unchanged(&zk, lock.acquire().await.unwrap().path()).await;
        let read = ReadLock::new(&zk, "/rw").layout(layout).identifier("me");
        unchanged(&zk, read.acquire().await.unwrap().path()).await;
        let write = WriteLock::new(&zk, "/rw").layout(layout).identifier("me");
        unchanged(&zk, write.acquire().await.unwrap().path()).await;
        let semaphore = Semaphore::new(&zk, "/semaphore", 1).layout(layout);
        let lease = semaphore.identifier("me").acquire().await.unwrap();
        unchanged(&zk, lease.path()).await;
        lease.release().await.unwrap();
        zk.delete("/semaphore").recursive().await.unwrap();
    }
    for names in ["n_", "x-{id}-"] {
        let election = Election::new(&zk, "/n").names(names).identifier("me");
        let term = election.campaign().await.unwrap();
        unchanged(&zk, term.path()).await;
        if names == "n_" {
            let refused = term.proclaim("value").await;
            assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
            unchanged(&zk, term.path()).await;
        }
    }
    let term = LeaderLatch::new(&zk, "/latch").id("me").leadership().await;
    let term = term.unwrap();
    let refused = term.proclaim("value").await;
    assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
    unchanged(&zk, term.path()).await;
}

async fn unchanged(zk: &Client, path: &str) {
    let (data, stat) = zk.get(path).await.unwrap();
    assert_eq!((&data[..], stat.version), (&b"me"[..], 0), "{path}");
}

/// The names have no id, and the contents are the same.
#[tokio::test(start_paused = true)]
async fn equal_contenders_survive_lost_replies() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let election = |zk| Election::new(zk, "/n").names("n_").identifier("me");
    let held = election(&other).campaign().await.unwrap();
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(common::create_op()));
    let contenders = [(); 3].map(|()| {
        let election = election(&zk);
        start(async move {
            let term = election.campaign().await.unwrap();
            let path = term.path().to_owned();
            term.resign().await.unwrap();
            path
        })
    });
    until("all wait", || memory.names("/n").len() == 4).await;
    held.resign().await.unwrap();
    let mut led = Vec::new();
    for contender in contenders {
        led.push(soon("the term", contender).await.unwrap());
    }
    led.sort_unstable();
    led.dedup();
    assert_eq!(led.len(), 3, "{led:?}");
    memory.until_names("/n", 0).await;
}

/// The contender that was first finds its znode only after another, with the same contents, has been
/// created: neither takes the only znode that the other can have.
#[tokio::test(start_paused = true)]
async fn late_looks_leave_no_place_behind() {
    // ClickHouse Keeper ends the session with the connection.
    if !pose().resumes_sessions() {
        return;
    }
    // One of the two looks first, or the other.
    for wait in (0..60).step_by(3) {
        late_looks(Duration::from_millis(wait)).await;
    }
}

async fn late_looks(wait: Duration) {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let election = || Election::new(&zk, "/n").names("n_").identifier("me");
    zk.ensure_path("/n").await.unwrap();
    let faults = memory.server.faults();
    faults.drop_reply_after_apply(on(common::create_op()));
    // No look succeeds until both znodes exist.
    let refuse = Action::Refuse(ErrorCode::OperationTimeout);
    faults.rule(on(OpCode::Sync).then(refuse).times(1_000));
    let lead = |election: Election| {
        start(async move {
            let term = election.campaign().await.unwrap();
            term.resign().await.unwrap();
        })
    };
    let first = lead(election());
    until("the first exists", || memory.names("/n").len() == 1).await;
    // A reply shows the client the transaction that created the first.
    let created = memory.server.zxid();
    soon("a reply", async {
        while zk.last_zxid() < created {
            zk.exists("/").await.ok();
        }
    })
    .await;
    faults.drop_reply_after_apply(on(common::create_op()));
    let second = lead(election());
    until("the second exists", || memory.names("/n").len() == 2).await;
    tokio::time::sleep(wait).await;
    assert!(faults.pending() > 0, "a look has succeeded before");
    faults.clear();
    soon("the first leads", first).await.unwrap();
    soon("the second leads", second).await.unwrap();
    memory.until_names("/n", 0).await;
    assert_eq!(memory.server.sessions().len(), 1, "none has ended");
}

/// A look for the place meets a contender that came later, and whose contents it may not read.
#[tokio::test(start_paused = true)]
async fn an_unreadable_contender_hides_no_place() {
    // ClickHouse Keeper ends the session with the connection.
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    zk.ensure_path("/n").await.unwrap();
    let election = Election::new(&zk, "/n").names("n_").identifier("me");
    let faults = memory.server.faults();
    faults.drop_reply_after_apply(on(common::create_op()));
    faults.close_after_accept(true);
    let leading = start(async move { election.campaign().await });
    until("it has a place", || memory.names("/n").len() == 1).await;
    let unreadable = Acl::new(Permissions::DELETE | Permissions::ADMIN, "world", "anyone");
    let foreign = other.create("/n/n_", "them").acl([unreadable]);
    foreign.ephemeral().sequential().await.unwrap();
    faults.close_after_accept(false);
    let term = soon("the term", leading).await.unwrap().unwrap();
    assert_eq!(term.path(), "/n/n_0000000000");
    term.resign().await.unwrap();
    memory.until_names("/n", 1).await;
}

/// A detached client ends no session, which would delete what a dropped campaign has left.
#[tokio::test(start_paused = true)]
async fn a_detached_client_leaves_no_campaign() {
    // ClickHouse Keeper ends the session with the connection.
    if !pose().resumes_sessions() {
        return;
    }
    for polls in 1..12 {
        let memory = memory(1).await;
        let other = memory.any().await;
        other.ensure_path("/n").await.unwrap();
        let zk = memory.client(&[0], |options| options.detached(true)).await;
        let session = zk.session().id;
        memory
            .server
            .faults()
            .delay_replies(Duration::from_millis(5));
        let election = Election::new(&zk, "/n").names("n_").identifier("me");
        let through = dropped_after(polls, election.campaign()).await;
        assert!(!through);
        drop((election, zk));
        memory.until_names("/n", 0).await;
        until("it has left", || memory.server.connection_count() == 1).await;
        assert!(memory.names("/n").is_empty(), "{polls} polls");
        let sessions = memory.server.sessions();
        assert!(sessions.iter().any(|it| it.id == session), "it has ended");
    }
}

/// The name has no id: the session and the contents say whose it is.
#[tokio::test(start_paused = true)]
async fn names_without_ids_survive_lost_replies() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let contenders =
        ["a", "b", "c"].map(|name| Election::new(&zk, "/n").names("n_").identifier(name));
    zk.ensure_path("/n").await.unwrap();
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(common::create_op()));
    let terms = contenders.map(|election| {
        start(async move {
            let term = election.campaign().await.unwrap();
            let leader = election.leader().await.unwrap().unwrap();
            assert_eq!(leader.path, term.path());
            term.resign().await.unwrap();
            leader.identifier
        })
    });
    let mut led = Vec::new();
    for term in terms {
        led.push(soon("the term", term).await.unwrap());
    }
    assert_eq!(led, ["a", "b", "c"]);
    memory.until_names("/n", 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_campaign_without_ids_is_clean() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let election = |zk| Election::new(zk, "/n").names("n_").identifier("me");
    let held = election(&other).campaign().await.unwrap();
    for polls in 1..40 {
        assert!(!dropped_after(polls, election(&zk).campaign()).await);
        if polls % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    memory.until_names("/n", 1).await;
    held.resign().await.unwrap();
    until("no watch stays", || zk.statistics().watches == 0).await;
}

#[tokio::test(start_paused = true)]
async fn unusable_names_are_refused() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    for names in ["", "a/b", "n1", "{id}"] {
        let refused = Lock::new(&zk, "/lock").names(names).try_acquire().await;
        assert_eq!(
            refused.unwrap_err().kind(),
            Some(zk_client::ErrorKind::InvalidPath)
        );
    }
    let refused = Lock::new(&zk, "/lock")
        .names("n_")
        .persistent()
        .acquire()
        .await;
    assert!(matches!(refused, Err(Error::Unsupported(_))));
    assert!(memory.names("").iter().all(|name| name != "lock"));
}
