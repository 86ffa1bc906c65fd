//! Operations on more than one znode, made of several requests.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use zk_proto::{Acl, path};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::retry::repetition::Repetition;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Creates a znode and those above it, persistent and empty, unless they exist.
///
/// Starts at the bottom, so that no permission on the znodes above is needed where they exist
/// (CURATOR-715). Through a chroot, the chroot's own znodes are created too.
///
/// # Errors
/// Those of [`Create`](crate::Create), `NodeExists` aside. A lost connection or session is none until
/// ten attempts at the same znode have each cost one, unless the client ends with the session. An overload
/// ([`Throttled`](ErrorKind::Throttled), [`QueueFull`](ErrorKind::QueueFull)) is waited out.
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

    /// The last znode of the path is a container: it goes some time after its last child. On servers
    /// without containers it is persistent.
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
                        (ErrorKind::NoAuth, _) => match client.exists(path).await {
                            Ok(Some(_)) => {
                                missing.pop();
                            }
                            Ok(None) => return Err(error),
                            Err(look) if passes(&look) && repetition.may_go_on(&look) => {
                                tokio::time::sleep(repetition.next_delay()).await;
                            }
                            Err(look) => return Err(look),
                        },
                        (ErrorKind::NoNode, Some(parent)) => missing.push(parent),
                        // Creating it twice is creating it once.
                        _ if (ends_one_of_many(&error, &client)
                            || (passes(&error) && error.is_transient()))
                            && repetition.may_go_on(&error) =>
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

/// Whether the session is over, and there is another for the same request. What it creates is of no
/// session.
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

crate::ops::pending::blocking!([<'a>] EnsurePath<'a>, (), |op| op.client);
crate::ops::pending::blocking!([<'a>] DeleteRecursive<'a>, (), |op| op.client);

/// How many deletions are outstanding at once.
const WINDOW: usize = 256;
/// How many rounds in a row may bring no deletion further.
const MAX_LOSSES: u32 = 10;

/// Deletes a znode and everything below it, the lowest first, many at a time. What others create
/// meanwhile is deleted too; what others delete is not missed.
///
/// # Errors
/// Those of [`Delete`](crate::Delete). `NoNode` only if there was nothing to begin with. A lost
/// connection or session is none until ten attempts in a row have got no reply; nor is an overload
/// ([`Throttled`](ErrorKind::Throttled), [`QueueFull`](ErrorKind::QueueFull)) until ten attempts in a
/// row have had no other reply.
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
            let mut deletion = Deletion::of(self.path);
            while !deletion.stack.is_empty() {
                deletion.next_batch(&client).await?;
            }
            Ok(())
        })
    }
}

/// A recursive deletion on its way.
struct Deletion {
    /// What is to be deleted, each znode directly before those below it.
    stack: Vec<Doomed>,
    /// Whether there was anything to delete.
    found: bool,
    losses: u32,
    pauses: Repetition,
}

struct Doomed {
    path: String,
    /// Its children have been put on the stack.
    listed: bool,
}

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

    /// Deletes the last of the stack; what cannot be deleted yet is put back.
    async fn next_batch(&mut self, client: &Client) -> Result<()> {
        let batch = self
            .stack
            .split_off(self.stack.len().saturating_sub(WINDOW));
        // Servers execute them in this order, children before their parents.
        let replies: Vec<_> = batch
            .iter()
            .rev()
            .map(|doomed| client.delete(&doomed.path).submit())
            .collect();
        let mut remaining = Vec::<Doomed>::new();
        let (mut lost, mut failed, mut answered) = (None, None, false);
        for (mut doomed, reply) in batch.into_iter().rev().zip(replies) {
            let Err(error) = reply.await else {
                (self.found, answered) = (true, true);
                continue;
            };
            match error.kind() {
                ErrorKind::NoNode if self.found => answered = true,
                ErrorKind::NotEmpty => {
                    (self.found, answered) = (true, true);
                    // If nothing listed before is left below it, others have created something.
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
                    // It can be deleted again without harm, but not before what is below it.
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
        // Nothing is known of what is below; the next attempt says what has to be listed.
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

    /// A round has ended without an answer that brings the deletion further.
    async fn pause(&mut self, error: Error) -> Result<()> {
        self.losses += 1;
        if self.losses >= MAX_LOSSES {
            return Err(error.with_retries_exhausted());
        }
        tokio::time::sleep(self.pauses.next_delay()).await;
        Ok(())
    }

    /// Puts back what has children, with those that have not been listed yet.
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
                // The next attempt to delete it says that it has to be listed.
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
