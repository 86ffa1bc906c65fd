//! Every public future, dropped at every await point: whatever it was doing, the session answers
//! afterwards, and nothing is left behind, here or on the server.
//!
//! On the embedded server and in virtual time. What `server/current_server/cancellation.rs` does with a
//! clock and a real server is done here by counting polls.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a failed expectation is a failed test"
)]

mod futures;
mod listed;
mod members;
mod queues;
mod services;
mod then_close;
mod typed;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::Entry;
use tokio::time::timeout;
use zk_client::{Client, ClientBuilder, Dial, DialError, Dialing, HostPort, Transport};
use zk_embedded::Server;
use zk_embedded::core::WatchCounts;
use zk_recipes::{Lock, LockGuard};

/// In virtual time: a future that has not been woken for this time waits for something that will not
/// come.
const IDLE: Duration = Duration::from_secs(2);
/// In virtual time, until everything is as it was.
const SETTLED: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
struct InMemory(Arc<Server>);

impl Dial for InMemory {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let near = self.0.connect_in_memory().map_err(DialError::Other)?;
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

/// What happens to the client besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// Replies are late, so that there are more points at which to stop.
    Late,
    /// The connection is cut just before the future is dropped.
    Cut,
    /// Replies get lost with the connection, once.
    Lost,
    /// The future is not polled for a while before it is dropped, so that an unread answer is there.
    Unseen,
}

const TROUBLES: [Trouble; 5] = [
    Trouble::None,
    Trouble::Late,
    Trouble::Cut,
    Trouble::Lost,
    Trouble::Unseen,
];

/// A client that does things, and another that holds `/held` and is not touched.
struct World {
    server: Arc<Server>,
    zk: Client,
    held: LockGuard,
    before: Before,
}

/// What is to be found again.
#[derive(Debug, PartialEq, Eq)]
struct Before {
    paths: Vec<String>,
    sessions: usize,
    watches: WatchCounts,
    connections: usize,
}

impl Before {
    fn of(server: &Server) -> Self {
        Before {
            paths: server.paths(),
            sessions: server.sessions().len(),
            watches: server.watch_counts(),
            connections: server.connection_count(),
        }
    }
}

impl World {
    async fn new() -> Self {
        let server = Arc::new(Server::builder().in_memory().start().await.unwrap());
        let zk = builder(&server).connect().await.unwrap();
        let holder = builder(&server).connect().await.unwrap();
        for path in ["/base", "/base/child", "/held", "/free"] {
            zk.create(path, "1").await.unwrap();
        }
        let held = Lock::new(&holder, "/held").acquire().await.unwrap();
        let before = Before::of(&server);
        World {
            server,
            zk,
            held,
            before,
        }
    }

    /// What is not as it was.
    fn left(&self) -> Option<String> {
        let here = self.zk.statistics();
        let here = [
            here.outstanding,
            here.parked,
            here.watches,
            here.subscribers,
        ];
        let there = Before::of(&self.server);
        (here != [0; 4] || there != self.before).then(|| {
            format!(
                "{here:?} here, and there {there:?} instead of {:?}",
                self.before
            )
        })
    }

    /// Waits until everything is as it was, but for the znodes that the future may leave.
    async fn settle(&self, entry: &Entry) {
        // What was on its way when the future was dropped has arrived when this is answered.
        self.zk.sync("/").await.unwrap();
        self.zk.sync("/").await.unwrap();
        let settled = timeout(SETTLED, async {
            loop {
                for path in entry.leaves {
                    if self.server.node(path).is_some() {
                        self.zk.delete(path).recursive().await.unwrap();
                    }
                }
                if self.left().is_none() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        if settled.await.is_err() {
            panic!("left: {}", self.left().unwrap_or_default());
        }
        self.held.check().unwrap();
        assert_eq!(self.zk.get("/base").await.unwrap().0, "1");
        assert_eq!(self.zk.session().epoch, 1);
    }
}

fn builder(server: &Arc<Server>) -> ClientBuilder {
    Client::builder("memory")
        .session_timeout(Duration::from_secs(6))
        .dial(InMemory(server.clone()))
}

/// How a future fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// It was polled so often, and is not complete.
    Stopped,
    /// It waits for what will not come.
    Idle,
}

async fn poll_times(
    future: &mut Pin<Box<dyn Future<Output = ()>>>,
    times: usize,
    idle: Duration,
) -> Fate {
    let mut left = times;
    let polls = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(Fate::Stopped);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Fate::Done),
            Poll::Pending if left == 0 => Poll::Ready(Fate::Stopped),
            Poll::Pending => Poll::Pending,
        }
    });
    timeout(idle, polls).await.unwrap_or(Fate::Idle)
}

/// Drops it after 0 polls, 1 poll, and so on to its end; how many ways there were.
async fn drop_everywhere(world: &World, entry: &Entry, trouble: Trouble) -> usize {
    let faults = world.server.faults();
    for polls in 0.. {
        match trouble {
            Trouble::Late => faults.delay_replies(Duration::from_millis(3)),
            Trouble::Lost => faults.rule(
                zk_embedded::fault::on_any()
                    .session(world.zk.session().id)
                    .then(zk_embedded::fault::Action::DropReply),
            ),
            Trouble::None | Trouble::Cut | Trouble::Unseen => {}
        }
        let mut future = (entry.make)(&world.zk, &world.server);
        let fate = poll_times(&mut future, polls, IDLE).await;
        match trouble {
            Trouble::Cut => drop(faults.disconnect(world.zk.session().id)),
            Trouble::Unseen => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => {}
        }
        drop(future);
        faults.clear();
        world.settle(entry).await;
        if fate != Fate::Stopped {
            return polls;
        }
        assert!(polls < 500, "it has no end");
    }
    0
}

/// Guards: A38, B95.
#[test]
fn dropped_futures_leave_nothing() {
    let mut failed = Vec::new();
    let mut ways = 0;
    for entry in futures::entries() {
        for trouble in TROUBLES {
            let run = std::panic::AssertUnwindSafe(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let world = World::new().await;
                    let polls = drop_everywhere(&world, &entry, trouble).await;
                    world.zk.clone().close().await.unwrap();
                    polls
                })
            });
            match std::panic::catch_unwind(run) {
                Ok(polls) => ways += polls,
                Err(panic) => {
                    let said = panic.downcast_ref::<String>().cloned();
                    let what = entry.what;
                    failed.push(format!("{what}, {trouble:?}: {}", said.unwrap_or_default()));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    // A table that polls nothing proves nothing.
    assert!(
        ways > 2 * TROUBLES.len() * futures::entries().len(),
        "{ways}"
    );
}
