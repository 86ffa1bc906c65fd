//! Which operations each server of a client was seen to have or to lack.
//!
//! A server that does not know an operation answers with an error, or closes the connection, or ends
//! the session as well. The client sends such an operation to a server once; what it learnt is kept as
//! long as the client lives.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zk_proto::{HostPort, OpCode};

use crate::session::abilities::op_set::OpSet;
use crate::session::failure::MAX_LOSSES;

/// Servers with an entry of their own. The sums over all servers are kept beyond that.
const MAX_SERVERS: usize = 64;

/// After so many connections in a row that a server closed when one operation was to be answered
/// next, the server counts as lacking that operation.
const MAX_CLOSES: u32 = 2;

/// A server: the hash of its name and, if the name has several addresses, of the address that was
/// dialled. A hash, because a process may have thousands of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerId(u64);

impl ServerId {
    pub(crate) fn of(host: Option<&HostPort>, address: Option<SocketAddr>) -> Self {
        let mut hasher = DefaultHasher::new();
        (host, address).hash(&mut hasher);
        ServerId(hasher.finish())
    }
}

/// What one server was seen to have and to lack. Of the other operations nothing is known.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    has: OpSet,
    lacks: OpSet,
}

impl Known {
    /// Adds what was seen. Returns what of `lacks` is new.
    fn add(&mut self, has: OpSet, lacks: OpSet) -> OpSet {
        let new = lacks.without(self.lacks);
        self.has = self.has.with(has).without(lacks);
        self.lacks = self.lacks.with(lacks).without(has);
        new
    }
}

/// An operation that may have cost the last connection.
#[derive(Debug)]
struct Suspect {
    server: ServerId,
    /// The operation that was to be answered next.
    next: OpSet,
    /// Connections in a row that were closed when `next` was to be answered next.
    closes: u32,
    /// The operations that the end of the session would be due to.
    ops: OpSet,
    /// When the last of these connections was closed.
    closed_at: Instant,
}

/// The operations that the servers of one client were seen to have or to lack.
#[derive(Debug, Default)]
pub(crate) struct ServerHistory {
    /// The server connected to last is the last.
    servers: Vec<(ServerId, Known)>,
    /// What any server of this client has shown that it has.
    had: OpSet,
    /// What any server of this client was found to lack.
    lacked: OpSet,
    suspect: Option<Box<Suspect>>,
    lacking: OpSet,
    having: OpSet,
}

impl ServerHistory {
    /// What the current server lacks. A server of which nothing is known is assumed to lack what
    /// another server lacks and none has shown to have.
    #[inline]
    pub(crate) fn lacking(&self) -> OpSet {
        self.lacking
    }

    /// Whether an answer to these operations adds nothing to what is known.
    pub(crate) fn is_settled(&self, ops: OpSet) -> bool {
        ops.without(self.having).is_empty() && self.suspect.is_none()
    }

    /// What the current server has shown that it has.
    #[inline]
    pub(crate) fn having(&self) -> OpSet {
        self.having
    }

    /// A connection to this server is open.
    pub(crate) fn handle_connected(&mut self, server: ServerId) {
        let known = match self.servers.iter().position(|(id, _)| *id == server) {
            Some(index) => self.servers.remove(index).1,
            None => Known::default(),
        };
        if self.servers.len() >= MAX_SERVERS {
            self.servers.remove(0);
        }
        // Exactly one more: most clients connect to one server, and a process may have thousands of
        // clients.
        self.servers.reserve_exact(1);
        self.servers.push((server, known));
        self.refresh();
    }

    /// Servers with an entry of their own.
    #[cfg(test)]
    pub(crate) fn servers(&self) -> usize {
        self.servers.len()
    }

    fn refresh(&mut self) {
        let known = self.current();
        let assumed = self.lacked.without(self.had);
        self.lacking = known.lacks.with(assumed.without(known.has));
        self.having = known.has;
    }

    fn current(&self) -> Known {
        self.servers
            .last()
            .map(|(_, known)| *known)
            .unwrap_or_default()
    }

    /// The current server has answered these operations; a refusal of another kind counts as well.
    pub(crate) fn handle_answered(&mut self, ops: OpSet) {
        self.learn(ops.with_twins(), OpSet::NONE);
        if self
            .suspect
            .as_ref()
            .is_some_and(|it| !it.next.with(it.ops).and(ops).is_empty())
        {
            self.suspect = None;
        }
    }

