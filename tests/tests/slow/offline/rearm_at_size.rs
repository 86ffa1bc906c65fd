//! Thousands and hundreds of thousands of watches, and connections that are cut at any byte while
//! they are armed again: every change is delivered or lies in a gap, and in the end the server watches
//! what the client watches.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

use std::time::{Duration, Instant};

use crate::common::memory::{Wire, at_once};
use crate::common::status::status;
use zk_client::{Client, NodeEventKind, Pending, Watch, WatchEvent, WatchMode, WatchStream};
use zk_embedded::fault::{Cut, Direction};

/// Where the client splits what it arms again.
const BATCH_BYTES: usize = 128 * 1024;
/// Requests that are answered before more are made.
const AT_A_TIME: usize = 20_000;
/// By the paused clock, so it costs nothing.
const NO_LIMIT: Duration = Duration::from_secs(3600);

async fn client(wire: &Wire, seed: u64) -> Client {
    let builder = wire.builder().deadline(None).seed(seed);
    let builder = builder.max_outstanding(AT_A_TIME * 2);
    builder.connect().await.unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Exists,
    Child,
    Persistent,
    Recursive,
}

impl Kind {
    /// The event of the change that [`Scene::change`] makes.
    fn delivered_as(self) -> NodeEventKind {
        match self {
            Kind::Data | Kind::Persistent => NodeEventKind::DataChanged,
            Kind::Exists | Kind::Recursive => NodeEventKind::Created,
            Kind::Child => NodeEventKind::ChildrenChanged,
        }
    }

    /// What it leaves in the server's two tables.
    fn counts(self) -> (usize, usize) {
        match self {
            Kind::Data | Kind::Exists | Kind::Recursive => (1, 0),
            Kind::Child => (0, 1),
            Kind::Persistent => (1, 1),
        }
    }
}

enum Handle {
    Once(Watch),
    Lasting(WatchStream),
}

impl Handle {
    /// The next event that is there already.
    fn delivered(&mut self) -> Option<WatchEvent> {
        match self {
            Handle::Once(watch) => at_once(watch),
            Handle::Lasting(events) => at_once(events.next()).flatten(),
        }
    }
}

async fn all<T>(pending: Vec<Pending<T>>) -> Vec<T> {
    let mut results = Vec::with_capacity(pending.len());
    for one in pending {
        results.push(one.await.unwrap());
    }
    results
}

/// What is watched, by numbers.
struct Scene {
    wire: Wire,
    watching: Client,
    admin: Client,
    rng: fastrand::Rng,
    seed: u64,
    paths: Vec<String>,
    kinds: Vec<Kind>,
    handles: Vec<Option<Handle>>,
}

impl Scene {
    async fn new(kinds: Vec<Kind>, path: impl Fn(usize) -> String, seed: u64) -> Self {
        let wire = Wire::new().await;
        let watching = client(&wire, seed).await;
        let admin = client(&wire.beside(), seed).await;
        let paths: Vec<_> = (0..kinds.len()).map(path).collect();
        let scene = Scene {
            wire,
            watching,
            admin,
            rng: fastrand::Rng::with_seed(seed),
            seed,
            handles: kinds.iter().map(|_| None).collect(),
            paths,
            kinds,
        };
        let numbers: Vec<usize> = (0..scene.kinds.len()).collect();
        for some in numbers.chunks(AT_A_TIME) {
            let there = some.iter().filter(|n| scene.kinds[**n] != Kind::Exists);
            let made = there.map(|n| scene.admin.create(&scene.paths[*n], "").submit());
            all(made.collect()).await;
        }
        scene
    }

    /// Those that satisfy this.
    fn which(&self, of: impl Fn(&Self, usize) -> bool) -> Vec<usize> {
        (0..self.kinds.len()).filter(|n| of(self, *n)).collect()
    }

