//! Counters and shared values when replies, connections and sessions are lost.

use std::num::NonZeroU32;
use std::time::Duration;

use super::common::{
    self, address, at, dropped_after, end_session, has_root, memory, paths, soon, start, until,
};
use zk_client::{BackoffPolicy, Client, ErrorKind, Outcome};
use zk_embedded::{
    Server,
    fault::{Action, on},
};
use zk_proto::OpCode;
use zk_recipes::{
    AtomicInteger, AtomicLong, AtomicValue, Counter, Error, IdBlocks, SharedCount, SharedValue,
    Versioned,
};

async fn client(server: &Server) -> Client {
    let impatient = BackoffPolicy::new(Duration::from_millis(2), Duration::from_millis(20));
    let builder = common::unhurried(Client::builder(address(server))).backoff(impatient);
    let zk = builder.connect().await.unwrap();
    has_root(&zk).await;
    common::acquaint(&zk).await;
    zk
}

fn contents(server: &Server, path: &str) -> Vec<u8> {
    let node = server.node(&at(path)).unwrap();
    node.data.unwrap_or_default().to_vec()
}

fn witnesses(server: &Server) -> usize {
    let all = paths(server).into_iter();
    all.filter(|path| path.contains("witness")).count()
}

#[tokio::test]
async fn numbers_have_the_bytes_of_the_peers() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let text = Counter::new(&zk, "/c/text");
    assert_eq!(text.get().await.unwrap(), 0);
    assert_eq!(text.add(41).await.unwrap(), 41);
    assert_eq!(text.increment().await.unwrap(), 42);
    assert_eq!(contents(&server, "/c/text"), b"42");
    assert_eq!(text.subtract(50).await.unwrap(), -8);
    assert_eq!(text.decrement().await.unwrap(), -9);
    assert_eq!(contents(&server, "/c/text"), b"-9");
    let float = Counter::float(&zk, "/c/float").initial(1.5);
    assert_eq!(float.get().await.unwrap(), 1.5);
    assert_eq!(float.add(1.0).await.unwrap(), 2.5);
    assert_eq!(contents(&server, "/c/float"), b"2.5");
    let curator = Counter::new(&zk, "/c/curator").support_curator().initial(7);
    assert_eq!(curator.increment().await.unwrap(), 8);
    assert_eq!(contents(&server, "/c/curator"), [0, 0, 0, 8]);
    let long = AtomicLong::new(&zk, "/c/long");
    assert_eq!(long.add(258).await.unwrap(), 258);
    assert_eq!(contents(&server, "/c/long"), [0, 0, 0, 0, 0, 0, 1, 2]);
    let int = AtomicInteger::new(&zk, "/c/int");
    assert_eq!(int.decrement().await.unwrap(), -1);
    assert_eq!(contents(&server, "/c/int"), [255; 4]);
    let count = SharedCount::new(&zk, "/c/count", 3);
    assert_eq!(count.get().await.unwrap().value, 3);
    assert_eq!(contents(&server, "/c/count"), [0, 0, 0, 3]);
    let ids = IdBlocks::new(&zk, "/c/ids", NonZeroU32::new(258).unwrap());
    assert_eq!(ids.next().await.unwrap(), 0);
    assert_eq!(contents(&server, "/c/ids"), [0, 0, 0, 0, 0, 0, 1, 2]);
    let ids = IdBlocks::new(&zk, "/c/ids4", NonZeroU32::new(258).unwrap()).four_bytes();
    assert_eq!(ids.next().await.unwrap(), 0);
    assert_eq!(contents(&server, "/c/ids4"), [0, 0, 1, 2]);
    int.set(i32::MAX).await.unwrap();
    let ids = IdBlocks::new(&zk, "/c/int", NonZeroU32::MIN).four_bytes();
    let error = ids.next().await.unwrap_err();
    assert!(matches!(error, Error::Overflow { .. }), "{error}");
}

