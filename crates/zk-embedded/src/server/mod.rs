//! The server people start: sockets, tasks, and the handle to them.

pub(crate) mod faults;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use zk_proto::{SessionId, Zxid, config};

use self::faults::Faults;
use crate::core::Pose;
use crate::core::{NodeInfo, Peer, SessionInfo, Snapshot, State, Txn, WatchCounts};
use crate::net::connection;
use crate::net::listener;
use crate::net::shared::{Shared, now, run_clock};
use crate::net::stream::Foreign;
use crate::options::{Options, WallClock};

/// How much of either direction of an in-memory connection is on its way at once, in bytes.
const MEMORY_BUFFER: usize = 64 * 1024;

/// A running server, or an ensemble of them. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
    /// Where connections are served, wherever they are asked for.
    runtime: Handle,
}

impl Server {
    /// Starts one server with the default options on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Sets options before the start.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where clients find the server: `127.0.0.1:PORT`, of all members, with commas between. Empty
    /// if there are no sockets.
    pub fn connect_string(&self) -> String {
        let hosts: Vec<_> = self.addresses.iter().map(SocketAddr::to_string).collect();
        hosts.join(",")
    }

    /// The members' addresses. Empty if there are no sockets.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A connection to the first member that stays inside this process.
    ///
    /// # Errors
    /// `ConnectionRefused` while the server is stopped or refuses connections.
    pub fn connect_in_memory(&self) -> io::Result<DuplexStream> {
        self.connect_in_memory_to(0)
    }

    /// A connection to a member, counted from 0, that stays inside this process.
    ///
    /// # Errors
    /// `ConnectionRefused` while the member is stopped or refuses connections.
    pub fn connect_in_memory_to(&self, member: usize) -> io::Result<DuplexStream> {
        let (near, far) = tokio::io::duplex(MEMORY_BUFFER);
        self.serve(member, far)?;
        Ok(near)
    }

    /// Serves a connection that was made elsewhere, such as on a simulated network.
    ///
    /// # Errors
    /// `ConnectionRefused` while the member is stopped or refuses connections.
    pub fn serve<S>(&self, member: usize, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let gate = self.shared.gates.get(member);
        if !gate.is_some_and(|gate| gate.get().listens()) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let shared = self.shared.clone();
        self.runtime.spawn(connection::serve(
            Foreign(stream),
            shared,
            member,
            Peer::Memory,
        ));
        Ok(())
    }

    /// What can go wrong with all members.
    pub fn faults(&self) -> Faults {
        Faults::new(self.shared.clone(), (0..self.shared.gates.len()).collect())
    }

    /// What can go wrong with one member, counted from 0.
    pub fn member(&self, member: usize) -> Faults {
        Faults::new(self.shared.clone(), vec![member])
    }

    /// Number of members.
    pub fn member_count(&self) -> usize {
        self.shared.gates.len()
    }

    /// The member that leads, counted from 0.
    pub fn leader(&self) -> usize {
        self.shared.look(|inner| inner.state.leader())
    }

    /// Elects another leader: every connection is closed, zxids go on in the next epoch.
    pub fn change_leader(&self) {
        self.shared.with(|inner| inner.state.change_leader(now()));
    }

    /// Cuts members, counted from 0, off from the others; those without a quorum become read-only.
    /// A server alone becomes read-only when it is named. An empty list heals everything.
    pub fn partition(&self, apart: &[usize]) {
        self.shared.with(|inner| inner.apart = apart.to_vec());
        self.shared.regroup();
    }

    /// Cuts a member, counted from 0, off from the leader without its noticing; or brings it back,
    /// upon which it closes its connections.
    ///
    /// Meanwhile it answers pings and reads, as a real server does for up to its `syncLimit`, but the
    /// leader does not learn of its clients, nor of what they sent since it last asked, which it does
    /// every half tick: their sessions may end. Writes, `sync` and handshakes are not answered, nor is
    /// what follows a write in its session. Nothing happens to the leader, which cannot be cut off from
    /// itself, nor to a follower without which the leader has no quorum: for a leader that has lost its
    /// quorum see [`depose_leader`](Self::depose_leader).
    pub fn set_astray(&self, member: usize, astray: bool) {
        self.shared
            .with(|inner| inner.state.set_astray(now(), member, astray));
        self.shared.clock.notify_one();
    }

