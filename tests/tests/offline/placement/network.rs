//! A network in which names have several addresses, and an address may not serve.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zk_client::{Client, ClientBuilder, Dial, DialError, Dialing, HostPort, Resolving, Transport};
use zk_embedded::Server;
use zk_transport::Addresses;

use super::SECOND;

/// What an address does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// This member of the ensemble serves.
    Member(usize),
    /// It accepts connections and never answers.
    Mute,
    /// It answers that it has a quorum, and closes the connections of clients.
    Lure,
    /// It answers that it has a quorum, and no client.
    Hung,
    Refused,
}

/// A network in which names have addresses.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) server: Arc<Server>,
    names: Arc<Mutex<BTreeMap<String, Vec<SocketAddr>>>>,
    at: Arc<Mutex<BTreeMap<SocketAddr, At>>>,
    mute: Arc<Mutex<Vec<DuplexStream>>>,
    /// How often each address was connected to.
    dialled: Arc<Mutex<BTreeMap<SocketAddr, u32>>>,
}

pub(super) fn address(n: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, u8::try_from(n).unwrap()], 2181))
}

impl Network {
    /// Address 1 is that of the first member, and so on.
    pub(super) async fn start(members: usize) -> Self {
        let builder = Server::builder().in_memory().members(members);
        let server = builder.tick(SECOND / 2).start().await.unwrap();
        let at = (1..=members).map(|n| (address(n), At::Member(n - 1)));
        Network {
            server: Arc::new(server),
            names: Arc::default(),
            at: Arc::new(Mutex::new(at.collect())),
            mute: Arc::default(),
            dialled: Arc::default(),
        }
    }

    pub(super) fn name(&self, name: &str, addresses: &[usize]) {
        let addresses = addresses.iter().map(|n| address(*n)).collect();
        self.names
            .lock()
            .unwrap()
            .insert(name.to_owned(), addresses);
    }

    pub(super) fn set(&self, n: usize, at: At) {
        self.at.lock().unwrap().insert(address(n), at);
    }

    pub(super) fn client(&self, hosts: &str) -> ClientBuilder {
        Client::builder(hosts)
            .dial(self.clone())
            .session_timeout(6 * SECOND)
            .connect_timeout(60 * SECOND)
    }

    pub(super) fn dialled(&self, n: usize) -> u32 {
        let dialled = self.dialled.lock().unwrap();
        dialled.get(&address(n)).copied().unwrap_or(0)
    }

    fn found(&self, host: &HostPort) -> Vec<SocketAddr> {
        let names = self.names.lock().unwrap();
        names.get(&host.host).cloned().unwrap_or_default()
    }

    /// The member that the client is connected to.
    pub(super) fn member_of(&self, zk: &Client) -> Option<usize> {
        let hosts = zk.hosts();
        let host = hosts.iter().find(|host| host.connected)?;
        let several = host.addresses.iter().find(|it| it.connected);
        let address = several.map(|it| it.address);
        let address = address.or(self.found(&host.host).first().copied())?;
        match self.at.lock().unwrap().get(&address) {
            Some(At::Member(member)) => Some(*member),
            _ => None,
        }
    }
}

fn lure(closes: bool) -> DuplexStream {
    let (near, mut far) = tokio::io::duplex(4096);
    tokio::spawn(async move {
        let mut word = [0; 4];
        if far.read_exact(&mut word).await.is_ok() && &word == b"isro" {
            // The client may be gone.
            let _ = far.write_all(b"rw").await;
        } else if !closes {
            let _ = far.read_to_end(&mut Vec::new()).await;
        }
    });
    near
}

impl Dial for Network {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        Box::pin(async { Err(DialError::NoAddresses) })
    }

    fn dial_next<'a>(&'a self, host: &'a HostPort, addresses: &'a mut Addresses) -> Dialing<'a> {
        Box::pin(async move {
            let order = addresses.begin(self.found(host));
            let mut failures = Vec::new();
            for address in order.fresh.into_iter().chain(order.failed) {
                addresses.handle_tried(address);
                *self.dialled.lock().unwrap().entry(address).or_default() += 1;
                let at = self.at.lock().unwrap().get(&address).copied();
                let stream = match at.unwrap_or(At::Refused) {
                    At::Member(member) => self.server.connect_in_memory_to(member),
                    At::Mute => {
                        let (near, far) = tokio::io::duplex(4096);
                        self.mute.lock().unwrap().push(far);
                        Ok(near)
                    }
                    At::Lure => Ok(lure(true)),
                    At::Hung => Ok(lure(false)),
                    At::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
                };
                match stream {
                    Ok(stream) => {
                        addresses.handle_connected(address);
                        return Ok(Box::new(stream) as Box<dyn Transport>);
                    }
                    Err(error) => failures.push((address, error)),
                }
            }
            match failures.is_empty() {
                true => Err(DialError::NoAddresses),
                false => Err(DialError::Connect(failures)),
            }
        })
    }

    fn addresses<'a>(&'a self, host: &'a HostPort) -> Resolving<'a> {
        Box::pin(async { Ok(self.found(host)) })
    }

    fn authenticates_host(&self) -> bool {
        false
    }
}
