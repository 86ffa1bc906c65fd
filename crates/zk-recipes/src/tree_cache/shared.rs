//! What a cache and its task share: the latest snapshot, and who is told of events.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::event::{CacheError, CacheEvent};
use super::snapshot::Snapshot;

#[derive(Debug)]
struct Published {
    snapshot: Snapshot,
    /// Whether everything has been read once.
    initialized: bool,
    /// Who waits for that.
    waiting: Vec<Waker>,
    over: Option<CacheError>,
    readers: BTreeMap<u64, Reader>,
    next_reader: u64,
    limits: Unread,
}

/// How much a reader may have unread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unread {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

#[derive(Debug, Default)]
struct Reader {
    unread: VecDeque<CacheEvent>,
    /// What the unread events take.
    bytes: usize,
    dropped: u64,
    waker: Option<Waker>,
}

impl Reader {
    fn push(&mut self, event: &CacheEvent, limits: Unread) {
        let bytes = self.bytes.saturating_add(event.bytes());
        // One event is always held, however large.
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

#[derive(Debug)]
pub(super) struct Shared(Mutex<Published>);

impl Shared {
    pub(super) fn new(snapshot: Snapshot, limits: Unread) -> Self {
        Shared(Mutex::new(Published {
            snapshot,
            initialized: false,
            waiting: Vec::new(),
            over: None,
            readers: BTreeMap::new(),
            next_reader: 0,
            limits: Unread {
                events: limits.events.max(1),
                ..limits
            },
        }))
    }

    /// Held for as long as it takes to copy a few pointers.
    fn lock(&self) -> MutexGuard<'_, Published> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new snapshot, and what it differs in from the last.
    pub(super) fn publish(&self, snapshot: Snapshot, events: Vec<CacheEvent>) {
        let mut published = self.lock();
        published.initialized |= snapshot.complete;
        let old = std::mem::replace(&mut published.snapshot, snapshot);
        let limits = published.limits;
        for reader in published.readers.values_mut() {
            for event in &events {
                reader.push(event, limits);
            }
        }
        let wakes = wakes(&mut published);
        // Neither is anything large freed nor anybody woken under the lock.
        drop(published);
        drop(old);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// The end: what was known is let go.
    pub(super) fn end(&self, empty: Snapshot, error: CacheError) {
        let mut published = self.lock();
        let old = std::mem::replace(&mut published.snapshot, empty);
        published.over.get_or_insert(error);
        let wakes = wakes(&mut published);
        drop(published);
        drop(old);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// The snapshot, once everything has been read.
    pub(super) fn poll_initialized(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Snapshot, CacheError>> {
        let mut published = self.lock();
        if let Some(error) = &published.over {
            return Poll::Ready(Err(error.clone()));
        }
        if published.initialized {
            return Poll::Ready(Ok(published.snapshot.clone()));
        }
        let waits = |waker: &Waker| waker.will_wake(cx.waker());
        if !published.waiting.iter().any(waits) {
            published.waiting.push(cx.waker().clone());
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

    /// A reader of all events after the snapshot that it comes with.
    pub(super) fn subscribe(self: &Arc<Self>) -> Result<(Snapshot, CacheEvents), CacheError> {
        let mut published = self.lock();
        if let Some(error) = &published.over {
            return Err(error.clone());
        }
        let id = published.next_reader;
        published.next_reader += 1;
        published.readers.insert(id, Reader::default());
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
        wakes.append(&mut published.waiting);
    }
    let readers = published.readers.values_mut();
    wakes.extend(readers.filter_map(|reader| reader.waker.take()));
    wakes
}

/// What changes in a [`TreeCache`](super::TreeCache), from the snapshot on that it was made with.
///
/// It is a stream. It ends with the error that the cache has ended with, and without one when the
/// client is closed or the cache is dropped.
///
/// What it holds unread is bounded: see [`CacheEvent::Lagged`].
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
    /// The cache has ended. Nothing follows.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<CacheEvent, CacheError>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Lets go of all that is unread, and goes on from the snapshot that this returns: what to do
    /// when events were [dropped](CacheEvent::Lagged).
    ///
    /// # Errors
    /// The cache has ended.
    pub fn resume(&mut self) -> Result<Snapshot, CacheError> {
        let mut published = self.shared.lock();
        if let Some(error) = &published.over {
            return Err(error.clone());
        }
        if let Some(reader) = published.readers.get_mut(&self.id) {
            reader.unread.clear();
            (reader.bytes, reader.dropped) = (0, 0);
        }
        Ok(published.snapshot.clone())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<CacheEvent, CacheError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut published = self.shared.lock();
        let over = published.over.clone();
        let Some(reader) = published.readers.get_mut(&self.id) else {
            return Poll::Ready(None);
        };
        if let Some(event) = reader.pop() {
            return Poll::Ready(Some(Ok(event)));
        }
        if reader.dropped > 0 {
            let dropped = std::mem::take(&mut reader.dropped);
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
                reader.waker = Some(cx.waker().clone());
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
        self.shared.lock().readers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree_cache::snapshot::Cached;

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

    /// Guards: M4.
    #[test]
    fn unread_events_are_limited_by_bytes() {
        let limits = Unread {
            events: 1000,
            bytes: 10_000,
        };
        let mut reader = Reader::default();
        reader.push(&added(20_000), limits);
        assert_eq!((reader.unread.len(), reader.dropped), (1, 0), "one is held");
        assert!(reader.pop().is_some() && reader.bytes == 0);
        for _ in 0..20 {
            reader.push(&added(1000), limits);
        }
        assert!(reader.bytes <= limits.bytes && reader.unread.len() > 5);
        let held = u64::try_from(reader.unread.len()).unwrap();
        assert_eq!(held + reader.dropped, 20);
        while reader.pop().is_some() {}
        assert_eq!(reader.bytes, 0);
    }
}
