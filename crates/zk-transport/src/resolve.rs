//! Names to addresses, and services to servers.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use zk_proto::HostPort;

use crate::srv::{self, SrvError};

/// The future of [`Resolve::resolve`].
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// The future of [`Resolve::servers`].
pub type Servers<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<HostPort>>> + Send + 'a>>;

/// How names are looked up. The seam for other resolvers, and for tests.
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// The addresses of a host, in the order they are to be tried. The caller limits how long it
    /// takes.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the question.
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Resolving<'a>;

    /// The servers of a service: its SRV records. Unless a resolver has its own way, the name
    /// servers of `/etc/resolv.conf` are asked. The caller limits how long it takes.
    ///
    /// The answers are not authenticated: names in them must not be what a server is verified by.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the question.
    fn servers<'a>(&'a self, service: &'a str) -> Servers<'a> {
        Box::pin(async move { NameServers::of_system().await?.servers(service).await })
    }
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Resolving<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.host.as_str(), host.port)).await?;
            Ok(found.collect())
        })
    }
}

/// Where the system's name servers are written down.
const CONFIGURATION: &str = "/etc/resolv.conf";
/// How long a name server is given, and how often each is asked.
const PATIENCE: Duration = Duration::from_secs(2);
const ROUNDS: usize = 2;

/// Name servers, asked one after the other until one answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServers {
    /// Their addresses.
    pub addresses: Vec<SocketAddr>,
    /// How long each is given; 2 s by default.
    pub patience: Duration,
}

impl NameServers {
    /// These name servers.
    pub fn new(addresses: impl Into<Vec<SocketAddr>>) -> Self {
        NameServers {
            addresses: addresses.into(),
            patience: PATIENCE,
        }
    }

    /// Those of `/etc/resolv.conf`; one on this machine if it names none.
    ///
    /// # Errors
    /// The file cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn of_system() -> io::Result<Self> {
        let path = PathBuf::from(CONFIGURATION);
        // Short, and on a local disk; but whatever waits for a disk does so elsewhere.
        let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await??;
        Ok(Self::new(listed(&text)))
    }

    /// The servers of a service, by the first name server that knows.
    ///
    /// # Errors
    /// It is no name, there is no such name, or no name server could say.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the question.
    pub async fn servers(&self, service: &str) -> io::Result<Vec<HostPort>> {
        let question = srv::question(unpredictable(), service).map_err(io::Error::other)?;
        let mut problem = io::Error::other("no name server to ask");
        for _ in 0..ROUNDS {
            for &server in &self.addresses {
                match timeout(self.patience, ask(server, &question)).await {
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

/// Whether another name server may know better.
enum Failure {
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
    // What others send is not heard.
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

/// What nobody can guess who would like to answer in a name server's place.
fn unpredictable() -> u16 {
    // Keyed with the operating system's random bytes.
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
            // A link-local address has its interface behind it, which is not understood here.
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
            // The same port may be somebody else's for TCP.
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

    fn within(patience: Duration, addresses: &[SocketAddr]) -> NameServers {
        NameServers {
            addresses: addresses.to_vec(),
            patience,
        }
    }

    #[tokio::test]
    async fn servers_are_found_past_forged_answers_and_silent_name_servers() {
        let silent = name_server(|_, _| Vec::new()).await;
        let failing = name_server(|question, _| vec![answered(question, [0x81, 0x82])]).await;
        let working = name_server(|question, _| {
            let mut forged = answered(question, [0x81, 0x80]);
            forged[0] ^= 1;
            vec![forged, vec![1], answered(question, [0x81, 0x80])]
        });
        let addresses = [silent, failing, working.await];
        // The silent one costs the whole patience, and a busy machine needs more of it for the others.
        let mut patience = Duration::from_millis(200);
        let found = loop {
            match within(patience, &addresses).servers("zk.example").await {
                Err(error) if error.kind() == io::ErrorKind::TimedOut && patience < AN_HOUR => {
                    patience *= 2;
                }
                answer => break answer.unwrap(),
            }
        };
        assert_eq!(found, ["zk1:2181".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_truncated_answer_is_asked_for_over_tcp() {
        let server = name_server(|question, tcp| {
            let flags = if tcp { [0x81, 0x80] } else { [0x83, 0x80] };
            vec![answered(question, flags)]
        });
        let servers = within(AN_HOUR, &[server.await]);
        let found = servers.servers("zk.example").await.unwrap();
        assert_eq!(found, ["zk1:2181".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_asked_for_once() {
        let denies = name_server(|question, _| vec![answered(question, [0x81, 0x83])]).await;
        let silent = name_server(|_, _| Vec::new()).await;
        let servers = within(AN_HOUR, &[denies, silent]);
        let error = servers.servers("zk.example").await.unwrap_err();
        assert_eq!(error.to_string(), "no such name");
    }

    #[tokio::test]
    async fn silence_of_all_is_an_error_that_names_the_last() {
        let silent = name_server(|_, _| Vec::new()).await;
        let impatient = within(Duration::from_millis(200), &[silent]);
        let error = impatient.servers("zk.example").await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains(&silent.to_string()), "{error}");
    }
}
