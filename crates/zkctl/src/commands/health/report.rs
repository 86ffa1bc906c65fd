//! What a server reports about itself.

use zk_client::admin::{AdminError, Latency, ServerMode, ServerStatus};
use zk_client::{Answer, ErrorKind, Zxid};

use super::metrics::Metrics;
use crate::commands::servers::Target;
use crate::output::explain::of_question;

/// What a server reports. A number is `None` if it reports none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) server: String,
    /// Its address, if the name has several.
    pub(crate) address: Option<String>,
    /// `None` if it does not answer, or not what it is.
    pub(crate) role: Option<Role>,
    /// Why there is no role.
    pub(crate) failure: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) latency: Option<Latency>,
    pub(crate) connections: Option<u64>,
    pub(crate) outstanding: Option<u64>,
    /// Packets received and sent since its start or the last `srst`.
    pub(crate) packets: Option<(u64, u64)>,
    pub(crate) zxid: Option<Zxid>,
    pub(crate) znodes: Option<u64>,
    pub(crate) watches: Option<u64>,
    /// Of a leader: the followers that are up to date.
    pub(crate) synced_followers: Option<u64>,
    /// Of a leader: how many of those have no vote.
    pub(crate) synced_without_vote: Option<u64>,
    /// How many servers of the ensemble have a vote.
    pub(crate) voters: Option<u64>,
    /// Open file descriptors, and how many there can be.
    pub(crate) descriptors: Option<(u64, u64)>,
}

/// What a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Mode(ServerMode),
    /// It answers, and serves no requests.
    NotServing,
    /// It answers, and does not allow the word that shows what it is.
    Unknown,
}

impl Role {
    pub(crate) fn name(&self) -> &str {
        match self {
            Role::Mode(ServerMode::Standalone) => "standalone",
            Role::Mode(ServerMode::Leader) => "leader",
            Role::Mode(ServerMode::Follower) => "follower",
            Role::Mode(ServerMode::Observer) => "observer",
            Role::Mode(ServerMode::ReadOnly) => "read-only",
            Role::Mode(ServerMode::Other(text)) => text,
            Role::Mode(_) | Role::Unknown => "unknown",
            Role::NotServing => "not serving",
        }
    }
}

/// The first that says it is the leader.
pub(crate) fn leader(reports: &[Report]) -> Option<&Report> {
    reports.iter().find(|report| report.is(&ServerMode::Leader))
}

impl Report {
    /// Whether it reports this mode.
    pub(super) fn is(&self, mode: &ServerMode) -> bool {
        matches!(&self.role, Some(Role::Mode(own)) if own == mode)
    }

    /// From a server's answer to `srvr`.
    pub(crate) fn new(target: &Target, srvr: &zk_client::Result<Answer>) -> Self {
        let mut report = Report::without_answer(target);
        match srvr {
            Ok(answer) => report.read_srvr(answer),
            Err(error) => {
                let mut failure = of_question(error);
                if error.kind() == ErrorKind::DeadlineExceeded {
                    failure += ": it is frozen, overloaded or cut off from here, or speaks TLS on this port";
                }
                report.failure = Some(failure);
            }
        }
        report
    }

    /// Of a server that has not answered yet.
    pub(crate) fn without_answer(target: &Target) -> Self {
        Report {
            server: target.server.to_string(),
            address: target.address.map(|address| address.to_string()),
            ..Report::default()
        }
    }

    /// The server, with its address if the name has several.
    pub(crate) fn name(&self) -> String {
        match &self.address {
            Some(address) => format!("{} ({address})", self.server),
            None => self.server.clone(),
        }
    }

    pub(crate) fn read_srvr(&mut self, answer: &str) {
        let status: ServerStatus = match answer.parse() {
            Ok(status) => status,
            Err(error) => {
                self.role = match error {
                    AdminError::NotServing => Some(Role::NotServing),
                    AdminError::NotAllowed | AdminError::Empty => Some(Role::Unknown),
                    _ => None,
                };
                self.failure = Some(match error {
                    AdminError::NotServing => {
                        "it is not serving requests: it has no quorum, or is starting or stopping"
                            .to_owned()
                    }
                    AdminError::NotAllowed => {
                        "it does not allow srvr: add it to its 4lw.commands.whitelist".to_owned()
                    }
                    AdminError::Unexpected(_) => {
                        format!("srvr: {error}; the port may not be one of ZooKeeper's for clients")
                    }
                    error => format!("srvr: {error}"),
                });
                return;
            }
        };
        self.version = status.release().map(|release| release.to_string());
        self.latency = status.latency;
        self.connections = status.connections;
        self.outstanding = status.outstanding;
        self.zxid = status.zxid;
        self.znodes = status.node_count;
        self.packets = status.received.zip(status.sent);
        self.role = Some(status.mode.map_or(Role::Unknown, Role::Mode));
    }

    /// Also what `srvr` would have reported, from a server that does not allow it.
    pub(crate) fn read_metrics(&mut self, metrics: &Metrics) {
        self.watches = metrics.count("zk_watch_count");
        self.synced_followers = metrics.count("zk_synced_followers");
        self.synced_without_vote = metrics.count("zk_synced_non_voting_followers");
        self.voters = metrics.count("zk_quorum_size");
        self.descriptors = metrics
            .count("zk_open_file_descriptor_count")
            .zip(metrics.count("zk_max_file_descriptor_count"));
        if !matches!(self.role, None | Some(Role::Unknown)) {
            return;
        }
        let Some(state) = metrics.get("zk_server_state") else {
            return;
        };
        self.role = Some(Role::Mode(ServerMode::from(state)));
        self.failure = None;
        self.version = metrics.release().map(|release| release.to_string());
        self.latency = metrics.latency();
        self.connections = metrics.count("zk_num_alive_connections");
        self.outstanding = metrics.count("zk_outstanding_requests");
        self.znodes = metrics.count("zk_znode_count");
        self.packets = metrics
            .count("zk_packets_received")
            .zip(metrics.count("zk_packets_sent"));
    }
}
