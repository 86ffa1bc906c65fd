//! kazoo's `SetPartitioner` beside this one: each item has one owner at a time, and all have one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use zk_client::Client;
use zk_recipes::{Allocation, SetPartitioner, Share};

use crate::common::{beside, client_of, shared_server, soon, until};
use crate::mixed_fleets::foreigner::{Foreigner, kazoo_script};
use crate::mixed_fleets::mortal::Mortal;

const ITEMS: usize = 40;
/// Each round, one member leaves and comes back, and the items are allocated again.
const ROUNDS: usize = 12;
/// The number of times that an item must have had an owner. How many items change hands in a
/// round depends on whether a member that comes back does so before the others have divided.
const OWNERS: usize = 1_000;

/// A member of ours.
struct Member {
    leave: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Member {
    fn join(zk: Client, name: &str) -> Self {
        let (leave, leaving) = watch::channel(false);
        let task = tokio::spawn(take_part(zk, name.to_owned(), leaving));
        Member { leave, task }
    }

    async fn leave(self) {
        self.leave.send(true).unwrap();
        soon("the end of a member", self.task).await.unwrap();
    }
}

async fn take_part(zk: Client, name: String, mut leaving: watch::Receiver<bool>) {
    let items = (0..ITEMS).map(|number| format!("item-{number:02}"));
    let partitioner = SetPartitioner::new(&zk, "/partition", items).identifier(&name);
    let mut member = partitioner.time_boundary(Duration::from_millis(200)).join();
    loop {
        let next = tokio::select! {
            next = member.next() => next.unwrap().unwrap(),
            left = leaving.wait_for(|leaving| *leaving) => {
                drop(left.unwrap());
                break;
            }
        };
        if let Allocation::Acquired(share) = next {
            own(&zk, &name, share, &mut leaving).await;
        }
    }
    member.leave().await.unwrap();
    zk.close().await.unwrap();
}

/// A second owner could not create the znodes.
async fn own(zk: &Client, name: &str, share: Share, leaving: &mut watch::Receiver<bool>) {
    for item in share.items() {
        let owned = format!("/owned/{item}");
        let create = zk.create(&owned, name).ephemeral();
        match create.idempotent().await {
            Ok(_) => {}
            Err(_) if share.check().is_err() => return,
            Err(error) => panic!("{error}"),
        }
        // It counts the owners; after a failure, one is not counted.
        let _ = zk.create("/log/e-", name).sequential().await;
    }
    tokio::select! {
        () = share.requested() => {}
        left = leaving.wait_for(|leaving| *leaving) => drop(left.unwrap()),
    }
    for item in share.items() {
        // With the session the ensemble has deleted the znodes that are left.
        if share.check().is_err() {
            return;
        }
        match zk.delete(&format!("/owned/{item}")).idempotent().await {
            Ok(()) => {}
            Err(_) if share.check().is_err() => return,
            Err(error) => panic!("{error}"),
        }
    }
    share.release().await.unwrap();
}

async fn count(zk: &Client, parent: &str) -> usize {
    zk.children(parent).await.unwrap().len()
}

async fn until_divided(zk: &Client, members: usize) {
    until("all items have an owner", || async {
        count(zk, "/partition/party").await == members && count(zk, "/owned").await == ITEMS
    })
    .await;
}

/// A name with its random and its counted parts replaced.
fn shape(name: &str) -> String {
    let is_hex = |c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase();
    assert!(name.len() > 32 && name[..32].chars().all(is_hex), "{name}");
    match name.rsplit_once("__lock__") {
        Some((_, number)) if number.len() == 10 => {
            format!("<hex>__lock__{}", number.parse::<u32>().is_ok())
        }
        _ => format!("<hex>{}", &name[32..]),
    }
}

/// Both make the same znodes.
async fn compare_layouts(zk: &Client) {
    let mut shapes = BTreeSet::new();
    for item in 0..ITEMS {
        let parent = format!("/partition/locks/item-{item:02}");
        for name in zk.children(&parent).await.unwrap().iter() {
            let (data, stat) = zk.get(&format!("{parent}/{name}")).await.unwrap();
            shapes.insert((shape(name), data.len(), stat.owner().is_some()));
        }
    }
    assert_eq!(
        shapes,
        BTreeSet::from([("<hex>__lock__true".to_owned(), 0, true)])
    );
    let mut shapes = BTreeSet::new();
    for name in zk.children("/partition/party").await.unwrap().iter() {
        let (data, stat) = zk.get(&format!("/partition/party/{name}")).await.unwrap();
        assert!(stat.owner().is_some());
        let data = String::from_utf8(data.to_vec()).unwrap();
        assert_eq!(shape(name), format!("<hex>-{data}"));
        shapes.insert(data);
    }
    let names = ["them-1", "them-2", "us-1", "us-2"].map(str::to_owned);
    assert_eq!(shapes, BTreeSet::from(names));
}

async fn kazoo(root: &str, name: &str) -> Foreigner {
    let mut member = kazoo_script("kazoo_partition.py", &[root, name, &ITEMS.to_string()]);
    member.receive("ready").await;
    member.send("go").await;
    member
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_members_share_items_with_ours() {
    let hosts = shared_server().connect_string();
    let zk = client_of(&hosts).await;
    for parent in ["/owned", "/log"] {
        zk.create(parent, "").await.unwrap();
    }
    let root = format!("{hosts}{}", zk.root());
    let (stays, mut goes) = (kazoo(&root, "them-1").await, kazoo(&root, "them-2").await);
    let mortal = Mortal::beside(&zk).await;
    let one = Member::join(mortal.zk.clone(), "us-1");
    let mut two = Member::join(beside(&zk, &hosts).await, "us-2");
    until_divided(&zk, 4).await;
    compare_layouts(&zk).await;
    let mut round = 0;
    while round < ROUNDS || count(&zk, "/log").await < OWNERS {
        round += 1;
        if round == ROUNDS / 2 {
            // The ensemble deletes its znodes when its session expires.
            goes.kill().await;
            until_divided(&zk, 3).await;
            goes = kazoo(&root, "them-2").await;
        } else if round == ROUNDS / 3 {
            // The next session takes part again.
            mortal.expire().await;
        } else {
            two.leave().await;
            until_divided(&zk, 3).await;
            two = Member::join(beside(&zk, &hosts).await, "us-2");
        }
        until_divided(&zk, 4).await;
    }
    for mut member in [stays, goes] {
        member.end_input();
        member.receive("done").await;
    }
    until_divided(&zk, 2).await;
    one.leave().await;
    two.leave().await;
    assert_eq!(count(&zk, "/owned").await, 0);
    let owners = count(&zk, "/log").await;
    eprintln!("{owners} times an item had an owner in {round} rounds");
}