    /// Cuts the leader and some of its followers, counted from 0, off from the other members without
    /// the cut-off side's noticing. The others elect a new leader at once, which gives every session
    /// its whole timeout from now on, ends sessions and commits writes. False, without any effect, if
    /// the others are no majority, or there is a deposed leader already.
    ///
    /// The deposed leader and its followers go on answering pings and reads, each from what it has. A
    /// session is resumed from the deposed leader's own list, also by a client that comes from the
    /// other side, unless that client has seen a later zxid. What needs a transaction is never answered:
    /// writes, refused ones too, new sessions, the end of a session; nor is what follows in the same
    /// session. `sync` is answered to the deposed leader's own clients, and to its followers' until
    /// something has been proposed. A session that has not been seen on this side for its timeout is
    /// reported as expired by this side, although it may live on the other.
    ///
    /// The side notices after [`sync_limit`](Builder::sync_limit) ticks, or by
    /// [`notice_deposition`](Self::notice_deposition): it closes its connections and is read-only. A
    /// [frozen](Faults::freeze) leader notices a tick after it goes on, at the earliest.
    /// [`heal`](Self::heal) discards what the side has proposed.
    pub fn depose_leader(&self, followers: &[usize]) -> bool {
        let deposed = self.shared.with(|inner| {
            let leader = inner.state.leader();
            let deposed = inner.state.depose_leader(now(), followers);
            if deposed {
                inner.apart.push(leader);
                inner.apart.extend_from_slice(followers);
            }
            deposed
        });
        self.shared.clock.notify_one();
        deposed
    }

    /// Lets the side of a [deposed leader](Self::depose_leader) notice at once that it is cut off. It
    /// stays cut off.
    pub fn notice_deposition(&self) {
        self.shared.with(|inner| inner.state.notice_deposition());
    }

    /// The leader that has been [deposed](Self::depose_leader) and has not noticed, counted from 0.
    pub fn deposed_leader(&self) -> Option<usize> {
        self.shared.look(|inner| inner.state.deposed_leader())
    }

    /// Ends every [partition](Self::partition), that of a [deposed leader](Self::depose_leader) too:
    /// members that were without a quorum close their connections and take the leader's state over.
    pub fn heal(&self) {
        self.partition(&[]);
    }

    /// Makes a member, counted from 0, lag behind the leader or catch up.
    ///
    /// One that lags answers reads from what it has; a write or a `sync` sent to it makes it catch
    /// up first, and then lag again. The leader cannot lag.
    pub fn set_lag(&self, member: usize, lags: bool) {
        self.shared.with(|inner| inner.state.set_lag(member, lags));
    }

    /// Closes the ports and every connection. The nodes stay, and time stands still for sessions,
    /// until [`start_again`](Self::start_again).
    ///
    /// # Cancel safety
    /// Dropping the future stops the server all the same; only nobody waits for it.
    pub async fn stop(&self) {
        self.faults().stop();
        for gate in &self.shared.gates {
            listener::closed(gate).await;
        }
    }

    /// Goes on after [`stop`](Self::stop), on the same ports. Sessions get their whole timeout
    /// again, or, with `keep_sessions` false, have all ended.
    ///
    /// # Errors
    /// When a port cannot be had any more.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the server started.
    pub async fn start_again(&self, keep_sessions: bool) -> io::Result<()> {
        self.shared
            .with(|inner| inner.state.restart(now(), keep_sessions));
        self.faults().run();
        self.opened().await
    }

    /// [`stop`](Self::stop) and [`start_again`](Self::start_again).
    ///
    /// # Errors
    /// When a port cannot be had any more.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the server stopped.
    pub async fn restart(&self, keep_sessions: bool) -> io::Result<()> {
        self.stop().await;
        self.start_again(keep_sessions).await
    }

    /// Waits until every port that should be open is.
    async fn opened(&self) -> io::Result<()> {
        if !self.addresses.is_empty() {
            for gate in &self.shared.gates {
                listener::opened(gate).await?;
            }
        }
        Ok(())
    }

    /// Loses everything: no nodes, no sessions, zxid 0. Clients that have seen more are turned away
    /// from then on.
    pub fn wipe(&self) {
        self.shared.with(|inner| inner.state.wipe(now()));
        self.shared.clock.notify_one();
    }

