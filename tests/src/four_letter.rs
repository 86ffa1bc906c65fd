//! Four-letter words: the server's plain-text questions on the client port.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::str::FromStr;
use std::time::Duration;

/// Longer than any answer of a test server; a peer that talks without end is cut off here.
const REPLY_LIMIT: u64 = 1 << 20;

/// Sends `word` and returns the whole answer.
///
/// # Errors
///
/// If the server cannot be reached, or sends nothing for longer than `timeout`.
pub fn ask(server: SocketAddr, word: &str, timeout: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(word.as_bytes())?;
    let mut reply = String::new();
    (&stream).take(REPLY_LIMIT).read_to_string(&mut reply)?;
    // The answer is complete; whether the server has closed first makes no difference.
    let _ = stream.shutdown(Shutdown::Both);
    Ok(reply)
}

/// The part a server plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Alone, without a quorum.
    Standalone,
    /// Leads the ensemble.
    Leader,
    /// Follows, and votes.
    Follower,
    /// Follows without a vote.
    Observer,
    /// Cut off from the quorum and serving reads only.
    ReadOnly,
}

impl FromStr for Mode {
    type Err = UnreadableSrvr;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "standalone" => Ok(Self::Standalone),
            "leader" => Ok(Self::Leader),
            "follower" => Ok(Self::Follower),
            "observer" => Ok(Self::Observer),
            "read-only" => Ok(Self::ReadOnly),
            other => Err(UnreadableSrvr(format!("Mode: {other}"))),
        }
    }
}

/// The answer to `srvr`, from a server that is serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srvr {
    /// For example `3.8.0`; without the build's revision and date.
    pub version: String,
    /// The last transaction this server has applied.
    pub zxid: u64,
    /// The part it plays.
    pub mode: Mode,
    /// How many znodes it holds, ZooKeeper's own included.
    pub node_count: u64,
    /// Open connections, the one that asked included.
    pub connections: u64,
}

impl Srvr {
    /// Whether a server of this version keeps every transaction that it acknowledged, whatever is
    /// killed: from 3.9.4 on. Those before 3.9.3 lose some on a follower whose leader is killed
    /// (ZOOKEEPER-4712), and 3.9.3 does by a history with a hole (ZOOKEEPER-4925).
    #[must_use]
    pub fn keeps_transactions(&self) -> bool {
        let numbers = self.version.split('.').map_while(|n| n.parse().ok());
        numbers.collect::<Vec<u32>>() >= vec![3, 9, 4]
    }
}

impl FromStr for Srvr {
    type Err = UnreadableSrvr;

    fn from_str(reply: &str) -> Result<Self, Self::Err> {
        let field = |name: &str| {
            reply
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::trim)
                .ok_or_else(|| UnreadableSrvr(reply.trim().to_owned()))
        };
        let number = |text: &str, radix| {
            u64::from_str_radix(text, radix).map_err(|_| UnreadableSrvr(reply.trim().to_owned()))
        };
        let version = field("Zookeeper version").or_else(|_| field("ClickHouse Keeper version"))?;
        Ok(Self {
            version: version
                .split(['-', ','])
                .next()
                .unwrap_or(version)
                .to_owned(),
            zxid: number(field("Zxid")?.trim_start_matches("0x"), 16)?,
            mode: field("Mode")?.parse()?,
            node_count: number(field("Node count")?, 10)?,
            connections: number(field("Connections")?, 10)?,
        })
    }
}

/// A `srvr` answer without the fields of a serving server. A server that has bound its port but
/// not yet joined a quorum says so in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableSrvr(String);

impl fmt::Display for UnreadableSrvr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it answers `srvr` with {:?}", self.0)
    }
}

impl std::error::Error for UnreadableSrvr {}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    const LEADER: &str = "Zookeeper version: 3.8.0-5a02a05, built on 2022-02-25 08:49 UTC\n\
        Latency min/avg/max: 0/0.0/0\nReceived: 1\nSent: 0\nConnections: 1\nOutstanding: 0\n\
        Zxid: 0x10000002a\nMode: leader\nNode count: 6\nProposal sizes last/min/max: -1/-1/-1\n";

    #[test]
    fn srvr_is_read() {
        let srvr: Srvr = LEADER.parse().unwrap();
        assert_eq!(
            srvr,
            Srvr {
                version: "3.8.0".into(),
                zxid: 0x1_0000_002a,
                mode: Mode::Leader,
                node_count: 6,
                connections: 1,
            }
        );
    }

    #[test]
    fn the_versions_that_lose_writes_are_known() {
        let mut srvr: Srvr = LEADER.parse().unwrap();
        for (version, keeps) in [
            ("3.8.0", false),
            ("3.9.3", false),
            ("3.9.4", true),
            ("3.10.0", true),
            ("4.0.0", true),
        ] {
            version.clone_into(&mut srvr.version);
            assert_eq!(srvr.keeps_transactions(), keeps, "{version}");
        }
    }

    #[test]
    fn a_server_without_a_quorum_is_not_serving() {
        let reply = "This ZooKeeper instance is not currently serving requests\n";
        let error = reply.parse::<Srvr>().unwrap_err();
        assert!(
            error.to_string().contains("not currently serving"),
            "{error}"
        );
    }

    #[test]
    fn missing_or_mangled_fields_are_errors() {
        for name in [
            "Zookeeper version",
            "Zxid",
            "Mode",
            "Node count",
            "Connections",
        ] {
            let without: String = LEADER
                .lines()
                .filter(|line| !line.starts_with(name))
                .collect::<Vec<_>>()
                .join("\n");
            assert!(without.parse::<Srvr>().is_err(), "{name}");
        }
        assert!(LEADER.replace("leader", "emperor").parse::<Srvr>().is_err());
        assert!(
            LEADER
                .replace("0x10000002a", "0xzz")
                .parse::<Srvr>()
                .is_err()
        );
    }

    #[test]
    fn mute_server_is_a_timeout() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = ask(
            listener.local_addr().unwrap(),
            "ruok",
            Duration::from_millis(50),
        )
        .unwrap_err();
        assert!(
            matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ),
            "{error}"
        );
    }
}
