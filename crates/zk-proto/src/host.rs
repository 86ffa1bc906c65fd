//! The grammar of hosts and ports, shared by connect strings and configurations.

use std::net::{IpAddr, Ipv6Addr};

use nom::branch::alt;
use nom::bytes::complete::{take_till, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{all_consuming, map_opt, verify};
use nom::sequence::delimited;
use nom::{IResult, Parser};

/// A name, an IPv4 address, or an IPv6 address in brackets, which are taken off.
pub(crate) fn host(input: &str) -> IResult<&str, &str> {
    alt((delimited(char('['), ipv6, char(']')), name)).parse(input)
}

/// A host and nothing else; brackets around an IPv6 address may be missing.
pub(crate) fn whole_host(text: &str) -> Option<&str> {
    if is_ipv6(text) {
        return Some(text);
    }
    let (_, host) = all_consuming(host).parse(text).ok()?;
    Some(host)
}

/// A port and nothing else.
pub(crate) fn whole_port(text: &str) -> Option<u16> {
    let (_, port) = all_consuming(port).parse(text).ok()?;
    Some(port)
}

/// Whether the host is a wildcard, which means all addresses of the machine that uses it.
pub(crate) fn is_unspecified(host: &str) -> bool {
    let address = host.split('%').next().unwrap_or_default();
    address
        .parse()
        .is_ok_and(|address: IpAddr| address.to_canonical().is_unspecified())
}

/// 1 to 65535.
pub(crate) fn port(input: &str) -> IResult<&str, u16> {
    map_opt(digit1, |digits: &str| {
        digits.parse().ok().filter(|&port| port != 0)
    })
    .parse(input)
}

/// An IPv6 address, with or without a zone.
pub(crate) fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    address.parse::<Ipv6Addr>().is_ok()
        && !zone.is_empty()
        && zone
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// `host`, in brackets if it has colons.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn ipv6(input: &str) -> IResult<&str, &str> {
    verify(take_till(|c| c == ']'), is_ipv6).parse(input)
}

/// Loose on purpose, because the resolver decides which names are valid. But a name has no character
/// that is part of the grammars around it.
fn name(input: &str) -> IResult<&str, &str> {
    take_while1(|c: char| {
        let is_quote = matches!(c, '\u{2018}'..='\u{201f}');
        let is_free = !c.is_whitespace() && !c.is_control() && !is_quote;
        is_free && !",:;|/@[]=?#&\\\"'`<>".contains(c)
    })
    .parse(input)
}
