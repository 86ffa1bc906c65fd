//! The four-letter words: status texts on the client port.
//!
//! `keeper` answers them as ClickHouse Keeper does, `host_facts` reads the process and the machine.
//! Tested in `tests/sockets.rs` and `tests/poses.rs`.

mod host_facts;
mod keeper;
mod lists;

use std::fmt::Write as _;
use std::time::Instant;

use zk_proto::admin::ServerMode;

use self::lists::brief;
use crate::core::connection::{Connection, ConnectionId, Peer, Traffic};
use crate::core::pose::behaviour::Texts;
use crate::core::state::State;
use crate::options::millis_u64;

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

impl State {
    /// The answer to a four-letter word that `peer` sent to a member. `None` if the bytes are no such
    /// word, and so the length of a frame.
    pub fn four_letter_word(
        &mut self,
        now: Instant,
        member: usize,
        peer: Peer,
        word: [u8; 4],
    ) -> Option<String> {
        let word = std::str::from_utf8(&word).ok()?;
        if !self.options.behaviour().words.contains(&word) {
            return None;
        }
        if self.options.behaviour().texts == Texts::Keeper {
            // Keeper answers no word that is not allowed, and counts none.
            let allowed = self.options.allows(word);
            return Some(if allowed {
                self.keeper_word(member, word)
            } else {
                String::new()
            });
        }
        self.count_word(member, |traffic| traffic.received += 1);
        let answer = self.answer_word(now, member, peer, word);
        self.count_word(member, |traffic| traffic.sent += 1);
        Some(answer)
    }

    fn count_word(&mut self, member: usize, count: impl FnOnce(&mut Traffic)) {
        let mut one = Traffic::default();
        count(&mut one);
        if let Some(member) = self.members.get_mut(member) {
            member.traffic = member.traffic.plus(one);
        }
    }

    fn answer_word(&mut self, now: Instant, member: usize, peer: Peer, word: &str) -> String {
        if !self.options.allows(word) {
            return format!("{word} is not executed because it is not in the whitelist.\n");
        }
        let serving = !self.is_read_only(member) || self.options.read_only_mode;
        match word {
            "ruok" => "imok".to_owned(),
            "isro" => self.isro(member, serving).to_owned(),
            "envi" => format!(
                "Environment:\nzookeeper.version={}\n{}",
                self.options.behaviour().version,
                host_facts::environment(),
            ),
            "gtmk" => "306".to_owned(),
            _ if !serving => NOT_SERVING.to_owned(),
            "crst" => self.reset_connections(member).to_owned(),
            "srst" => self.reset_server(member).to_owned(),
            "srvr" => self.status(member, None),
            "stat" => self.status(member, Some(peer)),
            "mntr" => self.mntr(now, member),
            "conf" => self.conf(member),
            "cons" => self.cons(member, peer) + "\n",
            "dump" => self.dump(member),
            "wchs" => self.wchs(member),
            "wchp" => self.wchp(member),
            "wchc" => self.wchc(member),
            "dirs" => "datadir_size: 0\nlogdir_size: 0\n".to_owned(),
            _ => String::new(),
        }
    }

    /// The frames that a member has received and sent since its start, or since `srst`.
    pub(crate) fn traffic(&self, member: usize) -> Traffic {
        let closed = self.members.get(member).map(|member| member.traffic);
        let open = self.of_member(member).into_iter();
        open.fold(closed.unwrap_or_default(), |sum, (_, connection)| {
            sum.plus(connection.stats.traffic)
        })
    }