#[tokio::test]
async fn changes_compare_what_they_replace() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let long = AtomicLong::new(&zk, "/long");
    assert!(!long.compare_and_set(1, 5).await.unwrap());
    assert!(long.compare_and_set(0, 5).await.unwrap());
    let set = long.set(6).await.unwrap();
    assert_eq!((set.before, set.after, set.written), (5, 6, true));
    let halved = |n: i64| (n % 2 == 0).then_some(n / 2);
    assert_eq!(long.update(halved).await.unwrap().after, 3);
    let kept = long.update(halved).await.unwrap();
    assert_eq!((kept.before, kept.after, kept.written), (3, 3, false));
    let value = AtomicValue::new(&zk, "/value");
    assert_eq!(value.get().await.unwrap(), "");
    assert!(value.initialize("a").await.unwrap());
    assert!(!value.initialize("b").await.unwrap());
    assert!(!value.compare_and_set("b", "c").await.unwrap());
    assert!(value.compare_and_set("a", "c").await.unwrap());
    let twice = value.update(|data| Some([data, data].concat())).await;
    assert_eq!(twice.unwrap().after, "cc");
    assert_eq!(value.set("d").await.unwrap().before, "cc");
    assert_eq!(contents(&server, "/value"), b"d");
}

#[tokio::test]
async fn overflows_and_other_contents_are_errors() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let int = AtomicInteger::new(&zk, "/int");
    int.set(i32::MAX).await.unwrap();
    let error = int.increment().await.unwrap_err();
    assert!(matches!(error, Error::Overflow { .. }), "{error}");
    assert_eq!(error.path(), Some("/int"));
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(contents(&server, "/int"), i32::MAX.to_be_bytes());
    zk.set("/int", "three").await.unwrap();
    for failed in [int.get().await, int.increment().await] {
        let error = failed.unwrap_err();
        assert!(matches!(error, Error::Undecodable { .. }), "{error}");
    }
    assert_eq!(contents(&server, "/int"), b"three");
}

/// The reply to a change is lost, also when another writer changes the number before the client is
/// connected again: each has counted once.
///
/// Guards: A55.
#[tokio::test]
async fn a_lost_reply_counts_once() {
    let server = common::server().start().await.unwrap();
    let (zk, other) = (client(&server).await, client(&server).await);
    let counter = Counter::new(&zk, "/counter");
    let others = Counter::new(&other, "/counter").without_witness();
    assert_eq!(counter.increment().await.unwrap(), 1);
    for round in 0..3 {
        server.faults().drop_reply_after_apply(on(OpCode::Multi));
        let sum = soon("the sum", counter.increment()).await.unwrap();
        assert_eq!(sum, 2 + 3 * round);
        server.faults().drop_reply_after_apply(on(OpCode::Multi));
        server.faults().close_after_accept(true);
        let counting = start({
            let counter = counter.clone();
            async move { counter.increment().await }
        });
        let written = || contents(&server, "/counter") == (3 + 3 * round).to_string().as_bytes();
        until("it is written", written).await;
        assert_eq!(others.increment().await.unwrap(), 4 + 3 * round);
        server.faults().close_after_accept(false);
        let sum = soon("the sum", counting).await.unwrap().unwrap();
        assert_eq!(sum, 3 + 3 * round);
    }
}

/// The request is lost instead of the reply.
#[tokio::test]
async fn a_lost_request_is_sent_again() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let counter = AtomicLong::new(&zk, "/counter");
    counter.increment().await.unwrap();
    for sum in 2..5 {
        server.faults().rule(on(OpCode::Multi).then(Action::Close));
        let found = soon("the sum", counter.increment()).await.unwrap();
        assert_eq!(found, sum);
    }
}

