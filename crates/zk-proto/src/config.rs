//! The ensemble's dynamic configuration: the text of `/zookeeper/config`, and the `server.N=…`
//! lines that `reconfig` takes.

use std::fmt;
use std::str::FromStr;

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case};
use nom::character::complete::{char, u64 as number};
use nom::combinator::{all_consuming, opt, value};
use nom::multi::separated_list1;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use crate::connect_string::{ConnectString, HostPort};
use crate::host::{bracketed, host, port};
use crate::path::Chroot;

/// A dynamic configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnsembleConfig {
    /// The servers, in the order of the text.
    pub servers: Vec<Server>,
    /// The transaction that made this configuration; compared with
    /// [`ReconfigRequest::cur_config_id`](crate::records::ReconfigRequest::cur_config_id).
    pub version: Option<i64>,
    /// Other keys, such as `group.N` and `weight.N`, as they are.
    pub other: Vec<(String, String)>,
}

/// One server of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub id: u64,
    /// Where the other servers reach it; at least one when parsed.
    pub addresses: Vec<ServerAddress>,
    /// Whether it votes.
    pub role: Role,
    /// Where clients reach it, if the configuration says so.
    pub client: Option<ClientAddress>,
}

/// Where other servers reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
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
pub struct ClientAddress {
    /// The address it listens on, which may be a wildcard; `None` if only the port is given.
    pub host: Option<String>,
    /// The port.
    pub port: u16,
}

/// A server's part in the ensemble.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// It votes.
    #[default]
    Participant,
    /// It follows without a vote.
    Observer,
}

/// Why a text is not a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("configuration, line {line}: {problem}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: ConfigProblem,
}

/// What is wrong with a line of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// It is no `key=value`.
    #[error("not key=value")]
    NotKeyValue,
    /// A server that cannot be read.
    #[error(
        "not a server; write server.ID=host:quorumPort:electionPort[:role][;[address:]clientPort]"
    )]
    BadServer,
    /// The addresses of one server have different roles.
    #[error("the addresses of one server must have the same role")]
    MixedRoles,
    /// A version that is not hexadecimal.
    #[error("the version is not a hexadecimal number")]
    BadVersion,
}

impl EnsembleConfig {
    /// The connect string of the servers that name a client port. A server that listens on all
    /// addresses is reached where the other servers reach it.
    pub fn connect_string(&self) -> ConnectString {
        let hosts = self
            .servers
            .iter()
            .filter_map(Server::client_address)
            .collect();
        ConnectString {
            hosts,
            chroot: Chroot::none(),
        }
    }
}

impl Server {
    /// Where clients reach the server, if the configuration says so.
    pub fn client_address(&self) -> Option<HostPort> {
        let client = self.client.as_ref()?;
        let named = client.host.as_deref().filter(|host| !is_wildcard(host));
        let host = named.or_else(|| self.addresses.first().map(|a| a.host.as_str()))?;
        Some(HostPort {
            host: host.to_owned(),
            port: client.port,
        })
    }
}

fn is_wildcard(host: &str) -> bool {
    host.parse()
        .is_ok_and(|address: std::net::IpAddr| address.is_unspecified())
}

impl FromStr for EnsembleConfig {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fail = |problem| ConfigError {
                line: index + 1,
                problem,
            };
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| fail(ConfigProblem::NotKeyValue))?;
            let (key, value) = (key.trim(), value.trim());
            if key == "version" {
                let version =
                    u64::from_str_radix(value, 16).map_err(|_| fail(ConfigProblem::BadVersion))?;
                config.version = Some(version.cast_signed());
            } else if key.starts_with("server.") {
                config
                    .servers
                    .push(server(&format!("{key}={value}")).map_err(fail)?);
            } else {
                config.other.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(config)
    }
}

impl FromStr for Server {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        server(text.trim()).map_err(|problem| ConfigError { line: 1, problem })
    }
}

fn server(text: &str) -> Result<Server, ConfigProblem> {
    let parsed = all_consuming((
        preceded(tag("server."), terminated(number, char('='))),
        separated_list1(char('|'), address),
        opt(preceded(char(';'), client_address)),
    ))
    .parse(text);
    let (_, (id, parts, client)) = parsed.map_err(|_| ConfigProblem::BadServer)?;
    let mut roles = parts.iter().filter_map(|&(_, role)| role);
    let role = roles.next();
    if roles.any(|other| Some(other) != role) {
        return Err(ConfigProblem::MixedRoles);
    }
    let addresses = parts.into_iter().map(|(address, _)| address).collect();
    Ok(Server {
        id,
        addresses,
        role: role.unwrap_or_default(),
        client,
    })
}

