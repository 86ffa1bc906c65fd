//! The cost of leases, partitions and proclamations in requests and round trips, and their examples.

use std::time::Duration;

use super::common::{address, has_root, memory, server, soon};
use super::round_trips::{TRIP, cost};
use zk_client::Client;
use zk_recipes::{Allocation, Allocations, Election, NonBlockingLease, SetPartitioner, Share};

#[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
#[path = "../../examples/handover.rs"]
mod handover;
#[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
#[path = "../../examples/leases.rs"]
mod leases;

#[tokio::test(start_paused = true)]
async fn a_free_lease_takes_five_round_trips() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    zk.ensure_path("/lease").await.unwrap();
    memory.server.faults().delay_replies(TRIP);
    let hour = Duration::from_secs(3_600);
    let lease = NonBlockingLease::new(&zk, "/lease", hour, "us");
    let (obtained, requests, trips) = cost(&memory, lease.try_obtain()).await;
    assert!(obtained.unwrap().is_some());
    assert_eq!((requests, trips), (7, 5));
    let theirs = NonBlockingLease::new(&other, "/lease", hour, "them");
    let (obtained, requests, trips) = cost(&memory, theirs.try_obtain()).await;
    assert!(obtained.unwrap().is_none());
    assert_eq!((requests, trips), (2, 1), "sync, get");
}

#[tokio::test(start_paused = true)]
async fn a_proclamation_takes_one_round_trip() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let term = Election::new(&zk, "/election").campaign().await.unwrap();
    memory.server.faults().delay_replies(TRIP);
    let (proclaimed, requests, trips) = cost(&memory, term.proclaim("value")).await;
    proclaimed.unwrap();
    assert_eq!((requests, trips), (1, 1));
}

async fn acquired(allocations: &mut Allocations) -> Share {
    loop {
        let next = soon("an allocation", allocations.next()).await;
        if let Allocation::Acquired(share) = next.unwrap().unwrap() {
            return share;
        }
    }
}

/// And to give them back: the requests of all of them are sent together.
#[tokio::test(start_paused = true)]
async fn many_items_are_acquired_in_one_trip() {
    const ITEMS: u64 = 60;
    let memory = memory(1).await;
    let zk = memory.any().await;
    let items = (0..ITEMS).map(|item| item.to_string());
    let boundary = Duration::from_millis(200);
    let partitioner = SetPartitioner::new(&zk, "/partition", items).time_boundary(boundary);
    let mut allocations = partitioner.join();
    let share = acquired(&mut allocations).await;
    memory.server.faults().delay_replies(TRIP);
    let (released, requests, trips) = cost(&memory, share.release()).await;
    released.unwrap();
    // With a renewal of the guards and a ping, at most.
    assert!((ITEMS..=ITEMS + 2).contains(&requests), "{requests}");
    assert_eq!(trips, 1);
    let (share, requests, trips) = cost(&memory, acquired(&mut allocations)).await;
    // The boundary lasts as long as two.
    assert!(
        (2 * ITEMS..=2 * ITEMS + 2).contains(&requests),
        "{requests}"
    );
    assert_eq!(trips, 2 + 1);
    share.check().unwrap();
}

#[tokio::test]
async fn the_examples_run() {
    let server = server().start().await.unwrap();
    let hosts = address(&server);
    let zk = Client::connect(&*hosts).await.unwrap();
    has_root(&zk).await;
    soon("the handover", handover::replace(&hosts))
        .await
        .unwrap();
    assert!(
        soon("the lease", leases::clean_up(&hosts, "a"))
            .await
            .unwrap()
    );
    assert!(
        !soon("the lease", leases::clean_up(&hosts, "b"))
            .await
            .unwrap()
    );
}
