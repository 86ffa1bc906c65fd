//! The replies to `cons`, and the clients in that to `stat`.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_until, take_while1};
use nom::character::complete::{char, digit1, space0};
use nom::combinator::{all_consuming, opt, recognize};
use nom::multi::separated_list0;
use nom::sequence::{delimited, separated_pair};
use nom::{IResult, Parser};

use super::{AdminError, check};
use crate::ids::SessionId;

/// A connection, as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConnection {
    /// The client's address and port.
    pub address: String,
    /// Everything the server says of it, in its order: `queued`, `recved`, `sent`, and with `cons`
    /// `sid`, `lop`, `est`, `to`, `lzxid`, latencies, ….
    pub attributes: Vec<(String, String)>,
}

impl ClientConnection {
    /// One of the attributes.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// The session, if the server says.
    pub fn session(&self) -> Option<SessionId> {
        let digits = self.get("sid")?.strip_prefix("0x")?;
        u64::from_str_radix(digits, 16)
            .ok()
            .map(|id| SessionId(id.cast_signed()))
    }

    /// Requests queued.
    pub fn queued(&self) -> Option<u64> {
        self.get("queued")?.parse().ok()
    }

    /// Packets received from the client.
    pub fn received(&self) -> Option<u64> {
        self.get("recved")?.parse().ok()
    }

    /// Packets sent to the client.
    pub fn sent(&self) -> Option<u64> {
        self.get("sent")?.parse().ok()
    }
}

/// Reads the reply to `cons`.
///
/// # Errors
/// [`AdminError`] if a line is not a connection.
pub fn connections(reply: &str) -> Result<Vec<ClientConnection>, AdminError> {
    check(reply)?;
    let lines = reply
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| connection_line(line, index + 1))
        .collect()
}

pub(super) fn connection_line(text: &str, line: usize) -> Result<ClientConnection, AdminError> {
    match all_consuming(connection).parse(text.trim_end()) {
        Ok((_, connection)) => Ok(connection),
        Err(_) => Err(AdminError::Malformed { line }),
    }
}

/// ` /127.0.0.1:59546[1](queued=0,recved=3,sent=3,sid=0x10000a)`; the number in brackets is the
/// selector's interest in the socket.
fn connection(input: &str) -> IResult<&str, ClientConnection> {
    let (input, _) = (space0, opt(char('/'))).parse(input)?;
    let (input, address) = address(input)?;
    let (input, _) = delimited(char('['), digit1, char(']')).parse(input)?;
    let (input, attributes) =
        delimited(char('('), separated_list0(char(','), attribute), char(')')).parse(input)?;
    Ok((
        input,
        ClientConnection {
            address: address.to_owned(),
            attributes,
        },
    ))
}

/// Up to the interest; an IPv6 address is in brackets of its own.
fn address(input: &str) -> IResult<&str, &str> {
    alt((
        recognize((tag("["), take_until("]:"), tag("]:"), digit1)),
        take_while1(|c| c != '['),
    ))
    .parse(input)
}

fn attribute(input: &str) -> IResult<&str, (String, String)> {
    let word = |stop: &'static str| take_while1(move |c| !stop.contains(c));
    let value = opt(word(",)"));
    let (rest, (key, value)) = separated_pair(word("=,)"), char('='), value).parse(input)?;
    Ok((rest, (key.to_owned(), value.unwrap_or_default().to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cons() {
        let reply = " /127.0.0.1:59546[1](queued=0,recved=3,sent=2,sid=0x1000017c3b20000,lop=GETD,\
                     est=1795174313589,to=10000,lcxid=0x2,lzxid=0x2,lresp=1,llat=1,minlat=0)\n \
                     /[0:0:0:0:0:0:0:1%0]:59570[0](queued=1,recved=1,sent=0)\n\n";
        let found = connections(reply).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].address, "127.0.0.1:59546");
        assert_eq!(found[0].session(), Some(SessionId(0x100_0017_c3b2_0000)));
        assert_eq!(
            (found[0].get("lop"), found[0].get("to")),
            (Some("GETD"), Some("10000"))
        );
        assert_eq!((found[0].received(), found[0].sent()), (Some(3), Some(2)));
        assert_eq!(found[1].address, "[0:0:0:0:0:0:0:1%0]:59570");
        assert_eq!((found[1].queued(), found[1].session()), (Some(1), None));
        assert_eq!(connections(""), Ok(Vec::new()));
    }

    #[test]
    fn a_line_that_is_no_connection_is_named() {
        for line in [
            "x",
            " /1.2.3.4:5[1]",
            " /1.2.3.4:5[1](a=1",
            " /1.2.3.4:5[x](a=1)",
            "[",
            "(a)",
        ] {
            let reply = format!(" /1.2.3.4:5[1](a=1,b=)\n{line}\n");
            assert_eq!(
                connections(&reply),
                Err(AdminError::Malformed { line: 2 }),
                "{line}"
            );
        }
    }
}
