//! Watches after a reconnect: every change made meanwhile is delivered, once, or a gap is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::collections::HashSet;

use crate::common::server::{
    assert_unimplemented, server_has_recursive_watches, server_resumes_sessions,
};
use crate::common::{TestServer, blocking, soon, until, until_suspended};
use zk_client::{Client, NodeEventKind, Pending, Watch, WatchEvent, WatchMode, WatchStream};
use zk_tests::{Direction, Proxy};

const WATCHES: usize = 3000;
const PATH_BYTES: usize = 100;
/// What one watch adds to a request that arms it again.
const REARM_BYTES: u64 = 4 + PATH_BYTES as u64;
/// A notification: length, header, type, state, path.
const EVENT_BYTES: u64 = 4 + 16 + 4 + 4 + 4 + PATH_BYTES as u64;
/// A connect response and a reply without a record, with their lengths.
const ANSWER_BYTES: u64 = (4 + 37) + (4 + 16);
/// Where the client splits what it arms again.
const BATCH_BYTES: u64 = 128 * 1024;

/// A server, a client that watches through a proxy and can be cut off, one that changes things.
struct Scene {
    server: TestServer,
    proxy: Proxy,
    watching: Client,
    admin: Client,
}

impl Scene {
    async fn new() -> Self {
        let server = blocking(crate::common::own_server);
        let proxy = Proxy::start(server.address()).unwrap();
        let admin = crate::common::connect(&server.connect_string(), |builder| {
            builder.backoff(crate::common::impatient())
        })
        .await;
        let watching = crate::common::builder(proxy.connect_string())
            .connect_timeout(crate::common::NO_LIMIT)
            .backoff(crate::common::impatient())
            .connect()
            .await
            .unwrap()
            .chroot(admin.root().as_str())
            .unwrap();
        Scene {
            server,
            proxy,
            watching,
            admin,
        }
    }

    /// Cuts the watching client off, and returns when it knows.
    async fn cut_off(&self) {
        let mut states = self.watching.states();
        self.proxy.refuse(true).unwrap();
        self.proxy.cut_all();
        until_suspended(&mut states).await;
    }

    /// Lets it come back.
    async fn reconnect(&self) {
        assert!(
            !self.watching.state().is_connected(),
            "it was to be cut off all the while"
        );
        self.proxy.refuse(false).unwrap();
        soon("the watching client", self.watching.connected())
            .await
            .unwrap();
    }

    /// How many watches the server holds.
    fn watches_of_server(&self) -> usize {
        let summary = self.server.four_letter("wchs").unwrap();
        let total = summary
            .lines()
            .find_map(|line| line.strip_prefix("Total watches:"))
            .unwrap();
        total.trim().parse().unwrap()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Exists,
    Child,
}

impl Kind {
    fn of(n: usize) -> Self {
        [Kind::Data, Kind::Exists, Kind::Child][n % 3]
    }

    fn event(self) -> NodeEventKind {
        match self {
            Kind::Data => NodeEventKind::DataChanged,
            Kind::Exists => NodeEventKind::Created,
            Kind::Child => NodeEventKind::ChildrenChanged,
        }
    }
}

/// A path that is [`PATH_BYTES`] long with the root; every other one has fewer characters.
fn path(root: &str, n: usize) -> String {
    let name = if n.is_multiple_of(2) { "" } else { "größe" };
    let length = PATH_BYTES - root.len() - name.len() - 1;
    format!("/{name}{n:0>length$}")
}

async fn all<T>(pending: Vec<Pending<T>>) -> Vec<T> {
    let mut results = Vec::with_capacity(pending.len());
    for one in pending {
        results.push(one.await.unwrap());
    }
    results
}

/// What is watched: data, creation and children, mixed.
struct Thousands {
    paths: Vec<String>,
}

impl Thousands {
    async fn make(zk: &Client) -> Self {
        let paths: Vec<_> = (0..WATCHES).map(|n| path(zk.root().as_str(), n)).collect();
        let there = paths
            .iter()
            .enumerate()
            .filter(|(n, _)| Kind::of(*n) != Kind::Exists);
        all(there
            .map(|(_, path)| zk.create(path, "").submit())
            .collect())
        .await;
        Thousands { paths }
    }

