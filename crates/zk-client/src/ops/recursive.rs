//! Operations on a whole path or subtree, made of several requests.

use std::time::Duration;

use zk_proto::{Acl, path};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::create::Created;
use crate::ops::pending::{Boxed, Pending};
use crate::ops::retry::repetition::Repetition;

/// Creates the missing znodes of a path, persistent and empty. Those that exist stay as they are.
///
/// Begins with the last znode, so that no permission on the znodes above is needed where they exist
/// (CURATOR-715). In a chroot, the znodes of the chroot are created, too: `ensure_path("/")`
/// creates exactly those.
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

    /// The ACL of the created znodes.
    pub fn acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.acl = Some(acl.into());
        self
    }

    /// The last znode of the path is a container: the server deletes it some time after its last
    /// child. On servers without containers it is persistent.
    pub fn container(mut self) -> Self {
        self.container = true;
        self
    }

    /// How long all requests together may take; by default each has the client's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Puts the first request on the wire. The future makes the others, and borrows nothing.
    pub fn submit(self) -> Boxed<()> {
        let client = self.client.within(self.deadline);
        let client = match self.acl {
            Some(acl) => client.with_acl(acl),
            None => client,
        };
        // The chroot's znodes lie outside the handle's root.
        let full = client.root().join(self.path);
        let client = client.unrooted();
        let mut creation = PathCreation {
            client,
            missing: vec![full],
            container: self.container,
        };
        let first = creation.submit_next();
        Box::pin(creation.run(first))
    }
}

impl IntoFuture for EnsurePath<'_> {
    type Output = Result<()>;
    type IntoFuture = Boxed<()>;

    fn into_future(self) -> Boxed<()> {
        self.submit()
    }
}

/// An [`EnsurePath`] that has been submitted.
struct PathCreation {
    /// A handle without a chroot.
    client: Client,
    /// The znodes still to create, the highest last.
    missing: Vec<String>,
    container: bool,
}

impl PathCreation {
    /// Submits the creation of the highest missing znode; `None` if none is missing.
    fn submit_next(&mut self) -> Option<Pending<Created>> {
        // The real root always exists.
        self.missing.pop_if(|path| path == "/");
        let path = self.missing.last()?;
        let create = self.client.create(path, b"");
        Some(match self.container && self.missing.len() == 1 {
            true => create.container().submit(),
            false => create.submit(),
        })
    }

