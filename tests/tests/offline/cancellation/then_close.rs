//! Every future, dropped at every await point, and then the client closed at once: when `close()`
//! returns, nothing of it is left on the server, persistent or not.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use zk_embedded::Server;
use zk_embedded::fault::{Action, on_any};

use super::futures::{self, Entry};
use super::{Fate, IDLE, TROUBLES, Trouble, World, builder, poll_times};

/// The znodes that were not there before, those aside that the future may leave.
fn left(server: &Server, before: &[String], entry: &Entry) -> Vec<String> {
    let may_stay = |path: &str| {
        let mut leaves = entry.leaves.iter();
        leaves.any(|leaf| path == *leaf || path.starts_with(&format!("{leaf}/")))
    };
    let paths = server.paths().into_iter();
    paths
        .filter(|path| !before.contains(path) && !may_stay(path))
        .collect()
}

/// Drops it after 0 polls, 1 poll, and so on to its end, each time of a client of its own that is
/// closed next; how many ways there were.
async fn close_everywhere(entry: &Entry, trouble: Trouble, idle: Duration) -> usize {
    let world = World::new().await;
    let server: &Arc<Server> = &world.server;
    let before = server.paths();
    for polls in 0.. {
        let zk = builder(server).connect().await.unwrap();
        let session = zk.session().id;
        match trouble {
            Trouble::Late => server.faults().delay_replies(Duration::from_millis(3)),
            Trouble::Lost => {
                let reply = on_any().session(session);
                server.faults().rule(reply.then(Action::DropReply));
            }
            Trouble::None | Trouble::Cut | Trouble::Unseen => {}
        }
        let mut future = (entry.make)(&zk, server);
        let fate = poll_times(&mut future, polls, idle).await;
        match trouble {
            Trouble::Cut => drop(server.faults().disconnect(session)),
            Trouble::Unseen => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => {}
        }
        drop(future);
        let closed = zk.close().await;
        let left = left(server, &before, entry);
        assert!(left.is_empty(), "after {polls} polls: left: {left:?}");
        closed.unwrap();
        server.faults().clear();
        for path in entry.leaves {
            if server.node(path).is_some() {
                world.zk.delete(path).recursive().await.unwrap();
            }
        }
        if fate != Fate::Stopped {
            return polls;
        }
        assert!(polls < 500, "it has no end");
    }
    0
}

fn drop_then_close(troubles: &[Trouble], idle: Duration, runtime: impl Fn() -> Runtime) {
    let mut failed = Vec::new();
    let mut ways = 0;
    let entries = futures::entries();
    for entry in &entries {
        for trouble in troubles {
            let run = std::panic::AssertUnwindSafe(|| {
                runtime().block_on(close_everywhere(entry, *trouble, idle))
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
    assert!(ways > troubles.len() * entries.len(), "{ways}");
}

/// Guards: H5.
#[test]
fn close_waits_for_the_clean_ups_of_drops() {
    drop_then_close(&TROUBLES, IDLE, || {
        let mut runtime = Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap()
    });
}

/// Guards: H5.
#[test]
fn close_waits_for_clean_ups_on_threads() {
    let troubles = [Trouble::None, Trouble::Unseen];
    drop_then_close(&troubles, Duration::from_millis(50), || {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(2).enable_time().build().unwrap()
    });
}
