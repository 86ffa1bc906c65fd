//! A lock with a limited number of holders at a time, in the order of arrival.

mod adoption;

use std::time::Duration;

use zk_client::{Client, ErrorKind, Guid, Watch, path};

use super::lease_count::{LeaseCount, wait_for_change};
use crate::connections::Connections;
use crate::error::{Error, Result};
use crate::guard::delegate::delegate_to_guard;
use crate::guard::handover::Handover;
use crate::guard::held::Held;
use crate::guard::{Guard, LeaseBasis};
use crate::paths::{check, check_own};
use crate::queue::{Contender, ContenderQueue, Layout, LostPlaces, PlaceId, Role, ensure_parent};
use crate::reads::{Alongside, READS, get_all, read, reply_to};
use crate::retry::RetryBackoff;

/// A semaphore: a limited number of leases is held at a time, by all programs on the ensemble.
///
/// Fair: contenders queue for the leases, and only the head of the queue waits for one to be
/// returned.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::Semaphore;
///
/// let connections = Semaphore::new(&zk, "/semaphores/upstream", 10).identifier("host-1");
/// let lease = connections.acquire().await?;
/// // … one of ten …
/// lease.release().await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// Those of Curator's `InterProcessSemaphoreV2`: the queue at `path/locks`, as that of a
/// [`Lock`](crate::Lock), and the leases `path/leases/_c_<uuid>-lease-<sequence>`, ephemeral, with the
/// identifier as contents. Every child of `path/leases` counts as a lease.
///
/// With [`Layout::Kazoo`], those of kazoo's `Semaphore`: the queue at `path-__lock__`, the leases
/// `path/<hex>`, and the number of leases as the contents of `path`, in decimal, written by the first
/// contender.
///
/// # Number of leases
///
/// Each program passes the number, which should be the same in all; with kazoo's layout it has to
/// be. With [`limit_at`](Self::limit_at) the number is stored, and can be changed while leases are
/// held and waited for.
///
/// # Cost
///
/// To acquire: a lock, a creation, a read of the leases with a watch that is removed again, and the
/// release of the lock, which is six requests in three round trips without contention. To return:
/// one request. One contender watches the leases, however many wait, so a returned lease wakes one.
/// After each reconnect this contender reads the leases again.
///
/// # Losing the session
///
/// While waiting, the place and the leases taken so far are lost, and the wait starts again at the
/// end of the queue. While holding, the guard is lost: see [`Guard`].
///
/// # After a crash
///
/// A process that resumes the session of an earlier one, as a `SessionStore` of zk_client does, takes up its
/// leases, or its place in the queue, by the first acquisition with the same id given to
/// [`adopt_by`](Self::adopt_by). One id is one acquisition, of one lease or of many: a program that holds
/// several leases one by one gives an id to each. Leases that are more than this acquisition asks for are
/// returned. Without an id, the leases and places of the earlier process stay as long as the session. For the
/// look for them: four reads in two round trips, and one for each lease.
///
/// # Cancel safety
///
/// Dropping a wait at any point leaves the queue and returns the leases taken so far. Dropping a
/// lease returns it in the background.
#[doc(alias("InterProcessSemaphoreMutex", "InterProcessSemaphoreV2"))]
#[derive(Debug, Clone)]
pub struct Semaphore {
    client: Client,
    without_deadline: Client,
    path: String,
    lease_count: LeaseCount,
    identifier: Vec<u8>,
    layout: Layout,
    lease_basis: LeaseBasis,
    /// Of the places in the queue, and of the leases.
    id: Option<Ids>,
}

/// The two looks for what an earlier process has left: its place in the queue, and its leases.
#[derive(Debug, Clone, PartialEq)]
struct Ids {
    place: PlaceId,
    leases: PlaceId,
}

impl Semaphore {
    /// The semaphore at `path`, with at most `max` leases.
    pub fn new(client: &Client, path: &str, max: usize) -> Self {
        Self::with_lease_count(client, path, LeaseCount::Fixed(max))
    }