    async fn run(mut self, mut next: Option<Pending<Created>>) -> Result<()> {
        let mut repetition = Repetition::default();
        while let Some(creating) = next {
            match creating.await {
                Ok(_) => {
                    repetition.reset();
                    self.missing.pop();
                }
                Err(error) => self.recover(error, &mut repetition).await?,
            }
            next = self.submit_next();
        }
        Ok(())
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
            }
            // Servers check the parent's ACL first, even if the znode exists.
            (ErrorKind::NoAuth, _) => match self.client.exists(path).await {
                Ok(Some(_)) => {
                    self.missing.pop();
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

/// Whether the session has ended, and the same request can be made in the next one: the znodes are
/// persistent.
fn ends_one_of_many(error: &Error, client: &Client) -> bool {
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
fn is_overload(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Throttled | ErrorKind::QueueFull)
}

crate::ops::operation::blocking!([<'a>] EnsurePath<'a>, (), |op| op.client);
crate::ops::operation::blocking!([<'a>] DeleteRecursive<'a>, (), |op| op.client);

/// How many deletions are outstanding at once.
const WINDOW: usize = 256;
/// How many rounds in a row may end without progress.
const MAX_LOSSES: u32 = 10;

/// Deletes a znode and everything below it, the lowest first, many at a time. Znodes that other
/// clients create meanwhile are deleted, too; znodes that other clients delete are no error.
///
/// # Errors
/// Those of [`Delete`](crate::Delete); [`NoNode`](ErrorKind::NoNode) only if the znode did not
/// exist at the beginning. Requests are repeated after a lost connection or session, and after an
/// overload ([`Throttled`](ErrorKind::Throttled), [`QueueFull`](ErrorKind::QueueFull)); after ten
/// rounds in a row without any other reply, the error is the last one.
///
/// # Cancel safety
/// Dropping the future leaves the znodes that have not been deleted yet.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
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

    /// How long all requests together may take; by default each has the client's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Puts the first request on the wire. The future makes the others, and borrows nothing.
    pub fn submit(self) -> Boxed<()> {
        let client = self.client.within(self.deadline);
        let mut deletion = Deletion::of(self.path);
        let first = deletion.submit_batch(&client);
        Box::pin(async move {
            deletion.finish_batch(first, &client).await?;
            while !deletion.stack.is_empty() {
                let batch = deletion.submit_batch(&client);
                deletion.finish_batch(batch, &client).await?;
            }
            Ok(())
        })
    }
}

impl IntoFuture for DeleteRecursive<'_> {
    type Output = Result<()>;
    type IntoFuture = Boxed<()>;

    fn into_future(self) -> Boxed<()> {
        self.submit()
    }
}

/// A [`DeleteRecursive`] that has been submitted.
struct Deletion {
    /// The znodes to delete, each directly before those below it.
    stack: Vec<Doomed>,
    /// Whether there was a znode to delete.
    found: bool,
    losses: u32,
    pauses: Repetition,
}

struct Doomed {
    path: String,
    /// The children have been put on the stack.
    listed: bool,
}

/// Znodes with their deletions, in the order in which the servers execute them.
type Batch = Vec<(Doomed, Pending<()>)>;

impl Deletion {
    fn of(path: &str) -> Self {
        Deletion {
            stack: vec![Doomed {
                path: path.to_owned(),
                listed: false,
            }],
            found: false,
            losses: 0,
            pauses: Repetition::default(),
        }
    }

    /// Submits the deletion of the last znodes of the stack.
    fn submit_batch(&mut self, client: &Client) -> Batch {
        let rest = self.stack.len().saturating_sub(WINDOW);
        // Servers execute them in this order, children before their parents.
        let doomed = self.stack.drain(rest..).rev();
        doomed
            .map(|doomed| {
                let reply = client.delete(&doomed.path).submit();
                (doomed, reply)
            })
            .collect()
    }

    /// Waits for the replies, and puts the znodes back that could not be deleted yet.
    async fn finish_batch(&mut self, batch: Batch, client: &Client) -> Result<()> {
        let mut remaining = Vec::<Doomed>::new();
        let (mut lost, mut failed, mut answered) = (None, None, false);
        for (mut doomed, reply) in batch {
            let Err(error) = reply.await else {
                (self.found, answered) = (true, true);
                continue;
            };
            match error.kind() {
                ErrorKind::NoNode if self.found => answered = true,
                ErrorKind::NotEmpty => {
                    (self.found, answered) = (true, true);
                    // If nothing that was listed is left below, another client has created a child.
                    doomed.listed &= remaining
                        .last()
                        .is_some_and(|last| is_below(&last.path, &doomed.path));
                    remaining.push(doomed);
                }
                ErrorKind::ConnectionLost
                | ErrorKind::SessionExpired
                | ErrorKind::QueueFull
                | ErrorKind::Throttled => {
                    self.found |= error.outcome() == Outcome::Unknown;
                    // A deletion can be repeated without harm, but not before those below it.
                    remaining.push(doomed);
                    lost = Some(error);
                }
                _ => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let Some(error) = lost else {
            return self.put_back(remaining, client).await;
        };
        // The answers to the next attempt say which znodes have to be listed.
        self.stack.extend(remaining.into_iter().rev());
        match answered {
            true => {
                self.progressed();
                Ok(())
            }
            false => self.pause(error).await,
        }
    }

    fn progressed(&mut self) {
        self.losses = 0;
        self.pauses.reset();
    }

    /// Waits after a round without progress.
    async fn pause(&mut self, error: Error) -> Result<()> {
        self.losses += 1;
        if self.losses >= MAX_LOSSES {
            return Err(error.with_retries_exhausted());
        }
        tokio::time::sleep(self.pauses.next_delay()).await;
        Ok(())
    }

    /// Puts back the znodes that have children, and those of their children that were not listed.
    async fn put_back(&mut self, remaining: Vec<Doomed>, client: &Client) -> Result<()> {
        let lists: Vec<_> = remaining
            .iter()
            .rev()
            .map(|doomed| (!doomed.listed).then(|| client.children(&doomed.path).submit()))
            .collect();
        let (mut overload, mut listed) = (None, false);
        for (mut doomed, list) in remaining.into_iter().rev().zip(lists) {
            let Some(list) = list else {
                self.stack.push(doomed);
                continue;
            };
            let names = match list.await {
                Ok(names) => names,
                Err(error) if error.kind() == ErrorKind::NoNode => continue,
                // The answer to the next deletion says that the znode has to be listed.
                Err(error) if is_overload(&error) => {
                    self.stack.push(doomed);
                    overload = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            listed = true;
            doomed.listed = true;
            let children = names.iter().map(|name| Doomed {
                path: path::join(&doomed.path, name),
                listed: false,
            });
            let children: Vec<_> = children.collect();
            self.stack.push(doomed);
            self.stack.extend(children);
        }
        match overload {
            Some(error) if !listed => self.pause(error).await,
            _ => {
                self.progressed();
                Ok(())
            }
        }
    }
}

fn is_below(path: &str, above: &str) -> bool {
    above == "/"
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.starts_with('/'))
}
