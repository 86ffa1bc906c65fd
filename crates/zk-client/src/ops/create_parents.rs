//! Creating a znode together with the missing znodes above it.

use std::time::Duration;

use zk_proto::Acl;

use crate::error::{ErrorKind, Result};
use crate::ops::create::{Create, Created};
use crate::ops::parents::{Parents, ParentsAcl};
use crate::ops::pending::Boxed;

impl<'a, D: AsRef<[u8]>> Create<'a, D> {
    /// Creates the missing znodes above this one as well, the client's chroot included: persistent
    /// and empty, with the same ACL unless [`parents_acl`](CreateParents::parents_acl) says another.
    ///
    /// ```no_run
    /// # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
    /// let job = zk.create("/jobs/high/", "payload").sequential().parents().await?;
    /// # Ok(()) }
    /// ```
    #[doc(alias = "makepath")]
    #[doc(alias = "creatingParentsIfNeeded")]
    pub fn parents(self) -> CreateParents<'a, D> {
        CreateParents {
            create: self,
            parents: Parents::default(),
        }
    }

    /// As [`parents`](Self::parents), and the created znodes above this one are containers, which
    /// the server deletes some time after their last child: see
    /// [`container`](Self::container). The znodes of the client's chroot are persistent.
    #[doc(alias = "creatingParentContainersIfNeeded")]
    pub fn parents_as_containers(self) -> CreateParents<'a, D> {
        let mut op = self.parents();
        op.parents.containers = true;
        op
    }
}

/// [`Create`], with the missing znodes above it. Made by [`Create::parents`].
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// zk.create("/app/jobs/1", "data").parents().await?;
/// assert_eq!(zk.get("/app/jobs").await?.0, ""); // the znodes above are empty
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
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
    pub(crate) parents: Parents,
}

impl<'a, D: AsRef<[u8]>> CreateParents<'a, D> {
    /// How long all requests together may take; by default each has the client's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.create.deadline = Some(deadline);
        self
    }

    /// The ACL of the created znodes above; by default that of the znode.
    pub fn parents_acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.parents.acl = ParentsAcl::Own(acl.into());
        self
    }

    /// The created znodes above have the handle's default ACL, and only the znode has the ACL given
    /// by [`Create::acl`], as with Curator's `withACL`.
    pub fn default_parents_acl(mut self) -> Self {
        self.parents.acl = ParentsAcl::Default;
        self
    }

    /// Puts the request on the wire. The future borrows nothing. It creates the znodes above and
    /// repeats the request if the parent is missing.
    pub fn submit(self) -> Boxed<Created> {
        let client = self.create.client.within(self.create.deadline);
        let (create, parents) = (self.create.into_owned(client), self.parents);
        let tried = create.submit(&create.path);
        Box::pin(async move {
            match tried.await {
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    match create.ensure_parent(&create.path, parents).await? {
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
