//! Connect strings: `zk1:2181,zk2:2181,[2001:db8::1]:2181/chroot`, and
//! `dns-srv://_zookeeper._tcp.example.com/chroot`.

use std::fmt;
use std::str::FromStr;

use nom::Parser;
use nom::character::complete::char;
use nom::combinator::opt;
use nom::sequence::preceded;

use crate::host;
use crate::path::{Chroot, PathError};

/// The port of a host that names none.
pub const DEFAULT_PORT: u16 = 2181;

/// Where an ensemble is, and which of its nodes is the client's root.
///
/// Hosts are kept in order, duplicates included. Spaces around them and empty entries are dropped,
/// as other clients do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnectString {
    /// The servers; at least one when parsed.
    pub hosts: Vec<HostPort>,
    /// The client's root.
    pub chroot: Chroot,
}

/// Where to learn what servers an ensemble has: a [`ConnectString`], or the name of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// Why a text is not a connect string. Of the text itself nothing is shown that could be a password
/// put there by mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("connect string, byte {position}: {problem}")]
#[non_exhaustive]
pub struct ConnectStringError {
    /// Offset in bytes at which it stops making sense.
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
    /// An IPv6 address without brackets, whose last group cannot be told from a port.
    #[error("an IPv6 address needs brackets; write [{0}]:2181")]
    BareIpv6(String),
    /// A port that is no number from 1 to 65535.
    #[error("not a port; write a number from 1 to 65535, or leave \":port\" out for 2181")]
    BadPort,
    /// A user or a password.
    #[error("credentials do not belong in a connect string; give them to the client's builder")]
    Credentials,
    /// `dns-srv://` where the servers themselves are wanted.
    #[error("dns-srv:// does not name the servers; list them as host:port,host:port")]
    DnsSrv,
    /// What follows `dns-srv://` is no domain name.
    #[error("not the name of a service; write dns-srv://_zookeeper._tcp.example.com/chroot")]
    BadService,
    /// Another `scheme://`.
    #[error("a connect string has no scheme; write host:port,host:port/chroot")]
    Scheme,
    /// The chroot is not a valid path.
    #[error("the chroot is not valid: {0}")]
    Chroot(PathError),
}

