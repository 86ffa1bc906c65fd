//! The replies to `srvr` and `stat`.

use std::str::FromStr;

use super::connection::{CONNECTION, ClientConnection, connection_line};
use super::error::{AdminError, check, unexpected};
use super::version::ServerVersion;
use crate::ids::Zxid;
use crate::unreadable::UnreadableLine;

/// The status of a server. A field is `None` if the reply lacks its line, or the line cannot be
/// read.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// The name of the server's program, such as `Zookeeper`.
    pub software: Option<String>,
    /// Its version, with the build's date.
    pub version: Option<String>,
    /// Its clients, in the reply to `stat`; empty in that to `srvr`.
    pub clients: Vec<ClientConnection>,
    /// The latency of requests.
    pub latency: Option<Latency>,
    /// Packets received.
    pub received: Option<u64>,
    /// Packets sent.
    pub sent: Option<u64>,
    /// Open connections; servers before 3.4 do not report them.
    pub connections: Option<u64>,
    /// Requests received and not yet answered.
    pub outstanding: Option<u64>,
    /// The last transaction that it applied.
    pub zxid: Option<Zxid>,
    /// Its role in the ensemble.
    pub mode: Option<ServerMode>,
    /// Number of nodes.
    pub node_count: Option<u64>,
    /// Lines that are none of these, as keys and values.
    pub other: Vec<(String, String)>,
    /// Lines that could not be read.
    pub unreadable: Vec<UnreadableLine>,
}

/// Latency of requests in milliseconds. Negative if the server's clock was set back.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Latency {
    /// The shortest.
    pub min: i64,
    /// The average; a whole number before 3.6.
    pub avg: f64,
    /// The longest.
    pub max: i64,
}

/// A server's role in the ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerMode {
    /// It has no ensemble.
    Standalone,
    /// It leads.
    Leader,
    /// It follows, with a vote.
    Follower,
    /// It follows, without a vote.
    Observer,
    /// It has no quorum and serves reads only.
    ReadOnly,
    /// A mode that this crate does not know.
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

/// Reads the reply to `srvr` or `stat`. It is an error if not one line of it can be read.
impl FromStr for ServerStatus {
    type Err = AdminError;

    fn from_str(reply: &str) -> Result<Self, AdminError> {
        check(reply)?;
        let mut status = Self::default();
        for (index, line) in reply.lines().enumerate() {
            if let Err(expected) = status.read_line(line) {
                let unreadable = UnreadableLine::new(index, line, expected);
                status.unreadable.push(unreadable);
            }
        }
        let nothing = Self {
            other: status.other.clone(),
            unreadable: status.unreadable.clone(),
            ..Self::default()
        };
        if status == nothing {
            return Err(unexpected(reply));
        }
        Ok(status)
    }
}

impl ServerStatus {
    /// The numbers of [`version`](Self::version); `None` if it does not begin with any.
    pub fn release(&self) -> Option<ServerVersion> {
        self.version.as_ref()?.parse().ok()
    }

    /// Reads a line, or returns the form that it should have. Of two lines with the same key the first
    /// counts.
    fn read_line(&mut self, line: &str) -> Result<(), &'static str> {
        let text = line.trim();
        let Some((key, value)) = text.split_once(':') else {
            return if text.is_empty() { Ok(()) } else { Err(LINE) };
        };
        let (key, value) = (key.trim_end(), value.trim());
        match key {
            "Clients" if value.is_empty() => Ok(()),
            "Latency min/avg/max" => set(&mut self.latency, latency(value), "three numbers"),
            "Received" => set(&mut self.received, value.parse().ok(), NUMBER),
            "Sent" => set(&mut self.sent, value.parse().ok(), NUMBER),
            "Connections" => set(&mut self.connections, value.parse().ok(), NUMBER),
            "Outstanding" => set(&mut self.outstanding, value.parse().ok(), NUMBER),
            "Zxid" => set(
                &mut self.zxid,
                zxid(value),
                "a zxid, hexadecimal or decimal",
            ),
            "Mode" => set(&mut self.mode, Some(ServerMode::from(value)), LINE),
            "Node count" => set(&mut self.node_count, value.parse().ok(), NUMBER),
            _ => self.read_other(line, key, value),
        }
    }

    fn read_other(&mut self, line: &str, key: &str, value: &str) -> Result<(), &'static str> {
        if let Some(software) = key.strip_suffix(" version")
            && self.version.is_none()
        {
            self.software = Some(software.to_owned());
            self.version = Some(value.to_owned());
        } else if let Some(client) = connection_line(line) {
            self.clients.push(client);
        } else if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.other.push((key.to_owned(), value.to_owned()));
        } else {
            return Err(CONNECTION);
        }
        Ok(())
    }
}

