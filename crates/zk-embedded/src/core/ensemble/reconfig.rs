//! The ensemble's configuration, and `reconfig`, which changes it.
//!
//! A reconfiguration changes which members vote, which may lead, and the text of `/zookeeper/config`. It
//! starts and stops no member and moves no port, as it starts no process on a real machine: a server
//! that joins under the number of a member is that member; under any other number it is a server that is
//! down. A member that was removed continues to serve clients as a follower without a vote, as an Apache
//! server does until it is stopped.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use zk_proto::config::{EnsembleConfig, Role, Server};
use zk_proto::records::{ReconfigRequest, ReconfigResponse};
use zk_proto::{ErrorCode, OpCode, Permissions};

use crate::core::ensemble::initial_config::initial_config;
use crate::core::ensemble::member::Member;
use crate::core::pose::behaviour::Unreadable;
use crate::core::requests::Request;
use crate::core::state::State;
use crate::core::tree::acl;
use crate::core::tree::txn::Change;

pub(crate) const CONFIG: &str = "/zookeeper/config";

impl State {
    /// Whether a member has a vote. A server without other members has one.
    pub(crate) fn votes(&self, member: usize) -> bool {
        let Some(id) = self.members.get(member).map(|member| u64::from(member.id)) else {
            return false;
        };
        self.members.len() == 1
            || (self.config.servers.iter())
                .any(|server| server.id == id && server.role == Role::Participant)
    }

    /// Whether a member is an observer by the configuration.
    pub(crate) fn observes(&self, member: &Member) -> bool {
        (self.config.servers.iter())
            .any(|server| server.id == u64::from(member.id) && server.role == Role::Observer)
    }

    /// Whether these members are more than half of those that vote.
    pub(crate) fn is_majority(&self, members: impl IntoIterator<Item = usize>) -> bool {
        let voters = match self.members.len() {
            1 => 1,
            _ => participants(&self.config.servers),
        };
        let votes = members.into_iter().filter(|&member| self.votes(member));
        votes.count() > voters / 2
    }

    /// Replaces the text of `/zookeeper/config` and with it the voting members, as the servers of an
    /// ensemble do when they start.
    pub fn set_config(&mut self, now: Instant, text: &str) {
        // Parsing cannot fail; lines that name no server are kept for the text.
        let Ok(config) = text.parse();
        self.config = config;
        self.publish_config(now);
    }

    /// Puts the members' ports into the configuration and into the answer to `conf`.
    pub(crate) fn set_addresses(&mut self, now: Instant, addresses: &[SocketAddr]) {
        for (member, address) in self.members.iter_mut().zip(addresses) {
            member.client_port = Some(address.port());
        }
        if self.members.len() > 1 {
            let config = initial_config(&self.options, addresses);
            self.set_config(now, &config);
        }
    }

    /// Writes the configuration into the trees, without a transaction and without an event.
    pub(crate) fn publish_config(&mut self, now: Instant) {
        let text = Bytes::from(self.config.to_string());
        let version = self.config.version.unwrap_or_default();
        let time = self.wall(now);
        for member in &mut self.members {
            member.tree.set_config(text.clone(), version, time);
        }
    }

    pub(crate) fn reconfig(&mut self, request: &Request<'_>) {
        let args = request.record::<ReconfigRequest<'_>>();
        if args.is_err() && self.options.behaviour().unreadable != Unreadable::TakesZxid {
            // An unreadable request takes no zxid.
            return self.reply(request, Err(ErrorCode::MarshallingError));
        }
        let proposed = args.and_then(|args| self.propose(request, &args));
        let changes = proposed.as_ref().map_err(|&code| code).map(|config| {
            vec![Change::SetData {
                path: CONFIG.into(),
                data: Some(config.to_string().into()),
                version: -1,
            }]
        });
        let txn = self.txn(
            request.now,
            request.session,
            request.xid,
            OpCode::Reconfig,
            changes,
        );
        let results = self.commit(txn, Some(request.member));
        let config = match proposed {
            Ok(config) => config,
            Err(code) => return self.reply(request, Err(code)),
        };
        let stat = results.into_iter().next().and_then(|applied| applied.stat);
        let reply = ReconfigResponse {
            data: Some(config.to_string().into()),
            stat: stat.unwrap_or_default(),
        };
        self.reply(request, Ok(&reply));
        self.put_in_force(request.now, config);
    }