fn address(input: &str) -> IResult<&str, (ServerAddress, Option<Role>)> {
    let (rest, (host, _, quorum_port, _, election_port, role)) = (
        host,
        char(':'),
        port,
        char(':'),
        port,
        opt(preceded(char(':'), role)),
    )
        .parse(input)?;
    let host = host.to_owned();
    Ok((
        rest,
        (
            ServerAddress {
                host,
                quorum_port,
                election_port,
            },
            role,
        ),
    ))
}

fn role(input: &str) -> IResult<&str, Role> {
    alt((
        value(Role::Participant, tag_no_case("participant")),
        value(Role::Observer, tag_no_case("observer")),
    ))
    .parse(input)
}

fn client_address(input: &str) -> IResult<&str, ClientAddress> {
    let (rest, (host, port)) = (opt(terminated(host, char(':'))), port).parse(input)?;
    Ok((
        rest,
        ClientAddress {
            host: host.map(str::to_owned),
            port,
        },
    ))
}

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
        let lines: Vec<_> = servers.chain(other).chain(version).collect();
        f.write_str(&lines.join("\n"))
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
        match &self.client {
            None => Ok(()),
            Some(ClientAddress { host: None, port }) => write!(f, ";{port}"),
            Some(ClientAddress {
                host: Some(host),
                port,
            }) => {
                write!(f, ";{}:{port}", bracketed(host))
            }
        }
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

#[cfg(feature = "serde")]
crate::text_serde!(EnsembleConfig, Server);

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "server.1=zk1:2888:3888:participant;0.0.0.0:2181\n\
                        server.2=[::1]:2888:3888|zk2b:2889:3889:observer;[::]:2182\n\
                        server.3=zk3:2888:3888:participant;2183\n\
                        server.4=zk4:2888:3888:participant;10.0.0.4:2184\n\
                        server.5=zk5:2888:3888:participant\n\
                        group.1=1:2:3\n\
                        version=ffffffff00000001";

    #[test]
    fn a_configuration_is_written_as_it_was_read() {
        let config: EnsembleConfig = TEXT.parse().unwrap();
        assert_eq!(config.to_string(), TEXT);
        assert_eq!(config.version, Some(-4_294_967_295));
        assert_eq!(config.other, [("group.1".to_owned(), "1:2:3".to_owned())]);
        let two = &config.servers[1];
        assert_eq!(
            (two.id, two.role, two.addresses.len()),
            (2, Role::Observer, 2)
        );
        assert_eq!(two.addresses[0].host, "::1");
    }

    #[test]
    fn a_wildcard_is_reached_where_the_servers_reach_it() {
        let config: EnsembleConfig = TEXT.parse().unwrap();
        assert_eq!(
            config.connect_string().to_string(),
            "zk1:2181,[::1]:2182,zk3:2183,10.0.0.4:2184"
        );
    }

    #[test]
    fn spaces_blank_lines_and_comments() {
        let text = "# made by hand\n\n server.1 = a:1:2:OBSERVER;3 \r\nversion = 10\n";
        let config: EnsembleConfig = text.parse().unwrap();
        assert_eq!(config.to_string(), "server.1=a:1:2:observer;3\nversion=10");
        assert_eq!(config.version, Some(16));
        assert_eq!("".parse(), Ok(EnsembleConfig::default()));
    }

    #[test]
    fn errors_name_the_line() {
        use ConfigProblem::*;
        for (line, problem) in [
            ("server.1", NotKeyValue),
            ("server.1=", BadServer),
            ("server.x=a:1:2", BadServer),
            ("server.1=a:1", BadServer),
            ("server.1=a:1:2:leader", BadServer),
            ("server.1=a:1:2;", BadServer),
            ("server.1=a:1:2;b", BadServer),
            ("server.1=a:1:2;b:70000", BadServer),
            ("server.1=a:1:2;3;4", BadServer),
            ("server.1=::1:1:2", BadServer),
            ("server.1=a:1:2|", BadServer),
            ("server.1=a:1:2:observer|b:1:2:participant", MixedRoles),
            ("version=", BadVersion),
            ("version=0x10", BadVersion),
            ("version=-1", BadVersion),
        ] {
            let error = format!("server.9=z:1:2\n{line}")
                .parse::<EnsembleConfig>()
                .unwrap_err();
            assert_eq!(error, ConfigError { line: 2, problem }, "{line}");
        }
    }
}
