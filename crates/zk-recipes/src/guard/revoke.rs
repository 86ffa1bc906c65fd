//! Requests to a holder to release.

use zk_client::{Client, ErrorKind};

use super::Guard;
use crate::error::{GuardLost, Result};
use crate::retry::RetryBackoff;

/// The contents of a holder's znode after a request. The word is Curator's.
const REVOKE: &[u8] = b"__REVOKE__";

/// Requests the holder of the znode at `path`, a [`Contender`](crate::Contender)'s, to release. The
/// holder need not comply: a Rust program receives the request with [`Guard::revoked`], Java if its
/// lock was made revocable, Python not at all. The contender's identifier is overwritten.
///
/// Not for a candidate of a `LeaderLatch`, or of ZooKeeper's `LeaderElectionSupport`: in Java, the candidate
/// behind it watches the znode for its deletion only, and would wait for ever after a change of its contents.
///
/// # Errors
/// [`NoNode`](ErrorKind::NoNode) if the contender has left, [`NoAuth`](ErrorKind::NoAuth), and the
/// other errors of a [`Set`](zk_client::Set).
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire.
#[doc(alias = "Revoker")]
#[doc(alias = "attemptRevoke")]
pub async fn revoke(client: &Client, path: &str) -> Result<()> {
    client.set(path, REVOKE).await?;
    Ok(())
}

impl Guard {
    /// Waits until another client requests a release, with [`revoke`] or with Curator's `Revoker`.
    /// The guard stays held. Sets a watch on the znode.
    ///
    /// # Errors
    /// The guard is lost.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    #[doc(alias = "makeRevocable")]
    pub async fn revoked(&self) -> Result<(), GuardLost> {
        self.run(self.wait_for_request()).await
    }

    async fn wait_for_request(&self) {
        let client = self.client().with_deadline(None);
        let mut backoff = RetryBackoff::new();
        loop {
            let error = match client.get(self.path()).watch().await {
                Ok((data, ..)) if data == REVOKE => return,
                Ok((.., watch)) => {
                    backoff.reset();
                    watch.await;
                    continue;
                }
                // The guard is lost, which `run` reports.
                Err(error) if error.kind() == ErrorKind::NoNode => std::future::pending().await,
                Err(error) => error,
            };
            if let Err(error) = backoff.sleep_after(error).await {
                tracing::debug!(%error, "cannot watch the guard's znode");
                return std::future::pending().await;
            }
        }
    }
}
