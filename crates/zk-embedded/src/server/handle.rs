//! [`Server`]: addresses, connections inside the process, stop and start.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::task::JoinHandle;
use zk_proto::SessionId;

use super::dial::{MemoryDial, members_string};
use super::faults::Faults;
use crate::net::listener;
use crate::net::shared::{Shared, now};

/// A running server, or an ensemble of them. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    pub(super) shared: Arc<Shared>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) tasks: Vec<JoinHandle<()>>,
    pub(super) memory: MemoryDial,
}

impl Server {
    /// The connect string of all members' ports: `127.0.0.1:PORT`, separated by commas. Empty for a
    /// server [without sockets](crate::ServerBuilder::in_memory).
    pub fn connect_string(&self) -> String {
        let hosts: Vec<_> = self.addresses.iter().map(SocketAddr::to_string).collect();
        hosts.join(",")
    }

    /// The members' addresses. Empty for a server [without sockets](crate::ServerBuilder::in_memory).
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The connect string of all members for clients that use [`dial`](Self::dial):
    /// `member-0:2181,member-1:2181,…`.
    pub fn members_string(&self) -> String {
        members_string(self.member_count())
    }

    /// Opens connections that stay inside this process, for
    /// [`ClientBuilder::dial`](https://docs.rs/zk-client). With them a test can pause the clock of
    /// tokio. The hosts are those of [`members_string`](Self::members_string).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = zk_embedded::Server::builder().members(3).in_memory().start().await?;
    /// let zk = zk_client::Client::builder(server.members_string())
    ///     .dial(server.dial())
    ///     .connect()
    ///     .await?;
    /// zk.create("/a", "").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn dial(&self) -> MemoryDial {
        self.memory.clone()
    }

    /// A connection to the first member that stays inside this process.
    ///
    /// # Errors
    /// `ConnectionRefused` while the server is stopped or refuses connections.
    pub fn connect_in_memory(&self) -> io::Result<DuplexStream> {
        self.connect_in_memory_to(0)
    }

    /// A connection to a member, counted from 0, that stays inside this process.
    ///
    /// # Errors
    /// `ConnectionRefused` while the member is stopped or refuses connections.
    pub fn connect_in_memory_to(&self, member: usize) -> io::Result<DuplexStream> {
        self.memory.connect(member)
    }

    /// Serves a connection that was made elsewhere, such as on a simulated network.
    ///
    /// # Errors
    /// `ConnectionRefused` while the member is stopped or refuses connections.
    pub fn serve<S>(&self, member: usize, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.memory.serve(member, stream)
    }

    /// Faults of all members.
    pub fn faults(&self) -> Faults {
        Faults::new(self.shared.clone(), (0..self.shared.gates.len()).collect())
    }

    /// Faults of one member, counted from 0.
    pub fn member(&self, member: usize) -> Faults {
        Faults::new(self.shared.clone(), vec![member])
    }

    /// Number of members.
    pub fn member_count(&self) -> usize {
        self.shared.gates.len()
    }

    /// Closes the ports and every connection. The nodes stay, and no time passes for sessions until
    /// [`start_again`](Self::start_again).
    ///
    /// # Cancel safety
    /// Dropping the future does not prevent the stop.
    pub async fn stop(&self) {
        self.faults().stop();
        for gate in &self.shared.gates {
            listener::closed(gate).await;
        }
    }

    /// Starts the server after [`stop`](Self::stop), on the same ports. Sessions get their whole
    /// timeout again; with `keep_sessions` false all sessions have ended.
    ///
    /// # Errors
    /// When another program has taken a port and keeps it for five seconds.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the server started.
    pub async fn start_again(&self, keep_sessions: bool) -> io::Result<()> {
        self.shared
            .with(|inner| inner.state.restart(now(), keep_sessions));
        self.faults().run();
        self.opened().await
    }

    /// [`stop`](Self::stop) and [`start_again`](Self::start_again).
    ///
    /// # Errors
    /// When another program has taken a port and keeps it for five seconds.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the server stopped.
    pub async fn restart(&self, keep_sessions: bool) -> io::Result<()> {
        self.stop().await;
        self.start_again(keep_sessions).await
    }

    /// Waits until every port that should be open is.
    pub(super) async fn opened(&self) -> io::Result<()> {
        if !self.addresses.is_empty() {
            for gate in &self.shared.gates {
                listener::opened(gate).await?;
            }
        }
        Ok(())
    }

    /// Ends a session as if its timeout were over; false if there is no such session. Without a quorum
    /// only the sessions of read-only members can end.
    pub fn expire_session(&self, session: SessionId) -> bool {
        self.faults().expire_session(session)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.faults().stop();
    }
}
