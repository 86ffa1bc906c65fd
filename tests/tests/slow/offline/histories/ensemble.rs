//! An ensemble that loses connections, sessions and leaders, and the workers on it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};
use zk_client::{BackoffPolicy, Client, Dial, DialError, Dialing, HostPort, Transport};
use zk_embedded::Server;

pub(crate) const WORKERS: u64 = 6;
pub(crate) const SESSION: Duration = Duration::from_secs(4);
/// By a clock that passes over the time in which nothing happens.
pub(crate) const NO_LIMIT: Duration = Duration::from_secs(3600);

pub(crate) async fn ensemble() -> Arc<Server> {
    let builder = Server::builder().members(3).in_memory();
    Arc::new(builder.start().await.unwrap())
}

/// All members, as the bits of those that are out of reach.
const ALL: usize = 0b111;

/// Connects inside the process, unless the member is out of reach; the port is its number, from 1.
#[derive(Debug)]
pub(crate) struct InMemory(Arc<Server>, Arc<AtomicUsize>);

impl Dial for InMemory {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        let member = usize::from(host.port) - 1;
        let stream = match self.1.load(Ordering::Relaxed) >> member & 1 {
            0 => self.0.connect_in_memory_to(member),
            _ => Err(io::ErrorKind::TimedOut.into()),
        };
        Box::pin(
            async move { Ok(Box::new(stream.map_err(DialError::Other)?) as Box<dyn Transport>) },
        )
    }
}

/// A client, and the members that it cannot reach, a bit for each.
#[derive(Clone)]
pub(crate) struct Cut {
    pub(crate) client: Client,
    off: Arc<AtomicUsize>,
}

pub(crate) async fn client(server: &Arc<Server>, seed: u64) -> Cut {
    let impatient = BackoffPolicy::new(Duration::from_millis(20), Duration::from_millis(200));
    let off = Arc::new(AtomicUsize::new(0));
    let client = Client::builder("member:1,member:2,member:3")
        .dial(InMemory(server.clone(), off.clone()))
        .connect_timeout(NO_LIMIT)
        .session_timeout(SESSION)
        .backoff(impatient)
        .seed(seed)
        .connect()
        .await
        .unwrap();
    Cut { client, off }
}

/// A client for each worker.
pub(crate) async fn clients(server: &Arc<Server>, seed: u64) -> Vec<Cut> {
    let mut clients = Vec::new();
    for n in 0..WORKERS {
        clients.push(client(server, seed * 100 + n).await);
    }
    clients
}

/// Breaks this and that until the workers are done.
pub(crate) async fn havoc(server: &Server, clients: &[Cut], rng: &mut Rng, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let member = rng.usize(0..3);
        match rng.u8(0..15) {
            0 | 1 => {
                // So long that leases may run out.
                server.faults().freeze();
                sleep(Duration::from_millis(rng.u64(2000..7000))).await;
                server.faults().thaw();
            }
            2 => server.change_leader(),
            3 | 4 => {
                server.member(member).stop();
                sleep(Duration::from_millis(rng.u64(0..300))).await;
                server.member(member).run();
            }
            5 | 6 => {
                server.member(member).freeze();
                sleep(Duration::from_millis(rng.u64(0..3000))).await;
                server.member(member).thaw();
            }
            7 | 8 => server.set_lag(member, rng.bool()),
            9 | 10 => {
                let session = rng.choice(clients).unwrap().client.session();
                server.faults().disconnect(session.id);
            }
            11 | 12 => depose(server, clients, rng).await,
            _ => {
                // Its time runs out while the others continue. A session that was ended before its
                // time would be no lease, and prove nothing.
                let Cut { client, off } = rng.choice(clients).unwrap().clone();
                if off.swap(ALL, Ordering::Relaxed) == 0 {
                    server.faults().half_open(client.session().id);
                    let time = Duration::from_millis(rng.u64(0..9000));
                    tokio::spawn(async move {
                        sleep(time).await;
                        off.store(0, Ordering::Relaxed);
                    });
                }
            }
        }
        sleep(Duration::from_millis(rng.u64(0..400))).await;
    }
    for member in 0..3 {
        server.set_lag(member, false);
    }
}

/// The leader and some clients are cut off, and the leader does not notice.
async fn depose(server: &Server, clients: &[Cut], rng: &mut Rng) {
    let leader = server.leader();
    if !server.depose_leader(&[]) {
        return;
    }
    for Cut { client, off } in clients {
        let with_leader = rng.bool();
        let out_of_reach = if with_leader {
            ALL & !(1 << leader)
        } else {
            1 << leader
        };
        // One that is cut off from all stays so.
        if off
            .compare_exchange(0, out_of_reach, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
            && (!with_leader || rng.bool())
        {
            server.faults().disconnect(client.session().id);
        }
    }
    sleep(Duration::from_millis(rng.u64(0..9000))).await;
    for Cut { off, .. } in clients {
        if off.load(Ordering::Relaxed) != ALL {
            off.store(0, Ordering::Relaxed);
        }
    }
    server.heal();
}

/// The workers, all on one thread; their clients are on others.
#[derive(Default)]
pub(crate) struct Workers {
    local: LocalSet,
    set: JoinSet<()>,
}

impl Workers {
    pub(crate) fn spawn(&mut self, worker: impl Future<Output = ()> + 'static) {
        self.set.spawn_local_on(worker, &self.local);
    }
}

/// Runs workers while there is havoc.
pub(crate) async fn under_havoc(
    what: &str,
    server: &Server,
    seed: u64,
    clients: Vec<Cut>,
    workers: Workers,
) {
    let Workers {
        local,
        set: mut workers,
    } = workers;
    let over = AtomicBool::new(false);
    let work = async {
        while let Some(worker) = workers.join_next().await {
            worker.unwrap();
        }
        over.store(true, Ordering::Relaxed);
    };
    let mut rng = Rng::with_seed(seed);
    let both = async { tokio::join!(work, havoc(server, &clients, &mut rng, &over)) };
    if timeout(NO_LIMIT, local.run_until(both)).await.is_err() {
        panic!("{what}, seed {seed}: stalled: {:?}", server.paths());
    }
}

/// Nothing is left of contenders that released, gave up or lost a session.
pub(crate) async fn line_becomes_empty(server: &Server, path: &str) {
    let below = format!("{path}/");
    let empties = async {
        while server.paths().iter().any(|path| path.starts_with(&below)) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(NO_LIMIT, empties).await.is_err() {
        panic!("orphans: {:?}", server.paths());
    }
}
