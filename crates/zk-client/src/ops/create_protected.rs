//! Creating a znode exactly once, whatever happens to the reply.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;
use std::time::Duration;

use zk_proto::{OpCode, SessionId, path};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::cleanup::{Cleanup, Target};
use crate::ops::create::{Create, Created};
use crate::ops::pending::{Pending, validate};
use crate::ops::read::Children;
use crate::ops::retry::repetition::Repetition;
use crate::ops::write::{ANY, delete_for_good};
use crate::session::requests::SlotKey;

/// So many requests of one creation may each be lost with the connection: more than of other requests,
/// for a creation that is given up leaves its caller in doubt.
const MAX_LOST_CREATIONS: u32 = 24;

/// A random id that tells one creation from every other. It stands in the znode's name the way
/// Curator puts it there: `_c_<uuid>-name`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid(u128);

impl Guid {
    /// A new random id: of 122 bits that the operating system's randomness decides, for two
    /// contenders with one id would hold one lock.
    pub fn random() -> Self {
        let half = || u128::from(RandomState::new().build_hasher().finish());
        let random = (half() << 64) | half();
        // Version 4 and variant 1, as UUIDs made by chance say of themselves.
        let version = (random & !(0xf << 76)) | (0x4 << 76);
        Guid((version & !(0x3 << 62)) | (0x2 << 62))
    }

    /// Its 32 hexadecimal digits, without hyphens.
    pub fn hex(&self) -> String {
        format!("{:032x}", self.0)
    }

    /// `_c_<uuid>-`, what a protected znode's name begins with.
    pub fn prefix(&self) -> String {
        format!("_c_{self}-")
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.hex();
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
        write!(
            f,
            "{}-{}-{}-{}-{}",
            part(0..8),
            part(8..12),
            part(12..16),
            part(16..20),
            part(20..32)
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'a, D: AsRef<[u8]>> Create<'a, D> {
    /// Puts a random id into the znode's name, so that its creation can be told apart from any
    /// other's: after a lost connection the znode is looked for, and created if it is not there.
    /// So it is created once, and its name is known, whatever happens to the reply.
    pub fn protected(self) -> CreateProtected<'a, D> {
        CreateProtected::new(self)
    }
}

/// [`Create`], exactly once.
///
/// When the connection is lost before the reply, or the reply leaves open whether it was executed,
/// the znode is looked for by its id and created only if it is not there. An ephemeral znode found to belong to an earlier session of this client
/// is on its way out; it is deleted, and another created in its place (CURATOR-498).
///
/// # Errors
/// Those of [`Create`]. With an outcome of [`Outcome::Unknown`] the znode may exist, and is looked
/// for and deleted in the background. So it is with a znode that is not ephemeral if the session
/// expires before it is known, and no server has said so: the old session's request may yet be
/// executed. A creation is not
/// repeated without end: once 24 of its requests have each cost the connection, the error is that
/// of the last.
///
/// # Cancel safety
/// Dropping the future deletes the znode in the background, should it come to exist;
/// [`Client::close`](crate::Client::close) waits for that. A sequential znode is found among its
/// parent's children, which is impossible, and logged as a warning, if their list is larger than
/// [`ClientBuilder::max_reply_bytes`](crate::ClientBuilder::max_reply_bytes).
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct CreateProtected<'a, D> {
    create: Create<'a, D>,
    guid: Guid,
    prefix: Option<String>,
}

impl<'a, D: AsRef<[u8]>> CreateProtected<'a, D> {
    pub(crate) fn new(create: Create<'a, D>) -> Self {
        CreateProtected {
            create,
            guid: Guid::random(),
            prefix: None,
        }
    }

    /// How long all of it may take; each of its requests has the client's default unless given.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.create.deadline = Some(deadline);
        self
    }

    /// Uses this id. It must not have been used before.
    pub fn guid(mut self, guid: Guid) -> Self {
        self.guid = guid;
        self
    }

