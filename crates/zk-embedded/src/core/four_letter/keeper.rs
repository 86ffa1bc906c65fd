//! The four-letter words as ClickHouse Keeper answers them (`FourLetterCommand.cpp`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::core::connection::{Connection, ConnectionId, Traffic};
use crate::core::ensemble::member::Member;
use crate::core::state::State;
use crate::options::millis_u64;

const NOT_SERVING: &str = "This instance is not currently serving requests";
/// The features, by their numbers in `KeeperFeatureFlags.h`.
const FEATURES: [&str; 11] = [
    "filtered_list",
    "multi_read",
    "check_not_exists",
    "create_if_not_exists",
    "remove_recursive",
    "multi_watches",
    "check_stat",
    "persistent_watches",
    "create_with_stats",
    "try_remove",
    "list_with_stat_and_data",
];

impl State {
    pub(crate) fn keeper_word(&mut self, member: usize, word: &str) -> String {
        match word {
            "crst" if !self.is_read_only(member) => self.reset_connections(member).to_owned(),
            "srst" if !self.is_read_only(member) => self.reset_server(member).to_owned(),
            _ => self.keeper_report(member, word),
        }
    }

    fn keeper_report(&self, member: usize, word: &str) -> String {
        let serving = self.members.get(member).filter(|m| !m.is_read_only());
        let Some(this) = serving else {
            return match word {
                "ruok" => "imok".to_owned(),
                "isro" => "rw".to_owned(),
                _ => NOT_SERVING.to_owned(),
            };
        };
        match word {
            "ruok" => "imok".to_owned(),
            "isro" => "rw".to_owned(),
            "srvr" => self.keeper_status(member, this, false),
            "stat" => self.keeper_status(member, this, true),
            "mntr" => self.keeper_mntr(member, this),
            "conf" => self.keeper_conf(this),
            "cons" => self.keeper_connections(member),
            "dump" => self.keeper_dump(this),
            "wchs" => format!(
                "{} connections watching {} paths\nTotal watches:{}\n",
                this.data
                    .connection_count()
                    .max(this.child.connection_count()),
                this.data.path_count() + this.child.path_count(),
                this.data.len() + this.child.len(),
            ),
            "wchp" => self.keeper_watches_by_path(this),
            "wchc" => self.keeper_watches_by_session(this),
            "dirs" => "snapshot_dir_size: 0\nlog_dir_size: 0\n".to_owned(),
            "envi" => format!(
                "Environment:\nclickhouse.keeper.version={}\nhost.name=localhost\n\
                 os.name={}\nos.arch={}\n",
                self.options.behaviour().version,
                std::env::consts::OS,
                std::env::consts::ARCH,
            ),
            "apiv" => self.keeper_text_of("/keeper/api_version"),
            "ftfl" => self.keeper_features(),
            _ => String::new(),
        }
    }

