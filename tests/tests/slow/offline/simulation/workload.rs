//! What the clients do.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use zk_client::{Error, ErrorKind, Guid, RetryPolicy, WatchMode};

use super::history::{Class, Kind, Outcome, Read};
use super::world::{Incarnation, World};

/// Nodes that all clients create, set, delete and watch.
pub(crate) const HOT: [&str; 6] = ["/h0", "/h1", "/h2", "/d0", "/d1", "/d0/c0"];
/// Parents and names of nodes that come and go.
const BELOW: [&str; 6] = ["/d0/c0", "/d0/c1", "/d1/c0", "/d1/c1", "/d0/c2", "/d1/c2"];

/// Paths that do not fit into one batch of watches.
pub(crate) fn long_path(n: usize) -> String {
    format!("/long/{}{n}", "x".repeat(30_000))
}

pub(crate) const LONG_PATHS: usize = 6;

type Result = (Outcome, String);
type Running = Pin<Box<dyn Future<Output = Result> + Send>>;

/// What an error says about the outcome.
pub(crate) fn failed(error: &Error) -> Result {
    let outcome = match error.outcome() {
        zk_client::Outcome::NotSent => Outcome::NotSent,
        zk_client::Outcome::Rejected => Outcome::Rejected,
        zk_client::Outcome::Unknown => Outcome::Unknown,
    };
    (outcome, error.to_string())
}

fn answered<T>(result: std::result::Result<T, Error>, ok: impl FnOnce(T) -> Outcome) -> Result {
    match result {
        Ok(value) => (ok(value), String::new()),
        Err(error) if error.kind() == ErrorKind::NoNode => match ok_is_read(&error) {
            true => (Outcome::Read(Read::Absent), error.to_string()),
            false => failed(&error),
        },
        Err(error) => failed(&error),
    }
}

/// Whether the error is a read's, to which a missing node is an answer.
fn ok_is_read(error: &Error) -> bool {
    matches!(
        error.op(),
        Some("getData" | "getChildren2" | "getChildren" | "exists")
    )
}

fn value(data: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(data).ok()?;
    text.split(':').next()?.parse().ok()
}

/// One of several tasks that use a client.
pub(crate) struct Actor {
    pub(crate) world: Arc<World>,
    pub(crate) seat: usize,
    pub(crate) rng: fastrand::Rng,
}

impl Actor {
    /// Does one thing after the other until `end`.
    pub(crate) async fn run(mut self, end: Instant) {
        while Instant::now() < end {
            self.act().await;
            self.pause().await;
        }
    }

    async fn pause(&mut self) {
        let pause = match self.rng.u32(0..4) {
            0 => 0,
            1 => self.rng.u64(0..20),
            2 => self.rng.u64(0..200),
            _ => self.rng.u64(0..1_500),
        };
        sleep(Duration::from_millis(pause)).await;
    }

    async fn act(&mut self) {
        let incarnation = self.world.client(self.seat);
        self.world.look_at_watches(&incarnation);
        self.world.drain(&incarnation, false);
        match self.rng.u32(0..100) {
            0..40 => self.one(&incarnation).await,
            40..65 => self.burst(&incarnation).await,
            65..78 => self.watch(&incarnation).await,
            78..84 => self.stream(&incarnation).await,
            84..89 => self.unwatch(&incarnation),
            89..94 => self.world.drain(&incarnation, true),
            94..97 => self.protected(&incarnation).await,
            97..99 => self.transaction(&incarnation).await,
            _ => self.close(&incarnation).await,
        }
    }

    fn hot(&mut self) -> String {
        if self.world.settings.long && self.rng.u32(0..12) == 0 {
            return long_path(self.rng.usize(0..LONG_PATHS));
        }
        let all: &[&str] = if self.rng.bool() { &HOT } else { &BELOW };
        all[self.rng.usize(0..all.len())].to_owned()
    }

    async fn one(&mut self, incarnation: &Arc<Incarnation>) {
        let (id, running) = self.start(incarnation);
        self.finish(incarnation, id, running).await;
    }

    /// Several requests at once, in order.
    async fn burst(&mut self, incarnation: &Arc<Incarnation>) {
        let count = self.rng.usize(2..14);
        let started: Vec<_> = (0..count).map(|_| self.start(incarnation)).collect();
        for (id, running) in started {
            self.finish(incarnation, id, running).await;
        }
    }

