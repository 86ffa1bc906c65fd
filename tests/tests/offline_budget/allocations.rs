//! Heap allocations of the thread that runs client and tasks; the server has threads of its own.

use allocation_counter::AllocationInfo;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use zk_client::Client;
use zk_tests::Constant;

use crate::{BUDGET, SIZE};

const LARGE: usize = 64 * 1024;

#[test]
fn allocations_per_get_stay_within_the_budget() {
    let alone = measured(SIZE, 1, 2_000);
    let many = measured(SIZE, 64, 64 * 100);
    BUDGET.check(&[
        ("allocations per get, alone", alone.count),
        ("allocations per get, 64 in flight", many.count),
    ]);
}

/// A payload that were copied would be allocated twice.
#[test]
fn what_is_allocated_for_a_large_payload_is_little_more_than_its_length() {
    let per_byte = |in_flight| measured(LARGE, in_flight, 64 * 10).bytes / LARGE as f64;
    BUDGET.check(&[
        (
            "bytes allocated per byte of 64 KiB gets, alone",
            per_byte(1),
        ),
        (
            "bytes allocated per byte of 64 KiB gets, 64 in flight",
            per_byte(64),
        ),
    ]);
}

/// What one get costs.
struct Cost {
    count: f64,
    bytes: f64,
}

fn measured(size: usize, in_flight: u64, gets: u64) -> Cost {
    let server = Constant::start(size).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let zk = runtime
        .block_on(Client::connect(server.connect_string()))
        .unwrap();
    let run = |gets| {
        allocation_counter::measure(|| runtime.block_on(get_all(&zk, size, in_flight, gets)))
    };
    // Buffers grow to their size, and a second run costs what both have in common.
    run(gets);
    let once: AllocationInfo = run(gets);
    let twice = run(2 * gets);
    runtime.block_on(zk.close()).unwrap();
    let per_get = |once: u64, twice: u64| twice.saturating_sub(once) as f64 / gets as f64;
    Cost {
        count: per_get(once.count_total, twice.count_total),
        bytes: per_get(once.bytes_total, twice.bytes_total),
    }
}

async fn get_all(zk: &Client, size: usize, in_flight: u64, gets: u64) {
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let zk = zk.clone();
        tasks.spawn(async move {
            for _ in 0..gets / in_flight {
                assert_eq!(zk.get("/a").await.unwrap().0.len(), size);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}
