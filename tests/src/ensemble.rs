//! Several servers with a quorum.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::four_letter::Srvr;
use crate::installation::Installation;
use crate::network::Host;
use crate::options::ServerOptions;
use crate::ports::free_ports;
use crate::run_directory::ServerDirectory;
use crate::server::Server;
use crate::site::Site;
use crate::standalone::START_ATTEMPTS;
use crate::watchdog::try_poll;

/// Of a server that has a host to itself: those that ZooKeeper's own documentation has.
const QUORUM_PORT: u16 = 2888;
const ELECTION_PORT: u16 = 3888;
const CLIENT_PORT: u16 = 2181;
const SECURE_PORT: u16 = 2281;

/// An ensemble on loopback, or on the hosts of a [`Network`](crate::Network), with its directory; servers and directory go when it is dropped.
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
            match Self::attempt(installation, &vec![None; size], &options) {
                Err(error) if error.is_port_conflict() && attempt < START_ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    /// Starts a server on each of these hosts, and waits until every one serves. It is queried on its
    /// own host, and so can be whatever is cut.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_on(hosts: &[Arc<Host>], options: &ServerOptions) -> Result<Self> {
        let hosts: Vec<_> = hosts.iter().cloned().map(Some).collect();
        Self::attempt(&Installation::find()?, &hosts, options)
    }

    fn attempt(
        installation: &Installation,
        hosts: &[Option<Arc<Host>>],
        options: &ServerOptions,
    ) -> Result<Self> {
        let directory = ServerDirectory::create("ensemble")?;
        let mut lines = vec!["standaloneEnabled=false".to_owned()];
        let mut sites = Vec::with_capacity(hosts.len());
        for (id, host) in (1..).zip(hosts) {
            let [quorum, election, client, secure] = match host {
                Some(_) => [QUORUM_PORT, ELECTION_PORT, CLIENT_PORT, SECURE_PORT],
                None => free_ports().map_err(|source| Error::io("find free ports", source))?,
            };
            let site = Site {
                host: host.clone(),
                client,
                secure,
            };
            let address = site.address(client);
            let ip = address.ip();
            lines.push(format!(
                "server.{id}={ip}:{quorum}:{election}:participant;{address}"
            ));
            sites.push(site);
        }
        let servers = (1..)
            .zip(sites)
            .map(|(id, site)| {
                Server::prepare(id, directory.path(), site, &lines, installation, options)
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
