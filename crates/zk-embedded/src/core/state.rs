//! The state of a server, and its changes with time.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use zk_proto::config::EnsembleConfig;
use zk_proto::{ErrorCode, OpCode, SessionId, Xid, Zxid};

use crate::core::connection::{Connection, ConnectionId, Peer};
use crate::core::connections::Connections;
use crate::core::ensemble::deposed_side::DeposedSide;
use crate::core::ensemble::initial_config::initial_config;
use crate::core::ensemble::member::{Contact, Member};
use crate::core::output::Output;
use crate::core::pose::behaviour::{AclRules, Handshake};
use crate::core::requests::prepare::Preparation;
use crate::core::session::SessionTable;
use crate::core::tree::Applied;
use crate::core::tree::acl;
use crate::core::tree::txn::{Change, Log, Txn};
use crate::options::{Options, WallClock, millis_u64};

/// A server, or an ensemble of them, without its sockets and its clock.
///
/// Connections are [opened](Self::open), fed [frames](Self::handle_frame) without their length
/// prefix, and emptied with [`poll_ready`](Self::poll_ready) and
/// [`take_output`](Self::take_output). Time passes when [`handle_timeout`](Self::handle_timeout) is
/// called, which must happen at [`poll_timeout`](Self::poll_timeout) at the latest.
#[derive(Debug)]
pub struct State {
    pub(crate) options: Options,
    pub(super) start: Instant,
    pub(super) members: Vec<Member>,
    pub(super) leader: usize,
    /// The servers with their roles; empty for a server without other members.
    pub(super) config: EnsembleConfig,
    pub(super) deposed: Option<DeposedSide>,
    /// The last transaction, refused ones included.
    pub(super) zxid: i64,
    pub(super) sessions: SessionTable,
    pub(super) connections: Connections,
    pub(super) next_connection: u64,
    pub(super) log: Log,
    /// When containers and expired nodes are deleted next, in milliseconds since the start.
    next_reap: u64,
    pub(super) throttled: u32,
}

/// An empty table. Its session ids are made as the imitated server makes them.
pub(super) fn new_sessions(options: &Options, seed: u64, server_id: u8) -> SessionTable {
    let (seed, server_id) = match options.behaviour().handshake {
        Handshake::Apache => (seed, server_id),
        Handshake::Keeper => (0, 0),
    };
    SessionTable::new(millis_u64(options.tick), seed, server_id)
}

impl State {
    /// A server with an empty tree, started at `now`.
    pub fn new(options: Options, now: Instant) -> Self {
        let count = options.member_count();
        let members = (0..count).map(|index| Member::new(options.member_id(index), &options));
        let members: Vec<_> = members.collect();
        let server_id = members.first().map_or(0, |member| member.id);
        let mut state = Self {
            start: now,
            sessions: new_sessions(&options, options.session_seed, server_id),
            connections: Connections::new(options.max_pending_output),
            leader: 0,
            config: EnsembleConfig::default(),
            deposed: None,
            zxid: 0,
            next_connection: 1,
            log: Log::new(options.log_limit),
            next_reap: millis_u64(options.container_check_interval),
            throttled: 0,
            members,
            options,
        };
        if count > 1 {
            let config = initial_config(&state.options, &[]);
            state.set_config(now, &config);
            let last = (0..count).rfind(|&index| state.votes(index));
            state.leader = last.unwrap_or_default();
            state.begin_epoch(1);
        }
        state
    }

    /// Opens a connection to a member, counted from 0. `None` if there is no such member, if it serves
    /// no clients, or if the peer's address has reached its limit of connections.
    pub fn open(&mut self, now: Instant, member: usize, peer: Peer) -> Option<ConnectionId> {
        let serving = !self.members.get(member)?.is_read_only() || self.options.read_only_mode;
        if !serving || self.has_too_many(member, peer) {
            return None;
        }
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let mut connection = Connection::new(member, peer, now, self.wall(now));
        if self.options.behaviour().acls != AclRules::Apache {
            connection.auth.clear();
        }
        if self.options.skip_acl {
            connection.authenticate(acl::unchecked());
        }
        self.connections.all.insert(id, connection);
        Some(id)
    }

    fn has_too_many(&self, member: usize, peer: Peer) -> bool {
        let max = self.options.max_client_connections;
        let same = |connection: &&Connection| {
            connection.member == member && connection.peer.ip() == peer.ip()
        };
        max > 0 && self.connections.all.values().filter(same).count() >= max
    }

