//! A barrier that blocks its waiters until it is opened.

use zk_client::{Client, ErrorKind, Zxid};

use crate::error::Result;
use crate::paths::check_own;
use crate::retry::RetryBackoff;

/// A barrier: while its znode exists, it is closed, and [`wait`](Self::wait) does not return. The
/// counterpart of kazoo's `Barrier` and Curator's `DistributedBarrier`.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::Barrier;
///
/// let barrier = Barrier::new(&zk, "/migration");
/// barrier.close().await?;
/// // … in other programs, workers are in barrier.wait().await? …
/// barrier.open().await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// The znode at `path`, persistent and empty, which kazoo and Curator recognize as their own.
///
/// # Cost
///
/// One znode. A read and a watch for each waiter; the opening wakes all of them at once, and each
/// reads once more. In each session, the first read of a wait is sent together with a sync. One
/// request to close it; to open it, a sync and a read that are sent together, and a deletion.
///
/// # Losing the session
///
/// Nothing is lost: the znode belongs to no session, and a wait continues in the next session.
///
/// # Cancel safety
///
/// A wait can be dropped and started again, and leaves no watch. After a dropped `close` or `open`
/// the barrier may be open or closed; both can be repeated.
#[doc(alias = "DistributedBarrier")]
#[derive(Debug, Clone)]
pub struct Barrier {
    client: Client,
    path: String,
}

impl Barrier {
    /// The barrier at `path`.
    pub fn new(client: &Client, path: &str) -> Self {
        Barrier {
            // Closing and opening are retried until they are done.
            client: client.with_deadline(None),
            path: path.to_owned(),
        }
    }

    /// Closes the barrier if it is open. Retries until that is done.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses. An invalid path, or the root of the ensemble, is
    /// an error before anything is sent ([`InvalidPath`](ErrorKind::InvalidPath)), also from the
    /// other methods.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the barrier open or closed.
    #[doc(alias = "setBarrier")]
    pub async fn close(&self) -> Result<()> {
        check_own(&self.client, &self.path)?;
        let mut backoff = RetryBackoff::of_repeatable();
        loop {
            match self.client.create(&self.path, "").parents().await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NodeExists => return Ok(()),
                // Servers check the parent's ACL first.
                Err(error)
                    if error.kind() == ErrorKind::NoAuth
                        && self.client.exists(&self.path).await?.is_some() =>
                {
                    return Ok(());
                }
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Opens the barrier if it is closed. Retries until that is done; a barrier that another client
    /// closes again meanwhile stays closed.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses: a znode with children is not a barrier.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the barrier open or closed.
    #[doc(alias = "removeBarrier")]
    pub async fn open(&self) -> Result<()> {
        check_own(&self.client, &self.path)?;
        let mut backoff = RetryBackoff::of_repeatable();
        let mut tried: Option<Zxid> = None;
        loop {
            // The server may lag behind the one that executed the creation, or an earlier deletion.
            let error = match self.client.exists(&self.path).synced().await {
                Ok(None) => return Ok(()),
                // An earlier deletion, whose reply was lost, has opened the barrier, and this znode is
                // from a later closing. A smaller zxid is that of a restored ensemble, in which
                // nothing was deleted.
                Ok(Some(stat)) if tried.is_some_and(|tried| tried < stat.czxid) => return Ok(()),
                Ok(Some(stat)) => {
                    tried = Some(stat.czxid);
                    match self.client.delete(&self.path).await {
                        Ok(()) => return Ok(()),
                        Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            backoff.sleep_after(error).await?;
        }
    }

    /// Waits until the barrier is open. A barrier that was closed before the call counts as closed, also
    /// if the client's server lags behind the one that closed it. While the client is connected to a
    /// server without a quorum, the wait continues.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses the read.
    ///
    /// # Cancel safety
    /// Can be dropped and called again. No watch is left.
    #[doc(alias = "waitOnBarrier")]
    pub async fn wait(&self) -> Result<()> {
        check_own(&self.client, &self.path)?;
        let mut backoff = RetryBackoff::of_repeatable();
        // The latest session in which the server has caught up with the leader.
        let mut synced = None;
        loop {
            let epoch = self.client.session().epoch;
            let exists = self.client.exists(&self.path).watch();
            let found = match synced == Some(epoch) {
                true => exists.await,
                false => exists.synced().await,
            };
            match found {
                // The client resends reads in the next session, whose server may lag behind the last one.
                Ok((None, _)) if synced == Some(epoch) && self.client.session().epoch != epoch => {}
                Ok((None, _)) => return Ok(()),
                // Reads again after every event: a change of data and a lost session are not an
                // opening.
                Ok((Some(_), watch)) => {
                    backoff.reset();
                    synced = Some(epoch);
                    watch.await;
                }
                Err(error) if error.kind() == ErrorKind::ReadOnly => backoff.sleep().await,
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }
}
