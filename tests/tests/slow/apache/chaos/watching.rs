//! What watches deliver while everything breaks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use zk_client::{Client, NodeEventKind, WatchEvent, WatchMode};

use zk_tests::Wait;

use crate::apache::chaos::{ROOT, Run};
use crate::common::soon;

/// What is watched, without [`ROOT`].
pub const TREE: &str = "/p";
/// After which another znode is created for the watches to report.
const QUIET_TIME: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// What a lasting watch has delivered, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Of the path without [`ROOT`].
    Node(NodeEventKind, String),
    /// Anything may have happened meanwhile.
    Gap,
}

/// A recursive watch over a client of its own.
pub struct Watching {
    zk: Client,
    seen: Arc<Mutex<Vec<Seen>>>,
    over: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Watching {
    /// Returns when the watch is set.
    pub async fn start(zk: Client, run: Arc<Run>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let mut events = zk
            .watch(TREE, WatchMode::PersistentRecursive)
            .await
            .unwrap();
        let task = tokio::spawn({
            let (zk, seen, over) = (zk.clone(), seen.clone(), over.clone());
            async move {
                while !over.load(Ordering::Relaxed) {
                    let Ok(event) = tokio::time::timeout(PAUSE, events.next()).await else {
                        continue;
                    };
                    let node = match event {
                        Some(WatchEvent::Node(event)) => {
                            run.events.fetch_add(1, Ordering::Relaxed);
                            Seen::Node(event.kind, event.path)
                        }
                        Some(WatchEvent::Gap { .. } | WatchEvent::Lagged { .. }) => {
                            run.gaps.fetch_add(1, Ordering::Relaxed);
                            Seen::Gap
                        }
                        Some(WatchEvent::SessionEnded) | None => {
                            run.gaps.fetch_add(1, Ordering::Relaxed);
                            // Until there is a session again.
                            while let Err(error) = zk
                                .watch(TREE, WatchMode::PersistentRecursive)
                                .await
                                .map(|again| {
                                    events = again;
                                })
                            {
                                assert!(error.is_retryable(), "{error}");
                            }
                            Seen::Gap
                        }
                    };
                    seen.lock().unwrap().push(node);
                }
            }
        });
        Watching {
            zk,
            seen,
            over,
            task,
        }
    }

    fn has_seen(&self, path: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        let node = Seen::Node(NodeEventKind::Created, path.to_owned());
        // It is the latest of all.
        seen.iter().rev().take(100).any(|seen| *seen == node)
    }
}

/// Waits until every watch has delivered a change that is made after all others, and returns what each
/// has delivered.
pub async fn finish(watching: Vec<Watching>, admin: &Client, run: &Run) -> Vec<Vec<Seen>> {
    // A gap can come after the first such thing and hide it, when a reconnect was still under way.
    let wait = Wait::begin("every lasting watch to report the last znode");
    for attempt in 0.. {
        let last = format!("{TREE}/last-{attempt}");
        admin.create(&format!("{ROOT}{last}"), "").await.unwrap();
        let mut waited = Duration::ZERO;
        while waited < QUIET_TIME && !watching.iter().all(|watcher| watcher.has_seen(&last)) {
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
        if waited < QUIET_TIME {
            break;
        }
        if let Some(verdict) = wait.verdict() {
            let states: Vec<_> = watching.iter().map(|watcher| watcher.zk.state()).collect();
            run.violation(format!(
                "a lasting watch reports nothing: {verdict}: {states:?}"
            ));
            break;
        }
    }
    drop(wait);
    let mut all = Vec::new();
    for watcher in watching {
        watcher.over.store(true, Ordering::Relaxed);
        watcher.task.await.unwrap();
        all.push(std::mem::take(&mut *watcher.seen.lock().unwrap()));
        watcher.zk.close().await.unwrap();
    }
    all
}

/// Reads what another worker sets, and waits for it to be set again; and again. What is still
/// waited for at the end has not changed.
pub async fn one_shots(zk: Client, other: usize, run: Arc<Run>) {
    let path = format!("/s/{other}");
    let mut last = (0, 0);
    while !run.is_over() {
        let epoch = zk.session().epoch;
        let Ok((_, stat, mut watch)) = zk.get(&path).watch().await else {
            continue;
        };
        if epoch == last.0 && zk.session().epoch == epoch && stat.version < last.1 {
            run.suspicion(
                Vec::new(),
                format!(
                    "{path} was read with version {} after {}",
                    stat.version, last.1
                ),
            );
        }
        last = (epoch, stat.version);
        let event = loop {
            let delivered = tokio::time::timeout(PAUSE, &mut watch).await;
            if delivered.is_ok() || run.is_over() {
                break delivered.ok();
            }
        };
        if event.is_some() {
            run.events.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        // Its writer may still run; its changes so far are delivered.
        let mut quiet = stat.version;
        let now = loop {
            tokio::time::sleep(PAUSE).await;
            let read = async {
                zk.sync(&path).await?;
                zk.get(&path).await
            };
            let Ok((_, stat)) = read.await else { continue };
            if stat.version == quiet {
                break stat.version;
            }
            quiet = stat.version;
        };
        if now != stat.version {
            let what = format!(
                "the watch of {path} to fire, which went from version {} to {now}",
                stat.version
            );
            soon(&what, &mut watch).await;
        }
    }
}
