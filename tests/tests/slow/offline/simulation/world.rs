//! The ensemble, the clients, and what each of them holds.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use zk_client::{BackoffPolicy, Client, ClientBuilder, State, Watch, WatchEvent, WatchStream};
use zk_embedded::{Options, Server, WallClock};
use zk_proto::SessionId;
use zk_recipes::{Guard, LockGuard, Term};

use super::history::{
    Class, Delivered, Kind, Lasting, OneShot, Op, Outcome, Overtaken, Read, Recorder,
};
use super::network::{Network, SimDial};
pub(crate) use super::settings::Settings;

/// How many events a watch holds.
const EVENTS: usize = 6;

/// A lock or a leadership that is held.
#[derive(Debug)]
pub(crate) enum Held {
    Lock(LockGuard),
    Term(Term),
}

impl Held {
    pub(crate) fn guard(&self) -> &Guard {
        match self {
            Held::Lock(guard) => guard.as_ref(),
            Held::Term(term) => term.as_ref(),
        }
    }
}

/// What is held: the name of the lock, the token, the guard.
pub(crate) type Holders = Vec<(&'static str, i64, Arc<Held>)>;

/// A one-shot watch whose event is awaited.
#[derive(Debug)]
pub(crate) struct LiveWatch {
    index: usize,
    path: String,
    class: Class,
    seen: Read,
    watch: Watch,
}

/// A lasting watch and how it is read.
#[derive(Debug)]
pub(crate) struct LiveStream {
    index: usize,
    stream: WatchStream,
    /// Is read once in a while only.
    pub(crate) slow: bool,
    ended: bool,
}

/// One client, from its start to its end.
#[derive(Debug)]
pub(crate) struct Incarnation {
    pub(crate) id: usize,
    pub(crate) client: Client,
    pub(crate) watches: Mutex<Vec<LiveWatch>>,
    pub(crate) streams: Mutex<Vec<LiveStream>>,
    /// Gaps, and what was dropped, whose end is not known yet: watch, place in what it delivered, and the
    /// last operation that had been submitted.
    gaps: Mutex<Vec<(usize, usize, u64)>>,
    /// For how long its machine has been suspended in all, in milliseconds.
    pub(crate) suspended: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) members: usize,
    pub(crate) network: Arc<Network>,
    pub(crate) recorder: Arc<Recorder>,
    seats: Mutex<Vec<Arc<Incarnation>>>,
    pub(crate) holders: Mutex<Holders>,
    /// Clients that got a wrong zxid.
    forged: Mutex<BTreeSet<usize>>,
}

impl World {
    pub(crate) async fn new(settings: Settings, recorder: Arc<Recorder>) -> Arc<Self> {
        let mut options = Options::default();
        options.tick = Duration::from_millis(250);
        options.min_session_timeout = Some(Duration::from_millis(500));
        options.max_session_timeout = Some(Duration::from_secs(20));
        options.members = settings.members;
        options.sync_limit = settings.sync_limit;
        options.pose = settings.pose;
        options.wall_clock = WallClock::From(1_700_000_000_000);
        options.log_limit = 1_000_000;
        // Containers stay: their removal would have to be distinguished in the log.
        options.container_check_interval = Duration::from_secs(3600);
        let server = Server::builder().options(options).in_memory();
        let server = server.start().await.unwrap();
        let network = Network::new(server, recorder.clone(), settings.seed);
        Arc::new(Self {
            settings,
            members: settings.members,
            network,
            recorder,
            seats: Mutex::default(),
            holders: Mutex::default(),
            forged: Mutex::default(),
        })
    }

    pub(crate) fn zxid(&self) -> i64 {
        self.network.server.zxid().0
    }

    /// Starts a client.
    pub(crate) fn start_client(&self, seat: usize) -> Arc<Incarnation> {
        let credentials = usize::from(seat == 1) * 2;
        let id = self.recorder.with(|history| {
            history.credentials.push(credentials);
            history.credentials.len() - 1
        });
        let suspended = Arc::new(AtomicU64::new(0));
        let total = suspended.clone();
        let mut builder = self
            .options(id)
            .suspended_time(move || Duration::from_millis(total.load(Ordering::Relaxed)));
        // Without a deadline, an operation that is forgotten is an operation that is stuck.
        if seat != 2 {
            builder = builder.deadline(None);
        }
        for n in 0..credentials {
            builder = builder.auth("digest", format!("user{n}:secret"));
        }
        let client = builder.start().unwrap();
        self.recorder.note(format_args!("start {id} at {seat}"));
        Arc::new(Incarnation {
            id,
            client,
            watches: Mutex::default(),
            streams: Mutex::default(),
            gaps: Mutex::default(),
            suspended,
        })
    }

