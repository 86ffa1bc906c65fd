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

/// Where an ensemble is, and which of its nodes is the client's root.
///
/// Hosts are kept in order, duplicates included. Spaces around them and empty entries are dropped,
/// as other clients do. The chroot stands once, at the end, and has no comma: a client for such a
/// root can be had of `zk_client::Client::chroot`.
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

/// Why a text is not a connect string. Nothing of the text itself is repeated, because a password
/// may have been put there by mistake; but an IPv6 address without brackets is.
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
    /// An IPv6 address without brackets. The text is what to write instead.
    #[error("an IPv6 address needs brackets; write {0}")]
    BareIpv6(String),
    /// A colon without a port.
    #[error("no port behind the colon; write a number from 1 to 65535, or leave the colon out")]
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
        "a connect string has no scheme, be it with slashes or without; write \
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
    // Paths may have commas, but what follows a comma here is almost always another server.
    if text.contains(',') || text.split(is_separator).skip(1).any(names_a_host) {
        return Err(ConnectStringProblem::ChrootNotLast);
    }
    Chroot::new(text).map_err(|error| match text.contains('@') {
        true => ConnectStringProblem::Credentials,
        false => ConnectStringProblem::Chroot(error.problem),
    })
}

/// Separators of the lists of other programs.
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

/// The problem that a character shows, if it cannot be part of a host.
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

/// What to write for an IPv6 address without brackets. If both can be meant, its last group is
/// rather the port.
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

