//! Changing a znode's data by a function of the data.

use bytes::Bytes;
use zk_proto::Stat;

use crate::client::Client;
use crate::error::{ErrorKind, Outcome, Result};
use crate::ops::retry::conditional::set_with_retries;

impl Client {
    /// Reads a znode's data, computes new data from them, and sets these if the znode still has the
    /// version that was read: compare-and-set. If another client was faster, it starts again. The
    /// output is the new data and their stat.
    ///
    /// ```no_run
    /// # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
    /// let (count, stat) = zk
    ///     .update("/counter", |data| {
    ///         let count: u64 = std::str::from_utf8(data).ok()?.parse().ok()?;
    ///         Some((count + 1).to_string())
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// `change` is called once for each attempt. If it returns `None`, nothing is set, and the output
    /// is what was read.
    ///
    /// Failures without effect are retried as the client's [`retry_policy`](Self::retry_policy) says. If the reply to an
    /// attempt is lost, the client reads the znode. It starts again if the attempt had no effect.
    /// If the attempt may have had one, the outcome is [`Outcome::Unknown`], also where the new data are
    /// found: another client may have written the same. So no call counts twice, and a call that
    /// succeeds counts once.
    ///
    /// # Errors
    /// [`ErrorKind::NoNode`] if the znode does not exist; those of [`Get`](crate::Get) and
    /// [`Set`](crate::Set), except for [`ErrorKind::BadVersion`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop a request that is on the wire.
    #[doc(alias = "compare_and_set")]
    #[doc(alias = "DistributedAtomicValue")]
    pub fn update<F, D>(
        &self,
        path: &str,
        change: F,
    ) -> impl Future<Output = Result<(Bytes, Stat)>> + use<F, D>
    where
        F: FnMut(&[u8]) -> Option<D>,
        D: Into<Bytes>,
    {
        update(self.clone(), path.to_owned(), change)
    }
}

async fn update<F, D>(client: Client, path: String, mut change: F) -> Result<(Bytes, Stat)>
where
    F: FnMut(&[u8]) -> Option<D>,
    D: Into<Bytes>,
{
    let policy = client.retry_policy().clone();
    let get = || client.get(&path).submit();
    let (mut data, mut stat) = client.retry_read(&policy, get).await?;
    loop {
        let Some(changed) = change(&data) else {
            return Ok((data, stat));
        };
        let changed: Bytes = changed.into();
        let set = set_with_retries(&client, &path, changed.clone(), stat.version, &policy);
        match set.await {
            Ok(stat) => return Ok((changed, stat)),
            Err(error)
                if error.kind() == ErrorKind::BadVersion
                    && error.outcome() == Outcome::Rejected => {}
            Err(error) => return Err(error),
        }
        // The server of this connection may lag behind the one that refused the version.
        let get = || client.get(&path).synced().submit();
        (data, stat) = client.retry_read(&policy, get).await?;
    }
}