    /// The semaphore at `path`, with the number of leases that the znode at `limit` contains: four
    /// bytes, the most significant first, the format of Curator's `SharedCount`. Without that znode
    /// the semaphore has no leases. Not in kazoo's layout.
    pub fn limit_at(client: &Client, path: &str, limit: &str) -> Self {
        Self::with_lease_count(client, path, LeaseCount::At(limit.to_owned()))
    }

    fn with_lease_count(client: &Client, path: &str, lease_count: LeaseCount) -> Self {
        Semaphore {
            client: client.clone(),
            without_deadline: client.with_deadline(None),
            path: path.to_owned(),
            lease_count,
            identifier: Vec::new(),
            layout: Layout::default(),
            lease_basis: LeaseBasis::default(),
            id: None,
        }
    }

    /// The contents of the leases' znodes, by which people and programs recognize the holder; empty
    /// unless given.
    #[must_use]
    pub fn identifier(mut self, identifier: impl AsRef<[u8]>) -> Self {
        self.identifier = identifier.as_ref().to_vec();
        self
    }

    /// An id by which a process that has resumed the session of an earlier one recognises its lease, or
    /// its place in the queue: see "After a crash" above. Choose it once with [`Guid::random`] and keep
    /// it, in a file or in the configuration.
    ///
    /// It belongs to one acquisition at a time, of one lease or of many at once: of this value and its
    /// clones, in one program.
    #[must_use]
    pub fn adopt_by(mut self, id: Guid) -> Self {
        self.id = Some(Ids {
            place: PlaceId::new(id),
            leases: PlaceId::new(id),
        });
        self
    }

    /// The naming scheme of its znodes; [`Layout::Default`] unless given.
    #[must_use]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// What a lease's deadline depends on; [`LeaseBasis::Quorum`] unless given.
    #[must_use]
    pub fn lease_basis(mut self, lease_basis: LeaseBasis) -> Self {
        self.lease_basis = lease_basis;
        self
    }

    /// Waits for a lease, without a limit.
    ///
    /// # Errors
    /// The client is closed, the ensemble refuses the semaphore's znodes, or the stored number of
    /// leases differs ([`Error::LeaseCountMismatch`]). An invalid path, or the root of the ensemble,
    /// is an error before anything is sent ([`InvalidPath`](ErrorKind::InvalidPath)). So is, with
    /// kazoo's layout, the root of a chroot: the queue is a sibling of the semaphore's znode.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue; neither a znode nor a watch stays.
    pub async fn acquire(&self) -> Result<SemaphoreLease> {
        loop {
            if let Some(lease) = self.obtain(1, true).await?.and_then(|mut all| all.pop()) {
                return Ok(lease);
            }
        }
    }

