//! One-shot watches on many nodes, for servers without recursive watches.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use zk_client::{Watch, WatchEvent};

use super::worklist::Facet;

type Place = (Arc<str>, Facet);

/// A task for each watch. Dropping this drops the watches.
#[derive(Debug)]
pub(super) struct OneShotWatches {
    runtime: Handle,
    tasks: JoinSet<(Place, WatchEvent)>,
    armed: HashMap<Place, AbortHandle>,
}

impl OneShotWatches {
    pub(super) fn new(runtime: Handle) -> Self {
        OneShotWatches {
            runtime,
            tasks: JoinSet::new(),
            armed: HashMap::new(),
        }
    }

    /// Adds a watch, in place of the last one of its kind on the path.
    pub(super) fn add(&mut self, path: Arc<str>, facet: Facet, watch: Watch) {
        let place = (path, facet);
        let fired = place.clone();
        let task = self
            .tasks
            .spawn_on(async move { (fired, watch.await) }, &self.runtime);
        if let Some(old) = self.armed.insert(place, task) {
            old.abort();
        }
    }

    /// The next event.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Place, WatchEvent)> {
        loop {
            match self.tasks.poll_join_next_with_id(cx) {
                Poll::Ready(Some(Ok((id, (place, event))))) => {
                    if self.armed.get(&place).is_some_and(|task| task.id() == id) {
                        self.armed.remove(&place);
                    }
                    return Poll::Ready((place, event));
                }
                // A watch that was replaced.
                Poll::Ready(Some(Err(_aborted))) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}
