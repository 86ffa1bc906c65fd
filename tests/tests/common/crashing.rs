//! A program that is killed again and again while it waits for a lock, or holds it, and resumes its
//! session from a file.

use std::path::PathBuf;
use std::time::Duration;

use crate::common::child::{self, Child};
use crate::common::{beside, soon, until};
use zk_client::{Guid, Restored, SessionStore};
use zk_recipes::{Contender, Lock, LockGuard, PersistentNode};
use zk_tests::starvation::always;

const LOCK: &str = "/lock";
const NODE: &str = "/here";

/// What the program is started with.
#[derive(Debug, Clone)]
struct Orders {
    hosts: String,
    root: String,
    file: String,
    session: Duration,
    id: Guid,
}

impl Orders {
    fn to_text(&self) -> String {
        let millis = self.session.as_millis();
        let (hosts, root, file) = (&self.hosts, &self.root, &self.file);
        format!("{hosts} {root} {millis} {} {file}", self.id)
    }

    fn parse(text: &str) -> Self {
        let mut words = text.splitn(5, ' ');
        let mut word = || words.next().unwrap().to_owned();
        let (hosts, root) = (word(), word());
        let session = Duration::from_millis(word().parse().unwrap());
        let id = word().parse().unwrap();
        let file = word();
        Orders {
            hosts,
            root,
            file,
            session,
            id,
        }
    }
}

/// The program: it is to be killed.
pub async fn run(orders: &str) {
    let orders = Orders::parse(orders);
    child::say("started");
    let store = SessionStore::open(&orders.file).unwrap();
    let builder = crate::common::builder(&*orders.hosts).session_timeout(orders.session);
    let (zk, restored) = builder.restore(store).await.unwrap();
    child::say(match restored {
        Restored::Resumed => "restored resumed",
        Restored::New => "restored new",
        Restored::Expired { .. } => "restored expired",
        other => panic!("{other}"),
    });
    let zk = zk.chroot(&orders.root).unwrap();
    let node = PersistentNode::builder(&zk, NODE).adopting().start();
    node.wait_created().await.unwrap();
    let created = zk.exists(NODE).await.unwrap().unwrap().czxid;
    child::say(&format!("here {}", created.0));
    let lock = Lock::new(&zk, LOCK).identifier("me").adopt_by(orders.id);
    let guard = lock.acquire().await.unwrap();
    guard.check().unwrap();
    child::say(&format!("holds {} {}", guard.token(), guard.path()));
    std::future::pending::<()>().await;
}

/// A directory that is deleted with this.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("zk-crash-{}", Guid::random().hex()));
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left is in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The only contender with this identifier.
async fn place(lock: &Lock, identifier: &str) -> Option<Contender> {
    let contenders = lock.contenders().await.unwrap();
    let mut named = contenders
        .into_iter()
        .filter(|it| it.identifier == identifier);
    let place = named.next();
    always(
        named.next().is_none(),
        "a crash has left a second contender",
    );
    place
}

/// Kills the program of this test so many times while it waits, and as often while it holds the lock: its
/// place, its token and its ephemeral znode stay. Then lets its session expire: it gets a new place.
pub async fn is_killed(
    (module, test): (&'static str, &'static str),
    hosts: String,
    session: Duration,
    kills: usize,
) {
    let directory = Directory::new();
    let zk = crate::common::client_of(&hosts).await;
    let orders = Orders {
        hosts: hosts.clone(),
        root: zk.root().as_str().to_owned(),
        file: directory.0.join("session").to_str().unwrap().to_owned(),
        session,
        id: Guid::random(),
    };
    let start = || Child::start(module, test, &orders.to_text());
    let lock = Lock::new(&zk, LOCK);
    let held = lock.acquire().await.unwrap();

    let mut first = start();
    assert_eq!(first.receive("restored").await, "new");
    let here = first.receive("here").await;
    until("it waits", || async { place(&lock, "me").await.is_some() }).await;
    let mine = place(&lock, "me").await.unwrap();
    let other = beside(&zk, &hosts).await;
    let behind = Lock::new(&other, LOCK).identifier("behind");
    let behind = tokio::spawn(async move { behind.acquire().await.unwrap() });
    until("another waits", || async {
        place(&lock, "behind").await.is_some()
    })
    .await;
    first.kill();

    for kill in 0..kills {
        let mut program = start();
        match kill % 4 {
            // Before it has a connection, perhaps.
            0 => drop(program.receive("started").await),
            1 => assert_eq!(program.receive("restored").await, "resumed"),
            _ => assert_eq!(program.receive("here").await, here),
        }
        program.kill();
        let now = place(&lock, "me").await.unwrap();
        assert_eq!(now, mine, "after {kill} kills");
    }
    held.release().await.unwrap();
    for kill in 0..kills {
        let mut program = start();
        if kill % 4 == 0 {
            program.receive("restored").await;
        } else {
            let holds = program.receive("holds").await;
            let token = format!("{} ", mine.token);
            always(
                holds.starts_with(&token),
                format_args!("{holds}, not {mine:?}"),
            );
        }
        program.kill();
        always(!behind.is_finished(), "another has a lock that is held");
        assert_eq!(lock.contenders().await.unwrap().first(), Some(&mine));
    }
    let next = soon("the other to have the lock", behind).await.unwrap();
    gets_a_new_place(&lock, &mine, next, start()).await;
}

/// The session has expired.
async fn gets_a_new_place(lock: &Lock, mine: &Contender, next: LockGuard, mut program: Child) {
    assert_eq!(program.receive("restored").await, "expired");
    until("it waits again", || async {
        place(lock, "me").await.is_some_and(|place| place != *mine)
    })
    .await;
    let again = place(lock, "me").await.unwrap();
    always(again.token > next.token(), "a new place is at the end");
    next.release().await.unwrap();
    let holds = program.receive("holds").await;
    assert!(holds.starts_with(&format!("{} ", again.token)), "{holds}");
}
