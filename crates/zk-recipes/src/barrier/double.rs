//! A barrier that lets a fixed number of members enter together, and leave together.

use std::time::Duration;

use zk_client::{Client, ErrorKind, NodeEventKind, WatchEvent, path};

use super::member::{Abandoned, Member, MemberName};
use super::round::{Entering, Leaving, READY, Round, entering};
use crate::error::{Error, GuardLost, Result};
use crate::paths::check_own;
use crate::reads::Alongside;
use crate::retry::RetryBackoff;

/// A double barrier: [`enter`](Self::enter) returns when all members have entered, and
/// [`leave`](Entered::leave) when all have left. The counterpart of kazoo's `DoubleBarrier` and Curator's
/// `DistributedDoubleBarrier`.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::DoubleBarrier;
///
/// let barrier = DoubleBarrier::new(&zk, "/computation", 3).identifier("worker-7");
/// let inside = barrier.enter().await?;
/// // … three workers begin here together …
/// inside.leave().await?;
/// // … and go on here together …
/// # Ok(()) }
/// ```
///
/// A barrier can be used again, round after round, by the same number of members.
///
/// # Znodes
///
/// Each member has the ephemeral znode `path/<hex>`, with its identifier as contents. The member that sees
/// all members creates `path/ready`, persistent and empty. kazoo and Curator recognize all of these as their
/// own. They differ in when `ready` is deleted: Curator's members delete it last, kazoo's first, and each
/// of kazoo's then waits for it like for a member. If some members use kazoo, set
/// [`kazoo_members`](Self::kazoo_members) in all Rust programs.
///
/// A member of kazoo's waits for ever if another member leaves before it has looked for `ready` and for the
/// children, which are two requests after its creation; so does kazoo's among its own kind.
///
/// Curator's members pass at once if `ready` exists, also if a round that crashed has left it behind. Members
/// of this type pass only if it was created after their own znodes, and delete one that is older.
///
/// # Cost
///
/// To enter: a creation, a read of `ready` with a watch, and a read of the children, which are sent together:
/// three requests in one round trip. The last member creates `ready` with one more request, which wakes each
/// of the others once. To leave: a read of the children, a read of one znode with a watch and a deletion, in
/// three round trips, and a read of the children for each event; the last deletes `ready`.
///
/// # Losing the session
///
/// While a member waits to enter, its znode is created again in the next session, and the wait continues:
/// it counts from then on. A member that is inside and loses its session has left for the others: they do
/// not wait for it. [`check`](Entered::check) and [`lost`](Entered::lost) report that, and
/// [`leave`](Entered::leave) fails with [`Error::Lost`], without a wait.
///
/// A member whose program has crashed counts until its session ends. If it is started again before, and
/// enters, it counts twice. So does a member whose creation was still on its way when the client gave its
/// session up, until the servers end that session.
///
/// # Cancel safety
///
/// Dropping a wait to enter takes the member back. If all other members have been seen together with it
/// before, they pass all the same, and its next wait is for the next round. Dropping an [`Entered`], or its wait to leave, leaves the
/// barrier without a wait for the others. Both delete the member's znode in the background; the next
/// [`enter`](Self::enter) of this handle, or of a clone, waits for that.
#[doc(alias = "DistributedDoubleBarrier")]
#[derive(Debug, Clone)]
pub struct DoubleBarrier {
    client: Client,
    path: String,
    members: usize,
    identifier: Vec<u8>,
    kazoo: bool,
    abandoned: Abandoned,
}

impl DoubleBarrier {
    /// The double barrier at `path` for this number of members, which has to be the same in all programs.
    pub fn new(client: &Client, path: &str, members: usize) -> Self {
        DoubleBarrier {
            client: client.with_deadline(None),
            path: path.to_owned(),
            members,
            identifier: Vec::new(),
            kazoo: false,
            abandoned: Abandoned::default(),
        }
    }

    /// The contents of the member's znode, by which people recognize it; empty unless given.
    #[must_use]
    pub fn identifier(mut self, identifier: impl AsRef<[u8]>) -> Self {
        self.identifier = identifier.as_ref().to_vec();
        self
    }

    /// Some of the members use kazoo: a member that leaves deletes `ready` first and not last.
    #[must_use]
    pub fn kazoo_members(mut self) -> Self {
        self.kazoo = true;
        self
    }

