//! Creating a znode together with the missing znodes above it.

use std::time::Duration;

use crate::error::{ErrorKind, Result};
use crate::ops::create::{Create, Created};
use crate::ops::pending::Boxed;

impl<'a, D: AsRef<[u8]>> Create<'a, D> {
    /// Creates the missing znodes above this one as well, the client's chroot included: persistent
    /// and empty, with the same ACL.
    ///
    /// ```no_run
    /// # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
    /// let job = zk.create("/jobs/high/", "payload").sequential().parents().await?;
    /// # Ok(()) }
    /// ```
    #[doc(alias = "makepath")]
    #[doc(alias = "creatingParentsIfNeeded")]
    pub fn parents(self) -> CreateParents<'a, D> {
        CreateParents { create: self }
    }
}

/// [`Create`], with the missing znodes above it. Made by [`Create::parents`].
///
/// # Errors
/// Those of [`Create`], about the znode or one above it.
///
/// # Cancel safety
/// Dropping the future leaves the znodes that were created.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct CreateParents<'a, D> {
    pub(crate) create: Create<'a, D>,
}

impl<'a, D: AsRef<[u8]>> CreateParents<'a, D> {
    /// How long all requests together may take; by default each has the client's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.create.deadline = Some(deadline);
        self
    }

    /// Puts the request on the wire. The future borrows nothing. It creates the znodes above and
    /// repeats the request if the parent is missing.
    pub fn submit(self) -> Boxed<Created> {
        let client = self.create.client.within(self.create.deadline);
        let create = self.create.into_owned(client);
        let tried = create.submit(&create.path);
        Box::pin(async move {
            match tried.await {
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    match create.ensure_parent(&create.path).await? {
                        true => create.submit(&create.path).await,
                        false => Err(error),
                    }
                }
                tried => tried,
            }
        })
    }
}

impl<'a, D: AsRef<[u8]>> IntoFuture for CreateParents<'a, D> {
    type Output = Result<Created>;
    type IntoFuture = Boxed<Created>;

    fn into_future(self) -> Boxed<Created> {
        self.submit()
    }
}

crate::ops::operation::blocking!(
    [<'a, D: AsRef<[u8]>>] CreateParents<'a, D>, Created, |op| op.create.client
);