    /// Waits for an operation, or for part of it.
    async fn finish(&mut self, incarnation: &Incarnation, id: u64, running: Running) {
        let (outcome, error) = match self.rng.u32(0..20) {
            0 => {
                let polls = self.rng.u32(1..4);
                cancelled(running, polls).await
            }
            1 => {
                let time_limit = Duration::from_millis(self.rng.u64(0..500));
                tokio::time::timeout(time_limit, running).await.ok()
            }
            _ => Some(running.await),
        }
        .unwrap_or_else(|| {
            self.world.recorder.fault("X19 cancelled");
            (Outcome::Cancelled, String::new())
        });
        self.world.end(incarnation, id, outcome, error);
    }

    /// Submits a request.
    fn start(&mut self, incarnation: &Arc<Incarnation>) -> (u64, Running) {
        match self.rng.u32(0..100) {
            0..30 => self.start_read(incarnation),
            30..92 => self.start_write(incarnation),
            _ => {
                let client = &incarnation.client;
                let id = self.world.begin(incarnation, Kind::Sync, "/");
                let pending = client.sync("/").submit();
                let done = async { answered(pending.await, |()| Outcome::Done) };
                (id, Box::pin(done))
            }
        }
    }

    fn start_read(&mut self, incarnation: &Arc<Incarnation>) -> (u64, Running) {
        let client = &incarnation.client;
        let path = self.hot();
        match self.rng.u32(0..3) {
            0 => {
                let id = self.world.begin(incarnation, Kind::Get, &path);
                let pending = client.get(&path).submit();
                let done = async {
                    answered(pending.await, |(data, stat)| {
                        Outcome::Read(Read::Data {
                            mzxid: stat.mzxid.0,
                            value: value(&data),
                        })
                    })
                };
                (id, Box::pin(done))
            }
            1 => {
                let id = self.world.begin(incarnation, Kind::Exists, &path);
                let pending = client.exists(&path).submit();
                let done = async {
                    answered(pending.await, |stat| {
                        Outcome::Read(stat.map_or(Read::Absent, |stat| Read::Present {
                            mzxid: stat.mzxid.0,
                        }))
                    })
                };
                (id, Box::pin(done))
            }
            _ => {
                let id = self.world.begin(incarnation, Kind::Children, &path);
                let pending = client.children(&path).stat().submit();
                let done = async {
                    answered(pending.await, |(_, stat)| {
                        Outcome::Read(Read::Children {
                            pzxid: stat.pzxid.0,
                        })
                    })
                };
                (id, Box::pin(done))
            }
        }
    }

    fn start_write(&mut self, incarnation: &Arc<Incarnation>) -> (u64, Running) {
        let world = self.world.clone();
        let client = &incarnation.client;
        let begin = |kind, path: &str| {
            let id = world.begin(incarnation, kind, path);
            (id, id.to_string())
        };
        match self.rng.u32(0..24) {
            0..6 => {
                let path = self.hot();
                let (kind, version) = if self.rng.bool() {
                    (Kind::Set, None)
                } else {
                    (Kind::SetVersion, Some(self.rng.i32(0..4)))
                };
                let (id, data) = begin(kind, &path);
                let mut set = client.set(&path, data);
                if let Some(version) = version {
                    set = set.version(version);
                }
                let pending = set.submit();
                let done = async {
                    answered(pending.await, |stat| Outcome::Written {
                        zxid: Some(stat.mzxid.0),
                        path: None,
                    })
                };
                (id, Box::pin(done))
            }
            6..10 => {
                let path = self.hot();
                let (kind, version) = if self.rng.bool() {
                    (Kind::Delete, None)
                } else {
                    (Kind::DeleteVersion, Some(self.rng.i32(0..3)))
                };
                let (id, _) = begin(kind, &path);
                let mut delete = client.delete(&path);
                if let Some(version) = version {
                    delete = delete.version(version);
                }
                let pending = delete.submit();
                let done = async { answered(pending.await, |()| Outcome::Done) };
                (id, Box::pin(done))
            }
            10..20 => {
                let (kind, path) = match self.rng.u32(0..6) {
                    0..3 => (Kind::Create, self.hot()),
                    3 => (Kind::CreateEphemeral, self.hot()),
                    4 => (Kind::CreateEphemeral, format!("/u/e{}", self.rng.u32(..))),
                    _ => (Kind::CreateSequential, "/u/s-".to_owned()),
                };
                let (id, data) = begin(kind, &path);
                let mut create = client.create(&path, data);
                if kind == Kind::CreateEphemeral {
                    create = create.ephemeral();
                } else if kind == Kind::CreateSequential {
                    create = create.ephemeral().sequential();
                }
                let pending = create.submit();
                let done = async {
                    answered(pending.await, |created| Outcome::Written {
                        zxid: Some(created.stat.czxid.0),
                        path: Some(created.path),
                    })
                };
                (id, Box::pin(done))
            }
            _ => {
                let (one, other) = (self.hot(), self.hot());
                let (id, data) = begin(Kind::Multi, &one);
                let multi = client.multi();
                let multi = match self.rng.u32(0..4) {
                    0 => multi.set(&one, &data),
                    1 => multi.create("/u/m", &data).delete("/u/m").set("/u", &data),
                    2 => multi.check(&one, -1).set("/u", &data),
                    _ => multi.set("/u", &data).create(&other, &data),
                };
                let pending = multi.commit();
                let done = async {
                    answered(pending.await, |results| {
                        let zxid = results.iter().find_map(|result| match result {
                            zk_client::OpResult::Set(stat) => Some(stat.mzxid.0),
                            _ => None,
                        });
                        Outcome::Written { zxid, path: None }
                    })
                };
                (id, Box::pin(done))
            }
        }
    }