    /// Enters, and waits until all members have entered, without a limit.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses the barrier's znodes. An invalid path, or the root of
    /// the ensemble, is an error before anything is sent ([`InvalidPath`](ErrorKind::InvalidPath)).
    ///
    /// # Cancel safety
    /// Dropping the future takes the member back; neither a znode nor a watch stays.
    pub async fn enter(&self) -> Result<Entered> {
        check_own(&self.client, &self.path)?;
        let mut backoff = RetryBackoff::of_repeatable();
        loop {
            self.abandoned.delete(&self.client).await?;
            self.client.connected().await?;
            let name = MemberName::new(&self.path, &self.abandoned);
            match self.enter_as(name, &mut backoff).await? {
                Some(member) => {
                    return Ok(Entered {
                        member,
                        client: self.client.clone(),
                        path: self.path.clone(),
                        kazoo: self.kazoo,
                    });
                }
                None => backoff.sleep().await,
            }
        }
    }

    /// Enters, and waits for at most `timeout` until all members have entered, connecting included. `None`
    /// if they have not: the member has been taken back.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    ///
    /// # Cancel safety
    /// As [`enter`](Self::enter).
    pub async fn enter_timeout(&self, timeout: Duration) -> Result<Option<Entered>> {
        match tokio::time::timeout(timeout, self.enter()).await {
            Ok(entered) => entered.map(Some),
            Err(_elapsed) => Ok(None),
        }
    }

    /// Creates the member's znode and waits; `None` if the znode, or its session, is lost before all members
    /// have entered.
    async fn enter_as(
        &self,
        name: MemberName,
        backoff: &mut RetryBackoff,
    ) -> Result<Option<Member>> {
        let client = &self.client;
        let ready = path::join(&self.path, READY);
        let parent = format!("{}/", self.path.trim_end_matches('/'));
        let (created, mut first) = loop {
            let create = client.create(&parent, &self.identifier).ephemeral();
            let created = create.protected().prefix(&*name.hex).submit();
            // Submitted before the answers: the server executes all in order, in one round trip.
            let mut read = Alongside::new(Box::pin(self.read(&ready)));
            match read.with(created).await {
                Ok(created) => break (created, Some(read)),
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    client.ensure_path(&self.path).container().await?;
                }
                Err(error)
                    if error.kind() == ErrorKind::SessionExpired && backoff.allows(&error) =>
                {
                    return Ok(None);
                }
                Err(error) => backoff.sleep_after(error).await?,
            }
        };
        let own_created = created.stat.czxid;
        let Some(member) = Member::of(client, created, name) else {
            return Ok(None);
        };
        loop {
            let (read, is_first) = match first.take() {
                Some(first) => (first.finish().await, true),
                None => (self.read(&ready).await, false),
            };
            if !member.guard.is_live() {
                return Ok(None);
            }
            let (stat, watch, children) = match read {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::NoNode => match is_first {
                    true => continue,
                    false => return Ok(None),
                },
                Err(error) => {
                    backoff.sleep_after(error).await?;
                    continue;
                }
            };
            let own = path::name(member.guard.path());
            let next = entering(stat.as_ref(), &children, own, own_created, self.members);
            let changed = match next {
                // The creation was executed after the read, on another connection.
                Entering::Lost if is_first => continue,
                Entering::Lost => return Ok(None),
                Entering::Pass => return Ok(Some(member)),
                Entering::Wait => match watch.await {
                    // All members were there, whatever has been deleted since then.
                    WatchEvent::Node(event)
                        if event.kind == NodeEventKind::Created && member.guard.is_live() =>
                    {
                        return Ok(Some(member));
                    }
                    // A gap, or the end of the session, proves nothing.
                    _ => Ok(()),
                },
                Entering::Discard { stale } => client.delete(&ready).version(stale).await,
                Entering::Open { stale } => {
                    // Only while this member is there: a request that arrives late must not open the
                    // next round.
                    let mut tx = client.multi().check(member.guard.path(), -1);
                    if let Some(version) = stale {
                        tx = tx.delete_version(&ready, version);
                    }
                    match tx.create(&ready, "").commit().await {
                        Ok(_) => return Ok(Some(member)),
                        Err(error) => Err(error),
                    }
                }
            };
            match changed {
                Ok(()) => backoff.reset(),
                // Another member was faster, or the own znode is lost: the next read shows which.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::NoNode | ErrorKind::NodeExists | ErrorKind::BadVersion
                    ) => {}
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Reads `ready` with a watch, and then the children; both are sent before the future is polled.
    fn read(
        &self,
        ready: &str,
    ) -> impl Future<
        Output = zk_client::Result<(Option<zk_client::Stat>, zk_client::Watch, Vec<String>)>,
    > + Send
    + use<> {
        let ready = self.client.exists(ready).watch().submit();
        let children = self.client.children(&self.path).submit();
        async move {
            let (stat, watch) = ready.await?;
            Ok((stat, watch, children.await?.to_vec()))
        }
    }
}

/// A member inside a double barrier. Dropping it leaves the barrier without a wait for the others.
#[derive(Debug)]
#[must_use = "dropping it leaves the barrier"]
pub struct Entered {
    member: Member,
    client: Client,
    path: String,
    kazoo: bool,
}

impl Entered {
    /// The path of the member's znode.
    pub fn path(&self) -> &str {
        self.member.guard.path()
    }