    pub(crate) fn reset_server(&mut self, member: usize) -> &'static str {
        let counted = self.traffic(member);
        if let Some(member) = self.members.get_mut(member) {
            member.traffic = member.traffic.minus(counted);
        }
        "Server stats reset.\n"
    }

    pub(crate) fn reset_connections(&mut self, member: usize) -> &'static str {
        let all = self.connections.all.values_mut();
        for connection in all.filter(|connection| connection.member == member) {
            if let Some(member) = self.members.get_mut(member) {
                member.traffic = member.traffic.plus(connection.stats.traffic);
            }
            connection.reset_stats();
        }
        "Connection stats reset.\n"
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
            () if self.members.get(member).is_some_and(|m| self.observes(m)) => {
                ServerMode::Observer
            }
            () => ServerMode::Follower,
        }
    }

    fn mode_text(&self, member: usize) -> &'static str {
        match self.mode(member) {
            ServerMode::ReadOnly => "read-only",
            ServerMode::Leader => "leader",
            ServerMode::Follower => "follower",
            ServerMode::Observer => "observer",
            _ => "standalone",
        }
    }

    /// The member's connections, in the order in which they were opened.
    pub(crate) fn of_member(&self, member: usize) -> Vec<(ConnectionId, &Connection)> {
        let all = self.connections.all.iter();
        let mut found: Vec<_> = all
            .filter(|(_, connection)| connection.member == member)
            .map(|(&id, connection)| (id, connection))
            .collect();
        found.sort_unstable_by_key(|(id, _)| *id);
        found
    }

    /// The answer to `srvr`; with the peer of the connection, that to `stat`, which lists clients.
    fn status(&self, member: usize, peer: Option<Peer>) -> String {
        let connections = self.of_member(member);
        let mut text = format!("Zookeeper version: {}\n", self.options.behaviour().version);
        if self.is_read_only(member) {
            text += "READ-ONLY mode; serving only read-only clients\n";
        }
        if let Some(peer) = peer {
            text += "Clients:\n";
            for (id, connection) in &connections {
                text += &brief(*id, connection);
                text += ")\n";
            }
            text += &self.own_line(peer);
            text += "\n";
        }
        let Traffic { received, sent } = self.traffic(member);
        let nodes = self.members.get(member).map_or(0, |m| m.tree.count());
        let average = self.average_latency();
        text += &format!(
            "Latency min/avg/max: 0/{average}/0\nReceived: {received}\nSent: {sent}\n\
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

    /// In milliseconds, a whole number before 3.6.
    fn average_latency(&self) -> &'static str {
        match self.options.behaviour().texts {
            Texts::ApacheOld => "0",
            _ => "0.0",
        }
    }

    fn mntr(&self, now: Instant, member: usize) -> String {
        let Some(this) = self.members.get(member) else {
            return NOT_SERVING.to_owned();
        };
        let connections = self.of_member(member);
        let Traffic { received, sent } = self.traffic(member);
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
            ("avg_latency", self.average_latency().to_owned()),
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
            (
                "open_file_descriptor_count",
                host_facts::open_descriptors().to_string(),
            ),
            (
                "max_file_descriptor_count",
                host_facts::max_descriptors().to_string(),
            ),
        ];
        if self.options.behaviour().texts == Texts::ApacheOld {
            let newer = ["global_sessions", "local_sessions", "uptime"];
            values.retain(|(key, _)| !newer.contains(key));
        }
        if self.mode(member) == ServerMode::Leader {
            let others = (0..self.member_count()).zip(&self.members);
            let others =
                others.filter(|&(index, other)| index != member && other.contact == this.contact);
            let (observers, followers): (Vec<_>, Vec<_>) =
                others.partition(|(_, other)| self.observes(other));
            let without_vote = followers.iter().filter(|&&(index, _)| !self.votes(index));
            values.push(("synced_followers", followers.len().to_string()));
            values.push((
                "synced_non_voting_followers",
                without_vote.count().to_string(),
            ));
            values.push(("synced_observers", observers.len().to_string()));
        }
        let is_newer = self.options.behaviour().texts != Texts::ApacheOld;
        if is_newer && self.member_count() > 1 {
            let voters = (0..self.member_count()).filter(|&index| self.votes(index));
            values.push(("quorum_size", voters.count().to_string()));
        }
        let line = |(key, value): (&str, String)| format!("zk_{key}\t{value}\n");
        values.into_iter().map(line).collect()
    }

    fn conf(&self, member: usize) -> String {
        let min = self.options.negotiate(i32::MIN);
        let max = self.options.negotiate(i32::MAX);
        let Some(this) = self.members.get(member) else {
            return NOT_SERVING.to_owned();
        };
        let mut text = format!(
            "clientPort={}\nsecureClientPort=-1\ndataDir=memory\ndataDirSize=0\n\
             dataLogDir=memory\ndataLogSize=0\ntickTime={}\nmaxClientCnxns={}\n\
             minSessionTimeout={min}\nmaxSessionTimeout={max}\nclientPortListenBacklog=-1\n\
             serverId={}\n",
            this.client_port.map_or(-1, i32::from),
            millis_u64(self.options.tick),
            self.options.max_client_connections,
            this.id,
        );
        if self.member_count() > 1 {
            let id = u64::from(this.id);
            let server = self.config.servers.iter().find(|server| server.id == id);
            let address = server.and_then(|server| server.addresses.first());
            let _ = write!(
                text,
                "initLimit=10\nsyncLimit={}\nelectionAlg=3\nelectionPort={}\nquorumPort={}\n\
                 peerType={}\nmembership: \n{}",
                self.options.sync_limit,
                address.map_or(-1, |address| address.election_port.into()),
                address.map_or(-1, |address| i32::from(address.quorum_port)),
                u8::from(self.observes(this)),
                self.config,
            );
        }
        text
    }
}
