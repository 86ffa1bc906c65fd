//! Curator's queues beside ours, on the same znodes.

use zk_recipes::QueueLayout;

use crate::mixed_fleets::foreigner::curator_program;
use crate::mixed_fleets::queue_fleet::share;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_queue() {
    share(QueueLayout::Curator, |hosts, name, items, total| {
        curator_program("CuratorQueues.java", &[hosts, "plain", name, items, total])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_priority_queue() {
    share(QueueLayout::CuratorPriority, |hosts, name, items, total| {
        curator_program(
            "CuratorQueues.java",
            &[hosts, "priority", name, items, total],
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_delay_queue() {
    share(QueueLayout::CuratorDelay, |hosts, name, items, total| {
        curator_program("CuratorQueues.java", &[hosts, "delay", name, items, total])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_id_queue() {
    share(QueueLayout::CuratorId, |hosts, name, items, total| {
        curator_program("CuratorQueues.java", &[hosts, "id", name, items, total])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_simple_queue() {
    share(QueueLayout::Simple, |hosts, name, items, total| {
        curator_program("CuratorQueues.java", &[hosts, "simple", name, items, total])
    })
    .await;
}