    /// The nodes, the sessions and the last zxid, as a backup of the leader's data has them.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.look(|inner| inner.state.snapshot())
    }

    /// Goes back to a [`snapshot`](Self::snapshot) of this server, as after a restore from a backup:
    /// every connection is closed, and what was written since is gone. A server alone goes on with the
    /// snapshot's zxid, and turns clients away that have seen a later one; an ensemble begins the epoch
    /// after the snapshot's, as after the election that follows a restart. Sessions that began after the
    /// snapshot do not exist; the snapshot's own get their whole timeout, or, with `keep_sessions`
    /// false, have all ended. The snapshot stays as it is, and can be restored again.
    pub fn restore_snapshot(&self, snapshot: &Snapshot, keep_sessions: bool) {
        self.shared
            .with(|inner| inner.state.restore_snapshot(now(), snapshot, keep_sessions));
        self.shared.clock.notify_one();
    }

    /// Is restored from a backup: loses everything, and has what persists back as `edit` leaves it,
    /// paths and their data, before any client is back. Zxids and the numbers of sequential nodes
    /// start over, and no session is known. Clients that have seen more are turned away until their
    /// sessions are over.
    pub fn restore(&self, edit: impl FnOnce(&mut BTreeMap<String, Bytes>)) {
        self.shared.with(|inner| inner.state.restore(now(), edit));
        self.shared.clock.notify_one();
    }

    /// A node, as the leader has it.
    pub fn node(&self, path: &str) -> Option<NodeInfo> {
        self.shared.look(|inner| inner.state.node(path))
    }

    /// The paths of all nodes, sorted.
    pub fn paths(&self) -> Vec<String> {
        self.shared.look(|inner| inner.state.paths())
    }

    /// The sessions, sorted by id.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.shared.look(|inner| inner.state.sessions())
    }

    /// Watches of all clients.
    pub fn watch_counts(&self) -> WatchCounts {
        self.shared.look(|inner| inner.state.watch_counts())
    }

    /// Watches of all clients on one path.
    pub fn watches_on(&self, path: &str) -> WatchCounts {
        self.shared.look(|inner| inner.state.watches_on(path))
    }

    /// Open connections.
    pub fn connection_count(&self) -> usize {
        self.shared.look(|inner| inner.state.connection_count())
    }

    /// The last transaction, refused ones included.
    pub fn zxid(&self) -> Zxid {
        self.shared.look(|inner| inner.state.zxid())
    }

    /// The transactions after `zxid`, in order, as far back as [`Builder::log_limit`] goes.
    pub fn log_after(&self, zxid: Zxid) -> Vec<Arc<Txn>> {
        self.shared.look(|inner| inner.state.log_after(zxid))
    }

    /// Sets the next sequence number of a node's children, so that a test can see it overflow;
    /// whether there is such a node.
    pub fn set_next_sequence(&self, path: &str, next: i32) -> bool {
        self.shared
            .with(|inner| inner.state.set_next_sequence(path, next))
    }

    /// Counts a session's client as silent for `by` longer than it was, as if only for this session
    /// time had passed; whether there was such a session. It ends now if its timeout is over by that.
    pub fn age_session(&self, session: SessionId, by: Duration) -> bool {
        self.shared
            .with(|inner| inner.state.age_session(now(), session, by))
    }

    /// Ends a session as if its time were over; whether there was one. Without a quorum only the
    /// sessions of read-only members can end.
    pub fn expire_session(&self, session: SessionId) -> bool {
        self.faults().expire_session(session)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.faults().stop();
    }
}

/// Options of a [`Server`].
#[derive(Debug, Clone)]
#[must_use = "nothing is started before `start`"]
pub struct Builder {
    options: Options,
    addresses: Option<Vec<SocketAddr>>,
    sockets: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            options: Options::default(),
            addresses: None,
            sockets: true,
        }
    }
}

impl Builder {
    /// All options at once; those without a method here are set in them.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The server that it imitates; Apache ZooKeeper 3.9 by default.
    pub fn pose(mut self, pose: Pose) -> Self {
        self.options.pose = pose;
        self
    }

    /// The number of members of an ensemble, up to 255; 1 by default.
    pub fn members(mut self, members: usize) -> Self {
        self.options.members = members.clamp(1, 255);
        self
    }

    /// How many of the members, the last ones, are observers: they serve clients and follow without a
    /// vote. None by default; at least one member has a vote.
    pub fn observers(mut self, observers: usize) -> Self {
        self.options.observers = observers;
        self
    }

    /// The members of an ensemble as the `server.N=…` lines of a configuration name them: their numbers
    /// up to 255, their roles, and the ports for other servers, which no member opens. Where clients
    /// reach them is what [`listen`](Self::listen) says. One line, or none, is a server alone.
    pub fn servers(mut self, servers: impl Into<Vec<config::Server>>) -> Self {
        self.options.servers = servers.into();
        self
    }

