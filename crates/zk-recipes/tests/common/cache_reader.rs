//! A reader of a cache's events, which checks them against its snapshots.

use super::common::soon;
use super::trees::{Contents, contents, copy, tree};
use zk_embedded::Server;
use zk_recipes::{CacheEvent, CacheEvents, Snapshot, TreeCache, TreeCacheBuilder};

pub(crate) fn start(builder: TreeCacheBuilder<'_>, one_shot: bool) -> TreeCache {
    if one_shot {
        builder.one_shot_watches().start()
    } else {
        builder.start()
    }
}

/// Follows a cache by its events, and checks each against the snapshot that they start from.
pub(crate) struct Reader {
    pub(crate) events: CacheEvents,
    pub(crate) known: Contents,
    generation: u64,
    initialized: u64,
}

impl Reader {
    pub(crate) fn new(cache: &TreeCache) -> Self {
        let (snapshot, events) = cache.subscribe().unwrap();
        let mut reader = Reader {
            events,
            known: Contents::new(),
            generation: 0,
            initialized: 0,
        };
        reader.begin(&snapshot);
        reader
    }

    fn begin(&mut self, snapshot: &Snapshot) {
        self.known = contents(snapshot);
        self.generation = snapshot.generation();
        self.initialized = if snapshot.is_complete() {
            self.generation
        } else {
            0
        };
    }

    pub(crate) async fn read(&mut self) {
        let event = soon("an event", self.events.next()).await.unwrap();
        match event.unwrap() {
            CacheEvent::Added { path, node } => {
                assert_eq!(self.known.insert(path, copy(&node)), None);
            }
            CacheEvent::Changed { path, before, node } => {
                assert_eq!(self.known.insert(path, copy(&node)), Some(copy(&before)));
            }
            CacheEvent::Removed { path, before } => {
                assert_eq!(self.known.remove(&path), Some(copy(&before)));
            }
            CacheEvent::Gap { generation } => {
                assert_eq!(generation, self.generation + 1);
                self.generation = generation;
            }
            CacheEvent::Initialized { generation } => {
                assert_eq!(generation, self.generation);
                self.initialized = generation;
            }
            CacheEvent::Lagged { .. } => {
                let snapshot = self.events.resume().unwrap();
                self.begin(&snapshot);
            }
            event => panic!("{event:?}"),
        }
    }

    /// Reads events until the contents are those of the server, as in the cache, and everything has been
    /// read. The contents may have been equal before by chance.
    pub(crate) async fn catch_up(&mut self, cache: &TreeCache, server: &Server, base: &str) {
        let tree = tree(server, base);
        while self.initialized != self.generation
            || self.known != tree
            || contents(&cache.snapshot().unwrap()) != tree
        {
            self.read().await;
        }
    }
}
