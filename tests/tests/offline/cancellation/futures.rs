//! The futures there are, each started on its own.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use zk_client::{Acl, Client, RetryPolicy, WatchMode};
use zk_embedded::Server;
use zk_recipes::{
    Barrier, ChildrenWatch, DataWatch, DoubleBarrier, Election, Layout, LeaderLatch, Lock,
    MultiLock, PatientChildrenWatch, ReadLock, Semaphore, TreeCache, WriteLock, revoke,
};

type Made = Pin<Box<dyn Future<Output = ()>>>;

pub struct Entry {
    /// The files and the functions or types, as [`listed`](crate::cancellation::listed) finds them.
    pub covers: &'static [&'static str],
    pub what: &'static str,
    /// Znodes that may be left, for what is on the wire may be executed.
    pub leaves: &'static [&'static str],
    pub make: fn(&Client, &Arc<Server>) -> Made,
}

macro_rules! entries {
    ($($what:literal [$($covers:literal),* $(,)?] leaves $leaves:expr, |$zk:ident, $server:ident| $body:expr;)*) => {
        vec![$($crate::cancellation::futures::Entry {
            covers: &[$($covers),*],
            what: $what,
            leaves: &$leaves,
            make: |zk, server| {
                let ($zk, $server) = (zk.clone(), server.clone());
                Box::pin(async move {
                    let _ = &$server;
                    let done: Result<(), Box<dyn std::error::Error>> = async {
                        let _ = $body;
                        Ok(())
                    }
                    .await;
                    // Which of them fails how is not what is looked at here.
                    drop(done);
                })
            },
        }),*]
    };
}

pub(super) use entries as table;

pub(super) const NONE: [&str; 0] = [];

#[rustfmt::skip]
pub fn entries() -> Vec<Entry> {
    let mut entries = of_requests();
    entries.extend(of_clients());
    entries.extend(of_recipes());
    entries.extend(super::queues::entries());
    entries.extend(super::services::entries());
    entries.extend(super::typed::entries());
    entries.extend(super::members::entries());
    entries
}

