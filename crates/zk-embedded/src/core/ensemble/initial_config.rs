//! The configuration that an ensemble starts with.

use std::net::SocketAddr;

use zk_proto::config::Role;

use crate::options::Options;

/// The ports that the first member names for the other servers. No member opens them.
const FIRST_QUORUM_PORT: usize = 2888;
const FIRST_ELECTION_PORT: usize = 3888;
const FIRST_CLIENT_PORT: usize = 2181;

/// The text of `/zookeeper/config` when an ensemble starts. `addresses` are those of the members'
/// ports, as far as there are any.
pub(crate) fn initial_config(options: &Options, addresses: &[SocketAddr]) -> String {
    let count = options.member_count();
    let voters = count - options.observer_count();
    let line = |member: usize| {
        let client = match addresses.get(member) {
            Some(address) => address.to_string(),
            None => format!("127.0.0.1:{}", FIRST_CLIENT_PORT + member),
        };
        if let Some(server) = options.servers.get(member) {
            let named = server.to_string();
            let (other_servers, _) = named.split_once(';').unwrap_or((&named, ""));
            return format!("{other_servers};{client}\n");
        }
        let role = if member < voters {
            Role::Participant
        } else {
            Role::Observer
        };
        format!(
            "server.{}=127.0.0.1:{}:{}:{role};{client}\n",
            member + 1,
            FIRST_QUORUM_PORT + member,
            FIRST_ELECTION_PORT + member,
        )
    };
    let servers: String = (0..count).map(line).collect();
    // Where it can be changed, the first leader's first transaction is its version.
    let version = if options.reconfig_enabled {
        1_i64 << 32
    } else {
        0
    };
    format!("{servers}version={version:x}")
}
