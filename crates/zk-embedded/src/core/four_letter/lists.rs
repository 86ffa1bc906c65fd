//! Four-letter words that list connections, sessions or watches.

use std::fmt::Write as _;

use crate::core::connection::{Connection, ConnectionId, Peer};
use crate::core::state::State;

impl State {
    /// The line about the connection on which the four-letter word arrived.
    pub(super) fn own_line(&self, peer: Peer) -> String {
        let peer = peer.text(ConnectionId(self.next_connection));
        format!(" {peer}[0](queued=0,recved=1,sent=0)\n")
    }

    pub(super) fn cons(&self, member: usize, peer: Peer) -> String {
        let lines = self.connection_lines(member, |number| format!("{number:#x}"));
        lines + &self.own_line(peer)
    }

    /// A line for each connection, with numbers written by `hex`.
    pub(crate) fn connection_lines(&self, member: usize, hex: fn(i64) -> String) -> String {
        let mut text = String::new();
        for (id, connection) in self.of_member(member) {
            text += &brief(id, connection);
            if let Some(session) = connection.session {
                let stats = &connection.stats;
                let timeout = self.sessions.get(session).map_or(0, |s| s.timeout_ms);
                let _ = write!(
                    text,
                    ",sid={},lop={},est={},to={timeout}",
                    hex(session),
                    stats.last_op,
                    stats.established,
                );
                if stats.last_xid >= 0 {
                    let _ = write!(text, ",lcxid={}", hex(stats.last_xid.into()));
                }
                let _ = write!(
                    text,
                    ",lzxid={},lresp=0,llat=0,minlat=0,avglat=0,maxlat=0",
                    hex(stats.last_zxid),
                );
            }
            text += ")\n";
        }
        text
    }

    pub(super) fn dump(&self, member: usize) -> String {
        let mut text = String::from("SessionTracker dump:\n");
        let count = self.sessions.buckets().count();
        let _ = writeln!(text, "Session Sets ({count})/({}):", self.sessions.len());
        for (expires, ids) in self.sessions.buckets() {
            let _ = writeln!(text, "{} expire at {expires} ms:", ids.len());
            for id in ids {
                let _ = writeln!(text, "\t{id:#x}");
            }
        }
        text += "ephemeral nodes dump:\n";
        if let Some(this) = self.members.get(member) {
            let owners = this.tree.ephemeral_owners().count();
            let _ = writeln!(text, "Sessions with Ephemerals ({owners}):");
            for (owner, paths) in this.tree.ephemeral_owners() {
                let _ = writeln!(text, "{owner:#x}:");
                for path in paths {
                    let _ = writeln!(text, "\t{path}");
                }
            }
        }
        let connections = self.of_member(member);
        let _ = writeln!(
            text,
            "Connections dump:\nConnections Sets (1)/({}):",
            connections.len()
        );
        for (id, connection) in connections {
            let session = connection.session.unwrap_or(0);
            let peer = connection.peer.text(id);
            let _ = writeln!(text, "\tip: {peer} sessionId: {session:#x}");
        }
        text
    }

    pub(super) fn wchs(&self, member: usize) -> String {
        let Some(this) = self.members.get(member) else {
            return String::new();
        };
        // Like the real server, this counts data watches only.
        format!(
            "{} connections watching {} paths\nTotal watches:{}\n",
            this.data.connection_count(),
            this.data.path_count(),
            this.data.len(),
        )
    }

    fn session_text(&self, id: ConnectionId) -> String {
        let connection = self.connections.all.get(&id);
        let session = connection.and_then(|connection| connection.session);
        format!("{:#x}", session.unwrap_or(0))
    }

    pub(super) fn wchp(&self, member: usize) -> String {
        let mut text = String::new();
        let tables = self.members.get(member).map(|member| &member.data);
        let mut paths: Vec<_> = tables.into_iter().flat_map(|t| t.by_path()).collect();
        paths.sort_unstable_by_key(|(path, _)| *path);
        for (path, watchers) in paths {
            let _ = writeln!(text, "{path}");
            for id in watchers {
                let _ = writeln!(text, "\t{}", self.session_text(id));
            }
        }
        text + "\n"
    }

    pub(super) fn wchc(&self, member: usize) -> String {
        let mut text = String::new();
        let tables = self.members.get(member).map(|member| &member.data);
        let mut all: Vec<_> = tables.into_iter().flat_map(|t| t.by_connection()).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        for (id, paths) in all {
            let _ = writeln!(text, "{}", self.session_text(id));
            let mut paths: Vec<_> = paths.collect();
            paths.sort_unstable();
            for path in paths {
                let _ = writeln!(text, "\t{path}");
            }
        }
        text + "\n"
    }
}

/// ` /127.0.0.1:59546[1](queued=0,recved=3,sent=3`, without the closing parenthesis.
pub(super) fn brief(id: ConnectionId, connection: &Connection) -> String {
    format!(
        " {}[1](queued=0,recved={},sent={}",
        connection.peer.text(id),
        connection.stats.traffic.received,
        connection.stats.traffic.sent,
    )
}
