//! The futures of counters, leases, membership and partitions, and of what is handed over.

use std::num::NonZeroU32;
use std::time::Duration;

use zk_client::Client;
use zk_recipes::{
    Allocation, AtomicInteger, AtomicLong, AtomicValue, Counter, Election, GroupMember, IdBlocks,
    LeaderLatch, Lock, MultiNonBlockingLease, NonBlockingLease, Party, PersistentNode,
    PersistentTtlNode, Semaphore, SetPartitioner, ShallowParty, Share, SharedCount, SharedValue,
};

use super::futures::{Entry, table};

const LEASE: Duration = Duration::from_secs(10);
const NODE: &str = "/new/node";

#[rustfmt::skip]
pub fn entries() -> Vec<Entry> {
    let mut entries = of_counters();
    entries.extend(of_members());
    entries.extend(of_handovers());
    entries
}

#[rustfmt::skip]
fn of_counters() -> Vec<Entry> {
    table! {
        "a counter" ["recipes/counters/number_cell.rs add", "recipes/counters/number_cell.rs increment", "recipes/counters/number_cell.rs get"] leaves ["/new"], |zk, _s| {
            let counter = Counter::new(&zk, NODE);
            counter.increment().await?;
            counter.add(2).await?;
            counter.get().await
        };
        "a counter without a witness" ["recipes/counters/number_cell.rs subtract", "recipes/counters/number_cell.rs decrement"] leaves ["/new"], |zk, _s| {
            let counter = AtomicLong::new(&zk, NODE).without_witness();
            counter.decrement().await?;
            counter.subtract(2).await
        };
        "a number that is set" ["recipes/counters/number_cell.rs set", "recipes/counters/number_cell.rs compare_and_set", "recipes/counters/number_cell.rs update"] leaves ["/new"], |zk, _s| {
            let number = AtomicInteger::new(&zk, NODE);
            number.set(1).await?;
            number.compare_and_set(1, 2).await?;
            number.update(|number| Some(number + 1)).await
        };
        "a number that is changed under a lock" [] leaves ["/new"], |zk, _s| {
            let lock = Lock::new(&zk, "/new/lock");
            AtomicLong::new(&zk, NODE).promote_to_lock(&lock, 0).increment().await
        };
        "a value" ["recipes/counters/atomic_value.rs initialize", "recipes/counters/atomic_value.rs set", "recipes/counters/atomic_value.rs get", "recipes/counters/atomic_value.rs compare_and_set", "recipes/counters/atomic_value.rs update"] leaves ["/new"], |zk, _s| {
            let value = AtomicValue::new(&zk, NODE);
            value.initialize("1").await?;
            value.set("2").await?;
            value.compare_and_set("2", "3").await?;
            value.update(|_| Some("4")).await?;
            value.get().await
        };
        "ids" ["recipes/counters/id_blocks.rs next", "recipes/counters/id_blocks.rs reserve"] leaves ["/new"], |zk, _s| {
            let ids = IdBlocks::new(&zk, NODE, NonZeroU32::MIN);
            ids.next().await?;
            ids.reserve().await
        };
        "a shared value" ["recipes/counters/shared_value.rs get", "recipes/counters/shared_value.rs set", "recipes/counters/shared_value.rs try_set"] leaves ["/new"], |zk, _s| {
            let value = SharedValue::new(&zk, NODE, "1");
            let known = value.set("2").await?;
            value.try_set(&known, "3").await?;
            value.get().await
        };
        "changes of a shared value" ["recipes/counters/shared_value.rs changed"] leaves ["/new"], |zk, _s| {
            let mut value = SharedValue::new(&zk, NODE, "1");
            while value.changed().await.is_some() {}
        };
        "a shared count" ["recipes/counters/shared_count.rs get", "recipes/counters/shared_count.rs set", "recipes/counters/shared_count.rs try_set"] leaves ["/new"], |zk, _s| {
            let count = SharedCount::new(&zk, NODE, 1);
            let known = count.set(2).await?;
            count.try_set(&known, 3).await?;
            count.get().await
        };
        "changes of a shared count" ["recipes/counters/shared_count.rs changed"] leaves ["/new"], |zk, _s| {
            let mut count = SharedCount::new(&zk, NODE, 1);
            while count.changed().await.is_some() {}
        };
    }
}

async fn share(zk: &Client) -> zk_recipes::Result<Option<Share>> {
    let partitioner = SetPartitioner::new(zk, "/new", ["a", "b"]).identifier("one");
    let mut member = partitioner.time_boundary(Duration::from_millis(1)).join();
    while let Some(allocation) = member.next().await {
        if let Allocation::Acquired(share) = allocation? {
            return Ok(Some(share));
        }
    }
    Ok(None)
}

