//! The state that a cache shares with its task: the latest snapshot, and the subscribers.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::event::CacheEvent;
use super::snapshot::Snapshot;
use crate::error::CacheError;
use crate::readers::{Readable, Readers};

#[derive(Debug)]
pub(super) struct Published {
    snapshot: Snapshot,
    /// Whether everything has been read once.
    initialized: bool,
    /// The calls that wait for a load.
    readers: Readers,
    over: Option<CacheError>,
    /// Whether everything is to be read again, and the waker of the cache's task.
    rebuild: bool,
    task: Option<Waker>,
    subscribers: BTreeMap<u64, Subscriber>,
    next_subscriber: u64,
    limits: UnreadLimits,
}

/// The limits of the unread events of a subscriber.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnreadLimits {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

#[derive(Debug, Default)]
struct Subscriber {
    unread: VecDeque<CacheEvent>,
    /// The memory of the unread events.
    bytes: usize,
    dropped: u64,
    waker: Option<Waker>,
}

impl Subscriber {
    fn push(&mut self, event: &CacheEvent, limits: UnreadLimits) {
        let bytes = self.bytes.saturating_add(event.bytes());
        // One event is always held, whatever its size.
        let is_full = self.unread.len() >= limits.events || bytes > limits.bytes;
        if self.dropped > 0 || (is_full && !self.unread.is_empty()) {
            self.dropped += 1;
        } else {
            self.bytes = bytes;
            self.unread.push_back(event.clone());
        }
    }

    fn pop(&mut self) -> Option<CacheEvent> {
        let event = self.unread.pop_front()?;
        self.bytes -= event.bytes();
        Some(event)
    }
}

pub(super) type Reader = crate::readers::Reader<Shared>;

impl Published {
    /// The snapshot, once the first load is complete.
    pub(super) fn loaded(&self) -> Option<Result<Snapshot, CacheError>> {
        match &self.over {
            Some(error) => Some(Err(error.clone())),
            None => self.initialized.then(|| Ok(self.snapshot.clone())),
        }
    }

    /// The snapshot, once everything has been read in a generation after `since`.
    pub(super) fn rebuilt(&self, since: u64) -> Option<Result<Snapshot, CacheError>> {
        if let Some(error) = &self.over {
            return Some(Err(error.clone()));
        }
        let snapshot = &self.snapshot;
        let is_rebuilt = !self.rebuild && snapshot.complete && snapshot.generation > since;
        is_rebuilt.then(|| Ok(snapshot.clone()))
    }
}

#[derive(Debug)]
pub(super) struct Shared(Mutex<Published>);

impl Readable for Shared {
    type Contents = Published;

    fn contents(&self) -> MutexGuard<'_, Published> {
        self.lock()
    }

    fn readers(published: &mut Published) -> &mut Readers {
        &mut published.readers
    }
}

impl Shared {
    pub(super) fn new(snapshot: Snapshot, limits: UnreadLimits) -> Self {
        Shared(Mutex::new(Published {
            snapshot,
            initialized: false,
            readers: Readers::default(),
            over: None,
            rebuild: false,
            task: None,
            subscribers: BTreeMap::new(),
            next_subscriber: 0,
            limits: UnreadLimits {
                events: limits.events.max(1),
                ..limits
            },
        }))
    }