    /// What the znode's name begins with, instead of [`Guid::prefix`]: for names that other clients
    /// must understand. It is what the znode is known by, so it must not have been used before. With
    /// a path that ends in a slash it is the whole name.
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

/// A protected creation under way.
type Creating<'a> = Pin<Box<dyn Future<Output = Result<Created>> + Send + 'a>>;

impl<'a, D: AsRef<[u8]> + Send + Sync + 'a> CreateProtected<'a, D> {
    /// Puts the request on the wire: what is submitted next is executed after it, unless the
    /// connection is lost meanwhile. The future does the rest.
    pub fn submit(self) -> Creating<'a> {
        let client = self.create.client.within(self.create.deadline);
        match self.orphan(&client) {
            Ok(orphan) => {
                let attempt = self.attempt(&client, &orphan);
                orphan.set_creation(attempt.answer.key());
                Box::pin(self.run(client, orphan, attempt))
            }
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

impl<'a, D: AsRef<[u8]> + Send + Sync + 'a> IntoFuture for CreateProtected<'a, D> {
    type Output = Result<Created>;
    type IntoFuture = Creating<'a>;

    fn into_future(self) -> Creating<'a> {
        self.submit()
    }
}

crate::ops::pending::blocking!(
    [<'a, D: AsRef<[u8]> + Send + Sync + 'a>] CreateProtected<'a, D>, Created, |op| op.create.client
);

/// One request of a creation.
struct Attempt {
    /// The session in which it may be executed, as far as that is known when it is submitted, …
    session: SessionId,
    /// … and that session's epoch. A request that waits for the first session is sent in it.
    epoch: u64,
    answer: Pending<Created>,
}

impl<D: AsRef<[u8]>> CreateProtected<'_, D> {
    /// What is left of the creation if nobody waits for it. Fails if there can be no such znode.
    fn orphan(&self, client: &Client) -> Result<Orphan> {
        let (parent, name) = split(self.create.path);
        let prefix = self.prefix.clone().unwrap_or_else(|| self.guid.prefix());
        let path = path::join(parent, &format!("{prefix}{name}"));
        // What is in front of the name makes an empty one good, as a number behind it does.
        let nameless = self.create.is_sequential() || self.prefix.is_some();
        validate(OpCode::Create2, self.create.path, nameless)?;
        self.create.validate(&path)?;
        let ephemeral = self.create.options.is_ephemeral();
        Ok(Orphan {
            client: client.background(),
            parent: parent.to_owned(),
            prefix,
            cleanup: (!ephemeral).then(|| Cleanup::begin(client, &path, Target::Persistent)),
            path,
            sequential: self.create.is_sequential(),
            ephemeral,
            armed: true,
        })
    }

    fn attempt(&self, client: &Client, orphan: &Orphan) -> Attempt {
        let session = client.session();
        Attempt {
            session: session.id,
            epoch: session.epoch.max(1),
            answer: self.create.submit_with(client, &orphan.path, None),
        }
    }

    async fn run(
        self,
        client: Client,
        mut orphan: Orphan,
        mut attempt: Attempt,
    ) -> Result<Created> {
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
            sessions.push(client.session().id);
            match (failed.kind(), failed.outcome()) {
                _ if failed.is_unresolved()
                    && failed.kind() != ErrorKind::DeadlineExceeded
                    && !zk_proto::seeded_bug!("B84") =>
                {
                    match self.find(&client, &orphan, &sessions).await {
                        Ok(Some(found)) => {
                            orphan.armed = false;
                            return Ok(found);
                        }
                        Ok(None) => {}
                        Err(look) => {
                            orphan.give_up_on(&look);
                            return Err(failed.not_found_out(look));
                        }
                    }
                    if !failed.is_transient() {
                        return Err(failed);
                    }
                    losses += 1;
                    if losses >= MAX_LOST_CREATIONS {
                        return Err(failed.with_retries_exhausted());
                    }
                    // A request of a session that was given up may still be on its way. An ephemeral
                    // znode of that session goes with it; another would stay beside a second.
                    if !self.create.options.is_ephemeral()
                        && client.session().epoch != attempt.epoch
                        && !is_proven_over(&client, attempt.epoch)
                    {
                        return Err(failed);
                    }
                    if failed.kind() != ErrorKind::ConnectionLost {
                        tokio::time::sleep(pause.next_delay()).await;
                    }
                }
                // It waited behind somebody's write when the connection was lost.
                (ErrorKind::ConnectionLost, _) => {}
                // The next attempt is one that the server knows.
                (ErrorKind::Unimplemented, _) if failed.is_retryable() => {
                    losses += 1;
                    if losses >= MAX_LOST_CREATIONS {
                        orphan.armed = false;
                        return Err(failed.with_retries_exhausted());
                    }
                }
                (_, Outcome::Unknown) => return Err(failed),
                _ => {
                    orphan.armed = false;
                    return Err(failed);
                }
            }
            attempt = self.attempt(&client, &orphan);
        }
    }

    /// The znode, if the creation took effect after all.
    async fn find(
        &self,
        client: &Client,
        orphan: &Orphan,
        sessions: &[SessionId],
    ) -> Result<Option<Created>> {
        let mut repetition = Repetition::default();
        loop {
            match self.look(client, orphan, sessions).await {
                Err(error) if repetition.may_go_on(&error) => {
                    tokio::time::sleep(repetition.next_delay()).await;
                }
                found => return found,
            }
        }
    }

    async fn look(
        &self,
        client: &Client,
        orphan: &Orphan,
        sessions: &[SessionId],
    ) -> Result<Option<Created>> {
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
            // Of an earlier session of ours, it is on its way out.
            if stat.owner().is_some_and(|owner| sessions.contains(&owner)) {
                client.delete(&path).guaranteed();
            }
        }
        Ok(None)
    }
}

