//! Creating a znode exactly once, whatever happens to the reply.

use std::fmt;
use std::time::Duration;

use zk_proto::{OpCode, SessionId, path};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::children::Children;
use crate::ops::cleanup::{Cleanup, Target};
use crate::ops::create::{Create, Created, OwnedCreate};
use crate::ops::create_parents::CreateParents;
use crate::ops::delete::delete_for_good;
use crate::ops::guid::Guid;
use crate::ops::parents::Parents;
use crate::ops::pending::{ANY_VERSION, Boxed, Pending, validate};
use crate::ops::retry::repetition::Repetition;
use crate::session::requests::SlotKey;

/// How many requests of one creation may each be lost with the connection. More than of other
/// operations: after a creation that is given up, the outcome is unknown.
const MAX_LOST_CREATIONS: u32 = 24;

impl<'a, D: AsRef<[u8]>> Create<'a, D> {
    /// Creates the znode exactly once, whatever happens to the reply, and returns its name: a
    /// random id in the name distinguishes this creation from every other. After a lost connection
    /// the client looks for the znode, and creates it only if it does not exist.
    ///
    /// The id comes first in the name, `_c_<uuid>-name`, so such names do not sort by what you put
    /// in front of the number. To order children by a name of your own, put the order into the
    /// parent (`/queue/high/job-`), sort by the ten digits at the end of the names, as locks and
    /// queues do, or choose the whole beginning yourself with [`CreateProtected::prefix`].
    ///
    /// ```no_run
    /// # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
    /// let job = zk.create("/jobs/job-", "payload").sequential().protected().parents().await?;
    /// # Ok(()) }
    /// ```
    #[doc(alias = "withProtection")]
    pub fn protected(self) -> CreateProtected<'a, D> {
        CreateProtected::new(self, None)
    }
}

impl<'a, D: AsRef<[u8]>> CreateParents<'a, D> {
    /// As [`Create::protected`].
    pub fn protected(self) -> CreateProtected<'a, D> {
        CreateProtected::new(self.create, Some(self.parents))
    }
}

/// [`Create`], exactly once. Made by [`Create::protected`].
///
/// When the connection is lost before the reply, or the reply does not say whether the request was
/// executed, the client looks for the znode by its id, and creates it only if it does not exist. If
/// it finds an ephemeral znode of an earlier session of this client, which the servers are about to
/// delete, it deletes that and creates another (CURATOR-498).
///
/// # Errors
/// Those of [`Create`]. With [`Outcome::Unknown`] the znode may exist; the client looks for it and
/// deletes it in the background. The outcome of a persistent znode is unknown if the session
/// expires before it is known and no server has confirmed the expiry: the old session's request may
/// still be executed. After 24 requests that each ended with the loss of the connection, the error
/// is that of the last.
///
/// # Cancel safety
/// Dropping the future deletes the znode in the background, should it be created;
/// [`Client::close`](crate::Client::close) waits for that. The client finds a sequential znode in
/// the list of its parent's children. If that list is larger than
/// [`ClientBuilder::max_reply_bytes`](crate::ClientBuilder::max_reply_bytes), it cannot, and logs a
/// warning.
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct CreateProtected<'a, D> {
    create: Create<'a, D>,
    guid: Guid,
    prefix: Option<String>,
    parents: Option<Parents>,
}

impl<'a, D: AsRef<[u8]>> CreateProtected<'a, D> {
    fn new(create: Create<'a, D>, parents: Option<Parents>) -> Self {
        CreateProtected {
            create,
            guid: Guid::random(),
            prefix: None,
            parents,
        }
    }

    /// As [`Create::parents`].
    pub fn parents(mut self) -> Self {
        self.parents.get_or_insert_default();
        self
    }

