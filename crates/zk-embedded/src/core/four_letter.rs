//! The four-letter words: text for people and monitoring, on the client port.

use std::fmt::Write as _;
use std::time::Instant;

use zk_proto::admin::ServerMode;

use super::connection::{Connection, ConnectionId};
use super::state::State;
use crate::options::millis_u64;

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

impl State {
    /// The answer to a four-letter word sent to a member; `None` if the bytes are none, and hence
    /// the length of a frame.
    pub fn four_letter_word(&self, now: Instant, member: usize, word: [u8; 4]) -> Option<String> {
        let word = std::str::from_utf8(&word).ok()?;
        if !self.options.behaviour().words.contains(&word) {
            return None;
        }
        if !self.options.allows(word) {
            return Some(format!(
                "{word} is not executed because it is not in the whitelist.\n"
            ));
        }
        let serving = !self.is_read_only(member) || self.options.read_only_mode;
        Some(match word {
            "ruok" => "imok".to_owned(),
            "isro" => self.isro(member, serving).to_owned(),
            "envi" => self.envi(),
            "gtmk" => "306".to_owned(),
            "crst" => "Connection stats reset.\n".to_owned(),
            "srst" => "Server stats reset.\n".to_owned(),
            _ if !serving => NOT_SERVING.to_owned(),
            "srvr" => self.status(member, false),
            "stat" => self.status(member, true),
            "mntr" => self.mntr(now, member),
            "conf" => self.conf(member),
            "cons" => self.cons(member) + "\n",
            "dump" => self.dump(member),
            "wchs" => self.wchs(member),
            "wchp" => self.wchp(member),
            "wchc" => self.wchc(member),
            "dirs" => "datadir_size: 0\nlogdir_size: 0\n".to_owned(),
            _ => String::new(),
        })
    }

