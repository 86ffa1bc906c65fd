//! Restarts, elections, lag, partitions.
//!
//! `member` is one member's state; `deposed` and `deposed_side` are about a leader that was deposed and
//! has not noticed; `reconfig` and `initial_config` are the configuration; `keeper_events` are the watch
//! events of ClickHouse Keeper.

mod deposed;
pub(crate) mod deposed_side;
pub(crate) mod initial_config;
mod keeper_events;
pub(crate) mod member;
pub(crate) mod reconfig;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use zk_proto::{Acl, OpCode, path};

use crate::core::ensemble::member::{Contact, Member};
use crate::core::state::{State, new_sessions};
use crate::core::tree::txn::Change;

impl State {
    /// Number of members.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// The member that leads, counted from 0.
    pub fn leader(&self) -> usize {
        self.leader
    }

    /// Whether a member is part of a quorum.
    pub fn has_quorum(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(Member::has_quorum)
    }

    /// Whether a member has noticed that it has no quorum.
    pub(crate) fn is_read_only(&self, member: usize) -> bool {
        self.members.get(member).is_none_or(Member::is_read_only)
    }

    /// Closes every connection to a member.
    pub fn disconnect_member(&mut self, member: usize) {
        let all = self.connections.all.iter();
        let ids: Vec<_> = all
            .filter(|(_, c)| c.member == member)
            .map(|(&id, _)| id)
            .collect();
        for id in ids {
            self.connections.close(id);
        }
    }

    /// Restarts the servers: every connection is closed. Sessions get their whole timeout again; with
    /// `keep_sessions` false they all end.
    pub fn restart(&mut self, now: Instant, keep_sessions: bool) {
        self.notice_deposition();
        for member in 0..self.members.len() {
            self.disconnect_member(member);
        }
        if keep_sessions {
            let elapsed = self.elapsed(now);
            self.sessions.renew_all(elapsed);
        } else {
            for id in self.sessions.ids() {
                self.end_session(now, id, 0);
            }
        }
    }

    /// Empties the server, as if its data directory were lost: no nodes, no sessions, zxid 0. Clients
    /// that have seen a later zxid are refused.
    pub fn wipe(&mut self, now: Instant) {
        for member in 0..self.members.len() {
            self.disconnect_member(member);
        }
        self.zxid = 0;
        self.log.truncate(zk_proto::Zxid(0));
        let server_id = self.members.first().map_or(0, |member| member.id);
        let seed = self
            .options
            .session_seed
            .wrapping_add(self.elapsed(now))
            .wrapping_add(1);
        self.sessions = new_sessions(&self.options, seed, server_id);
        self.deposed = None;
        for member in &mut self.members {
            let fresh = Member::new(member.id, &self.options);
            let gone = std::mem::replace(member, fresh);
            if gone.is_read_only() {
                member.contact = Contact::None;
            }
            member.client_port = gone.client_port;
            member.traffic = gone.traffic;
        }
        if self.members.len() > 1 {
            // Real servers keep the configuration in files of their own.
            self.publish_config(now);
            self.begin_epoch(1);
        }
    }

    /// Wipes the server, then creates the persistent nodes again with the paths and the data that `edit`
    /// leaves. Zxids and the numbers of sequential nodes start over; there are no sessions.
    pub fn restore(&mut self, now: Instant, edit: impl FnOnce(&mut BTreeMap<String, Bytes>)) {
        let mut backup = BTreeMap::new();
        let mut marks = HashMap::new();
        if let Some(leader) = self.members.get(self.leader) {
            let behaviour = self.options.behaviour();
            let is_ours = |path: &str| {
                path == "/" || path.starts_with("/zookeeper") || behaviour.is_reserved(path)
            };
            for (path, node) in leader.tree.paths().filter(|(path, _)| !is_ours(path)) {
                if node.owner == 0 || node.is_container() || node.ttl().is_some() {
                    backup.insert(path.to_owned(), node.data.clone().unwrap_or_default());
                    marks.insert(path.to_owned(), (node.owner, node.acl.clone()));
                }
            }
        }
        edit(&mut backup);
        self.wipe(now);
        let mut creates: HashMap<String, i32> = HashMap::new();
        // Parents come before their children.
        for (path, data) in backup {
            let parent = path::parent(&path).unwrap_or("/").to_owned();
            let creates = creates.entry(parent).or_default();
            *creates += 1;
            let (owner, acl) = match marks.remove(&path) {
                Some(marks) => marks,
                None => (0, Acl::open().into()),
            };
            let change = Change::Create {
                path: path.into(),
                data: Some(data),
                acl,
                owner,
                creates: *creates,
            };
            let txn = self.txn(now, 0, 0, OpCode::Create, Ok(vec![change]));
            self.commit(txn, None);
        }
    }