/// Without a witness the version decides, as far as it can.
#[tokio::test]
async fn without_a_witness_equal_data_are_unknown() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let counter = AtomicLong::new(&zk, "/counter").without_witness();
    counter.increment().await.unwrap();
    assert_eq!(witnesses(&server), 0);
    server
        .faults()
        .rule(on(OpCode::SetData).then(Action::Close));
    let counted = soon("the sum", counter.increment()).await;
    if common::pose().resumes_sessions() {
        assert_eq!(counted.unwrap(), 2, "the version is the one before");
    } else {
        // The session was lost with the connection.
        assert_eq!(counted.unwrap_err().outcome(), Outcome::Unknown);
        assert_eq!(soon("the sum", counter.increment()).await.unwrap(), 2);
    }
    server.faults().drop_reply_after_apply(on(OpCode::SetData));
    let error = soon("the error", counter.increment()).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(counter.get().await.unwrap(), 3);
    assert_eq!(soon("the sum", counter.increment()).await.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_counter_survives_its_sessions() {
    let memory = memory(1).await;
    let server = memory.server.clone();
    let zk = memory.any().await;
    let counter = Counter::new(&zk, "/a/counter");
    for sum in 1..4 {
        assert_eq!(
            soon("the sum", counter.increment()).await.unwrap(),
            sum,
            "in session {}",
            zk.session().id
        );
        let epoch = zk.session().epoch;
        end_session(&server, &zk);
        until("there is another session", || zk.session().epoch > epoch).await;
    }
    counter.increment().await.unwrap();
    until("one witness is left", || witnesses(&server) == 1).await;
    // Also after a deletion by another client.
    zk.delete("/a/counter").recursive().await.unwrap();
    assert_eq!(counter.increment().await.unwrap(), 1);
    assert_eq!(witnesses(&server), 1);
    drop(counter);
    until("no witness is left", || witnesses(&server) == 0).await;
}

/// The session ends while the reply is awaited: the count is the same or one more.
#[tokio::test]
async fn a_lost_session_leaves_outcomes_unknown() {
    let server = common::server().start().await.unwrap();
    let (zk, other) = (client(&server).await, client(&server).await);
    let counter = Counter::new(&zk, "/counter");
    counter.increment().await.unwrap();
    server.faults().drop_reply_after_apply(on(OpCode::Multi));
    server.faults().close_after_accept(true);
    let counting = start({
        let counter = counter.clone();
        async move { counter.increment().await }
    });
    let written = || contents(&server, "/counter") == b"2";
    until("it is written", written).await;
    server.expire_session(zk.session().id);
    server.faults().close_after_accept(false);
    let error = soon("the error", counting).await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    soon("a session", zk.connected()).await.unwrap();
    assert_eq!(soon("the sum", counter.increment()).await.unwrap(), 3);
    other.close().await.unwrap();
}

/// Without the right to create children there is no witness.
#[tokio::test]
async fn a_counter_needs_no_right_to_create() {
    use zk_client::{Acl, Permissions};

    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let acl = Acl::new(Permissions::READ | Permissions::WRITE, "world", "anyone");
    zk.create("/counter", "5").acl([acl]).await.unwrap();
    let counter = Counter::new(&zk, "/counter");
    assert_eq!(counter.increment().await.unwrap(), 6);
    assert_eq!(counter.increment().await.unwrap(), 7);
    assert_eq!(contents(&server, "/counter"), b"7");
}

#[tokio::test]
async fn dropped_changes_leave_no_znode() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let mut least = 0;
    for polls in 1..60 {
        let counter = Counter::new(&zk, "/counter");
        let through = dropped_after(polls, counter.increment()).await;
        let value = zk.get("/counter").await;
        let value = value.map_or(0, |(data, _)| {
            let text = String::from_utf8(data.to_vec()).unwrap();
            text.parse().unwrap_or(0)
        });
        assert!((least..=least + 1).contains(&value), "{value} {least}");
        assert!(!through || value == least + 1);
        least = value;
    }
    until("no witness is left", || witnesses(&server) == 0).await;
    let statistics = zk.statistics();
    assert_eq!((statistics.watches, statistics.subscribers), (0, 0));
}

