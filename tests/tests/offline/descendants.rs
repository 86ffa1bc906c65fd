//! Listing and deleting many znodes: round trips, deadlines, and 100,000 of them.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::time::Duration;

use crate::common::memory::Wire;
use crate::common::trees::fill;
use tokio::time::Instant;
use zk_client::ErrorKind;

const ROUND_TRIP: Duration = Duration::from_millis(50);

/// Guards: P52.
#[tokio::test(start_paused = true)]
async fn descendants_take_few_round_trips() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    fill(&zk, 1_000, 1).await;
    wire.server.faults().delay_replies(ROUND_TRIP);
    for breadth_first in [false, true] {
        let below = zk.descendants("/a");
        let below = match breadth_first {
            true => below.breadth_first(),
            false => below,
        };
        let (started, before) = (Instant::now(), zk.statistics().reads.submitted);
        let mut below = below.submit();
        let mut paths = 0;
        while let Some(path) = below.next().await {
            path.unwrap();
            paths += 1;
            // So many lists are requested at once.
            assert!(zk.statistics().outstanding <= 256);
        }
        assert_eq!(paths, 2_000);
        assert_eq!(zk.statistics().reads.submitted - before, 2_001);
        let trips = started.elapsed().as_millis() / ROUND_TRIP.as_millis();
        // The start alone, and 2,000 lists, 256 at once.
        assert!((2..=10).contains(&trips), "{trips} round trips");
    }
}

#[tokio::test(start_paused = true)]
async fn descendants_have_a_deadline() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    fill(&zk, 4, 4).await;
    wire.server.faults().delay_replies(ROUND_TRIP);
    let below = zk.descendants("/a").deadline(ROUND_TRIP * 3 / 2);
    let mut below = below.submit();
    let mut paths = 0;
    let error = loop {
        match below.next().await.unwrap() {
            Ok(_) => paths += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), paths), (ErrorKind::DeadlineExceeded, 4));
    assert!(below.next().await.is_none());
}

/// Guards: P52.
#[tokio::test(start_paused = true)]
async fn a_deletion_costs_a_request_a_znode() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    fill(&zk, 10, 20).await;
    let requests = || {
        let statistics = zk.statistics();
        statistics.reads.submitted + statistics.writes.submitted
    };
    let before = requests();
    zk.delete("/a").recursive().await.unwrap();
    // Each of the 11 with children is listed, and refused once for each level below it.
    assert_eq!(requests() - before, 211 + 11 + (10 + 2));
}
