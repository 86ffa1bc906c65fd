//! kazoo's `Queue` and `LockingQueue` beside ours, on the same znodes.

use zk_recipes::QueueLayout;

use crate::mixed_fleets::foreigner::kazoo_script;
use crate::mixed_fleets::queue_fleet::share;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_locking_queue() {
    share(QueueLayout::KazooLocking, |hosts, name, items, total| {
        kazoo_script("queues.py", &[hosts, "locking", name, items, total])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_queue() {
    share(QueueLayout::Kazoo, |hosts, name, items, total| {
        kazoo_script("queues.py", &[hosts, "plain", name, items, total])
    })
    .await;
}