#[rustfmt::skip]
fn of_requests() -> Vec<Entry> {
    entries! {
        "a read" ["client/ops/get.rs Get", "client/ops/pending.rs Pending"] leaves NONE, |zk, _s| zk.get("/base").await;
        "a submitted read" [] leaves NONE, |zk, _s| zk.get("/base").submit().await;
        "a read with a watch" ["client/ops/get.rs GetWatched"] leaves NONE, |zk, _s| zk.get("/base").watch().await;
        "a watch" ["client/watch.rs Watch"] leaves NONE, |zk, _s| {
            let (_, _, watch) = zk.get("/base").watch().await?;
            watch.await
        };
        "a watch, borrowed" [] leaves NONE, |zk, _s| {
            let (_, _, mut watch) = zk.get("/base").watch().await?;
            (&mut watch).await
        };
        "a look" ["client/ops/exists.rs Exists"] leaves NONE, |zk, _s| zk.exists("/base").await;
        "a look with a watch" ["client/ops/exists.rs ExistsWatched"] leaves NONE, |zk, _s| zk.exists("/absent").watch().await;
        "children" ["client/ops/children.rs GetChildren"] leaves NONE, |zk, _s| zk.children("/base").await;
        "children and a stat" ["client/ops/children.rs GetChildrenStat"] leaves NONE, |zk, _s| zk.children("/base").stat().await;
        "children with a watch" ["client/ops/children.rs ChildrenWatched"] leaves NONE, |zk, _s| zk.children("/base").watch().await;
        "a sync" ["client/ops/sync.rs SyncOp"] leaves NONE, |zk, _s| zk.sync("/").await;
        "an ACL" ["client/ops/acl.rs GetAcl"] leaves NONE, |zk, _s| zk.acl("/base").await;
        "a change of an ACL" ["client/ops/acl.rs SetAcl"] leaves NONE, |zk, _s| zk.set_acl("/base", Acl::open()).await;
        "a creation" ["client/ops/create.rs Create"] leaves ["/new"], |zk, _s| zk.create("/new", "").await;
        "a creation with parents" ["client/ops/create_parents.rs CreateParents"] leaves ["/new"], |zk, _s| zk.create("/new/a/b/c", "").parents().await;
        "a creation unless it exists" ["client/ops/create_or_exists.rs CreateOrExists"] leaves ["/new"], |zk, _s| zk.create("/new", "").or_exists().await;
        "a creation unless it exists, submitted" ["client/ops/create_or_exists.rs PendingOrExists"] leaves ["/new"], |zk, _s| zk.create("/new/a", "").parents().or_exists().submit().await;
        "a protected creation with parents" [] leaves ["/new"], |zk, _s| {
            let created = zk.create("/new/a/n-", "").sequential().protected().parents().await?;
            zk.delete(&created.path).guaranteed()
        };
        "a protected creation" ["client/ops/create_protected.rs CreateProtected"] leaves NONE, |zk, _s| {
            let created = zk.create("/free/n-", "").sequential().protected().await?;
            zk.delete(&created.path).guaranteed()
        };
        "a protected creation of an ephemeral znode" [] leaves NONE, |zk, _s| {
            let created = zk.create("/free/e", "").ephemeral().protected().await?;
            zk.delete(&created.path).guaranteed()
        };
        "a protected creation of a persistent znode" [] leaves NONE, |zk, _s| {
            let created = zk.create("/free/p", "").protected().await?;
            zk.delete(&created.path).guaranteed_across_sessions()
        };
        "a protected creation that is not awaited" [] leaves NONE, |zk, _s| {
            drop(zk.create("/free/n-", "").sequential().protected().submit());
            drop(zk.create("/free/p", "").protected().submit())
        };
        "a creation or a set" ["client/ops/create_or_set.rs CreateOrSet"] leaves ["/new"], |zk, _s| zk.create("/new/a", "").parents().or_set().await;
        "an idempotent creation" ["client/ops/idempotent.rs Idempotent"] leaves ["/new"], |zk, _s| zk.create("/new", "").idempotent().await;
        "an idempotent set" [] leaves NONE, |zk, _s| zk.set("/base/child", "2").idempotent().await;
        "an idempotent deletion" [] leaves NONE, |zk, _s| zk.delete("/absent").idempotent().await;
        "a quiet deletion" ["client/ops/delete.rs DeleteQuietly"] leaves NONE, |zk, _s| zk.delete("/absent").quietly().await;
        "a read of null" ["client/ops/get.rs GetNullable"] leaves NONE, |zk, _s| zk.get("/base").nullable().await;
        "a read of null with a watch" ["client/ops/get.rs GetNullableWatched"] leaves NONE, |zk, _s| zk.get("/base").nullable().watch().await;
        "a set" ["client/ops/set.rs Set"] leaves NONE, |zk, _s| zk.set("/base/child", "2").await;
        "an update" [] leaves NONE, |zk, _s| zk.update("/base/child", |_| Some("3")).await;
        "a deletion" ["client/ops/delete.rs Delete"] leaves ["/new"], |zk, _s| {
            let _ = zk.create("/new", "").await;
            zk.delete("/new").await
        };
        "a deletion of a tree" ["client/ops/recursive.rs DeleteRecursive"] leaves ["/new"], |zk, _s| {
            let _ = zk.create("/new/a/b", "").parents().await;
            zk.delete("/new").recursive().await
        };
        "a path" ["client/ops/ensure_path.rs EnsurePath"] leaves ["/new"], |zk, _s| zk.ensure_path("/new/a/b").await;
        "a set, tried again" ["client/ops/retry/conditional.rs ConditionalRetry"] leaves NONE, |zk, _s| {
            let policy = RetryPolicy::new().attempts(2);
            zk.set("/base/child", "4").version(0).retry(&policy).await
        };
        "a deletion, tried again" [] leaves ["/new"], |zk, _s| {
            let policy = RetryPolicy::new().attempts(2);
            let _ = zk.create("/new", "").await;
            zk.delete("/new").version(0).retry(&policy).await
        };
        "a transaction, tried again" ["client/ops/retry/transaction.rs ConditionalRetry"] leaves ["/new"], |zk, _s| {
            let policy = RetryPolicy::new().attempts(2);
            zk.multi().create("/new", "").set_version("/base/child", "6", 0).retry(&policy).await
        };
        "requests, tried again" [] leaves NONE, |zk, s| {
            let policy = RetryPolicy::new().attempts(2);
            s.faults().throttle(1);
            let _ = zk.retry(&policy, || zk.set("/base/child", "5")).await;
            s.faults().throttle(1);
            zk.retry_read(&policy, || zk.get("/base")).await
        };
        "a transaction" ["client/ops/multi.rs Multi"] leaves ["/new"], |zk, _s| zk.multi().check("/base", -1).create("/new", "").commit().await;
        "room for a request" ["client/ops/wait_for_room.rs WaitForRoom"] leaves ["/new"], |zk, _s| zk.wait_for_room().await?.create("/new", "").await;
        "several reads" ["client/ops/multi_read.rs MultiRead"] leaves NONE, |zk, _s| zk.multi_read().get("/base").children("/base").await;
        "a persistent watch" ["client/ops/add_watch.rs AddWatch"] leaves NONE, |zk, _s| zk.watch("/base", WatchMode::Persistent).await;
        "a count" ["client/ops/descendants.rs Count"] leaves NONE, |zk, _s| zk.count("/base").await;
        "descendants" ["client/ops/walk.rs next"] leaves NONE, |zk, _s| {
            let mut below = zk.descendants("/base").submit();
            while let Some(path) = below.next().await {
                path?;
            }
        };
        "ephemeral znodes" ["client/ops/descendants.rs Ephemerals"] leaves NONE, |zk, _s| zk.ephemerals().await;
        "a four-letter word" ["client/ops/command.rs Command"] leaves NONE, |zk, _s| zk.command("ruok").await;
        "the version of the server" ["client/ops/command.rs server_version"] leaves NONE, |zk, _s| zk.server_version().await;
        "the identities" ["client/ops/whoami.rs WhoAmI"] leaves NONE, |zk, _s| zk.whoami().await;
        "the configuration" ["client/ops/ensemble.rs GetConfig"] leaves NONE, |zk, _s| zk.config().await;
        "the configuration with a watch" ["client/ops/ensemble.rs ConfigWatched"] leaves NONE, |zk, _s| zk.config().watch().await;
        "another configuration" ["client/ops/ensemble.rs Reconfig"] leaves NONE, |zk, _s| zk.reconfig().leaving(9).await;
        "a synced read" ["client/ops/consistent_read.rs BarrierRead"] leaves NONE, |zk, _s| zk.get("/base").synced().await;
        "a linearizable read, submitted" ["client/ops/consistent_read.rs PendingBarrierRead"] leaves NONE, |zk, _s| zk.get("/base").linearizable().submit().await;
        "attempts at a set" ["client/ops/retry/conditional.rs ConditionalRetry"] leaves NONE, |zk, _s| zk.set("/base/child", "4").retry(&RetryPolicy::new()).await;
        "attempts at a write" [] leaves ["/new"], |zk, _s| zk.retry(&RetryPolicy::new(), || zk.create("/new", "")).await;
        "attempts at a read" [] leaves NONE, |zk, _s| zk.retry_read(&RetryPolicy::new(), || zk.get("/base")).await;
        "a recursive watch, read" ["client/watch.rs next"] leaves NONE, |zk, _s| {
            let mut events = zk.watch("/base", WatchMode::PersistentRecursive).await?;
            zk.set("/base/child", "3").await?;
            while events.next().await.is_some() {}
        };
    }
}

