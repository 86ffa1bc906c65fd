//! The cost of counters in requests and round trips, and the example.

use std::num::NonZeroU32;

use super::common::{address, has_root, memory, server, soon, until};
use super::round_trips::{TRIP, cost};
use zk_client::Client;
use zk_recipes::{AtomicLong, Counter, IdBlocks, SharedCount};

#[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
#[path = "../../examples/counters.rs"]
mod example;

/// A read and a write. The first change of a handle creates its witness, which takes no round trip.
#[tokio::test(start_paused = true)]
async fn a_change_takes_two_round_trips() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.create("/counter", "").await.unwrap();
    memory.server.faults().delay_replies(TRIP);
    let counter = Counter::new(&zk, "/counter");
    let (sum, requests, trips) = cost(&memory, counter.increment()).await;
    assert_eq!((sum.unwrap(), requests, trips), (1, 3, 2));
    for expected in 2..5 {
        let (sum, requests, trips) = cost(&memory, counter.increment()).await;
        assert_eq!((sum.unwrap(), requests, trips), (expected, 2, 2));
    }
    let (value, requests, trips) = cost(&memory, counter.get()).await;
    assert_eq!((value.unwrap(), requests, trips), (4, 1, 1));
    // A conflict costs as much again.
    let other = AtomicLong::new(&zk, "/counter").without_witness();
    let (reset, requests, trips) = cost(&memory, other.set(0)).await;
    assert!(reset.is_err(), "it is text");
    assert_eq!((requests, trips), (1, 1));
    // Dropping the handle deletes the witness.
    let (done, requests, trips) = cost(&memory, async {
        drop(counter);
        zk.get("/counter").await
    })
    .await;
    done.unwrap();
    assert_eq!((requests, trips), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_known_value_is_set_in_two_round_trips() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let count = SharedCount::new(&zk, "/count", 1);
    let known = count.set(2).await.unwrap();
    memory.server.faults().delay_replies(TRIP);
    let (set, requests, trips) = cost(&memory, count.try_set(&known, 3)).await;
    assert_eq!((requests, trips), (2, 2), "a read and a write");
    let known = set.unwrap().unwrap();
    assert_eq!(known.value, 3);
    let (_, requests, trips) = cost(&memory, count.set(4)).await;
    assert_eq!((requests, trips), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_block_of_ids_costs_one_reservation() {
    const SIZE: u32 = 100;
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.create("/ids", "").await.unwrap();
    memory.server.faults().delay_replies(TRIP);
    let ids = IdBlocks::new(&zk, "/ids", NonZeroU32::new(SIZE).unwrap());
    let all = async {
        for expected in 0..3 * i64::from(SIZE) {
            assert_eq!(ids.next().await.unwrap(), expected);
        }
    };
    let ((), requests, trips) = cost(&memory, all).await;
    assert_eq!(
        (requests, trips),
        (6, 6),
        "a read and a write for each block"
    );
}

/// They change the number one after the other.
#[tokio::test(start_paused = true)]
async fn tasks_of_one_handle_do_not_conflict() {
    const TASKS: u32 = 50;
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.create("/counter", "").await.unwrap();
    memory.server.faults().delay_replies(TRIP);
    let counter = Counter::new(&zk, "/counter");
    let all = async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..TASKS {
            let counter = counter.clone();
            tasks.spawn(async move { counter.increment().await.unwrap() });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    };
    let ((), requests, _) = cost(&memory, all).await;
    assert_eq!(requests, u64::from(2 * TASKS + 1), "and the witness");
    assert_eq!(counter.get().await.unwrap(), i64::from(TASKS));
}

#[tokio::test]
async fn the_example_counts() {
    let server = server().start().await.unwrap();
    let zk = Client::connect(address(&server)).await.unwrap();
    has_root(&zk).await;
    for round in 1..3 {
        let counted = soon("the example", example::count(&address(&server))).await;
        counted.unwrap();
        let visits = server.node("/example/visits").unwrap();
        assert_eq!(visits.data.unwrap(), (round * 3).to_string());
        let limit = server.node("/example/limit").unwrap();
        assert_eq!(*limit.data.unwrap(), [0, 0, 0, 10 + round]);
        until("no witness is left", || {
            !server.paths().iter().any(|path| path.contains("witness"))
        })
        .await;
    }
}
