//! Programs that crash, and resume their sessions: each keeps its place, and one at a time holds the lock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::{Client, ErrorKind, Guid, SessionId, SessionToken};
use zk_recipes::{Lock, LockGuard};

use super::{Stage, hold};

const PROGRAMS: usize = 3;
const PATH: &str = "/lock";

/// The guards, each with the session whose znode it is.
type Holders = Arc<Mutex<Vec<(SessionId, Arc<LockGuard>)>>>;

#[test]
fn a_crash_keeps_the_place_in_a_queue() {
    let counted = [
        "resumed",
        "expired",
        "kept",
        "crashed waiting",
        "crashed holding",
    ];
    hold(20, &counted, play);
}

async fn play(stage: Arc<Stage>) {
    let holders = Holders::default();
    let mut work = JoinSet::new();
    for number in 0..PROGRAMS {
        let program = Program {
            stage: stage.clone(),
            name: format!("program-{number}"),
            id: Guid::random(),
            saved: None,
            is_whole: true,
            rng: stage.rng(),
            holders: holders.clone(),
        };
        work.spawn(program.run());
    }
    stage.calm().await;
    let joined = async { while work.join_next().await.is_some() {} };
    stage.soon("the last acquisition", joined).await;
}

/// A program through its crashes.
struct Program {
    stage: Arc<Stage>,
    name: String,
    id: Guid,
    saved: Option<SessionToken>,
    /// Whether the last run ended without a release that may still be executed.
    is_whole: bool,
    rng: fastrand::Rng,
    holders: Holders,
}

impl Program {
    async fn run(mut self) {
        while Instant::now() < self.stage.end() {
            if let Some(zk) = self.start().await {
                self.live(zk).await;
            }
        }
        // The last run, without faults.
        while let Some(token) = self.saved.take() {
            let session = token.expose();
            match self.stage.unseated().resume(token).await {
                Ok(zk) => {
                    let lock = Lock::new(&zk, PATH).adopt_by(self.id);
                    let guard = lock.acquire().await;
                    drop(guard);
                    drop(zk.close().await);
                }
                Err(error) if error.kind() == ErrorKind::SessionExpired => {}
                Err(_) => self.saved = session.parse().ok(),
            }
        }
    }

    /// A client of the saved session, or of a new one.
    async fn start(&mut self) -> Option<Client> {
        let builder = self.stage.unseated();
        let Some(token) = self.saved.take() else {
            return builder.connect().await.ok();
        };
        let text = token.expose();
        // Some are killed before they have their session.
        let limit = Duration::from_millis(self.rng.u64(1..20_000));
        match timeout(limit, builder.resume(token)).await {
            Ok(Ok(zk)) => {
                self.stage.count("resumed");
                return Some(zk);
            }
            Ok(Err(error)) if error.kind() == ErrorKind::SessionExpired => {
                self.stage.count("expired");
            }
            _ => self.saved = text.parse().ok(),
        }
        None
    }

    /// The first of the places that this program has in the queue by this session, as the servers have it.
    fn place(&self, session: SessionId) -> Option<String> {
        let server = self.stage.server();
        let prefix = format!("/app{PATH}/");
        let mut own: Vec<_> = (server.paths().into_iter())
            .filter(|path| path.starts_with(&prefix))
            .filter(|path| {
                let node = server.node(path);
                node.is_some_and(|node| {
                    node.stat.owner() == Some(session)
                        && node.data.as_deref() == Some(self.name.as_bytes())
                })
            })
            .collect();
        own.sort_by_key(|path| path.rsplit('-').next().map(str::to_owned));
        own.into_iter().next()
    }

    /// Waits for the lock and holds it, until a crash.
    async fn live(&mut self, zk: Client) {
        let lock = Lock::new(&zk, PATH)
            .identifier(&self.name)
            .adopt_by(self.id);
        let session = zk.session().id;
        let mut kept = self.place(session).filter(|_| self.is_whole);
        self.is_whole = true;
        while Instant::now() < self.stage.end() {
            let mut waiting = Box::pin(lock.acquire());
            let limit = Duration::from_millis(self.rng.u64(1..6_000));
            let Ok(acquired) = timeout(limit, waiting.as_mut()).await else {
                self.stage.count("crashed waiting");
                self.saved = zk.detach().ok();
                return;
            };
            drop(waiting);
            let Ok(guard) = acquired else {
                continue;
            };
            if let Some(kept) = kept.take()
                && zk.session().id == session
            {
                self.stage.count("kept");
                if kept != format!("/app{}", guard.path()) {
                    let path = guard.path();
                    self.stage.violation(format!("{kept} was left for {path}"));
                }
            }
            let guard = Arc::new(guard);
            self.work(&guard).await;
            if self.rng.bool() {
                self.stage.count("crashed holding");
                // The holder is gone with its process.
                self.forget(&guard);
                self.saved = zk.detach().ok();
                return;
            }
            self.forget(&guard);
            // A failed release may be executed later.
            self.is_whole = guard.release_shared().await.is_ok();
        }
        self.saved = zk.detach().ok();
    }

    fn forget(&self, guard: &Arc<LockGuard>) {
        let mut holders = self.holders.lock().unwrap();
        holders.retain(|(_, held)| !Arc::ptr_eq(held, guard));
    }

    async fn work(&mut self, guard: &Arc<LockGuard>) {
        let node = self.stage.server().node(&format!("/app{}", guard.path()));
        let Some(owner) = node.and_then(|node| node.stat.owner()) else {
            return;
        };
        self.holders.lock().unwrap().push((owner, guard.clone()));
        let until = Instant::now() + Duration::from_millis(self.rng.u64(1..1_500));
        while Instant::now() < until && guard.check().is_ok() {
            self.compare();
            sleep(Duration::from_millis(self.rng.u64(1..200))).await;
        }
    }

    fn compare(&self) {
        let holders = self.holders.lock().unwrap();
        let held: Vec<_> = (holders.iter())
            .filter(|(owner, held)| held.check().is_ok() && !self.stage.ended_early(*owner))
            .map(|(_, held)| held.path())
            .collect();
        if held.len() > 1 {
            self.stage.violation(format!("two hold the lock: {held:?}"));
        }
    }
}