    /// Watches whatever is not watched.
    async fn arm(&mut self) {
        let bare = self.which(|scene, n| scene.handles[n].is_none());
        for some in bare.chunks(AT_A_TIME) {
            let (mut data, mut exists, mut child) = (Vec::new(), Vec::new(), Vec::new());
            for &n in some {
                let path = &self.paths[n];
                match self.kinds[n] {
                    Kind::Data => data.push(self.watching.get(path).watch().submit()),
                    Kind::Exists => exists.push(self.watching.exists(path).watch().submit()),
                    Kind::Child => child.push(self.watching.children(path).watch().submit()),
                    Kind::Persistent | Kind::Recursive => {}
                }
            }
            let mut data = all(data).await.into_iter().map(|(_, _, watch)| watch);
            let mut exists = all(exists).await.into_iter().map(|(_, watch)| watch);
            let mut child = all(child).await.into_iter().map(|(_, _, watch)| watch);
            for &n in some {
                self.handles[n] = Some(match self.kinds[n] {
                    Kind::Data => Handle::Once(data.next().unwrap()),
                    Kind::Exists => Handle::Once(exists.next().unwrap()),
                    Kind::Child => Handle::Once(child.next().unwrap()),
                    Kind::Persistent => self.lasting(n, WatchMode::Persistent).await,
                    Kind::Recursive => self.lasting(n, WatchMode::PersistentRecursive).await,
                });
            }
        }
    }

    async fn lasting(&self, n: usize, mode: WatchMode) -> Handle {
        Handle::Lasting(self.watching.watch(&self.paths[n], mode).await.unwrap())
    }

    /// Makes the changes that the watches of these wait for.
    async fn change(&self, which: &[usize]) {
        for some in which.chunks(AT_A_TIME) {
            let (mut sets, mut creates) = (Vec::new(), Vec::new());
            for &n in some {
                let path = &self.paths[n];
                match self.kinds[n] {
                    Kind::Data | Kind::Persistent => sets.push(self.admin.set(path, "x").submit()),
                    Kind::Exists => creates.push(self.admin.create(path, "").submit()),
                    Kind::Child | Kind::Recursive => {
                        let child = format!("{path}/c");
                        creates.push(self.admin.create(&child, "").submit());
                    }
                }
            }
            all(sets).await;
            all(creates).await;
        }
    }

    /// As before the change.
    async fn undo(&self, which: &[usize]) {
        for some in which.chunks(AT_A_TIME) {
            let mut deletes = Vec::new();
            for &n in some {
                let path = &self.paths[n];
                match self.kinds[n] {
                    Kind::Data | Kind::Persistent => {}
                    Kind::Exists => deletes.push(self.admin.delete(path).submit()),
                    Kind::Child | Kind::Recursive => {
                        deletes.push(self.admin.delete(&format!("{path}/c")).submit());
                    }
                }
            }
            all(deletes).await;
        }
    }

    /// How many requests it takes to arm everything again, at least.
    fn batches(&self) -> usize {
        let armed = self.which(|scene, n| scene.handles[n].is_some());
        let bytes: usize = armed.iter().map(|n| 4 + self.paths[*n].len()).sum();
        bytes / BATCH_BYTES + 1
    }

    /// A place in what is sent while everything is armed again: in the handshake, in a batch, just
    /// between two of them, in an answer, in the event of a change.
    fn cut(&mut self, changed: usize) -> Cut {
        let to_server = self.rng.bool();
        let frames = self.batches() + 2 + if to_server { 0 } else { changed };
        let frame = self.rng.u64(..frames as u64);
        let byte = match (self.rng.u8(..3), to_server && frame > 0) {
            (0, _) => 0,
            (_, true) => self.rng.usize(..BATCH_BYTES),
            (_, false) => self.rng.usize(..40),
        };
        let direction = match to_server {
            true => Direction::ToServer,
            false => Direction::ToClient,
        };
        Cut::new(direction, frame, byte)
    }

    /// Lets it come back, through these cuts, and returns when all is quiet.
    async fn reconnect(&self, cuts: &[Cut]) {
        for cut in cuts {
            self.wire.server.faults().cut(*cut);
        }
        self.wire.reconnect(&self.watching).await;
        self.wire.server.faults().clear();
        // All events that the server sends before it answers this have been read.
        self.watching.sync("/").await.unwrap();
    }