#[tokio::test]
async fn contended_changes_all_count() {
    let memory = memory(3).await;
    let mut work = tokio::task::JoinSet::new();
    for n in 0..6 {
        let zk = memory.any().await;
        let lock = zk_recipes::Lock::new(&zk, "/lock");
        let mut long = AtomicLong::new(&zk, "/long");
        if n % 2 == 0 {
            long = long.promote_to_lock(&lock, 1);
        }
        work.spawn(async move {
            for _ in 0..20 {
                long.increment().await.unwrap();
            }
        });
    }
    while let Some(done) = soon("all", work.join_next()).await {
        done.unwrap();
    }
    assert_eq!(contents(&memory.server, "/long"), 120_i64.to_be_bytes());
    memory.until_names("/lock", 0).await;
    memory.until_names("/long", 0).await;
}

/// Whether both are of one write: the counts of children may differ.
fn is_same(one: &Versioned, other: &Versioned) -> bool {
    (&one.value, one.zxid(), one.stat.version) == (&other.value, other.zxid(), other.stat.version)
}

#[tokio::test(start_paused = true)]
async fn a_shared_value_is_watched() {
    let memory = memory(1).await;
    let server = memory.server.clone();
    let (zk, other) = (memory.any().await, memory.any().await);
    let mut value = SharedValue::new(&zk, "/a/value", "seed");
    let first = soon("the seed", value.changed()).await.unwrap().unwrap();
    assert_eq!(first.value, "seed");
    let theirs = SharedValue::new(&other, "/a/value", "other seed");
    let set = theirs.set("one").await.unwrap();
    let seen = soon("the value", value.changed()).await.unwrap().unwrap();
    assert!(is_same(&seen, &set), "{seen:?} {set:?}");
    // Only the one that knows the latest value sets it.
    assert_eq!(value.try_set(&first, "late").await.unwrap(), None);
    let two = value.try_set(&seen, "two").await.unwrap().unwrap();
    assert!(is_same(&theirs.get().await.unwrap(), &two));
    let seen = soon("the value", value.changed()).await.unwrap().unwrap();
    assert!(is_same(&seen, &two), "{seen:?} {two:?}");
    // It continues in the next session.
    let epoch = zk.session().epoch;
    end_session(&server, &zk);
    until("there is another session", || zk.session().epoch > epoch).await;
    soon("a session", other.connected()).await.unwrap();
    soon("the write", theirs.set("three")).await.unwrap();
    let mut seen = soon("the value", value.changed()).await.unwrap().unwrap();
    while seen.value != "three" {
        seen = soon("the value", value.changed()).await.unwrap().unwrap();
    }
    // A deleted one is created again.
    soon(
        "the deletion",
        other.delete("/a/value").recursive().submit(),
    )
    .await
    .unwrap();
    let mut seen = soon("the seed", value.changed()).await.unwrap().unwrap();
    while seen.value != "seed" {
        seen = soon("the seed", value.changed()).await.unwrap().unwrap();
    }
    zk.close().await.unwrap();
    assert!(soon("the end", value.changed()).await.is_none());
}

