//! An embedded ensemble in memory, for clients on a paused clock: its members are the hosts `zk1`,
//! `zk2` and so on, and every connection to them is counted.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::DuplexStream;
use zk_client::{Client, ClientBuilder, Dial, DialError, Dialing, HostPort, Transport};
use zk_embedded::Server;

/// The ensemble.
#[derive(Debug, Clone)]
pub struct Members {
    pub server: Arc<Server>,
    dialled: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Members {
    pub async fn start(members: usize) -> Self {
        let builder = Server::builder().in_memory().members(members);
        let builder = builder.tick(Duration::from_millis(500));
        Members {
            server: Arc::new(builder.start().await.unwrap()),
            dialled: Arc::default(),
        }
    }

    /// A client that finds the members by their names.
    pub fn client(&self, hosts: &str) -> ClientBuilder {
        Client::builder(hosts)
            .dial(self.clone())
            .seed(1)
            .session_timeout(Duration::from_secs(6))
            .connect_timeout(Duration::from_secs(60))
    }

    /// How often a host has been dialled.
    pub fn dialled(&self, host: &str) -> u32 {
        let dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        dialled.get(host).copied().unwrap_or(0)
    }

    /// Stops all members but this one, counted from 1.
    pub fn leave_only(&self, member: usize) {
        for other in (1..=self.server.member_count()).filter(|other| *other != member) {
            self.server.member(other - 1).stop();
        }
    }

    pub fn run_all(&self) {
        for member in 0..self.server.member_count() {
            self.server.member(member).run();
        }
    }

    pub fn connect(&self, host: &HostPort) -> io::Result<DuplexStream> {
        let number = host.host.strip_prefix("zk").and_then(|n| n.parse().ok());
        let member: usize = number.ok_or(io::ErrorKind::NotFound)?;
        let mut dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        *dialled.entry(host.host.clone()).or_insert(0) += 1;
        drop(dialled);
        if member == 0 || member > self.server.member_count() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.server.connect_in_memory_to(member - 1)
    }
}

impl Dial for Members {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            match self.connect(host) {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn Transport>),
                Err(error) => Err(DialError::Other(error)),
            }
        })
    }

    fn authenticates_host(&self) -> bool {
        false
    }
}
