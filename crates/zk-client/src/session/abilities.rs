//! Which operations each server has, as far as its answers say.
//!
//! A server that does not know an operation answers with an error, or closes the connection, or ends
//! the session as well. It is asked for the operation once; what was learnt is remembered as long as
//! the client lives.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zk_proto::{HostPort, OpCode};

use crate::ops::retry::repetition::MAX_LOSSES;

/// Servers that are remembered one by one. The sums over all servers are kept beyond that.
const MAX_SERVERS: usize = 64;

/// After so many connections in a row that a server closed when one operation was to be answered
/// next, the server counts as lacking it.
const MAX_CLOSES: u32 = 2;

/// A set of operations that not every server has. The others are as old as the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OpSet(u16);

impl OpSet {
    pub(crate) const NONE: OpSet = OpSet(0);

    pub(crate) const ALL: OpSet = OpSet((1 << 12) - 1);

    /// The operation, if not every server has it.
    #[inline]
    pub(crate) const fn of(op: OpCode) -> Self {
        OpSet(match op {
            OpCode::Create2 => 1,
            OpCode::Reconfig => 1 << 1,
            OpCode::CheckWatches => 1 << 2,
            OpCode::RemoveWatches => 1 << 3,
            OpCode::CreateContainer => 1 << 4,
            OpCode::CreateTtl => 1 << 5,
            OpCode::MultiRead => 1 << 6,
            OpCode::GetEphemerals => 1 << 7,
            OpCode::GetAllChildrenNumber => 1 << 8,
            OpCode::SetWatches2 => 1 << 9,
            OpCode::AddWatch => 1 << 10,
            OpCode::WhoAmI => 1 << 11,
            _ => 0,
        })
    }

    pub(crate) fn of_all(ops: &[OpCode]) -> Self {
        ops.iter()
            .fold(OpSet::NONE, |set, op| set.with(OpSet::of(*op)))
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn is_single(self) -> bool {
        self.0.is_power_of_two()
    }

    /// What is in both.
    #[inline]
    pub(crate) fn and(self, other: OpSet) -> Self {
        OpSet(self.0 & other.0)
    }

    /// What is in either.
    pub(crate) fn with(self, other: OpSet) -> Self {
        OpSet(self.0 | other.0)
    }

    /// With those that came in one version with one of these, and are used together: what lacks one
    /// lacks the other.
    fn with_twins(self) -> Self {
        let twins = OpSet::of(OpCode::AddWatch).with(OpSet::of(OpCode::SetWatches2));
        match self.and(twins).is_empty() {
            true => self,
            false => self.with(twins),
        }
    }

    pub(crate) fn without(self, other: OpSet) -> Self {
        OpSet(self.0 & !other.0)
    }

    pub(crate) fn contains(self, op: OpCode) -> bool {
        !self.and(OpSet::of(op)).is_empty()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = OpCode> {
        OpCode::ALL
            .iter()
            .copied()
            .filter(move |op| self.contains(*op))
    }
}

/// A server, by the name it was given and the address it was reached at, if the name has several. A
/// hash of both, for there may be thousands of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerId(u64);

impl ServerId {
    pub(crate) fn of(host: Option<&HostPort>, address: Option<SocketAddr>) -> Self {
        let mut hasher = DefaultHasher::new();
        (host, address).hash(&mut hasher);
        ServerId(hasher.finish())
    }
}

/// What one server was seen to have and to lack. The rest is not known.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    has: OpSet,
    lacks: OpSet,
}

/// An operation that may have cost the last connection.
#[derive(Debug)]
struct Suspect {
    server: ServerId,
    /// What was to be answered next.
    next: OpSet,
    /// Connections in a row that were closed when it was to be answered next.
    closes: u32,
    /// What the end of the session would be due to.
    ops: OpSet,
    /// When the last of these connections was closed.
    closed_at: Instant,
}

/// What is known of the servers of one client.
#[derive(Debug, Default)]
pub(crate) struct Abilities {
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

impl Abilities {
    /// What the current server lacks. A server of which nothing is known is taken to lack what
    /// another one lacks and none has shown to have.
    #[inline]
    pub(crate) fn lacking(&self) -> OpSet {
        self.lacking
    }

    /// Whether an answer for these operations is no news.
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
        // Most clients know one, and there may be thousands of clients.
        self.servers.reserve_exact(1);
        self.servers.push((server, known));
        self.refresh();
    }

    /// How many servers are remembered one by one.
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

    /// The current server has answered these operations, be it with a refusal of another kind.
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

    /// The current server says that it does not know these operations. What of it is new.
    pub(crate) fn handle_refused(&mut self, ops: OpSet) -> OpSet {
        let mut lacks = ops.with_twins();
        if ops.contains(OpCode::Create2) {
            // All of version 3.5. Keeper, where only some are missing, answers nothing of the kind.
            let as_new = OpSet::of_all(&[OpCode::RemoveWatches, OpCode::CheckWatches]);
            lacks = lacks.with(as_new.without(self.having));
        }
        self.learn(OpSet::NONE, lacks)
    }

    /// The current server says that it does not know all operations of a transaction, which needs these.
    /// What of it is new. Of several it is not known which it is: nothing follows for other servers.
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

    /// The current server has these operations and lacks those. What of the latter is new.
    pub(crate) fn learn(&mut self, has: OpSet, lacks: OpSet) -> OpSet {
        let Some((_, known)) = self.servers.last_mut() else {
            return OpSet::NONE;
        };
        let new = learn(known, has, lacks);
        self.had = self.had.with(has);
        self.lacked = self.lacked.with(lacks);
        self.refresh();
        new
    }

    /// The current server has closed the connection. `next` is what it had to answer next, `sent` the
    /// first of the operations on their way that it has not shown to have. Says what it lacks, if
    /// that is now known.
    ///
    /// A connection is also lost for other reasons. Of what any server of this client has, this is
    /// taken for one of those, until it has happened again and again. Closes that are further apart than
    /// `most_apart` have nothing to do with each other.
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
            // The client itself sends it over every connection, and would do so for ever.
            true if is_had => MAX_LOSSES,
            false if is_had => u32::MAX,
            _ => MAX_CLOSES,
        };
        match closes >= most {
            true => self.convict(next),
            false => OpSet::NONE,
        }
    }

    /// A server says that the session of the last connection is over, sooner than the leader can have
    /// ended it for its timeout. Says what the server of that connection lacks, if this proves anything.
    pub(crate) fn handle_session_over(&mut self) -> OpSet {
        let ops = self.suspect.as_ref().map_or(OpSet::NONE, |it| it.ops);
        self.convict(ops.without(self.had))
    }

    /// The operations for which the last connection may have been closed.
    pub(crate) fn suspected(&self) -> OpSet {
        self.suspect.as_ref().map_or(OpSet::NONE, |it| it.ops)
    }

    /// The connection has ended for another reason, or the session has for another.
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
            Some((_, known)) => learn(known, OpSet::NONE, lacks),
            None => lacks,
        };
        self.lacked = self.lacked.with(lacks);
        self.refresh();
        new
    }
}

/// Adds to what is known of a server. What of `lacks` is new.
fn learn(known: &mut Known, has: OpSet, lacks: OpSet) -> OpSet {
    let new = lacks.without(known.lacks);
    known.has = known.has.with(has).without(lacks);
    known.lacks = known.lacks.with(lacks).without(has);
    new
}
