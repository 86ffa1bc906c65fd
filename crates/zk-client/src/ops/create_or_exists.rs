//! Creating a znode unless it exists.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::{ErrorKind, Result};
use crate::ops::create::{Create, Created};
use crate::ops::create_parents::CreateParents;

impl<'a, D: AsRef<[u8]>> Create<'a, D> {
    /// Returns `None` instead of [`NodeExists`](ErrorKind::NodeExists). That the znode exists says
    /// nothing about its data, or about the session that owns it.
    ///
    /// ```no_run
    /// # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
    /// match zk.create("/config", "defaults").or_exists().await? {
    ///     Some(created) => println!("created by transaction {}", created.stat.czxid),
    ///     None => println!("exists already"),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn or_exists(self) -> CreateOrExists<Self> {
        CreateOrExists { create: self }
    }
}

impl<'a, D: AsRef<[u8]>> CreateParents<'a, D> {
    /// As [`Create::or_exists`].
    pub fn or_exists(self) -> CreateOrExists<Self> {
        CreateOrExists { create: self }
    }
}

/// A creation for which an existing znode is no error. Made by [`Create::or_exists`].
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// assert!(zk.create("/claim", "w1").or_exists().await?.is_some());
/// assert!(zk.create("/claim", "w2").or_exists().await?.is_none()); // it was there, and is unchanged
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// Those of the creation, except [`NodeExists`](ErrorKind::NodeExists).
///
/// # Cancel safety
/// That of the creation.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct CreateOrExists<C> {
    create: C,
}

impl<C: IntoFuture<Output = Result<Created>>> CreateOrExists<C> {
    /// Puts the request on the wire.
    pub fn submit(self) -> PendingOrExists<C::IntoFuture> {
        PendingOrExists(self.create.into_future())
    }
}

impl<C> IntoFuture for CreateOrExists<C>
where
    C: IntoFuture<Output = Result<Created>>,
    C::IntoFuture: Unpin,
{
    type Output = Result<Option<Created>>;
    type IntoFuture = PendingOrExists<C::IntoFuture>;

    fn into_future(self) -> Self::IntoFuture {
        self.submit()
    }
}

/// A submitted [`CreateOrExists`].
///
/// # Cancel safety
/// That of the creation.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited; the operation itself has been submitted"]
pub struct PendingOrExists<F>(F);

impl<F: Future<Output = Result<Created>> + Unpin> Future for PendingOrExists<F> {
    type Output = Result<Option<Created>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|created| match created {
            Err(error) if error.kind() == ErrorKind::NodeExists => Ok(None),
            created => created.map(Some),
        })
    }
}

crate::ops::operation::blocking!(
    [<'a, D: AsRef<[u8]>>] CreateOrExists<Create<'a, D>>, Option<Created>, |op| op.create.client
);
crate::ops::operation::blocking!(
    [<'a, D: AsRef<[u8]>>] CreateOrExists<CreateParents<'a, D>>, Option<Created>,
    |op| op.create.create.client
);
