//! A client that continues the session in a file.

use crate::builder::ClientBuilder;
use crate::builder::start::{LeaveOnDrop, require_runtime};
use crate::client::Client;
use crate::error::{ErrorKind, Result};
use crate::session_store::keeper::keep;
use crate::session_store::restored::Restored;
use crate::session_store::store::SessionStore;

impl ClientBuilder {
    /// Makes the client and continues the session in the file of `store`, or makes a new session
    /// where that is not possible; the second value says which. The client keeps the file up to date
    /// from then on: see [`SessionStore`]. Waits for a session for
    /// [`connect_timeout`](Self::connect_timeout) at most, twice if the earlier session has expired.
    ///
    /// A session that continues still has *all* ephemeral znodes of the earlier process, also those
    /// that this process does not adopt, and they stay as long as the session: recipes say in their
    /// section "After a crash" how they adopt theirs, and [`Client::ephemerals`] lists all. The first reads
    /// can be older than what the earlier process has seen, from a server that lags behind; a
    /// [`sync`](Client::sync) excludes that.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect). [`ErrorKind::SessionFile`]: the file cannot be read or
    /// written, other users have access to it, or it contains something else. The session in the file
    /// is as it was then, and can be resumed by another attempt within its timeout, with another
    /// [`SessionStore`].
    ///
    /// # Panics
    /// In a runtime without timers; see [`start`](Self::start).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the session in the file as it was; a new one is closed.
    pub async fn restore(self, store: SessionStore) -> Result<(Client, Restored)> {
        require_runtime()?;
        let target = self.hosts.target()?;
        let saved = store.read().await?;
        let (client, restored) = match saved.map(|saved| saved.for_target(&target)) {
            None => (self.connect().await?, Restored::New),
            Some(Err(foreign)) => (self.connect().await?, foreign),
            Some(Ok(token)) => {
                let session = token.session();
                match self.clone().resume(token).await {
                    Ok(client) => (client, Restored::Resumed),
                    Err(error) if error.kind() == ErrorKind::SessionExpired => {
                        (self.connect().await?, Restored::Expired { session })
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let mut leaving = LeaveOnDrop::new(&client, restored.is_resumed());
        keep(&client, store, target).await?;
        leaving.disarm();
        tracing::info!(session = %client.session().id, "session file: {restored}");
        Ok((client, restored))
    }
}
