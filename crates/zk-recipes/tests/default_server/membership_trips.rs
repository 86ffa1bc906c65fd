//! The cost of membership in requests and round trips, also in a group of a thousand members.

use std::future::Future;
use std::time::Duration;

use super::common::{Memory, memory, received, soon, until};
use tokio::time::Instant;
use zk_recipes::{GroupMember, Party, PersistentNode, ShallowParty};

/// The delay of each reply and each notification.
const TRIP: Duration = Duration::from_millis(100);

/// Runs a future, and returns its numbers of requests and round trips.
async fn cost<T>(memory: &Memory, future: impl Future<Output = T>) -> (T, u64, u128) {
    let before = received(memory).await;
    let started = Instant::now();
    let value = soon("what is to be counted", future).await;
    let trips = started.elapsed().as_millis() / TRIP.as_millis();
    (value, received(memory).await - before, trips)
}

async fn distant() -> (Memory, zk_client::Client) {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.ensure_path("/group").await.unwrap();
    memory.server.faults().delay_replies(TRIP);
    (memory, zk)
}

#[tokio::test(start_paused = true)]
async fn a_node_takes_one_round_trip() {
    let (memory, zk) = distant().await;
    let node = PersistentNode::new(&zk, "/group/a", "1");
    let (created, requests, trips) = cost(&memory, node.wait_created()).await;
    created.unwrap();
    assert_eq!((requests, trips), (2, 1), "create, and exists with a watch");
    let (written, requests, trips) = cost(&memory, node.set_data("2")).await;
    let _ = written.unwrap();
    assert_eq!((requests, trips), (2, 1), "set, and exists with a watch");
    let (closed, requests, trips) = cost(&memory, node.close()).await;
    closed.unwrap();
    // And perhaps the removal of the watch.
    assert!((1..=3).contains(&requests), "{requests}");
    assert!(trips <= 2, "{trips}");
}

/// No member reads the others.
#[tokio::test(start_paused = true)]
async fn a_thousand_members_join_in_o_of_n() {
    const MEMBERS: u64 = 1_000;
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.ensure_path("/group").await.unwrap();
    let before = received(&memory).await;
    let mut members = Vec::new();
    for n in 0..MEMBERS / 2 {
        let member = GroupMember::new(&zk, "/group", &format!("m-{n}"), "");
        soon("a member", member.node().wait_created())
            .await
            .unwrap();
        members.push(member);
    }
    let party = ShallowParty::new(&zk, "/group").identifier("host");
    let mut memberships = Vec::new();
    for _ in 0..MEMBERS / 2 {
        memberships.push(soon("a member", party.join()).await.unwrap());
    }
    let requests = received(&memory).await - before;
    // Beside the pings.
    assert!(requests <= MEMBERS * 2 + 10, "{requests} requests");
    let before = received(&memory).await;
    assert_eq!(party.len().await.unwrap() as u64, MEMBERS);
    assert_eq!(party.members().await.unwrap().len() as u64, MEMBERS);
    assert!(received(&memory).await - before <= 3, "one read each");
    let before = received(&memory).await;
    drop((members, memberships));
    until("all have left", || memory.names("/group").is_empty()).await;
    let requests = received(&memory).await - before;
    assert!(requests <= MEMBERS * 2 + 10, "{requests} requests to leave");
}

#[tokio::test(start_paused = true)]
async fn a_partys_data_are_read_at_once() {
    const MEMBERS: usize = 300;
    let memory = memory(1).await;
    let zk = memory.any().await;
    let party = Party::new(&zk, "/party").identifier("host");
    let mut memberships = Vec::new();
    for _ in 0..MEMBERS {
        memberships.push(soon("a member", party.join()).await.unwrap());
    }
    memory.server.faults().delay_replies(TRIP);
    let (members, requests, trips) = cost(&memory, party.members()).await;
    assert_eq!(members.unwrap(), vec!["host"; MEMBERS]);
    let reads = MEMBERS as u64 + 1;
    assert!(
        (reads..=reads + 2).contains(&requests),
        "{requests} and perhaps pings"
    );
    assert_eq!(trips, 1 + 3, "the names, and 128 data at a time");
}