impl FromStr for ConnectString {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, ConnectStringError> {
        let start = text.len() - text.trim_start().len();
        let trimmed = text.trim();
        let (hosts_text, chroot) = match trimmed.find('/') {
            Some(at) => trimmed.split_at(at),
            None => (trimmed, ""),
        };
        let chroot_at = start + hosts_text.len();
        if chroot.starts_with("//") && hosts_text.ends_with(':') {
            let dns_srv = hosts_text == "dns-srv:";
            return Err(ConnectStringError {
                position: start,
                problem: if dns_srv {
                    ConnectStringProblem::DnsSrv
                } else {
                    ConnectStringProblem::Scheme
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
            let problem = ConnectStringProblem::NoHost;
            return Err(ConnectStringError {
                position: start,
                problem,
            });
        }
        let chroot = Chroot::new(chroot).map_err(|error| ConnectStringError {
            position: chroot_at,
            // A password with a slash in it ends up here, and must not be shown.
            problem: match error.path.contains('@') {
                true => ConnectStringProblem::Credentials,
                false => ConnectStringProblem::Chroot(error),
            },
        })?;
        Ok(Self { hosts, chroot })
    }
}

const DNS_SRV: &str = "dns-srv://";

impl FromStr for ConnectTarget {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, ConnectStringError> {
        let start = text.len() - text.trim_start().len();
        let Some(rest) = text.trim().strip_prefix(DNS_SRV) else {
            return text.parse().map(Self::Hosts);
        };
        let at = start + DNS_SRV.len();
        let (service, chroot) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let fail = |position, problem| Err(ConnectStringError { position, problem });
        if rest.contains('@') {
            return fail(at, ConnectStringProblem::Credentials);
        }
        if !is_domain_name(service) {
            return fail(at, ConnectStringProblem::BadService);
        }
        match Chroot::new(chroot) {
            Ok(chroot) => Ok(Self::DnsSrv {
                service: service.to_owned(),
                chroot,
            }),
            Err(error) => fail(at + service.len(), ConnectStringProblem::Chroot(error)),
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
    let fail = |rest: &str, problem| {
        let position = start + entry.len() - rest.len();
        Err(ConnectStringError { position, problem })
    };
    if entry.contains('@') {
        return fail(entry, ConnectStringProblem::Credentials);
    }
    if host::is_ipv6(entry) {
        return fail(entry, ConnectStringProblem::BareIpv6(entry.to_owned()));
    }
    let Ok((rest, name)) = host::host(entry) else {
        return fail(entry, ConnectStringProblem::BadHost);
    };
    let port: nom::IResult<&str, Option<u16>> = opt(preceded(char(':'), host::port)).parse(rest);
    match port {
        Ok(("", port)) => Ok(HostPort {
            host: name.to_owned(),
            port: port.unwrap_or(DEFAULT_PORT),
        }),
        _ if rest.starts_with(':') => fail(
            rest.get(1..).unwrap_or_default(),
            ConnectStringProblem::BadPort,
        ),
        _ => fail(rest, ConnectStringProblem::BadHost),
    }
}

/// What was parsed, with every port.
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
mod tests {
    use super::*;

    fn parse(text: &str) -> ConnectString {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_read_and_how_it_is_written() {
        for (text, expected) in [
            ("zk1", "zk1:2181"),
            ("zk1:2182", "zk1:2182"),
            ("zk1,zk2:2182 , 10.0.0.1", "zk1:2181,zk2:2182,10.0.0.1:2181"),
            (" zk1:1 ,zk1:1 ", "zk1:1,zk1:1"),
            ("[::1]:2182,[2001:db8::1]", "[::1]:2182,[2001:db8::1]:2181"),
            ("[fe80::1%eth0]:1", "[fe80::1%eth0]:1"),
            ("zk1/", "zk1:2181"),
            ("zk1,zk2/app/x", "zk1:2181,zk2:2181/app/x"),
            ("zk1,,zk2,", "zk1:2181,zk2:2181"),
            ("zk1:65535/a,b:c", "zk1:65535/a,b:c"),
            ("zk_1.example-x.com", "zk_1.example-x.com:2181"),
        ] {
            let parsed = parse(text);
            assert_eq!(parsed.to_string(), expected, "{text}");
            assert_eq!(parse(expected), parsed, "{text}");
        }
        assert_eq!(parse("a,b/c").chroot.as_str(), "/c");
        assert_eq!(parse("[::1]").hosts[0].host, "::1");
    }

    #[test]
    fn b13_what_is_wrong_and_where() {
        use ConnectStringProblem::*;
        for (text, position, problem) in [
            ("", 0, NoHost),
            ("  ", 2, NoHost),
            (",", 0, NoHost),
            ("/app", 0, NoHost),
            (":2181", 0, BadHost),
            ("zk 1", 2, BadHost),
            ("zk1, z k", 6, BadHost),
            ("[zk1]:1", 0, BadHost),
            ("[::1", 0, BadHost),
            ("[::1]x", 5, BadHost),
            ("[]", 0, BadHost),
            ("zk1:", 4, BadPort),
            ("zk1:x", 4, BadPort),
            ("zk1:0", 4, BadPort),
            ("zk1:65536", 4, BadPort),
            ("zk1:-1", 4, BadPort),
            ("zk1:1:2", 4, BadPort),
            ("a:1, zk1: 2", 9, BadPort),
            ("::1", 0, BareIpv6("::1".to_owned())),
            (
                "a,2001:db8::1:2181",
                2,
                BareIpv6("2001:db8::1:2181".to_owned()),
            ),
            ("dns-srv://zk.example.com/app", 0, DnsSrv),
            ("zk://zk1", 0, Scheme),
        ] {
            let error = text.parse::<ConnectString>().unwrap_err();
            assert_eq!(error, ConnectStringError { position, problem }, "{text}");
        }
        let error = "zk1/app/".parse::<ConnectString>().unwrap_err();
        assert_eq!(error.position, 3);
        assert_eq!(
            error.to_string(),
            "connect string, byte 3: the chroot is not valid: invalid path \"/app/\": it must not \
             end with '/'"
        );
    }

    #[test]
    fn a_service_stands_for_its_servers() {
        for (text, expected) in [
            (
                "dns-srv://_zk._tcp.example.com",
                "dns-srv://_zk._tcp.example.com",
            ),
            (
                " dns-srv://zk.example.com./app/x ",
                "dns-srv://zk.example.com./app/x",
            ),
            ("dns-srv://zk/", "dns-srv://zk"),
            ("zk1/app", "zk1:2181/app"),
        ] {
            let target: ConnectTarget = text.parse().unwrap();
            assert_eq!(target.to_string(), expected);
        }
        use ConnectStringProblem::*;
        for (text, position, problem) in [
            ("dns-srv://", 10, BadService),
            ("dns-srv:///app", 10, BadService),
            ("dns-srv://zk:2181", 10, BadService),
            ("dns-srv://a..b", 10, BadService),
            ("dns-srv://a,b", 10, BadService),
            ("dns-srv://bob:hunter2@zk", 10, Credentials),
            ("dns-srv:/zk", 8, BadPort),
        ] {
            let error = text.parse::<ConnectTarget>().unwrap_err();
            assert_eq!(error, ConnectStringError { position, problem }, "{text}");
        }
        let error = "dns-srv://zk/app/".parse::<ConnectTarget>().unwrap_err();
        assert_eq!(error.position, 12);
    }

    #[test]
    fn b75_credentials_are_refused_and_not_repeated() {
        for text in [
            "bob:hunter2@zk1:2181",
            "zk0,bob:hunter2@zk1",
            "bob:hunter2/x@zk1",
        ] {
            let error = text.parse::<ConnectString>().unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{error:?}"
            );
        }
        let error = "bob:hunter2@zk1:2181".parse::<ConnectString>().unwrap_err();
        assert_eq!(error.problem, ConnectStringProblem::Credentials);
    }
}