#[rustfmt::skip]
fn of_members() -> Vec<Entry> {
    table! {
        "a persistent node" ["recipes/membership/persistent_node.rs wait_created", "recipes/membership/persistent_node.rs set_data", "recipes/membership/persistent_node.rs close"] leaves ["/new"], |zk, _s| {
            let node = PersistentNode::new(&zk, NODE, "1");
            node.wait_created().await?;
            let _ = node.set_data("2").await?;
            node.close().await
        };
        "states of a persistent node" ["recipes/membership/persistent_node.rs next", "recipes/membership/persistent_node.rs close_shared"] leaves ["/new"], |zk, _s| {
            let node = PersistentNode::new(&zk, NODE, "1");
            let mut states = node.states();
            states.next().await;
            node.close_shared().await?;
            while states.next().await.is_some() {}
        };
        "a persistent node with a time to live" ["recipes/membership/persistent_ttl_node.rs wait_created", "recipes/membership/persistent_ttl_node.rs set_data", "recipes/membership/persistent_ttl_node.rs close"] leaves ["/new"], |zk, _s| {
            let node = PersistentTtlNode::new(&zk, NODE, Duration::from_secs(60), "1");
            node.wait_created().await?;
            let _ = node.set_data("2").await?;
            node.close().await
        };
        "a member of a group" ["recipes/membership/group_member.rs set_data", "recipes/membership/group_member.rs initialized", "recipes/membership/group_member.rs close"] leaves ["/new"], |zk, _s| {
            let member = GroupMember::new(&zk, "/new", "one", "1");
            member.view()?.initialized().await?;
            let _ = member.set_data("2").await?;
            member.close().await?
        };
        "views of a group" ["recipes/membership/group_member.rs next"] leaves ["/new"], |zk, _s| {
            let member = GroupMember::new(&zk, "/new", "one", "1");
            let mut view = member.view()?;
            while view.next().await.is_some() {}
        };
        "a party" ["recipes/membership/party.rs join", "recipes/membership/party.rs members", "recipes/membership/party.rs leave"] leaves ["/new"], |zk, _s| {
            let party = Party::new(&zk, "/new").identifier("one");
            let membership = party.join().await?;
            party.members().await?;
            membership.leave().await
        };
        "a shallow party" ["recipes/membership/party.rs len", "recipes/membership/party.rs is_empty"] leaves ["/new"], |zk, _s| {
            let party = ShallowParty::new(&zk, "/new").identifier("one");
            let membership = party.join().await?;
            party.len().await?;
            party.is_empty().await?;
            party.members().await?;
            membership.leave().await
        };
        "a lease" ["recipes/leases/non_blocking_lease.rs try_obtain", "recipes/leases/non_blocking_lease.rs holder", "recipes/leases/non_blocking_lease.rs release"] leaves ["/new"], |zk, _s| {
            let lease = NonBlockingLease::new(&zk, "/new", LEASE, "one");
            let obtained = lease.try_obtain().await?;
            lease.holder().await?;
            match obtained {
                Some(obtained) => obtained.release().await,
                None => Ok(()),
            }
        };
        "one of several leases" ["recipes/leases/multi_lease.rs try_obtain"] leaves ["/new"], |zk, _s| MultiNonBlockingLease::new(&zk, 2, "/new", LEASE, "one").try_obtain().await;
        "a share" ["recipes/partition/mod.rs next", "recipes/partition/share.rs release"] leaves ["/new"], |zk, _s| {
            match share(&zk).await? {
                Some(share) => share.release().await,
                None => Ok(()),
            }
        };
        "work with a share" ["recipes/partition/share.rs run", "recipes/partition/share.rs requested"] leaves ["/new"], |zk, _s| {
            if let Some(share) = share(&zk).await? {
                share.run(zk.sync("/").into_future()).await;
                share.requested().await;
            }
        };
        "a member of a partition, leaving" ["recipes/partition/mod.rs leave"] leaves ["/new"], |zk, _s| {
            let mut member = SetPartitioner::new(&zk, "/new", ["a"]).identifier("one").join();
            member.next().await;
            member.leave().await
        };
    }
}

/// Their znodes stay if nothing resumes them.
#[rustfmt::skip]
fn of_handovers() -> Vec<Entry> {
    table! {
        "a lock, resumed" ["recipes/queue/builders.rs resume"] leaves ["/new"], |zk, _s| {
            let lock = Lock::new(&zk, "/new/lock");
            let handover = lock.acquire().await?.hand_over();
            lock.resume(&handover).await
        };
        "a lease of a semaphore, resumed" ["recipes/locks/semaphore.rs resume"] leaves ["/new"], |zk, _s| {
            let semaphore = Semaphore::new(&zk, "/new/semaphore", 1);
            let handover = semaphore.acquire().await?.hand_over();
            semaphore.resume(&handover).await
        };
        "a term, resumed" ["recipes/election/mod.rs resume"] leaves ["/new"], |zk, _s| {
            let election = Election::new(&zk, "/new/election");
            let handover = election.campaign().await?.hand_over();
            election.resume(&handover).await
        };
        "a term of a latch, resumed" ["recipes/election/leader_latch.rs resume"] leaves ["/new"], |zk, _s| {
            let latch = LeaderLatch::new(&zk, "/new/latch");
            let handover = latch.leadership().await?.hand_over();
            latch.resume(&handover).await
        };
    }
}
