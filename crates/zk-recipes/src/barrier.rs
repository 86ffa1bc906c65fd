//! A barrier that holds everybody back until it is opened.

use zk_client::{Client, Error, ErrorKind, Repetition, Zxid};

use crate::error::Result;
use crate::paths::check_own;
use crate::pause::pause;

/// A barrier: while its znode exists, it is closed, and who [waits](Self::wait) waits. kazoo's
/// `Barrier` and Curator's `DistributedBarrier` are the same.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::Barrier;
///
/// let barrier = Barrier::new(&zk, "/migration");
/// barrier.close().await?;
/// // … elsewhere, workers are at barrier.wait().await? …
/// barrier.open().await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// That at `path`, persistent, with nothing in it: to kazoo and Curator it is one of their own.
///
/// # Cost
///
/// One znode. A read and a watch for each caller that waits, and all are woken at once, which is what
/// the barrier is for; they read once more. In each session, the first read of a wait goes out together
/// with a sync. One request to close it; to open it, a sync and a read that go out together, and a
/// deletion.
///
/// # Losing the session
///
/// Nothing is lost: the znode belongs to no session, and who waits goes on waiting in the next one.
///
/// # Cancel safety
///
/// A wait can be dropped and begun again, and leaves no watch. Whether closing or opening has
/// happened is not known when it is dropped; to do it again does no harm.
#[derive(Debug, Clone)]
pub struct Barrier {
    client: Client,
    path: String,
}

impl Barrier {
    /// The barrier that `path` stands for.
    pub fn new(client: &Client, path: &str) -> Self {
        Barrier {
            // What is asked of it is done, however long that takes.
            client: client.with_deadline(None),
            path: path.to_owned(),
        }
    }

    /// Closes it, if it is open. Tries until it is done.
    ///
    /// # Errors
    /// The client is over, or the ensemble refuses. An invalid path, or the root of the ensemble, is
    /// an error before anything is sent ([`InvalidPath`](ErrorKind::InvalidPath)), also from the
    /// other methods.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open or closed.
    pub async fn close(&self) -> Result<()> {
        check_own(&self.client, &self.path)?;
        let mut pause = pause();
        loop {
            match self.client.create(&self.path, "").parents().await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NodeExists => return Ok(()),
                // Servers look at the parent's ACL first.
                Err(error)
                    if error.kind() == ErrorKind::NoAuth
                        && self.client.exists(&self.path).await?.is_some() =>
                {
                    return Ok(());
                }
                Err(error) if passes(&mut pause, &error) => {
                    tokio::time::sleep(pause.next_delay()).await
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Opens it, if it is closed. Tries until it is done; one that is closed again meanwhile stays
    /// closed.
    ///
    /// # Errors
    /// The client is over, or the ensemble refuses: a znode with children is none of a barrier.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it open or closed.
    pub async fn open(&self) -> Result<()> {
        check_own(&self.client, &self.path)?;
        let mut pause = pause();
        let mut tried: Option<Zxid> = None;
        loop {
            // The server may lag behind the one that closed it, or was asked to delete it.
            let error = match self.client.exists(&self.path).synced().await {
                Ok(None) => return Ok(()),
                // The one that was to be opened is, although its deletion was not answered. A
                // smaller zxid is that of a restored ensemble, in which nothing was deleted.
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
            if !passes(&mut pause, &error) {
                return Err(error.into());
            }
            tokio::time::sleep(pause.next_delay()).await;
        }
    }

    /// Waits until it is open. A barrier that was closed before the call counts as closed, also if the
    /// client's server lags behind the one that closed it. While the client is connected to a server
    /// without a quorum, the wait goes on.
    ///
    /// # Errors
    /// The client is over, or the ensemble refuses the read.
    ///
    /// # Cancel safety
    /// Can be dropped and called again. No watch is left.
    pub async fn wait(&self) -> Result<()> {
        check_own(&self.client, &self.path)?;
        let mut pause = pause();
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
                // Reads go on into the next session, whose server may lag behind the last one.
                Ok((None, _)) if synced == Some(epoch) && self.client.session().epoch != epoch => {}
                Ok((None, _)) => return Ok(()),
                // Whatever the event is, look again: a change of data and a lost session are no
                // opening.
                Ok((Some(_), watch)) => {
                    pause.reset();
                    synced = Some(epoch);
                    watch.await;
                }
                Err(error) if error.kind() == ErrorKind::ReadOnly => {
                    tokio::time::sleep(pause.next_delay()).await
                }
                Err(error) if passes(&mut pause, &error) => {
                    tokio::time::sleep(pause.next_delay()).await
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether it may go better the next time, for what can be done twice.
fn passes(pause: &mut Repetition, error: &Error) -> bool {
    error.is_retryable() || pause.may_go_on(error)
}
