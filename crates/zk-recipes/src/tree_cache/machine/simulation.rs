//! The machine against a model of a server and of a connection with delays, by seeds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fastrand::Rng;
use zk_client::Zxid;

use super::*;
use crate::tree_cache::tree::split;

/// The data and the zxids of a node at one time.
type Past = (Bytes, Zxid, Zxid);

/// A server, one client's watches, and what is on the wire.
struct World {
    rng: Rng,
    machine: Machine,
    zxid: i64,
    nodes: BTreeMap<String, (Bytes, Stat)>,
    /// All past states of the nodes.
    history: BTreeMap<String, BTreeSet<Past>>,
    recursive: bool,
    data_watches: BTreeSet<String>,
    child_watches: BTreeSet<String>,
    to_server: VecDeque<Query>,
    replies: VecDeque<(Query, Answer)>,
    events: VecDeque<Event>,
    /// The contents of an empty cache after all delivered events.
    replayed: BTreeMap<String, Past>,
    /// The latest zxids of each path in the snapshots, and their generation.
    seen: BTreeMap<String, (u64, (Zxid, Zxid))>,
    initialized: Vec<u64>,
    /// The nodes at another time of this history.
    backup: Option<BTreeMap<String, (Bytes, Stat)>>,
}

#[derive(Debug, Clone)]
enum Event {
    Changed(String, Facet),
    Deleted(String),
    Gap,
    SessionEnded,
}

pub(super) const LIMITS: Limits = Limits {
    depth: usize::MAX,
    nodes: usize::MAX,
    bytes: usize::MAX,
    data: true,
};

impl World {
    fn new(seed: u64, base: &str, limits: Limits, one_shot: bool) -> Self {
        let mut world = World {
            rng: Rng::with_seed(seed),
            machine: Machine::new(base, limits),
            zxid: 0,
            nodes: BTreeMap::new(),
            history: BTreeMap::new(),
            recursive: !one_shot,
            data_watches: BTreeSet::new(),
            child_watches: BTreeSet::new(),
            to_server: VecDeque::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            replayed: BTreeMap::new(),
            seen: BTreeMap::new(),
            initialized: Vec::new(),
            backup: None,
        };
        world.nodes.insert("/".to_owned(), Default::default());
        for _ in 0..world.rng.u32(0..60) {
            world.change();
        }
        // Changes from before the watch was set have no event.
        world.events.clear();
        world.machine.load(one_shot);
        world
    }

    fn fire(&mut self, path: &str, deleted: bool, created: bool) {
        if self.recursive {
            self.events.push_back(if deleted {
                Event::Deleted(path.to_owned())
            } else {
                Event::Changed(path.to_owned(), Facet::Node)
            });
            return;
        }
        let mut fired = Vec::new();
        if self.data_watches.remove(path) {
            fired.push((path, Facet::Node));
        }
        if deleted && self.child_watches.remove(path) {
            fired.push((path, Facet::Children));
        }
        let parent = split(path).0;
        if (created || deleted) && self.child_watches.remove(parent) {
            fired.push((parent, Facet::Children));
        }
        for (path, facet) in fired {
            self.events
                .push_back(Event::Changed(path.to_owned(), facet));
        }
    }

    /// One transaction of another client.
    fn change(&mut self) {
        self.zxid += 1;
        let zxid = Zxid(self.zxid);
        let depth = self.rng.usize(1..5);
        let names: Vec<_> = (0..depth).map(|_| self.rng.char('a'..='c')).collect();
        let path: String = names.iter().flat_map(|name| ['/', *name]).collect();
        let parent = split(&path).0.to_owned();
        let data = Bytes::from(format!("{path} at {zxid}"));
        let has_children = self.nodes.keys().any(|other| split(other).0 == path);
        if let Some((old, stat)) = self.nodes.get_mut(&path) {
            if self.rng.bool() {
                *old = data;
                stat.mzxid = zxid;
                self.remember(&path);
                self.fire(&path, false, false);
            } else if !has_children {
                self.nodes.remove(&path);
                self.children_changed(&parent, -1);
                self.fire(&path, true, false);
            }
        } else if self.nodes.contains_key(&parent) {
            let mut stat = Stat::default();
            (stat.czxid, stat.mzxid, stat.pzxid) = (zxid, zxid, zxid);
            self.nodes.insert(path.clone(), (data, stat));
            self.children_changed(&parent, 1);
            self.remember(&path);
            self.fire(&path, false, true);
        }
    }