/// Whether no request of the session of this epoch can be executed any more.
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

/// A creation that may not be awaited to its end. Dropped while armed, it looks for the znode in the
/// background and deletes it.
struct Orphan {
    /// Does not keep the client open.
    client: Client,
    parent: String,
    prefix: String,
    /// The path that is created, without its number.
    path: String,
    sequential: bool,
    ephemeral: bool,
    /// That of a persistent znode begins with the creation, for the client must not be closed before
    /// it is known whether there is anything to clean up.
    cleanup: Option<Cleanup>,
    armed: bool,
}

impl Orphan {
    /// The paths of the children that the creation has made: one at most, by the protocol.
    fn paths(&self, children: &Children) -> impl Iterator<Item = String> {
        paths_of(&self.parent, &self.prefix, children)
    }

    /// Only this request can have created the znode, if it is given.
    fn set_creation(&self, creation: Option<SlotKey>) {
        if let Some(cleanup) = &self.cleanup {
            cleanup.set_creation(creation);
        }
    }

    /// Looking for the znode has failed. It is not looked for again if that costs the connection
    /// again.
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
            cleanup.spawn(async move { delete_for_good(&client, &path, ANY, deleting).await });
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

/// A read of a znode's children, after all that has been submitted before.
type Look = (Pending<()>, Pending<Children>);

fn look(client: &Client, parent: &str) -> Look {
    // A server that is connected to meanwhile may lag behind the one that executed the creation.
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
                // Each of the names is that of this creation, so all can be deleted at once.
                let deletions: Vec<_> = paths_of(parent, prefix, &children)
                    .map(|path| (client.delete(&path).submit(), path))
                    .collect();
                for (deleting, path) in deletions {
                    delete_for_good(client, &path, ANY, deleting).await?;
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
    fn a_guid_looks_like_curators() {
        let prefix = Guid::random().prefix();
        assert_eq!(prefix.len(), 40);
        assert!(
            prefix.starts_with("_c_") && prefix.ends_with('-'),
            "{prefix}"
        );
        assert_eq!(prefix.get(17..18), Some("4"), "{prefix}");
        assert_ne!(Guid::random(), Guid::random());
    }

    #[test]
    fn a_sequential_znode_may_have_no_name() {
        assert_eq!(split("/a/b"), ("/a", "b"));
        assert_eq!(split("/a/"), ("/a", ""));
        assert_eq!(split("/a"), ("/", "a"));
    }
}