    /// What the server watches is what we wait for, and nothing else.
    fn assert_same_on_server(&self, when: &str) {
        let mut expected = (0, 0);
        for n in 0..self.kinds.len() {
            let there = self.wire.server.watches_on(&self.paths[n]);
            let (data, child) = match &self.handles[n] {
                Some(_) => self.kinds[n].counts(),
                None => (0, 0),
            };
            let what = format!("{:?} {}, {when}", self.kinds[n], self.paths[n]);
            assert_eq!(
                (there.data, there.child.min(child)),
                (data, child),
                "{what}"
            );
            expected = (expected.0 + data, expected.1 + child);
        }
        let ours = self.which(|scene, n| scene.handles[n].is_some()).len();
        assert_eq!(self.watching.statistics().watches, ours, "{when}");
        let total = self.wire.server.watch_counts();
        assert_eq!((total.data, total.child), expected, "{when}");
    }

    /// One outage: some handles are dropped, some znodes are changed, the way back is cut.
    async fn outage(&mut self, changed_share: f64, dropped_share: f64, cuts: usize) {
        let before = self.watching.session();
        self.wire.cut_off(&self.watching).await;
        for n in 0..self.kinds.len() {
            if self.rng.f64() < dropped_share {
                self.handles[n] = None;
            }
        }
        let drawn: Vec<bool> = self
            .kinds
            .iter()
            .map(|_| self.rng.f64() < changed_share)
            .collect();
        let changed: Vec<usize> = (0..drawn.len()).filter(|n| drawn[*n]).collect();
        self.change(&changed).await;
        let cuts: Vec<_> = (0..cuts).map(|_| self.cut(changed.len())).collect();
        let when = format!("{cuts:?}, seed {}", self.seed);
        self.reconnect(&cuts).await;
        assert_eq!(self.watching.session(), before, "{when}");

        for (n, &is_changed) in drawn.iter().enumerate() {
            let kind = self.kinds[n];
            let Some(handle) = &mut self.handles[n] else {
                continue;
            };
            let what = format!("{kind:?} {} changed {}, {when}", self.paths[n], is_changed);
            let delivered = handle.delivered();
            match (kind, is_changed) {
                (Kind::Persistent | Kind::Recursive, _) => {
                    assert!(
                        matches!(delivered, Some(WatchEvent::Gap { .. })),
                        "{what}: {delivered:?}"
                    );
                    assert_eq!(handle.delivered(), None, "{what}");
                    continue;
                }
                (Kind::Data | Kind::Child, false) => {
                    assert_eq!(delivered, None, "{what}");
                    continue;
                }
                (Kind::Exists, false) => {
                    assert!(
                        matches!(delivered, Some(WatchEvent::Gap { .. })),
                        "{what}: {delivered:?}"
                    );
                }
                (_, true) => {
                    let delivered =
                        delivered.unwrap_or_else(|| panic!("{what}: nothing was delivered"));
                    let node = delivered
                        .node()
                        .unwrap_or_else(|| panic!("{what}: {delivered:?}"));
                    assert_eq!(
                        (node.kind, &node.path),
                        (kind.delivered_as(), &self.paths[n]),
                        "{what}"
                    );
                }
            }
            self.handles[n] = None;
        }
        self.assert_same_on_server(&when);

        // A watch without an event is still armed, on the server that it is connected to now.
        let waiting = self.which(|scene, n| scene.handles[n].is_some() && !drawn[n]);
        self.change(&waiting).await;
        self.watching.sync("/").await.unwrap();
        for &n in &waiting {
            let kind = self.kinds[n];
            let handle = self.handles[n].as_mut().unwrap();
            let delivered = handle.delivered();
            let delivered = delivered
                .as_ref()
                .and_then(WatchEvent::node)
                .map(|event| event.kind);
            assert_eq!(
                delivered,
                Some(kind.delivered_as()),
                "{kind:?} {}, {when}",
                self.paths[n]
            );
            if let Handle::Once(_) = handle {
                self.handles[n] = None;
            }
        }
        let mut all_changed = changed;
        all_changed.extend(&waiting);
        self.undo(&all_changed).await;
        self.watching.sync("/").await.unwrap();
        for handle in self.handles.iter_mut().flatten() {
            while handle.delivered().is_some() {}
        }
    }