    /// A creation that is done once, whatever happens.
    async fn protected(&mut self, incarnation: &Arc<Incarnation>) {
        let id = self
            .world
            .begin(incarnation, Kind::CreateProtected, "/u/p-");
        let client = incarnation.client.clone();
        let ephemeral = self.rng.bool();
        let running = async move {
            let mut create = client.create("/u/p-", id.to_string()).sequential();
            if ephemeral {
                create = create.ephemeral();
            }
            answered(create.protected().await, |created| Outcome::Written {
                zxid: Some(created.stat.czxid.0),
                path: Some(created.path),
            })
        };
        self.finish(incarnation, id, Box::pin(running)).await;
    }

    /// A transaction that is done at most once, whatever happens.
    async fn transaction(&mut self, incarnation: &Arc<Incarnation>) {
        let (one, other) = (self.hot(), self.hot());
        let id = self.world.begin(incarnation, Kind::MultiRetried, &one);
        let client = incarnation.client.clone();
        let (form, version) = (self.rng.u32(0..6), self.rng.i32(0..4));
        let running = async move {
            let data = id.to_string();
            let multi = client.multi();
            let multi = match form {
                0 => multi.set_version(&one, &data, version),
                // Deletions of the others are counted; those of /u/m are not.
                1 => multi
                    .set_version(&one, &data, version)
                    .create("/u/m", "")
                    .delete("/u/m"),
                2 => multi.create(&one, &data).set("/u", &data),
                3 => multi.create_as(client.create(&one, &data).ephemeral()),
                4 => {
                    let path = format!("/u/{}m", Guid::random().prefix());
                    multi.check(&one, -1).create(&path, &data)
                }
                _ => multi.set("/u", &data).create(&other, &data),
            };
            answered(multi.retry(&RetryPolicy::new()).await, |results| {
                let zxid = results.iter().find_map(|result| match result {
                    zk_client::OpResult::Set(stat) => Some(stat.mzxid.0),
                    zk_client::OpResult::Created { stat, .. } => stat.map(|stat| stat.czxid.0),
                    _ => None,
                });
                Outcome::Written { zxid, path: None }
            })
        };
        self.finish(incarnation, id, Box::pin(running)).await;
    }

    /// Reads and watches.
    async fn watch(&mut self, incarnation: &Arc<Incarnation>) {
        let path = self.hot();
        self.watch_at(incarnation, &path).await;
    }

    pub(crate) async fn watch_at(&mut self, incarnation: &Arc<Incarnation>, path: &str) {
        let client = &incarnation.client;
        let (kind, class) = match self.rng.u32(0..3) {
            0 => (Kind::Get, Class::Data),
            1 => (Kind::Exists, Class::Data),
            _ => (Kind::Children, Class::Child),
        };
        let id = self.world.begin(incarnation, kind, path);
        let mut armed = None;
        let asked = async {
            match kind {
                Kind::Get => {
                    let result = client.get(path).watch().await;
                    answered(result, |(data, stat, watch)| {
                        armed = Some(watch);
                        Outcome::Read(Read::Data {
                            mzxid: stat.mzxid.0,
                            value: value(&data),
                        })
                    })
                }
                Kind::Exists => {
                    let result = client.exists(path).watch().await;
                    answered(result, |(stat, watch)| {
                        armed = Some(watch);
                        Outcome::Read(stat.map_or(Read::Absent, |stat| Read::Present {
                            mzxid: stat.mzxid.0,
                        }))
                    })
                }
                _ => {
                    let result = client.children(path).watch().await;
                    answered(result, |(_, stat, watch)| {
                        armed = Some(watch);
                        Outcome::Read(Read::Children {
                            pzxid: stat.pzxid.0,
                        })
                    })
                }
            }
        };
        let time_limit = Duration::from_millis(self.rng.u64(0..20_000));
        let answer = tokio::time::timeout(time_limit, asked).await;
        let (outcome, error) = answer.unwrap_or((Outcome::Cancelled, String::new()));
        let seen = match outcome {
            Outcome::Read(seen) => Some(seen),
            _ => None,
        };
        self.world.end(incarnation, id, outcome, error);
        if let (Some(seen), Some(watch)) = (seen, armed) {
            self.world.armed(incarnation, path, class, seen, watch);
        }
    }