/// Another znode at the path has the same version.
#[tokio::test]
async fn another_znode_is_not_the_known_one() {
    let server = common::server().start().await.unwrap();
    let (zk, other) = (client(&server).await, client(&server).await);
    for count in [
        SharedCount::new(&zk, "/count", 1),
        SharedCount::new(&zk, "/count", 1).without_witness(),
    ] {
        let known = count.get().await.unwrap();
        other.delete("/count").recursive().await.unwrap();
        assert_eq!(count.try_set(&known, 2).await.unwrap(), None, "it is gone");
        other.create("/count", 7_i32.to_be_bytes()).await.unwrap();
        assert_eq!(count.try_set(&known, 2).await.unwrap(), None);
        let found = count.get().await.unwrap();
        assert_eq!((found.value, found.stat.version), (7, known.stat.version));
        assert!(count.try_set(&found, 8).await.unwrap().is_some());
        other.delete("/count").recursive().await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_reply_sets_a_value_once() {
    let server = common::server().start().await.unwrap();
    let (zk, other) = (client(&server).await, client(&server).await);
    let ours = SharedCount::new(&zk, "/count", 1);
    let theirs = SharedCount::new(&other, "/count", 1).without_witness();
    let known = ours.get().await.unwrap();
    server.faults().drop_reply_after_apply(on(OpCode::Multi));
    let set = soon("the write", ours.try_set(&known, 2)).await.unwrap();
    let set = set.unwrap();
    let found = theirs.get().await.unwrap();
    assert_eq!((found.value, found.zxid()), (2, set.zxid()));
    assert_eq!(found.stat.version, set.stat.version);
    // The same number by another writer is not ours.
    theirs.try_set(&set, 3).await.unwrap().unwrap();
    server.faults().drop_reply_after_apply(on(OpCode::Multi));
    assert_eq!(
        soon("the write", ours.try_set(&set, 3)).await.unwrap(),
        None
    );
    let error = SharedCount::new(&zk, "/", 1).get().await;
    if common::root().is_empty() {
        assert_eq!(error.unwrap_err().kind(), Some(ErrorKind::InvalidPath));
    }
}

#[tokio::test]
async fn a_lost_reply_initializes_once() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let value = AtomicValue::new(&zk, "/a/value");
    zk.ensure_path("/a").await.unwrap();
    let lose = || {
        let lost = on(common::create_op());
        server.faults().drop_reply_after_apply(lost);
    };
    lose();
    let created = soon("the value", value.initialize("one")).await;
    if common::pose().resumes_sessions() {
        assert!(created.unwrap(), "it is found to be created by this call");
        lose();
    } else {
        // The session was lost with the connection.
        assert_eq!(created.unwrap_err().outcome(), Outcome::Unknown);
    }
    assert!(!soon("the refusal", value.initialize("one")).await.unwrap());
    assert!(!soon("the refusal", value.initialize("two")).await.unwrap());
    assert_eq!(contents(&server, "/a/value"), b"one");
}

/// Ids are unique, also when replies and sessions are lost, and may have gaps.
#[tokio::test]
async fn ids_are_unique_whatever_is_lost() {
    let server = common::server().start().await.unwrap();
    let (zk, other) = (client(&server).await, client(&server).await);
    let size = NonZeroU32::new(3).unwrap();
    let (ours, theirs) = (
        IdBlocks::new(&zk, "/ids", size),
        IdBlocks::new(&other, "/ids", size),
    );
    let mut ids = vec![ours.next().await.unwrap(), theirs.next().await.unwrap()];
    assert_eq!(ids, [0, 3]);
    for round in 0..8 {
        match round % 3 {
            0 => server.faults().drop_reply_after_apply(on(OpCode::SetData)),
            1 => server
                .faults()
                .rule(on(OpCode::SetData).then(Action::Close)),
            _ => {}
        }
        for _ in 0..4 {
            ids.push(soon("an id", ours.next()).await.unwrap());
        }
        ids.push(soon("an id", theirs.next()).await.unwrap());
        ids.extend(soon("a block", theirs.reserve()).await.unwrap());
    }
    let epoch = zk.session().epoch;
    server.expire_session(zk.session().id);
    until("there is another session", || zk.session().epoch > epoch).await;
    for _ in 0..4 {
        ids.push(soon("an id", ours.next()).await.unwrap());
    }
    // `next` has ids left of an earlier block.
    ids.extend(soon("a block", ours.reserve()).await.unwrap());
    ids.extend(soon("a block", ours.reserve()).await.unwrap());
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    // After a restore of an older number a handle does not repeat its own ids. The highest are its own.
    soon("the restore", zk.set("/ids", 0_i64.to_be_bytes()).submit())
        .await
        .unwrap();
    for _ in 0..4 {
        let id = soon("an id", ours.next()).await.unwrap();
        assert!(ids.binary_search(&id).is_err(), "{id} is there twice");
    }
}