    fn isro(&self, member: usize, serving: bool) -> &'static str {
        match (serving, !self.is_read_only(member)) {
            (false, _) => "null",
            (true, false) => "ro",
            (true, true) => "rw",
        }
    }

    fn mode(&self, member: usize) -> ServerMode {
        match () {
            () if self.is_read_only(member) => ServerMode::ReadOnly,
            () if self.member_count() == 1 => ServerMode::Standalone,
            () if self.leader == member || self.deposed_leader() == Some(member) => {
                ServerMode::Leader
            }
            () => ServerMode::Follower,
        }
    }

    fn mode_text(&self, member: usize) -> &'static str {
        match self.mode(member) {
            ServerMode::ReadOnly => "read-only",
            ServerMode::Leader => "leader",
            ServerMode::Follower => "follower",
            _ => "standalone",
        }
    }

    /// The member's connections, in the order in which they were opened.
    fn of_member(&self, member: usize) -> Vec<(ConnectionId, &Connection)> {
        let all = self.connections.all.iter();
        let mut found: Vec<_> = all
            .filter(|(_, connection)| connection.member == member)
            .map(|(&id, connection)| (id, connection))
            .collect();
        found.sort_unstable_by_key(|(id, _)| *id);
        found
    }

    fn status(&self, member: usize, clients: bool) -> String {
        let connections = self.of_member(member);
        let mut text = format!("Zookeeper version: {}\n", self.options.behaviour().version);
        if self.is_read_only(member) {
            text += "READ-ONLY mode; serving only read-only clients\n";
        }
        if clients {
            text += "Clients:\n";
            for (id, connection) in &connections {
                text += &brief(*id, connection);
                text += ")\n";
            }
            text += "\n";
        }
        let received: u64 = connections.iter().map(|(_, c)| c.stats.received).sum();
        let sent: u64 = connections.iter().map(|(_, c)| c.stats.sent).sum();
        let nodes = self.members.get(member).map_or(0, |m| m.tree.count());
        text += &format!(
            "Latency min/avg/max: 0/0.0/0\nReceived: {received}\nSent: {sent}\n\
             Connections: {}\nOutstanding: 0\nZxid: {}\nMode: {}\nNode count: {nodes}\n",
            connections.len() + 1,
            self.last_zxid(member),
            self.mode_text(member),
        );
        if self.mode(member) == ServerMode::Leader {
            text += "Proposal sizes last/min/max: -1/-1/-1\n";
        }
        text
    }

    fn mntr(&self, now: Instant, member: usize) -> String {
        let Some(this) = self.members.get(member) else {
            return NOT_SERVING.to_owned();
        };
        let connections = self.of_member(member);
        let received: u64 = connections.iter().map(|(_, c)| c.stats.received).sum();
        let sent: u64 = connections.iter().map(|(_, c)| c.stats.sent).sum();
        let ephemerals: usize = this
            .tree
            .ephemeral_owners()
            .map(|(_, paths)| paths.len())
            .sum();
        let mut values = vec![
            ("version", self.options.behaviour().version.to_owned()),
            ("server_state", self.mode_text(member).to_owned()),
            ("ephemerals_count", ephemerals.to_string()),
            ("num_alive_connections", (connections.len() + 1).to_string()),
            ("avg_latency", "0.0".to_owned()),
            ("min_latency", "0".to_owned()),
            ("max_latency", "0".to_owned()),
            ("outstanding_requests", "0".to_owned()),
            ("znode_count", this.tree.count().to_string()),
            ("global_sessions", self.sessions.len().to_string()),
            ("local_sessions", "0".to_owned()),
            ("packets_sent", sent.to_string()),
            ("packets_received", received.to_string()),
            (
                "watch_count",
                (this.data.len() + this.child.len()).to_string(),
            ),
            ("approximate_data_size", this.tree.data_size().to_string()),
            ("uptime", self.elapsed(now).to_string()),
        ];
        if self.mode(member) == ServerMode::Leader {
            let same = |other: &&super::member::Member| other.contact == this.contact;
            let synced = self.members.iter().filter(same).count();
            values.push(("synced_followers", synced.saturating_sub(1).to_string()));
        }
        let line = |(key, value): (&str, String)| format!("zk_{key}\t{value}\n");
        values.into_iter().map(line).collect()
    }

    fn conf(&self, member: usize) -> String {
        let min = self.options.negotiate(i32::MIN);
        let max = self.options.negotiate(i32::MAX);
        let id = self.members.get(member).map_or(0, |member| member.id);
        format!(
            "secureClientPort=-1\ndataDir=memory\ndataDirSize=0\ndataLogDir=memory\n\
             dataLogSize=0\ntickTime={}\nmaxClientCnxns=0\nminSessionTimeout={min}\n\
             maxSessionTimeout={max}\nclientPortListenBacklog=-1\nserverId={id}\n",
            millis_u64(self.options.tick),
        )
    }

    fn envi(&self) -> String {
        format!(
            "Environment:\nzookeeper.version={}\nhost.name=localhost\nos.name={}\nos.arch={}\n",
            self.options.behaviour().version,
            std::env::consts::OS,
            std::env::consts::ARCH,
        )
    }

    fn cons(&self, member: usize) -> String {
        let mut text = String::new();
        for (id, connection) in self.of_member(member) {
            text += &brief(id, connection);
            if let Some(session) = connection.session {
                let stats = &connection.stats;
                let timeout = self.sessions.get(session).map_or(0, |s| s.timeout_ms);
                let _ = write!(
                    text,
                    ",sid={session:#x},lop={},est={},to={timeout}",
                    stats.last_op, stats.established,
                );
                if stats.last_xid >= 0 {
                    let _ = write!(text, ",lcxid={:#x}", stats.last_xid);
                }
                let _ = write!(
                    text,
                    ",lzxid={:#x},lresp=0,llat=0,minlat=0,avglat=0,maxlat=0",
                    stats.last_zxid,
                );
            }
            text += ")\n";
        }
        text
    }

    fn dump(&self, member: usize) -> String {
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

    fn wchs(&self, member: usize) -> String {
        let Some(this) = self.members.get(member) else {
            return String::new();
        };
        // As the real one does, this speaks of the data watches only.
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

    fn wchp(&self, member: usize) -> String {
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

    fn wchc(&self, member: usize) -> String {
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

/// ` /127.0.0.1:59546[1](queued=0,recved=3,sent=3`, to be closed with a parenthesis.
fn brief(id: ConnectionId, connection: &Connection) -> String {
    format!(
        " {}[1](queued=0,recved={},sent={}",
        connection.peer.text(id),
        connection.stats.received,
        connection.stats.sent,
    )
}
