//! Reads the znodes of contenders, and the addresses of their clients.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use zk_client::{Client, ErrorKind, SessionId, Stat, admin, path};

use super::clients::{self, Peer};
use super::layout::{Contender, Kind, Place};
use crate::commands::walk::of_one_znode;
use crate::output::notices::Notices;

/// How many znodes are read at once.
const WINDOW: usize = 256;

/// The time for the servers to answer `cons`. Short, because the output is useful without the addresses.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(2);

/// A znode's contents and stat, as far as they may be read.
pub(super) struct ReadZnode {
    pub(super) path: String,
    pub(super) data: Option<Vec<u8>>,
    pub(super) stat: Option<Stat>,
}

/// Reads znodes, in the order given, without those that do not exist.
pub(super) async fn read_all(
    client: &Client,
    mut paths: impl Iterator<Item = String>,
) -> zk_client::Result<Vec<ReadZnode>> {
    let mut pending = VecDeque::new();
    let mut found = Vec::new();
    loop {
        while pending.len() < WINDOW
            && let Some(path) = paths.next()
        {
            let reply = client.get(&path).submit();
            pending.push_back((path, reply));
        }
        let Some((path, reply)) = pending.pop_front() else {
            return Ok(found);
        };
        let (data, stat) = match reply.await {
            Ok((data, stat)) => (Some(data.to_vec()), Some(stat)),
            Err(error) if error.kind() == ErrorKind::NoNode => continue,
            Err(error) => {
                of_one_znode(error)?;
                // The stat may be readable although the contents are not.
                match client.exists(&path).await {
                    Ok(Some(stat)) => (None, Some(stat)),
                    Ok(None) => continue,
                    Err(error) => {
                        of_one_znode(error)?;
                        (None, None)
                    }
                }
            }
        };
        found.push(ReadZnode { path, data, stat });
    }
}

/// The contenders among the children of `parent`, in no particular order.
pub(super) async fn read<'a>(
    client: &Client,
    parent: &str,
    kind: Kind,
    names: impl Iterator<Item = &'a str>,
) -> zk_client::Result<Vec<Contender>> {
    let places: HashMap<String, Place> = names
        .filter_map(|name| Some((path::join(parent, name), Place::read(name)?)))
        .filter(|(_, place)| kind.has(place.names))
        .collect();
    let read = read_all(client, places.keys().cloned()).await?;
    let contender = |znode: ReadZnode| {
        Some(Contender {
            place: places.get(&znode.path)?.clone(),
            path: znode.path,
            identifier: znode.data,
            stat: znode.stat,
        })
    };
    Ok(read.into_iter().filter_map(contender).collect())
}

/// The connections of sessions.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    peers: HashMap<SessionId, Peer>,
    /// Whether all servers of the ensemble have listed theirs, so that a session without a connection has none.
    complete: bool,
}

impl Addresses {
    pub(super) fn get(&self, session: SessionId) -> Option<&Peer> {
        self.peers.get(&session)
    }

    /// Whether the session has a connection; `None` if that is not known.
    pub(super) fn is_connected(&self, session: SessionId) -> Option<bool> {
        match self.peers.contains_key(&session) {
            true => Some(true),
            false => self.complete.then_some(false),
        }
    }
}

/// Looks the connections of sessions up, with a notice if not all servers list theirs.
pub(super) async fn addresses(client: &Client, notices: &Notices) -> zk_client::Result<Addresses> {
    let answers = clients::send(client, "cons", ADDRESS_TIMEOUT, |text| {
        admin::connections(text).map(admin::Entries::into_vec)
    })
    .await;
    clients::report(notices, "addresses are missing", "cons", &answers.failed);
    // The list of servers may name a part of the ensemble. A standalone server has no configuration.
    let members = match client.config().await {
        Ok((config, _)) => Some(config.servers.len().max(1)),
        Err(error) => {
            of_one_znode(error)?;
            None
        }
    };
    let answered = answers.read.len();
    Ok(Addresses {
        peers: clients::peers(&answers.read),
        complete: answers.failed.is_empty() && members.is_some_and(|members| members <= answered),
    })
}
