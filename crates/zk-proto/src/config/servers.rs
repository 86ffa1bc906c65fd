//! The servers of a configuration, and how they are written.

use std::fmt;

use crate::connect_string::{ConnectString, HostPort};
use crate::host::{bracketed, is_unspecified};
use crate::path::Chroot;
use crate::unreadable::UnreadableLine;

/// A dynamic configuration.
///
/// Parsing cannot fail: unreadable lines are in [`unreadable`](Self::unreadable), and do not affect the
/// other lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnsembleConfig {
    /// The servers, in the order of the text.
    pub servers: Vec<Server>,
    /// The transaction that made this configuration; compared with
    /// [`ReconfigRequest::cur_config_id`](crate::records::ReconfigRequest::cur_config_id).
    pub version: Option<i64>,
    /// Other keys, such as `group.N` and `weight.N`, as they are.
    pub other: Vec<(String, String)>,
    /// The lines that could not be read, such as those of a server that writes a newer form.
    pub unreadable: Vec<UnreadableLine>,
}

/// One server of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Its id.
    pub id: u64,
    /// Where the other servers reach it; at least one when parsed.
    pub addresses: Vec<ServerAddress>,
    /// Whether it votes.
    pub role: Role,
    /// Where clients reach it, if the configuration has it.
    pub client: Option<ClientAddress>,
    /// Where clients reach it over TLS, if the configuration has it, as written by servers since 3.10.
    pub secure_client: Option<ClientAddress>,
}

/// Where other servers reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerAddress {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// The port followers connect to.
    pub quorum_port: u16,
    /// The port of leader elections.
    pub election_port: u16,
}

/// Where clients reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientAddress {
    /// The address it listens on, which may be a wildcard; `None` if only the port is given.
    pub host: Option<String>,
    /// The port.
    pub port: u16,
}

/// A server's part in the ensemble.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It votes.
    #[default]
    Participant,
    /// It follows without a vote.
    Observer,
}

impl EnsembleConfig {
    /// The connect string of the servers that name a client port. For a server that listens on all
    /// addresses it has the address that the other servers use.
    pub fn connect_string(&self) -> ConnectString {
        self.reached_at(Server::client_address)
    }

    /// As [`connect_string`](Self::connect_string), for clients over TLS: the servers that name a
    /// secure client port.
    pub fn secure_connect_string(&self) -> ConnectString {
        self.reached_at(Server::secure_client_address)
    }

    fn reached_at(&self, address: impl Fn(&Server) -> Option<HostPort>) -> ConnectString {
        ConnectString {
            hosts: self.servers.iter().filter_map(address).collect(),
            chroot: Chroot::none(),
        }
    }
}

impl Server {
    /// Where clients reach the server. `None` if the configuration does not name the port, or has
    /// only wildcards for the host, as a server may write for itself: for a client a wildcard means its
    /// own machine.
    pub fn client_address(&self) -> Option<HostPort> {
        self.reached_at(self.client.as_ref()?)
    }

    /// As [`client_address`](Self::client_address), for clients over TLS.
    pub fn secure_client_address(&self) -> Option<HostPort> {
        self.reached_at(self.secure_client.as_ref()?)
    }

    fn reached_at(&self, client: &ClientAddress) -> Option<HostPort> {
        let other_servers_use = self.addresses.iter().map(|address| &address.host);
        let mut hosts = client.host.iter().chain(other_servers_use);
        let host = hosts.find(|host| !is_unspecified(host))?;
        Some(HostPort {
            host: host.clone(),
            port: client.port,
        })
    }
}

/// Unreadable lines keep their line numbers where the other lines allow it.
impl fmt::Display for EnsembleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.servers.iter().map(ToString::to_string);
        let other = self
            .other
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let version = self
            .version
            .iter()
            .map(|version| format!("version={version:x}"));
        let mut read = servers.chain(other).chain(version).peekable();
        let mut unreadable = self.unreadable.iter().peekable();
        let mut number = 0_usize;
        loop {
            number += 1;
            let is_due = |line: &&UnreadableLine| line.line <= number || read.peek().is_none();
            let line = match unreadable.next_if(is_due) {
                Some(line) => line.text.clone(),
                None => match read.next() {
                    Some(line) => line,
                    None => return Ok(()),
                },
            };
            let line_break = if number == 1 { "" } else { "\n" };
            write!(f, "{line_break}{line}")?;
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        write!(
            f,
            "server.{}={}:{}",
            self.id,
            addresses.join("|"),
            self.role
        )?;
        match (&self.client, &self.secure_client) {
            (None, None) => Ok(()),
            (Some(client), None) => write!(f, ";{client}"),
            (None, Some(secure)) => write!(f, ";;{secure}"),
            (Some(client), Some(secure)) => write!(f, ";{client};{secure}"),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{}:", bracketed(host))?;
        }
        write!(f, "{}", self.port)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            bracketed(&self.host),
            self.quorum_port,
            self.election_port
        )
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        })
    }
}
