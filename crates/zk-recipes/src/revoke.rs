//! Asking a holder to let go.

use zk_client::{Client, ErrorKind};

use crate::error::{Lost, Result};
use crate::guard::Guard;
use crate::pause::pause;

/// What the contents of a holder's znode become. Curator's word for it.
const REVOKE: &[u8] = b"__REVOKE__";

/// Asks whoever has the znode at `path`, a [`Contender`](crate::Contender)'s, to let go. It need not
/// listen: in Rust it does with [`Guard::revoked`], in Java if its lock was made revocable, in Python
/// it cannot. Its identifier is overwritten.
///
/// # Errors
/// [`NoNode`](zk_client::ErrorKind::NoNode) if it has gone, [`NoAuth`](zk_client::ErrorKind::NoAuth),
/// or what else can go wrong with a [`Set`](zk_client::Set).
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire.
pub async fn revoke(client: &Client, path: &str) -> Result<()> {
    client.set(path, REVOKE).await?;
    Ok(())
}

impl Guard {
    /// Waits until somebody asks to let go, with [`revoke`] or with Curator's `Revoker`. It is a
    /// request: what is held stays held. Sets a watch on the znode.
    ///
    /// # Errors
    /// The guard is lost.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn revoked(&self) -> Result<(), Lost> {
        self.run(self.asked()).await
    }

    async fn asked(&self) {
        let client = self.client().with_deadline(None);
        let mut pause = pause();
        loop {
            match client.get(self.path()).watch().await {
                Ok((data, ..)) if data == REVOKE => return,
                Ok((.., watch)) => {
                    pause.reset();
                    watch.await;
                }
                // If it is lost, `run` tells.
                Err(error) if error.kind() == ErrorKind::NoNode => std::future::pending().await,
                Err(error) if pause.may_go_on(&error) => {
                    tokio::time::sleep(pause.next_delay()).await
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot watch the guard's znode");
                    std::future::pending().await
                }
            }
        }
    }
}
