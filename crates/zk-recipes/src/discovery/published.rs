//! The latest instances of a service, written by the task of a cache and read by its handles.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::service_snapshot::ServiceSnapshot;
use crate::error::CacheError;
use crate::readers::{Readable, Readers};

pub(super) type Reader<P> = crate::readers::Reader<Board<P>>;

pub(super) struct Published<P> {
    pub(super) snapshot: ServiceSnapshot<P>,
    /// Whether everything has been read once.
    pub(super) initialized: bool,
    pub(super) over: Option<CacheError>,
    readers: Readers,
}

pub(super) struct Board<P>(Mutex<Published<P>>);

impl<P> Board<P> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Board(Mutex::new(Published {
            snapshot: ServiceSnapshot::empty(),
            initialized: false,
            over: None,
            readers: Readers::default(),
        })))
    }

    /// Held only while a few pointers are copied.
    pub(super) fn lock(&self) -> MutexGuard<'_, Published<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, snapshot: ServiceSnapshot<P>) {
        self.change(|published| {
            published.initialized |= snapshot.complete;
            std::mem::replace(&mut published.snapshot, snapshot)
        });
    }

    /// Ends the cache and drops its contents.
    pub(super) fn end(&self, error: CacheError) {
        self.change(|published| {
            published.over.get_or_insert(error);
            std::mem::replace(&mut published.snapshot, ServiceSnapshot::empty())
        });
    }

    fn change(&self, change: impl FnOnce(&mut Published<P>) -> ServiceSnapshot<P>) {
        let mut published = self.lock();
        let old = change(&mut published);
        let readers = published.readers.take();
        // The old instances are freed and the tasks are woken without the lock.
        drop(published);
        drop(old);
        readers.for_each(Waker::wake);
    }
}

impl<P> Readable for Board<P> {
    type Contents = Published<P>;

    fn contents(&self) -> MutexGuard<'_, Published<P>> {
        self.lock()
    }

    fn readers(published: &mut Published<P>) -> &mut Readers {
        &mut published.readers
    }
}