    /// Sets a watch of its kind on each path.
    async fn watch(&self, zk: &Client) -> Vec<Watch> {
        let (mut data, mut exists, mut children) = (Vec::new(), Vec::new(), Vec::new());
        for (n, path) in self.paths.iter().enumerate() {
            match Kind::of(n) {
                Kind::Data => data.push(zk.get(path).watch().submit()),
                Kind::Exists => exists.push(zk.exists(path).watch().submit()),
                Kind::Child => children.push(zk.children(path).watch().submit()),
            }
        }
        let mut data = all(data).await.into_iter().map(|(_, _, watch)| watch);
        let mut exists = all(exists).await.into_iter().map(|(stat, watch)| {
            assert_eq!(stat, None);
            watch
        });
        let mut children = all(children).await.into_iter().map(|(_, _, watch)| watch);
        (0..WATCHES)
            .map(|n| match Kind::of(n) {
                Kind::Data => data.next().unwrap(),
                Kind::Exists => exists.next().unwrap(),
                Kind::Child => children.next().unwrap(),
            })
            .collect()
    }

    /// Does what the watch of each of these waits for.
    async fn change(&self, zk: &Client, which: &HashSet<usize>) {
        let (mut sets, mut creates) = (Vec::new(), Vec::new());
        for &n in which {
            let path = &self.paths[n];
            match Kind::of(n) {
                Kind::Data => sets.push(zk.set(path, "changed").submit()),
                Kind::Exists => creates.push(zk.create(path, "").submit()),
                Kind::Child => creates.push(zk.create(&format!("{path}/child"), "").submit()),
            }
        }
        all(sets).await;
        all(creates).await;
    }

    /// As before the change.
    async fn undo(&self, zk: &Client, which: &HashSet<usize>) {
        let deletes = which.iter().filter_map(|&n| match Kind::of(n) {
            Kind::Data => None,
            Kind::Exists => Some(zk.delete(&self.paths[n]).submit()),
            Kind::Child => Some(zk.delete(&format!("{}/child", self.paths[n])).submit()),
        });
        all(deletes.collect()).await;
    }

    /// Every one of `changed` has been delivered, as what it was, and nothing else, except gaps for
    /// watches that wait for a creation.
    async fn all_is_delivered(&self, watches: &mut [Watch], changed: &HashSet<usize>, when: &str) {
        for (n, watch) in watches.iter_mut().enumerate() {
            if !changed.contains(&n) && Kind::of(n) != Kind::Exists {
                continue;
            }
            let path = &self.paths[n];
            let what = format!("{:?} {n} of {path}, {when}", Kind::of(n));
            match soon(&what, &mut *watch).await {
                WatchEvent::Node(event) => {
                    assert!(
                        changed.contains(&n),
                        "{what}: nothing has happened, but {event:?}"
                    );
                    assert_eq!(
                        (event.kind, &event.path),
                        (Kind::of(n).event(), path),
                        "{what}"
                    );
                }
                WatchEvent::Gap { .. } if !changed.contains(&n) => {}
                event => panic!("{what}: {event:?}"),
            }
        }
    }

    /// A random part of all.
    fn some(&self, rng: &mut fastrand::Rng) -> HashSet<usize> {
        (0..WATCHES).filter(|_| rng.bool()).collect()
    }
}

/// Guards: A19, B57.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_watches_survive_a_restart() {
    let scene = Scene::new().await;
    let thousands = Thousands::make(&scene.admin).await;
    assert!(
        REARM_BYTES * WATCHES as u64 > 2 * BATCH_BYTES,
        "several batches"
    );
    let mut watches = thousands.watch(&scene.watching).await;
    assert_eq!(scene.watching.statistics().watches, WATCHES);
    let session = scene.watching.session();