    /// The options of a client without a seat, which the faults hit at the servers only.
    pub(crate) fn unseated(&self) -> ClientBuilder {
        let id = self.recorder.with(|history| {
            history.credentials.push(0);
            history.credentials.len() - 1
        });
        self.options(id)
    }

    fn options(&self, id: usize) -> ClientBuilder {
        let hosts: Vec<String> = (0..self.members).map(|m| format!("m{m}:2181")).collect();
        Client::builder(format!("{}/app", hosts.join(",")))
            .session_timeout(self.settings.session_timeout)
            .max_outstanding(self.settings.outstanding)
            .max_watch_events(EVENTS)
            .backoff(BackoffPolicy::new(
                Duration::from_millis(50),
                Duration::from_secs(1),
            ))
            .seed(self.settings.seed.wrapping_mul(101).wrapping_add(id as u64))
            .dial(SimDial {
                network: self.network.clone(),
                client: id,
            })
    }

    pub(crate) fn seat_client(&self, incarnation: Arc<Incarnation>) {
        self.seats.lock().unwrap().push(incarnation);
    }

    /// The client at a seat; a new one if the last one is over.
    pub(crate) fn client(&self, seat: usize) -> Arc<Incarnation> {
        let current = self.seats.lock().unwrap()[seat].clone();
        if !matches!(current.client.state(), State::Closed | State::AuthFailed) {
            return current;
        }
        self.bury(&current);
        let next = self.start_client(seat);
        self.seats.lock().unwrap()[seat] = next.clone();
        next
    }

    /// Sees to it that all watches of a client that is over have ended.
    pub(crate) fn bury(&self, incarnation: &Incarnation) {
        self.drain(incarnation, true);
        self.look_at_watches(incarnation);
        let watches = incarnation.watches.lock().unwrap().split_off(0);
        for watch in &watches {
            self.recorder.finding(format!(
                "I8: client {} is over, and its watch on {} has not ended",
                incarnation.id, watch.path
            ));
        }
        for stream in incarnation.streams.lock().unwrap().split_off(0) {
            if !stream.ended {
                self.recorder.finding(format!(
                    "I8: client {} is over, and its watch {} has not ended",
                    incarnation.id, stream.index
                ));
            }
        }
    }

    pub(crate) fn seated(&self) -> Vec<Arc<Incarnation>> {
        self.seats.lock().unwrap().clone()
    }

    pub(crate) fn is_troubled(&self, client: usize) -> bool {
        self.seats.lock().unwrap().iter().any(|i| i.id == client)
    }

    pub(crate) fn troubled_client(&self, rng: &mut fastrand::Rng) -> usize {
        let seats = self.seats.lock().unwrap();
        seats[rng.usize(0..seats.len())].id
    }

    pub(crate) fn troubled_session(&self, rng: &mut fastrand::Rng) -> Option<SessionId> {
        let seats = self.seats.lock().unwrap();
        let session = seats[rng.usize(0..seats.len())].client.session().id;
        (!session.is_none()).then_some(session)
    }

    pub(crate) fn has_credentials(&self, client: usize) -> bool {
        self.recorder
            .with(|history| history.credentials[client] > 0)
    }

    pub(crate) fn client_with_long_watches(&self) -> Option<usize> {
        let seats = self.seats.lock().unwrap();
        self.settings.long.then(|| seats[0].id)
    }

    pub(crate) fn forge_zxid(&self, client: usize) {
        self.forged.lock().unwrap().insert(client);
    }

    pub(crate) fn forged(&self) -> BTreeSet<usize> {
        self.forged.lock().unwrap().clone()
    }

    /// Takes back every fault set at the servers, except that a member is stopped.
    pub(crate) fn clear_script(&self) {
        self.network.server.faults().clear();
    }