    /// Takes a frame, without its length prefix.
    pub fn handle_frame(&mut self, now: Instant, id: ConnectionId, frame: &bytes::Bytes) {
        let Some(connection) = self.connections.all.get_mut(&id) else {
            return;
        };
        if connection.closing {
            return;
        }
        connection.stats.traffic.received += 1;
        connection.stats.last_seen = now;
        match connection.session {
            None => self.handshake(now, id, frame),
            Some(session) => self.request(now, id, session, frame),
        }
        if let Some(connection) = self.connections.all.get(&id)
            && !connection.output.is_empty()
        {
            self.connections.mark(id);
            self.connections.close_if_overfull(id);
        }
    }

    /// Removes a connection that was closed. Its session stays.
    pub fn handle_disconnect(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.all.remove(&id) {
            if let Some(member) = self.members.get_mut(connection.member) {
                member.forget(id);
                member.traffic = member.traffic.plus(connection.stats.traffic);
            }
            if let Some(session) = connection.session
                && let Some(session) = self.sessions_of(connection.member).get_mut(session)
                && session.owner == Some(id)
            {
                session.owner = None;
            }
        }
    }

    /// Does what is due at `now`: sessions expire, containers and nodes past their time to live are
    /// deleted.
    pub fn handle_timeout(&mut self, now: Instant) {
        let elapsed = self.elapsed(now);
        let led = self.has_quorum(self.leader);
        while let Some(session) = self.sessions.expired(elapsed, led) {
            self.end_session(now, session, 0);
        }
        self.deposed_timeout(elapsed);
        if elapsed >= self.next_reap {
            self.reap(now);
            let interval = millis_u64(self.options.container_check_interval).max(1);
            self.next_reap = elapsed + interval;
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    pub fn poll_timeout(&self) -> Instant {
        let led = self.has_quorum(self.leader);
        let next = self.sessions.next_expiry(led).unwrap_or(u64::MAX);
        let next = next.min(self.next_reap).min(self.next_deposed_timeout());
        self.start + Duration::from_millis(next)
    }

    /// The next connection that has output or must be closed. A connection is returned once per change.
    pub fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.connections.next_ready()
    }

    /// Takes the output of a connection, and whether to close it afterwards. An unknown connection must
    /// be closed.
    pub fn take_output(&mut self, id: ConnectionId) -> (Output, bool) {
        match self.connections.all.get_mut(&id) {
            Some(connection) => (std::mem::take(&mut connection.output), connection.closing),
            None => (Output::default(), true),
        }
    }

    /// Bytes of output that wait on a connection.
    pub fn pending_output(&self, id: ConnectionId) -> usize {
        let connection = self.connections.all.get(&id);
        connection.map_or(0, |connection| connection.output.len())
    }

    /// The session of a connection, once it has one.
    pub fn session_of(&self, id: ConnectionId) -> Option<SessionId> {
        self.connections.all.get(&id)?.session.map(SessionId)
    }

    /// The open connections of a session.
    pub fn connections_of(&self, session: SessionId) -> Vec<ConnectionId> {
        let all = self.connections.all.iter();
        let found = all.filter(|(_, c)| c.session == Some(session.0) && !c.closing);
        found.map(|(&id, _)| id).collect()
    }

    /// Closes a connection.
    pub fn disconnect(&mut self, id: ConnectionId) {
        self.connections.close(id);
    }

    /// The transactions after `zxid` that the log still has, in order.
    pub fn log_after(&self, zxid: Zxid) -> Vec<Arc<Txn>> {
        self.log.after(zxid)
    }

    /// Ends a session as if its timeout were over. False if there is no such session. Without a quorum
    /// only the sessions of read-only members can end.
    pub fn expire_session(&mut self, now: Instant, session: SessionId) -> bool {
        let led = self.has_quorum(self.leader);
        let known = self.sessions.get(session.0);
        let ends = known.is_some_and(|session| led || session.local.is_some());
        if ends {
            self.end_session(now, session.0, 0);
        }
        ends
    }

    /// Lets time pass for one session, as if its client had sent nothing for `by` longer. Returns whether
    /// there is such a session.
    pub fn age_session(&mut self, now: Instant, session: SessionId, by: Duration) -> bool {
        let aged = self.sessions.age(session.0, millis_u64(by));
        self.handle_timeout(now);
        aged
    }

    /// Refuses the next `requests` requests with `ThrottledOp`, without executing them. Pings, logins and the end
    /// of a session pass.
    pub fn throttle(&mut self, requests: u32) {
        self.throttled = requests;
    }

    pub(super) fn elapsed(&self, now: Instant) -> u64 {
        millis_u64(now.saturating_duration_since(self.start))
    }

    pub(super) fn wall(&self, now: Instant) -> i64 {
        let millis = match self.options.wall_clock {
            WallClock::From(start) => {
                return start.saturating_add_unsigned(self.elapsed(now));
            }
            WallClock::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, millis_u64),
        };
        i64::try_from(millis).unwrap_or(i64::MAX)
    }

