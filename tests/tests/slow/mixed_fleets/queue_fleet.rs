//! Producers and consumers of ours beside foreign ones, on one queue: no item is lost, and none is
//! processed twice where all take claims. Meanwhile a session of ours ends, and a foreign consumer is killed:
//! only what they had claimed may be processed twice.

use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use zk_client::{Client, ErrorKind, Outcome};
use zk_recipes::{Claim, Error, Put, Queue, QueueLayout};

use super::foreigner::Foreigner;
use super::mortal::Mortal;
use crate::common::{beside, rounds, shared_server, soon, until};

/// The items of each side: a thousand in all.
fn items() -> usize {
    rounds(500, 150)
}

const CONSUMERS: usize = 2;
/// After so many items a consumer ends with a claim that it has not acknowledged.
const LIFE: usize = 40;
/// The foreign consumer that is killed, with a short session: it creates a znode below `/served` for each
/// item.
const VICTIM: &str = "victim";
/// After so many items the session of a consumer ends, and the victim is killed.
const SERVED: usize = 10;

/// Whether all consumers claim items: kazoo's `Queue` and the simple queue delete an item before they deliver
/// it, so that it is lost with its consumer.
fn claims(layout: QueueLayout) -> bool {
    !matches!(layout, QueueLayout::Kazoo | QueueLayout::Simple)
}

/// Starts foreign processes, by the hosts, the name, the number of items to put and that of all items.
pub(crate) async fn share(
    layout: QueueLayout,
    start: impl Fn(&str, &str, &str, &str) -> Foreigner,
) {
    let hosts = shared_server().connect_string();
    let zk = crate::common::client_of(&hosts).await;
    for path in ["/done", "/twice", "/served"] {
        zk.create(path, "").await.unwrap();
    }
    let root = format!("{hosts}{}", zk.root());
    let total = (2 * items()).to_string();
    let mut foreigner = start(&root, "survivor", &items().to_string(), &total);
    foreigner.receive("ready").await;
    compare(&zk, layout).await;
    let mut victim = match claims(layout) {
        true => Some(start(&root, VICTIM, "0", &total)),
        false => None,
    };
    if let Some(victim) = &mut victim {
        victim.receive("ready").await;
        victim.go();
    }
    foreigner.go();
    let mut ours = JoinSet::new();
    let producer = zk.clone();
    ours.spawn(async move {
        let queue = Queue::new(&producer, "/q").layout(layout);
        for number in 0..items() {
            let put = queue.put(format!("us-{number}"));
            options(put, layout, number).await.unwrap();
        }
        0
    });
    let (other, mortal) = (zk.clone(), Mortal::beside(&zk).await);
    ours.spawn(async move { consume_and_expire(&mortal, &other, layout).await });
    for _ in 0..CONSUMERS {
        let (zk, hosts) = (zk.clone(), hosts.clone());
        ours.spawn(async move {
            // Curator's consumers read the claims only when the items change, so that they leave an item behind
            // whose claim ends later: that of the victim, for example.
            while !is_done(&zk).await || !is_empty(&zk, layout).await {
                consume(beside(&zk, &hosts).await, layout).await;
            }
            0
        });
    }
    let mut lost = 0;
    if let Some(mut victim) = victim {
        let served = until("the victim was served", || async {
            zk.children("/served").await.unwrap().len() >= SERVED || is_done(&zk).await
        });
        tokio::select! {
            () = served => {}
            // On a busy machine its session may have ended, or it may find all items done.
            ended = victim.line() => assert!(["", "done"].contains(&&*ended), "{ended}"),
        }
        victim.kill().await;
        lost += 1;
    }
    while let Some(done) = soon("our part", ours.join_next()).await {
        lost += done.unwrap();
    }
    foreigner.receive("done").await;
    let twice = zk.children("/twice").await.unwrap();
    if claims(layout) {
        assert!(
            twice.len() <= lost,
            "{} processed twice, and {lost} lost",
            twice.len()
        );
    }
    let mut theirs = 0;
    for name in &zk.children("/done").await.unwrap() {
        let (by, _) = zk.get(&format!("/done/{name}")).await.unwrap();
        theirs += usize::from(by != "us");
    }
    // Curator's threads and ours run as the machine lets them.
    eprintln!(
        "{layout:?}: {theirs} of {} by the foreigner, {} twice",
        2 * items(),
        twice.len()
    );
    assert!(is_empty(&zk, layout).await);
}