    /// Notes that an operation is submitted, and gives it its id.
    pub(crate) fn begin(&self, incarnation: &Incarnation, kind: Kind, path: &str) -> u64 {
        let session = incarnation.client.session();
        let now = self.recorder.now();
        let outstanding = incarnation.client.statistics().outstanding;
        let id = self.recorder.with(|history| {
            history
                .outstanding
                .push((outstanding, self.settings.outstanding));
            let id = history.ops.len() as u64;
            history.ops.push(Op {
                id,
                client: incarnation.id,
                session: session.id.0,
                epoch: session.epoch,
                kind,
                path: path.to_owned(),
                outcome: Outcome::Pending,
                end_epoch: 0,
                error: String::new(),
                from: now,
                to: 0,
            });
            id
        });
        self.recorder.note(format_args!(
            "client {} begins {id}: {kind:?} {}",
            incarnation.id,
            shorten(path)
        ));
        id
    }

    /// Notes how an operation ended.
    pub(crate) fn end(&self, incarnation: &Incarnation, id: u64, outcome: Outcome, error: String) {
        let session = incarnation.client.session();
        self.recorder.note(format_args!(
            "client {} ends {id}: {outcome:?} {}",
            incarnation.id,
            shorten(&error)
        ));
        let ok = outcome.is_ok();
        let read = match outcome {
            Outcome::Read(read) => Some(read),
            _ => None,
        };
        let now = self.recorder.now();
        let path = self.recorder.with(|history| {
            let op = &mut history.ops[usize::try_from(id).unwrap()];
            op.outcome = outcome;
            op.error = error;
            op.end_epoch = session.epoch;
            op.to = now;
            op.path.clone()
        });
        if ok {
            self.end_gaps(incarnation, id);
        }
        if let Some(read) = read {
            self.overtaken(incarnation, &path, read);
        }
    }

    /// A reply after a gap was delivered comes from a server on which the watch is armed again.
    fn end_gaps(&self, incarnation: &Incarnation, id: u64) {
        let zxid = self.zxid();
        let mut gaps = incarnation.gaps.lock().unwrap();
        gaps.retain(|&(watch, place, submitted)| {
            if id < submitted {
                return true;
            }
            self.recorder.with(|history| {
                let delivered = history.lasting[watch].delivered.get_mut(place);
                if let Some(Delivered::Gap { until, .. } | Delivered::Lagged { until }) = delivered
                {
                    *until = zxid;
                }
            });
            false
        });
    }

    /// Checks whether a read has shown a change before a watch of the same client delivered it.
    fn overtaken(&self, incarnation: &Incarnation, path: &str, read: Read) {
        let mut overtaken = Vec::new();
        for live in incarnation.watches.lock().unwrap().iter_mut() {
            if live.path != path {
                continue;
            }
            let (known, seen) = match (live.class, live.seen, read) {
                (
                    Class::Data,
                    Read::Data { mzxid: known, .. } | Read::Present { mzxid: known },
                    Read::Data { mzxid, .. } | Read::Present { mzxid },
                ) if mzxid > known => (known, mzxid),
                (Class::Data, Read::Absent, Read::Data { mzxid, .. } | Read::Present { mzxid }) => {
                    (0, mzxid)
                }
                (
                    Class::Data,
                    Read::Data { mzxid: known, .. } | Read::Present { mzxid: known },
                    Read::Absent,
                ) => (known, -1),
                (Class::Child, Read::Children { pzxid: known }, Read::Children { pzxid })
                    if pzxid > known =>
                {
                    (known, pzxid)
                }
                _ => continue,
            };
            if poll_watch(&mut live.watch).is_none() {
                overtaken.push(Overtaken {
                    client: incarnation.id,
                    path: path.to_owned(),
                    known,
                    read: seen,
                });
            }
        }
        self.recorder
            .with(|history| history.overtaken.append(&mut overtaken));
    }

    /// A read has armed a watch.
    pub(crate) fn armed(
        &self,
        incarnation: &Incarnation,
        path: &str,
        class: Class,
        seen: Read,
        watch: Watch,
    ) {
        let armed = self.zxid();
        let index = self.recorder.with(|history| {
            history.one_shots.push(OneShot {
                client: incarnation.id,
                path: path.to_owned(),
                class,
                seen,
                armed,
                delivered: None,
                due: None,
            });
            history.one_shots.len() - 1
        });
        incarnation.watches.lock().unwrap().push(LiveWatch {
            index,
            path: path.to_owned(),
            class,
            seen,
            watch,
        });
    }