    /// Whether the member is inside for the others. Reads the clock and sends nothing.
    ///
    /// # Errors
    /// The member's session has ended, or could have ended since the last answer of a server.
    pub fn check(&self) -> Result<(), GuardLost> {
        self.member.guard.check()
    }

    /// Waits until the member is not inside for the others any more: its session ended or could have ended,
    /// or a client deleted its znode. Sets a watch on the znode.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn lost(&self) -> GuardLost {
        self.member.guard.lost().await
    }

    /// Leaves, and waits until all members have left, without a limit. A member whose session ends has left.
    ///
    /// # Errors
    /// [`Error::Lost`]: the member was lost before this call, so the others have not waited for it, and it
    /// does not wait for them. Or the client is closed, or the ensemble refuses a read.
    ///
    /// # Cancel safety
    /// Dropping the future leaves without a wait for the others.
    pub async fn leave(self) -> Result<()> {
        let Entered {
            mut member,
            client,
            path,
            kazoo,
        } = self;
        let ready = path::join(&path, READY);
        let own = path::name(member.guard.path()).to_owned();
        let mut backoff = RetryBackoff::of_repeatable();
        let (mut round, mut deleted) = (None, false);
        // The latest session in which the server has caught up with the member's creation.
        let mut current = None;
        if kazoo {
            delete(&client, &ready).await?;
        }
        loop {
            let epoch = client.session().epoch;
            if !deleted {
                if !member.guard.is_live() {
                    return Err(Error::Lost(member.guard.lose_missing()));
                }
                // In the session of the member's znode no server answers from before its creation.
                current = Some(epoch);
            }
            // In a later session the server may lag behind the creation of other members.
            let children = match current == Some(epoch) {
                true => client.children(&path).await,
                false => client.children(&path).synced().await,
            };
            let children = match children {
                // The client resends reads in the next session.
                Ok(_) if client.session().epoch != epoch => continue,
                Ok(children) => children.to_vec(),
                Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
                Err(error) => {
                    backoff.sleep_after(error).await?;
                    continue;
                }
            };
            current = Some(epoch);
            let round = round.get_or_insert_with(|| Round::new(&children));
            let awaited = match round.leaving(&children, &own, deleted) {
                Leaving::Done => break,
                Leaving::Lost => {
                    member.name.mark_deleted();
                    return Err(Error::Lost(member.guard.lose_missing()));
                }
                Leaving::Last => {
                    member.leave().await?;
                    break;
                }
                Leaving::Await(name) | Leaving::LeaveBefore(name) => path::join(&path, name),
            };
            // Not `exists`, which would leave a watch for the creation of a deleted znode (B68).
            let watched = client.get(&awaited).watch().await;
            if let Leaving::LeaveBefore(_) = round.leaving(&children, &own, deleted) {
                member.leave().await?;
                deleted = true;
            }
            match watched {
                Ok((_, _, watch)) => {
                    backoff.reset();
                    watch.await;
                }
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
        delete(&client, &ready).await
    }

    /// Leaves, and waits for at most `timeout` until all members have left. False if they have not: this
    /// member has left all the same.
    ///
    /// # Errors
    /// As [`leave`](Self::leave).
    ///
    /// # Cancel safety
    /// As [`leave`](Self::leave).
    pub async fn leave_timeout(self, timeout: Duration) -> Result<bool> {
        match tokio::time::timeout(timeout, self.leave()).await {
            Ok(left) => left.map(|()| true),
            Err(_elapsed) => Ok(false),
        }
    }
}

async fn delete(client: &Client, path: &str) -> Result<()> {
    let mut backoff = RetryBackoff::of_repeatable();
    loop {
        match client.delete(path).await {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
            Err(error) => backoff.sleep_after(error).await?,
        }
    }
}