const LINE: &str = "a key, a colon and a value";
const NUMBER: &str = "a number that is not negative";

fn set<T>(
    field: &mut Option<T>,
    value: Option<T>,
    expected: &'static str,
) -> Result<(), &'static str> {
    let value = value.ok_or(expected)?;
    field.get_or_insert(value);
    Ok(())
}

fn zxid(text: &str) -> Option<Zxid> {
    let zxid = match text.strip_prefix("0x") {
        // ClickHouse Keeper drops all leading zeros.
        Some("") => 0,
        Some(digits) => u64::from_str_radix(digits, 16).ok()?.cast_signed(),
        None => text.parse().ok()?,
    };
    Some(Zxid(zxid))
}

fn latency(text: &str) -> Option<Latency> {
    let mut parts = text.split('/');
    let (min, avg, max) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let avg: f64 = avg.trim().parse().ok()?;
    Some(Latency {
        min: min.trim().parse().ok()?,
        avg,
        max: max.trim().parse().ok()?,
    })
    .filter(|_| avg.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
                software: Some("Zookeeper".to_owned()),
                version: Some("3.8.0-x, built on 2024-12-29 17:54 UTC".to_owned()),
                latency: Some(Latency {
                    min: 1,
                    avg: 5.6667,
                    max: 11
                }),
                received: Some(13),
                sent: Some(12),
                connections: Some(2),
                outstanding: Some(0),
                zxid: Some(Zxid(0x1_0000_0002)),
                mode: Some(ServerMode::Standalone),
                node_count: Some(6),
                ..ServerStatus::default()
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
        let avg = status.latency.map(|latency| latency.avg);
        assert_eq!((status.connections, avg), (None, Some(5.0)));
        let leader = SRVR.replace("standalone", "leader") + "Proposal sizes last/min/max: 1/2/3\n";
        let leader: ServerStatus = leader.parse().unwrap();
        assert_eq!(leader.mode, Some(ServerMode::Leader));
        let sizes = ("Proposal sizes last/min/max".to_owned(), "1/2/3".to_owned());
        assert_eq!(leader.other, [sizes]);
        let odd = SRVR.replace("standalone", "witness");
        let mode = odd.parse::<ServerStatus>().unwrap().mode;
        assert_eq!(mode, Some(ServerMode::Other("witness".to_owned())));
    }

    /// Guards: P8, P9, P10.
    #[test]
    fn other_servers_of_the_protocol() {
        let stat = "Other Keeper version: v23.8.1.1-lts-00\n\
                    Clients:\n \
                    192.0.2.7:52852(recved=0,sent=0)\n \
                    192.0.2.8:52042(recved=24,sent=48)\n \
                    [::1]:44734(recved=0,sent=0)\n\
                    Latency min/avg/max: 0/0/12\n\
                    Received: 217\n\
                    Sent : 216\n\
                    Connections: 3\n\
                    Outstanding: 0\n\
                    Zxid: 36\n\
                    Mode: leader\n\
                    Node count: 4\n";
        let status: ServerStatus = stat.parse().unwrap();
        assert_eq!(status.software.as_deref(), Some("Other Keeper"));
        assert_eq!(status.version.as_deref(), Some("v23.8.1.1-lts-00"));
        assert_eq!(status.release(), Some(ServerVersion::new(23, 8, 1)));
        assert_eq!((status.clients.len(), status.sent), (3, Some(216)));
        assert_eq!(status.zxid, Some(Zxid(36)));
        assert_eq!((status.other, status.unreadable), (vec![], vec![]));
    }

    /// Guards: P13.
    #[test]
    fn clocks_that_were_set_back() {
        for (text, min, max) in [("-10/0/20007", -10, 20007), ("-681/-3.5/-2", -681, -2)] {
            let status: ServerStatus = SRVR.replace("1/5.6667/11", text).parse().unwrap();
            let latency = status.latency.unwrap();
            assert_eq!((latency.min, latency.max), (min, max));
        }
    }

    /// ClickHouse Keeper's before its first transaction.
    #[test]
    fn a_zxid_of_no_digits_is_zero() {
        let text = SRVR.replace("Zxid: 0x100000002", "Zxid: 0x");
        let status: ServerStatus = text.parse().unwrap();
        assert_eq!((status.zxid, status.unreadable), (Some(Zxid(0)), vec![]));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (whole, damaged, line) in [
            ("Sent: 12", "Sent: x", 4),
            ("Sent: 12", "Sent: -1", 4),
            ("Zxid: 0x", "Zxid: z", 7),
            ("1/5.6667/11", "1/2", 2),
            ("1/5.6667/11", "1/2/3/4", 2),
            ("1/5.6667/11", "1/NaN/2", 2),
            ("1/5.6667/11", "1/inf/2", 2),
            ("Mode: standalone", "Mode", 8),
            ("Mode: standalone", " 1.2.3.4:5(a", 8),
        ] {
            let status: ServerStatus = SRVR.replace(whole, damaged).parse().unwrap();
            let lines: Vec<_> = status.unreadable.iter().map(|line| line.line).collect();
            assert_eq!(lines, [line], "{damaged}");
            assert_eq!(status.node_count, Some(6));
        }
        for reply in ["imok", "HTTP/1.1 400 Bad Request\r\nServer: x\r\n"] {
            let first = reply.lines().next().unwrap().to_owned();
            let error = reply.parse::<ServerStatus>().unwrap_err();
            assert_eq!(error, AdminError::Unexpected(first));
        }
        assert_eq!("".parse::<ServerStatus>(), Err(AdminError::Empty));
        assert_eq!("\n".parse::<ServerStatus>(), Err(AdminError::Empty));
    }

    proptest! {
        /// Guards: P9.
        #[test]
        fn a_damaged_line_costs_at_most_itself(
            at in 0_usize..12,
            line in "\\PC{0,40}| /?[0-9.:\\[\\]()=,]{0,20}",
            inserted in any::<bool>(),
        ) {
            let stat = SRVR.replace("Latency", "Clients:\n /1.2.3.4:5[1](a=1)\n\nLatency");
            let whole: ServerStatus = stat.parse().unwrap();
            let mut lines: Vec<_> = stat.lines().collect();
            let at = at.min(lines.len() - 1);
            let damaged = if inserted { "" } else { lines.remove(at) };
            lines.insert(at, &line);
            let read: ServerStatus = lines.join("\n").parse().unwrap();
            let lost = |key: &str| damaged.starts_with(key);
            prop_assert!(lost("Zoo") || read.version.is_some());
            prop_assert!(lost("Lat") || read.latency == whole.latency);
            prop_assert!(lost("Rec") || read.received == whole.received);
            prop_assert!(lost("Sent") || read.sent == whole.sent);
            prop_assert!(lost("Conn") || read.connections == whole.connections);
            prop_assert!(lost("Out") || read.outstanding == whole.outstanding);
            prop_assert!(lost("Zxid") || read.zxid == whole.zxid);
            prop_assert!(lost("Mode") || read.mode == whole.mode);
            prop_assert!(lost("Node") || read.node_count == whole.node_count);
            prop_assert!(lost(" /") || read.clients.contains(&whole.clients[0]));
        }
    }
}
