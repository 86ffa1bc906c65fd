//! Queries for SRV records, to the name servers of the system.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use zk_proto::HostPort;

use super::srv::{self, SrvError};

/// The file that lists the system's name servers.
const CONFIGURATION: &str = "/etc/resolv.conf";
/// How long a name server has to answer a query.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often each name server is queried.
const ROUNDS: usize = 2;

/// Name servers, queried one after the other until one answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameServers {
    /// Their addresses.
    pub addresses: Vec<SocketAddr>,
    /// How long each has to answer; 2 s by default.
    pub answer_timeout: Duration,
}

impl NameServers {
    /// These name servers.
    pub fn new(addresses: impl Into<Vec<SocketAddr>>) -> Self {
        NameServers {
            addresses: addresses.into(),
            answer_timeout: ANSWER_TIMEOUT,
        }
    }

    /// The name servers of `/etc/resolv.conf`; if it lists none, one on this machine.
    ///
    /// # Errors
    /// The file cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn of_system() -> io::Result<Self> {
        let path = PathBuf::from(CONFIGURATION);
        // Even a short file on a local disk can block.
        let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await??;
        Ok(Self::new(listed(&text)))
    }

    /// The servers of a service, from the first name server that answers.
    ///
    /// # Errors
    /// `service` is no domain name, the name does not exist, or no name server answered.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the query.
    pub async fn servers(&self, service: &str) -> io::Result<Vec<HostPort>> {
        let question = srv::question(unpredictable(), service).map_err(io::Error::other)?;
        let mut problem = io::Error::other("there is no name server to query");
        for _ in 0..ROUNDS {
            for &server in &self.addresses {
                match timeout(self.answer_timeout, ask(server, &question)).await {
                    Ok(Ok(found)) => return Ok(found),
                    Ok(Err(Failure::Final(error))) => return Err(io::Error::other(error)),
                    Ok(Err(Failure::Other(error))) => {
                        problem = io::Error::new(error.kind(), format!("{server}: {error}"));
                    }
                    Err(_elapsed) => {
                        let text = format!("{server} does not answer");
                        problem = io::Error::new(io::ErrorKind::TimedOut, text);
                    }
                }
            }
        }
        Err(problem)
    }
}

enum Failure {
    /// Another name server would answer the same.
    Final(SrvError),
    Other(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Other(error)
    }
}

impl From<SrvError> for Failure {
    fn from(error: SrvError) -> Self {
        match error {
            SrvError::NoSuchName => Failure::Final(error),
            _ => Failure::Other(io::Error::other(error)),
        }
    }
}

async fn ask(server: SocketAddr, question: &[u8]) -> Result<Vec<HostPort>, Failure> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Datagrams from other addresses are discarded.
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut answer).await?;
        let answer = answer.get(..length).unwrap_or_default();
        match srv::servers(question, answer) {
            Err(SrvError::Unrelated) => {}
            Err(SrvError::Truncated) => return ask_tcp(server, question).await,
            found => return Ok(found?),
        }
    }
}

async fn ask_tcp(server: SocketAddr, question: &[u8]) -> Result<Vec<HostPort>, Failure> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    let mut out = length.to_be_bytes().to_vec();
    out.extend(question);
    stream.write_all(&out).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    Ok(srv::servers(question, &answer)?)
}

/// A query's identifier. Unpredictable, so that a forger of answers cannot guess it.
///
/// The standard library keys its hashers with random bytes of the operating system, and SipHash does
/// not disclose its key: for two bytes that is as good as a dependency on `getrandom`.
fn unpredictable() -> u16 {
    let [a, b, ..] = RandomState::new().build_hasher().finish().to_be_bytes();
    u16::from_be_bytes([a, b])
}