    /// Elects another leader: every connection is closed, and zxids continue in the next epoch. A
    /// server without other members elects itself.
    pub fn change_leader(&mut self, now: Instant) {
        let count = self.members.len();
        let candidates = (1..=count).map(|step| (self.leader + step) % count);
        let may_lead = |&index: &usize| self.has_quorum(index) && self.votes(index);
        let next = candidates.into_iter().find(may_lead);
        if let Some(next) = next {
            self.lead(now, next);
        }
    }

    pub(crate) fn lead(&mut self, now: Instant, leader: usize) {
        for index in 0..self.members.len() {
            if self.has_quorum(index) {
                self.disconnect_member(index);
            }
        }
        for member in self.members.iter_mut().filter(|member| member.has_quorum()) {
            member.catch_up(&mut self.connections);
        }
        if let Some(member) = self.members.get_mut(leader) {
            // A leader has no backlog.
            member.backlog = None;
        }
        self.leader = leader;
        let elapsed = self.elapsed(now);
        self.sessions.renew_all(elapsed);
        let epoch = zk_proto::Zxid(self.zxid).epoch();
        self.begin_epoch(epoch.saturating_add(1));
    }

    pub(crate) fn begin_epoch(&mut self, epoch: u32) {
        self.zxid = (u64::from(epoch) << 32).cast_signed();
        for member in self.members.iter_mut().filter(|member| member.has_quorum()) {
            member.zxid = self.zxid;
        }
    }

    /// Makes a member lag behind the leader, or catch up. A member that lags answers reads from its own,
    /// older state, and catches up before a write or a `sync` of its own clients. The leader cannot lag.
    pub fn set_lag(&mut self, member: usize, lags: bool) {
        if (member == self.leader && lags) || self.contact(member) != Contact::Quorum {
            return;
        }
        let Some(member) = self.members.get_mut(member) else {
            return;
        };
        if lags {
            member.backlog.get_or_insert_with(VecDeque::new);
        } else {
            member.catch_up(&mut self.connections);
            member.backlog = None;
        }
    }

    /// Cuts members off from the others. A side with more than half of the votes continues, with another
    /// leader if it lost its own. Members without a quorum close their connections and are read-only;
    /// without [`Options::read_only_mode`](crate::Options::read_only_mode) they serve no clients. An
    /// empty list ends every partition.
    pub fn partition(&mut self, now: Instant, apart: &[usize]) {
        self.regroup(now, apart, &[]);
    }