/// Whether a scheme that ends with a colon may stand in front of it.
fn is_host_and_port(text: &str) -> bool {
    let port = text.rsplit_once(':').map(|(_, port)| port);
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    !is_number && port.is_some_and(|port| host::whole_port(port).is_some())
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
    use proptest::prelude::*;

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
            ("zk1:65535/a@b:c", "zk1:65535/a@b:c"),
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
            ("zk 1", 2, Separator(' ')),
            ("zk1, z k", 6, Separator(' ')),
            ("zk1:2181 zk2:2181", 8, Separator(' ')),
            ("zk1\nzk2", 3, Separator('\n')),
            ("zk1:2181|zk2:2181", 8, Separator('|')),
            ("zk1:2181\\app", 8, Separator('\\')),
            ("[zk1]:1", 0, BadHost),
            ("[::1", 0, BadHost),
            ("[::1]x", 5, BadHost),
            ("[]", 0, BadHost),
            ("zk1:", 4, NoPort),
            ("zk1:,zk2", 4, NoPort),
            ("[::1]:", 6, NoPort),
            ("zk1:x", 4, BadPort),
            ("zk1:0", 4, BadPort),
            ("zk1:65536", 4, BadPort),
            ("zk1:-1", 4, BadPort),
            ("zk1:1:2", 4, BadPort),
            ("a:1, zk1: 2", 9, Separator(' ')),
            ("::1", 0, BareIpv6("[::1]:2181".to_owned())),
            ("fe80::1%eth0:1", 0, BareIpv6("[fe80::1%eth0]:1".to_owned())),
            (
                "2001:db8:0:0:0:0:0:1:2182",
                0,
                BareIpv6("[2001:db8:0:0:0:0:0:1]:2182".to_owned()),
            ),
            ("zk1,\u{201c}zk2\u{201d}", 4, Quote),
            ("zk1:2181?timeout=3", 8, Parameters),
            ("http:zk1:2181", 0, Scheme),
            ("zk1/app,zk2/app", 3, ChrootNotLast),
            ("zk1/app,zk2", 3, ChrootNotLast),
            ("zk1/app;zk2:2181/app", 3, ChrootNotLast),
            ("zk1/app zk2:2181", 3, ChrootNotLast),
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
            "connect string, byte 3: the chroot is not valid: it must not end with '/'"
        );
    }

    /// Guards: P25, P26, P28.
    #[test]
    fn errors_name_the_true_cause() {
        for (text, cause) in [
            (
                "zk1:2181/app,zk2:2181/app,zk3:2181/app",
                "once, after the last host",
            ),
            ("zk1:2181/a,zk2:2181/b", "once, after the last host"),
            ("zk1:2181;zk2:2181;zk3:2181", "separated by commas"),
            ("zk:zk1:2181,zk2:2181/q", "no scheme"),
            ("zk+hierarchical://zk1:2181;zk2:2181/l", "no scheme"),
            (
                "zk://user:hunter2@zk1:2181,zk2:2181/m",
                "credentials do not belong",
            ),
            ("zk://zk1:2181,zk2:2181/n", "no scheme"),
            ("zookeeper://zk1:2181?backup=zk2:2181,zk3:2181", "no scheme"),
            ("zk1:2181,zk2:2181/app/", "must not end with '/'"),
            (
                "2001:db8::1:2181",
                "write [2001:db8::1]:2181, or [2001:db8::1:2181]:2181 if",
            ),
            ("zk1:", "no port behind the colon"),
            ("\"zk1:2181\"", "quotation mark"),
        ] {
            let error = text.parse::<ConnectTarget>().unwrap_err().to_string();
            assert!(error.contains(cause), "{text}: {error}");
        }
    }

    #[test]
    fn what_other_clients_take_is_taken() {
        for (text, hosts, chroot) in [
            ("zk1:2181,zk2:2181,zk3:2181/app", 3, "/app"),
            ("zk1:2181, zk2:2181 , zk3:2181", 3, ""),
            ("zk1:2181,zk2:2181,", 2, ""),
            ("zk1,zk2,zk3:2182", 3, ""),
            ("my_zk_1:2181", 1, ""),
            ("[2001:db8::1]:2181,[fe80::1%eth0]:2181", 2, ""),
            ("zk1.example.:2181", 1, ""),
            (
                "ZK1.EXAMPLE:2181/Pr\u{e4}fix/a b%2Fc",
                1,
                "/Pr\u{e4}fix/a b%2Fc",
            ),
        ] {
            let parsed = parse(text);
            assert_eq!(
                (parsed.hosts.len(), parsed.chroot.as_str()),
                (hosts, chroot)
            );
        }
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
            ("dns-srv:/zk", 0, BadService),
            ("dns-srv://zk/a,zk2/a", 12, ChrootNotLast),
        ] {
            let error = text.parse::<ConnectTarget>().unwrap_err();
            assert_eq!(error, ConnectStringError { position, problem }, "{text}");
        }
        let error = "dns-srv://zk/app/".parse::<ConnectTarget>().unwrap_err();
        assert_eq!(error.position, 12);
    }

    proptest! {
        /// Guards: B75, P27. Whatever is typed around a password, no error repeats the password.
        #[test]
        fn no_error_repeats_a_password(
            before in "(zk|zk\\+x|dns-srv)?(:|://)?(zk0:2181,)?(/app,)?\"?",
            user in "[a-z]{0,3}[:/;, ]?",
            after in "[:/;, ]?[/.#?]?@?(zk1)?(:2181)?(,zk2:2181)?(/m|/m/|//|/\u{1})?\"?",
        ) {
            let text = format!("{before}{user}hunter2!{after}");
            let mut errors = Vec::new();
            if let Err(error) = text.parse::<ConnectTarget>() {
                errors.push(error);
            }
            if let Err(error) = text.parse::<ConnectString>() {
                errors.push(error);
            }
            for error in errors {
                prop_assert!(!format!("{error} {error:?}").contains("hunter2"), "{}", text);
            }
        }
    }

    /// Guards: P27.
    #[test]
    fn b75_credentials_are_refused() {
        use ConnectStringProblem::*;
        for (text, position) in [
            ("bob:hunter2@zk1:2181", 0),
            ("zk0,bob:hunter2@zk1", 4),
            ("bob:7/x@zk1:2181", 5),
            ("bob:7/x,@zk1:2181", 5),
            ("zk://bob:hunter2@zk1:2181", 0),
            ("dns-srv://bob:hunter2@zk1", 10),
        ] {
            let error = text.parse::<ConnectTarget>().unwrap_err();
            let problem = Credentials;
            assert_eq!(error, ConnectStringError { position, problem }, "{text}");
        }
    }
}
