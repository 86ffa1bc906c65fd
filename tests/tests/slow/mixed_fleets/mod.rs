//! Rust, Python and Java under the same locks and in the same elections: kazoo and Curator as their
//! users have them. No update is lost, and every contender gets its turn in order.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

pub(crate) mod barrier_fleet;
pub(crate) mod counting;
pub(crate) mod foreigner;
mod lost_holders;
pub(crate) mod mortal;
pub(crate) mod queue_fleet;
mod witness;

use std::collections::BTreeMap;

use crate::common::{rounds, shared_server, soon, until};
use foreigner::Foreigner;
use tokio::task::JoinSet;
use witness::Witness;
use zk_client::{Client, ErrorKind};
use zk_recipes::{Election, Layout, LeaderLatch, Lock, MultiLock, ReadLock, Semaphore, WriteLock};

/// Critical sections of each contender: a thousand in all, for two are ours and two are not.
fn sections() -> usize {
    rounds(250, 50)
}

const MAX_LEASES: usize = 2;

/// What our contenders do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Lock,
    ReadWrite,
    Semaphore,
    /// With the number of leases in a znode.
    Count,
    Election,
    Latch,
    /// Two locks at once.
    Multi,
    /// With the names of ZooKeeper's `WriteLock`.
    WriteLock,
    /// With those of ZooKeeper's `LeaderElectionSupport`.
    Support,
}

impl Kind {
    /// Whether one contender is inside at a time, and adds to the counter.
    fn is_exclusive(self) -> bool {
        !matches!(self, Kind::ReadWrite | Kind::Semaphore | Kind::Count)
    }

    fn lock(self, zk: &Client, layout: Layout) -> Lock {
        let lock = Lock::new(zk, "/shared").layout(layout);
        match self {
            Kind::WriteLock => lock.names("x-{id}-"),
            _ => lock,
        }
    }

    fn election(self, zk: &Client, layout: Layout) -> Election {
        let election = Election::new(zk, "/shared").layout(layout);
        match self {
            Kind::Support => election.names("n_"),
            _ => election,
        }
    }
}

/// One of ours.
#[derive(Clone)]
struct Contender {
    zk: Client,
    name: String,
    layout: Layout,
}

impl Contender {
    async fn note(&self) {
        let note = self.zk.create("/log/e-", &self.name).sequential();
        note.await.unwrap();
    }

    async fn read(&self, path: &str) -> String {
        let (data, _) = self.zk.get(path).await.unwrap();
        String::from_utf8(data.to_vec()).unwrap()
    }

    /// Reads, adds one and writes, with nothing but the lock to keep others out.
    async fn exclusive(&self) {
        let count: usize = self.read("/counter").await.parse().unwrap();
        self.zk
            .set("/counter", (count + 1).to_string())
            .await
            .unwrap();
        self.note().await;
    }

    async fn writing(&self) {
        assert_eq!(self.read("/writing").await, "no");
        self.zk.set("/writing", &self.name).await.unwrap();
        self.exclusive().await;
        assert_eq!(self.read("/writing").await, self.name);
        self.zk.set("/writing", "no").await.unwrap();
    }

    async fn reading(&self) {
        let before = self.read("/counter").await;
        assert_eq!(self.read("/writing").await, "no");
        assert_eq!(self.read("/counter").await, before);
        self.note().await;
    }

    async fn permitted(&self) {
        let own = self
            .zk
            .create("/inside/i-", &self.name)
            .ephemeral()
            .sequential();
        let own = own.await.unwrap().path;
        let inside = self.zk.children("/inside").await.unwrap();
        assert!(inside.len() <= MAX_LEASES, "{inside:?}");
        self.note().await;
        self.zk.delete(&own).await.unwrap();
    }

    async fn section(&self, kind: Kind, number: usize) {
        let (zk, name, layout) = (&self.zk, &self.name, self.layout);
        match kind {
            Kind::Lock | Kind::WriteLock => {
                let lock = kind.lock(zk, layout).identifier(name);
                let guard = lock.acquire().await.unwrap();
                self.exclusive().await;
                guard.check().unwrap();
                guard.release().await.unwrap();
            }
            Kind::ReadWrite if number.is_multiple_of(3) => {
                let lock = WriteLock::new(zk, "/shared")
                    .identifier(name)
                    .layout(layout);
                let guard = lock.acquire().await.unwrap();
                self.writing().await;
                guard.check().unwrap();
                if number.is_multiple_of(2) && layout != Layout::Kazoo {
                    let guard = guard.downgrade().await.unwrap();
                    self.reading().await;
                    guard.release().await.unwrap();
                } else {
                    guard.release().await.unwrap();
                }
            }
            Kind::ReadWrite => {
                let lock = ReadLock::new(zk, "/shared").identifier(name).layout(layout);
                let guard = lock.acquire().await.unwrap();
                self.reading().await;
                guard.check().unwrap();
                guard.release().await.unwrap();
            }
            Kind::Semaphore | Kind::Count => {
                let semaphore = match kind {
                    Kind::Count => Semaphore::limit_at(zk, "/shared", "/limit"),
                    _ => Semaphore::new(zk, "/shared", MAX_LEASES),
                };
                let semaphore = semaphore.identifier(name).layout(layout);
                let lease = semaphore.acquire().await.unwrap();
                self.permitted().await;
                lease.check().unwrap();
                lease.release().await.unwrap();
            }
            Kind::Election | Kind::Support => {
                let election = kind.election(zk, layout).identifier(name);
                let term = election.campaign().await.unwrap();
                self.exclusive().await;
                term.check().unwrap();
                term.resign().await.unwrap();
            }
            Kind::Multi => {
                let lock = |path| Lock::new(zk, path).identifier(name).layout(layout);
                let guard = MultiLock::new(["/shared", "/other"].map(lock))
                    .acquire()
                    .await
                    .unwrap();
                self.exclusive().await;
                guard.check().unwrap();
                guard.release().await.unwrap();
            }
            Kind::Latch => {
                let latch = LeaderLatch::new(zk, "/shared").id(name);
                let term = latch.leadership().await.unwrap();
                self.exclusive().await;
                term.check().unwrap();
                term.resign().await.unwrap();
            }
        }
    }
}