    /// The requested configuration, checked in Apache's order: the ACL comes last.
    fn propose(
        &self,
        request: &Request<'_>,
        args: &ReconfigRequest<'_>,
    ) -> Result<EnsembleConfig, ErrorCode> {
        if !self.options.reconfig_enabled {
            return Err(self.options.behaviour().reconfig_disabled);
        }
        if self.members.len() == 1 {
            return Err(ErrorCode::Unimplemented);
        }
        if ![-1, self.config.version.unwrap_or_default()].contains(&args.cur_config_id) {
            return Err(ErrorCode::BadVersion);
        }
        let mut servers = match args.new_members {
            Some(members) => whole(members)?,
            None => {
                let leaving = args.leaving.unwrap_or_default();
                let joining = args.joining.unwrap_or_default();
                changed(&self.config.servers, joining, leaving)?
            }
        };
        // The order of Java's hash table for small ids.
        servers.sort_by_key(|server| server.id);
        for server in &mut servers {
            let clients = [&mut server.client, &mut server.secure_client];
            for client in clients.into_iter().flatten() {
                client.host.get_or_insert_with(|| "0.0.0.0".to_owned());
            }
        }
        let fewest = if self.options.standalone_enabled {
            2
        } else {
            1
        };
        let voters = participants(&servers);
        if voters < fewest {
            return Err(ErrorCode::BadArguments);
        }
        let connected = |server: &&Server| {
            let members = self.members.iter().filter(|member| member.has_quorum());
            server.role == Role::Participant
                && members.into_iter().any(|m| u64::from(m.id) == server.id)
        };
        if servers.iter().filter(connected).count() <= voters / 2 {
            return Err(ErrorCode::NewConfigNoQuorum);
        }
        let leader = self.members.get(self.leader);
        let node = leader.and_then(|leader| leader.tree.get(CONFIG));
        let connection = self.connections.all.get(&request.connection);
        let (Some(node), Some(connection)) = (node, connection) else {
            return Err(ErrorCode::SystemError);
        };
        acl::check(&node.acl, Permissions::WRITE, &connection.auth)?;
        let mut config = EnsembleConfig::default();
        config.servers = servers;
        config.version = Some(self.zxid + 1);
        Ok(config)
    }

    /// Applies a configuration. Members whose role changed close their connections. If another member
    /// has to lead, all members do.
    fn put_in_force(&mut self, now: Instant, config: EnsembleConfig) {
        let before = std::mem::replace(&mut self.config, config);
        let quorum_addresses = |config: &EnsembleConfig, member: &Member| -> Vec<(String, u16)> {
            let id = u64::from(member.id);
            let found = config.servers.iter().find(|server| server.id == id);
            let addresses = found.into_iter().flat_map(|server| &server.addresses);
            addresses
                .map(|address| (address.host.clone(), address.quorum_port))
                .collect()
        };
        let was_observer = |member: &Member| {
            (before.servers.iter())
                .any(|server| server.id == u64::from(member.id) && server.role == Role::Observer)
        };
        let keeps_leading = self.votes(self.leader)
            && self.members.get(self.leader).is_some_and(|leader| {
                quorum_addresses(&before, leader) == quorum_addresses(&self.config, leader)
            });
        if !keeps_leading {
            let mut candidates = 0..self.members.len();
            let next = candidates
                .find(|&index| index != self.leader && self.has_quorum(index) && self.votes(index));
            if let Some(next) = next {
                return self.lead(now, next);
            }
        }
        let changed: Vec<_> = (0..self.members.len())
            .filter(|&index| {
                let member = self.members.get(index);
                member.is_some_and(|member| was_observer(member) != self.observes(member))
            })
            .collect();
        for index in changed {
            self.disconnect_member(index);
        }
    }
}