    fn children_changed(&mut self, parent: &str, by: i32) {
        let (_, stat) = self.nodes.get_mut(parent).unwrap();
        stat.num_children += by;
        stat.pzxid = Zxid(self.zxid);
    }

    fn remember(&mut self, path: &str) {
        let (data, stat) = &self.nodes[path];
        let past = (data.clone(), stat.czxid, stat.mzxid);
        self.history
            .entry(path.to_owned())
            .or_default()
            .insert(past);
    }

    /// The server takes the next request.
    fn serve(&mut self) {
        let Some(query) = self.to_server.pop_front() else {
            return;
        };
        if self.rng.u8(..) < 5 {
            return self.replies.push_back((query, Answer::Failed));
        }
        let path = &*query.path;
        let node = self.nodes.get(path);
        if !self.recursive {
            match query.read {
                Read::Names if node.is_some() => self.child_watches.insert(path.to_owned()),
                Read::Data if node.is_some() => self.data_watches.insert(path.to_owned()),
                Read::Stat => self.data_watches.insert(path.to_owned()),
                _ => false,
            };
        }
        let answer = match (query.read, node) {
            (Read::Sync, _) => Answer::Synced,
            (_, None) => Answer::Absent,
            (Read::Stat, Some((_, stat))) => Answer::Stat(*stat),
            (Read::Data, Some((data, stat))) => Answer::Data(data.clone(), *stat),
            (Read::Names, Some((_, stat))) => {
                let below = self.nodes.keys().filter(|other| **other != "/");
                let children = below.filter(|other| split(other).0 == path);
                let names = children.map(|child| split(child).1.to_owned());
                Answer::Names(names.collect(), *stat)
            }
        };
        self.replies.push_back((query, answer));
    }

    /// The connection is lost and found again: reads are sent again, events are not.
    fn cut(&mut self) {
        let unanswered = self.replies.drain(..).map(|(query, _)| query);
        let asks: VecDeque<_> = unanswered.chain(self.to_server.drain(..)).collect();
        self.to_server = asks;
        if self.recursive {
            // Events that the client has received are delivered. Here all events are on the wire,
            // except the end of a session, which the client itself reports.
            let is_end = |event: &Event| matches!(event, Event::SessionEnded);
            let reported = self.events.iter().rposition(is_end).map_or(0, |n| n + 1);
            let keep = self.rng.usize(reported..=self.events.len());
            self.events.truncate(keep);
        }
        self.events.push_back(Event::Gap);
    }

    fn expire(&mut self) {
        self.cut();
        if self
            .events
            .back()
            .is_some_and(|event| matches!(event, Event::Gap))
        {
            self.events.pop_back();
        }
        self.data_watches.clear();
        self.child_watches.clear();
        self.events.push_back(Event::SessionEnded);
    }

    /// The ensemble is restored from a backup: nodes have earlier states, and zxids restart. The
    /// sessions end.
    fn restore(&mut self) {
        self.expire();
        self.zxid = 0;
        self.backup = None;
        let paths: Vec<_> = self
            .nodes
            .keys()
            .filter(|path| *path != "/")
            .cloned()
            .collect();
        for path in paths {
            let has_children = self.nodes.keys().any(|other| split(other).0 == path);
            if !has_children && self.rng.bool() {
                self.nodes.remove(&path);
                self.children_changed(split(&path).0, -1);
                continue;
            }
            self.zxid += self.rng.i64(0..2);
            let zxid = Zxid(self.zxid);
            let changes = self.rng.bool();
            let (data, stat) = self.nodes.get_mut(&path).unwrap();
            (stat.czxid, stat.mzxid, stat.pzxid) = (zxid, zxid, zxid);
            if changes {
                *data = Bytes::from(format!("{path} restored at {zxid}"));
            }
            self.remember(&path);
        }
    }

