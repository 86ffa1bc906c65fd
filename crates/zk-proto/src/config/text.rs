//! Reading configurations.

use std::convert::Infallible;
use std::str::FromStr;

use nom::bytes::complete::tag;
use nom::character::complete::{char, space0, u64 as number};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Offset, Parser};

use super::servers::{ClientAddress, EnsembleConfig, Role, Server, ServerAddress};
use crate::host::{whole_host, whole_port};
use crate::unreadable::UnreadableLine;

/// Why a text is not a server of a configuration. It does not repeat the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "byte {position}: {problem}; write \
     server.ID=host:quorumPort:electionPort[:role][;[address:]clientPort[;[address:]securePort]]"
)]
#[non_exhaustive]
pub struct ConfigError {
    /// Offset in bytes of the part that cannot be read.
    pub position: usize,
    /// The problem.
    pub problem: ConfigProblem,
}

/// What is wrong with the text of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// It does not begin with `server.ID=`.
    #[error("no \"server.\", number and \"=\"")]
    NoId,
    /// Not where other servers reach it.
    #[error("not a host and two ports, with \"participant\", \"observer\" or no role")]
    BadAddress,
    /// Not where clients reach it.
    #[error("not a client port, with or without an address before it")]
    BadClientAddress,
    /// There is text after the secure client port.
    #[error("nothing may follow the secure client port")]
    TooManyParts,
    /// The addresses of one server have different roles.
    #[error("the addresses of one server must have the same role")]
    MixedRoles,
}

impl FromStr for EnsembleConfig {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let mut config = Self::default();
        for (index, line) in text.lines().enumerate() {
            if let Err(expected) = config.read_line(line.trim()) {
                config
                    .unreadable
                    .push(UnreadableLine::new(index, line, expected));
            }
        }
        Ok(config)
    }
}

impl EnsembleConfig {
    /// Reads a line, or returns the form that it should have.
    fn read_line(&mut self, line: &str) -> Result<(), &'static str> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (key, value) = line.split_once('=').ok_or("key=value")?;
        let (key, value) = (key.trim(), value.trim());
        if key == "version" {
            let version = u64::from_str_radix(value, 16)
                .map_err(|_| "version=, with a hexadecimal number of up to 64 bits")?;
            self.version = Some(version.cast_signed());
        } else if key.starts_with("server.") {
            let server = server(line).map_err(
                |_| "server.ID=host:quorumPort:electionPort[:role][;clientPort[;securePort]]",
            )?;
            self.servers.push(server);
        } else {
            self.other.push((key.to_owned(), value.to_owned()));
        }
        Ok(())
    }
}

impl FromStr for Server {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        server(text)
    }
}

fn server(text: &str) -> Result<Server, ConfigError> {
    let fail = |part: &str, problem| ConfigError {
        position: text.offset(part),
        problem,
    };
    let (value, id) = server_id(text).map_err(|_| fail(text, ConfigProblem::NoId))?;
    let mut parts = value.splitn(4, ';');
    let mut addresses = Vec::new();
    let mut role = None;
    for part in parts.next().unwrap_or_default().split('|') {
        let (address, its_role) =
            address(part).ok_or_else(|| fail(part, ConfigProblem::BadAddress))?;
        if its_role.is_some() && role.is_some() && its_role != role {
            return Err(fail(part, ConfigProblem::MixedRoles));
        }
        addresses.push(address);
        role = role.or(its_role);
    }
    let (client, secure) = (parts.next(), parts.next());
    if let Some(part) = parts.next() {
        return Err(fail(part, ConfigProblem::TooManyParts));
    }
    let client_of = |part: Option<&str>, may_be_empty: bool| match part {
        None => Ok(None),
        Some(part) if may_be_empty && part.trim().is_empty() => Ok(None),
        Some(part) => client_address(part)
            .map(Some)
            .ok_or_else(|| fail(part, ConfigProblem::BadClientAddress)),
    };
    Ok(Server {
        id,
        addresses,
        role: role.unwrap_or_default(),
        client: client_of(client, secure.is_some())?,
        secure_client: client_of(secure, false)?,
    })
}

fn server_id(input: &str) -> IResult<&str, u64> {
    terminated(
        preceded((space0, tag("server.")), number),
        delimited(space0, char('='), space0),
    )
    .parse(input)
}

/// `host:quorumPort:electionPort`, and perhaps `:role`. Read from its end, where the ports are,
/// because some servers write IPv6 addresses without brackets.
fn address(text: &str) -> Option<(ServerAddress, Option<Role>)> {
    let text = text.trim();
    let (sockets, role) = match text.rsplit_once(':') {
        Some((sockets, last)) if role(last).is_some() => (sockets, role(last)),
        _ => (text, None),
    };
    let (rest, election_port) = last_port(sockets)?;
    let (host, quorum_port) = last_port(rest)?;
    let address = ServerAddress {
        host: whole_host(host)?.to_owned(),
        quorum_port,
        election_port,
    };
    Some((address, role))
}

fn client_address(text: &str) -> Option<ClientAddress> {
    let text = text.trim();
    let (host, port) = match last_port(text) {
        Some((host, port)) => (Some(whole_host(host)?.to_owned()), port),
        None => (None, whole_port(text)?),
    };
    Some(ClientAddress { host, port })
}

fn last_port(text: &str) -> Option<(&str, u16)> {
    let (rest, digits) = text.rsplit_once(':')?;
    Some((rest, whole_port(digits)?))
}

fn role(text: &str) -> Option<Role> {
    [Role::Participant, Role::Observer]
        .into_iter()
        .find(|role| role.to_string().eq_ignore_ascii_case(text.trim()))
}
