//! Items divided among members that come, go, and lose their sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::common::{
    Memory, at, dropped_after, end_session, memory, soon, start, until, until_unwatched,
};
use zk_client::{Client, ErrorKind};
use zk_recipes::{Allocation, Allocations, GuardLost, Layout, Lock, SetPartitioner, Share};

const ITEMS: [&str; 5] = ["a", "b", "c", "d", "e"];
const BOUNDARY: Duration = Duration::from_millis(500);

fn partitioner(zk: &Client, name: &str) -> SetPartitioner {
    let partitioner = SetPartitioner::new(zk, "/p", ITEMS).identifier(name);
    partitioner.time_boundary(BOUNDARY)
}

async fn acquired(allocations: &mut Allocations) -> Share {
    loop {
        match soon("an allocation", allocations.next())
            .await
            .unwrap()
            .unwrap()
        {
            Allocation::Acquired(share) => return share,
            Allocation::Allocating | Allocation::Releasing => {}
            other => panic!("{other:?}"),
        }
    }
}

fn items(share: &Share) -> Vec<&str> {
    share.items().collect()
}

/// The locks' znodes.
fn locked(memory: &Memory) -> usize {
    let locks = ITEMS
        .iter()
        .map(|item| memory.names(&format!("/p/locks/{item}")));
    locks.map(|names| names.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn members_divide_the_items_in_turn() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let mut first = partitioner(&zk, "b").join();
    let share = acquired(&mut first).await;
    assert_eq!(items(&share), ITEMS);
    share.check().unwrap();
    let guard = share.guard("c").unwrap();
    guard.fenced().create("/done", "c").commit().await.unwrap();
    assert!(!share.is_requested() && share.guard("x").is_none());
    let mut second = partitioner(&other, "a").join();
    soon("the request", share.requested()).await;
    // The items stay this member's until it gives them back.
    share.check().unwrap();
    let busy = Lock::new(&other, "/p/locks/a").layout(Layout::Kazoo);
    assert!(busy.try_acquire().await.unwrap().is_none());
    assert_eq!(share.run(std::future::pending::<()>()).await, None);
    share.release().await.unwrap();
    let (one, two) = (acquired(&mut first).await, acquired(&mut second).await);
    assert_eq!(items(&two), ["a", "c", "e"]);
    assert_eq!(items(&one), ["b", "d"]);
    drop(two);
    soon("the end", second.leave()).await.unwrap();
    assert_eq!(memory.names("/p/party").len(), 1);
    soon("the request", one.requested()).await;
    drop(one);
    assert_eq!(items(&acquired(&mut first).await), ITEMS);
    drop(first);
    memory.until_names("/p/party", 0).await;
    until("all is released", || locked(&memory) == 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_znodes_are_those_of_kazoo() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let mut allocations = partitioner(&zk, "host-1").join();
    let share = acquired(&mut allocations).await;
    let [member] = &memory.names("/p/party")[..] else {
        panic!("one member");
    };
    let (id, identifier) = member.split_once('-').unwrap();
    assert_eq!((id.len(), identifier), (32, "host-1"));
    assert!(id.bytes().all(|c| c.is_ascii_hexdigit()));
    let (data, stat) = zk.get(&format!("/p/party/{member}")).await.unwrap();
    assert_eq!(
        (&data[..], stat.owner()),
        (&b"host-1"[..], Some(zk.session().id))
    );
    let [contender] = &memory.names("/p/locks/a")[..] else {
        panic!("one contender");
    };
    assert_eq!(&contender[32..], "__lock__0000000000");
    assert_eq!(
        zk.get(&format!("/p/locks/a/{contender}")).await.unwrap().0,
        ""
    );
    for parent in ["/p", "/p/party", "/p/locks", "/p/locks/a"] {
        let node = memory.server.node(&at(parent)).unwrap();
        assert_eq!(node.stat.owner(), None, "{parent}");
    }
    drop(share);
}

/// Which kazoo cannot.
#[tokio::test(start_paused = true)]
async fn a_member_joins_again_in_the_next_session() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let mut first = partitioner(&zk, "a").join();
    let share = acquired(&mut first).await;
    let mut second = partitioner(&other, "b").join();
    soon("the request", share.requested()).await;
    drop(share);
    let (share, theirs) = (acquired(&mut first).await, acquired(&mut second).await);
    assert_eq!((items(&share).len(), items(&theirs).len()), (3, 2));
    end_session(&memory.server, &zk);
    soon("the request", share.requested()).await;
    assert!(share.check().is_err() && share.is_requested());
    drop(share);
    soon("the request", theirs.requested()).await;
    drop(theirs);
    let mut held = (acquired(&mut first).await, acquired(&mut second).await);
    // The other may have had all of the items before the first was back.
    while held.1.items().count() != 2 {
        soon("the request", held.1.requested()).await;
        held.1.release().await.unwrap();
        held.1 = acquired(&mut second).await;
    }
    assert_eq!(items(&held.0), ["a", "c", "e"]);
    held.0.check().unwrap();
    assert_eq!(memory.names("/p/party").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_member_joins_again() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    let mut allocations = partitioner(&zk, "a").join();
    let share = acquired(&mut allocations).await;
    let member = format!("/p/party/{}", memory.names("/p/party")[0]);
    admin.delete(&member).await.unwrap();
    soon("the request", share.requested()).await;
    share.check().unwrap();
    drop(share);
    assert_eq!(items(&acquired(&mut allocations).await), ITEMS);
    assert_ne!(member, format!("/p/party/{}", memory.names("/p/party")[0]));
}

/// An operator deletes the znode of its lock.
#[tokio::test(start_paused = true)]
async fn a_lost_item_requests_the_share() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    for all in [&ITEMS[..1], &ITEMS] {
        let partitioner = SetPartitioner::new(&zk, "/p", all.iter().copied());
        let mut allocations = partitioner.time_boundary(BOUNDARY).join();
        for item in all {
            let share = acquired(&mut allocations).await;
            assert_eq!(items(&share), all);
            let guard = share.guard(item).unwrap();
            admin.delete(guard.path()).await.unwrap();
            let work = async {
                if all.len() > 1 {
                    // Another guard may be the one that is renewed.
                    guard.lost().await;
                }
                std::future::pending::<()>().await;
            };
            assert_eq!(soon("the loss", share.run(work)).await, None);
            assert_eq!(share.check(), Err(GuardLost::Deleted));
            soon("the request", share.requested()).await;
            let next = soon("the request", allocations.next()).await;
            assert!(matches!(next, Some(Ok(Allocation::Releasing))));
            share.release().await.unwrap();
        }
        let share = acquired(&mut allocations).await;
        assert_eq!(items(&share), all);
        share.check().unwrap();
        share.release().await.unwrap();
        soon("the end", allocations.leave()).await.unwrap();
    }
}

/// It was acquired, and lost while another item was waited for.
#[tokio::test(start_paused = true)]
async fn no_share_has_a_lost_item() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let blocked = Lock::new(&other, "/p/locks/b").layout(Layout::Kazoo);
    let blocked = blocked.acquire().await.unwrap();
    let partitioner = SetPartitioner::new(&zk, "/p", ["a", "b"]);
    let mut allocations = partitioner.time_boundary(BOUNDARY).join();
    until("both are awaited", || locked(&memory) == 3).await;
    let deleted = memory.names("/p/locks/a").pop().unwrap();
    let path = format!("/p/locks/a/{deleted}");
    other.delete(&path).await.unwrap();
    // The guard of this item alone is renewed.
    tokio::time::sleep(zk.session().timeout).await;
    blocked.release().await.unwrap();
    let share = acquired(&mut allocations).await;
    share.check().unwrap();
    assert_eq!(items(&share), ["a", "b"]);
    assert_ne!(share.guard("a").unwrap().path(), path);
}