    /// The ensemble is restored from a backup that contains the session, and begins an epoch, in which
    /// the session resumes.
    fn go_back(&mut self) {
        let Some(backup) = self.backup.clone() else {
            return;
        };
        self.nodes = backup;
        self.zxid += 1000;
        // The watches that are armed again.
        for path in self.data_watches.clone() {
            if !self.nodes.contains_key(&path) {
                self.fire(&path, true, false);
            }
        }
        self.cut();
    }

    /// The client takes the next event.
    fn deliver(&mut self) {
        match self.events.pop_front() {
            Some(Event::Changed(path, facet)) => self.machine.touch(&path, facet),
            Some(Event::Deleted(path)) => self.machine.touch_deleted(&path),
            Some(Event::Gap) => {
                self.machine.gap();
                self.machine.load(!self.recursive);
            }
            Some(Event::SessionEnded) => {
                self.machine.session_ended();
                if self.recursive {
                    for _ in 0..self.rng.u8(0..20) {
                        self.answer();
                        self.serve();
                        self.change();
                    }
                    // Changes from before the new watch was set have no event.
                    self.events.clear();
                }
                self.machine.load(!self.recursive);
            }
            None => {}
        }
    }

    fn answer(&mut self) {
        // The driver handles a gap before the answers of the next connection.
        let is_gap = |event: &Event| matches!(event, Event::Gap);
        if self.events.iter().any(is_gap) {
            return;
        }
        if let Some((query, answer)) = self.replies.pop_front() {
            // The driver ignores answers from a later session than that of its watches.
            let is_end = |event: &Event| matches!(event, Event::SessionEnded);
            let answer = match self.events.iter().any(is_end) {
                true => Answer::Failed,
                false => answer,
            };
            self.machine.answered(&query, answer).unwrap();
        }
    }

    fn query(&mut self) {
        while self.to_server.len() + self.replies.len() < 4
            && let Some(query) = self.machine.next_query()
        {
            self.to_server.push_back(query);
        }
    }

    fn step(&mut self) {
        match self.rng.u8(0..5) {
            0 => self.serve(),
            1 => self.deliver(),
            2 => self.answer(),
            3 => self.query(),
            _ => {}
        }
        self.check();
    }

    /// Checks that the published snapshot is true, not older than the last one, and equal to the replayed
    /// events.
    fn check(&mut self) {
        let Some((snapshot, events)) = self.machine.take_changes() else {
            return;
        };
        for event in events {
            match event {
                CacheEvent::Added { path, node } => {
                    let parent = split(&path).0;
                    let base = &**self.machine.tree.base();
                    assert!(
                        path == base || self.replayed.contains_key(parent),
                        "{path} before {parent}"
                    );
                    let past = (node.data, node.stat.czxid, node.stat.mzxid);
                    assert_eq!(self.replayed.insert(path, past), None);
                }
                CacheEvent::Changed { path, before, node } => {
                    let past = (node.data, node.stat.czxid, node.stat.mzxid);
                    let known = self.replayed.insert(path, past).unwrap();
                    assert_eq!((before.data, before.stat.czxid, before.stat.mzxid), known);
                }
                CacheEvent::Removed { path, before } => {
                    let below = |other: &String| split(other).0 == path && *other != path;
                    assert!(
                        !self.replayed.keys().any(below),
                        "{path} before its children"
                    );
                    let known = self.replayed.remove(&path).unwrap();
                    assert_eq!((before.data, before.stat.czxid, before.stat.mzxid), known);
                }
                CacheEvent::Initialized { generation } => self.initialized.push(generation),
                CacheEvent::Gap { .. } => {}
                event => panic!("{event:?}"),
            }
        }
        let mut contents = BTreeMap::new();
        let mut last = String::new();
        for (path, node) in snapshot.iter() {
            assert_eq!(snapshot.get(&path), Some(node));
            let order = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
            assert!(
                last.is_empty() || order(&last) < order(&path) || last == "/",
                "{last} {path}"
            );
            last.clone_from(&path);
            let past = (node.data.clone(), node.stat.czxid, node.stat.mzxid);
            if path != "/" && !node.data.is_empty() {
                assert!(
                    self.history[&path].contains(&past),
                    "{path} was never {past:?}"
                );
            }
            let now = (node.stat.czxid, node.stat.mzxid);
            let before = self.seen.insert(path.clone(), (node.generation, now));
            // After a gap there may be another history.
            let before = before.filter(|(generation, _)| *generation == node.generation);
            assert!(
                before.is_none_or(|(_, before)| before <= now),
                "{path} went back"
            );
            contents.insert(path, past);
        }
        assert_eq!(contents.len(), snapshot.len());
        assert_eq!(contents, self.replayed);
    }