/// As the foreign producers set them.
fn options(put: Put, layout: QueueLayout, number: usize) -> Put {
    let small = i32::try_from(number % 3).unwrap();
    match layout {
        QueueLayout::KazooLocking | QueueLayout::Kazoo => put.priority(small),
        QueueLayout::CuratorPriority => put.priority(small - 1),
        QueueLayout::CuratorDelay => {
            let since = Duration::from_millis(1_700_000_000_000 + u64::try_from(number).unwrap());
            put.not_before(SystemTime::UNIX_EPOCH + since)
        }
        QueueLayout::CuratorId => put.id(&format!("x/{number}")),
        _ => put,
    }
}

/// An item of ours has the name and the contents of theirs.
async fn compare(zk: &Client, layout: QueueLayout) {
    let queue = Queue::new(zk, "/q").layout(layout);
    let put = queue.put("golden");
    match layout {
        QueueLayout::KazooLocking | QueueLayout::Kazoo => put.priority(7).await.unwrap(),
        _ => options(put, layout, 7).await.unwrap(),
    }
    let mut items = Vec::new();
    for _ in 0..2 {
        let claim = soon("an item", queue.take()).await.unwrap();
        let (name, _) = claim.path().split_at(claim.path().len() - 10);
        items.push((name.to_owned(), claim.data().clone()));
        claim.ack().await.unwrap();
    }
    assert_eq!(items[0], items[1], "theirs and ours");
    assert!(queue.is_empty().await.unwrap());
}

async fn is_done(zk: &Client) -> bool {
    zk.children("/done").await.unwrap().len() >= 2 * items()
}

async fn is_empty(zk: &Client, layout: QueueLayout) -> bool {
    let queue = Queue::new(zk, "/q").layout(layout);
    queue.is_empty().await.unwrap()
}

/// A consumer whose session ends while it has a claim. Returns the number of claims that were lost.
async fn consume_and_expire(mortal: &Mortal, other: &Client, layout: QueueLayout) -> usize {
    let queue = Queue::new(&mortal.zk, "/q").layout(layout);
    let (mut taken, mut lost) = (0, 0);
    while !is_done(other).await {
        let limit = Duration::from_millis(200);
        let Some(claim) = queue.take_timeout(limit).await.unwrap() else {
            continue;
        };
        taken += 1;
        process(other, &claim).await;
        if taken == SERVED {
            mortal.expire().await;
            assert!(claim.check().is_err());
        }
        match claim.ack().await {
            Ok(()) | Err(Error::ItemRemoved { .. }) => {}
            Err(Error::ClaimLost { .. }) => lost += 1,
            Err(error) if error.outcome() == Outcome::Unknown => lost += 1,
            Err(error) => panic!("{error}"),
        }
    }
    lost
}

async fn process(zk: &Client, claim: &Claim) {
    let item = claim.items().unwrap().concat();
    let name = String::from_utf8(item.clone()).unwrap();
    match zk.create(&format!("/done/{name}"), "us").await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NodeExists => {
            zk.create("/twice/e-", item).sequential().await.unwrap();
        }
        Err(error) => panic!("{error}"),
    }
}

/// A consumer that ends in the middle of its work.
async fn consume(zk: Client, layout: QueueLayout) {
    let queue = Queue::new(&zk, "/q").layout(layout);
    let mut taken = 0;
    while !is_done(&zk).await || !is_empty(&zk, layout).await {
        let limit = Duration::from_millis(200);
        let Some(claim) = queue.take_timeout(limit).await.unwrap() else {
            continue;
        };
        taken += 1;
        if taken >= LIFE {
            break;
        }
        process(&zk, &claim).await;
        match claim.ack().await {
            Ok(()) | Err(Error::ItemRemoved { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    zk.close().await.unwrap();
}
