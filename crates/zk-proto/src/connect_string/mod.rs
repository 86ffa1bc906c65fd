//! Connect strings: `zk1:2181,zk2:2181,[2001:db8::1]:2181/chroot`, and
//! `dns-srv://_zookeeper._tcp.example.com/chroot`.

use std::fmt;
use std::str::FromStr;

use nom::Parser;
use nom::character::complete::char;
use nom::combinator::opt;
use nom::sequence::preceded;

use crate::host;
use crate::path::{Chroot, PathProblem};

/// The port of a host that names none.
pub const DEFAULT_PORT: u16 = 2181;

/// The addresses of an ensemble, and the node that is the client's root.
///
/// Hosts are kept in order, duplicates included. Spaces around them and empty entries are dropped,
/// as in other clients. The chroot comes once, at the end, and has no comma; for a root with a comma use
/// `zk_client::Client::chroot`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnectString {
    /// The servers; at least one when parsed.
    pub hosts: Vec<HostPort>,
    /// The client's root.
    pub chroot: Chroot,
}

/// The source of an ensemble's addresses: a [`ConnectString`], or the name of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectTarget {
    /// The servers themselves.
    Hosts(ConnectString),
    /// `dns-srv://name/chroot`: the servers are in the DNS, as SRV records (ZOOKEEPER-4956).
    DnsSrv {
        /// The name of the records, such as `_zookeeper._tcp.example.com`.
        service: String,
        /// The client's root.
        chroot: Chroot,
    },
}

/// A server's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// The client port.
    pub port: u16,
}

/// Why a text is not a connect string. The text is not repeated, because it may have a password in it by
/// mistake; only an IPv6 address without brackets is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("connect string, byte {position}: {problem}")]
#[non_exhaustive]
pub struct ConnectStringError {
    /// Offset in bytes of the problem.
    pub position: usize,
    /// What is wrong there, and what to write instead.
    pub problem: ConnectStringProblem,
}

/// What is wrong with a connect string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectStringProblem {
    /// There is no host.
    #[error("no host; write host:port, several separated by commas, then an optional /chroot")]
    NoHost,
    /// A host that is neither a name nor an address.
    #[error("not a host; write a name, an IPv4 address, or an IPv6 address in brackets")]
    BadHost,
    /// An IPv6 address without brackets. The text is what to write instead.
    #[error("an IPv6 address needs brackets; write {0}")]
    BareIpv6(String),
    /// A colon without a port.
    #[error("no port after the colon; write a number from 1 to 65535, or leave the colon out")]
    NoPort,
    /// A port that is no number from 1 to 65535.
    #[error("not a port; write a number from 1 to 65535, or leave \":port\" out for 2181")]
    BadPort,
    /// Something else than a comma between hosts, or than a slash in front of the chroot.
    #[error(
        "not a host: hosts are separated by commas, and a chroot begins with \"/\"; here is {0:?} \
         instead"
    )]
    Separator(char),
    /// A quotation mark.
    #[error("a quotation mark, which may be left over from a file or a shell; leave it out")]
    Quote,
    /// A user or a password.
    #[error(
        "credentials do not belong in a connect string, nor does a scheme; write \
         host:port,host:port/chroot, and give the credentials to the client's builder"
    )]
    Credentials,
    /// `dns-srv://` where the servers themselves are wanted.
    #[error("dns-srv:// does not name the servers; list them as host:port,host:port")]
    DnsSrv,
    /// What follows `dns-srv://` is no domain name.
    #[error("not the name of a service; write dns-srv://_zookeeper._tcp.example.com/chroot")]
    BadService,
    /// Another `scheme://`, or `scheme:`.
    #[error(
        "a connect string has no scheme, with or without slashes; write \
         host:port,host:port/chroot"
    )]
    Scheme,
    /// Parameters, as URLs have them.
    #[error("a connect string has no parameters; write host:port,host:port/chroot")]
    Parameters,
    /// A chroot that is not at the end.
    #[error(
        "the chroot is given once, after the last host, and has no comma; write \
         host:port,host:port/chroot"
    )]
    ChrootNotLast,
    /// The chroot is not a valid path.
    #[error("the chroot is not valid: {0}")]
    Chroot(PathProblem),
}

impl FromStr for ConnectString {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, ConnectStringError> {
        let start = text.len() - text.trim_start().len();
        let trimmed = text.trim();
        let (hosts_text, chroot) = trimmed.split_at(trimmed.find('/').unwrap_or(trimmed.len()));
        if hosts_text.ends_with(':') && chroot.starts_with("//") {
            return Err(ConnectStringError {
                position: start,
                problem: match hosts_text {
                    _ if chroot.contains('@') => ConnectStringProblem::Credentials,
                    "dns-srv:" => ConnectStringProblem::DnsSrv,
                    _ => ConnectStringProblem::Scheme,
                },
            });
        }
        let mut hosts = Vec::new();
        let mut at = start;
        for entry in hosts_text.split(',') {
            let lead = entry.len() - entry.trim_start().len();
            if !entry.trim().is_empty() {
                hosts.push(parse_host(entry.trim(), at + lead)?);
            }
            at += entry.len() + 1;
        }
        if hosts.is_empty() {
            return Err(ConnectStringError {
                position: start,
                problem: ConnectStringProblem::NoHost,
            });
        }
        let chroot = parse_chroot(chroot).map_err(|problem| ConnectStringError {
            position: start + hosts_text.len(),
            problem,
        })?;
        Ok(Self { hosts, chroot })
    }
}

