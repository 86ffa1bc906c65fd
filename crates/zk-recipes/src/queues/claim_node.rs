//! The znode of a claim: its creation, and its deletion whatever happens.

use std::sync::Arc;

use zk_client::{Client, CreateMode, ErrorKind, Guid, Lease, Outcome, Pledge};

use crate::error::Result;
use crate::retry::RetryBackoff;

/// What is known about the znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It does not exist, or it is not ours.
    None,
    /// A request that creates or deletes it may still be executed.
    Unsure,
    /// It is ours as long as its session lasts.
    Held,
}

/// The claim of one item. Deletes its znode when it is dropped.
#[derive(Debug)]
pub(crate) struct ClaimNode {
    /// Without a deadline, and without keeping the client open.
    client: Client,
    /// The same, for requests in the session of the claim only. The next session may find the claim of another
    /// consumer at this path.
    pub(super) in_session: Client,
    pub(crate) path: String,
    /// The contents, by which a claim is recognized. kazoo's have the same form.
    pub(crate) id: String,
    pub(crate) lease: Arc<Lease>,
    fate: Fate,
    /// The client is not closed before the znode is deleted.
    pledge: Option<Pledge>,
}

/// What became of an attempt to claim an item.
#[derive(Debug)]
pub(crate) enum Attempt {
    Claimed(ClaimNode),
    /// Another consumer has it, or it is gone.
    Missed,
    /// The directory of the claims does not exist.
    NoDirectory,
}

impl ClaimNode {
    /// A claim in the present session, before its creation.
    fn new(client: &Client, path: &str) -> Self {
        let lease = Arc::new(client.lease());
        ClaimNode {
            client: client.background(),
            in_session: client.only_in_epoch(lease.epoch()),
            path: path.to_owned(),
            id: Guid::random().hex(),
            lease,
            fate: Fate::None,
            pledge: Some(client.pledge(path)),
        }
    }

