//! The futures of queues.

use std::time::Duration;

use zk_client::Client;
use zk_recipes::{Claim, Queue, QueueLayout};

use super::futures::{Entry, NONE, table};

async fn claim(zk: &Client) -> zk_recipes::Result<Claim> {
    let queue = Queue::new(zk, "/new").max_deliveries(9);
    queue.put("a").await?;
    queue.take().await
}

#[rustfmt::skip]
pub(super) fn entries() -> Vec<Entry> {
    table! {
        "a put" ["recipes/queues/put.rs Put"] leaves ["/new"], |zk, _s| Queue::new(&zk, "/new").put("a").await;
        "a put that waits for room" [] leaves ["/new"], |zk, _s| {
            let queue = Queue::new(&zk, "/new").max_items(1);
            queue.put("a").await?;
            queue.put("b").await
        };
        "a claim" [] leaves ["/new"], |zk, _s| claim(&zk).await;
        "a claim of what does not come" ["recipes/queues/queue.rs take", "recipes/queues/change.rs Change"] leaves ["/new"], |zk, _s| Queue::new(&zk, "/new").take().await;
        "a claim behind another consumer" [] leaves ["/new"], |zk, _s| {
            let queue = Queue::new(&zk, "/new");
            let (first, second) = tokio::join!(queue.take(), queue.take());
            first.and(second)
        };
        "a claim if there is an item" ["recipes/queues/queue.rs try_take"] leaves ["/new"], |zk, _s| Queue::new(&zk, "/new").try_take().await;
        "a claim in time" ["recipes/queues/queue.rs take_timeout"] leaves ["/new"], |zk, _s| Queue::new(&zk, "/new").take_timeout(Duration::from_millis(20)).await;
        "an acknowledgement" ["recipes/queues/claim.rs ack"] leaves ["/new"], |zk, _s| claim(&zk).await?.ack().await;
        "an item given back" ["recipes/queues/claim.rs release"] leaves ["/new"], |zk, _s| claim(&zk).await?.release().await;
        "an item rejected" ["recipes/queues/claim.rs reject"] leaves ["/new"], |zk, _s| claim(&zk).await?.reject().await;
        "the loss of a claim" ["recipes/queues/claim.rs lost"] leaves ["/new"], |zk, _s| {
            let claim = claim(&zk).await?;
            Ok::<_, zk_recipes::Error>(claim.lost().await)
        };
        "the length of a queue" ["recipes/queues/queue.rs len", "recipes/queues/queue.rs is_empty"] leaves NONE, |zk, _s| Queue::new(&zk, "/base").is_empty().await;
        "items removed by their id" ["recipes/queues/queue.rs remove"] leaves ["/new"], |zk, _s| {
            zk.ensure_path("/new").await?;
            let queue = Queue::new(&zk, "/new/q").layout(QueueLayout::CuratorId);
            queue.put("a").id("1").await?;
            queue.remove("1").await
        };
        "dead letters" ["recipes/queues/queue.rs dead_letters"] leaves ["/new"], |zk, _s| {
            claim(&zk).await?.reject().await?;
            Queue::new(&zk, "/new").dead_letters().await
        };
    }
}
