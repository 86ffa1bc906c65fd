//! Operations on more than one znode, made of several requests.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use zk_proto::{Acl, path};

use crate::client::Client;
use crate::error::{ErrorKind, Result};
use crate::repetition::Repetition;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Creates a znode and those above it, persistent and empty, unless they exist.
///
/// Starts at the bottom, so that no permission on the znodes above is needed where they exist
/// (CURATOR-715). Through a chroot, the chroot's own znodes are created too.
///
/// # Errors
/// Those of [`Create`](crate::Create), `NodeExists` aside. A lost connection is none until ten
/// attempts at the same znode have each cost one.
///
/// # Cancel safety
/// Dropping the future leaves the znodes that were created.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited"]
pub struct EnsurePath<'a> {
    client: &'a Client,
    path: &'a str,
    acl: Option<Vec<Acl>>,
    container: bool,
    deadline: Option<Duration>,
}

impl<'a> EnsurePath<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        EnsurePath {
            client,
            path,
            acl: None,
            container: false,
            deadline: None,
        }
    }

    /// The ACL of what is created.
    pub fn acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.acl = Some(acl.into());
        self
    }

    /// The last znode of the path is a container: it goes some time after its last child.
    pub fn container(mut self) -> Self {
        self.container = true;
        self
    }

    /// How long all of it may take; each of its requests has the client's default unless given.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

impl<'a> IntoFuture for EnsurePath<'a> {
    type Output = Result<()>;
    type IntoFuture = Boxed<'a, ()>;

    fn into_future(self) -> Boxed<'a, ()> {
        Box::pin(async move {
            let client = self.client.within(self.deadline);
            let client = match self.acl {
                Some(acl) => client.with_acl(acl),
                None => client,
            };
            // What is created lies below the real root, whatever this handle's root is.
            let full = client.root().join(self.path);
            let client = client.unrooted();
            let mut missing = vec![full.as_str()];
            let mut repetition = Repetition::default();
            while let Some(&path) = missing.last() {
                if path == "/" {
                    missing.pop();
                    continue;
                }
                let create = client.create(path, b"");
                let create = if self.container && missing.len() == 1 {
                    create.container()
                } else {
                    create
                };
                match create.await {
                    Ok(_) => {
                        repetition.reset();
                        missing.pop();
                    }
                    Err(error) => match (error.kind(), path::parent(path)) {
                        (ErrorKind::NodeExists, _) => {
                            missing.pop();
                        }
                        // Servers look at the parent's ACL first, also if there is nothing to do.
                        (ErrorKind::NoAuth, _) if client.exists(path).await?.is_some() => {
                            missing.pop();
                        }
                        (ErrorKind::NoNode, Some(parent)) => missing.push(parent),
                        // Creating it twice is creating it once.
                        (ErrorKind::ConnectionLost | ErrorKind::Server, _)
                            if error.is_transient() && repetition.may_go_on(&error) =>
                        {
                            tokio::time::sleep(repetition.next_delay()).await;
                        }
                        (ErrorKind::ConnectionLost, _) => {
                            return Err(error.with_retries_exhausted());
                        }
                        _ => return Err(error),
                    },
                }
            }
            Ok(())
        })
    }
}

crate::call::blocking!([<'a>] EnsurePath<'a>, (), |op| op.client);
crate::call::blocking!([<'a>] DeleteRecursive<'a>, (), |op| op.client);

/// Deletes a znode and everything below it, the lowest first. What others create meanwhile is
/// deleted too; what others delete is not missed.
///
/// # Errors
/// Those of [`Delete`](crate::Delete). `NoNode` only if there was nothing to begin with.
///
/// # Cancel safety
/// Dropping the future leaves what has not been deleted yet.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited"]
pub struct DeleteRecursive<'a> {
    client: &'a Client,
    path: &'a str,
    deadline: Option<Duration>,
}

impl<'a> DeleteRecursive<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str, deadline: Option<Duration>) -> Self {
        DeleteRecursive {
            client,
            path,
            deadline,
        }
    }

    /// How long all of it may take; each of its requests has the client's default unless given.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

impl<'a> IntoFuture for DeleteRecursive<'a> {
    type Output = Result<()>;
    type IntoFuture = Boxed<'a, ()>;

    fn into_future(self) -> Boxed<'a, ()> {
        Box::pin(async move {
            let client = self.client.within(self.deadline);
            let mut stack = vec![self.path.to_owned()];
            let mut found = false;
            while let Some(path) = stack.last().cloned() {
                match client.delete(&path).await {
                    Ok(()) => {
                        found = true;
                        stack.pop();
                    }
                    Err(error) => match error.kind() {
                        ErrorKind::NoNode if found || stack.len() > 1 => {
                            stack.pop();
                        }
                        ErrorKind::NotEmpty => {
                            found = true;
                            match client.children(&path).await {
                                Ok(names) => {
                                    stack.extend(names.iter().map(|name| path::join(&path, name)));
                                }
                                Err(gone) if gone.kind() == ErrorKind::NoNode => {
                                    stack.pop();
                                }
                                Err(error) => return Err(error),
                            }
                        }
                        _ => return Err(error),
                    },
                }
            }
            Ok(())
        })
    }
}
