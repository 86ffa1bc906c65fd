//! The replies to `cons`, and the clients in that to `stat`.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_until, take_while1};
use nom::character::complete::{char, digit1, space0};
use nom::combinator::{all_consuming, opt, recognize};
use nom::multi::separated_list0;
use nom::sequence::{delimited, preceded, separated_pair};
use nom::{IResult, Parser};

use super::entries::Entries;
use super::error::{AdminError, check};
use crate::ids::SessionId;

/// A connection, as the server reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConnection {
    /// The client's address and port.
    pub address: String,
    /// All attributes, in the server's order: `queued`, `recved`, `sent`, and with `cons`
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

    /// The session, if the connection has one and the server names it.
    pub fn session(&self) -> Option<SessionId> {
        let digits = self.get("sid")?.strip_prefix("0x")?;
        let id = u64::from_str_radix(digits, 16).ok()?.cast_signed();
        // Some servers write -1 for no session.
        Some(SessionId(id)).filter(|_| id != 0 && id != -1)
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

/// Reads the reply to `cons`. Lines that are no connections are
/// [unreadable](Entries::unreadable).
///
/// # Errors
/// [`AdminError`] if there are lines and none can be read.
pub fn connections(reply: &str) -> Result<Entries<ClientConnection>, AdminError> {
    check(reply)?;
    if reply.trim().is_empty() {
        return Ok(Entries::default());
    }
    Entries::read(reply, CONNECTION, connection_line)
}

pub(super) const CONNECTION: &str = "a connection, such as /192.0.2.7:52852[1](recved=1,sent=1)";

pub(super) fn connection_line(text: &str) -> Option<ClientConnection> {
    let (_, connection) = all_consuming(connection).parse(text.trim()).ok()?;
    Some(connection)
}

/// `/127.0.0.1:59546[1](queued=0,recved=3,sent=3,sid=0x10000a)`; the number in brackets is the
/// selector's interest in the socket, which not all servers write.
fn connection(input: &str) -> IResult<&str, ClientConnection> {
    let (input, address) = preceded(opt(char('/')), address).parse(input)?;
    let (input, _) = opt(delimited(char('['), digit1, char(']'))).parse(input)?;
    let separator = (space0, char(','), space0);
    let (input, attributes) =
        delimited(char('('), separated_list0(separator, attribute), char(')')).parse(input)?;
    Ok((
        input,
        ClientConnection {
            address: address.to_owned(),
            attributes,
        },
    ))
}

/// The text before the interest or the attributes; an IPv6 address may be in brackets.
fn address(input: &str) -> IResult<&str, &str> {
    alt((
        recognize((tag("["), take_until("]:"), tag("]:"), digit1)),
        take_while1(|c| c != '[' && c != '('),
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
        assert_eq!(connections("\n").unwrap().len(), 0);
        assert_eq!(connections(""), Err(AdminError::Empty));
    }

    /// Guards: P9.
    #[test]
    fn the_form_of_other_servers() {
        let reply = " 192.0.2.7:52163(recved=0,sent=0,sid=0xffffffffffffffff,lop=NA)\n \
                     192.0.2.8:52042(recved=9,sent=18,sid=0x0000000000000001,lop=List)\n \
                     [::1]:44734(recved=0,sent=0)\n";
        let found = connections(reply).unwrap();
        assert_eq!(found.unreadable(), []);
        let read: Vec<_> = found.iter().map(|c| (&*c.address, c.session())).collect();
        assert_eq!(
            read,
            [
                ("192.0.2.7:52163", None),
                ("192.0.2.8:52042", Some(SessionId(1))),
                ("[::1]:44734", None),
            ]
        );
    }

    /// Guards: P9.
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
            let reply = format!(" /1.2.3.4:5[1](a=1,b=)\n{line}\n 1.2.3.4:6()\n");
            let read = connections(&reply).unwrap();
            let addresses: Vec<_> = read.iter().map(|c| &*c.address).collect();
            assert_eq!(addresses, ["1.2.3.4:5", "1.2.3.4:6"], "{line}");
            assert_eq!(read.unreadable().len(), 1);
            let unreadable = &read.unreadable()[0];
            assert_eq!((unreadable.line, &*unreadable.text), (2, line.trim()));
        }
    }
}