    fn keeper_role(&self, member: usize) -> &'static str {
        match () {
            () if self.member_count() == 1 => "standalone",
            () if self.leader == member => "leader",
            () => "follower",
        }
    }

    /// Packets received and sent, and the connections with a session.
    fn keeper_packets(&self, member: usize) -> (u64, u64, usize) {
        let Traffic { received, sent } = self.traffic(member);
        let all = self.of_member(member);
        let with_session = all.iter().filter(|(_, c)| c.session.is_some()).count();
        (received, sent, with_session)
    }

    fn keeper_status(&self, member: usize, this: &Member, clients: bool) -> String {
        let (received, sent, connections) = self.keeper_packets(member);
        let mut text = format!(
            "ClickHouse Keeper version: {}\n",
            self.options.behaviour().version
        );
        if clients {
            text += "Clients:\n";
            text += &self.keeper_brief(member);
            text += "\n";
        }
        // Keeper prints zero without any digit.
        let zxid = match this.zxid {
            0 => String::new(),
            zxid => format!("{zxid:x}"),
        };
        let _ = write!(
            text,
            "Latency min/avg/max: 0/0/0\nReceived: {received}\nSent: {sent}\n\
             Connections: {connections}\nOutstanding: 0\nZxid: 0x{zxid}\nMode: {}\n\
             Node count: {}\n",
            self.keeper_role(member),
            this.tree.paths().count(),
        );
        text
    }

    fn keeper_mntr(&self, member: usize, this: &Member) -> String {
        let (received, sent, connections) = self.keeper_packets(member);
        let ephemerals = this.tree.ephemeral_owners();
        let ephemerals: usize = ephemerals.map(|(_, paths)| paths.len()).sum();
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "zk_{key}\t{value}");
        };
        line("version", &self.options.behaviour().version);
        for latency in ["avg_latency", "max_latency", "min_latency"] {
            line(latency, &0);
        }
        line("packets_received", &received);
        line("packets_sent", &sent);
        line("num_alive_connections", &connections);
        line("outstanding_requests", &0);
        line("server_state", &self.keeper_role(member));
        line("znode_count", &this.tree.paths().count());
        line("watch_count", &(this.data.len() + this.child.len()));
        line("ephemerals_count", &ephemerals);
        line("approximate_data_size", &this.tree.data_size());
        line("key_arena_size", &0);
        line("latest_snapshot_size", &0);
        if self.keeper_role(member) == "leader" {
            let others = self.members.len().saturating_sub(1);
            let synced = self.members.iter().filter(|m| m.has_quorum()).count();
            line("followers", &others);
            line("synced_followers", &synced.saturating_sub(1));
        }
        text
    }

    fn keeper_conf(&self, this: &Member) -> String {
        let min = self.options.negotiate(i32::MIN);
        let max = self.options.negotiate(i32::MAX);
        format!(
            "server_id={}\nenable_ipv6=true\nfour_letter_word_allow_list={}\n\
             max_requests_batch_size=100\nmin_session_timeout_ms={min}\nsession_timeout_ms={max}\n\
             dead_session_check_period_ms={}\n",
            this.id.max(1),
            self.options.behaviour().words.join(","),
            millis_u64(self.options.tick),
        )
    }

    fn keeper_brief(&self, member: usize) -> String {
        let lines = self.of_member(member).into_iter();
        lines.map(|(id, c)| brief(id, c) + ")\n").collect()
    }

    fn keeper_connections(&self, member: usize) -> String {
        self.connection_lines(member, |number| format!("0x{number:016x}"))
    }

    fn keeper_dump(&self, this: &Member) -> String {
        let ids = self.sessions.ids();
        let mut text = format!("Sessions dump ({}):\n", ids.len());
        for id in ids {
            let _ = writeln!(text, "0x{id:016x}");
        }
        let owners = this.tree.ephemeral_owners().count();
        let _ = writeln!(text, "Sessions with Ephemerals ({owners}):");
        for (owner, paths) in this.tree.ephemeral_owners() {
            let _ = writeln!(text, "0x{owner:016x}");
            for path in paths {
                let _ = writeln!(text, "\t{path}");
            }
        }
        text
    }

    fn keeper_session(&self, id: ConnectionId) -> i64 {
        let connection = self.connections.all.get(&id);
        connection.and_then(|c| c.session).unwrap_or_default()
    }

    fn keeper_watches_by_path(&self, this: &Member) -> String {
        let mut text = String::new();
        for table in [&this.data, &this.child] {
            let mut all: Vec<_> = table.by_path().collect();
            all.sort_unstable_by_key(|(path, _)| *path);
            for (path, watchers) in all {
                let _ = writeln!(text, "{path}");
                for id in watchers {
                    let _ = writeln!(text, "\t0x{:016x}", self.keeper_session(id));
                }
            }
        }
        text
    }

    fn keeper_watches_by_session(&self, this: &Member) -> String {
        let mut watched: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for table in [&this.data, &this.child] {
            for (id, paths) in table.by_connection() {
                watched
                    .entry(self.keeper_session(id))
                    .or_default()
                    .extend(paths);
            }
        }
        let mut text = String::new();
        for (session, mut paths) in watched {
            paths.sort_unstable();
            let _ = writeln!(text, "0x{session:016x}");
            for path in paths {
                let _ = writeln!(text, "\t{path}");
            }
        }
        text
    }

    fn keeper_data(&self, path: &str) -> &[u8] {
        let nodes = self.options.behaviour().system_nodes.iter();
        let mut found = nodes.filter(|(system, _)| *system == path);
        found.next().map_or(&[], |(_, data)| *data)
    }

    fn keeper_text_of(&self, path: &str) -> String {
        String::from_utf8_lossy(self.keeper_data(path)).into_owned()
    }

    fn keeper_features(&self) -> String {
        let flags = self.keeper_data("/keeper/feature_flags");
        let mut text = String::new();
        for (index, feature) in FEATURES.iter().enumerate() {
            let byte = flags.get(index / 8).copied().unwrap_or_default();
            let _ = writeln!(text, "{feature}\t{}", byte >> (7 - index % 8) & 1);
        }
        text
    }
}

/// ` 127.0.0.1:59546(recved=3,sent=3`, without the closing parenthesis.
fn brief(id: ConnectionId, connection: &Connection) -> String {
    format!(
        " {}(recved={},sent={}",
        connection.peer.text(id).trim_start_matches('/'),
        connection.stats.traffic.received,
        connection.stats.traffic.sent,
    )
}