/// The name servers in the text of `/etc/resolv.conf`.
fn listed(text: &str) -> Vec<SocketAddr> {
    let addresses: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            if words.next() != Some("nameserver") {
                return None;
            }
            // A link-local address carries its interface, and is skipped.
            words.next()?.parse::<IpAddr>().ok()
        })
        .map(|address| SocketAddr::from((address, 53)))
        .collect();
    if addresses.is_empty() {
        vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 53))]
    } else {
        addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn name_servers_are_read_from_resolv_conf() {
        let text = "# ours\nsearch example.com\nnameserver 10.0.0.2\n\tnameserver ::1 \n\
                    nameserver fe80::1%eth0\nnameserver\noptions ndots:1\n";
        let expected: Vec<SocketAddr> =
            vec!["10.0.0.2:53".parse().unwrap(), "[::1]:53".parse().unwrap()];
        assert_eq!(listed(text), expected);
        assert_eq!(listed(""), [SocketAddr::from(([127, 0, 0, 1], 53))]);
    }

    /// The record part of an answer with one server, and the header's bytes that go with it.
    fn answered(question: &[u8], flags: [u8; 2]) -> Vec<u8> {
        let mut out = question.to_vec();
        out[2..4].copy_from_slice(&flags);
        out[7] = 1;
        out.extend(b"\xc0\x0c\0\x21\0\x01\0\0\0\x3c\0\x0b\0\0\0\0\x08\x85\x03zk1\0");
        out
    }

    /// Answers every question with what `answer` makes of it, over UDP and TCP.
    async fn name_server(answer: fn(&[u8], bool) -> Vec<Vec<u8>>) -> SocketAddr {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // Another process may have the same port for TCP.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        tokio::spawn(async move {
            let mut question = [0; 512];
            loop {
                let (length, from) = udp.recv_from(&mut question).await.unwrap();
                for answer in answer(&question[..length], false) {
                    udp.send_to(&answer, from).await.unwrap();
                }
            }
        });
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let length = stream.read_u16().await.unwrap();
                let mut question = vec![0; length.into()];
                stream.read_exact(&mut question).await.unwrap();
                for answer in answer(&question, true) {
                    let length = u16::try_from(answer.len()).unwrap();
                    stream.write_u16(length).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        address
    }

    /// For name servers that answer, however slow the machine is.
    const AN_HOUR: Duration = Duration::from_secs(3600);

    fn within(answer_timeout: Duration, addresses: &[SocketAddr]) -> NameServers {
        NameServers {
            addresses: addresses.to_vec(),
            answer_timeout,
        }
    }

    #[tokio::test]
    async fn forged_and_missing_answers_are_skipped() {
        let mute = name_server(|_, _| Vec::new()).await;
        let failing = name_server(|question, _| vec![answered(question, [0x81, 0x82])]).await;
        let working = name_server(|question, _| {
            let mut forged = answered(question, [0x81, 0x80]);
            forged[0] ^= 1;
            vec![forged, vec![1], answered(question, [0x81, 0x80])]
        });
        let addresses = [mute, failing, working.await];
        // The mute server costs the whole timeout, and a busy machine needs a longer one for the others.
        let mut limit = Duration::from_millis(200);
        let found = loop {
            match within(limit, &addresses).servers("zk.example").await {
                Err(error) if error.kind() == io::ErrorKind::TimedOut && limit < AN_HOUR => {
                    limit *= 2;
                }
                answer => break answer.unwrap(),
            }
        };
        assert_eq!(found, ["zk1:2181".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_truncated_answer_is_fetched_over_tcp() {
        let server = name_server(|question, tcp| {
            let flags = if tcp { [0x81, 0x80] } else { [0x83, 0x80] };
            vec![answered(question, flags)]
        });
        let servers = within(AN_HOUR, &[server.await]);
        let found = servers.servers("zk.example").await.unwrap();
        assert_eq!(found, ["zk1:2181".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_final() {
        let denies = name_server(|question, _| vec![answered(question, [0x81, 0x83])]).await;
        let mute = name_server(|_, _| Vec::new()).await;
        let servers = within(AN_HOUR, &[denies, mute]);
        let error = servers.servers("zk.example").await.unwrap_err();
        assert_eq!(error.to_string(), "no such name");
    }

    #[tokio::test]
    async fn a_timeout_names_the_last_name_server() {
        let mute = name_server(|_, _| Vec::new()).await;
        let servers = within(Duration::from_millis(200), &[mute]);
        let error = servers.servers("zk.example").await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains(&mute.to_string()), "{error}");
    }
}
