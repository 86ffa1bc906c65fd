//! Creating a znode, or setting its data if it exists.

use std::time::Duration;

use zk_proto::Stat;

use crate::error::{ErrorKind, Result};
use crate::ops::create::{Create, Created, OwnedCreate};
use crate::ops::create_parents::CreateParents;
use crate::ops::parents::Parents;
use crate::ops::pending::{ANY_VERSION, Boxed, Pending};

impl<'a, D: AsRef<[u8]>> Create<'a, D> {
    /// Sets the data of the znode if it exists. The kind, the owner and the ACL of an existing znode
    /// stay as they are.
    ///
    /// ```no_run
    /// # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
    /// use zk_client::CreatedOrSet;
    ///
    /// match zk.create("/config", "v2").or_set().await? {
    ///     CreatedOrSet::Created(created) => println!("created at {}", created.stat.czxid),
    ///     CreatedOrSet::Set(stat) => println!("set, now version {}", stat.version),
    /// }
    /// # Ok(()) }
    /// ```
    #[doc(alias = "orSetData")]
    pub fn or_set(self) -> CreateOrSet<'a, D> {
        CreateOrSet::new(self, None)
    }
}

impl<'a, D: AsRef<[u8]>> CreateParents<'a, D> {
    /// As [`Create::or_set`].
    pub fn or_set(self) -> CreateOrSet<'a, D> {
        CreateOrSet::new(self.create, Some(self.parents))
    }
}

/// What a [`CreateOrSet`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreatedOrSet {
    /// It created the znode.
    Created(Created),
    /// The znode existed, and it set the data.
    Set(Stat),
}

impl CreatedOrSet {
    /// The znode's stat after the write.
    pub fn stat(&self) -> &Stat {
        match self {
            CreatedOrSet::Created(created) => &created.stat,
            CreatedOrSet::Set(stat) => stat,
        }
    }
}

/// A creation that sets the data of an existing znode. Made by [`Create::or_set`].
///
/// It sends the creation, and if the znode exists, the set; if another client deletes the znode in
/// between, both once more. So it takes one round trip if there is no znode, and two otherwise.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// zk.create("/config", "v1").or_set().await?;
/// zk.create("/config", "v2").or_set().await?;
/// assert_eq!(zk.get("/config").await?.0, "v2");
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// Those of [`Create`] and [`Set`](crate::Set), except [`NodeExists`](ErrorKind::NodeExists) and, for
/// the znode itself, [`NoNode`](ErrorKind::NoNode). An error is about the request that failed: after
/// a creation with [`Outcome::Unknown`](crate::Outcome::Unknown) no set follows.
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct CreateOrSet<'a, D> {
    create: Create<'a, D>,
    parents: Option<Parents>,
    version: i32,
}

impl<'a, D: AsRef<[u8]>> CreateOrSet<'a, D> {
    fn new(create: Create<'a, D>, parents: Option<Parents>) -> Self {
        CreateOrSet {
            create,
            parents,
            version: ANY_VERSION,
        }
    }

    /// Sets the data only if they have this version; otherwise
    /// [`BadVersion`](ErrorKind::BadVersion).
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// How long all requests together may take; by default each has the client's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.create.deadline = Some(deadline);
        self
    }

    /// Puts the creation on the wire. The future makes the other requests, and borrows nothing.
    pub fn submit(self) -> Boxed<CreatedOrSet> {
        let client = self.create.client.within(self.create.deadline);
        let write = CreationOrSet {
            create: self.create.into_owned(client),
            parents: self.parents,
            version: self.version,
        };
        let creating = write.create.submit(&write.create.path);
        Box::pin(write.run(creating))
    }
}

impl<D: AsRef<[u8]>> IntoFuture for CreateOrSet<'_, D> {
    type Output = Result<CreatedOrSet>;
    type IntoFuture = Boxed<CreatedOrSet>;

    fn into_future(self) -> Boxed<CreatedOrSet> {
        self.submit()
    }
}

crate::ops::operation::blocking!(
    [<'a, D: AsRef<[u8]>>] CreateOrSet<'a, D>, CreatedOrSet, |op| op.create.client
);

/// A [`CreateOrSet`] that has been submitted.
struct CreationOrSet {
    create: OwnedCreate,
    parents: Option<Parents>,
    version: i32,
}

impl CreationOrSet {
    async fn run(mut self, mut creating: Pending<Created>) -> Result<CreatedOrSet> {
        loop {
            let path = &self.create.path;
            match creating.await {
                Ok(created) => return Ok(CreatedOrSet::Created(created)),
                Err(error) if error.kind() == ErrorKind::NodeExists => match self.set().await {
                    Ok(stat) => return Ok(CreatedOrSet::Set(stat)),
                    // Another client has deleted the znode.
                    Err(error) if error.kind() == ErrorKind::NoNode => {}
                    Err(error) => return Err(error),
                },
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    let Some(parents) = self.parents.take() else {
                        return Err(error);
                    };
                    if !self.create.ensure_parent(path, parents).await? {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
            creating = self.create.submit(&self.create.path);
        }
    }

    fn set(&self) -> Pending<Stat> {
        let OwnedCreate {
            client, path, data, ..
        } = &self.create;
        let mut set = client.set(path, data).version(self.version);
        set.null = self.create.options.is_null();
        set.submit()
    }
}
