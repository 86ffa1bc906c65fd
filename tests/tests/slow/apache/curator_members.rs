//! Curator's groups and persistent nodes beside ours, on the same znodes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use zk_client::{Client, CreateMode};
use zk_recipes::{GroupMember, GroupView, PersistentNode, PersistentNodeBuilder};

use crate::common::{blocking, client_of, shared_server, soon, until};
use crate::mixed_fleets::foreigner::{Foreigner, curator_program};
use crate::mixed_fleets::mortal::Mortal;

/// The fewest rounds of Curator: each joins a group, lists it and leaves it.
const ROUNDS: usize = 250;
/// So many members of Curator's, at least, are in the views of ours.
const SEEN: usize = 100;
/// After so many of them something happens to one of the members.
const PERIOD: usize = 12;
/// The session timeout of the process that is killed.
const VICTIM: Duration = Duration::from_secs(4);

/// The znodes below `/golden`, with random ids and numbers replaced, and their data.
async fn layout(zk: &Client) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for name in zk.children("/golden").await.unwrap().to_vec() {
        let (data, stat) = zk.get(&format!("/golden/{name}")).await.unwrap();
        assert!(stat.owner().is_some(), "{name} is ephemeral");
        let name = match name.strip_prefix("_c_") {
            Some(rest) => {
                let (uuid, rest) = rest.split_at(36);
                assert_eq!(uuid.matches('-').count(), 4, "{name}");
                format!(
                    "_c_<uuid>{}",
                    rest.trim_end_matches(|c: char| c.is_ascii_digit())
                ) + &"0".repeat(rest.chars().filter(char::is_ascii_digit).count())
            }
            None => name,
        };
        found.push((name, data.to_vec()));
    }
    found.sort();
    found
}

/// Curator's process `own` in the group.
async fn curator(root: &str, own: &str, timeout: Duration) -> Foreigner {
    let (rounds, timeout) = (ROUNDS.to_string(), timeout.as_millis().to_string());
    let mut process = curator_program("CuratorMembers.java", &[root, own, &rounds, &timeout]);
    process.receive("ready").await;
    process
}

/// The next view, unless there is none for a while.
async fn next(view: &mut GroupView) -> BTreeMap<String, Bytes> {
    match tokio::time::timeout(Duration::from_millis(100), view.next()).await {
        Ok(members) => members.unwrap().unwrap(),
        Err(_elapsed) => view.members().unwrap(),
    }
}

/// Notes Curator's members that are in the view.
fn note(members: BTreeMap<String, Bytes>, seen: &mut BTreeSet<String>) {
    for (id, data) in members {
        let owner = match id.split_once('-') {
            Some(_) => "java",
            None => &id,
        };
        assert_eq!(data, format!("of {owner}"), "{id}");
        if id.starts_with("java-") {
            seen.insert(id);
        }
    }
}

/// Members of both sides join and leave; meanwhile znodes of ours are deleted, a session of ours ends, and a
/// process of Curator's is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_and_ours_are_in_one_group() {
    let hosts = blocking(|| shared_server().connect_string());
    let zk = client_of(&hosts).await;
    let root = format!("{hosts}{}", zk.root());
    let witness = Client::connect(&root).await.unwrap();
    let mortal = Mortal::beside(&zk).await;
    let ours = GroupMember::new(&zk, "/group", "rust", "of rust");
    let fragile = GroupMember::new(&mortal.zk, "/group", "mortal", "of mortal");
    for member in [&ours, &fragile] {
        soon("it", member.node().wait_created()).await.unwrap();
    }
    let mut view = ours.view().unwrap();
    soon("the view", view.initialized()).await.unwrap();
    let mut theirs = curator(&root, "java", crate::common::LONG_SESSION).await;
    let golden = layout(&zk).await;
    let mut victim = curator(&root, "victim", VICTIM).await;
    theirs.send("go").await;
    victim.send("go").await;
    let mut victim = Some(victim);
    let (mut seen, mut events) = (BTreeSet::new(), 0);
    while seen.len() < SEEN || victim.is_some() {
        let members = next(&mut view).await;
        assert_eq!(members["rust"], "of rust");
        note(members, &mut seen);
        if seen.len() / PERIOD == events {
            continue;
        }
        events += 1;
        match events {
            2 => {
                mortal.expire().await;
                until("it is there in the next session", || async {
                    let found = witness.exists("/group/mortal").await.unwrap();
                    found.and_then(|stat| stat.owner()) == Some(mortal.zk.session().id)
                })
                .await;
                until("it is in the view", || async {
                    view.members().unwrap().contains_key("mortal")
                })
                .await;
            }
            4 => {
                victim.take().unwrap().kill().await;
                until("none of its members is in the view", || async {
                    let members = view.members().unwrap();
                    !members.keys().any(|id| id.starts_with("victim-"))
                })
                .await;
            }
            _ => {
                witness.delete("/group/rust").await.unwrap();
                until("it is there again", || async {
                    let found = witness.exists("/group/rust").await.unwrap();
                    found.is_some()
                })
                .await;
            }
        }
    }
    theirs.end_input();
    theirs.receive("done").await;
    let others = zk.children("/nodes").await.unwrap();
    assert!(others.is_empty(), "{others:?}");

    let builder = |name: &str, data: &'static str| -> PersistentNodeBuilder {
        PersistentNode::builder(&zk, &format!("/golden/{name}")).data(data)
    };
    let nodes = [
        builder("plain", "1").start(),
        builder("guarded", "2").protected().start(),
        builder("counted-", "3")
            .mode(CreateMode::EphemeralSequential)
            .start(),
    ];
    for node in &nodes {
        soon("a node", node.wait_created()).await.unwrap();
    }
    assert_eq!(layout(&zk).await, golden);
    assert_eq!(golden.len(), 3);
    for node in nodes {
        node.close().await.unwrap();
    }
    for member in [ours, fragile] {
        soon("the end", member.close()).await.unwrap();
    }
    assert!(zk.children("/group").await.unwrap().is_empty());
}