    /// A lasting watch has been armed.
    pub(crate) fn lasting(
        &self,
        incarnation: &Incarnation,
        path: &str,
        recursive: bool,
        stream: WatchStream,
        slow: bool,
    ) {
        let armed = self.zxid();
        let index = self.recorder.with(|history| {
            history.lasting.push(Lasting {
                client: incarnation.id,
                path: path.to_owned(),
                recursive,
                armed,
                delivered: Vec::new(),
                due: None,
            });
            history.lasting.len() - 1
        });
        incarnation.streams.lock().unwrap().push(LiveStream {
            index,
            stream,
            slow,
            ended: false,
        });
    }

    /// Reads the events of the one-shot watches, and forgets the watches that had one.
    pub(crate) fn look_at_watches(&self, incarnation: &Incarnation) {
        let until = self.zxid();
        incarnation.watches.lock().unwrap().retain_mut(|live| {
            let Some(event) = poll_watch(&mut live.watch) else {
                return true;
            };
            let delivered = delivered(&event, until);
            self.recorder.note(format_args!(
                "client {} watch {} {} {delivered:?}",
                incarnation.id,
                live.index,
                shorten(&live.path)
            ));
            self.recorder
                .with(|history| history.one_shots[live.index].delivered = Some(delivered));
            false
        });
    }

    /// Reads the events of the lasting watches; of the slow ones only if `all`.
    pub(crate) fn drain(&self, incarnation: &Incarnation, all: bool) {
        let mut streams = incarnation.streams.lock().unwrap();
        for live in streams.iter_mut().filter(|live| all || !live.slow) {
            while let Some(event) = poll_stream(&mut live.stream) {
                let Some(event) = event else {
                    break;
                };
                if let WatchEvent::Lagged { .. } = event {
                    self.recorder.fault("X20 slow consumer");
                }
                live.ended |= event == WatchEvent::SessionEnded;
                let delivered = delivered(&event, i64::MAX);
                self.recorder.note(format_args!(
                    "client {} stream {} {delivered:?}",
                    incarnation.id, live.index
                ));
                let gap = self.recorder.with(|history| {
                    let submitted = history.ops.len() as u64;
                    let open =
                        matches!(delivered, Delivered::Gap { .. } | Delivered::Lagged { .. });
                    let list = &mut history.lasting[live.index].delivered;
                    list.push(delivered);
                    open.then(|| (live.index, list.len() - 1, submitted))
                });
                incarnation.gaps.lock().unwrap().extend(gap);
            }
        }
    }

    /// From now on everything up to now is due to be delivered.
    pub(crate) fn due(&self, incarnation: &Incarnation) {
        let zxid = self.zxid();
        let streams = incarnation.streams.lock().unwrap();
        let watches = incarnation.watches.lock().unwrap();
        self.recorder.with(|history| {
            for live in streams.iter() {
                history.lasting[live.index].due = Some(zxid);
            }
            for live in watches.iter() {
                history.one_shots[live.index].due = Some(zxid);
            }
        });
    }
}

fn delivered(event: &WatchEvent, until: i64) -> Delivered {
    match event {
        WatchEvent::Node(event) => Delivered::Node {
            kind: event.kind,
            path: event.path.clone(),
            zxid: event.zxid.map(|zxid| zxid.0),
        },
        WatchEvent::Gap { since } => Delivered::Gap {
            since: since.0,
            until,
        },
        WatchEvent::Lagged { .. } => Delivered::Lagged { until },
        WatchEvent::SessionEnded => Delivered::Ended,
    }
}

fn poll_watch(watch: &mut Watch) -> Option<WatchEvent> {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(watch).poll(&mut context) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}

fn poll_stream(stream: &mut WatchStream) -> Option<Option<WatchEvent>> {
    let mut context = Context::from_waker(Waker::noop());
    let next = std::pin::pin!(stream.next());
    match next.poll(&mut context) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}

/// Paths of thirty thousand letters make no good reading.
pub(crate) fn shorten(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(160)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}
