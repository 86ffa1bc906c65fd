//! The connections of a server, and the watch events that are sent on them.

use std::collections::{BTreeMap, VecDeque};

use bytes::BytesMut;
use zk_proto::{Encode, EventType, KeeperState, ReplyHeader, WatcherEvent, Zxid, xid};

use crate::core::connection::{Connection, ConnectionId};
use crate::core::output::Output;

/// The connections of a server, and a queue of those that have output or must be closed.
#[derive(Debug)]
pub(crate) struct Connections {
    /// Ordered, so that a change to several of them happens in the same order in every run.
    pub(crate) all: BTreeMap<ConnectionId, Connection>,
    ready: VecDeque<ConnectionId>,
    /// Limit of the bytes that wait for a client.
    max_pending: usize,
}

impl Connections {
    pub(crate) fn new(max_pending: usize) -> Self {
        Self {
            all: BTreeMap::new(),
            ready: VecDeque::new(),
            max_pending,
        }
    }

    /// Closes a connection whose client does not read.
    pub(crate) fn close_if_overfull(&mut self, id: ConnectionId) {
        if let Some(connection) = self.all.get_mut(&id)
            && connection.output.len() > self.max_pending
        {
            connection.output = Output::default();
            self.close(id);
        }
    }

    pub(crate) fn mark(&mut self, id: ConnectionId) {
        if let Some(connection) = self.all.get_mut(&id)
            && !connection.ready
        {
            connection.ready = true;
            self.ready.push_back(id);
        }
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        if let Some(connection) = self.all.get_mut(&id) {
            connection.closing = true;
            self.mark(id);
        }
    }

    pub(crate) fn next_ready(&mut self) -> Option<ConnectionId> {
        while let Some(id) = self.ready.pop_front() {
            if let Some(connection) = self.all.get_mut(&id) {
                connection.ready = false;
                return Some(id);
            }
        }
        None
    }

    /// Sends an event.
    pub(crate) fn notify(&mut self, id: ConnectionId, zxid: i64, kind: EventType, path: &str) {
        let Some(connection) = self.all.get_mut(&id).filter(|c| !c.closing) else {
            return;
        };
        connection.output.frame(|out| event(out, zxid, kind, path));
        connection.stats.traffic.sent += 1;
        self.mark(id);
        self.close_if_overfull(id);
    }
}

fn event(out: &mut BytesMut, zxid: i64, kind: EventType, path: &str) {
    ReplyHeader {
        xid: xid::NOTIFICATION,
        zxid: Zxid(zxid),
        err: 0,
    }
    .encode(out);
    WatcherEvent {
        kind,
        state: KeeperState::SyncConnected,
        path,
    }
    .encode(out);
}
