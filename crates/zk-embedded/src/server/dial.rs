//! Connections inside the process, for clients that dial.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::io::DuplexStream;
use tokio::runtime::Handle;
use zk_proto::HostPort;
use zk_transport::{Dial, DialError, Dialing, Transport};

use crate::core::Peer;
use crate::net::connection;
use crate::net::shared::Shared;
use crate::net::stream::AnyStream;

/// How much of either direction of an in-memory connection is on its way at once, in bytes.
const MEMORY_BUFFER: usize = 64 * 1024;

/// The name of a member towards [`MemoryDial`], without its number.
const MEMBER: &str = "member-";

/// The connect string of so many members.
pub(crate) fn members_string(count: usize) -> String {
    let hosts: Vec<_> = (0..count)
        .map(|member| format!("{MEMBER}{member}:2181"))
        .collect();
    hosts.join(",")
}

/// Opens connections to the members of a [`Server`](crate::Server) that stay inside the process.
/// Made with [`Server::dial`](crate::Server::dial).
///
/// The host `member-N` is the member `N`, counted from 0; the port is of no importance. A handle is
/// cheap and can outlive the server, whose members refuse connections then.
#[derive(Clone)]
pub struct MemoryDial {
    shared: Arc<Shared>,
    /// The runtime that serves the connections, wherever they are opened.
    runtime: Handle,
}

impl MemoryDial {
    pub(crate) fn new(shared: Arc<Shared>, runtime: Handle) -> Self {
        Self { shared, runtime }
    }

    /// Opens a connection to a member, counted from 0.
    pub(crate) fn connect(&self, member: usize) -> io::Result<DuplexStream> {
        let (near, far) = tokio::io::duplex(MEMORY_BUFFER);
        self.serve(member, far)?;
        Ok(near)
    }

    pub(crate) fn serve<S>(&self, member: usize, stream: S) -> io::Result<()>
    where
        S: Transport,
    {
        let gate = self.shared.gates.get(member);
        if !gate.is_some_and(|gate| gate.get().listens()) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let stream = AnyStream(stream);
        let shared = self.shared.clone();
        self.runtime
            .spawn(connection::serve(stream, shared, member, Peer::Memory));
        Ok(())
    }

    fn member(&self, host: &str) -> io::Result<usize> {
        let number = host
            .strip_prefix(MEMBER)
            .and_then(|number| number.parse().ok());
        let count = self.shared.gates.len();
        number.filter(|&member| member < count).ok_or_else(|| {
            let text = format!(
                "{host} is no member of the embedded server; its members are {}",
                members_string(count)
            );
            io::Error::new(io::ErrorKind::NotFound, text)
        })
    }
}

impl Dial for MemoryDial {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let member = self.member(&host.host);
            let near = member.and_then(|member| self.connect(member));
            let near = near.map_err(DialError::Other)?;
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }

    fn authenticates_host(&self) -> bool {
        false
    }
}

impl fmt::Debug for MemoryDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDial")
            .field("members", &self.shared.gates.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;

    #[tokio::test]
    async fn hosts_are_members_and_nothing_else() {
        let builder = Server::builder().members(2).in_memory();
        let server = builder.start().await.unwrap();
        assert_eq!(server.members_string(), "member-0:2181,member-1:2181");
        let dial = server.dial();
        let host = |host: &str| HostPort {
            host: host.to_owned(),
            port: 2181,
        };
        assert!(dial.dial(&host("member-1")).await.is_ok());
        for unknown in ["member-2", "member-", "zk1"] {
            let Err(DialError::Other(error)) = dial.dial(&host(unknown)).await else {
                panic!("{unknown} is a member");
            };
            let text = error.to_string();
            assert!(
                text.contains(unknown) && text.contains("member-0:2181"),
                "{text}"
            );
        }
        drop(server);
        let Err(DialError::Other(error)) = dial.dial(&host("member-1")).await else {
            panic!("a stopped member accepts");
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
