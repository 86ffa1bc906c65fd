//! One seed's run, from the first client to the checker.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::{Client, ErrorKind, State};
use zk_embedded::core::Txn;
use zk_proto::OpCode;

use super::checker;
use super::followers::Followers;
use super::history::{Change, Commit, Kept, Kind, Outcome, Read, Recorder};
use super::network::SimDial;
use super::restored::restored;
use super::scene::{self, Scene};
use super::workload::{Actor, HOT, LONG_PATHS, close, long_path};
use super::world::{Incarnation, Settings, World};

/// How long, after the last fault, anything may take (I15): what is half-open is found dead within
/// a session timeout, what backs off does so for a second, what waits in line waits for those
/// before it.
const NO_LIMIT: Duration = Duration::from_secs(120);
/// Nothing takes this long.
const FOREVER: Duration = Duration::from_secs(3600);

/// How a run went.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) scene: Scene,
    pub(crate) hash: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) trace: Option<String>,
    pub(crate) ok: BTreeMap<Kind, u64>,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) checked: BTreeMap<&'static str, u64>,
}

/// Runs a seed.
pub(crate) fn run(seed: u64, trace: bool) -> Report {
    // What the recipes draw their pauses from.
    fastrand::seed(seed);
    zk_client::testkit::seed_ids(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let (recorder, forged) = runtime.block_on(async {
        let recorder = Arc::new(Recorder::new(trace));
        let world = World::new(Settings::of(seed), recorder.clone()).await;
        let done = match world.settings.scene {
            Scene::Restored => timeout(FOREVER, restored(&world)).await,
            _ => timeout(FOREVER, simulate(&world)).await,
        };
        if done.is_err() {
            recorder.finding("I15: the run does not end".to_owned());
        }
        let log = world.network.server.log_after(zk_proto::Zxid(0));
        recorder.with(|history| history.log = log.iter().filter_map(|txn| commit(txn)).collect());
        (recorder, world.forged())
    });
    // What is dropped with the runtime is dropped in no order.
    let (mut history, hash, trace) = recorder.finish();
    drop(runtime);
    let mut violations = std::mem::take(&mut history.findings);
    let verdict = match Scene::of(seed) {
        // A history that goes back is none that the checker knows; what is compared are the caches.
        Scene::Restored => checker::Verdict::default(),
        _ => checker::check(&history, &forged),
    };
    violations.extend(verdict.violations);
    let mut checked = verdict.checked;
    *checked.entry("I23").or_default() += history.compared;
    let mut ok = BTreeMap::new();
    for op in history.ops.iter().filter(|op| op.outcome.is_ok()) {
        *ok.entry(op.kind).or_default() += 1;
    }
    let count = |outcomes: &[Outcome]| {
        let ops = history.ops.iter();
        ops.filter(|op| outcomes.contains(&op.outcome)).count() as u64
    };
    Report {
        seed,
        scene: Scene::of(seed),
        hash,
        violations,
        trace,
        ok,
        failed: count(&[Outcome::NotSent, Outcome::Rejected]),
        unknown: count(&[Outcome::Unknown, Outcome::Cancelled]),
        faults: history.faults,
        checked,
    }
}

/// A transaction as the checker sees it: with the clients' paths, and without what was refused.
fn commit(txn: &Txn) -> Option<Commit> {
    if txn.error.is_some() {
        return None;
    }
    let strip = |path: &str| {
        path.strip_prefix("/app").map(|rest| match rest {
            "" => "/".to_owned(),
            rest => rest.to_owned(),
        })
    };
    let parse = |data: &Option<bytes::Bytes>| {
        let text = std::str::from_utf8(data.as_deref()?).ok()?;
        let (value, token) = match text.split_once(':') {
            Some((value, token)) => (value, token.parse().ok()),
            None => (text, None),
        };
        Some((value.parse::<u64>().ok()?, token))
    };
    let changes = txn.changes.iter().filter_map(|change| {
        let path = strip(change.path())?;
        Some(match change {
            zk_embedded::core::Change::Create { data, owner, .. } => Change::Create {
                path,
                value: parse(data).map(|(value, _)| value),
                owner: *owner,
            },
            zk_embedded::core::Change::SetData { data, .. } => {
                let parsed = parse(data);
                Change::Set {
                    path,
                    value: parsed.map(|(value, _)| value),
                    token: parsed.and_then(|(_, token)| token),
                }
            }
            zk_embedded::core::Change::Delete { .. } => Change::Delete { path },
            _ => Change::Check,
        })
    });
    Some(Commit {
        zxid: txn.zxid.0,
        session: txn.session.0,
        closes: txn.op == OpCode::CloseSession,
        changes: changes.collect(),
    })
}

/// A client that nothing troubles on its way to the servers, and that sees everything.
pub(crate) async fn admin(world: &World) -> Client {
    let id = world.recorder.with(|history| {
        history.credentials.push(0);
        history.credentials.len() - 1
    });
    let hosts: Vec<String> = (0..world.members).map(|m| format!("m{m}:2181")).collect();
    Client::builder(hosts.join(","))
        .seed(world.settings.seed)
        .deadline(None)
        .dial(SimDial {
            network: world.network.clone(),
            client: id,
        })
        .connect()
        .await
        .unwrap()
}

pub(crate) async fn set_up(world: &World) {
    let admin = admin(world).await;
    let paths = [
        "/app",
        "/app/u",
        "/app/h0",
        "/app/h1",
        "/app/d0",
        "/app/d1",
        "/app/fence-a",
        "/app/fence-e",
        "/app/long",
    ];
    for path in paths {
        admin.create(path, "").await.unwrap();
    }
    if world.settings.long {
        for n in 0..LONG_PATHS {
            let path = format!("/app{}", long_path(n));
            admin.create(&path, "").await.unwrap();
        }
    }
    admin.close().await.unwrap();
}

async fn simulate(world: &Arc<World>) {
    let settings = world.settings;
    let mut rng = fastrand::Rng::with_seed(settings.seed);
    set_up(world).await;
    let seats = settings.seats + 1;
    for seat in 0..seats {
        world.seat_client(world.start_client(seat));
    }
    if settings.long {
        let mut actor = Actor {
            world: world.clone(),
            seat: 0,
            rng: rng.fork(),
        };
        for n in 0..LONG_PATHS {
            actor.watch_at(&world.client(0), &long_path(n)).await;
        }
    }
    // Only the followers use the last client.
    let follower = world.client(settings.seats);
    let followers = Followers::of(&follower.client);

    let end = Instant::now() + settings.chaos;
    let (mut troubles, mut work) = scene::begin(world, &mut rng, end);
    join(&mut troubles).await;
    if settings.scene == Scene::Healthy {
        look_at_connections(world);
    }
    calm(world);
    world.recorder.note(format_args!("calm"));
    if timeout(NO_LIMIT, join(&mut work)).await.is_err() {
        let pending: Vec<String> = world.recorder.with(|history| {
            let pending = history.ops.iter();
            let pending = pending.filter(|op| op.outcome == Outcome::Pending);
            pending.map(|op| format!("{op:?}")).collect()
        });
        let mut line = world.network.server.paths();
        // The ids in the names are made by chance, and must not decide the order.
        line.sort_by_cached_key(|path| {
            let (parent, name) = path.rsplit_once('/').unwrap_or_default();
            let number = name.rsplit('-').next().unwrap_or_default();
            (parent.to_owned(), number.to_owned())
        });
        world
            .recorder
            .finding(format!("I15, I21: stuck are {pending:?}; nodes: {line:?}"));
        return;
    }
    settle(world).await;
    followers.compare(world).await;
    followers.end().await;
    drop(follower);
    clean_up(world).await;
}

async fn join(tasks: &mut JoinSet<()>) {
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Nothing has gone wrong, so that no client can have lost its connection.
fn look_at_connections(world: &World) {
    for incarnation in world.seated() {
        let lost = incarnation.client.statistics().lost_connections;
        let kept = Kept {
            invariant: "I24",
            client: incarnation.id,
            at: world.recorder.now(),
            lost: (lost > 0).then(|| format!("its connection, {lost} times")),
        };
        world.recorder.with(|history| history.kept.push(kept));
    }
}

/// Ends all faults.
pub(crate) fn calm(world: &World) {
    let server = &world.network.server;
    world.network.calm();
    server.faults().clear();
    server.faults().run();
    server.heal();
    for member in 0..world.members {
        server.rejoin_leader(member);
        server.set_lag(member, false);
    }
}

/// Waits for a place in the client's small queue: after a reconnect, the reads of its recipes may
/// fill it.
async fn with_place<T, F>(mut operation: impl FnMut() -> F) -> Result<T, zk_client::Error>
where
    F: Future<Output = Result<T, zk_client::Error>>,
{
    loop {
        match operation().await {
            Err(error) if error.kind() == ErrorKind::QueueFull => {
                sleep(Duration::from_millis(1)).await;
            }
            done => return done,
        }
    }
}

/// Reads something with a client, so that all events that are due are delivered first.
async fn receive(world: &World, incarnation: &Incarnation) {
    let id = world.begin(incarnation, Kind::Sync, "/");
    let outcome = match with_place(|| async { incarnation.client.sync("/").await }).await {
        Ok(()) => Outcome::Done,
        Err(error) => {
            world.recorder.finding(format!(
                "I15: client {} cannot sync: {error}",
                incarnation.id
            ));
            Outcome::Unknown
        }
    };
    world.end(incarnation, id, outcome, String::new());
    let id = world.begin(incarnation, Kind::Exists, "/u");
    let (outcome, error) =
        match with_place(|| async { incarnation.client.exists("/u").await }).await {
            Ok(Some(stat)) => {
                let mzxid = stat.mzxid.0;
                (Outcome::Read(Read::Present { mzxid }), String::new())
            }
            Ok(None) => (Outcome::Read(Read::Absent), String::new()),
            Err(error) => (Outcome::Unknown, error.to_string()),
        };
    world.end(incarnation, id, outcome, error);
    world.look_at_watches(incarnation);
    world.drain(incarnation, true);
}

/// Lets every client connect, changes everything once more, and waits until every client has its events.
async fn settle(world: &World) {
    let seats = world.seated().len();
    for seat in 0..seats {
        let mut incarnation = world.client(seat);
        let mut connected = timeout(NO_LIMIT, incarnation.client.connected()).await;
        // The last fault may have refused its credentials, and the reply have been under way.
        if matches!(incarnation.client.state(), State::AuthFailed) {
            incarnation = world.client(seat);
            connected = timeout(NO_LIMIT, incarnation.client.connected()).await;
        }
        if !matches!(connected, Ok(Ok(()))) {
            world.recorder.finding(format!(
                "I15: client {} is {} long after the last fault",
                incarnation.id,
                incarnation.client.state()
            ));
        }
        if timeout(NO_LIMIT, receive(world, &incarnation))
            .await
            .is_err()
        {
            world.recorder.finding(format!(
                "I15: client {} receives nothing: {:?}",
                incarnation.id,
                incarnation.client.statistics()
            ));
        }
    }
    let admin = admin(world).await;
    let mut paths: Vec<String> = HOT.map(|path| format!("/app{path}")).into();
    paths.push("/app/d1/c1".to_owned());
    paths.push("/app/d0/c0/zz".to_owned());
    if world.settings.long {
        paths.extend((0..LONG_PATHS).map(|n| format!("/app{}", long_path(n))));
    }
    for path in &paths {
        let changed = match admin.exists(path).await.unwrap() {
            Some(_) => admin.set(path, "").await.map(drop),
            None => admin.create(path, "").await.map(drop),
        };
        // The parent may be ephemeral, or gone.
        drop(changed);
    }
    admin.close().await.unwrap();
    for seat in 0..seats {
        let incarnation = world.client(seat);
        if timeout(NO_LIMIT, receive(world, &incarnation))
            .await
            .is_err()
        {
            world
                .recorder
                .finding(format!("I15: client {} receives nothing", incarnation.id));
        }
        world.due(&incarnation);
    }
}

/// Drops all watches, closes all clients, and looks at what is left.
async fn clean_up(world: &World) {
    let server = &world.network.server;
    for incarnation in world.seated() {
        drop(incarnation.watches.lock().unwrap().split_off(0));
        drop(incarnation.streams.lock().unwrap().split_off(0));
    }
    // What guards and cancelled futures leave to the background is done within a few round trips.
    sleep(Duration::from_secs(10)).await;
    for incarnation in world.seated() {
        drop(timeout(NO_LIMIT, receive(world, &incarnation)).await);
        let held = incarnation.client.statistics();
        if (held.watches, held.subscribers) != (0, 0) || held.outstanding > 0 {
            world.recorder.finding(format!(
                "I11: client {} holds {held:?} after the last handle was dropped",
                incarnation.id
            ));
        }
    }
    // A session that ends just when the first removal was sent looks as on a server without it.
    let mut clients = world.seated().into_iter();
    let removes = !clients.any(|incarnation| incarnation.client.lacks_watch_removal());
    let watches = server.watch_counts();
    if removes && (watches.data, watches.child) != (0, 0) {
        world
            .recorder
            .finding(format!("I11: the servers still guard {watches:?}"));
    }
    let mut left = server.paths();
    left.retain(|path| {
        let in_line = path.starts_with("/app/locks/") && path.contains("-lock-");
        in_line || path.starts_with("/app/election/")
    });
    if !left.is_empty() {
        world
            .recorder
            .finding(format!("I21: left in line are {left:?}"));
    }
    for incarnation in world.seated() {
        if !close(world, &incarnation).await {
            world.recorder.finding(format!(
                "I12: client {} could not be closed in peace",
                incarnation.id
            ));
        }
        world.bury(&incarnation);
    }
    // Sessions whose clients went without a word end by themselves.
    sleep(Duration::from_secs(25)).await;
    let sessions = server.sessions();
    if !sessions.is_empty() {
        world
            .recorder
            .finding(format!("I12: sessions do not end: {sessions:?}"));
    }
    let owners: BTreeMap<String, i64> = server
        .paths()
        .into_iter()
        .filter_map(|path| {
            let owner = server.node(&path)?.stat.owner()?;
            Some((path, owner.0))
        })
        .collect();
    if !owners.is_empty() {
        world.recorder.finding(format!(
            "I12: ephemeral nodes outlive their sessions: {owners:?}"
        ));
    }
}
