//! The replies to `srvr` and `stat`.

use std::str::FromStr;

use super::connection::connection_line;
use super::{AdminError, ClientConnection, check};
use crate::ids::Zxid;

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Its version, with the build's date.
    pub version: String,
    /// Its clients, in the reply to `stat`; empty in that to `srvr`.
    pub clients: Vec<ClientConnection>,
    /// How long requests took.
    pub latency: Latency,
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Open connections; servers before 3.4 do not say.
    pub connections: Option<u64>,
    /// Requests received and not yet answered.
    pub outstanding: u64,
    /// The last transaction it has applied.
    pub zxid: Zxid,
    /// Its part in the ensemble.
    pub mode: ServerMode,
    /// Number of nodes.
    pub node_count: u64,
}

/// Latency of requests in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latency {
    /// The shortest.
    pub min: u64,
    /// The average; a whole number before 3.6.
    pub avg: f64,
    /// The longest.
    pub max: u64,
}

/// A server's part in the ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerMode {
    /// It is alone.
    Standalone,
    /// It leads.
    Leader,
    /// It follows, with a vote.
    Follower,
    /// It follows, without a vote.
    Observer,
    /// It has no quorum and serves reads only.
    ReadOnly,
    /// What this crate does not know.
    Other(String),
}

impl From<&str> for ServerMode {
    fn from(text: &str) -> Self {
        match text {
            "standalone" => Self::Standalone,
            "leader" => Self::Leader,
            "follower" => Self::Follower,
            "observer" => Self::Observer,
            "read-only" => Self::ReadOnly,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Reads the reply to `srvr` or `stat`. Lines it does not know are skipped.
impl FromStr for ServerStatus {
    type Err = AdminError;

    fn from_str(reply: &str) -> Result<Self, AdminError> {
        check(reply)?;
        let version = find(reply, "Zookeeper version", |text| Some(text.to_owned()))?;
        Ok(Self {
            version,
            clients: clients(reply)?,
            latency: find(reply, "Latency min/avg/max", latency)?,
            received: find(reply, "Received", parse)?,
            sent: find(reply, "Sent", parse)?,
            connections: match find(reply, "Connections", parse) {
                Err(AdminError::Missing(_)) => None,
                other => Some(other?),
            },
            outstanding: find(reply, "Outstanding", parse)?,
            zxid: find(reply, "Zxid", zxid)?,
            mode: find(reply, "Mode", |text| Some(ServerMode::from(text)))?,
            node_count: find(reply, "Node count", parse)?,
        })
    }
}

/// The value of the line `key: value`.
fn find<T>(
    reply: &str,
    key: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, AdminError> {
    for (index, line) in reply.lines().enumerate() {
        if let Some(value) = line
            .strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(':'))
        {
            return read(value.trim()).ok_or(AdminError::Malformed { line: index + 1 });
        }
    }
    Err(AdminError::Missing(key))
}

/// The lines between `Clients:` and the first empty one.
fn clients(reply: &str) -> Result<Vec<ClientConnection>, AdminError> {
    let lines = reply.lines().enumerate();
    let lines = lines
        .skip_while(|(_, line)| line.trim() != "Clients:")
        .skip(1);
    lines
        .take_while(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| connection_line(line, index + 1))
        .collect()
}

fn parse(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn zxid(text: &str) -> Option<Zxid> {
    let digits = text.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16)
        .ok()
        .map(|zxid| Zxid(zxid.cast_signed()))
}

fn latency(text: &str) -> Option<Latency> {
    let mut parts = text.split('/');
    let (min, avg, max) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let avg: f64 = avg.parse().ok()?;
    Some(Latency {
        min: parse(min)?,
        avg,
        max: parse(max)?,
    })
    .filter(|_| avg.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a 3.8.0 server answers.
    const SRVR: &str = "Zookeeper version: 3.8.0-x, built on 2024-12-29 17:54 UTC\n\
                        Latency min/avg/max: 1/5.6667/11\n\
                        Received: 13\n\
                        Sent: 12\n\
                        Connections: 2\n\
                        Outstanding: 0\n\
                        Zxid: 0x100000002\n\
                        Mode: standalone\n\
                        Node count: 6\n";

    #[test]
    fn srvr() {
        let status: ServerStatus = SRVR.parse().unwrap();
        assert_eq!(
            status,
            ServerStatus {
                version: "3.8.0-x, built on 2024-12-29 17:54 UTC".to_owned(),
                clients: Vec::new(),
                latency: Latency {
                    min: 1,
                    avg: 5.6667,
                    max: 11
                },
                received: 13,
                sent: 12,
                connections: Some(2),
                outstanding: 0,
                zxid: Zxid(0x1_0000_0002),
                mode: ServerMode::Standalone,
                node_count: 6,
            }
        );
    }

    #[test]
    fn stat_has_the_clients_too() {
        let stat = SRVR.replace(
            "Latency",
            "Clients:\n /127.0.0.1:59546[1](queued=0,recved=3,sent=2)\n \
             /[0:0:0:0:0:0:0:1]:59624[0](queued=0,recved=1,sent=0)\n\nLatency",
        );
        let status: ServerStatus = stat.parse().unwrap();
        let clients: Vec<_> = status
            .clients
            .iter()
            .map(|c| (c.address.as_str(), c.received()))
            .collect();
        assert_eq!(
            clients,
            [
                ("127.0.0.1:59546", Some(3)),
                ("[0:0:0:0:0:0:0:1]:59624", Some(1))
            ]
        );
    }

    #[test]
    fn old_and_new_servers() {
        let old = SRVR.replace("Connections: 2\n", "").replace("5.6667", "5");
        let status: ServerStatus = old.parse().unwrap();
        assert_eq!((status.connections, status.latency.avg), (None, 5.0));
        let leader = SRVR.replace("standalone", "leader") + "Proposal sizes last/min/max: 1/2/3\n";
        assert_eq!(
            leader.parse::<ServerStatus>().unwrap().mode,
            ServerMode::Leader
        );
        let odd = SRVR.replace("standalone", "witness");
        let mode = odd.parse::<ServerStatus>().unwrap().mode;
        assert_eq!(mode, ServerMode::Other("witness".to_owned()));
    }

    #[test]
    fn errors_name_the_line_or_what_is_missing() {
        let read = |text: String| text.parse::<ServerStatus>().unwrap_err();
        assert_eq!(
            read(String::new()),
            AdminError::Missing("Zookeeper version")
        );
        assert_eq!(
            read(SRVR.replace("Mode", "Made")),
            AdminError::Missing("Mode")
        );
        assert_eq!(
            read(SRVR.replace("Sent: 12", "Sent: x")),
            AdminError::Malformed { line: 4 }
        );
        assert_eq!(
            read(SRVR.replace("Zxid: 0x", "Zxid: ")),
            AdminError::Malformed { line: 7 }
        );
        for latency in ["1/2", "1/2/3/4", "1/NaN/2", "1/inf/2", "a/b/c"] {
            let text = SRVR.replace("1/5.6667/11", latency);
            assert_eq!(read(text), AdminError::Malformed { line: 2 }, "{latency}");
        }
    }
}
