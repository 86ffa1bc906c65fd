//! The ensemble as a whole.

use zk_client::admin::ServerMode;

use super::Model;
use super::server::Server;
use crate::commands::health::quorum::Quorum;
use crate::commands::health::report::{Report, Role};

/// Sums over the servers, and what the leader reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Overview {
    /// How many servers have each role, or are down, in a fixed order; none that is zero.
    pub(crate) roles: Vec<(String, usize)>,
    pub(crate) leader: Option<String>,
    /// The epoch of the leader's last transaction.
    pub(crate) epoch: Option<u32>,
    pub(crate) quorum: Option<Quorum>,
    pub(crate) received: Option<f64>,
    pub(crate) sent: Option<f64>,
    pub(crate) connections: Option<u64>,
    pub(crate) outstanding: Option<u64>,
    pub(crate) watches: Option<u64>,
    /// Of the server that has the most.
    pub(crate) znodes: Option<u64>,
}

impl Model {
    pub(crate) fn overview(&self) -> Overview {
        let reports: Vec<(&Server, &Report)> = self
            .servers
            .iter()
            .filter_map(|server| Some((server, &server.sample.as_ref()?.report)))
            .collect();
        let is_leader = |report: &Report| report.role == Some(Role::Mode(ServerMode::Leader));
        let leader = reports.iter().find(|(_, report)| is_leader(report));
        let sum = |value: &dyn Fn(&Report) -> Option<u64>| {
            let values = reports.iter().filter_map(|(_, report)| value(report));
            values.reduce(u64::saturating_add)
        };
        let rate = |value: &dyn Fn(&Server) -> Option<f64>| {
            let values = reports.iter().filter_map(|(server, _)| value(server));
            values.reduce(|sum, rate| sum + rate)
        };
        let znodes = reports.iter().filter_map(|(_, report)| report.znodes).max();
        Overview {
            roles: self.roles(),
            leader: leader.map(|(server, _)| server.target.to_string()),
            epoch: leader.and_then(|(_, report)| Some(report.zxid?.epoch())),
            quorum: Quorum::of(&self.reports),
            received: rate(&|server| server.rates.received),
            sent: rate(&|server| server.rates.sent),
            connections: sum(&|report| report.connections),
            outstanding: sum(&|report| report.outstanding),
            watches: sum(&|report| report.watches),
            znodes,
        }
    }

    fn roles(&self) -> Vec<(String, usize)> {
        let mut roles: Vec<(String, usize)> = Vec::new();
        let mut names: Vec<_> = self.servers.iter().map(role_name).collect();
        let order = ["leader", "follower", "observer", "standalone"];
        let place = |name: &str| {
            order
                .iter()
                .position(|it| *it == name)
                .unwrap_or(order.len())
        };
        names.sort_by_key(|name| (place(name), name.clone()));
        for name in names {
            match roles.last_mut() {
                Some((last, count)) if *last == name => *count += 1,
                _ => roles.push((name, 1)),
            }
        }
        roles
    }
}

/// The role of a server in one word or two.
pub(crate) fn role_name(server: &Server) -> String {
    match &server.sample {
        None => "asked".to_owned(),
        Some(sample) => match &sample.report.role {
            Some(role) => role.name().to_owned(),
            None => "down".to_owned(),
        },
    }
}