#[tokio::test(start_paused = true)]
async fn no_item_has_two_owners() {
    let memory = memory(3).await;
    let owners: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let mut members = tokio::task::JoinSet::new();
    for number in 0..4_usize {
        let (zk, owners) = (memory.any().await, owners.clone());
        let server = memory.server.clone();
        members.spawn(async move {
            let mut had = 0;
            for round in 0..6 {
                let mut allocations = partitioner(&zk, &format!("m{number}")).join();
                for _ in 0..2 {
                    let share = acquired(&mut allocations).await;
                    let own: Vec<String> = share.items().map(str::to_owned).collect();
                    for item in &own {
                        if share.check().is_ok() {
                            let other = owners.lock().unwrap().insert(item.clone(), number);
                            assert!(other.is_none(), "{item} has two owners");
                            had += 1;
                        }
                    }
                    let limit = Duration::from_millis(700 + 90 * number as u64);
                    let _ = tokio::time::timeout(limit, share.requested()).await;
                    for item in own {
                        let mut owners = owners.lock().unwrap();
                        if owners.get(&item) == Some(&number) {
                            owners.remove(&item);
                        }
                    }
                    share.release().await.unwrap();
                    if round == number {
                        server.expire_session(zk.session().id);
                    }
                }
                allocations.leave().await.unwrap();
            }
            had
        });
    }
    while let Some(had) = soon("the members", members.join_next()).await {
        assert!(had.unwrap() > 0, "each has had items");
    }
    until("all is released", || locked(&memory) == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_member_leaves_nothing() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let blocked = Lock::new(&other, "/p/locks/c").layout(Layout::Kazoo);
    let blocked = blocked.acquire().await.unwrap();
    for polls in 1..60 {
        let mut allocations = partitioner(&zk, "a").time_boundary(Duration::ZERO).join();
        let _ = dropped_after(polls, async {
            while let Some(allocation) = allocations.next().await {
                assert!(!matches!(allocation.unwrap(), Allocation::Acquired(_)));
            }
        })
        .await;
        drop(allocations);
    }
    memory.until_names("/p/party", 0).await;
    until("one is left", || locked(&memory) == 1).await;
    blocked.check().unwrap();
    until("no watch stays", || zk.statistics().watches == 0).await;
    until_unwatched(|| memory.server.watch_counts().child).await;
    let allocations = partitioner(&zk, "a").join();
    soon("the end", allocations.leave()).await.unwrap();
    assert!(memory.names("/p/party").is_empty());
}

#[tokio::test(start_paused = true)]
async fn equal_identifiers_get_different_items() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let mut members = [
        partitioner(&zk, "same").join(),
        partitioner(&other, "same").join(),
    ];
    let [one, two] = &mut members;
    let (one, two) = (acquired(one).await, acquired(two).await);
    let mut all = [items(&one), items(&two)].concat();
    all.sort_unstable();
    assert_eq!(all, ITEMS);
}

#[tokio::test(start_paused = true)]
async fn a_function_of_ones_own_divides() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let first = partitioner(&zk, "a").divide_by(|own, members, items| {
        assert_eq!((own, members), ("a", &["a".to_owned()][..]));
        vec![items[1].clone(), items[0].clone(), items[1].clone()]
    });
    let mut allocations = first.join();
    assert_eq!(items(&acquired(&mut allocations).await), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_znode_is_refused() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let invalid = [
        SetPartitioner::new(&zk, "p", ITEMS),
        SetPartitioner::new(&zk, "/p", ["a", ""]),
        SetPartitioner::new(&zk, "/p", ITEMS).identifier("a/b"),
    ];
    for partitioner in invalid {
        let mut allocations = partitioner.join();
        let refused = loop {
            match soon("the error", allocations.next()).await.unwrap() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(refused.kind(), Some(ErrorKind::InvalidPath));
        assert!(allocations.next().await.is_none());
    }
    assert!(memory.names("").iter().all(|name| name != "p"));
    let mut allocations = partitioner(&zk, "a").join();
    let ended = start(async move { while allocations.next().await.is_some() {} });
    zk.close().await.unwrap();
    soon("the end", ended).await.unwrap();
}
