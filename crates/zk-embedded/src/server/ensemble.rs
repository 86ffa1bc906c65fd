//! Elections, partitions and lag.

use super::handle::Server;
use crate::net::shared::now;

impl Server {
    /// The member that leads, counted from 0.
    pub fn leader(&self) -> usize {
        self.shared.look(|inner| inner.state.leader())
    }

    /// Elects another leader: every connection is closed, and zxids continue in the next epoch.
    pub fn change_leader(&self) {
        self.shared.with(|inner| inner.state.change_leader(now()));
    }

    /// Cuts members, counted from 0, off from the others. Members without a quorum become read-only. A
    /// server without other members becomes read-only if the list has its number. An empty list ends
    /// every partition.
    pub fn partition(&self, apart: &[usize]) {
        self.shared.with(|inner| inner.apart = apart.to_vec());
        self.shared.regroup();
    }

    /// Cuts a follower, counted from 0, off from the leader. The follower does not notice until it
    /// [rejoins](Self::rejoin_leader).
    ///
    /// Meanwhile the follower answers pings and reads, as a real server does for up to its `syncLimit`.
    /// The leader does not learn that the follower's clients are alive, nor what they sent since it last
    /// polled the follower, which it does every half tick, so their sessions may end. The follower does not answer
    /// writes, `sync`, handshakes, or requests that follow a write in the same session.
    ///
    /// No effect on the leader itself, nor on a follower without which the leader has no quorum. For a
    /// leader that has lost its quorum see [`depose_leader`](Self::depose_leader).
    pub fn isolate_from_leader(&self, member: usize) {
        self.shared
            .with(|inner| inner.state.isolate_from_leader(now(), member));
        self.shared.clock.notify_one();
    }

    /// Ends the [isolation](Self::isolate_from_leader) of a member: it applies what it missed and
    /// closes its connections.
    pub fn rejoin_leader(&self, member: usize) {
        self.shared.with(|inner| inner.state.rejoin_leader(member));
        self.shared.clock.notify_one();
    }

    /// Cuts the leader and some of its followers, counted from 0, off from the other members, without
    /// that side noticing. The other members elect a new leader at once, which restarts the timeout of
    /// every session, ends sessions and commits writes. Returns false, without any effect, if the others
    /// are no majority, or if there is a deposed leader already.
    ///
    /// The deposed leader and its followers answer pings and reads from their own state. The deposed
    /// leader resumes sessions from its own list, also for a client that comes from the other side,
    /// unless that client has seen a later zxid. Requests that need a transaction are never answered
    /// (writes, also those that would be refused, new sessions, the end of a session), nor are requests
    /// that follow one of these in the same session. `sync` is answered to the deposed leader's own
    /// clients, and to its followers' clients until the first proposal. A session of which this side has
    /// received nothing for its timeout is reported as expired by this side, although it may be alive on
    /// the other.
    ///
    /// The side notices after [`sync_limit`](crate::ServerBuilder::sync_limit) ticks, or on
    /// [`notice_deposition`](Self::notice_deposition): it closes its connections and is read-only. A
    /// [frozen](crate::Faults::freeze) leader notices a tick after it is thawed, at the earliest.
    /// [`heal`](Self::heal) discards the proposals of the side.
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

    /// Lets the side of a [deposed leader](Self::depose_leader) notice now that it is cut off. The side
    /// stays cut off.
    pub fn notice_deposition(&self) {
        self.shared.with(|inner| inner.state.notice_deposition());
    }

    /// The leader that was [deposed](Self::depose_leader) and has not noticed, counted from 0.
    pub fn deposed_leader(&self) -> Option<usize> {
        self.shared.look(|inner| inner.state.deposed_leader())
    }

    /// Ends every [partition](Self::partition), also that of a [deposed leader](Self::depose_leader):
    /// members that were without a quorum close their connections and copy the leader's state.
    pub fn heal(&self) {
        self.partition(&[]);
    }

    /// Makes a member, counted from 0, lag behind the leader or catch up.
    ///
    /// A member that lags answers reads from its own, older state. Before a write or a `sync` of its
    /// own clients it catches up, and lags again afterwards. The leader cannot lag.
    pub fn set_lag(&self, member: usize, lags: bool) {
        self.shared.with(|inner| inner.state.set_lag(member, lags));
    }
}
