//! Several servers with a quorum.

use crate::error::{Error, Result};
use crate::four_letter::Srvr;
use crate::installation::Installation;
use crate::options::ServerOptions;
use crate::ports::free_ports;
use crate::run_directory::ServerDirectory;
use crate::server::{Server, ServerPorts};
use crate::standalone::START_ATTEMPTS;
use crate::watchdog::try_poll;

/// An ensemble on loopback with its directory; servers and directory go when it is dropped.
#[derive(Debug)]
pub struct Ensemble {
    // Fields drop in order: the processes end before their directory goes.
    servers: Vec<Server>,
    _directory: ServerDirectory,
}

impl Ensemble {
    /// Starts `size` servers (`server.1` and on) and waits until every one serves.
    ///
    /// # Errors
    ///
    /// If ZooKeeper is not installed, or a server does not come to serve; the message has the end of
    /// its log.
    pub fn start(size: usize, options: ServerOptions) -> Result<Self> {
        Self::start_from(&Installation::find()?, size, options)
    }

    /// Starts `size` servers of this installation and waits until every one serves.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_from(
        installation: &Installation,
        size: usize,
        options: ServerOptions,
    ) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::attempt(installation, size, &options) {
                Err(error) if error.is_port_conflict() && attempt < START_ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    fn attempt(installation: &Installation, size: usize, options: &ServerOptions) -> Result<Self> {
        let directory = ServerDirectory::create("ensemble")?;
        let mut lines = vec!["standaloneEnabled=false".to_owned()];
        let mut ports = Vec::with_capacity(size);
        for id in 1..=size {
            let [quorum, election, client, secure] =
                free_ports().map_err(|source| Error::io("find free ports", source))?;
            lines.push(format!(
                "server.{id}=127.0.0.1:{quorum}:{election}:participant;127.0.0.1:{client}"
            ));
            ports.push(ServerPorts { client, secure });
        }
        let servers = (1..)
            .zip(ports)
            .map(|(id, ports)| {
                Server::prepare(id, directory.path(), ports, &lines, installation, options)
            })
            .collect::<Result<Vec<_>>>()?;
        let ensemble = Self {
            servers,
            _directory: directory,
        };
        for server in &ensemble.servers {
            server.spawn()?;
        }
        ensemble.wait_until_serving()?;
        Ok(ensemble)
    }

    /// The servers, in the order of their ids.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The addresses of all servers, separated by commas.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.servers
            .iter()
            .map(Server::connect_string)
            .collect::<Vec<_>>()
            .join(",")
    }

    /// Waits until every server serves.
    ///
    /// # Errors
    ///
    /// If one ends or does nothing any more.
    pub fn wait_until_serving(&self) -> Result<Vec<Srvr>> {
        self.servers
            .iter()
            .map(Server::wait_until_serving)
            .collect()
    }

    /// The leader; waits for an election to end.
    ///
    /// # Errors
    ///
    /// If there is none, or more than one that says so, and nothing happens any more.
    pub fn leader(&self) -> Result<&Server> {
        try_poll("one leader", || self.leader_now()).map_err(|verdict| {
            let states: Vec<_> = self.servers.iter().map(describe).collect();
            let message = format!(
                "is in an ensemble without one leader ({}): {verdict}",
                states.join(", ")
            );
            match self.servers.first() {
                Some(first) => first.failure(message),
                None => Error::Command {
                    command: "find the leader".to_owned(),
                    outcome: "the ensemble has no servers".to_owned(),
                },
            }
        })
    }

    /// The leader, if exactly one server says so at this moment.
    #[must_use]
    pub fn leader_now(&self) -> Option<&Server> {
        let mut leaders = self.servers.iter().filter(|server| server.is_leader());
        let leader = leaders.next()?;
        leaders.next().is_none().then_some(leader)
    }

    /// All servers but the leader; waits for an election to end.
    ///
    /// # Errors
    ///
    /// As [`leader`](Self::leader).
    pub fn followers(&self) -> Result<Vec<&Server>> {
        let leader = self.leader()?.id();
        Ok(self
            .servers
            .iter()
            .filter(|server| server.id() != leader)
            .collect())
    }
}

fn describe(server: &Server) -> String {
    let state = match (server.pid(), server.srvr()) {
        (None, _) => "down".to_owned(),
        (Some(_), Ok(srvr)) => format!("{:?}", srvr.mode).to_lowercase(),
        (Some(_), Err(_)) => "not serving".to_owned(),
    };
    format!("server-{}: {state}", server.id())
}
