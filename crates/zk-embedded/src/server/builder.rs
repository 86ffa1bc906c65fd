//! Starting a server: [`ServerBuilder`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use zk_proto::config;

use super::dial::MemoryDial;
use super::handle::Server;
use crate::core::{Pose, State};
use crate::net::handshake::Handshake;
use crate::net::listener;
use crate::net::shared::{Shared, now, run_clock};
use crate::options::{Options, WallClock};

impl Server {
    /// Starts one server with the default options on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free.
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Sets options before the start.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }
}

/// Options of a [`Server`].
#[derive(Debug, Clone)]
#[must_use = "nothing is started before `start`"]
pub struct ServerBuilder {
    options: Options,
    addresses: Option<Vec<SocketAddr>>,
    sockets: bool,
    #[cfg(feature = "tls")]
    tls: Option<super::ServerTls>,
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            options: Options::default(),
            addresses: None,
            sockets: true,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl ServerBuilder {
    /// Replaces all options. Those without a method of the builder are fields of [`Options`].
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The server that is imitated; Apache ZooKeeper 3.9 by default.
    pub fn pose(mut self, pose: Pose) -> Self {
        self.options.pose = pose;
        self
    }

    /// The number of members of an ensemble, up to 255; 1 by default.
    pub fn members(mut self, members: usize) -> Self {
        self.options.members = members.clamp(1, 255);
        self
    }

    /// How many of the members, the last ones, are observers: they serve clients and follow without a
    /// vote. None by default; at least one member has a vote.
    pub fn observers(mut self, observers: usize) -> Self {
        self.options.observers = observers;
        self
    }

    /// The members of an ensemble as the `server.N=…` lines of a configuration name them: their numbers
    /// up to 255, their roles, and the ports for other servers, which no member opens. Clients
    /// reach them at the addresses of [`listen`](Self::listen). With one line or none
    /// there is one server.
    pub fn servers(mut self, servers: impl Into<Vec<config::Server>>) -> Self {
        self.options.servers = servers.into();
        self
    }

    /// Whether an ensemble executes `reconfig` (`reconfigEnabled`); not by default. The caller needs
    /// write permission on `/zookeeper/config`, which only the [superuser](Self::super_digest) has.
    ///
    /// A reconfiguration changes the text of `/zookeeper/config`, which members vote and which may
    /// lead; it starts and stops no member and moves no port. A server that joins under a member's
    /// number is that member, under any other number it is a server that is down. A member that was
    /// removed continues to serve clients, without a vote, as an Apache server does until it is stopped;
    /// [`Faults::stop`](crate::Faults::stop)
    /// stops it. Members whose role changes close their connections after the reply, and
    /// so do all members if the leader changes.
    pub fn reconfig_enabled(mut self, enabled: bool) -> Self {
        self.options.reconfig_enabled = enabled;
        self
    }

    /// The unit of session timeouts, 2 s by default. They are granted between 2 and 20 ticks.
    pub fn tick(mut self, tick: Duration) -> Self {
        self.options.tick = tick;
        self
    }

    /// After how many ticks a [deposed leader](Server::depose_leader) and its followers notice that
    /// they are cut off; 5 by default, as in the configuration that Apache ships.
    pub fn sync_limit(mut self, ticks: u32) -> Self {
        self.options.sync_limit = ticks;
        self
    }

    /// The shortest and the longest session timeout granted, instead of 2 and 20 ticks.
    pub fn session_timeouts(mut self, min: Duration, max: Duration) -> Self {
        self.options.min_session_timeout = Some(min);
        self.options.max_session_timeout = Some(max);
        self
    }

    /// The longest frame accepted, in bytes; 1,048,575 by default.
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.options.max_frame = bytes;
        self
    }

    /// How often the server looks for containers and expired nodes to delete; every minute by default.
    pub fn container_check_interval(mut self, interval: Duration) -> Self {
        self.options.container_check_interval = interval;
        self
    }

    /// The digest id of the superuser, which has all permissions, as [`zk_proto::digest_id`] makes it.
    pub fn super_digest(mut self, id: impl Into<String>) -> Self {
        self.options.super_digest = Some(id.into());
        self
    }

    /// Whether members without a quorum serve reads; they do by default.
    pub fn read_only_mode(mut self, enabled: bool) -> Self {
        self.options.read_only_mode = enabled;
        self
    }

    /// Whether hard quotas are enforced; not by default, as on a real server.
    pub fn enforce_quota(mut self, enforce: bool) -> Self {
        self.options.enforce_quota = enforce;
        self
    }

    /// The source of the times in stats.
    pub fn wall_clock(mut self, clock: WallClock) -> Self {
        self.options.wall_clock = clock;
        self
    }

    /// Whether the deletion of a child leaves its parent's `pzxid` unchanged in any pose; ClickHouse
    /// Keeper never changes it.
    pub fn keep_pzxid(mut self, keep: bool) -> Self {
        self.options.keeps_pzxid = keep;
        self
    }

    /// How many of the last transactions are kept for inspection; 10,000 by default.
    pub fn log_limit(mut self, limit: usize) -> Self {
        self.options.log_limit = limit;
        self
    }

    /// The members' addresses, in their order; members without one listen on a free port of 127.0.0.1.
    pub fn listen(mut self, addresses: impl Into<Vec<SocketAddr>>) -> Self {
        self.addresses = Some(addresses.into());
        self
    }

    /// Serves TLS on the ports of all members, and nothing without it. Connections inside the process are
    /// made as before, without TLS.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, tls: &super::ServerTls) -> Self {
        self.tls = Some(tls.clone());
        self
    }

    /// No sockets: connections are made with [`Server::dial`] or [`Server::connect_in_memory`]. Such a
    /// server needs no I/O driver.
    pub fn in_memory(mut self) -> Self {
        self.sockets = false;
        self
    }

    /// Starts the server in the current runtime.
    ///
    /// # Errors
    /// When the server cannot listen on an address.
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing.
    pub async fn start(self) -> io::Result<Server> {
        let handshake = self.handshake()?;
        let count = self.options.member_count();
        let mut listeners = Vec::new();
        if self.sockets {
            for member in 0..count {
                let named = self
                    .addresses
                    .as_ref()
                    .and_then(|all| all.get(member).copied());
                let address = named.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
                listeners.push(TcpListener::bind(address).await?);
            }
        }
        let addresses: io::Result<Vec<_>> = listeners.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses?;
        let mut state = State::new(self.options, now());
        state.set_addresses(now(), &addresses);
        let shared = Arc::new(Shared::new(state, self.sockets));
        let mut tasks = vec![tokio::spawn(run_clock(shared.clone()))];
        for (member, listener) in listeners.into_iter().enumerate() {
            if let Some(gate) = shared.gates.get(member).cloned() {
                tasks.push(tokio::spawn(listener::run(
                    listener,
                    gate,
                    shared.clone(),
                    member,
                    handshake.clone(),
                )));
            }
        }
        let memory = MemoryDial::new(shared.clone(), Handle::current());
        let server = Server {
            memory,
            shared,
            addresses,
            tasks,
        };
        server.opened().await?;
        Ok(server)
    }

    fn handshake(&self) -> io::Result<Handshake> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.acceptor().map(Handshake::tls);
        }
        Ok(Handshake::default())
    }
}
