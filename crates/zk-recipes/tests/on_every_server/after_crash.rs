//! What a process takes up that has resumed the session of one that crashed.

use std::pin::{Pin, pin};
use std::time::Duration;

use super::common::{
    self, LAYOUTS, at, crash, dropped_after, end_session, is_restored, memory, pose, soon, start,
    until,
};
use zk_client::{Client, ErrorKind, Guid};
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};
use zk_recipes::{
    Election, Error, GroupMember, Layout, LeaderLatch, Lock, MultiNonBlockingLease, NodeState,
    NonBlockingLease, Party, PersistentNode, ReadLock, Semaphore, ShallowParty, WriteLock,
};

/// Polls a future until `fact`, for a process that crashes while it waits.
async fn pending<T>(mut future: Pin<&mut impl Future<Output = T>>, fact: impl Fn() -> bool) {
    let reached = until("the future waits", fact);
    tokio::select! {
        _ = &mut future => panic!("it should still wait"),
        () = reached => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_in_the_queue_is_kept() {
    if !pose().resumes_sessions() {
        return;
    }
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let holder = Lock::new(&other, "/lock").layout(layout);
        let held = holder.acquire().await.unwrap();
        let id = Guid::random();
        let lock = |zk: &Client| Lock::new(zk, "/lock").layout(layout).adopt_by(id);
        let mine = lock(&zk);
        let mut waiting = Box::pin(mine.acquire());
        pending(waiting.as_mut(), || memory.names("/lock").len() == 2).await;
        let place = holder.contenders().await.unwrap().remove(1);
        let token = crash(zk);
        drop(waiting);
        let behind = start(async move { holder.acquire().await.unwrap() });
        memory.until_names("/lock", 3).await;
        let zk = memory.successor(token).await;
        let mine = lock(&zk);
        let adopted = start(async move { mine.acquire().await.unwrap() });
        held.release().await.unwrap();
        let guard = soon("the lock", adopted).await.unwrap();
        assert_eq!((guard.path(), guard.token()), (&*place.path, place.token));
        guard.check().unwrap();
        assert!(!behind.is_finished());
        guard.release().await.unwrap();
        drop(soon("the next", behind).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_lock_is_held_again() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let id = Guid::random();
    let guard = Lock::new(&zk, "/lock").adopt_by(id).acquire().await;
    let guard = guard.unwrap();
    let (path, token) = (guard.path().to_owned(), guard.token());
    let waiting = start(async move { Lock::new(&other, "/lock").acquire().await.unwrap() });
    memory.until_names("/lock", 2).await;
    let session = crash(zk);
    drop(guard);
    let zk = memory.successor(session).await;
    // The replies to the look are lost.
    let faults = memory.server.faults();
    faults.drop_reply_after_apply(on(OpCode::GetChildren2));
    faults.drop_reply_after_apply(on(OpCode::Exists));
    let lock = Lock::new(&zk, "/lock").adopt_by(id);
    let guard = soon("the lock", lock.acquire()).await.unwrap();
    assert_eq!((guard.path(), guard.token()), (&*path, token));
    guard.check().unwrap();
    guard.fenced().create("/data", "").commit().await.unwrap();
    assert!(!waiting.is_finished());
    // Only the first acquisition takes up an earlier place.
    assert!(lock.try_acquire().await.unwrap().is_none());
    guard.check().unwrap();
    guard.release().await.unwrap();
    drop(soon("the next", waiting).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_guard_is_held_again() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let zk = memory.any().await;
    let id = Guid::random();
    let read = ReadLock::new(&zk, "/rw").adopt_by(id).acquire().await;
    let write = WriteLock::new(&zk, "/w").adopt_by(id).acquire().await;
    let reader = WriteLock::new(&zk, "/d").adopt_by(id).acquire().await;
    let reader = reader.unwrap().downgrade().await;
    let term = Election::new(&zk, "/e").adopt_by(id).campaign().await;
    let latch = LeaderLatch::new(&zk, "/l").adopt_by(id).leadership().await;
    let named = Lock::new(&zk, "/n").names("x-{id}-").adopt_by(id);
    let named = named.acquire().await;
    let lasting = Lock::new(&zk, "/p").persistent().adopt_by(id);
    let lasting = lasting.acquire().await;
    let before = (
        read.as_ref().unwrap().path().to_owned(),
        write.as_ref().unwrap().path().to_owned(),
        reader.as_ref().unwrap().path().to_owned(),
        term.as_ref().unwrap().path().to_owned(),
        latch.as_ref().unwrap().path().to_owned(),
        named.as_ref().unwrap().path().to_owned(),
    );
    let lasting_path = lasting.as_ref().unwrap().path().to_owned();
    let zk = memory.successor(crash(zk)).await;
    drop((read, write, reader, term, latch, named, lasting));
    let read = ReadLock::new(&zk, "/rw")
        .adopt_by(id)
        .acquire()
        .await
        .unwrap();
    let write = WriteLock::new(&zk, "/w")
        .adopt_by(id)
        .acquire()
        .await
        .unwrap();
    let reader = ReadLock::new(&zk, "/d")
        .adopt_by(id)
        .acquire()
        .await
        .unwrap();
    let term = Election::new(&zk, "/e")
        .adopt_by(id)
        .campaign()
        .await
        .unwrap();
    let latch = LeaderLatch::new(&zk, "/l").adopt_by(id).leadership().await;
    let latch = latch.unwrap();
    let named = Lock::new(&zk, "/n").names("x-{id}-").adopt_by(id);
    let named = named.acquire().await.unwrap();
    let after = (
        read.path().to_owned(),
        write.path().to_owned(),
        reader.path().to_owned(),
        term.path().to_owned(),
        latch.path().to_owned(),
        named.path().to_owned(),
    );
    assert_eq!(after, before);
    // A persistent one is taken up in any session.
    end_session(&memory.server, &zk);
    let lasting = Lock::new(&zk, "/p").persistent().adopt_by(id);
    let lasting = soon("the lock", lasting.acquire()).await.unwrap();
    assert_eq!(lasting.path(), lasting_path);
    lasting.release().await.unwrap();
    memory.until_names("/p", 0).await;
}

#[tokio::test(start_paused = true)]
async fn another_session_gets_a_new_place() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let id = Guid::random();
    let mine = Lock::new(&zk, "/lock").adopt_by(id);
    let held = mine.acquire().await.unwrap();
    // The id proves nothing about the session.
    let same = Lock::new(&other, "/lock").adopt_by(id);
    assert!(
        soon("an answer", same.try_acquire())
            .await
            .unwrap()
            .is_none()
    );
    let waiting = start(async move { same.acquire().await.unwrap() });
    memory.until_names("/lock", 2).await;
    held.check().unwrap();
    end_session(&memory.server, &zk);
    let next = soon("the lock", waiting).await.unwrap();
    soon("the loss", held.lost()).await;
    assert_ne!(next.path(), held.path());
    let mut again = pin!(mine.acquire());
    if !is_restored() {
        pending(again.as_mut(), || memory.names("/lock").len() == 2).await;
    }
    next.release().await.unwrap();
    drop(soon("the lock", again).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn further_places_are_left() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let zk = memory.any().await;
    let id = Guid::random();
    let lock = Lock::new(&zk, "/lock").adopt_by(id);
    let first = lock.acquire().await.unwrap();
    let mut second = Box::pin(lock.acquire());
    pending(second.as_mut(), || memory.names("/lock").len() == 2).await;
    // Two acquisitions are two contenders.
    first.check().unwrap();
    let (session, path) = (crash(zk), first.path().to_owned());
    drop((first, second));
    let zk = memory.successor(session).await;
    let lock = Lock::new(&zk, "/lock").adopt_by(id);
    let guard = soon("the lock", lock.acquire()).await.unwrap();
    assert_eq!(guard.path(), path);
    memory.until_names("/lock", 1).await;
    guard.release().await.unwrap();
    memory.until_names("/lock", 0).await;
}

/// Whatever is known when an adoption is dropped: the next acquisition has the lock, and no contender
/// without a program is left.
#[tokio::test(start_paused = true)]
async fn a_dropped_adoption_leaves_one_place() {
    if !pose().resumes_sessions() {
        return;
    }
    for polls in 1..24 {
        let memory = memory(1).await;
        let zk = memory.any().await;
        let id = Guid::random();
        let guard = Lock::new(&zk, "/lock").adopt_by(id).acquire().await;
        let session = crash(zk);
        drop(guard);
        let zk = memory.successor(session).await;
        let lock = Lock::new(&zk, "/lock").adopt_by(id);
        dropped_after(polls, lock.acquire()).await;
        let guard = soon("the lock", lock.acquire()).await.unwrap();
        memory.until_names("/lock", 1).await;
        guard.check().unwrap();
        guard.release().await.unwrap();
        memory.until_names("/lock", 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_needs_a_name_to_be_in() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let lock = Lock::new(&zk, "/lock").names("n_").adopt_by(Guid::random());
    let refused = lock.acquire().await;
    assert!(matches!(refused, Err(Error::Unsupported(_))));
    assert!(!memory.names("").contains(&"lock".to_owned()));
}

/// Creations whose replies are lost are distinguished, although they have the same id.
#[tokio::test(start_paused = true)]
async fn one_id_has_one_holder_at_a_time() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.ensure_path("/lock").await.unwrap();
    let lock = Lock::new(&zk, "/lock").adopt_by(Guid::random());
    let faults = memory.server.faults();
    faults.drop_reply_after_apply(on(common::create_op()));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (lock, zk) = (lock.clone(), zk.clone());
            start(async move {
                let guard = lock.acquire().await.unwrap();
                zk.create("/inside", "").await.unwrap();
                zk.delete("/inside").await.unwrap();
                guard.release().await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        soon("each has the lock", task).await.unwrap();
    }
    memory.until_names("/lock", 0).await;
}

#[tokio::test(start_paused = true)]
async fn leases_of_a_semaphore_are_held_again() {
    if !pose().resumes_sessions() {
        return;
    }
    for layout in [Layout::Default, Layout::Kazoo] {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let id = Guid::random();
        let semaphore = |zk: &Client| Semaphore::new(zk, "/s", 3).layout(layout);
        let held = semaphore(&zk).adopt_by(id).acquire_many(2).await.unwrap();
        let paths: Vec<_> = held.iter().map(|lease| lease.path().to_owned()).collect();
        let waiting = start({
            let semaphore = semaphore(&other);
            async move { semaphore.acquire_many(2).await.unwrap() }
        });
        // Another contender is at the head of the queue.
        until("it waits", || zk.statistics().outstanding == 0).await;
        let token = crash(zk);
        drop(held);
        let zk = memory.successor(token).await;
        let mine = semaphore(&zk).adopt_by(id);
        let again = soon("the leases", mine.acquire_many(2)).await.unwrap();
        let mut adopted: Vec<_> = again.iter().map(|lease| lease.path().to_owned()).collect();
        let mut paths = paths;
        adopted.sort_unstable();
        paths.sort_unstable();
        assert_eq!(adopted, paths);
        for lease in again {
            lease.check().unwrap();
            lease.release().await.unwrap();
        }
        soon("the others", waiting).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_for_a_lease_is_kept() {
    if !pose().resumes_sessions() {
        return;
    }
    for layout in [Layout::Default, Layout::Kazoo] {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let id = Guid::random();
        let semaphore = |zk: &Client| Semaphore::new(zk, "/s", 1).layout(layout);
        let queue = match layout {
            Layout::Kazoo => "/s-__lock__",
            _ => "/s/locks",
        };
        let held = semaphore(&other).acquire().await.unwrap();
        let mine = semaphore(&zk).adopt_by(id);
        let mut waiting = Box::pin(mine.acquire());
        pending(waiting.as_mut(), || memory.names(queue).len() == 1).await;
        let place = memory.names(queue).remove(0);
        let token = crash(zk);
        drop(waiting);
        let behind = start({
            let semaphore = semaphore(&other);
            async move { semaphore.acquire().await.unwrap() }
        });
        memory.until_names(queue, 2).await;
        let zk = memory.successor(token).await;
        let mine = semaphore(&zk).adopt_by(id);
        let mut waiting = pin!(mine.acquire());
        pending(waiting.as_mut(), || memory.names(queue).contains(&place)).await;
        held.release().await.unwrap();
        let lease = soon("the lease", waiting).await.unwrap();
        lease.check().unwrap();
        assert!(!behind.is_finished());
        lease.release().await.unwrap();
        drop(soon("the next", behind).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_contender_of_a_lease_is_taken_up() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let id = Guid::random();
    let hour = Duration::from_secs(3600);
    let lease = |zk: &Client, name: &str| NonBlockingLease::new(zk, "/lease", hour, name);
    let turn = Lock::new(&other, "/lease").layout(Layout::Kazoo);
    let turn = turn.acquire().await.unwrap();
    let mine = lease(&zk, "me").adopt_by(id);
    let mut attempt = Box::pin(mine.try_obtain());
    pending(attempt.as_mut(), || memory.names("/lease").len() == 2).await;
    let token = crash(zk);
    drop(attempt);
    let zk = memory.successor(token).await;
    turn.release().await.unwrap();
    let theirs = start({
        let theirs = lease(&other, "them");
        async move { theirs.try_obtain().await.unwrap().is_some() }
    });
    memory.until_names("/lease", 2).await;
    assert!(!theirs.is_finished(), "the contender is ahead");
    let mine = lease(&zk, "me").adopt_by(id);
    assert!(soon("it", mine.try_obtain()).await.unwrap().is_some());
    assert!(!soon("theirs", theirs).await.unwrap());
    memory.until_names("/lease", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_contender_of_no_use_is_left() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let id = Guid::random();
    let hour = Duration::from_secs(3600);
    let lease = |zk: &Client, name: &str| NonBlockingLease::new(zk, "/lease", hour, name);
    let lock = |zk: &Client| Lock::new(zk, "/lease").layout(Layout::Kazoo);
    let turn = lock(&other).acquire().await.unwrap();
    let mine = lock(&zk).adopt_by(id);
    let mut waiting = Box::pin(mine.acquire());
    pending(waiting.as_mut(), || memory.names("/lease").len() == 2).await;
    let token = crash(zk);
    drop(waiting);
    // The holder of the turn obtains the lease.
    let end = "2999-01-01T00:00:00";
    let data = format!(r#"{{"version": 1, "holder": "them", "end": "{end}"}}"#);
    other.create("/lease/lease_holder", data).await.unwrap();
    turn.release().await.unwrap();
    let zk = memory.successor(token).await;
    let mine = lease(&zk, "me").adopt_by(id);
    assert!(
        soon("an answer", mine.try_obtain())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(memory.names("/lease"), ["lease_holder"]);
}

/// The earlier process had been in its turn of another lease than is obtained now.
#[tokio::test(start_paused = true)]
async fn contenders_of_other_leases_are_left() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let id = Guid::random();
    let hour = Duration::from_secs(3600);
    let turn = Lock::new(&zk, "/leases/1").layout(Layout::Kazoo);
    let turn = turn.adopt_by(id).acquire().await.unwrap();
    let token = crash(zk);
    drop(turn);
    let leases = |zk: &Client, name: &str| MultiNonBlockingLease::new(zk, 2, "/leases", hour, name);
    let zk = memory.successor(token).await;
    // A look that is refused loses no lease; the next attempt looks again.
    let look = on(OpCode::GetChildren2).path(at("/leases/1"));
    let refusal = look.then(Action::Refuse(ErrorCode::NoAuth));
    memory.server.faults().rule(refusal);
    let mine = leases(&zk, "me").adopt_by(id);
    for left in [1, 0] {
        let obtained = soon("a lease", mine.try_obtain()).await.unwrap();
        assert!(obtained.unwrap().path().starts_with("/leases/0"));
        memory.until_names("/leases/1", left).await;
    }
    let theirs = leases(&other, "them");
    let obtained = soon("a lease", theirs.try_obtain()).await.unwrap();
    assert!(obtained.unwrap().path().starts_with("/leases/1"));
}

#[tokio::test(start_paused = true)]
async fn a_persistent_node_is_taken_up() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let node = PersistentNode::new(&zk, "/node", "one");
    let member = GroupMember::new(&zk, "/group", "me", "one");
    soon("it", node.wait_created()).await.unwrap();
    soon("it", member.node().wait_created()).await.unwrap();
    let stat = other.exists("/node").await.unwrap().unwrap();
    let group = other.exists("/group/me").await.unwrap().unwrap();
    let token = crash(zk);
    drop((node, member));
    let zk = memory.successor(token).await;
    // Without the option it could be another node's of this program.
    let careful = PersistentNode::new(&zk, "/node", "two");
    let refused = soon("an answer", careful.wait_created()).await;
    assert!(matches!(refused, Err(Error::Occupied { .. })));
    drop(careful);
    let node = PersistentNode::builder(&zk, "/node").data("two").adopting();
    let node = node.start();
    soon("it", node.wait_created()).await.unwrap();
    let member = GroupMember::adopting(&zk, "/group", "me", "two");
    soon("it", member.node().wait_created()).await.unwrap();
    let (data, now) = other.get("/node").synced().await.unwrap();
    assert_eq!((&*data, now.czxid), (&b"two"[..], stat.czxid));
    let now = other.exists("/group/me").synced().await.unwrap().unwrap();
    assert_eq!(now.czxid, group.czxid);
    soon("it", node.close()).await.unwrap();
    assert!(other.exists("/node").synced().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn nodes_of_other_sessions_are_foreign() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    other.create("/node", "theirs").ephemeral().await.unwrap();
    let node = PersistentNode::builder(&zk, "/node").adopting().start();
    let refused = soon("an answer", node.wait_created()).await;
    assert!(matches!(refused, Err(Error::Occupied { .. })));
    assert!(matches!(node.state(), NodeState::Conflict { .. }));
    assert_eq!(zk.get("/node").await.unwrap().0, "theirs");
    // And only in the first session: a later znode is another node's of this program.
    other.delete("/node").await.unwrap();
    soon("it", node.wait_created()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_member_of_a_party_is_taken_up() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let zk = memory.any().await;
    let id = Guid::random();
    let party = |zk: &Client| Party::new(zk, "/party").identifier("me").adopt_by(id);
    let shallow = |zk: &Client| {
        ShallowParty::new(zk, "/shallow")
            .identifier("me")
            .adopt_by(id)
    };
    let joined = party(&zk).join().await.unwrap();
    let shallowly = shallow(&zk).join().await.unwrap();
    let before = zk.exists(&joined.node().path().unwrap()).await.unwrap();
    let token = crash(zk);
    drop((joined, shallowly));
    let zk = memory.successor(token).await;
    let joined = soon("it", party(&zk).join()).await.unwrap();
    let shallowly = soon("it", shallow(&zk).join()).await.unwrap();
    let after = zk.exists(&joined.node().path().unwrap()).await.unwrap();
    assert_eq!(after.unwrap().czxid, before.unwrap().czxid);
    assert_eq!(party(&zk).members().await.unwrap(), ["me"]);
    assert_eq!(shallow(&zk).len().await.unwrap(), 1);
    joined.leave().await.unwrap();
    shallowly.leave().await.unwrap();
    memory.until_names("/party", 0).await;
    // In another session the earlier member is replaced.
    let earlier = party(&zk).join().await.unwrap();
    let next = memory.any().await;
    let token = crash(zk);
    drop((earlier, token));
    let joined = soon("it", party(&next).join()).await.unwrap();
    assert_eq!(party(&next).members().await.unwrap(), ["me"]);
    joined.leave().await.unwrap();
}

#[cfg(feature = "discovery")]
#[tokio::test(start_paused = true)]
async fn a_registration_is_taken_up() {
    use zk_recipes::{ServiceDiscovery, ServiceInstance};

    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let instance = || ServiceInstance::<String>::new("search", "10.0.0.7").id("me");
    let discovery = ServiceDiscovery::new(&zk, "/services");
    let registration = discovery.register(instance()).await.unwrap();
    let path = registration.path().unwrap();
    let before = other.exists(&path).synced().await.unwrap().unwrap();
    let token = crash(zk);
    drop(registration);
    let zk = memory.successor(token).await;
    let discovery = ServiceDiscovery::new(&zk, "/services").adopting();
    let registration = soon("it", discovery.register(instance())).await.unwrap();
    let after = other.exists(&path).synced().await.unwrap().unwrap();
    assert_eq!(after.czxid, before.czxid);
    registration.unregister().await.unwrap();
    let gone = other.get(&path).synced().await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NoNode);
}
