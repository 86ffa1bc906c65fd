//! The members among which the items are divided.

use std::time::Duration;

use zk_client::{Client, ErrorKind, Guid};

use super::division::Members;
use super::stop::Stop;
use crate::error::Result;
use crate::guard::{Guard, LeaseBasis};
use crate::queue::ensure_parent;
use crate::retry::RetryBackoff;
use crate::watch::{ChildrenState, ChildrenWatch};

/// Creates this member's znode in the current session: that of kazoo's `ShallowParty`.
///
/// Dropping the future deletes it in the background, and so does dropping the guard.
pub(super) async fn join(client: &Client, party: &str, identifier: &str) -> Result<Guard> {
    let mut backoff = RetryBackoff::new();
    let path = format!("{party}/-{identifier}");
    loop {
        client.connected().await?;
        let create = client.create(&path, identifier).ephemeral().protected();
        match create.prefix(Guid::random().hex()).await {
            Ok(created) => {
                let lease = client.lease();
                if created.stat.owner() == Some(lease.session()) {
                    return Ok(Guard::new(client, Some(lease), LeaseBasis::Server, created));
                }
                // The server may take a while to delete it.
                client.delete(&created.path).guaranteed();
            }
            Err(error) if error.kind() == ErrorKind::NoNode => {
                ensure_parent(client, party, false).await?;
            }
            // `connected` waits for the next session, or fails with the reason why there is none.
            Err(error) if error.kind() == ErrorKind::SessionExpired && backoff.allows(&error) => {}
            Err(error) => backoff.sleep_after(error).await?,
        }
    }
}

/// The members, and whether they change.
#[derive(Debug)]
pub(super) struct PartyWatch {
    client: Client,
    watch: ChildrenWatch,
    names: Option<Vec<String>>,
}

impl PartyWatch {
    pub(super) fn new(client: &Client, party: &str) -> Self {
        PartyWatch {
            client: client.clone(),
            watch: ChildrenWatch::new(client, party),
            names: None,
        }
    }

    /// Waits until members have come or gone.
    pub(super) async fn changed(&mut self) -> Result<(), Stop> {
        loop {
            let names = match self.watch.next().await {
                None => return Err(Stop::Over(None)),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(ChildrenState::Absent)) => Vec::new(),
                Some(Ok(ChildrenState::Present { names, .. })) => names,
            };
            if self.names.as_ref() != Some(&names) {
                self.names = Some(names);
                return Ok(());
            }
        }
    }

    /// Waits until the members, `own` among them, have not changed for the boundary.
    pub(super) async fn settled(&mut self, own: &str, boundary: Duration) -> Result<Members, Stop> {
        loop {
            match tokio::time::timeout(boundary, self.changed()).await {
                Ok(changed) => {
                    changed?;
                    continue;
                }
                // Without a connection, changes are not noticed.
                Err(_elapsed) if !self.client.state().is_connected() => {
                    self.client.connected().await?;
                    continue;
                }
                Err(_elapsed) => {}
            }
            if let Some(names) = &self.names {
                let members = Members::of(names);
                if members.contains(own) {
                    return Ok(members);
                }
            }
            // The server has not caught up with this member's own creation.
            self.changed().await?;
        }
    }
}
