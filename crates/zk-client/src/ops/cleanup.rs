//! Clean-ups: deleting, in the background, the znode of a dropped future or guard.
//!
//! The first request of a clean-up is submitted before the drop returns, so that it precedes all that
//! the caller submits next. [`Client::close`](crate::Client::close) and the drop of the last handle
//! wait for the rest.

use std::future::Future;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::path;
use crate::session::requests::SlotKey;
pub(crate) use crate::session::shutdown::cleanups::Target;
use crate::shared::now;

/// A clean-up that has not ended.
pub(crate) struct Cleanup {
    client: Client,
    target: Target,
    path: String,
    /// `None` if the client is over, or its session is being closed.
    id: Option<u64>,
    done: bool,
}

impl Cleanup {
    /// Begins a clean-up; [`client`](Self::client) is the handle for its requests.
    pub(crate) fn begin(client: &Client, path: &str, target: Target) -> Self {
        let outlives_session = target == Target::Persistent;
        let id = client
            .shared()
            .with(|core| core.begin_cleanup(path, target));
        Cleanup {
            client: client.for_cleanup(outlives_session),
            target,
            path: path.to_owned(),
            id,
            done: false,
        }
    }

    /// A handle without a deadline, for the requests of the clean-up. It does not keep the client
    /// open. Unless the znode outlives sessions, its requests fail in every session but this.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sets the request that creates the znode: if it is not sent, there is nothing to delete.
    pub(crate) fn set_creation(&self, creation: Option<SlotKey>) {
        if let Some(id) = self.id {
            let shared = self.client.shared();
            shared.with(|core| core.set_creation(id, creation));
        }
    }

    /// Does the rest in the background, and logs a failure.
    pub(crate) fn spawn(self, rest: impl Future<Output = Result<()>> + Send + 'static) {
        let runtime = self.client.runtime().clone();
        runtime.spawn(async move {
            let mut cleanup = self;
            match rest.await {
                Ok(()) => cleanup.done = true,
                Err(error) => cleanup.fail(&error),
            }
        });
    }

    /// Ends the clean-up: there is nothing to delete.
    pub(crate) fn cancel(mut self) {
        self.done = true;
    }

    fn fail(&mut self, error: &Error) {
        let path = &self.path;
        match (self.target, error.kind()) {
            (Target::Ephemeral, ErrorKind::SessionExpired | ErrorKind::Closed) => self.done = true,
            (Target::InSession, ErrorKind::SessionExpired) => tracing::warn!(
                %error, path,
                "the session ended before the znode was known to be deleted; it is left unless it \
                 was ephemeral"
            ),
            _ => tracing::warn!(%error, path, "the znode could not be deleted and may be left"),
        }
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.client
                .shared()
                .with(|core| core.end_cleanup(now(), id, self.done));
        }
    }
}

/// Delays the end of the client while it exists, because there may be a znode to clean up.
/// [`Client::close`] waits for its drop as for a clean-up.
#[derive(Debug)]
pub struct Pledge(Option<Cleanup>);

impl Pledge {
    pub(crate) fn new(client: &Client, path: &str, target: Target) -> Self {
        Pledge(Some(Cleanup::begin(client, path, target)))
    }
}

impl Pledge {
    /// The handle for the requests of the clean-up, which are also sent while the client closes.
    #[doc(hidden)]
    pub fn client(&self) -> Option<&Client> {
        self.0.as_ref().map(Cleanup::client)
    }
}

impl Client {
    /// Makes [`close`](Self::close) wait until the result is dropped, because a persistent znode at
    /// `path` may have to be deleted until then.
    #[doc(hidden)]
    pub fn pledge(&self, path: &str) -> Pledge {
        Pledge::new(self, path, Target::Persistent)
    }

    /// The same for an ephemeral znode, which the end of the session deletes as well.
    #[doc(hidden)]
    pub fn pledge_ephemeral(&self, path: &str) -> Pledge {
        Pledge::new(self, path, Target::Ephemeral)
    }

    /// Whether a clean-up is under way of the znode at `path`, or of the sequential ones that are
    /// numbered after what is before the number in `path`. Znodes with the same name are regarded as
    /// the same, whatever their parents.
    #[doc(hidden)]
    pub fn is_cleaning_up(&self, path: &str) -> bool {
        let name = path::name(path);
        self.shared().with(|core| core.is_cleaning_up(name))
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        if let Some(cleanup) = self.0.take() {
            cleanup.cancel();
        }
    }
}

impl std::fmt::Debug for Cleanup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cleanup")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
