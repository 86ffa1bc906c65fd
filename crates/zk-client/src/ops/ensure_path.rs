//! Creating a path.

use std::time::Duration;

use zk_proto::{Acl, path};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::create::Created;
use crate::ops::pending::{Boxed, Pending};
use crate::ops::retry::repetition::Repetition;

/// Creates the missing znodes of a path, persistent and empty. Those that exist stay as they are.
///
/// Begins with the last znode, so that no permission on the znodes above is needed where they exist
/// (CURATOR-715). In a chroot, the znodes of the chroot are created, too: `ensure_path("/")`
/// creates exactly those.
///
/// The output is true if this call created the last znode of the path, and false if that existed. It
/// is also false if the reply to its creation was lost and the znode existed when the request was
/// repeated: this call or another client may then have created it.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// assert!(zk.ensure_path("/app/locks").await?); // creates both
/// assert!(!zk.ensure_path("/app/locks").await?);
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// Those of [`Create`](crate::Create), except [`NodeExists`](ErrorKind::NodeExists). Requests are
/// repeated after a lost connection, or a lost session unless that ends the client; after ten such
/// losses at the same znode, the error is the last one. After an overload
/// ([`Throttled`](ErrorKind::Throttled), [`QueueFull`](ErrorKind::QueueFull)) requests are repeated
/// until the deadline.
///
/// # Cancel safety
/// Dropping the future leaves the znodes that were created.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct EnsurePath<'a> {
    client: &'a Client,
    path: &'a str,
    acl: Option<Vec<Acl>>,
    containers: Containers,
    deadline: Option<Duration>,
}

impl<'a> EnsurePath<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        EnsurePath {
            client,
            path,
            acl: None,
            containers: Containers::None,
            deadline: None,
        }
    }

    /// The ACL of the created znodes.
    pub fn acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.acl = Some(acl.into());
        self
    }

    /// The last znode of the path is a container: the server deletes it some time after its last
    /// child. On servers without containers it is persistent.
    pub fn container(mut self) -> Self {
        self.containers = Containers::Last;
        self
    }

    /// All created znodes of the path are containers; those of the client's chroot are persistent.
    #[doc(alias = "createContainers")]
    pub fn containers(mut self) -> Self {
        self.containers = Containers::All;
        self
    }

    /// How long all requests together may take; by default each has the client's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Puts the first request on the wire. The future makes the others, and borrows nothing.
    pub fn submit(self) -> Boxed<bool> {
        let client = self.client.within(self.deadline);
        let client = match self.acl {
            Some(acl) => client.with_acl(acl),
            None => client,
        };
        // The chroot's znodes lie outside the handle's root.
        let full = client.root().join(self.path);
        let chroot_len = client.root().as_str().len();
        let client = client.unrooted();
        let mut creation = PathCreation {
            client,
            missing: vec![full],
            containers: self.containers,
            chroot_len,
            created: false,
        };
        let first = creation.submit_next();
        Box::pin(creation.run(first))
    }
}

impl IntoFuture for EnsurePath<'_> {
    type Output = Result<bool>;
    type IntoFuture = Boxed<bool>;

    fn into_future(self) -> Boxed<bool> {
        self.submit()
    }
}

/// An [`EnsurePath`] that has been submitted.
struct PathCreation {
    /// A handle without a chroot.
    client: Client,
    /// The znodes still to create, the highest last.
    missing: Vec<String>,
    containers: Containers,
    /// The length of the chroot in front of the path.
    chroot_len: usize,
    /// The znode that was created last was created by this call.
    created: bool,
}

/// Which znodes of the path are containers.
#[derive(Debug, Clone, Copy)]
enum Containers {
    None,
    Last,
    All,
}

impl PathCreation {
    /// Submits the creation of the highest missing znode; `None` if none is missing.
    fn submit_next(&mut self) -> Option<Pending<Created>> {
        // The real root always exists.
        self.missing.pop_if(|path| path == "/");
        let path = self.missing.last()?;
        let create = self.client.create(path, b"");
        let is_container = match self.containers {
            Containers::None => false,
            Containers::Last => self.missing.len() == 1,
            Containers::All => path.len() > self.chroot_len,
        };
        Some(match is_container {
            true => create.container().submit(),
            false => create.submit(),
        })
    }

    async fn run(mut self, mut next: Option<Pending<Created>>) -> Result<bool> {
        let mut repetition = Repetition::default();
        while let Some(creating) = next {
            match creating.await {
                Ok(_) => {
                    repetition.reset();
                    self.missing.pop();
                    self.created = true;
                }
                Err(error) => self.recover(error, &mut repetition).await?,
            }
            next = self.submit_next();
        }
        Ok(self.created)
    }

    /// Takes the error of the highest missing znode's creation, and returns it unless there is
    /// something else to try.
    async fn recover(&mut self, error: Error, repetition: &mut Repetition) -> Result<()> {
        let Some(path) = self.missing.last() else {
            return Err(error);
        };
        match (error.kind(), path::parent(path)) {
            (ErrorKind::NodeExists, _) => {
                self.missing.pop();
                self.created = false;
            }
            // Servers check the parent's ACL first, even if the znode exists.
            (ErrorKind::NoAuth, _) => match self.client.exists(path).await {
                Ok(Some(_)) => {
                    self.missing.pop();
                    self.created = false;
                }
                Ok(None) => return Err(error),
                Err(look) if passes(&look) && repetition.may_go_on(&look) => {
                    tokio::time::sleep(repetition.next_delay()).await;
                }
                Err(look) => return Err(look),
            },
            (ErrorKind::NoNode, Some(parent)) => self.missing.push(parent.to_owned()),
            // To create the znode twice is to create it once.
            _ if (ends_one_of_many(&error, &self.client)
                || (passes(&error) && error.is_transient()))
                && repetition.may_go_on(&error) =>
            {
                tokio::time::sleep(repetition.next_delay()).await;
            }
            (ErrorKind::ConnectionLost, _) => return Err(error.with_retries_exhausted()),
            _ => return Err(error),
        }
        Ok(())
    }
}

/// Whether the session has ended, and the same request, which does not depend on it, can be made in the next one.
pub(crate) fn ends_one_of_many(error: &Error, client: &Client) -> bool {
    let goes_on = || client.shared().with(|core| core.refusal().is_none());
    error.kind() == ErrorKind::SessionExpired && client.only_in().is_none() && goes_on()
}

/// Whether the same request may succeed later, in the same session.
fn passes(error: &Error) -> bool {
    let is_replaced = error.kind() == ErrorKind::Unimplemented && error.is_retryable();
    is_replaced
        || is_overload(error)
        || matches!(error.kind(), ErrorKind::ConnectionLost | ErrorKind::Server)
}

/// Whether the request was not executed because there were too many.
pub(crate) fn is_overload(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Throttled | ErrorKind::QueueFull)
}

crate::ops::operation::blocking!([<'a>] EnsurePath<'a>, bool, |op| op.client);