/// The end of a connect string, from its first slash on.
fn parse_chroot(text: &str) -> Result<Chroot, ConnectStringProblem> {
    let is_separator = |c: char| is_separator(c) || c == ',';
    let names_a_host = |piece: &str| {
        let host = piece.split('/').next().unwrap_or_default();
        host.contains(':') && parse_host(host, 0).is_ok()
    };
    // A user whose name or password has a slash in it.
    if let Some((_, behind)) = text.rsplit_once('@')
        && names_a_host(behind.split(is_separator).next().unwrap_or_default())
    {
        return Err(ConnectStringProblem::Credentials);
    }
    // Paths may have commas, but after a comma here is almost always another server.
    if text.contains(',') || text.split(is_separator).skip(1).any(names_a_host) {
        return Err(ConnectStringProblem::ChrootNotLast);
    }
    Chroot::new(text).map_err(|error| match text.contains('@') {
        true => ConnectStringProblem::Credentials,
        false => ConnectStringProblem::Chroot(error.problem),
    })
}

/// Separators that other programs use in lists.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ';' | '|')
}

const DNS_SRV: &str = "dns-srv://";

impl FromStr for ConnectTarget {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, ConnectStringError> {
        let start = text.len() - text.trim_start().len();
        let fail = |position, problem| Err(ConnectStringError { position, problem });
        let Some(rest) = text.trim().strip_prefix(DNS_SRV) else {
            if text.trim().starts_with("dns-srv:/") {
                return fail(start, ConnectStringProblem::BadService);
            }
            return text.parse().map(Self::Hosts);
        };
        let at = start + DNS_SRV.len();
        let (service, chroot) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if rest.contains('@') {
            return fail(at, ConnectStringProblem::Credentials);
        }
        if !is_domain_name(service) {
            return fail(at, ConnectStringProblem::BadService);
        }
        match parse_chroot(chroot) {
            Ok(chroot) => Ok(Self::DnsSrv {
                service: service.to_owned(),
                chroot,
            }),
            Err(problem) => fail(at + service.len(), problem),
        }
    }
}

/// Labels of up to 63 letters, digits, hyphens and underscores, 253 bytes in all.
fn is_domain_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let character = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    name.len() <= 253
        && name
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(character))
}

impl fmt::Display for ConnectTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(hosts) => hosts.fmt(f),
            Self::DnsSrv { service, chroot } => {
                write!(f, "{DNS_SRV}{service}{}", chroot.as_str())
            }
        }
    }
}

impl FromStr for HostPort {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, ConnectStringError> {
        parse_host(text, 0)
    }
}

fn parse_host(entry: &str, start: usize) -> Result<HostPort, ConnectStringError> {
    let fail = |rest: &str, problem| ConnectStringError {
        position: start + entry.len() - rest.len(),
        problem,
    };
    if entry.contains('@') {
        return Err(fail(entry, ConnectStringProblem::Credentials));
    }
    if let Some((at, problem)) = entry.char_indices().find_map(misplaced) {
        let rest = entry.get(at..).unwrap_or_default();
        return Err(fail(rest, problem));
    }
    if let Some(instead) = bracketed_instead(entry) {
        return Err(fail(entry, ConnectStringProblem::BareIpv6(instead)));
    }
    let Ok((rest, name)) = host::host(entry) else {
        return Err(fail(entry, ConnectStringProblem::BadHost));
    };
    let port: nom::IResult<&str, Option<u16>> = opt(preceded(char(':'), host::port)).parse(rest);
    if let Ok(("", port)) = port {
        return Ok(HostPort {
            host: name.to_owned(),
            port: port.unwrap_or(DEFAULT_PORT),
        });
    }
    Err(match rest.strip_prefix(':') {
        Some("") => fail("", ConnectStringProblem::NoPort),
        Some(port) if is_host_and_port(port) => fail(entry, ConnectStringProblem::Scheme),
        Some(port) => fail(port, ConnectStringProblem::BadPort),
        None => fail(rest, ConnectStringProblem::BadHost),
    })
}

/// The problem with a character that cannot be part of a host.
fn misplaced((at, c): (usize, char)) -> Option<(usize, ConnectStringProblem)> {
    let problem = match c {
        '"' | '\'' | '`' | '\u{2018}'..='\u{201f}' => ConnectStringProblem::Quote,
        '?' | '&' | '=' | '#' => ConnectStringProblem::Parameters,
        '\\' => ConnectStringProblem::Separator(c),
        _ if is_separator(c) => ConnectStringProblem::Separator(c),
        _ => return None,
    };
    Some((at, problem))
}

/// The correct form of an IPv6 address without brackets. If the last group can be a port, that form
/// comes first.
fn bracketed_instead(entry: &str) -> Option<String> {
    let address = host::is_ipv6(entry).then(|| format!("[{entry}]:{DEFAULT_PORT}"));
    let with_port = entry
        .rsplit_once(':')
        .filter(|(address, port)| host::is_ipv6(address) && host::whole_port(port).is_some())
        .map(|(address, port)| format!("[{address}]:{port}"));
    match (with_port, address) {
        (Some(with_port), Some(address)) => Some(format!(
            "{with_port}, or {address} if the last group is part of the address"
        )),
        (with_port, address) => with_port.or(address),
    }
}

/// Whether the text after a scheme and its colon is a host and a port.
fn is_host_and_port(text: &str) -> bool {
    let port = text.rsplit_once(':').map(|(_, port)| port);
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    !is_number && port.is_some_and(|port| host::whole_port(port).is_some())
}

/// The form that is parsed, with every port.
impl fmt::Display for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, host) in self.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{host}")?;
        }
        f.write_str(self.chroot.as_str())
    }
}

/// `host:port`, an IPv6 address in brackets.
impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", host::bracketed(&self.host), self.port)
    }
}

#[cfg(feature = "serde")]
crate::text_serde!(ConnectString, HostPort);

#[cfg(test)]
mod tests;
