//! Servers that have what the others have not, or commit nothing, and are no client's fault.
//!
//! ZooKeeper before 3.9.3 can lose a transaction on a follower whose leader is killed
//! (ZOOKEEPER-4712). And a leader of 3.8.0 that came to lead while its predecessor was killed was seen
//! to have a follower, answer pings and commit nothing for minutes.

#![allow(
    clippy::print_stderr,
    reason = "what was done to servers belongs to a test's output"
)]

use std::ops::AddAssign;
use std::time::Duration;

use zk_client::{Client, ErrorKind};
use zk_tests::Server;

use super::{TestServer, blocking};

/// An ensemble elects a leader in seconds. After that, servers are compared.
pub const STALL: Duration = Duration::from_secs(30);

/// Rounds of repairs. What is still waited for after these is no fault of servers.
pub const MOST_ROUNDS: usize = 3;

/// A server that can be started again.
pub trait Member {
    fn id(&self) -> usize;
    fn connect_string(&self) -> String;
    /// [`zk_tests::Srvr::keeps_transactions`].
    fn keeps_transactions(&self) -> bool;
    fn restart(&self);
    /// With nothing of its own.
    fn restart_empty(&self);
}

/// What was done to servers for what they did to themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Leaders that committed nothing.
    pub restarted: usize,
    /// Servers with znodes that their leader had not.
    pub replaced: usize,
}

/// Replaces the servers that have children of these paths which the leader has not, while nothing moves.
///
/// A client of such a server may wait for ever for a contender that all other servers have seen leave,
/// and cannot find out. A leader that commits nothing is restarted, and nothing else is looked at.
///
/// # Panics
///
/// If a server of a release that keeps its transactions has such a child.
pub async fn replace_diverged<M: Member>(leader: &M, servers: &[M], paths: &[String]) -> Repairs {
    let mut repairs = Repairs::default();
    for path in paths {
        let Some(truth) = children_at(&leader.connect_string(), path).await else {
            eprintln!(
                "server {} leads and commits nothing, and is restarted",
                leader.id()
            );
            blocking(|| leader.restart());
            repairs.restarted += 1;
            return repairs;
        };
        for server in servers {
            let ghosts = ghosts(leader, server, path, &truth).await;
            if ghosts.is_empty() {
                continue;
            }
            let what = format!("server {} has kept {ghosts:?} in {path}", server.id());
            let keeps_transactions = blocking(|| leader.keeps_transactions());
            assert!(
                !keeps_transactions,
                "{what}, which its leader {} has not",
                leader.id()
            );
            eprintln!("{what}, and is replaced");
            blocking(|| server.restart_empty());
            repairs.replaced += 1;
        }
    }
    repairs
}

/// The children that a server has and the leader has not, of which `truth` is what the leader had.
async fn ghosts<M: Member>(leader: &M, server: &M, path: &str, truth: &[String]) -> Vec<String> {
    let children = children_at(&server.connect_string(), path).await;
    let mut ghosts = children.unwrap_or_default();
    ghosts.retain(|name| !truth.contains(name));
    if ghosts.is_empty() {
        return ghosts;
    }
    // One that was created since, and deleted before the second look at the leader, is gone at the
    // second look at the server.
    let Some(truth) = children_at(&leader.connect_string(), path).await else {
        return Vec::new();
    };
    let again = children_at(&server.connect_string(), path).await;
    let again = again.unwrap_or_default();
    ghosts.retain(|name| again.contains(name) && !truth.contains(name));
    ghosts
}

impl Repairs {
    /// Whether anything was done.
    pub fn is_some(self) -> bool {
        self != Repairs::default()
    }
}

impl AddAssign for Repairs {
    fn add_assign(&mut self, other: Self) {
        self.restarted += other.restarted;
        self.replaced += other.replaced;
    }
}

impl Member for Server {
    fn id(&self) -> usize {
        self.id()
    }

    fn connect_string(&self) -> String {
        self.connect_string()
    }

    fn keeps_transactions(&self) -> bool {
        self.srvr().unwrap().keeps_transactions()
    }

    fn restart(&self) {
        self.restart().unwrap();
    }

    fn restart_empty(&self) {
        self.restart_empty().unwrap();
    }
}

impl Member for TestServer {
    fn id(&self) -> usize {
        self.id()
    }

    fn connect_string(&self) -> String {
        self.connect_string()
    }

    fn keeps_transactions(&self) -> bool {
        self.srvr().unwrap().keeps_transactions()
    }

    fn restart(&self) {
        self.restart().unwrap();
    }

    fn restart_empty(&self) {
        self.restart_empty().unwrap();
    }
}

/// The children of `path` as these servers have them, once they have caught up with their leader, or
/// nothing if they do not serve. A znode that does not exist has none.
pub async fn children_at(hosts: &str, path: &str) -> Option<Vec<String>> {
    let asking = Client::builder(hosts)
        .connect_timeout(STALL)
        .deadline(STALL);
    let zk = asking.connect().await.ok()?;
    zk.sync("/").await.ok()?;
    let children = match zk.children(path).await {
        Ok(children) => children.to_vec(),
        Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
        Err(_) => return None,
    };
    zk.close().await.ok()?;
    Some(children)
}
