//! Znodes that programs with other Rust clients and with this one share.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use zk_recipes::{Election, Lock, Queue, QueueLayout};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

const TIMEOUT: Duration = Duration::from_secs(30);

/// What can be tried, one after the other.
pub async fn all(hosts: &str) -> Outcome {
    lock_of_zookeeper_client(hosts).await?;
    println!("lock of zookeeper-client");
    latch_of_zookeeper_async(hosts).await?;
    println!("latch of zookeeper-async");
    queue_of_zookeeper_async(hosts).await?;
    println!("queue of zookeeper-async");
    let owned = hosts.to_owned();
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || recipes_of_zookeeper(&owned, &runtime)).await??;
    println!("latch and queue of zookeeper");
    Ok(())
}

async fn lock_of_zookeeper_client(hosts: &str) -> Outcome {
    use zookeeper_client::{Acls, Client, CreateMode, LockPrefix};

    let theirs = Client::connect(hosts).await?;
    let open = CreateMode::Persistent.with_acls(Acls::anyone_all());
    theirs.mkdir("/theirs", &open).await?;
    let ours = zk_client::Client::connect(hosts).await?;
    let lock = Lock::new(&ours, "/theirs");
    let prefix = || LockPrefix::new_curator("/theirs", "lock-");

    let held = theirs.lock(prefix()?, b"", Acls::anyone_all()).await?;
    assert!(lock.try_acquire().await?.is_none());
    drop(held);
    let held = lock.acquire().await?;
    let (prefix, acls) = (prefix()?, Acls::anyone_all());
    let waiting = theirs.lock(prefix, b"", acls);
    let mut waiting = std::pin::pin!(waiting);
    loop {
        // Both are in the line before it moves.
        tokio::select! {
            _ = &mut waiting => panic!("two hold the lock"),
            contenders = lock.contenders() => if contenders?.len() == 2 { break },
        }
    }
    held.release().await?;
    drop(waiting.await?);
    Ok(())
}

async fn latch_of_zookeeper_async(hosts: &str) -> Outcome {
    use zookeeper_async::recipes::leader_latch::LeaderLatch;
    use zookeeper_async::{WatchedEvent, ZooKeeper};

    let theirs = Arc::new(ZooKeeper::connect(hosts, TIMEOUT, |_: WatchedEvent| ()).await?);
    let ours = zk_client::Client::connect(hosts).await?;
    let election = Election::new(&ours, "/latch").names("latch-{id}-");
    let latch = LeaderLatch::new(theirs, "them".to_owned(), "/latch".to_owned());
    latch.start().await?;
    while !latch.has_leadership() {
        tokio::task::yield_now().await;
    }
    assert!(election.try_campaign().await?.is_none());
    latch.stop().await?;
    let term = election.campaign().await?;
    let latch = LeaderLatch::new(
        Arc::new(ZooKeeper::connect(hosts, TIMEOUT, |_: WatchedEvent| ()).await?),
        "them".to_owned(),
        "/latch".to_owned(),
    );
    latch.start().await?;
    assert!(!latch.has_leadership());
    term.resign().await?;
    while !latch.has_leadership() {
        tokio::task::yield_now().await;
    }
    latch.stop().await?;
    Ok(())
}

async fn queue_of_zookeeper_async(hosts: &str) -> Outcome {
    use zookeeper_async::recipes::distributed_queue::DistributedQueue;
    use zookeeper_async::{WatchedEvent, ZooKeeper};

    let theirs = Arc::new(ZooKeeper::connect(hosts, TIMEOUT, |_: WatchedEvent| ()).await?);
    let zk = zk_client::Client::connect(hosts).await?;
    zk.ensure_path("/queue").await?;
    let queue = Queue::new(&zk, "/queue").layout(QueueLayout::Simple);
    let theirs = DistributedQueue::new("/queue".to_owned(), theirs);
    theirs.put(b"theirs".to_vec()).await?;
    let claim = queue.take().await?;
    assert_eq!(claim.data(), "theirs");
    claim.ack().await?;
    queue.put("ours").await?;
    assert_eq!(theirs.try_take().await?, Some(b"ours".to_vec()));
    Ok(())
}

/// That client blocks its caller.
fn recipes_of_zookeeper(hosts: &str, runtime: &tokio::runtime::Handle) -> Outcome {
    use zookeeper::recipes::{leader::LeaderLatch, queue::ZkQueue};
    use zookeeper::{WatchedEvent, ZooKeeper};

    let theirs = Arc::new(ZooKeeper::connect(hosts, TIMEOUT, |_: WatchedEvent| ())?);
    let zk = runtime.block_on(zk_client::Client::connect(hosts))?;
    let election = Election::new(&zk, "/older-latch").names("latch-{id}-");
    let latch = LeaderLatch::new(theirs.clone(), "them".to_owned(), "/older-latch".to_owned());
    latch.start()?;
    while !latch.has_leadership() {
        std::thread::yield_now();
    }
    assert!(runtime.block_on(election.try_campaign())?.is_none());
    latch.stop()?;
    drop(runtime.block_on(election.campaign())?);

    let jobs = ZkQueue::new(theirs, "/older-queue".to_owned())?;
    jobs.offer(b"theirs".to_vec())?;
    let queue = Queue::new(&zk, "/older-queue").layout(QueueLayout::Simple);
    let claim = runtime.block_on(queue.take())?;
    assert_eq!(claim.data(), "theirs");
    runtime.block_on(claim.ack())?;
    runtime.block_on(async { queue.put("ours").await })?;
    assert_eq!(jobs.poll()?, Some(b"ours".to_vec()));
    Ok(())
}
