//! An ephemeral znode that shows which write to a cell was the last of this handle.

use zk_client::{Client, Created, ErrorKind, Result, path};

use crate::retry::RetryBackoff;

/// The end of the name of a witness, behind `_c_<uuid>-`.
const NAME: &str = "witness";

/// A creation on the wire.
pub(super) type Placing = std::pin::Pin<Box<dyn Future<Output = Result<Created>> + Send>>;

/// The witness of a handle and its clones.
#[derive(Debug)]
pub(super) enum Witness {
    /// It does not exist yet, or was lost with its session.
    Missing,
    Placed(Placed),
    /// The handle goes without: the program wants that, or the ensemble refuses a child of the cell.
    Off,
}

/// A witness that exists. Dropping it deletes it in the background.
#[derive(Debug)]
pub(super) struct Placed {
    client: Client,
    pub(super) path: String,
    /// The session that it belongs to.
    epoch: u64,
}

impl Witness {
    /// Puts the creation of the witness on the wire, if there is one to create.
    ///
    /// # Cancel safety
    /// Dropping the future deletes the znode in the background.
    pub(super) fn begin(&mut self, client: &Client, cell: &str) -> Option<Placing> {
        match self {
            Witness::Off => return None,
            Witness::Placed(placed) if placed.epoch == client.session().epoch => return None,
            Witness::Placed(_) | Witness::Missing => *self = Witness::Missing,
        }
        let path = path::join(cell, NAME);
        Some(client.create(&path, "").ephemeral().protected().submit())
    }

    /// Waits for the witness. Without the cell it stays missing.
    pub(super) async fn place(
        &mut self,
        client: &Client,
        cell: &str,
        first: Option<Placing>,
        backoff: &mut RetryBackoff,
    ) -> Result<()> {
        let mut next = first;
        // The first creation may have preceded that of the cell.
        let mut missed = false;
        while let Some(placing) = next {
            match placing.await {
                Ok(created) => self.keep(client, created),
                Err(error) if error.kind() == ErrorKind::NoNode && missed => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NoNode => missed = true,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NoAuth
                            | ErrorKind::NoChildrenForEphemerals
                            | ErrorKind::InvalidAcl
                    ) =>
                {
                    tracing::debug!(%error, cell, "without a witness");
                    *self = Witness::Off;
                }
                Err(error) => {
                    backoff.sleep_after(error).await?;
                    client.connected().await?;
                }
            }
            next = self.begin(client, cell);
        }
        Ok(())
    }

    /// Keeps a witness, unless its session has ended meanwhile.
    fn keep(&mut self, client: &Client, created: Created) {
        let lease = client.lease();
        let placed = Placed {
            client: client.clone(),
            path: created.path,
            epoch: lease.epoch(),
        };
        if created.stat.owner() == Some(lease.session()) {
            *self = Witness::Placed(placed);
        }
    }

    pub(super) fn placed(&self) -> Option<&Placed> {
        match self {
            Witness::Placed(placed) => Some(placed),
            Witness::Missing | Witness::Off => None,
        }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.client.delete(&self.path).guaranteed_ephemeral();
    }
}