    /// As [`partition`](Self::partition), with stopped members, which are on neither side.
    pub(crate) fn regroup(&mut self, now: Instant, apart: &[usize], stopped: &[usize]) {
        let runs = |index: &usize| !stopped.contains(index);
        let reachable = |index: &usize| runs(index) && self.contact(*index) != Contact::Lost;
        let count = self.members.len();
        let is_quorum = |on_apart_side: bool| {
            let side = (0..count).filter(|index| apart.contains(index) == on_apart_side);
            self.is_majority(side.filter(reachable))
        };
        // A server without other members loses its quorum if it is in the list.
        let quorum = [false, true].map(|side| is_quorum(side) && !(count == 1 && side));
        let [_, apart_goes_on] = quorum;
        let cut_off = |index: &usize| !apart_goes_on && apart.contains(index) && runs(index);
        if self
            .deposed
            .as_ref()
            .is_some_and(|deposed| !cut_off(&deposed.leader))
        {
            self.deposed = None;
        }
        let led = self.has_quorum(self.leader);
        let source = self
            .members
            .get(self.leader)
            .map(|leader| leader.tree.clone());
        let mut changed = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            let [_, apart_side] = quorum;
            let has = runs(&index)
                && if apart.contains(&index) {
                    apart_side
                } else {
                    quorum[0]
                };
            let contact = match member.contact {
                Contact::Lost if has => Contact::Lost,
                Contact::Deposed if self.deposed.is_some() && cut_off(&index) => Contact::Deposed,
                _ if has => Contact::Quorum,
                _ => Contact::None,
            };
            if contact == member.contact {
                continue;
            }
            if has && let Some(tree) = &source {
                member.take_over(tree.clone(), self.zxid);
            }
            member.contact = contact;
            member.stuck.clear();
            changed.push((index, has));
        }
        for &(index, has) in &changed {
            self.disconnect_member(index);
            if has {
                self.end_local_sessions(now, index);
            }
        }
        if !led && self.has_quorum(self.leader) {
            // Without a leader the timeouts of sessions do not run.
            let elapsed = self.elapsed(now);
            self.sessions.renew_all(elapsed);
        }
        if !self.has_quorum(self.leader)
            && let Some(next) =
                (0..count).find(|&index| self.has_quorum(index) && self.votes(index))
        {
            // The new leader applies its backlog: a majority has agreed on it.
            self.lead(now, next);
        }
    }

    /// Cuts a follower off from the leader. The follower does not notice until it
    /// [rejoins](Self::rejoin_leader).
    ///
    /// Meanwhile the follower answers pings and reads from its own state. The leader does not learn
    /// that the follower's clients are alive, nor what they sent since it last polled the follower, which it does
    /// every half tick, so their sessions may end. The follower does not answer writes, `sync`,
    /// handshakes, or requests that follow a write in the same session. No effect on the leader
    /// itself, nor on a follower without which the leader has no quorum.
    pub fn isolate_from_leader(&mut self, now: Instant, member: usize) {
        let elapsed = self.elapsed(now);
        let others = (0..self.members.len()).filter(|&index| index != member);
        let enough = self.is_majority(others.filter(|&index| self.has_quorum(index)));
        let leads = member == self.leader;
        let Some(found) = self.members.get_mut(member) else {
            return;
        };
        if leads || !enough || !found.has_quorum() {
            return;
        }
        found.contact = Contact::Lost;
        found.backlog.get_or_insert_with(VecDeque::new);
        let served = self.connections.all.values();
        let served = served.filter(|connection| connection.member == member);
        let sessions: Vec<_> = served.filter_map(|connection| connection.session).collect();
        for session in sessions {
            self.sessions.untouch(elapsed, session);
        }
    }

    /// Ends the [isolation](Self::isolate_from_leader) of a member: it applies what it missed and
    /// closes its connections.
    pub fn rejoin_leader(&mut self, member: usize) {
        let Some(found) = self.members.get_mut(member) else {
            return;
        };
        if found.contact != Contact::Lost {
            return;
        }
        found.contact = Contact::Quorum;
        found.stuck.clear();
        found.catch_up(&mut self.connections);
        found.backlog = None;
        found.zxid = self.zxid;
        self.disconnect_member(member);
    }

    fn end_local_sessions(&mut self, now: Instant, index: usize) {
        for id in self.sessions.ids() {
            if self.sessions.get(id).and_then(|session| session.local) == Some(index) {
                self.end_session(now, id, 0);
            }
        }
    }

    /// Sets the next sequence number of a node's children on every member, so that a test can let it
    /// overflow. Returns whether there is such a node.
    pub fn set_next_sequence(&mut self, path: &str, next: i32) -> bool {
        let mut found = true;
        for member in &mut self.members {
            found &= member.tree.set_creates(path, next);
        }
        found
    }
}