    /// How long all requests together may take; by default each has the client's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.create.deadline = Some(deadline);
        self
    }

    /// Uses this id, which no other creation may have used.
    pub fn guid(mut self, guid: Guid) -> Self {
        self.guid = guid;
        self
    }

    /// What the znode's name begins with, instead of [`Guid::prefix`]: for names that other clients
    /// must understand, or that must sort in your order. With a path that ends in a slash, the
    /// prefix is the whole name, up to the number of a sequential znode.
    ///
    /// The client recognises the znode by this prefix, so no other creation below the same parent
    /// may have used it. To keep an order of your own, put the id behind it:
    ///
    /// ```no_run
    /// # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
    /// let prefix = format!("{:03}-{}-", 7, zk_client::Guid::random());
    /// let job = zk.create("/jobs/", "payload").sequential().protected().prefix(prefix).await?;
    /// # Ok(()) }
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }
}

impl<D> fmt::Debug for CreateProtected<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateProtected")
            .field("path", &self.create.path)
            .field("guid", &self.guid)
            .finish_non_exhaustive()
    }
}

impl<'a, D: AsRef<[u8]>> CreateProtected<'a, D> {
    /// Puts the request on the wire: requests that are submitted next are executed after it, unless
    /// the connection is lost meanwhile. The future does the rest, and borrows nothing.
    pub fn submit(self) -> Boxed<Created> {
        let client = self.create.client.within(self.create.deadline);
        match Creation::new(self, client) {
            Ok((creation, orphan)) => {
                let attempt = creation.attempt(&orphan);
                orphan.set_creation(attempt.answer.key());
                Box::pin(creation.run(orphan, attempt))
            }
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

impl<'a, D: AsRef<[u8]>> IntoFuture for CreateProtected<'a, D> {
    type Output = Result<Created>;
    type IntoFuture = Boxed<Created>;

    fn into_future(self) -> Boxed<Created> {
        self.submit()
    }
}

crate::ops::operation::blocking!(
    [<'a, D: AsRef<[u8]>>] CreateProtected<'a, D>, Created, |op| op.create.client
);

/// One request of a creation.
struct Attempt {
    /// The session in which it may be executed, as far as that is known when it is submitted, …
    session: SessionId,
    /// … and that session's epoch. A request that waits for the first session is sent in it.
    epoch: u64,
    answer: Pending<Created>,
}

/// A creation that has been submitted.
struct Creation {
    create: OwnedCreate,
    /// The znodes above are still to be created, should the parent be missing.
    parents: Option<Parents>,
}

impl Creation {
    /// The creation, and what remains to be deleted if its future is dropped. Fails if there can be
    /// no such znode.
    fn new<D: AsRef<[u8]>>(op: CreateProtected<'_, D>, client: Client) -> Result<(Self, Orphan)> {
        let (parent, name) = split(op.create.path);
        // The prefix completes an empty name, as the number of a sequential znode does.
        let may_be_nameless = op.create.is_sequential() || op.prefix.is_some();
        let prefix = op.prefix.unwrap_or_else(|| op.guid.prefix());
        let path = path::join(parent, &format!("{prefix}{name}"));
        validate(OpCode::Create2, op.create.path, may_be_nameless)?;
        op.create.validate(&path)?;
        let ephemeral = op.create.options.is_ephemeral();
        let orphan = Orphan {
            client: client.background(),
            parent: parent.to_owned(),
            prefix,
            cleanup: (!ephemeral).then(|| Cleanup::begin(&client, &path, Target::Persistent)),
            path,
            sequential: op.create.is_sequential(),
            ephemeral,
            armed: true,
        };
        let creation = Creation {
            create: op.create.into_owned(client),
            parents: op.parents,
        };
        Ok((creation, orphan))
    }

    fn client(&self) -> &Client {
        &self.create.client
    }

    fn attempt(&self, orphan: &Orphan) -> Attempt {
        let session = self.client().session();
        Attempt {
            session: session.id,
            epoch: session.epoch.max(1),
            answer: self.create.submit(&orphan.path),
        }
    }

    async fn run(mut self, mut orphan: Orphan, mut attempt: Attempt) -> Result<Created> {
        // The sessions in which it may have been created.
        let mut sessions = Vec::new();
        let mut losses = 0;
        let mut pause = Repetition::default();
        loop {
            sessions.push(attempt.session);
            let failed = match attempt.answer.await {
                Ok(created) => {
                    orphan.armed = false;
                    return Ok(created);
                }
                Err(error) => error,
            };
            orphan.set_creation(None);
            sessions.push(self.client().session().id);
            match (failed.kind(), failed.outcome()) {
                _ if failed.is_unresolved() && failed.kind() != ErrorKind::DeadlineExceeded => {
                    match self.find(&orphan, &sessions).await {
                        Ok(Some(found)) => {
                            orphan.armed = false;
                            return Ok(found);
                        }
                        Ok(None) => {}
                        Err(look) => {
                            orphan.give_up_on(&look);
                            return Err(failed.with_failed_look(look));
                        }
                    }
                    if !failed.is_transient() {
                        return Err(failed);
                    }
                    losses += 1;
                    if losses >= MAX_LOST_CREATIONS {
                        return Err(failed.with_retries_exhausted());
                    }
                    // A request of a session that this client gave up may still be executed. An
                    // ephemeral znode of that session goes with it; a persistent one would stay
                    // beside a second.
                    if !self.create.options.is_ephemeral()
                        && self.client().session().epoch != attempt.epoch
                        && !is_proven_over(self.client(), attempt.epoch)
                    {
                        return Err(failed);
                    }
                    if failed.kind() != ErrorKind::ConnectionLost {
                        tokio::time::sleep(pause.next_delay()).await;
                    }
                }
                // Not sent: it waited behind another write when the connection was lost.
                (ErrorKind::ConnectionLost, _) => {}
                // The next attempt sends an operation that the server knows.
                (ErrorKind::Unimplemented, _) if failed.is_retryable() => {
                    losses += 1;
                    if losses >= MAX_LOST_CREATIONS {
                        orphan.armed = false;
                        return Err(failed.with_retries_exhausted());
                    }
                }
                (_, Outcome::Unknown) => return Err(failed),
                (kind, _) => {
                    let parents = self.parents.take();
                    let ensured = match parents.filter(|_| kind == ErrorKind::NoNode) {
                        Some(parents) => self.create.ensure_parent(&orphan.path, parents).await,
                        None => Ok(false),
                    };
                    if !matches!(ensured, Ok(true)) {
                        orphan.armed = false;
                        return Err(ensured.err().unwrap_or(failed));
                    }
                }
            }
            attempt = self.attempt(&orphan);
        }
    }

    /// The znode, if the creation took effect after all.
    async fn find(&self, orphan: &Orphan, sessions: &[SessionId]) -> Result<Option<Created>> {
        let mut repetition = Repetition::default();
        loop {
            match self.look(orphan, sessions).await {
                Err(error) if repetition.may_go_on(&error) => {
                    tokio::time::sleep(repetition.next_delay()).await;
                }
                found => return found,
            }
        }
    }

    async fn look(&self, orphan: &Orphan, sessions: &[SessionId]) -> Result<Option<Created>> {
        let client = self.client();
        // This connection's server may lag behind the one that executed the creation.
        let paths = match &orphan.sequential {
            false => {
                client.sync(&orphan.path).await?;
                vec![orphan.path.clone()]
            }
            true => match client.children(&orphan.parent).synced().await {
                Ok(children) => orphan.paths(&children).collect(),
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        for path in paths {
            let Some(stat) = client.exists(&path).await? else {
                continue;
            };
            if !self.create.options.is_ephemeral() || stat.owner() == Some(client.session().id) {
                return Ok(Some(Created { path, stat }));
            }
            // The servers are about to delete a znode of an earlier session of this client.
            if stat.owner().is_some_and(|owner| sessions.contains(&owner)) {
                client.delete(&path).guaranteed();
            }
        }
        Ok(None)
    }
}

/// Whether no request of this epoch's session can be executed any more.
fn is_proven_over(client: &Client, epoch: u64) -> bool {
    client.shared().with(|core| core.is_proven_over(epoch))
}

/// The parent of a path, and the name, which for a sequential znode may be empty.
fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
        None => ("/", path),
    }
}

/// The znode of a creation whose future may be dropped. Dropped while armed, an orphan looks for
/// its znode in the background and deletes it.
struct Orphan {
    /// A handle that does not keep the client open.
    client: Client,
    parent: String,
    prefix: String,
    /// The path that is created, without its number.
    path: String,
    sequential: bool,
    ephemeral: bool,
    /// The clean-up of a persistent znode begins with the creation: the client must not be closed
    /// before it is known whether there is anything to delete.
    cleanup: Option<Cleanup>,
    armed: bool,
}

impl Orphan {
    /// The paths of the children that the creation has made: at most one, by the protocol.
    fn paths(&self, children: &Children) -> impl Iterator<Item = String> {
        paths_of(&self.parent, &self.prefix, children)
    }

    /// Names the only request that can have created the znode, if there is only one.
    fn set_creation(&self, creation: Option<SlotKey>) {
        if let Some(cleanup) = &self.cleanup {
            cleanup.set_creation(creation);
        }
    }

    /// Takes the error of a look for the znode. If another look would cost the connection again,
    /// there is none.
    fn give_up_on(&mut self, look: &Error) {
        self.armed = look.kind() != ErrorKind::ReplyTooLarge;
        if !self.armed {
            tracing::warn!(
                error = %look, path = %self.path,
                "the znode cannot be looked for and may be left"
            );
        }
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        // The end of the session takes an ephemeral znode with it.
        let ends = self.ephemeral && self.client.is_closing();
        self.set_creation(None);
        let cleanup = self.cleanup.take();
        if !self.armed || ends {
            return cleanup.map_or((), Cleanup::cancel);
        }
        let begin = || Cleanup::begin(&self.client, &self.path, Target::Ephemeral);
        let cleanup = cleanup.unwrap_or_else(begin);
        let client = cleanup.client().clone();
        let path = std::mem::take(&mut self.path);
        if !self.sequential {
            let deleting = client.delete(&path).submit();
            cleanup
                .spawn(async move { delete_for_good(&client, &path, ANY_VERSION, deleting).await });
            return;
        }
        let (parent, prefix) = (
            std::mem::take(&mut self.parent),
            std::mem::take(&mut self.prefix),
        );
        let look = look(&client, &parent);
        cleanup.spawn(async move { remove(&client, &parent, &prefix, look).await });
    }
}

fn paths_of(parent: &str, prefix: &str, children: &Children) -> impl Iterator<Item = String> {
    let found = children.iter().filter(move |name| name.starts_with(prefix));
    found.map(move |name| path::join(parent, name))
}

/// A read of a znode's children, behind all requests that have been submitted before.
type Look = (Pending<()>, Pending<Children>);

fn look(client: &Client, parent: &str) -> Look {
    // The next connection's server may lag behind the one that executed the creation.
    (
        client.sync(parent).submit(),
        client.children(parent).submit(),
    )
}

/// Deletes the children whose names begin with `prefix`; `look` has been submitted.
async fn remove(client: &Client, parent: &str, prefix: &str, mut look: Look) -> Result<()> {
    let mut repetition = Repetition::of_cleanup();
    loop {
        let (synced, children) = look;
        let read = match synced.await {
            Ok(()) => children.await,
            Err(error) => Err(error),
        };
        match read {
            Ok(children) => {
                // All of these names are this creation's, so all can be deleted at once.
                let deletions: Vec<_> = paths_of(parent, prefix, &children)
                    .map(|path| (client.delete(&path).submit(), path))
                    .collect();
                for (deleting, path) in deletions {
                    delete_for_good(client, &path, ANY_VERSION, deleting).await?;
                }
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
            Err(error)
                if error.kind() == ErrorKind::SessionExpired && client.only_in().is_some() =>
            {
                return Err(error);
            }
            Err(error) if repetition.may_go_on(&error) => {
                tokio::time::sleep(repetition.next_delay()).await;
            }
            Err(error) => return Err(error),
        }
        look = self::look(client, parent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequential_znode_may_have_no_name() {
        assert_eq!(split("/a/b"), ("/a", "b"));
        assert_eq!(split("/a/"), ("/a", ""));
        assert_eq!(split("/a"), ("/", "a"));
    }
}