    /// Delivers everything, without further changes.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            self.query();
            if self.to_server.is_empty() && self.replies.is_empty() && self.events.is_empty() {
                return;
            }
            self.step();
        }
        panic!("it does not become idle");
    }

    fn assert_equal(&self) {
        let snapshot = self.machine.snapshot();
        assert!(snapshot.is_complete());
        let covered = |path: &&String| {
            let depth = self.machine.tree.depth(path);
            depth.is_some_and(|depth| depth <= self.machine.limits.depth)
        };
        let existing: Vec<_> = self.nodes.keys().filter(covered).cloned().collect();
        let mut known: Vec<_> = snapshot.iter().map(|(path, _)| path).collect();
        known.sort();
        assert_eq!(known, existing);
        for path in existing {
            let (data, stat) = &self.nodes[&path];
            let node = snapshot.get(&path).unwrap();
            assert_eq!(
                (node.stat.czxid, node.stat.mzxid),
                (stat.czxid, stat.mzxid),
                "{path}"
            );
            let data = if self.machine.limits.data {
                data.clone()
            } else {
                Bytes::new()
            };
            assert_eq!(node.data, data, "{path}");
            assert_eq!(node.generation, snapshot.generation(), "{path}");
        }
        assert!(
            self.machine.worklist.is_empty(),
            "{:?}",
            self.machine.worklist
        );
    }
}

fn run(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let base = ["/", "/a", "/b/c"][rng.usize(0..3)];
    let limits = Limits {
        depth: if rng.bool() {
            usize::MAX
        } else {
            rng.usize(0..3)
        },
        data: rng.u8(0..4) > 0,
        ..LIMITS
    };
    let one_shot = rng.bool();
    let mut world = World::new(seed, base, limits, one_shot);
    let calm = rng.u8(2..20);
    for _ in 0..3 {
        for _ in 0..rng.u32(0..400) {
            match rng.u8(0..calm) {
                0 => world.change(),
                1 if rng.u8(0..8) == 0 => world.cut(),
                1 if rng.u8(0..8) == 0 => world.expire(),
                1 if rng.u8(0..8) == 0 => world.restore(),
                1 if rng.u8(0..8) == 0 => world.backup = Some(world.nodes.clone()),
                1 if rng.u8(0..8) == 0 => world.go_back(),
                _ => {}
            }
            world.step();
        }
        world.settle();
        world.assert_equal();
        assert_eq!(world.initialized.last(), Some(&world.machine.generation));
    }
}

/// Whatever is deleted and created again, in flight meanwhile, or restored from a backup.
/// `ZK_CACHE_SEEDS=n` runs more seeds than the default.
///
/// Guards: A74, B104, I23, M1.
#[test]
fn snapshots_are_true_and_end_at_the_tree() {
    let seeds = std::env::var("ZK_CACHE_SEEDS").ok();
    let seeds = seeds.and_then(|n| n.parse().ok()).unwrap_or(1000);
    for seed in 0..seeds {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