#[rustfmt::skip]
fn of_clients() -> Vec<Entry> {
    entries! {
        "a connection" ["client/builder/start.rs connect", "client/builder.rs connect"] leaves NONE, |_zk, server| crate::cancellation::builder(&server).connect().await;
        "a connection with credentials" [] leaves NONE, |_zk, server| crate::cancellation::builder(&server).auth("digest", "a:b").connect().await;
        "a connection, closed" ["client/ops/close.rs close"] leaves NONE, |_zk, server| {
            let other = crate::cancellation::builder(&server).connect().await?;
            other.close().await
        };
        "a session handed over" ["client/builder/start.rs resume"] leaves NONE, |_zk, server| {
            let token = crate::cancellation::builder(&server).connect().await?.detach()?;
            crate::cancellation::builder(&server).resume(token).await?.close().await?
        };
        "being connected" ["client/state_stream.rs connected"] leaves NONE, |zk, _s| zk.connected().await;
        "states" ["client/state_stream.rs next"] leaves NONE, |zk, _s| {
            let mut states = zk.states();
            while states.next().await.is_some() {}
        };
        "credentials" ["client/ops/add_auth.rs AddAuth"] leaves NONE, |zk, _s| zk.add_auth("digest", "u:p").await;
        "the loss of a lease" ["client/lease.rs lost"] leaves NONE, |zk, _s| zk.lease().lost().await;
    }
}