    scene.cut_off().await;
    blocking(|| scene.server.restart().unwrap());
    soon("the admin", scene.admin.connected()).await.unwrap();
    let everything = (0..WATCHES).collect();
    thousands.change(&scene.admin, &everything).await;
    scene.reconnect().await;
    if !server_resumes_sessions() {
        for watch in watches {
            assert_eq!(soon("the end", watch).await, WatchEvent::SessionEnded);
        }
        return;
    }
    thousands
        .all_is_delivered(&mut watches, &everything, "after the restart")
        .await;
    assert_eq!(scene.watching.session(), session);

    // Delivered once: these watches are not armed any more, here or on the server, and a further
    // change has no event.
    assert_eq!(scene.watching.statistics().watches, 0);
    scene.watching.sync("/").await.unwrap();
    assert_eq!(scene.watches_of_server(), 0);
    let delivered = scene.proxy.forwarded(Direction::ToClient);
    thousands.undo(&scene.admin, &everything).await;
    scene.watching.sync("/").await.unwrap();
    let more = scene.proxy.forwarded(Direction::ToClient) - delivered;
    assert!(more < 1000, "{more} bytes to a client that watches nothing");
}

/// Finding 1 of the verification programme: the Java client loses these.
/// Guards: B52.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_between_batches_loses_no_event() {
    let scene = Scene::new().await;
    let thousands = Thousands::make(&scene.admin).await;
    let seed = fastrand::u64(..);
    let mut rng = fastrand::Rng::with_seed(seed);
    // Half the watches of the first batch have an event, on average, and then it is answered.
    let first_batch = ANSWER_BYTES + BATCH_BYTES / REARM_BYTES * EVENT_BYTES / 2;
    let cuts = [
        (Direction::ToServer, BATCH_BYTES / 2),
        (Direction::ToServer, BATCH_BYTES + 100),
        (Direction::ToServer, BATCH_BYTES * 3 / 2),
        (Direction::ToServer, BATCH_BYTES * 2 + 200),
        (Direction::ToClient, 41),
        (Direction::ToClient, first_batch / 2),
        (Direction::ToClient, first_batch + 1000),
        (Direction::ToClient, first_batch + 10_000),
        (Direction::ToClient, first_batch * 3 / 2),
        (Direction::ToClient, first_batch * 2),
    ];
    for (direction, bytes) in cuts {
        let when = format!("cut after {bytes} bytes {direction:?}, seed {seed}");
        let mut watches = thousands.watch(&scene.watching).await;
        scene.cut_off().await;
        let changed = thousands.some(&mut rng);
        thousands.change(&scene.admin, &changed).await;
        let accepted = scene.proxy.accepted();
        scene.proxy.cut_after(direction, bytes);
        scene.reconnect().await;
        thousands
            .all_is_delivered(&mut watches, &changed, &when)
            .await;
        assert!(
            scene.proxy.accepted() >= accepted + 2,
            "{when}: there was no cut"
        );

        // The watches without an event are still armed.
        let (_, quiet): (Vec<_>, Vec<_>) = watches
            .into_iter()
            .enumerate()
            .partition(|(n, _)| changed.contains(n));
        let left: HashSet<_> = quiet
            .iter()
            .map(|(n, _)| *n)
            .filter(|n| Kind::of(*n) != Kind::Exists)
            .collect();
        assert_eq!(scene.watching.statistics().watches, left.len(), "{when}");
        thousands.change(&scene.admin, &left).await;
        for (n, mut watch) in quiet {
            let event = soon("a later event", &mut watch).await;
            let later = event.node().map(|event| event.kind);
            assert_eq!(
                later,
                left.contains(&n).then(|| Kind::of(n).event()),
                "{when}"
            );
        }
        let undone = (0..WATCHES)
            .filter(|n| changed.contains(n) || left.contains(n))
            .collect();
        thousands.undo(&scene.admin, &undone).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn created_and_deleted_meanwhile_is_a_gap() {
    let scene = Scene::new().await;
    let (_, watch) = scene.watching.exists("/a").watch().await.unwrap();
    let since = scene.admin.create("/b", "").await.unwrap().stat.czxid;
    scene.watching.sync("/").await.unwrap();
    assert!(scene.watching.exists("/b").await.unwrap().is_some());
    scene.cut_off().await;
    scene.admin.create("/a", "").await.unwrap();
    scene.admin.delete("/a").await.unwrap();
    scene.reconnect().await;
    let event = soon("the gap", watch).await;
    match server_resumes_sessions() {
        true => assert_eq!(event, WatchEvent::Gap { since }),
        false => assert_eq!(event, WatchEvent::SessionEnded),
    }
    assert_eq!(scene.watching.statistics().watches, 0);
    until("the server watches nothing", || async {
        scene.watches_of_server() == 0
    })
    .await;
}

async fn next(events: &mut WatchStream) -> WatchEvent {
    soon("an event", events.next())
        .await
        .expect("the stream has not ended")
}

async fn changes(events: &mut WatchStream, expected: &[(NodeEventKind, &str)]) {
    for (kind, path) in expected {
        let event = next(events).await;
        let event = event
            .node()
            .unwrap_or_else(|| panic!("{event:?}, not {kind:?} {path}"));
        assert_eq!((event.kind, &*event.path), (*kind, *path));
    }
}

/// No server reports what happened under these during a disconnection, so the client delivers a gap.
/// Guards: A41, B53, B54.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lasting_watches_report_gaps_and_continue() {
    use NodeEventKind::{ChildrenChanged, Created, DataChanged, Deleted};
    let scene = Scene::new().await;
    scene.admin.create("/a", "").await.unwrap();
    let tree = scene
        .watching
        .watch("/", WatchMode::PersistentRecursive)
        .await;
    if !server_has_recursive_watches() {
        return assert_unimplemented(&tree.unwrap_err(), "addWatch");
    }
    let mut tree = tree.unwrap();
    let mut one = scene
        .watching
        .watch("/a", WatchMode::Persistent)
        .await
        .unwrap();
    let mut absent = scene
        .watching
        .watch("/none", WatchMode::Persistent)
        .await
        .unwrap();

    for round in 0..3 {
        let child = format!("/a/{round}");
        scene.admin.create(&child, "").await.unwrap();
        scene.admin.set("/a", "x").await.unwrap();
        changes(&mut one, &[(ChildrenChanged, "/a"), (DataChanged, "/a")]).await;
        changes(&mut tree, &[(Created, &child), (DataChanged, "/a")]).await;

        // Unread when the connection is lost, and still delivered, before the gap.
        scene.admin.set("/a", "unread").await.unwrap();
        scene.watching.sync("/").await.unwrap();
        scene.cut_off().await;
        if round == 1 {
            blocking(|| scene.server.restart().unwrap());
            soon("the admin", scene.admin.connected()).await.unwrap();
        }
        scene.admin.set("/a", "missed").await.unwrap();
        scene.admin.delete(&child).await.unwrap();
        scene.reconnect().await;
        changes(&mut one, &[(DataChanged, "/a")]).await;
        changes(&mut tree, &[(DataChanged, "/a")]).await;
        for events in [&mut one, &mut tree, &mut absent] {
            let gap = next(events).await;
            assert!(matches!(gap, WatchEvent::Gap { .. }), "{gap:?}");
        }
        // After a gap the subscriber reads again; events after that are delivered as before.
        scene.watching.sync("/").await.unwrap();
    }

    scene.admin.delete("/a").await.unwrap();
    scene.admin.create("/none", "").await.unwrap();
    changes(&mut one, &[(Deleted, "/a")]).await;
    changes(&mut tree, &[(Deleted, "/a"), (Created, "/none")]).await;
    changes(&mut absent, &[(Created, "/none")]).await;
    drop((one, tree, absent));
    until("the server watches nothing", || async {
        scene.watches_of_server() == 0
    })
    .await;
}