    /// Whether an ensemble executes `reconfig` (`reconfigEnabled`); not by default. The caller needs
    /// write permission on `/zookeeper/config`, which only the [superuser](Self::super_digest) has.
    ///
    /// A reconfiguration changes the text of `/zookeeper/config`, which members vote and which may
    /// lead; it starts and stops no member and moves no port. A server that joins under a member's
    /// number is that member, under any other number it is a server that is down. A member that was
    /// removed goes on serving clients without a vote, as an Apache server does until it is stopped;
    /// [`Faults::stop`] stops it. Members that become observers or cease to be some, and all members
    /// if another one has to lead, close their connections, after the reply.
    pub fn reconfig_enabled(mut self, enabled: bool) -> Self {
        self.options.reconfig_enabled = enabled;
        self
    }

    /// The unit of session timeouts, 2 s by default. They are granted between 2 and 20 ticks.
    pub fn tick(mut self, tick: Duration) -> Self {
        self.options.tick = tick;
        self
    }

    /// After how many ticks a [deposed leader](Server::depose_leader) and its followers notice that
    /// they are cut off; 5 by default, as in the configuration that Apache ships.
    pub fn sync_limit(mut self, ticks: u32) -> Self {
        self.options.sync_limit = ticks;
        self
    }

    /// The session timeouts granted, instead of 2 to 20 ticks.
    pub fn session_timeouts(mut self, min: Duration, max: Duration) -> Self {
        self.options.min_session_timeout = Some(min);
        self.options.max_session_timeout = Some(max);
        self
    }

    /// The longest frame accepted, in bytes; 1,048,575 by default.
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.options.max_frame = bytes;
        self
    }

    /// How often containers and nodes with a time to live are looked at; every minute by default.
    pub fn container_check_interval(mut self, interval: Duration) -> Self {
        self.options.container_check_interval = interval;
        self
    }

    /// The digest id that may do everything, as [`zk_proto::digest_id`] makes it.
    pub fn super_digest(mut self, id: impl Into<String>) -> Self {
        self.options.super_digest = Some(id.into());
        self
    }

    /// Whether members without a quorum serve reads; they do by default.
    pub fn read_only_mode(mut self, enabled: bool) -> Self {
        self.options.read_only_mode = enabled;
        self
    }

    /// Whether hard quotas are enforced; not by default, as on a real server.
    pub fn enforce_quota(mut self, enforce: bool) -> Self {
        self.options.enforce_quota = enforce;
        self
    }

    /// Where the times in stats come from.
    pub fn wall_clock(mut self, clock: WallClock) -> Self {
        self.options.wall_clock = clock;
        self
    }

    /// The deletion of a child leaves its parent's `pzxid` as it was, in any pose; ClickHouse Keeper
    /// always does that.
    pub fn keep_pzxid(mut self, keep: bool) -> Self {
        self.options.keeps_pzxid = keep;
        self
    }

    /// How many of the last transactions are kept for inspection; 10,000 by default.
    pub fn log_limit(mut self, limit: usize) -> Self {
        self.options.log_limit = limit;
        self
    }

    /// Where the members listen, in their order; a free port of 127.0.0.1 for those not named.
    pub fn listen(mut self, addresses: impl Into<Vec<SocketAddr>>) -> Self {
        self.addresses = Some(addresses.into());
        self
    }

    /// No sockets: connections are made with [`Server::connect_in_memory`] only. Such a server
    /// needs no I/O driver.
    pub fn in_memory(mut self) -> Self {
        self.sockets = false;
        self
    }

    /// Starts the server in the current runtime.
    ///
    /// # Errors
    /// When an address cannot be had.
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing.
    pub async fn start(self) -> io::Result<Server> {
        let count = self.options.member_count();
        let mut listeners = Vec::new();
        if self.sockets {
            for member in 0..count {
                let named = self
                    .addresses
                    .as_ref()
                    .and_then(|all| all.get(member).copied());
                let address = named.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
                listeners.push(TcpListener::bind(address).await?);
            }
        }
        let addresses: io::Result<Vec<_>> = listeners.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses?;
        let mut state = State::new(self.options, now());
        state.set_addresses(now(), &addresses);
        let shared = Arc::new(Shared::new(state, self.sockets));
        let mut tasks = vec![tokio::spawn(run_clock(shared.clone()))];
        for (member, listener) in listeners.into_iter().enumerate() {
            if let Some(gate) = shared.gates.get(member).cloned() {
                tasks.push(tokio::spawn(listener::run(
                    listener,
                    gate,
                    shared.clone(),
                    member,
                )));
            }
        }
        let server = Server {
            shared,
            addresses,
            tasks,
            runtime: Handle::current(),
        };
        server.opened().await?;
        Ok(server)
    }
}