    /// Tries to claim the item.
    ///
    /// # Cancel safety
    /// Dropping the future deletes the claim in the background.
    pub(crate) async fn claim(client: &Client, item: &str, path: &str) -> Result<Attempt> {
        client.connected().await?;
        let mut node = ClaimNode::new(client, path);
        let in_session = node.in_session.clone();
        let mut backoff = RetryBackoff::new();
        loop {
            if node.is_over() {
                return Ok(Attempt::Missed);
            }
            let was_unsure = node.fate == Fate::Unsure;
            let multi = in_session.multi().check(item, -1);
            let claimed = multi
                .create_mode(path, &node.id, CreateMode::Ephemeral)
                .commit();
            node.fate = Fate::Unsure;
            let error = match claimed.await {
                Ok(_) if node.is_over() => return Ok(Attempt::Missed),
                Ok(_) => {
                    node.fate = Fate::Held;
                    return Ok(Attempt::Claimed(node));
                }
                Err(error) => error,
            };
            if !was_unsure && error.outcome() != Outcome::Unknown {
                node.fate = Fate::None;
            }
            match error.kind() {
                ErrorKind::NoNode if error.failed_op() == Some(1) => {
                    return Ok(Attempt::NoDirectory);
                }
                ErrorKind::NoNode => return Ok(Attempt::Missed),
                ErrorKind::NodeExists if was_unsure && node.is_ours().await? => {
                    node.fate = Fate::Held;
                    return Ok(Attempt::Claimed(node));
                }
                ErrorKind::NodeExists => return Ok(Attempt::Missed),
                // The znode of an earlier attempt has ended with its session.
                ErrorKind::SessionExpired if backoff.allows(&error) => {
                    return Ok(Attempt::Missed);
                }
                _ => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Whether the session has ended, and the znode with it.
    pub(crate) fn is_over(&self) -> bool {
        self.lease.deadline().is_none()
    }

    /// Whether the znode is that of an attempt in this session whose reply was lost.
    async fn is_ours(&self) -> Result<bool> {
        let mut backoff = RetryBackoff::new();
        loop {
            // The server may lag behind the one that executed the creation.
            match self.client.get(&self.path).synced().await {
                Ok((data, stat)) => {
                    let owned = stat.owner() == Some(self.lease.session());
                    return Ok(owned && data == self.id && !self.is_over());
                }
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(false),
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Whether the servers have deleted the znode.
    pub(crate) async fn has_ended(&self) -> zk_client::Result<bool> {
        match self.client.get(&self.path).synced().await {
            Ok((data, _)) => Ok(data != self.id),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The znode was deleted together with its item.
    pub(crate) fn forget(&mut self) {
        self.fate = Fate::None;
    }

    /// Deletes the znode.
    pub(crate) async fn release(mut self) -> Result<()> {
        let first = self.in_session.delete(&self.path).submit();
        self.fate = Fate::Unsure;
        let done = match first.await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(()),
            Err(_) => delete(&self.in_session, &self.path, &self.id).await,
        };
        // The session may have ended meanwhile, and the znode with it.
        if done.is_ok() || self.is_over() {
            self.fate = Fate::None;
            return Ok(());
        }
        done
    }
}

impl Drop for ClaimNode {
    fn drop(&mut self) {
        let first = match self.fate {
            Fate::None => return,
            // Submitted before the drop returns, so that it precedes what the caller submits next.
            Fate::Held => Some(self.in_session.delete(&self.path).submit()),
            Fate::Unsure => None,
        };
        let (client, path) = (self.in_session.clone(), std::mem::take(&mut self.path));
        let id = std::mem::take(&mut self.id);
        let pledge = self.pledge.take();
        self.client.runtime().clone().spawn(async move {
            let done = match first {
                Some(first) => match first.await {
                    Err(error) if error.kind() != ErrorKind::NoNode => {
                        delete(&client, &path, &id).await
                    }
                    _ => Ok(()),
                },
                None => delete(&client, &path, &id).await,
            };
            if let Err(error) = done {
                tracing::warn!(
                    %error, path,
                    "the claim could not be deleted, and ends with its session"
                );
            }
            drop(pledge);
        });
    }
}

/// Deletes the znode if it has these contents, with a handle for requests in its session only. A znode of the
/// same name may be the claim of another consumer, which has taken the item since.
async fn delete(in_session: &Client, path: &str, id: &str) -> Result<()> {
    let mut backoff = RetryBackoff::of_cleanup();
    loop {
        let error = match in_session.get(path).synced().await {
            // Until the deletion is executed, only the end of the session can delete the znode.
            Ok((data, _)) if data == id => match in_session.delete(path).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match error.kind() {
            // The znode ends with its session.
            ErrorKind::NoNode | ErrorKind::SessionExpired => return Ok(()),
            _ => backoff.sleep_after(error).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use zk_embedded::Server;

    use super::*;

    /// A claim of this client, held as far as it knows, and the client in its next session.
    async fn held_before(server: &Server, zk: &Client, fate: Fate) -> ClaimNode {
        let mut node = ClaimNode::new(zk, "/claim");
        node.fate = fate;
        server.expire_session(zk.session().id);
        while !node.is_over() {
            // Its answer, or the end of the connection.
            zk.sync("/").await.ok();
        }
        zk.connected().await.unwrap();
        node
    }

    /// As if the session had ended between a look at it and the submission of a request.
    #[tokio::test]
    async fn a_claim_is_made_in_its_session_or_not() {
        let server = Server::builder().start().await.unwrap();
        let zk = Client::connect(server.connect_string()).await.unwrap();
        let node = held_before(&server, &zk, Fate::None).await;
        let create = node.in_session.create("/claim", &node.id).ephemeral();
        let error = create.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionExpired);
        assert_eq!(error.outcome(), Outcome::NotSent);
        drop(node);
        zk.close().await.unwrap();
        assert!(server.node("/claim").is_none());
    }

    #[tokio::test]
    async fn the_next_session_deletes_no_claim() {
        let server = Server::builder().start().await.unwrap();
        let hosts = server.connect_string();
        let other = Client::connect(hosts.clone()).await.unwrap();
        let other_claim = other.create("/claim", Guid::random().hex());
        other_claim.ephemeral().await.unwrap();
        for fate in [Fate::Held, Fate::Unsure] {
            for is_dropped in [true, false] {
                let zk = Client::connect(hosts.clone()).await.unwrap();
                let node = held_before(&server, &zk, fate).await;
                match is_dropped {
                    true => drop(node),
                    false => node.release().await.unwrap(),
                }
                // Waits for the pledge.
                zk.close().await.unwrap();
                assert!(server.node("/claim").is_some(), "{fate:?} {is_dropped}");
            }
        }
    }
}