    /// Watches for good.
    async fn stream(&mut self, incarnation: &Arc<Incarnation>) {
        if incarnation.streams.lock().unwrap().len() >= 5 {
            return;
        }
        let (path, recursive) = match self.rng.u32(0..6) {
            0 => ("/", true),
            1 => ("/d0", true),
            2 => ("/d1", true),
            3 => ("/d0", false),
            4 => ("/h0", false),
            _ => ("/h1", true),
        };
        let (kind, mode) = if recursive {
            (Kind::AddWatchRecursive, WatchMode::PersistentRecursive)
        } else {
            (Kind::AddWatch, WatchMode::Persistent)
        };
        let slow = self.rng.u32(0..4) == 0;
        let id = self.world.begin(incarnation, kind, path);
        let time_limit = Duration::from_millis(self.rng.u64(0..20_000));
        let asked = incarnation.client.watch(path, mode);
        let answer = tokio::time::timeout(time_limit, asked).await;
        let (outcome, error, stream) = match answer {
            Ok(Ok(stream)) => (Outcome::Done, String::new(), Some(stream)),
            Ok(Err(error)) => {
                let (outcome, error) = failed(&error);
                (outcome, error, None)
            }
            Err(_) => (Outcome::Cancelled, String::new(), None),
        };
        self.world.end(incarnation, id, outcome, error);
        if let Some(stream) = stream {
            let world = &self.world;
            world.lasting(incarnation, path, recursive, stream, slow);
        }
    }

    /// Drops a watch or two.
    fn unwatch(&mut self, incarnation: &Incarnation) {
        self.world.drain(incarnation, true);
        let mut watches = incarnation.watches.lock().unwrap();
        if !watches.is_empty() {
            let index = self.rng.usize(0..watches.len());
            let dropped = watches.remove(index);
            drop(watches);
            drop(dropped);
        }
        let mut streams = incarnation.streams.lock().unwrap();
        if !streams.is_empty() && self.rng.bool() {
            let index = self.rng.usize(0..streams.len());
            let dropped = streams.remove(index);
            drop(streams);
            drop(dropped);
        }
    }

    /// Closes the client; another one takes its seat.
    async fn close(&mut self, incarnation: &Arc<Incarnation>) {
        if self.world.settings.long && self.seat == 0 {
            return;
        }
        close(&self.world, incarnation).await;
    }
}

/// Closes a client and notes whether its session was ended.
pub(crate) async fn close(world: &World, incarnation: &Incarnation) -> bool {
    let id = world.begin(incarnation, Kind::Close, "");
    let session = incarnation.client.session().id.0;
    let (outcome, error) = answered(incarnation.client.clone().close().await, |()| Outcome::Done);
    let ok = outcome.is_ok();
    if ok && session != 0 {
        let server = &world.network.server;
        let alive = server.sessions();
        // A deposed leader ends sessions by its own clock, and says so to their clients.
        let is_known = server.deposed_leader().is_none();
        if is_known && alive.iter().any(|alive| alive.id.0 == session) {
            world.recorder.finding(format!(
                "I12: client {} was closed, and its session {session:#x} is there",
                incarnation.id
            ));
        }
        world.recorder.with(|history| history.closed.push(session));
    }
    world.end(incarnation, id, outcome, error);
    ok
}

/// Polls a future so many times, and then drops it.
pub(crate) async fn cancelled<T>(
    mut future: Pin<Box<dyn Future<Output = T> + Send>>,
    polls: u32,
) -> Option<T> {
    let mut left = polls;
    poll_fn(|cx| {
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