fn persistent(zk: &Client, path: &str) -> Lock {
    Lock::new(zk, path).persistent()
}

/// One that can be had and one that cannot.
fn several(zk: &Client) -> MultiLock {
    MultiLock::new(["/free", "/held"].map(|path| Lock::new(zk, path)))
}

#[rustfmt::skip]
fn of_recipes() -> Vec<Entry> {
    entries! {
        "a lock" ["recipes/queue/builders.rs acquire"] leaves NONE, |zk, _s| Lock::new(&zk, "/free").acquire().await;
        "a lock with an id" [] leaves NONE, |zk, _s| Lock::new(&zk, "/free").adopt_by(zk_client::Guid::random()).acquire().await;
        "a held lock with an id" [] leaves NONE, |zk, _s| Lock::new(&zk, "/held").adopt_by(zk_client::Guid::random()).try_acquire().await;
        "a lock that is held" [] leaves NONE, |zk, _s| Lock::new(&zk, "/held").acquire().await;
        "a lock whose parent is not there" [] leaves ["/new"], |zk, _s| Lock::new(&zk, "/new/lock").acquire().await;
        "a try" ["recipes/queue/builders.rs try_acquire"] leaves NONE, |zk, _s| Lock::new(&zk, "/free").try_acquire().await;
        "a try at a held lock" [] leaves NONE, |zk, _s| Lock::new(&zk, "/held").try_acquire().await;
        "a lock in time" ["recipes/queue/builders.rs acquire_timeout"] leaves NONE, |zk, _s| Lock::new(&zk, "/free").acquire_timeout(Duration::from_secs(1)).await;
        "a lock too late" [] leaves NONE, |zk, _s| Lock::new(&zk, "/held").acquire_timeout(Duration::from_millis(20)).await;
        "contenders" ["recipes/queue/builders.rs contenders"] leaves NONE, |zk, _s| Lock::new(&zk, "/held").contenders().await;
        "a persistent lock" [] leaves NONE, |zk, _s| persistent(&zk, "/free").acquire().await;
        "a persistent lock that is held" [] leaves NONE, |zk, _s| persistent(&zk, "/held").acquire().await;
        "a persistent lock of kazoo's" [] leaves NONE, |zk, _s| persistent(&zk, "/free").layout(Layout::Kazoo).acquire().await;
        "a persistent lock whose parent is not there" [] leaves ["/new"], |zk, _s| persistent(&zk, "/new/lock").acquire().await;
        "a try at a held persistent lock" [] leaves NONE, |zk, _s| persistent(&zk, "/held").try_acquire().await;
        "a persistent lock too late" [] leaves NONE, |zk, _s| persistent(&zk, "/held").acquire_timeout(Duration::from_millis(20)).await;
        "a persistent lock, released" [] leaves NONE, |zk, _s| persistent(&zk, "/free").acquire().await?.release().await;
        "several locks, one of them persistent" [] leaves NONE, |zk, _s| {
            MultiLock::new([persistent(&zk, "/free"), Lock::new(&zk, "/held")]).acquire().await
        };
        "a release" ["recipes/locks/lock.rs release"] leaves NONE, |zk, _s| {
            let guard = Lock::new(&zk, "/free").acquire().await?;
            guard.release().await
        };
        "a release of a shared guard" ["recipes/locks/lock.rs release_shared"] leaves NONE, |zk, _s| {
            let guard = Lock::new(&zk, "/free").acquire().await?;
            guard.release_shared().await
        };
        "the loss of a guard" ["recipes/guard/mod.rs lost", "recipes/guard/delegate.rs lost"] leaves NONE, |zk, _s| {
            let guard = Lock::new(&zk, "/free").acquire().await?;
            guard.lost().await
        };
        "work under a guard" ["recipes/guard/mod.rs run", "recipes/guard/delegate.rs run"] leaves NONE, |zk, _s| {
            let guard = Lock::new(&zk, "/free").acquire().await?;
            guard.run(zk.sync("/").into_future()).await
        };
        "a fenced write" ["recipes/guard/fenced.rs commit"] leaves ["/new"], |zk, _s| {
            let guard = Lock::new(&zk, "/free").acquire().await?;
            guard.fenced().create("/new", "").commit().await
        };
        "a fenced write, tried again" ["recipes/guard/fenced.rs commit_with_retries"] leaves ["/new"], |zk, _s| {
            let guard = Lock::new(&zk, "/free").acquire().await?;
            let policy = RetryPolicy::new().attempts(2);
            guard.fenced().create("/new", "").commit_with_retries(&policy).await
        };
        "a campaign" ["recipes/election/mod.rs campaign"] leaves NONE, |zk, _s| Election::new(&zk, "/free").campaign().await;
        "a campaign beside a leader" [] leaves NONE, |zk, _s| Election::new(&zk, "/held").campaign().await;
        "a campaign with names without an id" ["recipes/queue/plain_creation.rs Creating"] leaves NONE, |zk, _s| {
            Election::new(&zk, "/free").names("n_").campaign().await
        };
        "the leader" ["recipes/election/mod.rs leader"] leaves NONE, |zk, _s| Election::new(&zk, "/held").leader().await;
        "candidates" ["recipes/election/mod.rs candidates"] leaves NONE, |zk, _s| Election::new(&zk, "/held").candidates().await;
        "a resignation" ["recipes/election/mod.rs resign"] leaves NONE, |zk, _s| {
            let term = Election::new(&zk, "/free").campaign().await?;
            term.resign().await
        };
        "a resignation from a shared term" ["recipes/election/mod.rs resign_shared"] leaves NONE, |zk, _s| {
            let term = Election::new(&zk, "/free").campaign().await?;
            term.resign_shared().await
        };
        "a campaign in time" ["recipes/election/mod.rs campaign_timeout"] leaves NONE, |zk, _s| Election::new(&zk, "/held").campaign_timeout(Duration::from_millis(20)).await;
        "a campaign if there is no leader" ["recipes/election/mod.rs try_campaign"] leaves NONE, |zk, _s| Election::new(&zk, "/held").try_campaign().await;
        "work of a leader" ["recipes/election/mod.rs lead"] leaves NONE, |zk, _s| {
            Election::new(&zk, "/free").lead(|term| async move { term.check() }).await
        };
        "leaders" ["recipes/election/leader_stream.rs next"] leaves NONE, |zk, _s| {
            let mut leaders = Election::new(&zk, "/free").observe();
            while leaders.next().await.is_some() {}
        };
        "a latch" ["recipes/election/leader_latch.rs leadership"] leaves NONE, |zk, _s| LeaderLatch::new(&zk, "/free").leadership().await;
        "a latch in time" ["recipes/election/leader_latch.rs leadership_timeout"] leaves NONE, |zk, _s| LeaderLatch::new(&zk, "/free").leadership_timeout(Duration::from_secs(1)).await;
        "work under a latch" ["recipes/election/leader_latch.rs lead"] leaves NONE, |zk, _s| {
            LeaderLatch::new(&zk, "/free").lead(|term| async move { term.check() }).await
        };
        "a latch's leader" ["recipes/election/leader_latch.rs leader"] leaves NONE, |zk, _s| LeaderLatch::new(&zk, "/free").leader().await;
        "participants" ["recipes/election/leader_latch.rs participants"] leaves NONE, |zk, _s| LeaderLatch::new(&zk, "/free").participants().await;
        "a reader" [] leaves NONE, |zk, _s| ReadLock::new(&zk, "/free").acquire().await;
        "a downgrade" ["recipes/locks/rw_lock.rs downgrade"] leaves NONE, |zk, _s| {
            let guard = WriteLock::new(&zk, "/free").acquire().await?;
            guard.downgrade().await
        };
        "a writer's release" ["recipes/locks/rw_lock.rs release"] leaves NONE, |zk, _s| {
            let guard = WriteLock::new(&zk, "/free").acquire().await?;
            guard.release().await
        };
        "a writer's release of a shared guard" ["recipes/locks/rw_lock.rs release_shared"] leaves NONE, |zk, _s| {
            let guard = WriteLock::new(&zk, "/free").acquire().await?;
            guard.release_shared().await
        };
        "several locks" ["recipes/locks/multi_lock.rs acquire"] leaves NONE, |zk, _s| several(&zk).acquire().await;
        "several locks if they are free" ["recipes/locks/multi_lock.rs try_acquire"] leaves NONE, |zk, _s| several(&zk).try_acquire().await;
        "several locks in time" ["recipes/locks/multi_lock.rs acquire_timeout"] leaves NONE, |zk, _s| several(&zk).acquire_timeout(Duration::from_millis(20)).await;
        "the loss of several locks" ["recipes/locks/multi_lock.rs lost"] leaves NONE, |zk, _s| {
            let guard = MultiLock::new([Lock::new(&zk, "/free")]).acquire().await?;
            Ok::<_, zk_recipes::Error>(guard.lost().await)
        };
        "work under several locks" ["recipes/locks/multi_lock.rs run"] leaves NONE, |zk, _s| {
            let guard = MultiLock::new([Lock::new(&zk, "/free")]).acquire().await?;
            guard.run(zk.sync("/").into_future()).await??;
            Ok::<_, zk_recipes::Error>(())
        };
        "the release of several locks" ["recipes/locks/multi_lock.rs release"] leaves NONE, |zk, _s| {
            let guard = MultiLock::new([Lock::new(&zk, "/free")]).acquire().await?;
            guard.release().await
        };
        "the release of several shared locks" ["recipes/locks/multi_lock.rs release_shared"] leaves NONE, |zk, _s| {
            let guard = MultiLock::new([Lock::new(&zk, "/free")]).acquire().await?;
            guard.release_shared().await
        };
        "a request to let go" ["recipes/guard/revoke.rs revoke"] leaves NONE, |zk, _s| {
            let guard = Lock::new(&zk, "/free").acquire().await?;
            revoke(&zk, guard.path()).await
        };
        "being asked to let go" ["recipes/guard/revoke.rs revoked", "recipes/guard/delegate.rs revoked"] leaves NONE, |zk, _s| {
            let guard = Lock::new(&zk, "/free").acquire().await?;
            guard.revoked().await.map_err(zk_recipes::Error::from)
        };
        "a lease of a semaphore" ["recipes/locks/semaphore.rs acquire"] leaves ["/new"], |zk, _s| Semaphore::new(&zk, "/new", 1).acquire().await;
        "several leases" ["recipes/locks/semaphore.rs acquire_many"] leaves ["/new"], |zk, _s| Semaphore::new(&zk, "/new", 2).acquire_many(2).await;
        "a lease if there is one" ["recipes/locks/semaphore.rs try_acquire"] leaves ["/new"], |zk, _s| Semaphore::new(&zk, "/new", 1).try_acquire().await;
        "a lease in time" ["recipes/locks/semaphore.rs acquire_timeout"] leaves ["/new"], |zk, _s| Semaphore::new(&zk, "/new", 1).acquire_timeout(Duration::from_secs(1)).await;
        "the holders of leases" ["recipes/locks/semaphore.rs holders"] leaves ["/new"], |zk, _s| Semaphore::new(&zk, "/new", 1).holders().await;
        "the return of a lease" ["recipes/locks/semaphore.rs release"] leaves ["/new"], |zk, _s| {
            let lease = Semaphore::new(&zk, "/new", 1).acquire().await?;
            lease.release().await
        };
        "the return of a shared lease" ["recipes/locks/semaphore.rs release_shared"] leaves ["/new"], |zk, _s| {
            let lease = Semaphore::new(&zk, "/new", 1).acquire().await?;
            lease.release_shared().await
        };
        "a lease of kazoo's" [] leaves ["/new"], |zk, _s| {
            Semaphore::new(&zk, "/new/s", 1).layout(Layout::Kazoo).acquire().await
        };
        "data" ["recipes/watch/data_watch.rs next"] leaves NONE, |zk, _s| {
            let mut states = DataWatch::new(&zk, "/base");
            while states.next().await.is_some() {}
        };
        "data of a znode that is not there" [] leaves NONE, |zk, _s| {
            let mut states = DataWatch::new(&zk, "/absent");
            while states.next().await.is_some() {}
        };
        "children for ever" ["recipes/watch/children_watch.rs next"] leaves NONE, |zk, _s| {
            let mut states = ChildrenWatch::new(&zk, "/base");
            while states.next().await.is_some() {}
        };
        "children that do not change" ["recipes/watch/patient_children_watch.rs next"] leaves NONE, |zk, _s| {
            let mut states = PatientChildrenWatch::new(&zk, "/base", Duration::from_millis(1));
            while states.next().await.is_some() {}
        };
        "a tree" ["recipes/tree_cache/mod.rs initialized"] leaves NONE, |zk, _s| TreeCache::new(&zk, "/base").initialized().await;
        "a tree with one-shot watches" [] leaves NONE, |zk, _s| {
            let cache = TreeCache::builder(&zk, "/base").one_shot_watches().start();
            cache.initialized().await
        };
        "events of a tree" ["recipes/tree_cache/shared.rs next"] leaves NONE, |zk, _s| {
            let cache = TreeCache::new(&zk, "/base");
            let (_, mut events) = cache.subscribe()?;
            while events.next().await.is_some() {}
        };
        "a barrier closed" ["recipes/barrier/gate.rs close"] leaves ["/new"], |zk, _s| Barrier::new(&zk, "/new").close().await;
        "a barrier opened" ["recipes/barrier/gate.rs open"] leaves ["/new"], |zk, _s| {
            let barrier = Barrier::new(&zk, "/new");
            barrier.close().await?;
            barrier.open().await
        };
        "a barrier" ["recipes/barrier/gate.rs wait"] leaves NONE, |zk, _s| Barrier::new(&zk, "/base").wait().await;
        "a double barrier" ["recipes/barrier/double.rs enter", "recipes/barrier/double.rs leave"] leaves ["/new"], |zk, _s| {
            DoubleBarrier::new(&zk, "/new", 1).enter().await?.leave().await
        };
        "a double barrier in time" ["recipes/barrier/double.rs enter_timeout", "recipes/barrier/double.rs leave_timeout"] leaves ["/new"], |zk, _s| {
            let barrier = DoubleBarrier::new(&zk, "/new", 2);
            let _ = barrier.enter_timeout(Duration::from_millis(20)).await?;
            DoubleBarrier::new(&zk, "/new", 1).enter().await?.leave_timeout(Duration::from_secs(1)).await
        };
        "the loss of a member" ["recipes/barrier/double.rs lost"] leaves ["/new"], |zk, _s| {
            let inside = DoubleBarrier::new(&zk, "/new", 1).enter().await?;
            Ok::<_, zk_recipes::Error>(inside.lost().await)
        };
        "several leases in time" ["recipes/locks/semaphore.rs acquire_many_timeout"] leaves ["/new"], |zk, _s| {
            Semaphore::new(&zk, "/new", 2).acquire_many_timeout(2, Duration::from_secs(1)).await
        };
        "several leases if there are any" ["recipes/locks/semaphore.rs try_acquire_many"] leaves ["/new"], |zk, _s| Semaphore::new(&zk, "/new", 2).try_acquire_many(2).await;
        "a proclamation" ["recipes/election/proclamation.rs proclaim"] leaves NONE, |zk, _s| {
            let term = Election::new(&zk, "/free").campaign().await?;
            term.proclaim("value").await
        };
        "a tree read again" ["recipes/tree_cache/mod.rs rebuild"] leaves NONE, |zk, _s| TreeCache::new(&zk, "/base").rebuild().await;
        "changes of data" ["recipes/watch/data_watch.rs next_change"] leaves NONE, |zk, _s| {
            let mut states = DataWatch::new(&zk, "/base");
            while states.next_change().await.is_some() {}
        };
        "changes of children" ["recipes/watch/children_watch.rs next_change"] leaves NONE, |zk, _s| {
            let mut states = ChildrenWatch::new(&zk, "/base");
            while states.next_change().await.is_some() {}
        };
    }
}
