//! The ensemble's own configuration: reading, watching and changing it.

use std::time::Duration;

use zk_proto::config::{EnsembleConfig, Server};
use zk_proto::records::{GetDataResponse, ReconfigRequest};
use zk_proto::{OpCode, Stat};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::ops::operation::operation;
use crate::ops::pending::{Call, Pending};
use crate::session::requests::Reply;
use crate::session::servers::config_znode::{CONFIG, parse, read_config};
use crate::session::watches::WatchKind;
use crate::watch::Watch;

/// Any version of the configuration.
const ANY: i64 = -1;

/// Reads the ensemble's configuration. Lines that this crate cannot parse are in
/// [`EnsembleConfig::unreadable`]. The configuration of a standalone server is empty.
///
/// # Errors
/// [`NoNode`](crate::ErrorKind::NoNode) from servers before 3.5;
/// [`MalformedReply`](crate::ErrorKind::MalformedReply) if the reply is not that of a read.
///
/// # Cancel safety
/// Dropping the future has no effect but that the reply is not seen.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct GetConfig<'a> {
    client: &'a Client,
    deadline: Option<Duration>,
}

impl<'a> GetConfig<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        GetConfig {
            client,
            deadline: None,
        }
    }

    /// Also watches for the next change of the configuration. The event's path is `/zookeeper/config`,
    /// without regard to the chroot (ZOOKEEPER-4565).
    pub fn watch(self) -> ConfigWatched<'a> {
        ConfigWatched {
            client: self.client,
            deadline: self.deadline,
        }
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(EnsembleConfig, Stat)> {
        Call::read(&self.client.unrooted(), OpCode::GetData, CONFIG)
            .deadline(self.deadline)
            .submit(&read_config(false), |reply, _| config(reply))
    }
}

operation!(GetConfig -> (EnsembleConfig, Stat));

/// [`GetConfig`], and a watch.
///
/// # Cancel safety
/// Dropping the future has no effect but that the reply is not seen.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct ConfigWatched<'a> {
    client: &'a Client,
    deadline: Option<Duration>,
}

impl ConfigWatched<'_> {
    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(EnsembleConfig, Stat, Watch)> {
        Call::read(&self.client.unrooted(), OpCode::GetData, CONFIG)
            .watch(WatchKind::Data)
            .deadline(self.deadline)
            .submit(&read_config(true), |reply, client| {
                let (config, stat) = config(reply)?;
                Ok((config, stat, Watch::new(client, reply.watch)))
            })
    }
}

operation!(ConfigWatched -> (EnsembleConfig, Stat, Watch));

fn config(reply: &Reply) -> Result<(EnsembleConfig, Stat)> {
    let response: GetDataResponse = reply.decode()?;
    let config = parse(&response.data.unwrap_or_default());
    Ok((config, response.stat))
}

/// Changes the ensemble: either by [`joining`](Self::joining) and [`leaving`](Self::leaving), or
/// with [`new_members`](Self::new_members) as a whole. The output is the new configuration.
///
/// The servers must have `reconfigEnabled=true`, and the client the permission: the superuser's
/// credentials, or an ACL of `/zookeeper/config` that lets it write.
///
/// # Errors
/// - [`InvalidArgument`](crate::ErrorKind::InvalidArgument) without any change, with both kinds of
///   change, or if a server is not written
///   `server.N=host:quorumPort:electionPort[:role][;[address:]clientPort[;[address:]securePort]]`;
/// - [`BadVersion`](crate::ErrorKind::BadVersion) if the configuration is not
///   [`from_version`](Self::from_version);
/// - [`NoAuth`](crate::ErrorKind::NoAuth) without the permission;
/// - [`Server`](crate::ErrorKind::Server) with a [`code`](Error::code): `NewConfigNoQuorum` if no
///   quorum of the new servers is connected and in sync, `ReconfigInProgress` if another change is
///   under way, `ReconfigDisabled`, or `BadArguments` if the server cannot apply the change.
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Reconfig<'a> {
    client: &'a Client,
    joining: Vec<String>,
    leaving: Vec<u64>,
    new_members: Vec<String>,
    from_version: i64,
    deadline: Option<Duration>,
}

impl<'a> Reconfig<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Reconfig {
            client,
            joining: Vec::new(),
            leaving: Vec::new(),
            new_members: Vec::new(),
            from_version: ANY,
            deadline: None,
        }
    }

    /// Adds a server, or changes the one with that number:
    /// `server.N=host:quorumPort:electionPort[:role][;[address:]clientPort[;[address:]securePort]]`,
    /// the secure port on servers from 3.10 on. May be called several times.
    pub fn joining(mut self, server: impl Into<String>) -> Self {
        self.joining.push(server.into());
        self
    }

    /// Removes the server with this number. May be called several times.
    pub fn leaving(mut self, id: u64) -> Self {
        self.leaving.push(id);
        self
    }

    /// Makes these the servers, and no others.
    pub fn new_members<S: Into<String>>(mut self, servers: impl IntoIterator<Item = S>) -> Self {
        self.new_members.extend(servers.into_iter().map(Into::into));
        self
    }

    /// Only if this is the configuration's [`version`](EnsembleConfig::version); otherwise
    /// [`BadVersion`](crate::ErrorKind::BadVersion).
    pub fn from_version(mut self, version: i64) -> Self {
        self.from_version = version;
        self
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(EnsembleConfig, Stat)> {
        let client = self.client.unrooted();
        if let Err(error) = self.check() {
            let error = error.at(OpCode::Reconfig, CONFIG);
            return Pending::failed(&client, OpCode::Reconfig, error, |reply, _| config(reply));
        }
        let leaving: Vec<_> = self.leaving.iter().map(u64::to_string).collect();
        let lists = [self.joining, leaving, self.new_members].map(|list| list.join(","));
        let [joining, leaving, new_members] = lists
            .each_ref()
            .map(|list| Some(&**list).filter(|list| !list.is_empty()));
        let record = ReconfigRequest {
            joining,
            leaving,
            new_members,
            cur_config_id: self.from_version,
        };
        Call::write(&client, OpCode::Reconfig, CONFIG)
            .deadline(self.deadline)
            .submit(&record, |reply, _| config(reply))
    }

    fn check(&self) -> Result<()> {
        let change = !self.joining.is_empty() || !self.leaving.is_empty();
        if change != self.new_members.is_empty() {
            return Err(Error::invalid_argument(
                "a reconfiguration names either servers that join or leave, or all new members",
            ));
        }
        let servers = self.joining.iter().chain(&self.new_members);
        for (server, number) in servers.zip(1..) {
            server.parse::<Server>().map_err(|e| {
                let detail = format!("server {number} of the reconfiguration cannot be read");
                Error::invalid_argument(detail).with_source(e)
            })?;
        }
        Ok(())
    }
}

operation!(Reconfig -> (EnsembleConfig, Stat));