/// How many of a contender's sections add to the counter.
fn additions(kind: Kind) -> usize {
    match kind {
        _ if kind.is_exclusive() => sections(),
        Kind::ReadWrite => sections().div_ceil(3),
        _ => 0,
    }
}

/// Two contenders of ours and two of another client, started by `start` with the hosts, a name and
/// the number of sections, take turns.
pub(crate) async fn contend(
    kind: Kind,
    layout: Layout,
    start: impl Fn(&str, &str, usize) -> Foreigner,
) {
    let hosts = shared_server().connect_string();
    let zk = crate::common::client_of(&hosts).await;
    for (path, data) in [
        ("/counter", "0"),
        ("/writing", "no"),
        ("/log", ""),
        ("/inside", ""),
    ] {
        zk.create(path, data).await.unwrap();
    }
    zk.create("/limit", [0, 0, 0, 2]).await.unwrap();
    let witness = Witness::of(&zk).await;
    let root = format!("{hosts}{}", zk.root());
    let mut foreigners: Vec<_> = ["them-1", "them-2"]
        .map(|name| start(&root, name, sections()))
        .into();
    for foreigner in &mut foreigners {
        foreigner.receive("ready").await;
    }
    let mut ours = JoinSet::new();
    for name in ["us-1", "us-2"] {
        let zk = crate::common::beside(&zk, &hosts).await;
        let name = name.to_owned();
        let contender = Contender { zk, name, layout };
        ours.spawn(async move {
            for number in 0..sections() {
                contender.section(kind, number).await;
            }
            contender.zk.close().await.unwrap();
        });
    }
    for foreigner in &mut foreigners {
        foreigner.go();
    }
    while let Some(contender) = soon("our contenders", ours.join_next()).await {
        contender.unwrap();
    }
    for foreigner in &mut foreigners {
        foreigner.receive("done").await;
    }
    let (count, _) = zk.get("/counter").await.unwrap();
    assert_eq!(
        count,
        (4 * additions(kind)).to_string(),
        "updates were lost"
    );
    check_turns(&zk, kind, layout).await;
    // Curator lets go of some things in the background.
    until("nothing is left", || async {
        match zk.children("/shared").await {
            Ok(left) => left.iter().all(|name| matches!(name, "locks" | "leases")),
            Err(error) => error.kind() == ErrorKind::NoNode,
        }
    })
    .await;
    let line = match (kind, layout) {
        (Kind::Semaphore, Layout::Kazoo) => "/shared-__lock__",
        (Kind::Semaphore | Kind::Count, _) => "/shared/locks",
        _ => "/shared",
    };
    until("the line is empty", || async {
        match zk.children(line).await {
            Ok(left) => left.is_empty(),
            Err(error) => error.kind() == ErrorKind::NoNode,
        }
    })
    .await;
    // ZooKeeper's `LeaderElectionSupport` leaves the line when it fails.
    if kind != Kind::Support {
        let left = witness.assert_none_was_overtaken(line).await;
        assert!(left >= 4 * sections(), "{left} were served");
    }
    lost_holders::lose_holders(&zk, kind, layout, line, |name, sections| {
        start(&root, name, sections)
    })
    .await;
}

/// While all contend, all have turns.
async fn check_turns(zk: &Client, kind: Kind, layout: Layout) {
    let mut names = zk.children("/log").await.unwrap().to_vec();
    names.sort_unstable();
    let mut turns = Vec::with_capacity(names.len());
    for name in &names {
        let (contender, _) = zk.get(&format!("/log/{name}")).await.unwrap();
        turns.push(String::from_utf8(contender.to_vec()).unwrap());
    }
    let mut had: BTreeMap<&str, usize> = BTreeMap::new();
    for contender in &turns {
        *had.entry(contender).or_default() += 1;
    }
    assert_eq!(had.len(), 4, "{had:?}");
    let downgrades = kind == Kind::ReadWrite && layout != Layout::Kazoo;
    for (contender, had) in &had {
        // Ours are also noted as the readers they become.
        let more = usize::from(downgrades && contender.starts_with("us")) * sections().div_ceil(6);
        assert_eq!(*had, sections() + more, "{contender}");
    }
    // How the turns were shared until one of them was through depends on how the machine ran the
    // processes; the witness says whether one was overtaken in the line.
    let mut had: BTreeMap<&str, usize> = BTreeMap::new();
    for contender in &turns {
        let count = had.entry(contender).or_default();
        *count += 1;
        if *count == sections() {
            break;
        }
    }
    let switches = turns
        .windows(2)
        .filter(|pair| pair[0][..2] != pair[1][..2])
        .count();
    eprintln!("{kind:?}, {layout:?}: when one was through: {had:?}; {switches} switches in all");
}
