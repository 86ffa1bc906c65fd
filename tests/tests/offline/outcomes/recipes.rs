//! Recipes on a server that executes a request, or does not, and answers with an error code that says
//! neither.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use zk_client::{Client, Outcome};
use zk_embedded::fault::on;
use zk_proto::OpCode;
use zk_recipes::{
    Barrier, Election, Error, Layout, LeaderLatch, Lock, ReadLock, Semaphore, WriteLock,
};

use crate::common::memory::Wire;
use crate::outcomes::misreported::{OPEN, TIMEOUTS, actions, code, until};

type Doing<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// Something that a recipe does below `/r`, from taking to giving back, and its writes.
struct Use {
    name: &'static str,
    writes: &'static [OpCode],
    make: for<'a> fn(&'a Client) -> Doing<'a>,
}

const QUEUE: &[OpCode] = &[
    OpCode::CreateContainer,
    OpCode::Create2,
    OpCode::Multi,
    OpCode::Delete,
];

macro_rules! uses {
    ($($name:literal, $writes:expr, |$zk:ident| $make:block;)*) => {
        vec![$(Use { name: $name, writes: $writes, make: |$zk| Box::pin(async move { $make }) }),*]
    };
}

fn uses() -> Vec<Use> {
    uses! {
        "lock", QUEUE, |zk| { Lock::new(zk, "/r/l").acquire().await?.release().await };
        "persistent lock", QUEUE, |zk| {
            Lock::new(zk, "/r/l").persistent().acquire().await?.release().await
        };
        "lock with kazoo", QUEUE, |zk| {
            Lock::new(zk, "/r/l").layout(Layout::Kazoo).acquire().await?.release().await
        };
        "lock that is tried", QUEUE, |zk| {
            match Lock::new(zk, "/r/l").try_acquire().await? {
                Some(guard) => guard.release().await,
                None => Ok(()),
            }
        };
        "reader", QUEUE, |zk| { ReadLock::new(zk, "/r/l").acquire().await?.release().await };
        "writer", QUEUE, |zk| { WriteLock::new(zk, "/r/l").acquire().await?.release().await };
        "downgrade", QUEUE, |zk| {
            let writer = WriteLock::new(zk, "/r/l").acquire().await?;
            writer.downgrade().await?.release().await
        };
        "election", QUEUE, |zk| { Election::new(zk, "/r/l").campaign().await?.resign().await };
        "latch", QUEUE, |zk| { LeaderLatch::new(zk, "/r/l").leadership().await?.resign().await };
        "semaphore", QUEUE, |zk| {
            Semaphore::new(zk, "/r/s", 2).acquire().await?.release().await
        };
        "semaphore with kazoo", &[OpCode::Create2, OpCode::SetData, OpCode::Multi, OpCode::Delete],
        |zk| {
            let semaphore = Semaphore::new(zk, "/r/s", 2).layout(Layout::Kazoo);
            semaphore.acquire().await?.release().await
        };
        "barrier", &[OpCode::Create2, OpCode::Delete], |zk| {
            let barrier = Barrier::new(zk, "/r/b");
            barrier.close().await?;
            barrier.open().await
        };
    }
}

/// What is left of contenders, leases and barriers: the znodes that hold them up are not meant.
fn left(wire: &Wire) -> Vec<String> {
    let mut paths = wire.server.paths();
    paths.retain(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        path == "/r/b" || (path.starts_with("/r/") && name.len() > 20)
    });
    paths
}

/// Guards: M2.
#[tokio::test(start_paused = true)]
async fn failed_recipes_leave_nothing() {
    let mut misled = 0;
    for Use { name, writes, make } in uses() {
        for (&op, open) in writes.iter().flat_map(|op| OPEN.map(|open| (op, open))) {
            for action in actions(code(open)) {
                for skip in 0..3 {
                    let wire = Wire::new().await;
                    let (zk, other) = (wire.client().await, wire.client().await);
                    let faults = wire.server.faults();
                    faults.rule(on(op).after(skip).then(action.clone()));
                    let done = make(&zk).await;
                    let context = format!("{name}: {op:?} {skip} {action:?}: {done:?}");
                    let applied = faults.pending() == 0;
                    misled += usize::from(applied);
                    faults.clear();
                    match &done {
                        Ok(()) => {}
                        Err(Error::Client(error)) => {
                            assert!(applied && !TIMEOUTS.contains(&open), "{context}");
                            assert_eq!(error.outcome(), Outcome::Unknown, "{context}");
                        }
                        Err(_) => panic!("{context}"),
                    }
                    if name == "barrier" {
                        // Closed or not, it opens.
                        Barrier::new(&zk, "/r/b").open().await.unwrap();
                    }
                    until(&context, || left(&wire).is_empty()).await;
                    let again = tokio::time::timeout(Duration::from_secs(3600), make(&other));
                    again.await.expect(&context).expect(&context);
                    assert!(left(&wire).is_empty(), "{context}");
                    if !applied {
                        break;
                    }
                }
            }
        }
    }
    assert!(misled > 400, "{misled}");
}

/// Guards: M2. One znode for each contender, and the fence counts them.
#[tokio::test(start_paused = true)]
async fn a_contender_has_one_znode() {
    for open in OPEN {
        for action in actions(code(open)) {
            let wire = Wire::new().await;
            let zk = wire.client().await;
            let lock = Lock::new(&zk, "/r/l");
            drop(lock.acquire().await.unwrap().release().await);
            wire.server
                .faults()
                .rule(on(OpCode::Create2).then(action.clone()));
            let guard = match lock.acquire().await {
                Ok(guard) => guard,
                Err(_) => {
                    let again = lock.acquire_timeout(Duration::from_secs(3600));
                    again.await.unwrap().expect("a znode is left in the queue")
                }
            };
            until("one", || left(&wire).len() == 1).await;
            assert_eq!(left(&wire), [guard.path()], "{action:?}");
            assert!(guard.check().is_ok());
            assert!(lock.try_acquire().await.unwrap().is_none(), "{action:?}");
        }
    }
}

/// Guards: M2. A guard outlives an answer that says nothing about it.
#[tokio::test(start_paused = true)]
async fn a_guard_outlives_a_misreported_renewal() {
    for open in OPEN {
        for action in actions(code(open)) {
            let wire = Wire::new().await;
            let zk = wire.client().await;
            let guard = Lock::new(&zk, "/r/l").acquire().await.unwrap();
            let rule = on(OpCode::Multi).then(action.clone());
            wire.server.faults().rule(rule);
            until("renewed", || wire.server.faults().pending() == 0).await;
            tokio::time::sleep(2 * zk.session().timeout).await;
            assert!(guard.check().is_ok(), "{action:?}");
        }
    }
}