    /// The current server answers that it does not know these operations. Returns those of which this
    /// was not known before.
    pub(crate) fn handle_refused(&mut self, ops: OpSet) -> OpSet {
        let mut lacks = ops.with_twins();
        if ops.contains(OpCode::Create2) {
            // Then the server lacks all of version 3.5. ClickHouse Keeper, which may lack only some of
            // it, never answers like this.
            let as_new = OpSet::of_all(&[OpCode::RemoveWatches, OpCode::CheckWatches]);
            lacks = lacks.with(as_new.without(self.having));
        }
        self.learn(OpSet::NONE, lacks)
    }

    /// The current server answers that it does not know all operations of a transaction, which needs
    /// `ops`. Returns those of which this was not known before. If `ops` has several, the answer does
    /// not say which one the server lacks, so nothing is concluded for other servers.
    pub(crate) fn handle_refused_multi(&mut self, ops: OpSet) -> OpSet {
        if ops.is_single() {
            return self.handle_refused(ops);
        }
        let lacked = self.lacked;
        let new = self.handle_refused(ops);
        self.lacked = lacked;
        self.refresh();
        new
    }

    /// The current server has and lacks these operations. Returns what of `lacks` was not known before.
    pub(crate) fn learn(&mut self, has: OpSet, lacks: OpSet) -> OpSet {
        let Some((_, known)) = self.servers.last_mut() else {
            return OpSet::NONE;
        };
        let new = known.add(has, lacks);
        self.had = self.had.with(has);
        self.lacked = self.lacked.with(lacks);
        self.refresh();
        new
    }

    /// The current server has closed the connection. `next` is the operation that it had to answer
    /// next, `sent` the first of those in flight that it has not shown to have. Returns what the server
    /// lacks, if that is now known.
    ///
    /// A connection is also lost for other reasons. If any server of this client has the operation,
    /// one of these is assumed, until the connection was lost many times at the same operation. Closes
    /// that are further apart than `most_apart` count as unrelated.
    pub(crate) fn handle_closed(
        &mut self,
        now: Instant,
        most_apart: Duration,
        next: OpSet,
        sent: OpSet,
    ) -> OpSet {
        let before = (self.suspect.take())
            .filter(|it| now.saturating_duration_since(it.closed_at) <= most_apart);
        let sent = sent.without(self.had);
        let nothing = next.is_empty() && sent.is_empty();
        let Some((server, _)) = self.servers.last().filter(|_| !nothing) else {
            return OpSet::NONE;
        };
        let is_had = next.without(self.had).is_empty();
        let closes = match before {
            _ if next.is_empty() => 0,
            Some(it) if it.next == next && (!is_had || it.server == *server) => it.closes + 1,
            _ => 1,
        };
        self.suspect = Some(Box::new(Suspect {
            server: *server,
            next,
            closes,
            ops: sent,
            closed_at: now,
        }));
        let most = match next.contains(OpCode::SetWatches2) {
            // The client sends this by itself over every connection, and would never stop.
            true if is_had => MAX_LOSSES,
            false if is_had => u32::MAX,
            _ => MAX_CLOSES,
        };
        match closes >= most {
            true => self.convict(next),
            false => OpSet::NONE,
        }
    }

    /// A server answers that the session of the last connection is over, sooner than the leader can
    /// have ended it for its timeout. Returns what the server of that connection lacks, if this proves
    /// anything.
    pub(crate) fn handle_session_over(&mut self) -> OpSet {
        let ops = self.suspect.as_ref().map_or(OpSet::NONE, |it| it.ops);
        self.convict(ops.without(self.had))
    }

    /// The operations for which the last connection may have been closed.
    pub(crate) fn suspected(&self) -> OpSet {
        self.suspect.as_ref().map_or(OpSet::NONE, |it| it.ops)
    }

    /// The connection, or the session, has ended for another reason than an unknown operation.
    pub(crate) fn acquit(&mut self) {
        self.suspect = None;
    }

    fn convict(&mut self, ops: OpSet) -> OpSet {
        let Some(suspect) = self.suspect.take() else {
            return OpSet::NONE;
        };
        let lacks = ops.with_twins();
        let known = self
            .servers
            .iter_mut()
            .find(|(id, _)| *id == suspect.server);
        let new = match known {
            Some((_, known)) => known.add(OpSet::NONE, lacks),
            None => lacks,
        };
        self.lacked = self.lacked.with(lacks);
        self.refresh();
        new
    }
}