fn participants(servers: &[Server]) -> usize {
    let voters = servers.iter().filter(|s| s.role == Role::Participant);
    voters.count()
}

/// The servers of a `newMembers` list.
fn whole(members: &str) -> Result<Vec<Server>, ErrorCode> {
    // Apache reads the list as a file of properties, in which a comma ends a line.
    let Ok(config) = members.replace(',', "\n").parse::<EnsembleConfig>();
    let keys = config
        .unreadable
        .iter()
        .filter_map(|line| line.text.split_once('='));
    let ids = keys.filter_map(|(key, _)| key.trim().strip_prefix("server."));
    if ids.into_iter().any(|id| id.parse::<i64>().is_err()) {
        // Apache fails to read an id that is no number.
        return Err(ErrorCode::MarshallingError);
    }
    if !config.unreadable.is_empty() || !config.other.is_empty() {
        return Err(ErrorCode::BadArguments);
    }
    let mut servers: Vec<Server> = Vec::new();
    for server in config.servers {
        put(&mut servers, server);
    }
    let voters = participants(&servers);
    if voters < 2 && servers.len() > voters {
        // Apache fails to read observers without a quorum.
        return Err(ErrorCode::MarshallingError);
    }
    Ok(servers)
}

/// The present servers without the leaving ones and with the joining ones.
fn changed(present: &[Server], joining: &str, leaving: &str) -> Result<Vec<Server>, ErrorCode> {
    let mut servers = present.to_vec();
    for id in entries(leaving) {
        // Apache fails to read an id that is no number.
        let id: i64 = id.parse().map_err(|_| ErrorCode::MarshallingError)?;
        servers.retain(|server| u64::try_from(id) != Ok(server.id));
    }
    for joiner in entries(joining) {
        let key = match joiner.split('=').collect::<Vec<_>>()[..] {
            [key, _] => key,
            _ => return Err(ErrorCode::BadArguments),
        };
        let id = key.rsplit('.').next().unwrap_or_default();
        id.trim()
            .parse::<i64>()
            .map_err(|_| ErrorCode::MarshallingError)?;
        let server: Server = joiner.parse().map_err(|_| ErrorCode::BadArguments)?;
        let reached = server.client.is_some() || server.secure_client.is_some();
        let mut others = servers.iter().filter(|other| other.id != server.id);
        if !reached || others.any(|other| conflict(&server, other)) {
            return Err(ErrorCode::BadArguments);
        }
        put(&mut servers, server);
    }
    Ok(servers)
}

/// The parts between commas, as Apache splits them: trimmed, without empty parts.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

fn put(servers: &mut Vec<Server>, server: Server) {
    servers.retain(|other| other.id != server.id);
    servers.push(server);
}

/// Whether two servers name the same port of the same host, wildcards aside.
fn conflict(a: &Server, b: &Server) -> bool {
    let b = ports(b);
    ports(a).iter().any(|port| b.contains(port))
}

fn ports(server: &Server) -> Vec<(&str, u16)> {
    let clients = [&server.client, &server.secure_client]
        .into_iter()
        .flatten();
    let clients = clients.filter_map(|client| Some((client.host.as_deref()?, client.port)));
    let others = server.addresses.iter().flat_map(|address| {
        let host = address.host.as_str();
        [(host, address.quorum_port), (host, address.election_port)]
    });
    let is_special = |host: &str| {
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost"
            || address.is_ok_and(|address| address.is_unspecified() || address.is_loopback())
    };
    let all = clients.chain(others);
    all.filter(|(host, _)| !is_special(host)).collect()
}
