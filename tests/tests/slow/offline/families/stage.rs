//! A world of all faults with clients in it, until the world is calm.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::{Client, ClientBuilder};
use zk_proto::SessionId;

use super::super::simulation::faults::{trouble_network, trouble_servers};
use super::super::simulation::history::Recorder;
use super::super::simulation::run::{admin, calm};
use super::super::simulation::scene::Scene;
use super::super::simulation::world::{Incarnation, Settings, World};

/// The virtual time that anything may take after the last fault: a connection that is half-open is found
/// dead within a session timeout, and a backoff is at most a second.
const SETTLED: Duration = Duration::from_secs(120);
/// The virtual time in which clean-ups in the background are done.
const CLEANED_UP: Duration = Duration::from_secs(10);
/// Longer than any session timeout.
const EXPIRED: Duration = Duration::from_secs(25);

/// What a family runs on.
#[derive(Debug)]
pub(crate) struct Stage {
    world: Arc<World>,
    recorder: Arc<Recorder>,
    clients: Vec<Arc<Incarnation>>,
    end: Instant,
    troubles: Mutex<JoinSet<()>>,
    rng: Mutex<fastrand::Rng>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Stage {
    /// A world of this seed, in which the faults begin now.
    pub(crate) async fn new(seed: u64, trace: bool) -> Arc<Self> {
        let recorder = Arc::new(Recorder::new(trace));
        let settings = Settings {
            scene: Scene::Chaos,
            // The recipes are tested here, and not the limit of the queue.
            outstanding: 4096,
            long: false,
            ..Settings::of(seed)
        };
        let world = World::new(settings, recorder.clone()).await;
        let admin = admin(&world).await;
        admin.create("/app", "").await.unwrap();
        admin.close().await.unwrap();
        // The simulation's own seats 1 and 2 have credentials and a deadline.
        let clients: Vec<_> = (0..settings.seats)
            .map(|n| world.start_client(10 + n))
            .collect();
        for client in &clients {
            world.seat_client(client.clone());
        }
        let mut rng = fastrand::Rng::with_seed(seed);
        let end = Instant::now() + settings.chaos;
        let mut troubles = JoinSet::new();
        troubles.spawn(trouble_network(world.clone(), rng.fork(), end));
        troubles.spawn(trouble_servers(world.clone(), rng.fork(), end));
        Arc::new(Stage {
            world,
            recorder,
            clients,
            end,
            troubles: Mutex::new(troubles),
            rng: Mutex::new(rng),
            counts: Mutex::default(),
        })
    }

    /// Three to five clients with the chroot `/app`, that the faults hit. None has a default deadline.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().map(|client| &client.client)
    }

    /// The options of a client that the faults hit at the servers only, with the chroot `/app`.
    pub(crate) fn unseated(&self) -> ClientBuilder {
        self.world.unseated().deadline(None)
    }

    /// A client that the faults hit at the servers only, without a chroot.
    pub(crate) async fn admin(&self) -> Client {
        admin(&self.world).await
    }

    /// The embedded ensemble, to look at its znodes (under `/app`) without a client.
    pub(crate) fn server(&self) -> &zk_embedded::Server {
        &self.world.network.server
    }

    /// The session timeout of the clients, 2 to 6 s.
    pub(crate) fn session_timeout(&self) -> Duration {
        self.world.settings.session_timeout
    }

    /// Whether a fault ended this session before its timeout, so that its client, and what the client
    /// holds by it, could not know of the end.
    pub(crate) fn ended_early(&self, session: SessionId) -> bool {
        (self.recorder).with(|history| history.ended_early.contains(&session.0))
    }

    /// The time of the last fault.
    pub(crate) fn end(&self) -> Instant {
        self.end
    }

    /// A source of randomness for one task.
    pub(crate) fn rng(&self) -> fastrand::Rng {
        self.rng.lock().unwrap().fork()
    }

    /// Counts something that has to happen in a run of many seeds.
    pub(crate) fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    /// Writes a line into the trace.
    pub(crate) fn note(&self, line: std::fmt::Arguments<'_>) {
        self.recorder.note(line);
    }

    pub(crate) fn violation(&self, text: String) {
        self.recorder.finding(text);
    }

    /// Waits until the last fault is over and all clients are connected.
    pub(crate) async fn calm(&self) {
        let mut troubles = std::mem::take(&mut *self.troubles.lock().unwrap());
        while let Some(done) = troubles.join_next().await {
            done.unwrap();
        }
        calm(&self.world);
        self.recorder.note(format_args!("calm"));
        for client in &self.clients {
            let connected = timeout(SETTLED, client.client.connected()).await;
            if !matches!(connected, Ok(Ok(()))) {
                let (id, state) = (client.id, client.client.state());
                self.violation(format!("client {id} is {state} long after the last fault"));
            }
        }
    }

    /// Waits for a future that must be ready, now that there are no faults.
    pub(crate) async fn soon<T>(&self, what: &str, future: impl Future<Output = T>) -> Option<T> {
        let done = timeout(SETTLED, future).await.ok();
        if done.is_none() {
            self.violation(format!(
                "{what} takes longer than {SETTLED:?} without faults"
            ));
        }
        done
    }

    /// Finds what the family has left behind, with all its handles dropped.
    pub(super) async fn clean_up(&self) {
        sleep(CLEANED_UP).await;
        for client in &self.clients {
            let sync = timeout(SETTLED, client.client.sync("/")).await;
            if !matches!(sync, Ok(Ok(()))) {
                self.violation(format!("client {} cannot sync: {sync:?}", client.id));
            }
            let held = client.client.statistics();
            if (held.watches, held.subscribers) != (0, 0) || held.outstanding > 0 {
                self.violation(format!("client {} still holds {held:?}", client.id));
            }
        }
        let removes = !(self.clients()).any(Client::lacks_watch_removal);
        let watches = self.server().watch_counts();
        if removes && (watches.data, watches.child) != (0, 0) {
            self.violation(format!("the servers still hold {watches:?}"));
        }
        for client in &self.clients {
            let closed = timeout(SETTLED, client.client.clone().close()).await;
            if !matches!(closed, Ok(Ok(()))) {
                self.violation(format!("client {} cannot be closed: {closed:?}", client.id));
            }
        }
        sleep(EXPIRED).await;
        let paths = self.server().paths().into_iter();
        let ephemeral = |path: &String| {
            let node = self.server().node(path);
            node.is_some_and(|node| node.stat.owner().is_some())
        };
        let left: Vec<String> = paths.filter(ephemeral).collect();
        if !left.is_empty() {
            self.violation(format!("ephemeral znodes outlive their sessions: {left:?}"));
        }
    }

    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap().clone()
    }

    /// What was found, what was done to the world, and the trace.
    pub(super) fn finish(&self) -> (Vec<String>, BTreeMap<&'static str, u64>, Option<String>) {
        let (history, _, trace) = self.recorder.finish();
        (history.findings, history.faults, trace)
    }
}