    /// Held only while a few pointers are copied.
    fn lock(&self) -> MutexGuard<'_, Published> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a new snapshot and its differences from the last one.
    pub(super) fn publish(&self, snapshot: Snapshot, events: Vec<CacheEvent>) {
        let mut published = self.lock();
        published.initialized |= snapshot.complete;
        let old = std::mem::replace(&mut published.snapshot, snapshot);
        let limits = published.limits;
        for subscriber in published.subscribers.values_mut() {
            for event in &events {
                subscriber.push(event, limits);
            }
        }
        let wakes = wakes(&mut published);
        // The old snapshot is freed and the tasks are woken without the lock.
        drop(published);
        drop(old);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// Ends the cache and drops its contents.
    pub(super) fn end(&self, empty: Snapshot, error: CacheError) {
        let mut published = self.lock();
        let old = std::mem::replace(&mut published.snapshot, empty);
        published.over.get_or_insert(error);
        let wakes = wakes(&mut published);
        drop(published);
        drop(old);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// Lets the task read everything again. Returns the present generation.
    pub(super) fn want_rebuild(&self) -> Result<u64, CacheError> {
        let mut published = self.lock();
        if let Some(error) = &published.over {
            return Err(error.clone());
        }
        published.rebuild = true;
        let (since, task) = (published.snapshot.generation, published.task.take());
        drop(published);
        if let Some(task) = task {
            task.wake();
        }
        Ok(since)
    }

    /// Ready once after [`want_rebuild`](Self::want_rebuild), for the task.
    pub(super) fn poll_rebuild(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut published = self.lock();
        if std::mem::take(&mut published.rebuild) {
            return Poll::Ready(());
        }
        let is_same = |waker: &Waker| waker.will_wake(cx.waker());
        if !published.task.as_ref().is_some_and(is_same) {
            published.task = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, CacheError> {
        let published = self.lock();
        match &published.over {
            Some(error) => Err(error.clone()),
            None => Ok(published.snapshot.clone()),
        }
    }

    /// A subscription to all events after the returned snapshot.
    pub(super) fn subscribe(self: &Arc<Self>) -> Result<(Snapshot, CacheEvents), CacheError> {
        let mut published = self.lock();
        if let Some(error) = &published.over {
            return Err(error.clone());
        }
        let id = published.next_subscriber;
        published.next_subscriber += 1;
        published.subscribers.insert(id, Subscriber::default());
        let events = CacheEvents {
            shared: self.clone(),
            id,
            ended: false,
        };
        Ok((published.snapshot.clone(), events))
    }
}

fn wakes(published: &mut Published) -> Vec<Waker> {
    let mut wakes = Vec::new();
    if published.initialized || published.over.is_some() {
        wakes.extend(published.readers.take());
    }
    let subscribers = published.subscribers.values_mut();
    wakes.extend(subscribers.filter_map(|subscriber| subscriber.waker.take()));
    wakes
}

/// The changes of a [`TreeCache`](super::TreeCache) after the snapshot that came with it.
///
/// A stream. It ends with the error of the cache, and without an error when the client is closed or
/// the cache is dropped.
///
/// The unread events are limited: see [`CacheEvent::Lagged`].
#[derive(Debug)]
#[must_use = "events are held for as long as this lives"]
pub struct CacheEvents {
    shared: Arc<Shared>,
    id: u64,
    ended: bool,
}

impl CacheEvents {
    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// The cache has ended. The stream ends after an error.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<CacheEvent, CacheError>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Drops the unread events, and continues from the returned snapshot. Use after events were
    /// [dropped](CacheEvent::Lagged).
    ///
    /// # Errors
    /// The cache has ended.
    pub fn resume(&mut self) -> Result<Snapshot, CacheError> {
        let mut published = self.shared.lock();
        if let Some(error) = &published.over {
            return Err(error.clone());
        }
        if let Some(subscriber) = published.subscribers.get_mut(&self.id) {
            subscriber.unread.clear();
            (subscriber.bytes, subscriber.dropped) = (0, 0);
        }
        Ok(published.snapshot.clone())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<CacheEvent, CacheError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut published = self.shared.lock();
        let over = published.over.clone();
        let Some(subscriber) = published.subscribers.get_mut(&self.id) else {
            return Poll::Ready(None);
        };
        if let Some(event) = subscriber.pop() {
            return Poll::Ready(Some(Ok(event)));
        }
        if subscriber.dropped > 0 {
            let dropped = std::mem::take(&mut subscriber.dropped);
            return Poll::Ready(Some(Ok(CacheEvent::Lagged { dropped })));
        }
        match over {
            Some(error) => {
                self.ended = true;
                Poll::Ready(match error {
                    CacheError::Closed => None,
                    error => Some(Err(error)),
                })
            }
            None => {
                subscriber.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Stream for CacheEvents {
    type Item = Result<CacheEvent, CacheError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl Drop for CacheEvents {
    fn drop(&mut self) {
        self.shared.lock().subscribers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree_cache::cached::Cached;
    use crate::tree_cache::tree::Tree;

    fn added(size: usize) -> CacheEvent {
        CacheEvent::Added {
            path: "/a".to_owned(),
            node: Cached {
                data: vec![0; size].into(),
                stat: zk_client::Stat::default(),
                generation: 1,
            },
        }
    }

    /// Of calls that are dropped before the first load is complete.
    #[test]
    fn dropped_calls_leave_no_waker() {
        struct Counted;
        impl std::task::Wake for Counted {
            fn wake(self: Arc<Self>) {}
        }
        let limits = UnreadLimits {
            events: 1,
            bytes: 1,
        };
        let snapshot = Snapshot {
            tree: Tree::new("/".into()),
            generation: 0,
            complete: false,
        };
        let shared = Arc::new(Shared::new(snapshot, limits));
        let counted = Arc::new(Counted);
        let waker = Waker::from(counted.clone());
        let mut cx = Context::from_waker(&waker);
        for _ in 0..1000 {
            let reader = Reader::of(&shared);
            assert!(reader.poll(&mut cx, Published::loaded).is_pending());
            let rebuilt = |published: &Published| published.rebuilt(0);
            assert!(reader.poll(&mut cx, rebuilt).is_pending());
            assert_eq!(Arc::strong_count(&counted), 3, "one for each waiting call");
        }
        assert_eq!(Arc::strong_count(&counted), 2);
    }

    /// Guards: M4.
    #[test]
    fn unread_events_are_limited_by_bytes() {
        let limits = UnreadLimits {
            events: 1000,
            bytes: 10_000,
        };
        let mut subscriber = Subscriber::default();
        subscriber.push(&added(20_000), limits);
        assert_eq!(
            (subscriber.unread.len(), subscriber.dropped),
            (1, 0),
            "one is held"
        );
        assert!(subscriber.pop().is_some() && subscriber.bytes == 0);
        for _ in 0..20 {
            subscriber.push(&added(1000), limits);
        }
        assert!(subscriber.bytes <= limits.bytes && subscriber.unread.len() > 5);
        let held = u64::try_from(subscriber.unread.len()).unwrap();
        assert_eq!(held + subscriber.dropped, 20);
        while subscriber.pop().is_some() {}
        assert_eq!(subscriber.bytes, 0);
    }
}