    async fn nothing_is_left(mut self) {
        self.handles.clear();
        self.watching.sync("/").await.unwrap();
        let left = self.watching.statistics();
        assert_eq!(
            (left.watches, left.subscribers, left.outstanding),
            (0, 0, 0)
        );
        let there = self.wire.server.watch_counts();
        assert_eq!((there.data, there.child), (0, 0));
    }
}

/// Kilobytes of this process's memory, where the system reports it.
fn resident() -> Option<usize> {
    status("self", "VmRSS")
}

/// The Java client loses what lies between two batches.
/// Guards: D1, D2, B52, B57.
#[tokio::test(start_paused = true)]
async fn any_watches_survive_cuts_in_rearming() {
    const EACH: usize = 600;
    const ROUNDS: usize = 12;
    let kinds = [
        Kind::Data,
        Kind::Exists,
        Kind::Child,
        Kind::Persistent,
        Kind::Recursive,
    ];
    let kinds: Vec<_> = (0..5 * EACH).map(|n| kinds[n % 5]).collect();
    let script = ["plain", "größe", "数据", "данные", "日本語"];
    // A length in bytes is not one in characters, nor in Java's.
    let path = move |n: usize| format!("/{}-{n:0>90}", script[n / 5 % script.len()]);
    let seed = fastrand::u64(..);
    let mut scene = Scene::new(kinds, path, seed).await;
    for round in 0..ROUNDS {
        scene.arm().await;
        assert!(scene.batches() > 2);
        let (changed, dropped) = (scene.rng.f64(), scene.rng.f64() / 5.0);
        scene.outage(changed, dropped, 1 + round % 3).await;
    }
    scene.nothing_is_left().await;
}

/// Figures are printed and not compared with a limit.
/// Guards: D2, B57, R2.
#[tokio::test(start_paused = true)]
async fn watches_200000_survive_a_reconnect() {
    const WATCHES: usize = 200_000;
    let kind = |n: usize| match n % 100 {
        0 => Kind::Persistent,
        1 => Kind::Recursive,
        2..5 => Kind::Exists,
        n if n % 2 == 0 => Kind::Data,
        _ => Kind::Child,
    };
    let kinds = (0..WATCHES).map(kind).collect();
    let seed = fastrand::u64(..);
    let mut scene = Scene::new(kinds, |n| format!("/ö{n:0>60}"), seed).await;
    let (empty, started) = (resident(), Instant::now());
    scene.arm().await;
    let armed = started.elapsed();
    let watched = resident();

    scene.wire.cut_off(&scene.watching).await;
    let started = Instant::now();
    scene.reconnect(&[]).await;
    let rearmed = started.elapsed();
    for n in scene.which(|scene, n| scene.kinds[n] == Kind::Exists) {
        let delivered = scene.handles[n].take().unwrap().delivered();
        assert!(
            matches!(delivered, Some(WatchEvent::Gap { .. })),
            "{delivered:?}"
        );
    }
    for handle in scene.handles.iter_mut().flatten() {
        let delivered = handle.delivered();
        let lasts = matches!(handle, Handle::Lasting(_));
        assert_eq!(
            matches!(delivered, Some(WatchEvent::Gap { .. })),
            lasts,
            "{delivered:?}"
        );
        assert!(delivered.is_none() || lasts, "{delivered:?}");
    }
    scene.assert_same_on_server("after the reconnect");
    let kilobytes = watched
        .zip(empty)
        .map(|(with, without)| with.saturating_sub(without));
    eprintln!(
        "{WATCHES} watches: set in {armed:?}, armed again in {rearmed:?} with {} requests, \
         {kilobytes:?} kB here and at the server",
        scene.batches()
    );

    let outage = scene.outage(0.01, 0.01, 2);
    tokio::time::timeout(NO_LIMIT, outage).await.unwrap();
    let started = Instant::now();
    scene.nothing_is_left().await;
    eprintln!("dropped in {:?}", started.elapsed());
}