    /// Waits for several leases, all or none.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire), and [`Error::TooManyLeases`].
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire): the leases taken so far are returned.
    pub async fn acquire_many(&self, count: usize) -> Result<Vec<SemaphoreLease>> {
        loop {
            if let Some(leases) = self.obtain(count, true).await? {
                return Ok(leases);
            }
        }
    }

    /// Takes a lease if one is free and no contender waits. Waits for a connection, not for a lease.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self) -> Result<Option<SemaphoreLease>> {
        Ok(self.obtain(1, false).await?.and_then(|mut all| all.pop()))
    }

    /// Takes several leases, all or none, if so many are free and no contender waits. Waits for a
    /// connection, not for leases.
    ///
    /// # Errors
    /// As [`acquire_many`](Self::acquire_many).
    ///
    /// # Cancel safety
    /// As [`acquire_many`](Self::acquire_many).
    pub async fn try_acquire_many(&self, count: usize) -> Result<Option<Vec<SemaphoreLease>>> {
        self.obtain(count, false).await
    }

    /// Waits for several leases, all or none, for at most `timeout`, connecting included.
    ///
    /// # Errors
    /// As [`acquire_many`](Self::acquire_many).
    ///
    /// # Cancel safety
    /// As [`acquire_many`](Self::acquire_many).
    pub async fn acquire_many_timeout(
        &self,
        count: usize,
        timeout: Duration,
    ) -> Result<Option<Vec<SemaphoreLease>>> {
        match tokio::time::timeout(timeout, self.acquire_many(count)).await {
            Ok(acquired) => acquired.map(Some),
            Err(_elapsed) => Ok(None),
        }
    }

    /// Takes up a lease that an earlier client of this session held and [handed over](Handover);
    /// `None` if the session is not the earlier client's, the znode was deleted, or a lease of this
    /// process has it.
    ///
    /// # Errors
    /// A request failed, or the client is closed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect: the lease stays held by the session.
    pub async fn resume(&self, handover: &Handover) -> Result<Option<SemaphoreLease>> {
        self.check_path()?;
        let (client, parent) = (&self.client, self.leases());
        let resumed = handover.resume(client, &parent, self.lease_basis, false, true);
        Ok(resumed.await?.map(|guard| SemaphoreLease { guard }))
    }

    /// Waits for a lease for at most `timeout`, connecting included.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_timeout(&self, timeout: Duration) -> Result<Option<SemaphoreLease>> {
        match tokio::time::timeout(timeout, self.acquire()).await {
            Ok(acquired) => acquired.map(Some),
            Err(_elapsed) => Ok(None),
        }
    }

    /// The holders of leases, in no particular order. In Curator's layout the head of the queue is
    /// among them while it waits.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn holders(&self) -> Result<Vec<Contender>> {
        self.check_path()?;
        let parent = self.leases();
        let (client, directory) = (&self.without_deadline, &parent);
        let listed = read(client, |zk| async move { zk.children(directory).await });
        let names = match listed.await {
            Ok(names) => names,
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let znodes = names.iter().map(|name| ((), path::join(&parent, name)));
        let got = get_all(client, znodes.collect(), READS).await?;
        let holders = got.into_iter();
        Ok(holders
            .map(|((), path, data, stat)| Contender::new(data, path, &stat))
            .collect())
    }

    pub(super) fn check_path(&self) -> Result<()> {
        check_own(&self.client, &self.path)?;
        if let LeaseCount::At(limit) = &self.lease_count {
            check(limit)?;
        }
        if self.is_kazoo_layout() && self.path == "/" {
            // The queue is a sibling of this znode, which a handle with this root cannot reach.
            return Err(zk_client::Error::invalid_path(
                "invalid path \"/\": the queue of a semaphore in kazoo's layout is a sibling of its \
                 znode, and the root of a chroot has none; use a handle with another root",
            )
            .into());
        }
        Ok(())
    }

    fn is_kazoo_layout(&self) -> bool {
        self.layout == Layout::Kazoo
    }

    /// The znode whose children are the leases.
    pub(super) fn leases(&self) -> String {
        if self.is_kazoo_layout() {
            self.path.clone()
        } else {
            path::join(&self.path, "leases")
        }
    }

    /// The queue of the contenders for leases.
    pub(super) fn queue(&self) -> ContenderQueue {
        let path = if self.is_kazoo_layout() {
            format!("{}-__lock__", self.path)
        } else {
            path::join(&self.path, "locks")
        };
        let mut queue = ContenderQueue::new(&self.client, &path, Role::Lock);
        queue.set_layout(self.layout);
        queue.set_identifier(&self.identifier);
        queue.set_lease_basis(self.lease_basis);
        queue.set_id(self.id.as_ref().map(|ids| ids.place.clone()));
        queue
    }

    /// Whether both have the same options, whatever their paths.
    pub(super) fn has_options_of(&self, other: &Semaphore) -> bool {
        self.lease_count == other.lease_count
            && self.identifier == other.identifier
            && self.layout == other.layout
            && self.lease_basis == other.lease_basis
            && self.id == other.id
    }

    /// `None` if not to `wait` and too few leases are free.
    async fn obtain(&self, count: usize, wait: bool) -> Result<Option<Vec<SemaphoreLease>>> {
        self.check_path()?;
        if let LeaseCount::Fixed(max) = self.lease_count
            && count > max
        {
            return Err(Error::TooManyLeases {
                requested: count,
                max,
            });
        }
        if self.is_kazoo_layout() {
            let count = &self.lease_count;
            count
                .store_or_compare(&self.without_deadline, &self.path)
                .await?;
        }
        if let Some(adopted) = self.adopt(count).await? {
            return Ok(Some(adopted));
        }
        let mut lost = LostPlaces::new();
        loop {
            let queue = self.queue();
            let entered = match wait {
                true => Some(queue.wait().await?),
                false => queue.try_enter().await?,
            };
            let Some(turn) = entered else {
                return Ok(None);
            };
            let taken = self.take_all(&turn, count, wait).await?;
            // The leases of a failed attempt are returned before the turn is passed on, so that the
            // next contender need not wait for them.
            turn.release().await?;
            match taken {
                Taken::Held(leases) => {
                    let held = leases.into_iter().map(|guard| SemaphoreLease {
                        guard: guard.start_renewal(),
                    });
                    return Ok(Some(held.collect()));
                }
                Taken::NoneFree => return Ok(None),
                Taken::SessionLost => lost.lose(&self.without_deadline)?,
            }
        }
    }

    /// Takes leases, one after the other, in this contender's turn.
    async fn take_all(&self, turn: &Guard, count: usize, wait: bool) -> Result<Taken<Vec<Guard>>> {
        let mut leases = Vec::with_capacity(count);
        while leases.len() < count {
            let taken = match self.is_kazoo_layout() {
                true => self.take_in_kazoo_layout(turn, wait).await?,
                false => self.take_in_curator_layout(turn, wait).await?,
            };
            let failed = match taken {
                Taken::Held(lease) => {
                    leases.push(lease);
                    continue;
                }
                Taken::NoneFree => Taken::NoneFree,
                Taken::SessionLost => Taken::SessionLost,
            };
            for lease in leases {
                lease.release().await?;
            }
            return Ok(failed);
        }
        for lease in &leases {
            if !lease.confirm_lease().await? {
                return Ok(Taken::SessionLost);
            }
        }
        Ok(Taken::Held(leases))
    }

    /// Creates a lease's znode, which is a lease as soon as the leases are not too many.
    async fn take_in_curator_layout(&self, turn: &Guard, wait: bool) -> Result<Taken<Guard>> {
        let Some((lease, mut seen)) = self.create_lease(turn, true).await? else {
            return Ok(Taken::SessionLost);
        };
        let mut connections = Connections::of(&self.without_deadline);
        loop {
            let seen = match seen.take() {
                None => self.read_leases(turn).await?,
                seen => seen,
            };
            let Some((names, watch)) = seen else {
                return Ok(Taken::SessionLost);
            };
            if !names.iter().any(|name| lease.is_named(name)) {
                return Ok(Taken::SessionLost);
            }
            let (max, limit) = self.lease_count.read(&self.without_deadline).await?;
            if names.len() <= max {
                return Ok(Taken::Held(lease));
            }
            if !wait {
                lease.release().await?;
                return Ok(Taken::NoneFree);
            }
            wait_for_change(&mut connections, watch, limit).await;
        }
    }

    /// Creates a lease's znode once the leases are not too many. The turn excludes other contenders.
    async fn take_in_kazoo_layout(&self, turn: &Guard, wait: bool) -> Result<Taken<Guard>> {
        let mut connections = Connections::of(&self.without_deadline);
        loop {
            let Some((names, watch)) = self.read_leases(turn).await? else {
                return Ok(Taken::SessionLost);
            };
            let (max, limit) = self.lease_count.read(&self.without_deadline).await?;
            if names.len() < max {
                let lease = self.create_lease(turn, false).await?;
                return Ok(lease.map_or(Taken::SessionLost, |(lease, _)| Taken::Held(lease)));
            }
            if !wait {
                return Ok(Taken::NoneFree);
            }
            wait_for_change(&mut connections, watch, limit).await;
        }
    }

    /// The leases; `None` if the session of the turn has ended.
    async fn read_leases(&self, turn: &Guard) -> Result<Option<Leases>> {
        let mut backoff = RetryBackoff::new();
        let parent = self.leases();
        while turn.is_live() {
            match self.without_deadline.children(&parent).watch().await {
                Ok((names, _, watch)) if turn.is_live() => {
                    return Ok(Some((names.to_vec(), watch)));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    ensure_parent(&self.without_deadline, &parent, self.layout.has_container())
                        .await?;
                }
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
        Ok(None)
    }

    /// Creates a lease's znode in the session of the turn. With `read`, the leases are read in the same
    /// round trip, and returned unless they have to be read again. `None` if the session has ended.
    async fn create_lease(
        &self,
        turn: &Guard,
        read: bool,
    ) -> Result<Option<(Guard, Option<Leases>)>> {
        let mut backoff = RetryBackoff::new();
        let parent = self.leases();
        while turn.is_live() {
            let name = if self.is_kazoo_layout() { "" } else { "lease-" };
            let path = format!("{}/{name}", parent.trim_end_matches('/'));
            let create = self
                .without_deadline
                .create(&path, &self.identifier)
                .ephemeral();
            let ids = self.id.as_ref();
            let id = ids.map_or_else(Guid::random, |ids| ids.leases.next());
            let prefix = match self.is_kazoo_layout() {
                true => path::join(&parent, &id.hex()),
                false => path::join(&parent, &format!("{}{name}", id.prefix())),
            };
            let held = ids.map(|_| Held::new(&self.without_deadline, &prefix, false));
            let created = if self.is_kazoo_layout() {
                create.protected().prefix(id.hex()).submit()
            } else {
                create.sequential().protected().guid(id).submit()
            };
            // Submitted before the answer: the server executes both in order, in one round trip.
            let read = read.then(|| self.without_deadline.children(&parent).watch().submit());
            let mut read = Alongside::new(Box::pin(reply_to(read)));
            match read.with(created).await {
                Ok(created) => {
                    let lease = self.without_deadline.lease();
                    let owned = created.stat.owner() == Some(lease.session());
                    let guard = Guard::new(&self.client, Some(lease), self.lease_basis, created);
                    let guard = guard.with_held(held);
                    // A lease of another session than the turn could be one too many.
                    if !owned || !turn.is_live() {
                        return Ok(None);
                    }
                    let seen = read.finish().await.and_then(Result::ok);
                    let seen = seen.map(|(names, _, watch)| (names.to_vec(), watch));
                    let seen = seen.filter(|(names, _)| names.iter().any(|n| guard.is_named(n)));
                    return Ok(Some((guard, seen)));
                }
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    ensure_parent(&self.without_deadline, &parent, self.layout.has_container())
                        .await?;
                }
                Err(error)
                    if error.kind() == ErrorKind::SessionExpired && backoff.allows(&error) => {}
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
        Ok(None)
    }
}

/// The names of the leases, and a watch on them.
type Leases = (Vec<String>, Watch);

/// The result of an attempt to take leases.
enum Taken<T> {
    Held(T),
    /// Too few leases are free.
    NoneFree,
    /// The session ended meanwhile.
    SessionLost,
}

/// A lease of a semaphore. It has the methods of [`Guard`], whose page says how it is lost.
#[derive(Debug)]
#[must_use = "dropping a lease returns it"]
pub struct SemaphoreLease {
    guard: Guard,
}

impl SemaphoreLease {
    pub(super) fn into_guard(self) -> Guard {
        self.guard
    }

    /// Returns the lease: when this returns, another contender can hold it.
    ///
    /// # Errors
    /// The client is closed. The lease is returned with the session then.
    ///
    /// # Cancel safety
    /// Dropping the future returns the lease in the background.
    pub async fn release(self) -> Result<()> {
        self.guard.release().await
    }

    /// Returns the lease through a shared reference, such as an `Arc<SemaphoreLease>`. From this call
    /// on the lease is lost for all of its users: [`check`](Self::check) fails with
    /// [`GuardLost::Released`](crate::GuardLost::Released), and [`run`](Self::run) drops its future.
    ///
    /// # Errors
    /// As [`release`](Self::release).
    ///
    /// # Cancel safety
    /// After a dropped future, the drop of the lease returns it, or another call.
    pub async fn release_shared(&self) -> Result<()> {
        self.guard.release_shared().await
    }
}

delegate_to_guard!(SemaphoreLease);