    /// Ends a session: deletes its ephemeral nodes and closes its connections. `xid` is that of its
    /// `closeSession`, 0 if the session ends otherwise. Returns the zxid of the transaction, if the end
    /// needs one.
    pub(super) fn end_session(&mut self, now: Instant, session: i64, xid: Xid) -> Option<Zxid> {
        let ended = self.sessions.remove(session)?;
        let zxid = if ended.local.is_none() {
            let tree = self.members.get(self.leader).map(|leader| &leader.tree);
            let ephemerals = tree.map(|tree| {
                let created = |path| tree.get(path).map_or(0, |node| node.czxid);
                let paths = tree.ephemerals(session);
                let mut all: Vec<(i64, Box<str>)> =
                    paths.map(|path| (created(path), path.into())).collect();
                // By creation and not by name: random names must not change a seeded run.
                all.sort_unstable();
                all
            });
            let paths = ephemerals.unwrap_or_default().into_iter();
            let changes = paths.map(|(_, path)| Change::Delete { path });
            let changes = Ok(changes.collect());
            let txn = self.txn(now, session, xid, OpCode::CloseSession, changes);
            self.commit(txn, None);
            Some(Zxid(self.zxid))
        } else {
            None
        };
        let of_session = |connection: &Connection| connection.session == Some(session);
        let connections = self.connections.all.iter();
        let connections = connections.filter(|(_, c)| of_session(c) && !c.closing);
        // The commit does not reach a member that is out of contact with the leader.
        let out_of_contact =
            |member| matches!(self.contact(member), Contact::Lost | Contact::Deposed);
        let connections = connections.filter(|(_, c)| !out_of_contact(c.member));
        let ids: Vec<_> = connections.map(|(&id, _)| id).collect();
        for id in ids {
            // A connection that waits for the reply to its `closeSession` is closed after the reply.
            if xid == 0
                || self
                    .connections
                    .all
                    .get(&id)
                    .is_none_or(|c| c.output.is_empty())
            {
                self.connections.close(id);
            }
        }
        zxid
    }

    /// The next transaction.
    pub(super) fn txn(
        &mut self,
        now: Instant,
        session: i64,
        xid: Xid,
        op: OpCode,
        changes: Result<Vec<Change>, ErrorCode>,
    ) -> Txn {
        self.zxid += 1;
        let (changes, error) = match changes {
            Ok(changes) => (changes, None),
            Err(code) => (Vec::new(), Some(code)),
        };
        Txn {
            zxid: Zxid(self.zxid),
            time: self.wall(now),
            session: SessionId(session),
            xid,
            op,
            changes,
            error,
        }
    }

    /// Applies a transaction on every member that can apply it. Member `origin` catches up first; the
    /// results are those of this member.
    pub(super) fn commit(&mut self, txn: Txn, origin: Option<usize>) -> Vec<Applied> {
        let txn = Arc::new(txn);
        let mut results = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            if origin == Some(index) {
                member.catch_up(&mut self.connections);
                results = member.apply(&txn, &mut self.connections);
            } else if matches!(member.contact, Contact::None | Contact::Deposed) {
                // Such a member copies the leader's whole tree when it rejoins.
            } else if let Some(backlog) = member.backlog.as_mut() {
                backlog.push_back(txn.clone());
            } else {
                member.apply(&txn, &mut self.connections);
            }
        }
        self.log.push(txn);
        results
    }

    /// Deletes empty containers and nodes past their time to live.
    fn reap(&mut self, now: Instant) {
        let wall = self.wall(now);
        let Some(leader) = self.members.get(self.leader) else {
            return;
        };
        let never_used = self.options.container_max_never_used.map(millis_u64);
        let due = |path: &&str| {
            leader.tree.get(path).is_some_and(|node| {
                let age = u64::try_from(wall.saturating_sub(node.mtime)).unwrap_or_default();
                node.children.is_empty()
                    && match node.ttl() {
                        Some(ttl) => age > millis_u64(ttl),
                        None => node.creates > 0 || never_used.is_some_and(|max| age > max),
                    }
            })
        };
        let paths: Vec<Box<str>> = leader.tree.reapable().filter(due).map(Box::from).collect();
        for path in paths {
            let Some(leader) = self.members.get(self.leader) else {
                return;
            };
            let mut checks = Preparation::new(&leader.tree, &self.options, 0, &[], false);
            let change = checks.delete_container(&path).map(|change| vec![change]);
            let txn = self.txn(now, 0, 0, OpCode::DeleteContainer, change);
            self.commit(txn, None);
        }
    }
}
